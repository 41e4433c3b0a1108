//! Programs of others that are asked before a stage passes.

use super::*;
use crate::event::Answer;

const PLAN: &str = r#"{"slot":"digit-reader","model":"digit-reader","version":2,"control":"20%",
    "stages":[{"to":"10%","soak":"10m","cap":"6h"},{"to":"100%","soak":"10m","cap":"6h"}],
    "gates":[{"errors":{"margin":"2%"}},{"webhook":{"url":"https://line.example/"}}]}"#;

#[test]
fn another_program_is_asked_until_it_says_pass_also_after_the_cap() {
    let mut world = World::of(PLAN, 100);
    world.arrive(|_| false);
    world.pass(1);
    world.windows(0, |_, _| 3);
    world.pass(11);
    let gate = GateIndex(1);
    assert_eq!(world.engine.asks(), [gate], "{}", world.engine.standing());
    let answered = |verdict| Event::Answered(gate, Answer(verdict), String::new());
    world.tell(vec![answered(Verdict::Inconclusive)]);
    world.pass(6 * 60);
    assert_eq!(world.deeds(), [Deed::Start, Deed::Ask]);
    assert_eq!(world.engine.asks(), [gate]);
    world.tell(vec![answered(Verdict::Pass)]);
    world.pass(1);
    assert_eq!(world.deeds(), [Deed::Start, Deed::Ask, Deed::Advance]);
    assert_eq!(world.engine.asks(), []);
    world.replays();
}
