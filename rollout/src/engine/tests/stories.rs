//! What becomes of good versions and bad ones.

use super::*;

const USUAL: &str = r#"{"slot":"digit-reader","model":"digit-reader","version":2,"control":"20%",
    "stages":[{"to":"10%","soak":"10m","cap":"6h"},{"to":"50%","soak":"10m","cap":"6h"},{"to":"100%","soak":"10m","cap":"6h"}],
    "gates":[{"serve-failure":{"limit":"10%"}},{"errors":{"margin":"2%"}},{"silence":{"after":"5m","margin":"10%"}}]}"#;

#[test]
fn a_good_version_reaches_all_and_the_control_last() {
    let mut world = World::of(USUAL, 100);
    assert_eq!(world.deeds(), [Deed::Start]);
    assert_eq!(world.engine.counts().control, 20);
    assert_eq!(
        world.with(Place::Admitted).len(),
        8,
        "a tenth of the eighty that are not control"
    );
    let mut rung = 0;
    for _ in 0..200 {
        if world.engine.phase() == Phase::Complete {
            break;
        }
        world.arrive(|_| false);
        world.pass(1);
        world.windows(rung.min(8), |_, _| 3);
        rung += 1;
        if world.deeds().len() > 1 {
            rung = 0;
        }
        world.pass(6);
        world.answer(|_, _| 0);
        if world.engine.phase() != Phase::Complete && !world.deeds().contains(&Deed::Release) {
            let control = (0..100)
                .map(Index)
                .filter(|index| world.engine.arm(*index) == Some(Arm::Control));
            for index in control {
                assert_eq!(world.engine.wanted(index), Wanted::AsItIs);
            }
        }
    }
    let deeds = [
        Deed::Start,
        Deed::Advance,
        Deed::Advance,
        Deed::Release,
        Deed::Complete,
    ];
    assert_eq!(world.deeds(), deeds, "{:#?}", world.last());
    assert_eq!(world.engine.counts().confirmed, 100);
    world.replays();
}

#[test]
fn errors_stop_it_and_all_that_were_moved_go_back() {
    let mut world = World::of(USUAL, 200);
    for rung in 0..6 {
        world.arrive(|_| false);
        world.pass(1);
        world.windows(rung, |_, treated| if treated { 300 } else { 4 });
    }
    assert_eq!(world.last().what, Deed::Stop, "{:#?}", world.last());
    assert!(
        world
            .last()
            .sentence
            .contains("errors: fail: requests that failed 30 %"),
        "{}",
        world.last().sentence
    );
    let moved = world.with(Place::Confirmed);
    assert_eq!(moved.len(), 16, "in the first stage");
    for index in (0..200).map(Index) {
        let wanted = if moved.contains(&index) {
            Wanted::Before
        } else {
            Wanted::AsItIs
        };
        assert_eq!(world.engine.wanted(index), wanted);
    }
    // Nothing that comes later changes that.
    world.tell(vec![Event::Said(Order::Approve, "user anna".into())]);
    world.pass(10_000);
    assert_eq!(world.deeds(), [Deed::Start, Deed::Stop]);
    world.replays();
}

#[test]
fn what_is_bad_for_all_is_not_blamed_on_the_version() {
    let mut world = World::of(USUAL, 200);
    for rung in 0..8 {
        world.arrive(|_| false);
        world.pass(1);
        world.windows(rung, |index, _| 300 + (index.0 % 40) as u16);
    }
    assert!(!world.deeds().contains(&Deed::Stop), "{:#?}", world.last());
}

#[test]
fn one_platform_that_refuses_it_stops_it_in_the_first_stage() {
    let mut world = World::of(USUAL, 200);
    world.arrive(|index| index.0 % 2 == 0);
    world.pass(1);
    assert_eq!(world.last().what, Deed::Stop, "{:#?}", world.last());
    assert!(
        world.last().sentence.contains("serve-failure"),
        "{}",
        world.last().sentence
    );
    assert_eq!(world.last().devices.failed, 8);
    assert_eq!(world.last().devices.admitted, 16);
    world.replays();
}

#[test]
fn devices_that_fall_silent_stop_it() {
    let mut world = World::of(USUAL, 200);
    world.arrive(|_| false);
    let heard: Vec<Index> = world.engine.listened().map(|(index, _)| index).collect();
    assert!(!heard.is_empty());
    world.tell(heard.into_iter().map(Event::Heard).collect());
    for _ in 0..4 {
        world.pass(11);
        world.answer(|_, treated| if treated { 1000 } else { 0 });
    }
    assert_eq!(world.last().what, Deed::Stop, "{:#?}", world.last());
    assert!(
        world.last().sentence.contains("silence"),
        "{}",
        world.last().sentence
    );
    world.replays();
}

