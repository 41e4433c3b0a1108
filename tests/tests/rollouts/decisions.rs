//! Versions that are good, and versions that are bad in many ways, on devices that are only voices.

use std::collections::BTreeSet;

use tern_protocol::{
    id::RolloutId,
    rest::{Deed, Part, Plan, RolloutState, RolloutView, VersionView},
};
use tern_tests::{
    agent::SLOT,
    fleet::{Fleet, MODEL},
    package,
    played::{Conduct, Played},
    wait,
};

/// Devices that are played.
const DEVICES: usize = 60;

/// A fleet of voices on version 1, and version 2 published.
pub(crate) struct Field {
    // Before the hub, so that it ends first.
    pub(crate) played: Played,
    pub(crate) fleet: Fleet,
    pub(crate) second: VersionView,
}

/// A plan for tests: as fast as what it stands on can be seen.
pub(crate) fn plan(gates: &str) -> Plan {
    let json = format!(
        r#"{{"slot":"{SLOT}","model":"{MODEL}","version":2,"control":"40%","deadline":"1h",
        "stages":[{{"to":"50%","soak":"2s","cap":"1h"}},{{"to":"100%","soak":"2s","cap":"1h"}}],
        "gates":[{gates}]}}"#
    );
    let plan: Plan = serde_json::from_str(&json).expect("a plan");
    assert_eq!(plan.problems(), []);
    plan
}

/// What every version is asked, quickly.
pub(crate) const USUAL: &str = r#"{"serve-failure":{"limit":"10%"}},{"errors":{"margin":"2%"}},
    {"silence":{"after":"2s","margin":"15%"}},{"restarts":{"after":"2s","margin":"15%"}}"#;

impl Field {
    /// Each device does well with version 1, and with version 2 as `conduct` says of its number and platform.
    #[track_caller]
    pub(crate) fn of(conduct: impl Fn(usize, &str) -> Conduct + Send + Sync + 'static) -> Self {
        let fleet = Fleet::empty();
        let first = fleet.publish(&package::random(fleet.dir(), 1, 16));
        let second = fleet.publish(&package::random(fleet.dir(), 2, 16));
        let versions = [first.clone(), second.clone()];
        let played = Played::start(
            fleet.link.address(),
            DEVICES,
            &versions,
            move |number, platform, version| {
                if version == 2 {
                    conduct(number, platform)
                } else {
                    Conduct::GOOD
                }
            },
        );
        wait::until("the devices to be known", || {
            let known = fleet.devices().len();
            wait::that(known == DEVICES, || format!("{known}"))
        });
        let rollout = fleet.roll_out(first.version);
        fleet.rollout_until(rollout.id, "to be served by all", |view| {
            view.counts.serving == DEVICES as u64
        });
        Self {
            played,
            fleet,
            second,
        }
    }

    #[track_caller]
    pub(crate) fn start(&self, plan: &Plan) -> RolloutId {
        match self.fleet.client().start_plan(plan) {
            Ok(view) => view.id,
            Err(err) => panic!("starting a plan: {err}: {:?}", err.problem()),
        }
    }

    /// Waits until it has stopped and every device serves version 1 again; the devices that were touched.
    #[track_caller]
    fn stops(&self, id: RolloutId, gate: &str) -> BTreeSet<String> {
        let view = self
            .fleet
            .rollout_until(id, "to stop", |view| view.state.is_over());
        assert_eq!(view.state, RolloutState::Stopped, "{view:#?}");
        assert!(view.reason.contains(gate), "{}", view.reason);
        let evidence = view.evidence.as_ref().expect("it has a plan");
        let stop = evidence.decisions.iter().find(|one| one.what == Deed::Stop);
        let stop = stop.expect("it says that it stopped");
        assert_eq!(stop.stage, 1, "in the first stage: {}", stop.sentence);
        let touched: BTreeSet<String> = view
            .devices
            .iter()
            .filter(|one| one.admitted.is_some())
            .map(|one| one.device.to_string())
            .collect();
        // Half of those that are not control.
        assert_eq!(touched.len(), 18, "{touched:?}");
        self.fleet.rollout_until(id, "to be taken back", |view| {
            view.counts.stages.assigned == 0
        });
        let devices = self.fleet.devices();
        for device in devices {
            let assigned = device.slots[0].assigned.as_ref();
            assert_eq!(assigned.map(|one| one.version.get()), Some(1), "{device:?}");
        }
        self.replays(id);
        touched
    }

    #[track_caller]
    pub(crate) fn replays(&self, id: RolloutId) {
        let replay = self.fleet.client().replay(id).expect("it replays");
        assert!(replay.same, "{:#?}", replay.difference);
        assert!(replay.events > 0 && !replay.decisions.is_empty());
    }

    /// Waits until every device serves this version.
    #[track_caller]
    fn all_serve(&self, version: u32, but: &BTreeSet<String>) {
        wait::until(&format!("all to serve version {version}"), || {
            let serving = self.played.serving();
            let other = serving
                .iter()
                .find(|(device, serves)| **serves != version && !but.contains(*device));
            wait::that(other.is_none(), || format!("{other:?}"))
        });
    }
}

pub(crate) fn deeds(view: &RolloutView) -> Vec<Deed> {
    let evidence = view.evidence.as_ref().expect("it has a plan");
    evidence.decisions.iter().map(|one| one.what).collect()
}

