//! How rounds end.

use std::collections::BTreeMap;

use tern_protocol::rest::FindingKind;
use tern_retrain::{
    Loop, Outcome, Stage, Step, Verdict, Work,
    action::Key,
    fact::{Again, Champion, Dataset, Figure, Rows, Say, Word},
    policy::{Approval, Before, Mode},
};

use crate::world::{DAY, HOUR, Kill, MINUTE, World, moved, name, until, version};

#[test]
fn a_proposal_that_nobody_answers_expires_and_a_cause_that_ends_ends_it() {
    let mut world = moved(Mode::Propose);
    world.look_until_quiet();
    world.wait(14 * DAY);
    world.look_until_quiet();
    assert_eq!(world.outcomes(), [&Outcome::Expired(Stage::Proposed)]);
    world.wait(7 * DAY - 1);
    assert_eq!(
        world.look(Kill::Never).waits,
        "cooling down: 0 more minutes"
    );
    world.wait(1);
    world.look_until_quiet();
    assert_eq!(world.stage(), Some(Stage::Proposed));
    // A word to the proposal before is none to this one.
    let old = Key {
        round: 1,
        step: Step::Propose,
        attempt: 1,
    };
    world.facts.words.push(Word {
        key: old,
        by: name("anna"),
        at: world.now,
        say: Say::Agree,
    });
    world.look_until_quiet();
    assert_eq!(world.stage(), Some(Stage::Proposed));
    world.facts.findings.clear();
    world.look_until_quiet();
    assert!(matches!(world.outcomes()[1], Outcome::Superseded(why) if why.contains("over")));
}

#[test]
fn another_version_that_serves_ends_the_round_and_stops_its_work() {
    let mut world = moved(Mode::Automatic);
    until(&mut world, Stage::Training);
    world.facts.champion = Some(Champion {
        version: version(9),
        since: world.now,
    });
    let stepped = world.look(Kill::BeforeCommit);
    assert!(
        matches!(&stepped.ended.unwrap().outcome, Outcome::Superseded(why) if why.contains("version 9 serves now"))
    );
    world.look_until_quiet();
    assert!(
        world
            .facts
            .trainings
            .values()
            .all(|one| *one == Work::Stopped)
    );
}

#[test]
fn a_person_ends_it_in_any_stage_and_nothing_goes_on_running() {
    for stage in Stage::ALL {
        let mut world = moved(Mode::Propose);
        let anyone = |before| Approval {
            before,
            people: 1,
            of: std::collections::BTreeSet::new(),
        };
        world.policy.as_mut().unwrap().approvals =
            vec![anyone(Before::Registration), anyone(Before::Rollout)];
        match stage {
            Stage::Waiting => {
                world.facts.labels.by_site.clear();
                world.look_until_quiet();
            }
            Stage::Unknown => {
                until(&mut world, Stage::Comparing);
                world.succeed(Verdict::Unknown);
                world.look_until_quiet();
            }
            stage => until(&mut world, stage),
        }
        assert_eq!(world.stage(), Some(stage));
        let key = Key {
            round: 1,
            step: Step::Propose,
            attempt: 1,
        };
        world.facts.words.push(Word {
            key,
            by: name("ben"),
            at: world.now,
            say: Say::Cancel,
        });
        world.look_until_quiet();
        assert_eq!(
            world.outcomes(),
            [&Outcome::Cancelled(name("ben"))],
            "{stage:?}"
        );
        assert!(world.facts.trainings.values().all(|one| !one.is_running()));
        assert!(world.facts.rollouts.values().all(|one| !one.is_running()));
        assert_eq!(world.look(Kill::Never).actions, []);
    }
}

#[test]
fn a_policy_that_is_taken_away_ends_the_round() {
    let mut world = moved(Mode::Automatic);
    until(&mut world, Stage::Building);
    world.policy = None;
    world.look_until_quiet();
    assert!(matches!(world.outcomes()[0], Outcome::Superseded(why) if why.contains("policy")));
    assert!(world.facts.datasets.values().all(|one| !one.is_running()));
}

#[test]
fn a_dataset_of_nothing_or_of_one_class_is_refused_with_a_reason() {
    for (classes, reason) in [(vec![], "empty"), (vec![("3", 9)], "of class 3")] {
        let mut world = moved(Mode::Automatic);
        until(&mut world, Stage::Building);
        let rows: BTreeMap<String, u64> = classes
            .into_iter()
            .map(|(name, n)| (name.to_string(), n))
            .collect();
        let made = Dataset {
            id: 5,
            rows: Rows::Classes(rows),
            kept_out: 9,
        };
        world
            .facts
            .datasets
            .values_mut()
            .for_each(|one| *one = Work::Done(made.clone()));
        world.look_until_quiet();
        let Outcome::Failed(Stage::Building, why) = world.outcomes()[0] else {
            panic!("{:?}", world.lessons)
        };
        assert!(why.contains(reason), "{why}");
        assert!(world.facts.trainings.is_empty());
    }
}

