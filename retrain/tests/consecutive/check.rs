//! What must hold at every look, whatever happened.

use std::collections::{BTreeMap, BTreeSet};

use tern_retrain::{
    Act, Facts, Key, Loop, Stage, Step, Stepped, Verdict, Work,
    fact::Say,
    policy::{Mode, Recent},
};

use crate::world::{DAY, World};

impl World {
    /// Whether it does, and which actions the look gives under which keys.
    pub fn check(&self, before: &Loop, facts: &Facts, stepped: &Stepped) -> BTreeMap<Key, String> {
        let next = &stepped.next;
        let policy = self.policy.as_ref();
        // One round at a time, numbered without gaps, and none within the cool-down.
        if let (None, Some(round)) = (before.open(), next.open()) {
            let last = before
                .lessons()
                .next_back()
                .map_or(0, |lesson| lesson.round);
            assert_eq!(round.number, last + 1, "rounds are numbered without gaps");
            let cool_down = policy.unwrap().cool_down.ms() as i64;
            assert!(
                before
                    .ended()
                    .is_none_or(|ended| round.opened.0 >= ended.0 + cool_down),
                "within the cool-down"
            );
        }
        if let (Some(was), Some(is)) = (before.open(), next.open()) {
            assert_eq!(was.number, is.number, "a round ends before another begins");
        }
        if let Some(lesson) = &stepped.ended {
            assert!(next.open().is_none());
            assert_eq!(
                before.open().map_or(lesson.round, |round| round.number),
                lesson.round
            );
        }
        let mut keys = BTreeSet::new();
        let mut given = BTreeMap::new();
        for action in &stepped.actions {
            let key = action.key;
            if action.act == Act::Stop {
                let waited = next.open().is_some_and(|round| {
                    round.number == key.round
                        && running(facts, key)
                        && is_of(key.step, round.stage)
                        && round.attempt == key.attempt
                });
                assert!(running(facts, key) && !waited, "{key} is stopped");
                continue;
            }
            assert!(keys.insert(key), "{key} is given twice in one look");
            let round = next.open().expect("an action is of an open round");
            assert_eq!(key.round, round.number);
            // The same key is for the same thing, whoever is killed in between.
            let what = match &action.act {
                Act::Propose(_) | Act::Ask(_) => String::new(),
                Act::AskLabels(order) => order.captures.to_string(),
                Act::Compare(order) => format!("{:?} {:?}", order.dataset, order.challenger),
                Act::Register(lineage) => format!("{:?}", lineage.trained),
                Act::Build(order) => format!("{:?}", order.until),
                act => format!("{act:?}"),
            };
            assert!(
                !done(facts, key),
                "{key} was carried out and is given again"
            );
            // What was given by a look that was not stored was given to nobody.
            if let Some(earlier) = self.given.get(&key) {
                assert_eq!(*earlier, what, "{key}");
            }
            given.insert(key, what);
            self.may(&action.act, key, facts, next);
        }
        self.within_budget(facts);
        given
    }

    /// Whether an action may be given now.
    fn may(&self, act: &Act, key: Key, facts: &Facts, next: &Loop) {
        let policy = self.policy.as_ref().unwrap();
        let said = |step: Step, say: Say| {
            let words = facts.words.iter();
            words
                .filter(|word| word.key.round == key.round && word.key.step == step)
                .any(|word| word.say == say)
        };
        match act {
            Act::Build(_) if policy.mode == Mode::Propose => {
                assert!(said(Step::Propose, Say::Agree), "nobody agreed to {key}");
            }
            Act::Register(_) | Act::RollOut(_) => {
                let round = next.open().unwrap();
                let verdict = round.comparison.as_ref().expect("it was compared").verdict;
                let unclear = verdict == Verdict::Unknown && said(Step::AskUnknown, Say::Agree);
                let enough = verdict == Verdict::NoWorse && policy.bounds.recent == Recent::NoWorse;
                assert!(
                    verdict == Verdict::Better || enough || unclear,
                    "{verdict:?} leads to {key}"
                );
                assert!(act_is_register(act) || round.version.is_some());
            }
            _ => {}
        }
        if !matches!(act, Act::Stop) {
            assert!(
                next.open()
                    .unwrap()
                    .evidence
                    .iter()
                    .all(|one| !one.text.contains("0 sites")),
                "a fault calls"
            );
        }
    }

    /// What trainings really took never exceeds the budget, in any span.
    fn within_budget(&self, facts: &Facts) {
        let policy = self.policy.as_ref();
        let Some(budget) = policy.map(|policy| policy.budget) else {
            return;
        };
        let known = self.known();
        let spent: Vec<(i64, u64)> = facts
            .core_seconds
            .iter()
            .filter_map(|(key, spent)| Some((known.ledger().of(*key)?.at.0, *spent)))
            .collect();
        for (end, _) in &spent {
            for (span, most) in [(DAY, budget.per_day), (30 * DAY, budget.per_month)] {
                let sum: u64 = spent
                    .iter()
                    .filter(|(at, _)| at <= end && *at > end - span)
                    .map(|(_, one)| one)
                    .sum();
                assert!(
                    most.is_none_or(|most| sum <= most),
                    "{sum} core-seconds within {} days",
                    span / DAY
                );
            }
        }
    }
}

const fn act_is_register(act: &Act) -> bool {
    matches!(act, Act::Register(_))
}

const fn is_of(step: Step, stage: Stage) -> bool {
    matches!(
        (step, stage),
        (Step::Labels, Stage::Waiting)
            | (Step::Build, Stage::Building)
            | (Step::Train, Stage::Training)
            | (Step::Compare, Stage::Comparing)
            | (Step::Register, Stage::Registering)
            | (Step::RollOut, Stage::RollingOut)
    )
}

fn running(facts: &Facts, key: Key) -> bool {
    let of = |work: Option<bool>| work == Some(true);
    of(facts.datasets.get(&key).map(Work::is_running))
        || of(facts.trainings.get(&key).map(Work::is_running))
        || of(facts.comparisons.get(&key).map(Work::is_running))
        || of(facts.versions.get(&key).map(Work::is_running))
        || of(facts.rollouts.get(&key).map(Work::is_running))
}

fn done(facts: &Facts, key: Key) -> bool {
    facts.told.contains(&key)
        || facts.datasets.contains_key(&key)
        || facts.trainings.contains_key(&key)
        || facts.comparisons.contains_key(&key)
        || facts.versions.contains_key(&key)
        || facts.rollouts.contains_key(&key)
}
