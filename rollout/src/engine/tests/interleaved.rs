//! Order, repetition and chance.

use proptest::prelude::*;

use super::*;

const PLAN: &str = r#"{"slot":"a","model":"a","version":2,"control":"25%","deadline":"30m",
    "stages":[{"to":"25%","soak":"5m","cap":"2h"},{"to":"100%","soak":"5m","cap":"2h"}],
    "gates":[{"serve-failure":{"limit":"20%"}},{"errors":{"margin":"5%","limit":"50%"}},{"silence":{"after":"5m","margin":"20%"}}]}"#;

const DEVICES: u32 = 16;

/// One thing that may happen.
#[derive(Debug, Clone)]
enum Happens {
    Event(Event),
    Minutes(i64),
}

fn happens() -> impl Strategy<Value = Happens> {
    let device = || (0..DEVICES).prop_map(Index);
    let reason = prop_oneof![
        Just(Reason(Refusal::GoldenMismatch)),
        Just(Reason(Refusal::NoSpace))
    ];
    let event = prop_oneof![
        4 => device().prop_map(Event::Heard),
        3 => device().prop_map(Event::Serving),
        4 => device().prop_map(Event::Confirmed),
        1 => (device(), reason).prop_map(|(device, reason)| Event::Refused(device, reason)),
        6 => (device(), 0..3_u8, 0..4_u8, 0..=1000_u16)
            .prop_map(|(device, gate, rung, level)| Event::Rung(device, GateIndex(gate), rung, level / 8)),
        3 => (device(), 1..9_u64).prop_map(|(device, windows)| Event::Counted(device, windows, windows)),
        1 => device().prop_map(|device| Event::Left(device, crate::event::Why::Unselected)),
        1 => (0..DEVICES as usize).prop_map(|number| joined(number, "harbour", "linux arm")),
    ];
    prop_oneof![6 => event.prop_map(Happens::Event), 1 => (1..15_i64).prop_map(Happens::Minutes)]
}

/// What must hold at any time.
fn holds(engine: &Engine) {
    let counts = engine.counts();
    let mut seen = DecidedOn::default();
    for index in (0..engine.len() as u32).map(Index) {
        if !engine.is_in(index) {
            continue;
        }
        seen.selected += 1;
        let place = engine.place(index).expect("it joined");
        if engine.arm(index) == Some(Arm::Control) && !place.is_admitted() {
            seen.control += 1;
        }
        seen.admitted += u64::from(place.is_admitted());
        seen.confirmed += u64::from(place == Place::Confirmed);
        seen.failed += u64::from(matches!(place, Place::Failed(_)));
        seen.lost += u64::from(place == Place::Lost);
        if engine.arm(index) == Some(Arm::Control)
            && !matches!(
                engine.phase(),
                Phase::Releasing | Phase::Complete | Phase::Ended { .. }
            )
        {
            assert_eq!(
                engine.wanted(index),
                Wanted::AsItIs,
                "control is left alone"
            );
        }
    }
    assert_eq!(seen, counts, "each device counts once");
    assert!(counts.confirmed + counts.failed + counts.lost <= counts.admitted);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_happens_counts_hold_decisions_replay_and_an_abort_converges(happens in prop::collection::vec(happens(), 0..120)) {
        let mut world = World::of(PLAN, DEVICES as usize);
        for one in happens {
            let before = (world.engine.stage(), world.decisions.len());
            match one {
                Happens::Event(event) => world.tell(vec![event]),
                Happens::Minutes(minutes) => world.pass(minutes),
            }
            holds(&world.engine);
            // No way from fail or unknown to the next stage.
            if world.engine.stage() > before.0 {
                let advanced = world.decisions[before.1..].iter().find(|one| one.what == Deed::Advance);
                let advanced = advanced.expect("it says that it advanced");
                prop_assert!(advanced.gates.iter().all(|gate| gate.verdict == Verdict::Pass), "{advanced:#?}");
            }
        }
        world.replays();
        world.tell(vec![Event::Said(Order::AbortBack, "user anna".into())]);
        for index in (0..world.engine.len() as u32).map(Index) {
            let wanted = world.engine.wanted(index);
            let moved = world.engine.is_in(index) && world.engine.place(index).is_some_and(Place::is_admitted);
            if matches!(world.engine.phase(), Phase::Ended { back: true }) {
                prop_assert_eq!(wanted, if moved { Wanted::Before } else { Wanted::AsItIs });
            }
        }
    }

    /// What different devices say may come in any order, and more than once.
    #[test]
    fn the_order_in_which_devices_speak_never_matters(
        levels in prop::collection::vec((0..=200_u16, 0..=200_u16), DEVICES as usize),
        shuffle in prop::collection::vec(any::<u64>(), 4 * DEVICES as usize),
    ) {
        let run = |order: bool| {
            let mut world = World::of(PLAN, DEVICES as usize);
            world.arrive(|_| false);
            world.now += MINUTE;
            let mut events = Vec::new();
            for index in (0..DEVICES).map(Index) {
                let (first, second) = levels[index.0 as usize];
                events.push((index, Event::Rung(index, GateIndex(1), 0, first)));
                events.push((index, Event::Rung(index, GateIndex(1), 1, second)));
                events.push((index, Event::Counted(index, 2, 2)));
                events.push((index, Event::Counted(index, 2, 2)));
            }
            if order {
                // Each device's own order stays.
                let mut keyed: Vec<_> = events.into_iter().zip(&shuffle).collect();
                keyed.sort_by_key(|(_, key)| **key);
                let order: Vec<Index> = keyed.iter().map(|((index, _), _)| *index).collect();
                keyed.sort_by_key(|((index, event), _)| (index.0, matches!(event, Event::Counted(..)), matches!(event, Event::Rung(_, _, 1, _))));
                let mut of: BTreeMap<u32, VecDeque<Event>> = BTreeMap::new();
                for ((index, event), _) in keyed {
                    of.entry(index.0).or_default().push_back(event);
                }
                events = order.into_iter().filter_map(|index| Some((index, of.get_mut(&index.0)?.pop_front()?))).collect();
            }
            world.tell(events.into_iter().map(|(_, event)| event).collect());
            world
        };
        let (one, other) = (run(false), run(true));
        prop_assert_eq!(one.decisions, other.decisions);
        prop_assert_eq!(one.engine, other.engine);
    }
}
