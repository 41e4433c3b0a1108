//! What a person is shown who has to decide whether a model is trained anew: as data, and in sentences.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tern_protocol::{
    id::{ModelName, ModelVersion, SiteName},
    time::WallTime,
};

use crate::{
    fact::Facts,
    ledger::Sort,
    policy::{Before, Policy},
    state::{Loop, Outcome, Round},
};

/// Lessons that are shown, the latest first.
const LESSONS: usize = 3;

/// Sites that are named; of more it is said how many there are.
const NAMED: usize = 3;

/// A round that is proposed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Proposal {
    /// The model.
    pub model: ModelName,
    /// The round.
    pub round: u32,
    /// What serves.
    pub champion: ModelVersion,
    /// About when what called for it began.
    pub since: WallTime,
    /// What called for it, each in a sentence.
    pub evidence: Vec<String>,
    /// Sites that moved; none if it is the whole fleet, or no place.
    pub sites: Vec<SiteName>,
    /// Share of the devices that the largest piece of evidence is about, from 0 to 1, if that is known.
    pub share_of_devices: Option<f64>,
    /// Labels.
    pub labels: LabelCount,
    /// What a training took before, if there was one.
    pub cost: Option<Cost>,
    /// Core-seconds that the budget leaves, if it is limited.
    pub core_seconds_left: Option<u64>,
    /// Who has to agree, and before what, in words.
    pub approvals: Vec<String>,
    /// What the last rounds taught, the latest first.
    pub lessons: Vec<String>,
    /// All of it, to be read.
    pub sentences: Vec<String>,
}

/// Labels that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LabelCount {
    /// That may be trained on.
    pub usable: u64,
    /// Of those, newer than the last dataset.
    pub new: u64,
    /// That lack.
    pub lacking: u64,
}

/// What trainings took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cost {
    /// Core-seconds in the mean.
    pub core_seconds: u64,
    /// Milliseconds in the mean.
    pub ms: u64,
    /// Of how many trainings.
    pub trainings: u64,
}

impl Proposal {
    /// Of a round, as it stands.
    pub(crate) fn of(policy: &Policy, known: &Loop, round: &Round, facts: &Facts) -> Self {
        let sites: BTreeSet<_> = round
            .evidence
            .iter()
            .flat_map(|one| one.sites.iter().cloned())
            .collect();
        let shares = round.evidence.iter().filter(|one| one.of_devices > 0);
        let shares =
            shares.map(|one| one.devices.min(one.of_devices) as f64 / one.of_devices as f64);
        let lacking = crate::dataset::lacking(&policy.minimum, &facts.labels, &round.evidence);
        let limited = policy.budget.per_day.or(policy.budget.per_month).is_some();
        let left = known
            .ledger
            .left(Sort::CoreSeconds, &policy.budget, known.latest);
        let mut proposal = Self {
            model: policy.model.clone(),
            round: round.number,
            champion: round.champion,
            since: round
                .evidence
                .iter()
                .map(|one| one.since)
                .min()
                .unwrap_or(round.opened),
            evidence: round.evidence.iter().map(|one| one.text.clone()).collect(),
            sites: sites.into_iter().collect(),
            share_of_devices: shares.reduce(f64::max),
            labels: LabelCount {
                usable: facts.labels.usable,
                new: facts.labels.new,
                lacking: lacking.map_or(0, |order| order.captures),
            },
            cost: cost(known),
            core_seconds_left: limited.then_some(left),
            approvals: approvals(policy),
            lessons: lessons(known),
            sentences: Vec::new(),
        };
        proposal.sentences = proposal.words(policy, known.latest);
        proposal
    }

    fn words(&self, policy: &Policy, now: WallTime) -> Vec<String> {
        let mut words = vec![format!(
            "Retrain {}? Version {} serves; this is round {}.",
            self.model, self.champion, self.round
        )];
        words.extend(self.evidence.iter().map(|text| sentence(text)));
        let days = now.0.saturating_sub(self.since.0) / crate::ledger::DAY;
        if days > 0 {
            words.push(format!("It began about {days} days ago."));
        }
        if !self.sites.is_empty() {
            let named: Vec<_> = self
                .sites
                .iter()
                .take(NAMED)
                .map(ToString::to_string)
                .collect();
            let more = self.sites.len().saturating_sub(NAMED);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            words.push(format!("Sites: {}{more}.", named.join(", ")));
        }
        if let Some(share) = self.share_of_devices {
            words.push(format!(
                "It is about {:.0} % of the devices.",
                share * 100.0
            ));
        }
        let labels = &self.labels;
        words.push(match labels.lacking {
            0 => format!(
                "There are {} labels, {} of them new: enough.",
                labels.usable, labels.new
            ),
            lacking => format!(
                "There are {} labels, {} of them new; {lacking} more are needed.",
                labels.usable, labels.new
            ),
        });
        words.push(match self.cost {
            Some(cost) => format!(
                "A training took {} core-seconds and {} minutes in the mean of the last {}; it is stopped at {}.",
                cost.core_seconds,
                cost.ms / 60_000,
                cost.trainings,
                policy.budget.training
            ),
            None => format!(
                "The cost of a training is not known yet; it is stopped at {} core-seconds.",
                policy.budget.training
            ),
        });
        if let Some(left) = self.core_seconds_left {
            words.push(format!("The budget leaves {left} core-seconds."));
        }
        words.push(format!(
            "If you agree: a dataset is built from that of version {} and the labels, {} of which are kept out; a model is trained on it; both models are compared on the held-out and the kept-out rows; if the new one keeps to the bounds, it becomes a version and is rolled out by the plan `{}`.",
            self.champion, policy.keep_out, policy.rollout
        ));
        words.extend(self.approvals.iter().cloned());
        words.extend(self.lessons.iter().cloned());
        words
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

/// What trainings took in the mean; of those that succeeded.
fn cost(known: &Loop) -> Option<Cost> {
    let costs: Vec<_> = known
        .lessons
        .iter()
        .filter_map(|lesson| lesson.cost)
        .collect();
    let trainings = costs.len() as u64;
    let mean = |of: &dyn Fn(&(u64, u64)) -> u64| {
        let sum = costs.iter().map(of).fold(0, u64::saturating_add);
        sum.checked_div(trainings)
    };
    Some(Cost {
        core_seconds: mean(&|cost| cost.0)?,
        ms: mean(&|cost| cost.1)?,
        trainings,
    })
}

fn approvals(policy: &Policy) -> Vec<String> {
    let asked = [Before::Training, Before::Registration, Before::Rollout];
    let asked = asked
        .into_iter()
        .flat_map(|before| policy.approvals_before(before));
    asked
        .map(|one| {
            let of: Vec<_> = one.of.iter().map(ToString::to_string).collect();
            let of = if of.is_empty() {
                "of those who may decide".into()
            } else {
                format!("of {}", of.join(", "))
            };
            format!(
                "Before the {}, {} {of} has to agree.",
                one.before.word(),
                one.people
            )
        })
        .collect()
}

fn lessons(known: &Loop) -> Vec<String> {
    let latest = known.lessons().rev().take(LESSONS);
    latest
        .map(|lesson| {
            let mut text = format!("Round {} before: {}.", lesson.round, lesson.outcome.text());
            if lesson.outcome == Outcome::Rejected
                && let Some(why) = lesson.comparison.first()
            {
                text = format!("{text} {why}");
            }
            text
        })
        .collect()
}
