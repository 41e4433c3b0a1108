//! What moved is found, placed and told, from what devices said in the past days and minutes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tern_cli::client::FindingQuery;
use tern_protocol::{
    codec,
    digest::Digest,
    id::{ModelVersion, OutboxId, Sequence},
    log::{Batch, Body, Entry},
    profile::Reference,
    rest::{Attribution, Detector, FindingEnd, FindingKind, FindingPlace, FindingView},
    topic::Channel,
    window::{FeatureCounts, Sketch, Window},
};
use tern_tests::{
    agent::SLOT,
    cli::{tern, tern_json},
    device::{self, Device},
    fleet::{Fleet, MODEL},
    package, wait,
};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// Windows in one batch: well below what a payload may have.
const TOGETHER: usize = 150;

/// A number from -1 to 1 that looks random and follows from these.
fn lot(a: u64, b: u64, c: u64) -> f64 {
    let mut mixed = a << 42 ^ b << 21 ^ c;
    mixed = (mixed ^ mixed >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// Devices that were on for long and have a lot to tell.
struct Voices {
    reference: Reference,
    /// Each with its site, and the last entry of its outbox.
    devices: Vec<(Device, u64, u64)>,
}

/// What one device saw in one window: from when to when it was up, how large values were, how many it was.
#[derive(Clone, Copy)]
struct Seen {
    from: u64,
    to: u64,
    tilt: f64,
    inferences: u64,
}

impl Voices {
    fn of(fleet: &Fleet, sites: u64, each: u64) -> Self {
        let package = package::digits(0);
        fleet.publish(package);
        let reference = package.reference.as_ref().expect("it has a profile");
        let reference = codec::decode_within(reference, 1 << 24).expect("a profile");
        let devices = (0..sites * each).map(|n| {
            let site = n / each;
            let name = format!("voice-{n}");
            let device = Device::connect(fleet.hub.mqtt(), &name, &format!("site-{site}"));
            (device, site, 0)
        });
        Self {
            reference,
            devices: devices.collect(),
        }
    }

    /// Counts that follow a reference whose upper bins are more likely by `tilt`.
    fn counts(reference: &[u64], seen: &Seen, salt: u64) -> Vec<u64> {
        let bins = reference.len() as f64;
        let weights: Vec<f64> = reference
            .iter()
            .enumerate()
            .map(|(at, count)| {
                let noise = 1.0 + 0.1 * lot(seen.from / MINUTE, salt, at as u64);
                *count as f64 * (seen.tilt * (at as f64 + 0.5 - bins / 2.0) / bins).exp() * noise
            })
            .collect();
        let whole: f64 = weights.iter().sum();
        let share = |weight: &f64| (weight / whole * seen.inferences as f64).round() as u64;
        weights.iter().map(share).collect()
    }

    fn window(&self, device: u64, seen: &Seen) -> Window {
        let signals = self.reference.signals.iter().enumerate().map(|(at, of)| {
            let inside = Self::counts(&of.counts, seen, device * 100 + at as u64);
            let counts = [0].into_iter().chain(inside).chain([0, 0]);
            FeatureCounts(counts.collect())
        });
        let still = Seen { tilt: 0.0, ..*seen };
        Window {
            slot: SLOT.parse().expect("a name"),
            model: MODEL.parse().expect("a name"),
            version: ModelVersion::FIRST,
            bundle: Digest::of(b"a bundle"),
            opened: device::at(seen.from),
            closed: device::at(seen.to),
            inferences: seen.inferences,
            errors: 0,
            latency: Sketch::default(),
            classes: Self::counts(&self.reference.classes, &still, device * 100 + 50),
            confidence: Self::counts(&self.reference.confidence, &still, device * 100 + 51),
            features: Vec::new(),
            rss: None,
            cpu_ms: None,
            parts: None,
            margin: Vec::new(),
            repeated: Vec::new(),
            values: None,
            signals: signals.collect(),
            temperature: None,
            metrics: Vec::new(),
        }
    }

    /// Each device tells what it saw, up to `now` on its clock.
    fn tell(&mut self, now: u64, saw: impl Fn(u64, u64) -> Vec<Seen>) {
        let mut all = Vec::new();
        for (number, (_, site, last)) in self.devices.iter().enumerate() {
            let number = number as u64;
            let windows: Vec<Window> = saw(*site, number)
                .iter()
                .map(|seen| self.window(number, seen))
                .collect();
            let mut after = *last;
            let mut batches = Vec::new();
            for together in windows.chunks(TOGETHER) {
                let entries = (after + 1..).zip(together).map(|(sequence, window)| Entry {
                    sequence: Sequence(sequence),
                    at: window.closed,
                    wall: None,
                    body: Body::Window(Box::new(window.clone())),
                });
                batches.push(Batch {
                    outbox: OutboxId(1),
                    acked: Sequence(0),
                    after: Sequence(after),
                    now: device::at(now),
                    entries: entries.collect(),
                });
                after += together.len() as u64;
            }
            all.push((batches, after));
        }
        for ((device, _, last), (batches, after)) in self.devices.iter_mut().zip(all) {
            for batch in batches {
                device.say(Channel::Log, codec::encode(&batch));
            }
            *last = after;
        }
    }
}

fn findings(fleet: &Fleet, open: Option<bool>) -> Result<Vec<FindingView>, String> {
    let query = FindingQuery {
        open,
        ..FindingQuery::default()
    };
    let all: Result<Vec<_>, _> = fleet.client().findings(&query).collect();
    all.map_err(|err| err.to_string())
}

fn one(fleet: &Fleet, open: Option<bool>) -> FindingView {
    wait::until_within(Duration::from_mins(1), "one finding", || {
        let mut all = findings(fleet, open)?;
        wait::that(all.len() == 1, || format!("{all:?}"))?;
        all.pop().ok_or_else(String::new)
    })
}

fn site(number: u64) -> FindingPlace {
    FindingPlace::Site(format!("site-{number}").parse().expect("a name"))
}

#[test]
fn a_site_that_sees_something_else_is_named_once_and_until_a_person_says_that_it_is_usual() {
    const DAYS: u64 = 14;
    const SINCE: u64 = 10;
    let mut fleet = Fleet::with_hub(&["--drift-grace=5s", "--alert-every=1s"]);
    let mut voices = Voices::of(&fleet, 6, 3);
    voices.tell(DAYS * 24 * HOUR, |site, device| {
        let hours = (0..DAYS * 24).map(|hour| {
            let day = hour / 24;
            let weather = 0.15 * lot(site, day, 7) + 0.1 * lot(device, 3, 3);
            let moved = if site == 1 && day >= SINCE { 2.0 } else { 0.0 };
            Seen {
                from: hour * HOUR + 10 * MINUTE,
                to: hour * HOUR + 20 * MINUTE,
                tilt: weather + moved,
                inferences: 60,
            }
        });
        hours.collect()
    });
    let found = one(&fleet, Some(true));
    assert_eq!(found.detector, Detector::Drift, "{found:?}");
    assert_eq!(found.kind, FindingKind::Input, "{found:?}");
    assert_eq!(found.attribution, Attribution::Sites, "{found:?}");
    assert_eq!(found.places, [site(1)], "{found:?}");
    assert_eq!((found.devices, found.of_devices), (3, 18), "{found:?}");
    assert!(found.years.is_some_and(|years| years > 1.0), "{found:?}");
    assert!(found.text.starts_with("site-1: values of "), "{found:?}");
    let effect = found.moved[0].effect;
    assert!(
        effect.low.is_some_and(|low| low > 0.06) && effect.value > 0.1,
        "{found:?}"
    );
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let days = (now.as_millis() as i64 - found.since.0) / (24 * HOUR as i64);
    assert!((3..=5).contains(&days), "since {days} days: {found:?}");

    let alert = wait::until("an alert of it", || {
        let all = tern_json(&fleet, &["alert", "list"]);
        let fires =
            |one: &&serde_json::Value| one["rule"] == "model-moved" && one["state"] == "firing";
        let found = all
            .as_array()
            .and_then(|all| all.iter().find(fires))
            .cloned();
        found.ok_or_else(|| format!("{all:#}"))
    });
    let told = alert.to_string();
    for part in ["site-1", "\"devices\":3", "\"of_devices\":18"] {
        assert!(told.contains(part), "{part} in {alert:#}");
    }
    let page = fleet.hub.http();
    let url = format!("{}/models/{MODEL}/health?range=30d", fleet.hub.url());
    let page = page.get(&url).expect("the page of its health").body;
    assert!(page.contains("Other sites are as usual"), "{page}");
    assert!(page.contains("class=\"distances\""), "{page}");

    // In the middle of whatever it does.
    fleet.hub.kill_9();
    fleet.run_hub();
    let again = one(&fleet, None);
    assert_eq!((again.id, &again.text), (found.id, &found.text));

    let id = found.id.to_string();
    let listed = tern_json(&fleet, &["finding", "list"]);
    assert_eq!(listed[0]["id"], found.id, "{listed:#}");
    let shown = tern(&fleet, &["finding", "show", &id]);
    assert!(shown.out.contains("Other sites are as usual"), "{shown:?}");
    let accepted = tern_json(&fleet, &["finding", "accept", &id]);
    assert!(accepted["accepted_by"].is_string(), "{accepted}");
    let over = one(&fleet, Some(false));
    assert_eq!(over.end, Some(FindingEnd::Accepted), "{over:?}");
    let refused = fleet
        .client()
        .accept_finding(found.id)
        .expect_err("it is over");
    assert!(refused.to_string().contains("is over"), "{refused}");
    let unknown = fleet
        .client()
        .accept_finding(999)
        .expect_err("there is none");
    assert!(unknown.to_string().contains("no finding 999"), "{unknown}");
    assert_eq!(findings(&fleet, Some(true)), Ok(Vec::new()));
}

#[test]
fn two_sites_in_the_fog_are_named_within_minutes_of_their_clocks_and_again_when_it_is_gone() {
    let mut fleet = Fleet::empty();
    let mut voices = Voices::of(&fleet, 4, 2);
    let minutes = |from: u64, to: u64, tilt: f64| {
        (from..to)
            .map(|minute| Seen {
                from: minute * MINUTE,
                to: (minute + 1) * MINUTE,
                tilt,
                inferences: 60,
            })
            .collect::<Vec<_>>()
    };
    // Told twenty minutes later; after that, what came then.
    voices.tell(60 * MINUTE, |site, _| {
        let mut all = minutes(0, 20, 0.0);
        all.extend(minutes(20, 40, if site < 2 { 40.0 } else { 0.0 }));
        all
    });
    let found = one(&fleet, Some(true));
    assert_eq!(found.detector, Detector::Departure, "{found:?}");
    assert_eq!(found.attribution, Attribution::Sites, "{found:?}");
    assert_eq!(found.places, [site(0), site(1)], "{found:?}");
    assert_eq!((found.devices, found.of_devices), (4, 8), "{found:?}");
    assert_eq!(found.years, None);
    let names: Vec<&str> = found.moved.iter().map(|one| one.name.as_str()).collect();
    assert!(names.contains(&"contrast"), "{names:?}");

    fleet.hub.kill_9();
    fleet.run_hub();
    let mut voices = Voices {
        devices: voices
            .devices
            .into_iter()
            .enumerate()
            .map(|(n, (device, site, last))| {
                drop(device);
                let name = format!("voice-{n}");
                let device = Device::connect(fleet.hub.mqtt(), &name, &format!("site-{site}"));
                (device, site, last)
            })
            .collect(),
        ..voices
    };
    voices.tell(60 * MINUTE, |_, _| minutes(40, 50, 0.0));
    let over = one(&fleet, Some(false));
    assert_eq!((over.id, over.end), (found.id, Some(FindingEnd::Recovered)));
}
