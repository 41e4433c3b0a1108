//! What follows from what: one situation each.

use tern_protocol::rest::{Attribution, Span};
use tern_retrain::{
    Act, Loop, Outcome, Stage, Step, Verdict,
    fact::{Asked, Say},
    policy::{Approval, Before, Mode, OnUnknown, Recent, Trigger},
};

use crate::world::{DAY, HOUR, Kill, MINUTE, World, moved, name, site, until, version};

#[test]
fn a_proposal_says_what_moved_and_what_would_happen() {
    let mut world = moved(Mode::Propose);
    let stepped = world.look(Kill::Never);
    let [action] = &stepped.actions[..] else {
        panic!("{:?}", stepped.actions)
    };
    let Act::Propose(proposal) = &action.act else {
        panic!("{:?}", action.act)
    };
    assert_eq!(action.key.to_string(), "1/propose/1");
    assert_eq!(
        (proposal.sites.as_slice(), proposal.labels.lacking),
        (&[site(1)][..], 0)
    );
    assert_eq!(proposal.share_of_devices, Some(0.03));
    let text = proposal.sentences.join(" ");
    for part in [
        "Retrain digits? Version 1 serves",
        "1 sites are less sure than before.",
        "It is about 3 % of the devices.",
        "There are 400 labels, 400 of them new: enough.",
        "stopped at 1000 core-seconds",
        "rolled out by the plan `careful`",
        "Before the training, 1 of those who may decide has to agree.",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    // Nothing but the proposal happens until somebody agrees.
    world.wait(13 * DAY);
    world.look_until_quiet();
    assert_eq!(world.effects.len(), 1);
    // What came before is told the next time.
    until(&mut world, Stage::Watching);
    world.facts.findings.clear();
    world.wait(2 * DAY);
    world.look_until_quiet();
    world.wait(8 * DAY);
    world.label(60, 1);
    world.find(Attribution::Sites, &[1]);
    let stepped = world.look(Kill::Never);
    let Act::Propose(next) = &stepped.actions[0].act else {
        panic!("{:?}", stepped.actions)
    };
    assert_eq!(
        next.cost.map(|cost| (cost.core_seconds, cost.trainings)),
        Some((1_000, 1))
    );
    assert!(
        next.lessons[0].contains("Round 1 before: the new version serves"),
        "{:?}",
        next.lessons
    );
}

#[test]
fn what_a_person_declined_is_proposed_again_only_when_it_grows() {
    let mut world = moved(Mode::Propose);
    world.look_until_quiet();
    world.say("ben", Say::Decline);
    world.look_until_quiet();
    assert_eq!(world.outcomes(), [&Outcome::Declined(name("ben"))]);
    world.wait(60 * DAY);
    assert_eq!(world.look(Kill::Never).actions, []);
    world.facts.findings[0].sites.push(site(2));
    world.label(60, 2);
    assert!(matches!(
        world.look(Kill::Never).actions[0].act,
        Act::Propose(_)
    ));
}

#[test]
fn approvals_count_those_who_are_named_by_their_last_word() {
    let mut world = moved(Mode::Propose);
    let of = ["anna", "ben", "cem"].map(name).into();
    world.policy.as_mut().unwrap().approvals = vec![Approval {
        before: Before::Training,
        people: 3,
        of,
    }];
    world.look_until_quiet();
    for by in ["anna", "anna", "eve"] {
        world.say(by, Say::Agree);
    }
    world.say("eve", Say::Decline);
    // Said by mistake, and put right before anybody looked.
    world.say("cem", Say::Decline);
    world.wait(MINUTE);
    world.say("cem", Say::Agree);
    let stepped = world.look(Kill::Never);
    assert_eq!(stepped.waits, "1 more people have to agree to the proposal");
    world.say("ben", Say::Agree);
    world.look_until_quiet();
    assert_eq!(world.stage(), Some(Stage::Building));
    // Who agreed goes with the version.
    until(&mut world, Stage::Registering);
    let lineage = world.known().open().unwrap().agreed.clone();
    assert_eq!(
        lineage,
        [
            "anna to the training",
            "ben to the training",
            "cem to the training"
        ]
    );
}

#[test]
fn the_verdict_decides_and_unknown_takes_a_person() {
    for (verdict, recent, unknown, expected) in [
        (
            Verdict::Better,
            Recent::Better,
            OnUnknown::Ask,
            Some(Stage::Registering),
        ),
        (
            Verdict::NoWorse,
            Recent::NoWorse,
            OnUnknown::Ask,
            Some(Stage::Registering),
        ),
        (Verdict::NoWorse, Recent::Better, OnUnknown::Ask, None),
        (Verdict::Worse, Recent::NoWorse, OnUnknown::Ask, None),
        (
            Verdict::Unknown,
            Recent::Better,
            OnUnknown::Ask,
            Some(Stage::Unknown),
        ),
        (Verdict::Unknown, Recent::NoWorse, OnUnknown::Reject, None),
    ] {
        let mut world = moved(Mode::Automatic);
        let bounds = &mut world.policy.as_mut().unwrap().bounds;
        (bounds.recent, bounds.unknown) = (recent, unknown);
        until(&mut world, Stage::Comparing);
        world.succeed(verdict);
        let next = world.look(Kill::Never).next;
        assert_eq!(
            next.open().map(|round| round.stage),
            expected,
            "{verdict:?} {recent:?}"
        );
        if expected.is_none() {
            let lesson = &world.lessons[0];
            assert_eq!(lesson.outcome, Outcome::Rejected);
            assert!(lesson.comparison[0].contains("by 3.0 points") && lesson.challenger.is_some());
            // Without labels that are newer, the same would come of it: they are asked for first.
            world.wait(8 * DAY);
            world.look_until_quiet();
            assert_eq!(world.stage(), Some(Stage::Waiting));
            let queued = world.facts.labels.queued;
            assert_eq!(queued, 50);
            world.label(queued, 1);
            world.look_until_quiet();
            assert_eq!(world.stage(), Some(Stage::Building));
        }
        if expected == Some(Stage::Unknown) {
            assert_eq!(world.effects.last().unwrap().step, Step::AskUnknown);
            world.say("anna", Say::Decline);
            world.look_until_quiet();
            assert_eq!(world.outcomes(), [&Outcome::Declined(name("anna"))]);
            assert!(world.facts.versions.is_empty());
            // It is the challenger that was declined: the finding still calls for a round.
            world.wait(8 * DAY);
            world.look_until_quiet();
            assert_eq!(world.stage(), Some(Stage::Waiting));
        }
    }
}

#[test]
fn people_are_asked_for_labels_within_the_budget() {
    let mut world = World::new(Mode::Automatic);
    world.policy.as_mut().unwrap().minimum.labels = 1_000;
    world.find(Attribution::Sites, &[3]);
    for day in 1..=4 {
        world.look_until_quiet();
        assert_eq!(world.stage(), Some(Stage::Waiting));
        // 300 a day, whether they are labelled or not.
        assert_eq!(
            world.facts.labels.queued + world.facts.labels.usable,
            (300 * day).min(1_000)
        );
        if day == 2 {
            world.label(300, 3);
        }
        world.wait(DAY);
    }
    world.look_until_quiet();
    assert_eq!(world.facts.labels.queued, 700, "no more than lack");
    // What nobody labels in time ends the round.
    world.wait(30 * DAY);
    world.look_until_quiet();
    assert_eq!(world.outcomes(), [&Outcome::Expired(Stage::Waiting)]);
}

#[test]
fn what_holds_later_joins_the_round_that_is_open() {
    let mut world = moved(Mode::Propose);
    world.look_until_quiet();
    world.find(Attribution::Fleet, &[]);
    world.accuracy(0.7);
    world.wait(HOUR);
    world.look_until_quiet();
    let round = world.known().open().unwrap().clone();
    assert_eq!((round.number, round.evidence.len()), (1, 3));
    assert!(round.evidence[2].joined > round.evidence[0].joined);
    assert_eq!(world.opened.len(), 1);
}

#[test]
fn a_site_that_joins_late_is_not_asked_of_the_comparison() {
    let mut world = moved(Mode::Propose);
    world.look_until_quiet();
    world.find(Attribution::Sites, &[8]);
    until(&mut world, Stage::Comparing);
    world.facts.comparisons.clear();
    let stepped = world
        .known()
        .step(world.policy.as_ref(), &world.facts, world.now);
    let Act::Compare(order) = &stepped.actions[0].act else {
        panic!("{:?}", stepped.actions)
    };
    assert_eq!(order.sites, [site(1)]);
    assert_eq!(world.known().open().unwrap().evidence.len(), 2);
}

#[test]
fn devices_at_fault_are_left_out_of_the_dataset() {
    let mut world = moved(Mode::Automatic);
    world.find(Attribution::Devices, &[]);
    world.facts.findings[1].at_devices = vec!["cam-7".parse().unwrap()];
    world.look_until_quiet();
    world.stored = Loop::default().to_bytes();
    world.facts.datasets.clear();
    let stepped = world.look(Kill::BeforeCommit);
    let Act::Build(order) = &stepped.actions[0].act else {
        panic!("{:?}", stepped.actions)
    };
    assert_eq!(order.without, ["cam-7".parse().unwrap()]);
    assert_eq!((order.base, order.until), (version(1), world.now));
}

#[test]
fn time_and_new_labels_call_for_rounds_too() {
    let mut world = World::new(Mode::Automatic);
    let policy = world.policy.as_mut().unwrap();
    policy.triggers = vec![
        Trigger::Every(Span::minutes(90 * 24 * 60)),
        Trigger::NewLabels(500),
    ];
    assert_eq!(policy.problems(), []);
    world.label(400, 0);
    world.wait(90 * DAY - 1);
    assert_eq!(world.look(Kill::Never).actions, []);
    world.wait(1);
    until(&mut world, Stage::Watching);
    world.wait(DAY);
    world.look_until_quiet();
    assert_eq!(world.outcomes(), [&Outcome::Recovered]);
    // Since the last round, not since the first.
    world.wait(80 * DAY);
    world.label(499, 0);
    assert_eq!(world.look(Kill::Never).actions, []);
    world.label(1, 0);
    assert_eq!(world.look(Kill::Never).actions.len(), 1);
}

#[test]
fn a_person_who_asks_for_a_round_gets_one_and_no_other() {
    let mut world = World::new(Mode::Propose);
    world.label(400, 1);
    world.facts.asked = Some(Asked {
        round: 1,
        by: name("anna"),
        at: world.now,
        note: "the new lenses".into(),
    });
    let stepped = world.look(Kill::Never);
    let Act::Propose(proposal) = &stepped.actions[0].act else {
        panic!("{:?}", stepped.actions)
    };
    assert_eq!(proposal.evidence, ["anna asked for it: the new lenses"]);
    until(&mut world, Stage::Watching);
    world.wait(2 * DAY);
    world.look_until_quiet();
    assert_eq!(world.outcomes(), [&Outcome::Recovered]);
    // What is stored still says so, and calls for nothing more.
    world.wait(60 * DAY);
    world.label(400, 1);
    assert_eq!(world.look(Kill::Never).actions, []);
    // Within the cool-down nobody gets one, and what nobody asked for any more is over.
    world.facts.asked = Some(Asked {
        round: 2,
        by: name("anna"),
        at: world.now,
        note: String::new(),
    });
    world.look_until_quiet();
    assert_eq!(world.stage(), Some(Stage::Proposed));
    world.facts.asked = None;
    world.look_until_quiet();
    assert!(matches!(world.outcomes()[1], Outcome::Superseded(_)));
    world.facts.asked = Some(Asked {
        round: 3,
        by: name("anna"),
        at: world.now,
        note: String::new(),
    });
    let stepped = world.look(Kill::Never);
    assert!(stepped.waits.contains("cooling down"), "{}", stepped.waits);
    assert_eq!(stepped.actions, []);
}
