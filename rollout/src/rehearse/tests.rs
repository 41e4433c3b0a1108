//! What a rehearsal promises, and what the engine promises whatever the fleet.

use tern_protocol::rest::{Drift, Online, Rate, Share, Span};

use super::*;

const ALPHA: f64 = 0.05;

fn setup(plan: Plan, seed: u64) -> Setup {
    Setup {
        plan,
        rollout: RolloutId(seed as u32 + 1),
        bytes: 4 << 20,
    }
}

/// A plan for fleets so small that many runs take seconds.
fn small_plan() -> Plan {
    let mut plan = standard::plan();
    plan.stages.remove(0);
    for stage in &mut plan.stages {
        stage.cap = Span::minutes(36 * 60);
    }
    plan
}

/// The standard fleet, looked at rarely and not for long.
fn small_fleet(devices: u32) -> SimulatedFleet {
    let mut fleet = standard::fleet(devices);
    fleet.looks = Span::minutes(15);
    fleet.horizon = Span::minutes(3 * 24 * 60);
    fleet
}

fn effect(json: &str) -> Effect {
    serde_json::from_str(json).expect("an effect")
}

#[test]
fn the_same_seed_gives_the_same_outcome() {
    let fleet = small_fleet(120);
    let run = |seed| simulate(&setup(small_plan(), seed), &fleet, &Effect::default(), seed);
    let (one, again, other) = (run(1), run(1), run(2));
    assert_eq!(one, again);
    assert_ne!(one, other);
    let by_rule = |seed| {
        let rule = rules::Rule::Analysis { margins: 1 };
        rules::simulate(
            rule,
            &setup(small_plan(), seed),
            &fleet,
            &Effect::default(),
            seed,
        )
    };
    assert_eq!(by_rule(1), by_rule(1));
}

/// Fleets in which nothing is wrong with the version, each strange in a way of its own.
fn strange(kind: u64) -> SimulatedFleet {
    let mut fleet = small_fleet(90);
    match kind {
        // All alike and always there.
        0 => {
            fleet.drift = Drift::default();
            for group in &mut fleet.groups {
                group.online.share = Share::percent(100);
                (group.online.from, group.online.to) = (None, None);
                group.errors = Rate::of(Share::percent(3));
            }
        }
        // What comes and goes with the day is larger than any margin.
        1 => {
            fleet.drift.errors = Share::percent(20);
            fleet.drift.slow = Share::percent(20);
        }
        // Half of the devices are bad, and one site is worse than the others.
        2 => {
            for group in &mut fleet.groups {
                group.errors.bad = Share::percent(50);
            }
            fleet.groups[0].errors.worst = Share::percent(90);
        }
        // Hardly anybody is there for long.
        3 => {
            for group in &mut fleet.groups {
                group.online = Online {
                    share: Share::percent(50),
                    spell: Span::minutes(40),
                    ..group.online
                };
            }
        }
        _ => {}
    }
    fleet
}

/// The promise of every plan, on fleets that differ in what they are like, in lots and in luck.
#[test]
fn versions_that_do_no_harm_are_hardly_ever_stopped() {
    const RUNS: u64 = 320;
    let stopped: Vec<Outcome> = (0..RUNS)
        .map(|seed| {
            let fleet = strange(seed % 5);
            simulate(&setup(small_plan(), seed), &fleet, &Effect::default(), seed)
        })
        .filter(|outcome| outcome.false_stop)
        .collect();
    let sentences: Vec<&str> = stopped.iter().map(|one| one.sentence.as_str()).collect();
    assert!(
        stopped.len() as f64 <= ALPHA * RUNS as f64,
        "{sentences:#?}"
    );
}

#[test]
fn every_usual_kind_of_harm_stops_it_before_it_is_everywhere() {
    let fleet = {
        let mut fleet = small_fleet(1_000);
        // Truth comes for every prediction: three points are few.
        for group in &mut fleet.groups {
            group.labels = 8.0;
            group.online.share = Share::percent(100);
            (group.online.from, group.online.to) = (None, None);
        }
        fleet
    };
    // Three points of accuracy on few devices are within what chance does.
    let mut plan = small_plan();
    plan.control = tern_protocol::rest::Size::Share(Share::percent(30));
    plan.stages[0].to = plan.control;
    for (name, effect) in standard::harms(&fleet) {
        let outcome = simulate(&setup(plan.clone(), 3), &fleet, &effect, 3);
        assert_eq!(outcome.end, End::Stopped, "{name}: {outcome:?}");
        assert!(outcome.true_stop && !outcome.false_stop);
        assert!(outcome.stage <= 2, "{name}: {outcome:?}");
        assert!(
            outcome.harmed > 0 && outcome.harm_to_stop_ms.is_some(),
            "{name}"
        );
    }
}

