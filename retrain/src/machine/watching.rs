//! Whether what called for a round is over now that the new version serves.

use tern_protocol::id::ModelVersion;

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
        let bound = policy
            .triggers
            .iter()
            .find_map(|trigger| match (trigger, one.cause) {
                (Trigger::AccuracyBelow(share), Cause::Accuracy)
                | (Trigger::EstimateBelow(share), Cause::Estimate) => Some(share.of_one()),
                (Trigger::ErrorAbove(error), Cause::Error) => Some(*error),
                _ => None,
            });
        // A trigger that was taken out of the policy calls for nothing.
        let is_within = |measure: Measure| {
            bound.is_none_or(|bound| self.is_as_good(policy, version, measure, bound))
        };
        match one.cause {
            Cause::Finding(id) => {
                let open = self.facts.findings.iter().any(|open| open.id == id);
                // Inputs that moved stay where they are, whatever serves: then the new version has to be as good on them
                // as the one before was.
                let answered = |before: Baseline| {
                    self.is_as_good(policy, version, before.measure, before.figure.value)
                };
                !open || (one.inputs && round.before.is_some_and(answered))
            }
            Cause::Accuracy => is_within(Measure::Accuracy),
            Cause::Estimate => is_within(Measure::Estimate),
            Cause::Error => is_within(Measure::Error),
            Cause::NewLabels | Cause::Schedule | Cause::Person => true,
        }
    }

    /// Whether a version is known to be as good as this, of samples enough.
    fn is_as_good(
        &self,
        policy: &Policy,
        version: ModelVersion,
        measure: Measure,
        than: f64,
    ) -> bool {
        let now = measure.of(self.facts, version);
        let now = now.filter(|now| now.n >= policy.bounds.samples);
        now.is_some_and(|now| match measure {
            Measure::Accuracy | Measure::Estimate => now.value >= than,
            Measure::Error => now.value <= than,
        })
    }
}