#[test]
fn what_fails_for_a_passing_reason_is_tried_again_and_not_for_ever() {
    let mut world = moved(Mode::Automatic);
    until(&mut world, Stage::Training);
    for attempt in 1..=3 {
        world.look_until_quiet();
        assert!(world.facts.trainings.len() <= attempt);
        world.fail(Again::MayHelp);
        world.look_until_quiet();
        // Not at once.
        assert_eq!(world.facts.trainings.len(), attempt);
        world.wait(10 * MINUTE);
        // 2,500 core-seconds a day are two trainings.
        if attempt == 2 {
            assert!(
                world
                    .look(Kill::Never)
                    .waits
                    .contains("the budget leaves 500 for now")
            );
            world.wait(DAY);
        }
    }
    world.look_until_quiet();
    assert_eq!(
        world.outcomes(),
        [&Outcome::Failed(Stage::Training, "the disk is full".into())]
    );
    assert_eq!(world.facts.trainings.len(), 3);
    let mut world = moved(Mode::Automatic);
    until(&mut world, Stage::Training);
    world.fail(Again::IsUseless);
    world.look_until_quiet();
    assert_eq!(world.lessons.len(), 1);
}

#[test]
fn what_takes_too_long_is_stopped() {
    let mut world = moved(Mode::Automatic);
    until(&mut world, Stage::Training);
    world.wait(2 * DAY);
    world.look_until_quiet();
    assert!(
        matches!(world.outcomes()[0], Outcome::Failed(Stage::Training, why) if why.contains("longer than 2d"))
    );
    assert!(
        world
            .facts
            .trainings
            .values()
            .all(|one| *one == Work::Stopped)
    );
}

#[test]
fn a_rollout_that_a_gate_stopped_ends_the_round() {
    let mut world = moved(Mode::Automatic);
    until(&mut world, Stage::RollingOut);
    world.fail(Again::IsUseless);
    world.look_until_quiet();
    assert_eq!(
        world.outcomes(),
        [&Outcome::RolloutStopped("the disk is full".into())]
    );
    assert!(world.lessons[0].version.is_some());
}

#[test]
fn inputs_that_stay_where_they_are_are_answered_by_accuracy() {
    for (after, expected) in [(0.93, Outcome::Recovered), (0.6, Outcome::NotRecovered)] {
        let mut world = moved(Mode::Automatic);
        world.policy.as_mut().unwrap().triggers.truncate(1);
        world.facts.findings[0].kind = FindingKind::Input;
        world.accuracy(0.71);
        until(&mut world, Stage::Watching);
        world.wait(DAY);
        world.look_until_quiet();
        assert_eq!(
            world.stage(),
            Some(Stage::Watching),
            "nothing is known of the new version"
        );
        let version = world.facts.champion.unwrap().version;
        world.facts.accuracy = Some(Figure {
            version,
            value: after,
            low: after - 0.05,
            high: after + 0.05,
            n: 90,
        });
        world.look_until_quiet();
        world.wait(14 * DAY);
        world.look_until_quiet();
        assert_eq!(world.outcomes(), [&expected]);
        // An answered finding that stays open calls for no other round; one that was not answered does.
        world.wait(30 * DAY);
        world.label(60, 1);
        world.look_until_quiet();
        assert_eq!(
            world.known().open().is_some(),
            expected == Outcome::NotRecovered
        );
    }
}

#[test]
fn what_is_stored_by_a_newer_program_or_broken_is_refused() {
    let bytes = Loop::default().to_bytes();
    assert!(Loop::restore(&bytes[..bytes.len() - 1]).is_err());
    assert!(Loop::restore(&[]).is_err());
    let mut newer = bytes;
    // A map of few keys, the first of which is the form.
    let at = newer.iter().position(|byte| *byte == 1).unwrap();
    newer[at] = 2;
    let error = Loop::restore(&newer).unwrap_err().to_string();
    assert!(error.contains("form 2"), "{error}");
}

#[test]
fn a_clock_that_was_far_ahead_does_not_stop_everything() {
    let mut world = moved(Mode::Automatic);
    until(&mut world, Stage::Training);
    world.wait(20 * 365 * DAY);
    world.look_until_quiet();
    assert_eq!(world.lessons.len(), 1, "it took longer than it may");
    world.wait(-20 * 365 * DAY);
    world.look_until_quiet();
    // Cooling down begins anew, and ends.
    world.wait(7 * DAY - 1);
    world.look_until_quiet();
    assert_eq!(world.opened.len(), 1);
    world.wait(1);
    world.label(60, 1);
    until(&mut world, Stage::Training);
    // Set back by an hour it stands still.
    world.wait(-HOUR);
    world.look_until_quiet();
    assert_eq!(world.stage(), Some(Stage::Training));
}

#[test]
fn accuracy_has_recovered_when_labels_enough_say_so() {
    for (value, n, expected) in [
        (0.93, 90, Outcome::Recovered),
        (0.93, 9, Outcome::NotRecovered),
        (0.88, 90, Outcome::NotRecovered),
    ] {
        let mut world = World::new(Mode::Automatic);
        world.label(400, 1);
        world.accuracy(0.8);
        until(&mut world, Stage::Watching);
        let version = world.facts.champion.unwrap().version;
        let (low, high) = (value - 0.05, value + 0.05);
        world.facts.accuracy = Some(Figure {
            version,
            value,
            low,
            high,
            n,
        });
        world.wait(DAY);
        world.look_until_quiet();
        world.wait(14 * DAY);
        world.look_until_quiet();
        assert_eq!(world.outcomes(), [&expected], "{value} of {n}");
    }
}
