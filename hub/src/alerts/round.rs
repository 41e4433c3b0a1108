//! One look at all groups of a workspace: what becomes of each, and what is told together. Pure.
//!
//! Must never break: what comes out does not depend on the order in which rules or groups come in.

use std::collections::{BTreeMap, BTreeSet};

use tern_protocol::{id::RuleName, rest::Together, time::WallTime};

use super::machine::{self, Ears, Held, Sight, Step, Timing, Why};

/// A group of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) rule: RuleName,
    pub(super) group: String,
}

/// What is told in one notice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bundle {
    Rule(RuleName),
    Site(String),
    One(Key),
}

impl Bundle {
    /// Where an alert belongs.
    pub(super) fn of(together: Together, key: &Key, site: Option<&str>) -> Self {
        match (together, site) {
            (Together::Rule, _) => Self::Rule(key.rule.clone()),
            (Together::Site, Some(site)) => Self::Site(site.to_owned()),
            (Together::Site | Together::None, _) => Self::One(key.clone()),
        }
    }
}

/// What is known of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) held: Option<Held>,
    /// When somebody was last told of the group, by an alert that is over.
    pub(super) told: Option<WallTime>,
    /// What was seen; nothing if its rule is gone or asks something else.
    pub(super) sight: Option<Sight>,
    pub(super) ears: Ears,
    pub(super) timing: Timing,
    pub(super) bundle: Bundle,
}

/// What is told of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Told {
    /// It is an alert, or still is.
    Firing,
    /// It is over.
    Over,
}

/// What becomes of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) step: Step,
    pub(super) tell: Option<Told>,
}

/// What becomes of all of them, and what is told together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Round {
    pub(super) outcomes: BTreeMap<Key, Outcome>,
    pub(super) notices: BTreeMap<(Told, Bundle), BTreeSet<Key>>,
}

/// Takes one look.
pub(super) fn round(entries: &BTreeMap<Key, Entry>, now: WallTime) -> Round {
    let mut round = Round::default();
    let mut waiting: BTreeMap<&Bundle, (bool, Vec<&Key>)> = BTreeMap::new();
    for (key, entry) in entries {
        let mut step = match (entry.sight, &entry.held) {
            (Some(sight), _) => machine::step(entry.held, entry.told, sight, entry.timing, now),
            (None, None) => Step::Nothing,
            (None, Some(held)) => match held.phase {
                machine::Phase::Pending => Step::Drops,
                machine::Phase::Firing(_) => Step::Ends(Why::Rule),
            },
        };
        let mut tell = None;
        match &mut step {
            Step::Stays(held) | Step::Fires(held) => {
                if let Some(since) = machine::due(held, entry.ears, entry.timing, now) {
                    let (ripe, members) = waiting.entry(&entry.bundle).or_default();
                    let waited = now.0.saturating_sub(since.0).max(0).unsigned_abs();
                    *ripe |= waited >= entry.timing.gather.ms();
                    members.push(key);
                }
            }
            Step::Ends(_) if entry.held.is_some_and(|held| held.said) => {
                tell = Some(Told::Over);
                let bundle = (Told::Over, entry.bundle.clone());
                round.notices.entry(bundle).or_default().insert(key.clone());
            }
            _ => {}
        }
        round.outcomes.insert(key.clone(), Outcome { step, tell });
    }
    for (bundle, (ripe, members)) in waiting {
        if !ripe {
            continue;
        }
        for key in members {
            let Some(outcome) = round.outcomes.get_mut(key) else {
                continue;
            };
            if let Step::Stays(held) | Step::Fires(held) = &mut outcome.step {
                held.told = Some(now);
                held.said = true;
                outcome.tell = Some(Told::Firing);
            }
            let bundle = (Told::Firing, bundle.clone());
            round.notices.entry(bundle).or_default().insert(key.clone());
        }
    }
    round
}
