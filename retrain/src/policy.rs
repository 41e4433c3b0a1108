//! The policy by which one model is trained anew. Written by people as YAML or JSON, like rules of alerts and plans of
//! rollouts.
//!
//! Must never break: a policy that [`Policy::problems`] finds nothing wrong with can be carried out; what is not
//! written means what its field says.

mod check;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tern_protocol::{
    id::{ModelName, TrainingName, UserName},
    rest::{Attribution, FindingKind, Share, Span},
};

pub use self::check::{APPROVALS_MAX, PolicyProblem, TRIGGERS_MAX};

/// When and how a model is trained anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    /// The model.
    pub model: ModelName,
    /// Whether a person has to agree before anything is trained.
    #[serde(default)]
    pub mode: Mode,
    /// What calls for a round; any of them does.
    pub triggers: Vec<Trigger>,
    /// Labels that there have to be before a dataset is made.
    #[serde(default)]
    pub minimum: Minimum,
    /// Share of the labels from the field that are kept out of training, to compare on.
    #[serde(default = "third")]
    pub keep_out: Share,
    /// Time between the end of a round and the beginning of the next.
    #[serde(default = "week")]
    pub cool_down: Span,
    /// What may be spent.
    #[serde(default)]
    pub budget: Budget,
    /// What a challenger has to hold.
    #[serde(default)]
    pub bounds: Bounds,
    /// How a challenger is trained: the name of a job that is kept for that.
    pub training: TrainingName,
    /// Name of the plan template by which a challenger is rolled out.
    pub rollout: String,
    /// Who has to agree, and before what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
    /// How long each stage of a round may take.
    #[serde(default)]
    pub limits: Limits,
    /// How often work that failed for a passing reason is tried again.
    #[serde(default)]
    pub retry: Retry,
}

/// Whether a person has to agree before anything is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A round is proposed with its evidence, and a person decides.
    #[default]
    Propose,
    /// A round goes on by itself as far as approvals allow.
    Automatic,
}

/// Something that calls for a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// Something moved at sites or in the whole fleet.
    Finding(FindingTrigger),
    /// The accuracy by labels is below this, and its interval as well.
    AccuracyBelow(Share),
    /// The accuracy that is estimated without labels is below this, and its interval as well.
    EstimateBelow(Share),
    /// The mean absolute error by labels is above this, and its interval as well; of models that predict numbers.
    ErrorAbove(f64),
    /// So many labels came since those of the last dataset.
    NewLabels(u64),
    /// So long after the version that serves was published, or after the last round.
    Every(Span),
}

/// Which findings call for a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct FindingTrigger {
    /// What moved.
    pub kinds: BTreeSet<FindingKind>,
    /// Why: `sites`, `fleet` or both. A fault of devices calls for a repair, what a version does for that version to be
    /// taken back, and another mix of classes for nothing.
    pub attributions: BTreeSet<Attribution>,
    /// How long it has been open at least.
    pub lasting: Span,
}

impl Default for FindingTrigger {
    fn default() -> Self {
        Self {
            kinds: [
                FindingKind::Input,
                FindingKind::Prediction,
                FindingKind::Confidence,
            ]
            .into(),
            attributions: [Attribution::Sites, Attribution::Fleet].into(),
            lasting: Span::minutes(0),
        }
    }
}

/// Labels that there have to be before a dataset is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Minimum {
    /// In all.
    pub labels: u64,
    /// That are newer than those of the last dataset: what did not help once does not help the second time.
    pub new: u64,
    /// Of each class.
    pub per_class: u64,
    /// Of each site that moved.
    pub per_site: u64,
}

impl Default for Minimum {
    /// Two hundred, of which two in three train and the rest tell differences of ten points; thirty are the least of
    /// which a share means anything.
    fn default() -> Self {
        Self {
            labels: 200,
            new: 50,
            per_class: 5,
            per_site: 30,
        }
    }
}

/// What may be spent: in any 24 hours, and in any 30 days. What is not given is not limited, but for `training`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Budget {
    /// Core-seconds of one training; it is stopped there.
    pub training: u64,
    /// Core-seconds in any 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_day: Option<u64>,
    /// Core-seconds in any 30 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_month: Option<u64>,
    /// Captures that people are asked to label in any 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels_per_day: Option<u64>,
    /// Captures that people are asked to label in any 30 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels_per_month: Option<u64>,
}

