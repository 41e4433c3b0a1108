//! A driver that is killed in every stage, before and after each thing that it does.

use std::collections::BTreeSet;

use tern_protocol::rest::Attribution;
use tern_retrain::{
    Outcome, Stage, Step, Verdict,
    fact::{Again, Say},
    policy::{Approval, Before, Mode},
};

use crate::world::{HOUR, Kill, World};

/// A round that goes through every stage there is, with a failure that passes by. Before each look the driver is killed
/// as `kill` says.
fn story(kill: Option<Kill>) -> (World, BTreeSet<Stage>) {
    let mut world = World::new(Mode::Propose);
    let approval = |before| Approval {
        before,
        people: 1,
        of: ["anna".parse().unwrap()].into(),
    };
    let policy = world.policy.as_mut().unwrap();
    policy.approvals = vec![approval(Before::Registration), approval(Before::Rollout)];
    let (mut seen, mut asked_again, mut failed) = (BTreeSet::new(), false, false);
    let finding = world.find(Attribution::Fleet, &[]);
    world.facts.findings[0].text = "the fleet is less sure than before".into();
    for _ in 0..400 {
        if let Some(kill) = kill {
            // Each time of a new world: of what the killed one did only what was stored is left.
            world.look(kill);
        }
        world.look_until_quiet();
        if !world.lessons.is_empty() {
            return (world, seen);
        }
        let stage = world.stage().unwrap();
        seen.insert(stage);
        match stage {
            Stage::Waiting => {
                let queued = world.facts.labels.queued;
                world.label(queued, 0);
            }
            Stage::Proposed | Stage::AskedRegistration | Stage::AskedRollout => {
                world.say("anna", Say::Agree);
            }
            Stage::Unknown => {
                let say = if asked_again { Say::Agree } else { Say::Again };
                asked_again = true;
                world.say("anna", say);
            }
            Stage::Training if !failed => {
                failed = true;
                world.fail(Again::MayHelp);
            }
            Stage::Comparing => world.succeed(Verdict::Unknown),
            Stage::Watching => world.facts.findings.retain(|one| one.id != finding),
            _ => world.succeed(Verdict::Better),
        }
        world.wait(HOUR);
    }
    panic!("it does not end: {:?}", world.known().open());
}

#[test]
fn a_driver_killed_in_every_stage_does_everything_once() {
    let (whole, seen) = story(None);
    assert_eq!(seen, Stage::ALL.into(), "it goes through every stage");
    assert_eq!(whole.outcomes(), [&Outcome::Recovered]);
    let once: BTreeSet<_> = whole.effects.iter().collect();
    assert_eq!(once.len(), whole.effects.len(), "each key once");
    let of = |step: Step| whole.effects.iter().filter(|key| key.step == step).count();
    assert_eq!(
        (of(Step::Build), of(Step::Train), of(Step::Compare)),
        (1, 2, 2)
    );
    assert_eq!(
        (of(Step::Register), of(Step::RollOut), of(Step::Propose)),
        (1, 1, 1)
    );
    for kill in [
        Kill::BeforeCommit,
        Kill::After(0),
        Kill::After(1),
        Kill::After(2),
    ] {
        let (killed, _) = story(Some(kill));
        assert_eq!(killed.effects, whole.effects, "{kill:?}");
        assert_eq!(killed.lessons, whole.lessons, "{kill:?}");
        assert_eq!(killed.stored, whole.stored, "{kill:?}");
    }
}
