//! What was spent, and whether more may be. Pure.
//!
//! What an action may cost is written down before it is carried out, under its key, and replaced by what it cost. So
//! nothing is counted twice, and nothing that was begun is forgotten; what was never begun stays set aside. Spans are the last 24 hours and the last 30 days:
//! no time zone decides how much there is.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use tern_protocol::time::WallTime;

use crate::{
    action::{Key, Step},
    fact::{Facts, Work},
    policy::Budget,
};

/// A day, in milliseconds.
pub const DAY: i64 = 86_400_000;

/// Days of a month here.
pub const MONTH: i64 = 30 * DAY;

/// Milliseconds that are left, in words: minutes, hours from two on, days from two on. What is begun of a unit is not
/// counted.
pub fn time_left(ms: i64) -> String {
    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;
    let (unit, name) = match ms {
        ms if ms < 2 * HOUR => (MINUTE, "minute"),
        ms if ms < 2 * DAY => (HOUR, "hour"),
        _ => (DAY, "day"),
    };
    let many = ms / unit;
    format!("{many} more {name}{}", if many == 1 { "" } else { "s" })
}

/// Charges of 30 days that are remembered. With as many nothing more begins: a policy without a cool-down whose every
/// training fails at once would otherwise fill the store.
pub const CHARGES_MAX: usize = 512;

/// What an action costs, or may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Charge {
    /// When it was decided.
    #[n(0)]
    pub at: WallTime,
    /// Core-seconds, or captures to label.
    #[n(1)]
    pub amount: u64,
}

/// Charges by key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Ledger(#[n(0)] BTreeMap<Key, Charge>);

impl Ledger {
    /// What was charged under a key.
    pub fn of(&self, key: Key) -> Option<Charge> {
        self.0.get(&key).copied()
    }

    /// Charges under a key that has none.
    pub(crate) fn charge(&mut self, key: Key, at: WallTime, amount: u64) {
        self.0.entry(key).or_insert(Charge { at, amount });
    }

    /// Replaces what trainings might cost by what they did, and forgets what is older than 30 days.
    pub(crate) fn settle(&mut self, facts: &Facts, now: WallTime) {
        self.0
            .retain(|_, charge| charge.at.0 > now.0.saturating_sub(MONTH));
        for (key, charge) in &mut self.0 {
            let spent = facts.core_seconds.get(key).copied();
            match (facts.trainings.get(key), spent) {
                (Some(Work::Running), Some(spent)) => charge.amount = charge.amount.max(spent),
                (Some(_), Some(spent)) => charge.amount = spent,
                // One that failed before anybody measured it may have cost all that it might.
                _ => {}
            }
        }
    }

    /// No charge is later than this.
    pub(crate) fn not_after(&mut self, now: WallTime) {
        for charge in self.0.values_mut() {
            charge.at = charge.at.min(now);
        }
    }

    /// What was spent of a sort in a span up to now.
    pub fn spent(&self, sort: Sort, span: i64, now: WallTime) -> u64 {
        let since = now.0.saturating_sub(span);
        let charges = self.0.iter().filter(|(key, charge)| {
            (key.step == Step::Labels) == (sort == Sort::Labels) && charge.at.0 > since
        });
        charges.fold(0, |sum, (_, charge)| sum.saturating_add(charge.amount))
    }

    /// How much of a sort may be spent now.
    pub fn left(&self, sort: Sort, budget: &Budget, now: WallTime) -> u64 {
        if self.0.len() >= CHARGES_MAX {
            return 0;
        }
        let (day, month) = match sort {
            Sort::CoreSeconds => (budget.per_day, budget.per_month),
            Sort::Labels => (budget.labels_per_day, budget.labels_per_month),
        };
        let left = |whole: Option<u64>, span| {
            whole.map_or(u64::MAX, |whole| {
                whole.saturating_sub(self.spent(sort, span, now))
            })
        };
        left(day, DAY).min(left(month, MONTH))
    }
}

/// What is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Core-seconds of trainings.
    CoreSeconds,
    /// Captures that people are asked to label.
    Labels,
}
