//! What the engine promises whoever drives it, on a small fleet of regular devices.

use proptest::prelude::*;
use tern_protocol::{
    id::ModelVersion,
    profile::{FeatureReference, Reference},
    window::FeatureCounts,
};
use tern_watch::{
    Change, Device, DeviceHour, Hour, Model, Settings, Site, Watch,
    column::Kind,
    finding::{Attribution, Place, Why},
    sentence::{Numbers, what, why},
};

const SITES: u32 = 6;
const DEVICES: u32 = 4;
const START: u32 = 24 * 20_000;
const SECOND: ModelVersion = ModelVersion::FIRST.next();

fn model() -> Model {
    let feature = |name: &str| FeatureReference {
        name: name.into(),
        edges: vec![0.0, 1.0, 2.0, 3.0, 4.0],
        counts: vec![250; 4],
        missing: 0,
        by_class: Vec::new(),
    };
    let reference = Reference {
        features: vec![feature("temperature"), feature("light")],
        classes: vec![500, 500],
        ..Reference::default()
    };
    Model {
        versions: vec![
            (ModelVersion::FIRST, reference.clone()),
            (SECOND, reference),
        ],
    }
}

/// A number that looks random and follows from these.
fn lot(a: u32, b: u32, c: u32) -> u64 {
    let mut mixed = u64::from(a) << 40 ^ u64::from(b) << 20 ^ u64::from(c);
    mixed = (mixed ^ mixed >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32
}

/// An hour of a device; `moved` of forty values of the first feature are at its upper end.
fn report(site: u32, device: u32, hour: u32, moved: u64) -> DeviceHour {
    let id = site * DEVICES + device;
    let wiggle = |what: u32, of: u64| lot(id, hour, what) % of;
    let first = [10 - moved / 4, 10 - moved / 4, 10, 10 + moved / 2];
    let mut counts = vec![0];
    counts.extend(
        first
            .iter()
            .enumerate()
            .map(|(at, count)| count + wiggle(at as u32, 3)),
    );
    counts.extend([0, 0]);
    let light = vec![0, 10 + wiggle(5, 3), 10 + wiggle(6, 3), 10, 10, 0, 0];
    DeviceHour {
        device: Device(id),
        site: Site(site),
        version: ModelVersion::FIRST,
        inferences: 40,
        errors: 0,
        classes: vec![20 + wiggle(7, 4), 20 + wiggle(8, 4)],
        confidence: Vec::new(),
        features: vec![FeatureCounts(counts), FeatureCounts(light)],
        stuck: Vec::new(),
    }
}

fn everybody(hour: u32, change: impl Fn(u32, u32, &mut DeviceHour)) -> Vec<DeviceHour> {
    let all = (0..SITES).flat_map(|site| (0..DEVICES).map(move |device| (site, device)));
    all.map(|(site, device)| {
        let mut one = report(site, device, hour, 0);
        change(site, device, &mut one);
        one
    })
    .collect()
}

fn watch() -> Watch {
    Watch::new(Settings::default(), &model()).expect("a model to watch")
}

/// Runs hours and returns all changes.
fn run(
    watch: &mut Watch,
    hours: std::ops::Range<u32>,
    change: impl Fn(u32, u32, u32, &mut DeviceHour),
) -> Vec<Change> {
    let mut changes = Vec::new();
    for hour in hours {
        let hour = START + hour;
        watch.hour(
            Hour(hour),
            &everybody(hour, |site, device, one| {
                change(hour - START, site, device, one);
            }),
        );
        changes.extend(watch.look(Hour(hour)));
    }
    changes
}

fn quiet(_: u32, _: u32, _: u32, _: &mut DeviceHour) {}

#[test]
fn a_device_that_breaks_is_found_said_and_over_when_it_is_well_again() {
    let mut watch = watch();
    assert_eq!(run(&mut watch, 0..24 * 20, quiet), []);
    let broken = |_: u32, site, device, one: &mut DeviceHour| {
        if (site, device) == (2, 1) {
            one.features[0] = FeatureCounts(vec![0, 0, 0, 0, 20, 0, 20]);
        }
    };
    let changes = run(&mut watch, 24 * 20..24 * 26, broken);
    let kinds: Vec<Kind> = changes.iter().map(|change| change.finding().kind).collect();
    assert!(
        kinds.contains(&Kind::Input) && kinds.contains(&Kind::Quality),
        "{changes:?}"
    );
    for change in &changes {
        let finding = change.finding();
        assert_eq!(
            (finding.attribution, &finding.places[..]),
            (Attribution::Devices, &[Place::Device(Device(9))][..])
        );
        assert_eq!(finding.since.day() - START / 24, 20);
        assert!(finding.years > 1.0 && finding.samples > 0 && finding.devices == 1);
    }
    let quality = changes
        .iter()
        .find(|change| change.finding().kind == Kind::Quality)
        .unwrap()
        .finding();
    let sentence = what(quality, watch.layout(), &Numbers);
    assert!(sentence.starts_with("device 9: 5"), "{sentence}");
    assert!(
        sentence.contains("more values of temperature are missing or stuck"),
        "{sentence}"
    );
    assert!(why(quality, &Numbers).contains("sensors of these devices"));
    let changes = run(&mut watch, 24 * 26..24 * 34, quiet);
    assert!(
        !changes.is_empty()
            && changes
                .iter()
                .all(|change| matches!(change, Change::Closed(_, Why::Recovered))),
        "{changes:?}"
    );
    assert_eq!(watch.findings(), []);
}

#[test]
fn what_is_accepted_is_usual_from_then_on() {
    let mut watch = watch();
    run(&mut watch, 0..24 * 20, quiet);
    let moved = |_: u32, site, device, one: &mut DeviceHour| {
        if site == 3 {
            *one = report(site, device, one.inferences as u32 + device, 16);
        }
    };
    let changes = run(&mut watch, 24 * 20..24 * 30, moved);
    assert!(
        changes
            .iter()
            .any(|change| change.finding().attribution == Attribution::Sites),
        "{changes:?}"
    );
    let ids: Vec<u32> = watch.findings().iter().map(|finding| finding.id).collect();
    assert!(!ids.is_empty());
    for id in ids {
        assert!(matches!(
            watch.accept(id),
            Some(Change::Closed(_, Why::Accepted))
        ));
    }
    assert_eq!(watch.accept(999), None);
    assert_eq!(run(&mut watch, 24 * 30..24 * 45, moved), []);
    assert!(watch.from_training(Site(3)).unwrap()[0].1 > 0.05);
    assert_eq!(watch.from_training(Site(99)), None);
}

#[test]
fn a_version_that_moves_the_devices_that_get_it_is_blamed_for_it() {
    let mut watch = watch();
    run(&mut watch, 0..24 * 20, quiet);
    let half = |_: u32, _: u32, device, one: &mut DeviceHour| {
        if device < 2 {
            one.version = SECOND;
            one.classes = vec![35, 5];
        }
    };
    let changes = run(&mut watch, 24 * 20..24 * 26, half);
    let first = changes.first().unwrap().finding();
    assert_eq!(
        (first.kind, first.attribution),
        (Kind::Prediction, Attribution::Version(SECOND))
    );
    assert!(
        watch
            .findings()
            .iter()
            .any(|finding| finding.places == [Place::Version(SECOND)]),
        "{changes:?}"
    );
    // All go back: it is over.
    let changes = run(&mut watch, 24 * 26..24 * 34, quiet);
    assert!(
        changes
            .iter()
            .all(|change| matches!(change, Change::Closed(..) | Change::Changed(_))),
        "{changes:?}"
    );
    assert_eq!(watch.findings(), []);
}

#[test]
fn what_a_version_does_can_be_accepted() {
    let mut watch = watch();
    run(&mut watch, 0..24 * 20, quiet);
    let half = |_: u32, _: u32, device, one: &mut DeviceHour| {
        if device < 2 {
            one.version = SECOND;
            one.classes = vec![35, 5];
        }
    };
    run(&mut watch, 24 * 20..24 * 25, half);
    let ids: Vec<u32> = watch.findings().iter().map(|finding| finding.id).collect();
    assert!(!ids.is_empty());
    for id in ids {
        assert!(matches!(
            watch.accept(id),
            Some(Change::Closed(_, Why::Accepted))
        ));
    }
    assert_eq!(run(&mut watch, 24 * 25..24 * 50, half), []);
}

#[test]
fn a_version_that_changes_nothing_is_not_blamed() {
    let mut watch = watch();
    run(&mut watch, 0..24 * 20, quiet);
    let changes = run(&mut watch, 24 * 20..24 * 45, |_, _, device, one| {
        if device < 2 {
            one.version = SECOND;
        }
    });
    assert_eq!(changes, []);
}

#[test]
fn what_comes_late_is_counted_and_not_judged() {
    let mut watch = watch();
    run(&mut watch, 0..48, quiet);
    let before = watch.to_bytes();
    watch.hour(Hour(START + 10), &[report(0, 0, START + 10, 16)]);
    assert_eq!(watch.late(), 1);
    assert_eq!(watch.look(Hour(START + 48)), []);
    assert!(watch.to_bytes().len().abs_diff(before.len()) < 16);
}

#[test]
fn nonsense_neither_panics_nor_alarms() {
    let mut watch = watch();
    let mut odd = report(0, 0, START, 0);
    odd.features = vec![FeatureCounts(vec![u64::MAX; 7]), FeatureCounts(vec![1])];
    odd.classes = vec![u64::MAX; 40];
    odd.confidence = vec![u64::MAX; 20];
    odd.stuck = vec![u64::MAX; 9];
    (odd.inferences, odd.errors) = (u64::MAX, u64::MAX);
    let empty = DeviceHour {
        features: Vec::new(),
        classes: Vec::new(),
        inferences: 1,
        ..odd.clone()
    };
    let unknown = DeviceHour {
        version: SECOND.next(),
        ..report(1, 0, START, 0)
    };
    for hour in 0..24 * 12 {
        watch.hour(
            Hour(START + hour),
            &[odd.clone(), odd.clone(), empty.clone(), unknown.clone()],
        );
        watch.look(Hour(START + hour));
    }
    watch.hour(Hour(u32::MAX), &[odd]);
    watch.look(Hour(u32::MAX));
    watch.look(Hour(0));
    watch.hour(Hour(0), &[]);
}

#[test]
fn a_state_of_another_model_is_refused() {
    let watch = watch();
    let mut other = model();
    other
        .versions
        .iter_mut()
        .for_each(|(_, reference)| reference.classes.push(1));
    assert!(Watch::restore(Settings::default(), &other, &watch.to_bytes()).is_err());
    assert!(watch.clone().set_model(&other).is_err());
    assert!(watch.clone().set_model(&model()).is_ok());
    other.versions.clear();
    assert!(Watch::new(Settings::default(), &other).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_inside_an_hour_never_matters_and_the_state_survives_being_stored(
        seed in any::<u32>(),
        hours in 30_u32..80,
        cut in 0_u32..80,
    ) {
        let (mut forth, mut back) = (watch(), watch());
        for hour in START..START + hours {
            let mut reports = everybody(hour, |site, device, one| {
                if lot(seed, hour, site * 8 + device).is_multiple_of(3) {
                    *one = report(site, device, hour, 8);
                }
                if lot(seed, hour, 99 + device).is_multiple_of(11) {
                    one.version = SECOND;
                }
            });
            // A device's hour in two parts.
            let part = reports[(lot(seed, hour, 1) % 24) as usize].clone();
            reports.push(part);
            forth.hour(Hour(hour), &reports);
            reports.sort_by_key(|one| lot(seed, one.device.0, one.inferences as u32));
            back.hour(Hour(hour), &reports);
            if hour == START + cut {
                let bytes = back.to_bytes();
                back = Watch::restore(Settings::default(), &model(), &bytes).unwrap();
                prop_assert_eq!(back.to_bytes(), bytes);
            }
            prop_assert_eq!(forth.look(Hour(hour)), back.look(Hour(hour)));
        }
        prop_assert_eq!(forth.to_bytes(), back.to_bytes());
    }

    #[test]
    fn bytes_that_are_no_state_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Watch::restore(Settings::default(), &model(), &bytes).is_err());
    }
}
