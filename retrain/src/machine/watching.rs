//! Whether what called for a round is over now that the new version serves.

use super::{Look, Next, later};
use crate::{
    ledger::DAY,
    policy::{Policy, Trigger},
    state::{Baseline, Measure, Outcome, Round},
    trigger::{Cause, Evidence},
};

/// How long a new version is watched at least before it is said that all is well: a day has its night.
const WATCH_MIN: u64 = DAY as u64;

impl Look<'_> {
    pub(super) fn watching(&self, policy: &Policy, round: &Round) -> Next {
        let least = WATCH_MIN.min(policy.limits.watch.ms());
        if self.now < later(round.since, least) {
            return Next::Stay("the new version is watched for a day".into());
        }
        let on: Vec<_> = round
            .evidence
            .iter()
            .filter(|one| !self.is_over(policy, round, one))
            .collect();
        match on.first() {
            None => Next::End(Outcome::Recovered),
            Some(first) => Next::Stay(format!(
                "{} of what called for it goes on: {}",
                on.len(),
                first.text
            )),
        }
    }

    /// Whether what called for a round does so no more, now that the new version serves.
    fn is_over(&self, policy: &Policy, round: &Round, one: &Evidence) -> bool {
        let Some(version) = round.version else {
            return false;
        };
        let figure = |measure: Measure| measure.of(self.facts, version);
        let bound = |find: &dyn Fn(&Trigger) -> Option<f64>| policy.triggers.iter().find_map(find);
        match one.cause {
            Cause::Finding(id) => {
                let open = self.facts.findings.iter().any(|open| open.id == id);
                !open || (one.inputs && self.is_as_good(policy, round))
            }
            Cause::Accuracy => {
                let least = bound(&|one| match one {
                    Trigger::AccuracyBelow(share) => Some(share.of_one()),
                    _ => None,
                });
                least.is_none_or(|least| {
                    figure(Measure::Accuracy).is_some_and(|now| now.high >= least)
                })
            }
            Cause::Estimate => {
                let least = bound(&|one| match one {
                    Trigger::EstimateBelow(share) => Some(share.of_one()),
                    _ => None,
                });
                least.is_none_or(|least| {
                    figure(Measure::Estimate).is_some_and(|now| now.high >= least)
                })
            }
            Cause::Error => {
                let most = bound(&|one| match one {
                    Trigger::ErrorAbove(most) => Some(*most),
                    _ => None,
                });
                most.is_none_or(|most| figure(Measure::Error).is_some_and(|now| now.low <= most))
            }
            Cause::NewLabels | Cause::Schedule => true,
        }
    }

    /// Inputs that moved stay where they are. The round is answered when the new version is known to be no worse on
    /// them than the one before was.
    fn is_as_good(&self, policy: &Policy, round: &Round) -> bool {
        let (
            Some(Baseline {
                measure,
                figure: before,
            }),
            Some(version),
        ) = (round.before, round.version)
        else {
            return false;
        };
        let now = measure.of(self.facts, version);
        now.filter(|now| now.n >= policy.bounds.samples)
            .is_some_and(|now| match measure {
                Measure::Accuracy | Measure::Estimate => now.value >= before.value,
                Measure::Error => now.value <= before.value,
            })
    }
}
