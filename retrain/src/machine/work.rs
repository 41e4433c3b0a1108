//! Work of domains: when it is ordered, and what follows if it fails.

use super::{Look, Next, later};
use crate::{
    action::{Act, Action, Key},
    fact::{Again, Work},
    ledger::Sort,
    policy::Policy,
    state::{Outcome, Round, Stage},
};

/// Longest reason of a failure that is kept, in characters.
pub(super) const REASON_MAX: usize = 1_000;

impl Look<'_> {
    /// Work that is there and not done.
    pub(super) fn not_done(&self, policy: &Policy, round: &mut Round, work: &Undone) -> Next {
        let (reason, again) = match work {
            Undone::Running => return Next::Stay(format!("{} goes on", round.stage.words())),
            Undone::Stopped => ("somebody stopped it".to_string(), Again::IsUseless),
            Undone::Failed(reason, again) => (reason.clone(), *again),
        };
        let first = if round.stage == Stage::Comparing {
            round.compared
        } else {
            0
        };
        let tried = round.attempt.saturating_sub(first);
        if again == Again::IsUseless || tried > u16::from(policy.retry.times) {
            return Next::End(Outcome::Failed(round.stage, reason));
        }
        round.attempt = round.attempt.saturating_add(1);
        round.not_before = later(self.now, policy.retry.after.ms());
        Next::Stay(format!("{reason}; it is tried again"))
    }

    /// Gives an action once its time has come.
    pub(super) fn when_due(&mut self, round: &Round, key: Key, act: Act) -> Next {
        if self.now < round.not_before {
            return Next::Stay("waiting to try again".into());
        }
        self.give(key, act);
        Next::Stay(format!("{} is ordered", round.stage.words()))
    }

    pub(super) fn give(&mut self, key: Key, act: Act) {
        self.actions.push(Action { key, act });
    }

    /// Why no training may begin now.
    pub(super) fn unaffordable(&self, policy: &Policy) -> Option<String> {
        let left = self
            .known
            .ledger
            .left(Sort::CoreSeconds, &policy.budget, self.now);
        let need = policy.budget.training;
        (left < need).then(|| {
            format!("a training may take {need} core-seconds, and the budget leaves {left} for now")
        })
    }
}

/// Work that is there and not done.
pub(super) enum Undone {
    Running,
    Stopped,
    Failed(String, Again),
}

pub(super) fn describe<T>(work: &Work<T>) -> Undone {
    match work {
        Work::Running | Work::Done(_) => Undone::Running,
        Work::Stopped => Undone::Stopped,
        Work::Failed(failure) => {
            let reason = failure.reason.chars().take(REASON_MAX).collect();
            Undone::Failed(reason, failure.again)
        }
    }
}

/// A state that no step leads to: stored by another program.
pub(super) fn missing(stage: Stage, what: &str) -> Outcome {
    Outcome::Failed(stage, format!("the stored round has no {what}"))
}
