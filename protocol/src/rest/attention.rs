use alloc::string::String;
use serde::{Deserialize, Serialize};

use crate::rest::VersionRef;

/// Something that needs a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Attention {
    /// What kind of thing.
    pub kind: AttentionKind,
    /// What is the matter.
    pub text: String,
    /// What to do about it.
    pub remedy: String,
    /// The command that helps, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Devices that it is about; 0: it is about the workspace.
    pub devices: u64,
    /// The version that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionRef>,
}

/// What needs a person, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum AttentionKind {
    /// Devices serve a revoked version, and nothing takes its place.
    RevokedServing,
    /// Devices refused what they should serve, or serve nothing.
    Failing,
    /// A rollout was stopped by evidence of harm, within the last day.
    RolloutStopped,
    /// A rollout goes no further without a person.
    RolloutWaits,
    /// An alert fires that is worth a person's time now.
    Alert,
    /// A round of retraining waits for a person's word.
    Proposal,
    /// The workspace is frozen: nothing is moved.
    Frozen,
    /// The hub lacks files of a version: they are damaged on its disk, or gone.
    DamagedBlobs,
    /// The hub's database is damaged.
    DamagedDatabase,
    /// Notices could not be delivered.
    Undelivered,
    /// Windows came from clocks that cannot be right.
    Quarantine,
    /// The hub holds the keys that sign models.
    DevelopmentKeys,
}

impl AttentionKind {
    /// The kind as one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::RevokedServing => "revoked-serving",
            Self::Failing => "failing",
            Self::RolloutStopped => "rollout-stopped",
            Self::RolloutWaits => "rollout-waits",
            Self::Alert => "alert",
            Self::Proposal => "proposal",
            Self::Frozen => "frozen",
            Self::DamagedBlobs => "damaged-blobs",
            Self::DamagedDatabase => "damaged-database",
            Self::Undelivered => "undelivered",
            Self::Quarantine => "quarantine",
            Self::DevelopmentKeys => "development-keys",
        }
    }
}