impl Default for Budget {
    /// Four cores for an hour.
    fn default() -> Self {
        Self {
            training: 14_400,
            per_day: None,
            per_month: None,
            labels_per_day: None,
            labels_per_month: None,
        }
    }
}

/// What a challenger has to hold against the champion. Of models that predict classes in points of accuracy, of those
/// that predict numbers in shares of the champion's mean absolute error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Bounds {
    /// By how much it may be worse on the held-out part, which is the same for all challengers.
    pub held_out: Share,
    /// What it has to be on recent labels from the field.
    pub recent: Recent,
    /// By how much it may be worse on recent labels, where `no-worse` is enough.
    pub recent_margin: Share,
    /// By how much it may be worse at any site and for any class.
    pub slice: Share,
    /// Samples of a site or class below which nothing is said of it.
    pub slice_samples: u64,
    /// Samples of a part below which nothing is said of it.
    pub samples: u64,
    /// By how much labels of one source may deviate from those of the others at the same sites.
    pub source: Share,
    /// What follows if it cannot be told which is better.
    pub unknown: OnUnknown,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            held_out: Share::percent(2),
            recent: Recent::Better,
            recent_margin: Share::percent(2),
            slice: Share::percent(5),
            slice_samples: 20,
            samples: 50,
            source: Share::percent(20),
            unknown: OnUnknown::Ask,
        }
    }
}

/// What a challenger has to be on recent labels from the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recent {
    /// Better than the champion, beyond chance.
    #[default]
    Better,
    /// Not worse than the champion by more than the margin, beyond chance.
    NoWorse,
}

/// What follows if it cannot be told which is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnUnknown {
    /// A person is asked: go on, end it, or compare again.
    #[default]
    Ask,
    /// The challenger is rejected.
    Reject,
}

/// Before what somebody has to agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Before {
    /// A dataset is made and a challenger trained of it.
    Training,
    /// A challenger that holds the bounds becomes a version of the model.
    Registration,
    /// That version is rolled out.
    Rollout,
}

impl Before {
    /// As one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Registration => "registration",
            Self::Rollout => "rollout",
        }
    }
}

/// Who has to agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Approval {
    /// Before what.
    pub before: Before,
    /// How many people.
    #[serde(default = "one")]
    pub people: u8,
    /// Which people may; anyone who may decide at all if none is named.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub of: BTreeSet<UserName>,
}

/// How long each stage of a round may take, with all attempts. Then the round is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[allow(missing_docs, reason = "named after the stages")]
pub struct Limits {
    pub labels: Span,
    /// Until a person says what to do; of every question.
    pub answer: Span,
    pub dataset: Span,
    pub training: Span,
    pub comparison: Span,
    pub registration: Span,
    pub rollout: Span,
    /// How long it is watched whether the fleet recovers.
    pub watch: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            labels: days(30),
            answer: days(14),
            dataset: days(1),
            training: days(2),
            comparison: days(1),
            registration: days(1),
            rollout: days(60),
            watch: days(14),
        }
    }
}

/// How often work that failed for a passing reason is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Retry {
    /// Times.
    pub times: u8,
    /// How long after it failed.
    pub after: Span,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            times: 2,
            after: Span::minutes(10),
        }
    }
}

const fn days(days: u64) -> Span {
    Span::minutes(days * 24 * 60)
}

const fn week() -> Span {
    days(7)
}

const fn third() -> Share {
    Share::percent(33)
}

const fn one() -> u8 {
    1
}

impl Policy {
    /// The approvals that are asked before something, with the one that a proposal is.
    pub fn approvals_before(&self, before: Before) -> Vec<Approval> {
        let named = self.approvals.iter().filter(|one| one.before == before);
        let mut all: Vec<_> = named.cloned().collect();
        if all.is_empty() && before == Before::Training && self.mode == Mode::Propose {
            all.push(Approval {
                before,
                people: 1,
                of: BTreeSet::new(),
            });
        }
        all
    }

    /// Who says what to do if it cannot be told which is better: one of those who decide on registration; anyone if nobody
    /// is named.
    pub fn approval_if_unclear(&self) -> Approval {
        let named = self.approvals_before(Before::Registration);
        Approval {
            before: Before::Registration,
            people: 1,
            of: named.into_iter().flat_map(|one| one.of).collect(),
        }
    }
}