#[test]
fn without_evidence_it_asks_a_person_and_never_advances_by_itself() {
    let mut world = World::of(USUAL, 50);
    world.arrive(|_| false);
    for _ in 0..100 {
        world.pass(60);
    }
    assert_eq!(world.deeds(), [Deed::Start, Deed::Ask]);
    assert_eq!(world.engine.phase(), Phase::Asking(Asked::Inconclusive));
    assert!(
        world.last().sentence.contains("has not passed within 6h"),
        "{}",
        world.last().sentence
    );
    let before = world.engine.counts().admitted;
    world.tell(vec![Event::Said(Order::Approve, "user anna".into())]);
    assert_eq!(world.last().what, Deed::Approve);
    assert_eq!(world.last().by.as_deref(), Some("user anna"));
    assert!(
        world.last().sentence.contains("a person approved, while"),
        "{}",
        world.last().sentence
    );
    assert!(world.engine.counts().admitted > before);
    world.replays();
}

#[test]
fn a_lost_device_counts_as_failed_and_one_that_was_never_heard_of_does_not() {
    let mut world = World::of(
        r#"{"slot":"a","model":"a","version":2,"control":0,"deadline":"1h",
            "stages":[{"to":6,"soak":"1m","cap":"48h"}],"gates":[{"serve-failure":{"limit":"10%"}}]}"#,
        6,
    );
    let all = world.with(Place::Admitted);
    assert_eq!(all.len(), 6);
    world.tell(all[..3].iter().map(|index| Event::Heard(*index)).collect());
    world.pass(59);
    assert_eq!(world.engine.counts().lost, 0);
    world.pass(2);
    assert_eq!(world.engine.counts().lost, 3);
    assert_eq!(
        world.last().what,
        Deed::Stop,
        "three of three: {:#?}",
        world.last()
    );
    world.pass(24 * 60);
    assert_eq!(world.engine.counts().lost, 3, "the others are offline");
    world.replays();
}

#[test]
fn a_refusal_that_may_pass_is_tried_again_as_often_as_the_plan_says() {
    let mut world = World::of(
        r#"{"slot":"a","model":"a","version":2,"control":0,"retry":{"times":{"no-space":1},"after":"10m"},
            "stages":[{"to":"100%","soak":"1m"}],"gates":[{"serve-failure":{"limit":"50%"}}]}"#,
        2,
    );
    let index = world.with(Place::Admitted)[0];
    world.tell(vec![
        Event::Heard(index),
        Event::Refused(index, Reason(Refusal::NoSpace)),
    ]);
    assert_eq!(world.engine.place(index), Some(Place::Waiting));
    assert_eq!(world.engine.wanted(index), Wanted::Before);
    assert_eq!(world.engine.counts().failed, 0);
    world.pass(11);
    assert_eq!(world.engine.place(index), Some(Place::Admitted));
    assert_eq!(world.engine.wanted(index), Wanted::Version);
    world.tell(vec![Event::Refused(index, Reason(Refusal::NoSpace))]);
    assert_eq!(
        world.engine.place(index),
        Some(Place::Failed(Refusal::NoSpace))
    );
    assert_eq!(world.engine.counts().failed, 1);
    world.replays();
}

#[test]
fn pace_and_calendar_are_kept_and_late_devices_join() {
    let mut world = World::of(
        r#"{"slot":"a","model":"a","version":2,"control":0,"pace":{"per-minute":2},
            "calendar":{"open":[{"from":"00:00","to":"01:00"}]},
            "stages":[{"to":"100%","soak":"1m"}],"gates":[]}"#,
        20,
    );
    assert_eq!(world.engine.counts().admitted, 1);
    world.pass(1);
    assert_eq!(world.engine.counts().admitted, 3);
    world.now = 2 * 60 * MINUTE;
    for _ in 0..10 {
        world.pass(1);
    }
    assert_eq!(world.engine.counts().admitted, 3, "it is closed");
    world.now = 24 * 60 * MINUTE;
    world.tell(vec![joined(100, "hill", "linux arm")]);
    for _ in 0..20 {
        world.pass(1);
        world.arrive(|_| false);
    }
    assert_eq!(world.engine.counts().admitted, 21);
    assert_eq!(
        world.engine.phase(),
        Phase::Complete,
        "{:#?}",
        world.decisions
    );
    world.replays();
}

