//! What a rehearsal promises, and what the engine promises whatever the fleet.

use super::*;

fn setup(plan: Plan, seed: u64) -> Setup {
    Setup {
        plan,
        rollout: RolloutId(seed as u32 + 1),
        bytes: 4 << 20,
    }
}

#[test]
fn the_same_seed_gives_the_same_outcome() {
    let fleet = standard::fleet(200);
    let run = |seed| {
        simulate(
            &setup(standard::plan(), seed),
            &fleet,
            &Effect::default(),
            seed,
        )
    };
    let (one, again, other) = (run(1), run(1), run(2));
    assert_eq!(one, again);
    assert_ne!(one, other);
}
