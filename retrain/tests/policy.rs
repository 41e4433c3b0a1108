//! Policies as people write them.
#![expect(clippy::unwrap_used, reason = "the panic of a test is its report")]

use tern_protocol::rest::{Attribution, FindingKind, Share, Span};
use tern_retrain::{
    Policy,
    policy::{Approval, Before, FindingTrigger, Mode, Trigger},
};

const DOCUMENTATION: &str = include_str!("../../docs/retraining.md");

fn example() -> &'static str {
    let (_, rest) = DOCUMENTATION.split_once("## A policy\n").unwrap();
    let (_, rest) = rest.split_once("```yaml\n").unwrap();
    rest.split_once("```").unwrap().0
}

fn read(text: &str) -> Result<Policy, String> {
    serde_saphyr::from_str(text).map_err(|err| err.to_string())
}

#[test]
fn the_example_of_the_documentation_is_a_policy() {
    let policy = read(example()).unwrap();
    assert_eq!(policy.problems(), []);
    assert_eq!((policy.mode, policy.triggers.len()), (Mode::Propose, 5));
    assert_eq!(
        policy.limits.dataset,
        Span::minutes(24 * 60),
        "what is not written is as usual"
    );
    let json = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), policy);
}

#[test]
fn the_least_that_has_to_be_written() {
    let policy =
        read("model: digits\ntriggers:\n  - finding: {}\ntraining: usual\nrollout: careful\n")
            .unwrap();
    assert_eq!(policy.problems(), []);
    assert_eq!(
        policy.triggers,
        [Trigger::Finding(FindingTrigger::default())]
    );
    assert_eq!(
        policy.mode,
        Mode::Propose,
        "a person decides unless somebody says otherwise"
    );
    // A proposal asks one person, whoever may decide.
    assert_eq!(policy.approvals_before(Before::Training).len(), 1);
    let automatic = Policy {
        mode: Mode::Automatic,
        ..policy
    };
    assert_eq!(automatic.approvals_before(Before::Training), []);
}

#[test]
fn what_is_not_known_is_refused() {
    for text in [
        "model: digits\ntriggers: []\ntraining: usual\nrollout: careful\ncooldown: 7d\n",
        "model: digits\ntriggers:\n  - drift: {}\ntraining: usual\nrollout: careful\n",
        "model: digits\ntriggers:\n  - finding: {kind: [input]}\ntraining: usual\nrollout: careful\n",
        "model: digits\ntriggers:\n  - accuracy-below: 0.9\ntraining: usual\nrollout: careful\n",
        "model: ../digits\ntriggers: []\ntraining: usual\nrollout: careful\n",
        "model: digits\ntriggers: []\ntraining: usual\nrollout: careful\nbudget: {training: -1}\n",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

/// Makes a policy wrong.
type Spoil = fn(&mut Policy);

/// Every problem by where it stands.
#[test]
fn problems_say_where_they_are() {
    let cases: [(&str, Spoil); 24] = [
        ("triggers", |it| it.triggers.clear()),
        ("triggers[0].finding.kinds", |it| {
            it.triggers[0] = finding([], [Attribution::Fleet]);
        }),
        ("triggers[0].finding.kinds", |it| {
            it.triggers[0] = finding([FindingKind::Quality], [Attribution::Fleet]);
        }),
        ("triggers[0].finding.attributions", |it| {
            it.triggers[0] = finding([FindingKind::Input], []);
        }),
        ("triggers[0].finding.attributions", |it| {
            it.triggers[0] = finding([FindingKind::Input], [Attribution::Devices]);
        }),
        ("triggers[0].finding.attributions", |it| {
            it.triggers[0] = finding([FindingKind::Input], [Attribution::Version]);
        }),
        ("triggers[0].accuracy-below", |it| {
            it.triggers[0] = Trigger::AccuracyBelow(Share::percent(0));
        }),
        ("triggers[0].estimate-below", |it| {
            it.triggers[0] = Trigger::EstimateBelow(Share::percent(100));
        }),
        ("triggers[0].error-above", |it| {
            it.triggers[0] = Trigger::ErrorAbove(f64::NAN);
        }),
        ("triggers[0].every", |it| {
            it.triggers[0] = Trigger::Every(Span::minutes(60));
        }),
        ("triggers[0].new-labels", |it| {
            it.triggers[0] = Trigger::NewLabels(10);
        }),
        ("minimum.labels", |it| it.minimum.labels = 1),
        ("keep-out", |it| it.keep_out = Share::percent(2)),
        ("budget.training", |it| it.budget.training = 0),
        ("budget.per-day", |it| it.budget.per_day = Some(5)),
        ("budget.labels-per-month", |it| {
            it.budget.labels_per_month = Some(0);
        }),
        ("bounds.held-out", |it| {
            it.bounds.held_out = Share::percent(0);
        }),
        ("bounds.samples", |it| it.bounds.samples = 3),
        ("bounds.source", |it| it.bounds.source = Share::percent(0)),
        ("rollout", |it| it.rollout = " ".into()),
        ("approvals[0].people", |it| {
            it.approvals = vec![Approval {
                before: Before::Rollout,
                people: 2,
                of: ["anna".parse().unwrap()].into(),
            }];
        }),
        ("approvals[0].people", |it| {
            it.approvals = vec![Approval {
                before: Before::Rollout,
                people: 0,
                of: [].into(),
            }];
        }),
        ("limits.training", |it| it.limits.training = Span::millis(5)),
        ("retry.times", |it| it.retry.times = 200),
    ];
    for (at, spoil) in cases {
        let mut policy = read(example()).unwrap();
        spoil(&mut policy);
        let problems = policy.problems();
        assert!(
            problems.iter().any(|one| one.at == at),
            "{at}: {problems:?}"
        );
    }
}

fn finding<const K: usize, const A: usize>(
    kinds: [FindingKind; K],
    attributions: [Attribution; A],
) -> Trigger {
    Trigger::Finding(FindingTrigger {
        kinds: kinds.into(),
        attributions: attributions.into(),
        lasting: Span::minutes(0),
    })
}