#[test]
fn approval_pause_and_abort_are_a_persons() {
    let mut world = World::of(
        r#"{"slot":"a","model":"a","version":2,"control":0,
            "stages":[{"to":"10%","soak":"1m","approval":true},{"to":"100%","soak":"1m"}],
            "gates":[{"serve-failure":{"limit":"50%"}}]}"#,
        20,
    );
    let by = || "user anna".to_owned();
    world.arrive(|_| false);
    world.pass(2);
    assert_eq!(world.engine.phase(), Phase::Asking(Asked::Approval));
    world.tell(vec![Event::Said(Order::Pause, by())]);
    world.tell(vec![Event::Said(Order::Approve, by())]);
    assert_eq!(world.engine.stage(), 1);
    assert_eq!(
        world.with(Place::Pending).len(),
        18,
        "paused: nobody is admitted"
    );
    world.tell(vec![Event::Said(Order::Resume, by())]);
    assert_eq!(world.with(Place::Admitted).len(), 18);
    world.arrive(|index| index.0 == 3);
    world.tell(vec![Event::Said(Order::AbortBack, by())]);
    for index in (0..20).map(Index) {
        assert_eq!(world.engine.wanted(index), Wanted::Before);
    }
    assert_eq!(
        world.deeds(),
        [
            Deed::Start,
            Deed::Ask,
            Deed::Pause,
            Deed::Approve,
            Deed::Resume,
            Deed::Abort
        ]
    );
    world.replays();
}

#[test]
fn a_shadow_is_judged_before_anybody_serves_the_version() {
    let json = |limit: &str| {
        format!(
            r#"{{"slot":"a","model":"a","version":2,"control":"20%",
            "stages":[{{"to":"50%","soak":"1m","shadow":true}},{{"to":"100%","soak":"1m"}}],
            "gates":[{{"serve-failure":{{"limit":"20%"}}}},{{"disagreement":{{"limit":"{limit}"}}}}]}}"#
        )
    };
    for (limit, expected) in [("10%", Deed::Stop), ("60%", Deed::Advance)] {
        let mut world = World::of(&json(limit), 60);
        let shadows = world.with(Place::Admitted);
        assert_eq!(shadows.len(), 24);
        assert!(
            shadows
                .iter()
                .all(|index| world.engine.wanted(*index) == Wanted::Shadow)
        );
        for rung in 0..3 {
            world.arrive(|_| false);
            world.pass(1);
            world.windows(rung, |_, _| 400);
            if world.deeds().len() > 1 {
                break;
            }
        }
        assert_eq!(world.last().what, expected, "{:#?}", world.last());
        if expected == Deed::Advance {
            assert_eq!(world.with(Place::Admitted).len(), 48);
            let all = (0..60).map(Index);
            assert_eq!(
                all.filter(|index| world.engine.wanted(*index) == Wanted::Version)
                    .count(),
                48
            );
        }
        world.replays();
    }
}

#[test]
fn what_a_device_always_did_is_not_blamed_on_the_version() {
    // By chance all that are moved first are those that always failed one request in seven.
    let level = |_: Index, treated: bool| if treated { 150 } else { 4 };
    let run = |usual: bool| {
        let mut world = World::of(USUAL, 200);
        world.arrive(|_| false);
        world.pass(1);
        if usual {
            let all = (0..200).map(Index);
            let watched = all.filter(|index| world.engine.watched(*index).is_some());
            let told = watched.map(|index| {
                let treated = world.engine.place(index).is_some_and(Place::is_admitted);
                Event::Usual(index, GateIndex(1), level(index, treated))
            });
            let told = told.collect();
            world.tell(told);
        }
        for rung in 0..8 {
            world.windows(rung, level);
        }
        world.pass(30);
        world.answer(|_, _| 0);
        world.pass(1);
        world.replays();
        world
    };
    let known = run(true);
    assert_eq!(known.deeds()[1], Deed::Advance, "{:#?}", known.last());
    let said = &known.decisions[1].gates[1].sentence;
    assert!(
        said.contains("beside what is usual for each 0.0 points more"),
        "{said}"
    );
    let unknown = run(false);
    assert!(
        !unknown.deeds().contains(&Deed::Advance),
        "{:#?}",
        unknown.last()
    );
}

#[test]
fn what_is_usual_cannot_be_chosen_once_something_is_known() {
    let mut world = World::of(USUAL, 50);
    world.arrive(|_| false);
    let index = world.with(Place::Confirmed)[0];
    let usual = |gate, level| Event::Usual(index, GateIndex(gate), level);
    world.tell(vec![usual(1, 10), Event::Rung(index, GateIndex(1), 0, 40)]);
    let before = world.engine.clone();
    world.tell(vec![usual(1, 40), usual(200, 40)]);
    assert_eq!(before, world.engine);
    world.tell(vec![Event::Usual(Index(7_000), GateIndex(1), 1)]);
    assert_eq!(before, world.engine);
}
