//! Retraining: what calls for a new model, what people are asked, how a round stands, what rounds taught.

mod lesson;
mod proposal;

pub use self::{lesson::*, proposal::*};

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use super::RuleProblem;
use crate::{
    id::{ModelName, ModelVersion, ProposalId, SiteName, TrainingName},
    time::WallTime,
};

/// A document as a person wrote it: YAML, or JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RetrainText {
    /// All of it.
    pub text: String,
}

/// What is wrong with a policy, and what is worth knowing of one that can be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RetrainCheck {
    /// All that is wrong with it; nothing if it can be carried out.
    pub problems: Vec<RuleProblem>,
    /// What may be meant otherwise, or does not exist yet.
    pub warnings: Vec<String>,
}

/// The policy by which a model is trained anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RetrainPolicyView {
    /// The model.
    pub model: ModelName,
    /// As it was written.
    pub text: String,
    /// `propose` or `automatic`.
    pub mode: String,
    /// How challengers are trained.
    pub training: TrainingName,
    /// By which plan template they are rolled out.
    pub rollout: String,
    /// When it was written.
    pub updated: WallTime,
    /// By whom.
    pub by: String,
}

/// How challengers are trained: a job that is kept under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TrainingView {
    /// Its name.
    pub name: TrainingName,
    /// As it was written; what is secret in it is not shown.
    pub text: String,
    /// Models whose policies name it.
    pub models: Vec<ModelName>,
    /// When it was written.
    pub updated: WallTime,
    /// By whom.
    pub by: String,
}

/// Asks for a round now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewRound {
    /// Why.
    #[serde(default)]
    pub note: String,
}

/// How the retraining of a model stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RetrainView {
    /// The model.
    pub model: ModelName,
    /// Its policy; none if it was taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<RetrainPolicyView>,
    /// The round that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<RoundView>,
    /// What is waited for, as of the last look.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub waits: String,
    /// Rounds so far, with the open one.
    pub rounds: u32,
    /// When the last round ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<WallTime>,
    /// Before this no round begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooling_until: Option<WallTime>,
    /// Core-seconds of the last 24 hours, with what is set aside.
    pub core_seconds_day: u64,
    /// Core-seconds of the last 30 days, with what is set aside.
    pub core_seconds_month: u64,
}

/// A round that is open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RoundView {
    /// Its number, from 1.
    pub number: u32,
    /// Where it is.
    pub stage: RoundStage,
    /// When it was opened.
    pub opened: WallTime,
    /// Since when it is in its stage.
    pub since: WallTime,
    /// The attempt of its stage, from 1.
    pub attempt: u16,
    /// What serves.
    pub champion: ModelVersion,
    /// What called for it.
    pub evidence: Vec<CauseView>,
    /// Its dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<u64>,
    /// The run that tracked its training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The version that the challenger became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<ModelVersion>,
    /// What the comparison said; nothing before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comparison: Vec<String>,
    /// Who agreed, to what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agreed: Vec<String>,
    /// The question that waits for an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<ProposalId>,
    /// What was ordered so far, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub work: Vec<RoundWork>,
}

/// Where a round is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum RoundStage {
    /// Labels lack.
    Labels,
    /// It is proposed.
    Proposed,
    /// Its dataset is made.
    Dataset,
    /// A challenger is trained.
    Training,
    /// Both are compared.
    Comparison,
    /// A person is asked, since it cannot be told which is better.
    Unclear,
    /// Somebody has to agree before the challenger becomes a version.
    AskedRegistration,
    /// The challenger becomes a version.
    Registration,
    /// Somebody has to agree before the version is rolled out.
    AskedRollout,
    /// The version is rolled out.
    Rollout,
    /// It is watched whether the fleet recovers.
    Watching,
}

impl RoundStage {
    /// All, in the order in which a round goes through them.
    pub const ALL: [Self; 11] = [
        Self::Labels,
        Self::Proposed,
        Self::Dataset,
        Self::Training,
        Self::Comparison,
        Self::Unclear,
        Self::AskedRegistration,
        Self::Registration,
        Self::AskedRollout,
        Self::Rollout,
        Self::Watching,
    ];

    /// The stage in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Labels => "waiting for labels",
            Self::Proposed => "proposed",
            Self::Dataset => "making the dataset",
            Self::Training => "training",
            Self::Comparison => "comparing",
            Self::Unclear => "unclear: a person decides",
            Self::AskedRegistration => "waiting for a word before the registration",
            Self::Registration => "registering",
            Self::AskedRollout => "waiting for a word before the rollout",
            Self::Rollout => "rolling out",
            Self::Watching => "watching whether the fleet recovers",
        }
    }
}

/// Something that calls for a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CauseView {
    /// In a sentence.
    pub text: String,
    /// About when it began.
    pub since: WallTime,
    /// When it joined the round.
    pub joined: WallTime,
    /// The finding that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<i64>,
    /// Sites that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<SiteName>,
}

/// A piece of work that a round ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RoundWork {
    /// `build`, `train`, `compare`, `register`, `roll-out`.
    pub step: String,
    /// The attempt, from 1.
    pub attempt: u16,
    /// When it was ordered.
    pub at: WallTime,
    /// `ordered`, `running`, `done`, `failed` or `stopped`.
    pub state: String,
    /// What it is: number of a dataset, job, version or rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}
