//! Many rounds one after the other, and none at all.

use tern_protocol::rest::Attribution;
use tern_retrain::{Act, Loop, Outcome, Stage, Verdict, fact::Say, policy::Mode};
use tern_stats::chance::Chance;

use crate::world::{DAY, HOUR, Kill, World};

/// Labels, work and people come as they do, until the round is over. The driver is killed now and then.
fn one_round(world: &mut World, chance: &mut Chance, at: usize) {
    let rounds = world.lessons.len();
    let id = world.find(Attribution::Sites, &[at]);
    for _ in 0..3_000 {
        let kill = match chance.below(8) {
            0 => Kill::BeforeCommit,
            1 => Kill::After(0),
            2 => Kill::After(1),
            _ => Kill::Never,
        };
        world.look(kill);
        if world.lessons.len() > rounds {
            return;
        }
        if world.facts.labels.queued > 0 {
            let n = world.facts.labels.queued.min(60);
            world.label(n, at);
        }
        if world.stage() == Some(Stage::Proposed) && world.question().is_some() {
            world.say("anna", Say::Agree);
        }
        if chance.below(3) == 0 {
            world.succeed(Verdict::Better);
        }
        if world.stage() == Some(Stage::Watching) {
            world.facts.findings.retain(|one| one.id != id);
        }
        world.wait(HOUR);
    }
    panic!("the round does not end: {:?}", world.known().open());
}

#[test]
fn fifty_rounds_one_after_the_other_all_come_to_a_new_version() {
    for mode in [Mode::Propose, Mode::Automatic] {
        let (mut world, mut chance) = (World::new(mode), Chance::new(7));
        world.label(200, 0);
        for round in 1..=50_u32 {
            one_round(&mut world, &mut chance, (round % 9) as usize);
            let lesson = world.lessons.last().unwrap();
            assert_eq!(
                (lesson.round, &lesson.outcome),
                (round, &Outcome::Recovered),
                "{lesson:?}"
            );
            assert_eq!(world.facts.champion.unwrap().version.get(), round + 1);
            // It comes back without anything being reset by anybody.
            world.wait(chance.below(20) as i64 * DAY);
        }
        let datasets: std::collections::BTreeSet<_> =
            world.lessons.iter().map(|lesson| lesson.dataset).collect();
        assert_eq!(datasets.len(), 50, "each round has a dataset of its own");
        assert_eq!(world.facts.rollouts.len(), 50, "each is rolled out once");
        assert_eq!(world.known().lessons().count(), 50);
    }
}

#[test]
fn a_year_in_which_nothing_calls_for_a_round_brings_no_action() {
    let mut world = World::new(Mode::Automatic);
    world.label(900, 1);
    world.accuracy(0.97);
    // A fault of devices, what a version does and another mix of classes are no reasons to train.
    for attribution in [Attribution::Devices, Attribution::Version, Attribution::Mix] {
        world.find(attribution, &[]);
        world.find(attribution, &[1, 2]);
    }
    for _ in 0..365 * 24 {
        world.wait(HOUR);
        let stepped = world.look(Kill::Never);
        assert_eq!(stepped.actions, []);
        assert_eq!(stepped.ended, None);
        assert!(stepped.next.open().is_none());
    }
    assert!(world.effects.is_empty() && world.known().lessons().next().is_none());
    // Low accuracy that chance may explain is none either; once it does not, there is a round.
    world.accuracy(0.89);
    assert_eq!(world.look(Kill::Never).actions, []);
    world.accuracy(0.85);
    let stepped = world.look(Kill::Never);
    assert!(
        matches!(stepped.actions[0].act, Act::Propose(_)),
        "{:?}",
        stepped.actions
    );
    assert_ne!(stepped.next, Loop::default());
}
