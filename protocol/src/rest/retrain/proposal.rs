//! Questions that rounds put to people, and what they say.

use alloc::{string::String, vec::Vec};
use core::str::FromStr;
use serde::{Deserialize, Serialize};

use crate::{
    id::{ModelName, ModelVersion, ProposalId, SiteName, UserName},
    time::WallTime,
};

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ProposalKind {
    /// Whether a challenger is trained.
    Training,
    /// What to do, since it cannot be told whether the challenger is better.
    Unclear,
    /// Whether the challenger becomes a version.
    Registration,
    /// Whether the version is rolled out.
    Rollout,
}

impl ProposalKind {
    /// The kind as one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Unclear => "unclear",
            Self::Registration => "registration",
            Self::Rollout => "rollout",
        }
    }
}

/// How a question stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ProposalState {
    /// It waits for people.
    Open,
    /// Nobody has to say anything: the policy goes on by itself.
    Told,
    /// The round went on.
    Agreed,
    /// Somebody said no.
    Declined,
    /// The round was ended, or the question is about nothing any more.
    Over,
}

impl ProposalState {
    /// The state as one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Told => "told",
            Self::Agreed => "agreed",
            Self::Declined => "declined",
            Self::Over => "over",
        }
    }
}

/// What a person may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ProposalWord {
    /// Go on.
    Agree,
    /// Do not; the round is over.
    Decline,
    /// Compare again, with the labels that came since; to what is unclear alone.
    Again,
    /// The round is over, whatever it does.
    Cancel,
}

impl ProposalWord {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Agree, Self::Decline, Self::Again, Self::Cancel];

    /// As one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Agree => "agree",
            Self::Decline => "decline",
            Self::Again => "again",
            Self::Cancel => "cancel",
        }
    }
}

impl FromStr for ProposalWord {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|one| one.word() == text);
        found.ok_or("say agree, decline, again or cancel")
    }
}

/// What somebody says to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ProposalAnswer {
    /// What.
    pub say: ProposalWord,
    /// Why, or anything else worth keeping.
    #[serde(default)]
    pub note: String,
}

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SaidWord {
    /// Who.
    pub by: UserName,
    /// When.
    pub at: WallTime,
    /// What.
    pub say: ProposalWord,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// A question that a round puts to people, with what they said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ProposalView {
    /// Its number.
    pub id: ProposalId,
    /// The model.
    pub model: ModelName,
    /// The round.
    pub round: u32,
    /// What it is about.
    pub kind: ProposalKind,
    /// How it stands.
    pub state: ProposalState,
    /// When it was put.
    pub at: WallTime,
    /// In a line.
    pub subject: String,
    /// All of it, to be read.
    pub sentences: Vec<String>,
    /// What called for the round; of a proposal to train.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<ProposalFacts>,
    /// Who has to agree, in words.
    pub needs: String,
    /// People who may answer; anyone who may decide at all if none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub of: Vec<UserName>,
    /// What may be said; nothing if it is not open.
    pub choices: Vec<ProposalWord>,
    /// What people said, the first first.
    pub words: Vec<SaidWord>,
}

/// The numbers of a proposal to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ProposalFacts {
    /// What serves.
    pub champion: ModelVersion,
    /// About when what called for it began.
    pub since: WallTime,
    /// What called for it, each in a sentence.
    pub evidence: Vec<String>,
    /// Sites that moved; none if it is the whole fleet, or no place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<SiteName>,
    /// Share of the devices that it is about, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_of_devices: Option<f64>,
    /// Labels that may be trained on.
    pub labels: u64,
    /// Of those, newer than the last dataset.
    pub new_labels: u64,
    /// Core-seconds that a training took in the mean, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_seconds: Option<u64>,
    /// Core-seconds that the budget leaves, if it is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_seconds_left: Option<u64>,
    /// What the last rounds taught, the latest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lessons: Vec<String>,
}