#[test]
fn a_good_version_reaches_all_by_itself_and_the_control_last() {
    let field = Field::of(|_, _| Conduct::GOOD);
    let id = field.start(&plan(USUAL));
    let client = field.fleet.client();
    let mut control_at_first = BTreeSet::new();
    let done = wait::until("it to be complete", || {
        let view = client.rollout(id).map_err(|err| err.to_string())?;
        assert!(!view.state.is_over(), "{view:#?}");
        let released = deeds(&view).contains(&Deed::Release);
        let control = view
            .devices
            .iter()
            .filter(|one| one.part == Some(Part::Control));
        let control: Vec<_> = control.collect();
        if control_at_first.is_empty() {
            control_at_first = control.iter().map(|one| one.device.to_string()).collect();
        }
        if !released {
            assert!(
                control.iter().all(|one| one.admitted.is_none()),
                "{control:?}"
            );
        }
        wait::that(view.state == RolloutState::Complete, || view.reason.clone())?;
        Ok(view)
    });
    assert_eq!(control_at_first.len(), 24, "two fifths of sixty");
    assert_eq!(
        deeds(&done),
        [Deed::Start, Deed::Advance, Deed::Release, Deed::Complete]
    );
    assert_eq!(done.counts.serving, DEVICES as u64);
    let evidence = done.evidence.expect("it has a plan");
    for one in evidence
        .decisions
        .iter()
        .filter(|one| one.what == Deed::Advance)
    {
        assert!(
            one.gates.len() == 4 && one.sentence.contains("all 4 gates passed"),
            "{one:#?}"
        );
    }
    field.all_serve(2, &BTreeSet::new());
    field.replays(id);
}

#[test]
fn a_version_that_one_platform_refuses_stops_at_the_first_stage_and_all_serve_on() {
    let field = Field::of(|_, platform| Conduct {
        refuses: platform == "armv7",
        ..Conduct::GOOD
    });
    let id = field.start(&plan(
        r#"{"serve-failure":{"limit":"5%"}},{"errors":{"margin":"2%"}}"#,
    ));
    field.stops(id, "serve-failure");
    field.all_serve(1, &BTreeSet::new());
}

#[test]
fn a_version_that_fails_requests_is_stopped() {
    let field = Field::of(|_, _| Conduct {
        errors: 0.2,
        ..Conduct::GOOD
    });
    let id = field.start(&plan(USUAL));
    field.stops(id, "errors");
    field.all_serve(1, &BTreeSet::new());
}

#[test]
fn a_version_that_is_slower_than_its_budget_is_stopped() {
    let field = Field::of(|_, _| Conduct {
        latency_us: 14_000.0,
        ..Conduct::GOOD
    });
    let id = field.start(&plan(&format!(
        r#"{USUAL},{{"latency":{{"budget":"12ms","margin":"5%"}}}}"#
    )));
    field.stops(id, "latency");
    field.all_serve(1, &BTreeSet::new());
}

#[test]
fn a_version_that_is_wrong_more_often_is_stopped_where_labels_come() {
    let field = Field::of(|_, _| Conduct {
        wrong: 0.8,
        ..Conduct::GOOD
    });
    let id = field.start(&plan(&format!(
        r#"{USUAL},{{"accuracy":{{"margin":"5%"}}}}"#
    )));
    field.stops(id, "accuracy");
    field.all_serve(1, &BTreeSet::new());
}

#[test]
fn a_version_that_makes_devices_start_again_is_stopped() {
    let field = Field::of(|_, _| Conduct {
        restarts: true,
        ..Conduct::GOOD
    });
    let id = field.start(&plan(USUAL));
    field.stops(id, "restarts");
    field.all_serve(1, &BTreeSet::new());
}

#[test]
fn a_version_that_makes_devices_silent_is_stopped() {
    let field = Field::of(|_, _| Conduct {
        silent: true,
        ..Conduct::GOOD
    });
    let id = field.start(&plan(USUAL));
    let touched = field.stops(id, "silence");
    // Those that nobody hears of cannot be told; they are to have version 1, and will hear of it.
    field.all_serve(1, &touched);
}

#[test]
fn a_hub_that_is_killed_again_and_again_decides_as_if_it_had_not_been() {
    let mut field = Field::of(|_, _| Conduct::GOOD);
    let id = field.start(&plan(USUAL));
    let mut kills = 0;
    let mut seen = BTreeSet::new();
    let done = loop {
        let view = wait::until("the hub to answer", || {
            field
                .fleet
                .client()
                .rollout(id)
                .map_err(|err| err.to_string())
        });
        assert!(!view.state.is_over(), "{view:#?}");
        if view.state == RolloutState::Complete {
            break view;
        }
        // In every state that it comes to, and in the middle of each.
        let state = (view.counts.serving, view.stage, deeds(&view));
        if kills < 8 && seen.insert(format!("{state:?}")) {
            kills += 1;
            field.fleet.hub.kill_9();
            field.fleet.hub.run();
            field.fleet.link.aim(field.fleet.hub.mqtt());
        }
    };
    assert!(kills >= 3, "{kills}");
    assert_eq!(
        deeds(&done),
        [Deed::Start, Deed::Advance, Deed::Release, Deed::Complete]
    );
    field.all_serve(2, &BTreeSet::new());
    field.replays(id);
}
