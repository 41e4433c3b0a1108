//! What rounds taught.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    id::{ModelName, ModelVersion},
    time::WallTime,
};

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum RoundOutcome {
    /// The challenger serves, and what called for it is over.
    Recovered,
    /// The challenger serves, and what called for it goes on.
    NotRecovered,
    /// A person said no.
    Declined,
    /// Nobody answered, or labels did not come, in time.
    Expired,
    /// What it was about is no more.
    Superseded,
    /// Work failed, or took longer than it may.
    Failed,
    /// The challenger does not hold the bounds.
    Rejected,
    /// The rollout was stopped.
    RolloutStopped,
    /// A person ended it.
    Cancelled,
}

impl RoundOutcome {
    /// As one or two words.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::NotRecovered => "not recovered",
            Self::Declined => "declined",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::RolloutStopped => "rollout stopped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a round taught.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LessonView {
    /// The model.
    pub model: ModelName,
    /// The round.
    pub round: u32,
    /// When it was opened.
    pub opened: WallTime,
    /// When it ended.
    pub ended: WallTime,
    /// How.
    pub outcome: RoundOutcome,
    /// How, in a sentence.
    pub text: String,
    /// What called for it.
    pub evidence: Vec<String>,
    /// What served when it began.
    pub champion: ModelVersion,
    /// Its dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<u64>,
    /// The run that tracked its training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// What came of the training, by the digest of its ONNX file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenger: Option<String>,
    /// The version that it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<ModelVersion>,
    /// What the comparison said, with its numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comparison: Vec<String>,
    /// Core-seconds of the training that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_seconds: Option<u64>,
    /// Milliseconds that it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_ms: Option<u64>,
}
