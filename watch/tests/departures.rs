//! What departures promise whoever drives them.

use proptest::prelude::*;
use tern_protocol::{
    id::ModelVersion,
    profile::{FeatureReference, Reference},
    window::FeatureCounts,
};
use tern_watch::{
    Departure, DepartureChange, Departures, Device, DeviceHour, Model, Site,
    column::{Column, Kind},
    departure::Settings,
    finding::{Attribution, Place, Why},
    scenario::{Fleet, Quiet, Scenario, Shape},
    sentence::{Numbers, departed, why_departed},
};

const MINUTE: i64 = 60_000;
const START: i64 = 20_000 * 24 * 60 * MINUTE;
const SITES: u32 = 4;
const DEVICES: u32 = 3;
const SECOND: ModelVersion = ModelVersion::FIRST.next();

fn feature(name: &str, counts: [u64; 4]) -> FeatureReference {
    FeatureReference {
        name: name.into(),
        edges: vec![0.0, 1.0, 2.0, 3.0, 4.0],
        counts: counts.to_vec(),
        missing: 0,
        by_class: Vec::new(),
    }
}

/// The second version was trained on what is far above what the first knows.
fn model() -> Model {
    let reference = |counts| Reference {
        features: vec![feature("contrast", counts), feature("light", [250; 4])],
        classes: vec![500, 500],
        ..Reference::default()
    };
    Model {
        versions: vec![
            (ModelVersion::FIRST, reference([330, 330, 330, 10])),
            (SECOND, reference([10, 10, 10, 970])),
        ],
    }
}

/// A minute of a device: where its values of the first feature lie.
fn minute(site: u32, device: u32, contrast: [u64; 4]) -> DeviceHour {
    let counts = |bins: [u64; 4]| {
        let mut all = vec![0];
        all.extend(bins);
        all.extend([0, 0]);
        FeatureCounts(all)
    };
    DeviceHour {
        device: Device(site * DEVICES + device),
        site: Site(site),
        version: ModelVersion::FIRST,
        inferences: 60,
        errors: 0,
        classes: vec![30, 30],
        confidence: Vec::new(),
        features: vec![counts(contrast), counts([15; 4])],
        stuck: Vec::new(),
    }
}

const USUAL: [u64; 4] = [20, 20, 20, 0];
const FOG: [u64; 4] = [0, 0, 0, 60];

struct Told {
    watch: Departures,
    at: i64,
}

impl Told {
    fn new() -> Self {
        let watch = Departures::new(Settings::default(), &model()).expect("a model");
        Self { watch, at: START }
    }

    /// So many minutes of all devices; what came of it.
    fn go(
        &mut self,
        minutes: i64,
        sees: impl Fn(u32, u32, &mut DeviceHour),
    ) -> Vec<DepartureChange> {
        let mut all = Vec::new();
        for _ in 0..minutes {
            self.at += MINUTE;
            for site in 0..SITES {
                for device in 0..DEVICES {
                    let mut one = minute(site, device, USUAL);
                    sees(site, device, &mut one);
                    self.watch.hear(self.at, &one);
                }
            }
            all.extend(self.watch.look(self.at));
        }
        all
    }

    fn opened(changes: &[DepartureChange]) -> Vec<&Departure> {
        let opened = |change: &DepartureChange| matches!(change, DepartureChange::Opened(_));
        let all = changes.iter().filter(|change| opened(change));
        all.map(DepartureChange::departure).collect()
    }
}

fn sees(one: &mut DeviceHour, contrast: [u64; 4]) {
    one.features[0] = minute(0, 0, contrast).features.remove(0);
}

