//! Versions that are good, and versions that are bad in many ways, on devices that are only voices.

use std::collections::BTreeSet;

use tern_protocol::rest::{Deed, Part, RolloutState};
use tern_tests::{played::Conduct, wait};

use crate::field::{DEVICES, FIRST, Field, THROUGH, USUAL, deeds, plan};

/// A version with which devices do so is stopped by this gate, with the first stage touched and taken back.
#[track_caller]
fn is_stopped(
    conduct: impl Fn(usize, &str) -> Conduct + Send + Sync + 'static,
    gates: &str,
    gate: &str,
) -> (Field, BTreeSet<String>) {
    let field = Field::of(conduct);
    let id = field.start(&plan(gates));
    let touched = field.stops(id, gate);
    assert_eq!(touched.len(), FIRST, "{gate}: {touched:?}");
    (field, touched)
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
    assert_eq!(deeds(&done), THROUGH);
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
    let conduct = |_, platform: &str| Conduct {
        refuses: platform == "armv7",
        ..Conduct::GOOD
    };
    let gates = r#"{"serve-failure":{"limit":"5%"}},{"errors":{"margin":"2%"}}"#;
    let (field, _) = is_stopped(conduct, gates, "serve-failure");
    field.all_serve(1, &BTreeSet::new());
}

#[test]
fn a_version_that_fails_requests_is_stopped() {
    let conduct = |_, _: &str| Conduct {
        errors: 0.2,
        ..Conduct::GOOD
    };
    let (field, _) = is_stopped(conduct, USUAL, "errors");
    field.all_serve(1, &BTreeSet::new());
}

#[test]
fn a_version_that_is_40_percent_slower_is_stopped() {
    let conduct = |_, _: &str| Conduct {
        latency_us: 1.4 * Conduct::GOOD.latency_us,
        ..Conduct::GOOD
    };
    // A quarter of the requests take longer than that as it is.
    let gates = format!(r#"{USUAL},{{"latency":{{"budget":"12ms","margin":"5%"}}}}"#);
    let (field, _) = is_stopped(conduct, &gates, "latency");
    field.all_serve(1, &BTreeSet::new());
}

#[test]
fn a_version_that_is_nearly_always_wrong_is_stopped_where_labels_come() {
    let conduct = |_, _: &str| Conduct {
        wrong: 0.8,
        ..Conduct::GOOD
    };
    let gates = format!(r#"{USUAL},{{"accuracy":{{"margin":"5%"}}}}"#);
    let (field, _) = is_stopped(conduct, &gates, "accuracy");
    field.all_serve(1, &BTreeSet::new());
}

#[test]
fn a_version_that_makes_devices_start_again_is_stopped() {
    let conduct = |_, _: &str| Conduct {
        restarts: true,
        ..Conduct::GOOD
    };
    let (field, _) = is_stopped(conduct, USUAL, "restarts");
    field.all_serve(1, &BTreeSet::new());
}

#[test]
fn a_version_that_makes_devices_silent_is_stopped() {
    let conduct = |_, _: &str| Conduct {
        silent: true,
        ..Conduct::GOOD
    };
    let (field, touched) = is_stopped(conduct, USUAL, "silence");
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
    assert_eq!(deeds(&done), THROUGH);
    field.all_serve(2, &BTreeSet::new());
    field.replays(id);
}
