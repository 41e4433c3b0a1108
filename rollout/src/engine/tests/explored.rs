//! All that can happen to a small fleet: every state that is reached is looked at.

use std::collections::HashSet;

use super::*;

const PLAN: &str = r#"{"slot":"a","model":"a","version":2,"control":1,"false-stops":"30%","deadline":"10m","retry":{"times":{},"after":"1m"},
    "stages":[{"to":1,"soak":"1m","cap":"20m"},{"to":"100%","soak":"1m","cap":"20m"}],
    "gates":[{"serve-failure":{"limit":"5%"}},{"errors":{"margin":"50%"}}]}"#;

const DEVICES: usize = 4;

/// How many things happen in a row.
const DEPTH: usize = 7;

fn choices(world: &World) -> Vec<Option<Event>> {
    let mut choices = vec![None];
    for index in (0..DEVICES as u32).map(Index) {
        match world.engine.place(index) {
            Some(Place::Admitted) => {
                choices.push(Some(Event::Heard(index)));
                choices.push(Some(Event::Confirmed(index)));
            }
            Some(Place::Heard | Place::Serving) => {
                choices.push(Some(Event::Confirmed(index)));
                choices.push(Some(Event::Refused(index, Reason(Refusal::NotLoadable))));
            }
            Some(Place::Confirmed) => {
                choices.push(Some(Event::Refused(index, Reason(Refusal::FailedServing))));
                choices.push(Some(Event::Rung(index, GateIndex(1), 0, 0)));
                choices.push(Some(Event::Rung(index, GateIndex(1), 0, 1000)));
            }
            _ if world.engine.watched(index).is_some() => {
                choices.push(Some(Event::Rung(index, GateIndex(1), 0, 0)));
            }
            _ => {}
        }
    }
    choices.push(Some(Event::Said(Order::AbortBack, "user anna".into())));
    choices
}

#[test]
fn no_state_of_a_small_fleet_breaks_a_promise() {
    let mut seen = HashSet::new();
    let mut level = vec![World::of(PLAN, DEVICES)];
    let (mut states, mut advanced, mut stopped) = (0_u64, 0_u64, 0_u64);
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for world in level {
            for choice in choices(&world) {
                let mut world = World {
                    engine: world.engine.clone(),
                    batches: Vec::new(),
                    decisions: Vec::new(),
                    now: world.now + MINUTE,
                };
                let before = (world.engine.stage(), world.engine.phase());
                world.tell(choice.into_iter().collect());
                check(&world, before);
                states += 1;
                advanced += u64::from(world.engine.stage() > before.0);
                stopped += u64::from(world.deeds().contains(&Deed::Stop));
                if seen.insert(format!("{:?}", world.engine)) {
                    next.push(world);
                }
            }
        }
        level = next;
    }
    assert!(
        states > 10_000 && advanced > 0 && stopped > 0,
        "{states} {advanced} {stopped}"
    );
}

fn check(world: &World, (stage, phase): (usize, Phase)) {
    let engine = &world.engine;
    if engine.stage() > stage {
        let decision = world.last();
        assert_eq!(decision.what, Deed::Advance);
        assert!(
            decision
                .gates
                .iter()
                .all(|gate| gate.verdict == Verdict::Pass),
            "{decision:#?}"
        );
    }
    // What is over stays over.
    if let Phase::Ended { .. } = phase {
        assert_eq!(engine.phase(), phase);
    }
    for index in (0..DEVICES as u32).map(Index) {
        let place = engine.place(index).expect("it joined");
        let expected = match engine.phase() {
            Phase::Ended { back: true } if place.is_admitted() => Wanted::Before,
            Phase::Ended { .. } => Wanted::AsItIs,
            _ if place.is_admitted() => Wanted::Version,
            _ => Wanted::AsItIs,
        };
        assert_eq!(engine.wanted(index), expected);
        let released = matches!(
            engine.phase(),
            Phase::Releasing | Phase::Complete | Phase::Ended { .. }
        );
        if engine.arm(index) == Some(Arm::Control) && !released {
            assert!(!place.is_admitted());
        }
    }
}