#[test]
fn two_foggy_sites_are_named_within_minutes_and_told_once() {
    let mut fleet = Told::new();
    assert_eq!(fleet.go(10, |_, _, _| {}), []);
    let fog = |site: u32, _: u32, one: &mut DeviceHour| {
        if site < 2 {
            sees(one, FOG);
        }
    };
    let changes = fleet.go(30, fog);
    let [one] = Told::opened(&changes)[..] else {
        panic!("{changes:?}")
    };
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(one.places, [Place::Site(Site(0)), Place::Site(Site(1))]);
    assert_eq!(one.attribution, Attribution::Sites);
    assert_eq!((one.since, one.devices), (START + 11 * MINUTE, 6));
    assert!(one.opened - one.since <= 6 * MINUTE, "{one:?}");
    let text = departed(one, fleet.watch.layout(), &Numbers);
    assert!(
        text.starts_with("site 0, site 1: most inputs lie where training had hardly any")
            && text.contains("values of contrast are larger"),
        "{text}"
    );
    assert!(why_departed(one, &Numbers).contains("Other sites are as usual"));

    let changes = fleet.go(5, |_, _, _| {});
    assert!(
        matches!(&changes[..], [DepartureChange::Closed(_, Why::Recovered)]),
        "{changes:?}"
    );
}

#[test]
fn a_lorry_before_the_lens_is_nothing() {
    let mut fleet = Told::new();
    fleet.go(10, |_, _, _| {});
    for _ in 0..10 {
        let fog = |_: u32, _: u32, one: &mut DeviceHour| sees(one, FOG);
        assert_eq!(fleet.go(4, fog), []);
        assert_eq!(fleet.go(4, |_, _, _| {}), []);
    }
}

#[test]
fn one_device_a_whole_fleet_and_a_version_are_told_apart() {
    let mut fleet = Told::new();
    fleet.go(10, |_, _, _| {});
    let broken = fleet.go(10, |site, device, one| {
        if (site, device) == (1, 1) {
            one.features[0] = FeatureCounts(vec![0, 0, 0, 0, 0, 0, 60]);
        }
    });
    let opened = Told::opened(&broken);
    assert_eq!(opened.len(), 1, "{broken:?}");
    assert_eq!(opened[0].kind, Kind::Quality);
    assert_eq!(opened[0].attribution, Attribution::Devices);
    assert_eq!(opened[0].places, [Place::Device(Device(4))]);

    let mut fleet = Told::new();
    fleet.go(10, |_, _, _| {});
    let everywhere = fleet.go(10, |_, _, one| sees(one, FOG));
    let opened = Told::opened(&everywhere);
    assert_eq!(opened.len(), 1, "{everywhere:?}");
    assert_eq!(opened[0].attribution, Attribution::Fleet);

    let mut fleet = Told::new();
    fleet.go(10, |_, _, _| {});
    // The world is as it was, and not what the second version was trained on.
    let rolled_out = fleet.go(10, |site, _, one| {
        if site > 1 {
            one.version = SECOND;
        }
    });
    let opened = Told::opened(&rolled_out);
    assert_eq!(opened.len(), 1, "{rolled_out:?}");
    assert_eq!(opened[0].attribution, Attribution::Version(SECOND));
    assert_eq!(opened[0].places, [Place::Version(SECOND)]);
    assert!(why_departed(opened[0], &Numbers).contains("trained on other inputs"));
}

#[test]
fn a_version_that_was_trained_on_it_ends_it_and_so_does_a_person() {
    let fog = |_: u32, _: u32, one: &mut DeviceHour| sees(one, FOG);
    let mut fleet = Told::new();
    fleet.go(10, |_, _, _| {});
    assert_eq!(Told::opened(&fleet.go(10, fog)).len(), 1);
    let trained = fleet.go(10, |_, _, one| {
        sees(one, FOG);
        one.version = SECOND;
    });
    assert!(
        matches!(&trained[..], [DepartureChange::Closed(_, Why::Recovered)]),
        "{trained:?}"
    );

    let mut fleet = Told::new();
    fleet.go(10, |_, _, _| {});
    let id = Told::opened(&fleet.go(10, fog))[0].id;
    assert!(fleet.watch.accept(id + 1).is_none());
    let accepted = fleet.watch.accept(id).expect("it is open");
    assert!(matches!(
        accepted,
        DepartureChange::Closed(_, Why::Accepted)
    ));
    assert_eq!(fleet.go(30, fog), [], "it is usual now");
}