/// A stage's devices go on after it; what they do at noon is not compared with what its control did in the morning.
#[test]
fn what_comes_later_to_all_is_not_blamed_on_an_earlier_stage() {
    let mut fleet = small_fleet(300);
    fleet.drift.errors = Share::percent(60);
    for group in &mut fleet.groups {
        group.errors = Rate::of(Share::percent(1));
        group.online = Online {
            share: Share::percent(100),
            ..Online::default()
        };
    }
    for seed in 0..6 {
        let outcome = simulate(&setup(small_plan(), seed), &fleet, &Effect::default(), seed);
        assert!(!outcome.false_stop, "{outcome:?}");
    }
}

#[test]
fn a_whole_fleet_gets_a_good_version_and_is_spared_a_bad_one() {
    let mut fleet = standard::fleet(100_000);
    fleet.looks = Span::minutes(15);
    let plan = standard::plan();
    let good = simulate(&setup(plan.clone(), 1), &fleet, &Effect::default(), 1);
    assert_eq!(good.end, End::Complete, "{}", good.sentence);
    assert_eq!(good.confirmed, 100_000);
    assert_eq!(good.bytes, 100_000 * (4 << 20));

    let bad = simulate(&setup(plan, 1), &fleet, &effect(r#"{"errors":"10%"}"#), 1);
    assert_eq!((bad.end, bad.stage), (End::Stopped, 1), "{}", bad.sentence);
    assert!(bad.touched <= 1_800, "two in a hundred: {}", bad.touched);
    // Whoever was moved goes back, as soon as it is online.
    assert_eq!(bad.never_back, 0);
    assert!(bad.back > 0 && bad.back <= bad.touched);
    assert!(bad.back_ms.is_some_and(|at| at >= bad.at_ms));
}

#[test]
fn a_device_that_falls_silent_is_not_told_to_go_back() {
    let fleet = small_fleet(600);
    let gone = effect(r#"{"silent":true,"after":"20m"}"#);
    let outcome = simulate(&setup(small_plan(), 2), &fleet, &gone, 2);
    assert_eq!(outcome.end, End::Stopped, "{}", outcome.sentence);
    assert!(
        outcome.never_back > 0 && outcome.harmed_hours > 0.0,
        "{outcome:?}"
    );
}

#[test]
fn a_shadow_comes_before_what_serves_and_harms_nobody() {
    let mut plan = small_plan();
    let shadow = serde_json::from_str(r#"{"to":"20%","soak":"30m","shadow":true}"#);
    plan.stages.insert(0, shadow.expect("a stage"));
    let gate = serde_json::from_str(r#"{"disagreement":{"limit":"30%"}}"#);
    plan.gates.push(gate.expect("a gate"));
    assert!(plan.problems().is_empty());
    let fleet = small_fleet(300);
    let outcome = simulate(&setup(plan.clone(), 1), &fleet, &Effect::default(), 1);
    assert!(outcome.stage > 1, "{outcome:?}");
    // All of it in the shadow: nobody is harmed by what nobody is served.
    plan.stages[0].soak = Span::minutes(20 * 24 * 60);
    plan.stages[0].cap = Span::minutes(30 * 24 * 60);
    let outcome = simulate(&setup(plan, 1), &fleet, &effect(r#"{"errors":"50%"}"#), 1);
    assert_eq!((outcome.harmed, outcome.stage), (0, 1), "{outcome:?}");
}

#[test]
fn a_rehearsal_counts_what_its_runs_came_to() {
    let mut fleet = small_fleet(150);
    fleet.horizon = Span::minutes(36 * 60);
    let rehearsal = rehearse(&small_plan(), &fleet, 4);
    assert_eq!((rehearsal.devices, rehearsal.runs), (150, 4));
    let Rehearsal {
        finished,
        false_stops,
        asked,
        ..
    } = &rehearsal;
    assert_eq!((finished.of, false_stops.of, asked.of), (4, 4, 4));
    assert!(
        false_stops.low <= 1e-9 && false_stops.high > 0.2,
        "{false_stops:?}"
    );
    assert_eq!(rehearsal.harms.len(), standard::harms(&fleet).len());
    let done: Vec<f64> = rehearsal.progress.iter().map(|at| at.done.median).collect();
    assert!(done.windows(2).all(|two| two[0] <= two[1]), "{done:?}");
    assert!(done[0] < 0.01 && done.last().is_some_and(|last| *last > 0.0));
}

#[test]
fn rules_stop_what_is_over_their_thresholds_and_nothing_else() {
    let fleet = small_fleet(400);
    let run =
        |rule, json: &str| rules::simulate(rule, &setup(small_plan(), 5), &fleet, &effect(json), 5);
    let analysis = rules::Rule::Analysis { margins: 5 };
    for rule in [analysis, rules::Rule::Groups] {
        assert!(run(rule, r#"{"refuses":true}"#).true_stop, "{rule:?}");
        let good = run(rule, r#"{"slower":0.5}"#);
        assert_ne!(good.end, End::Asking, "{rule:?}: {good:?}");
    }
    assert!(run(analysis, r#"{"errors":"40%"}"#).true_stop);
    let unseen = run(rules::Rule::Groups, r#"{"errors":"40%"}"#);
    assert!(
        !unseen.true_stop,
        "devices report no errors to it: {unseen:?}"
    );
}