#[test]
fn what_was_so_from_the_beginning_is_none() {
    let mut fleet = Told::new();
    assert_eq!(fleet.go(60, |_, _, one| sees(one, FOG)), []);
}

#[test]
fn sites_become_the_fleet() {
    let mut fleet = Told::new();
    fleet.go(10, |_, _, _| {});
    let begun = fleet.at;
    let mut all = Vec::new();
    for _ in 0..60 {
        let minutes = (fleet.at - begun) / MINUTE;
        all.extend(fleet.go(1, |site, _, one| {
            if minutes >= 10 * i64::from(site) {
                sees(one, FOG);
            }
        }));
    }
    let opened = Told::opened(&all);
    let kinds: Vec<Attribution> = opened.iter().map(|one| one.attribution).collect();
    assert_eq!(kinds, [Attribution::Sites, Attribution::Fleet], "{all:?}");
    let explained = DepartureChange::Closed(opened[0].clone(), Why::Explained(opened[1].id));
    let ends = all.iter().filter(|change| {
        matches!(change, DepartureChange::Closed(one, Why::Explained(by))
            if one.id == opened[0].id && *by == opened[1].id)
    });
    assert_eq!(ends.count(), 1, "{explained:?}");
    assert_eq!(fleet.watch.departures().len(), 1);
}

/// The fleets of the other tests of this crate, whose weather, weeks and versions are no departures.
#[test]
fn quiet_fleets_have_none() {
    let shape = Shape {
        sites: 8,
        devices: 6,
        size: 1.0,
    };
    for quiet in [Quiet::Plain, Quiet::Seasonal, Quiet::GoodVersion] {
        for seed in 200..202 {
            let scenario = Scenario::Quiet(quiet);
            let mut fleet = Fleet::new(scenario, shape, seed);
            let mut watch = Departures::new(Settings::default(), &fleet.model()).expect("a model");
            let mut found = Vec::new();
            for _ in 0..scenario.days() * 24 {
                let mut now = 0;
                for (hour, reports) in fleet.step() {
                    now = (i64::from(hour.0) + 1) * 60 * MINUTE;
                    for report in &reports {
                        watch.hear(now, report);
                    }
                }
                found.extend(watch.look(now));
            }
            assert_eq!(found, [], "{quiet:?} {seed}");
        }
    }
}

proptest! {
    #[test]
    fn nothing_breaks_and_what_is_stored_goes_on(
        minutes in prop::collection::vec((0_u32..6, 0_u32..20, prop::array::uniform4(0_u64..200), 0_u64..100, -5_i64..200), 1..200),
        cut in 0_usize..200,
    ) {
        let mut whole = Departures::new(Settings { hold: MINUTE }, &model()).expect("a model");
        let mut parts = whole.clone();
        for (at, (site, device, contrast, errors, time)) in minutes.into_iter().enumerate() {
            let mut one = minute(site, device, contrast);
            one.inferences = contrast.iter().sum::<u64>().max(50);
            one.errors = errors;
            one.version = if device % 2 == 0 { ModelVersion::FIRST } else { SECOND };
            let now = START + time * MINUTE;
            whole.hear(now, &one);
            parts.hear(now, &one);
            let told = whole.look(now);
            prop_assert_eq!(&told, &parts.look(now));
            prop_assert!(told.iter().all(|change| !change.departure().places.is_empty()));
            if at == cut {
                let bytes = parts.to_bytes();
                parts = Departures::restore(Settings { hold: MINUTE }, &model(), &bytes).expect("what was stored");
                prop_assert_eq!(parts.to_bytes(), whole.to_bytes());
            }
        }
        let columns = whole.layout().columns();
        prop_assert!(columns.contains(&Column::Errors));
        prop_assert!(Departures::restore(Settings::default(), &model(), &[0x9f]).is_err());
    }
}
