//! Who did what, and whether the log of it is whole.

use alloc::string::String;
use serde::{Deserialize, Serialize};

use crate::{digest::Digest, id::WorkspaceId, time::WallTime};

/// One thing that somebody did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// 1, 2, 3 … without holes.
    pub seq: u64,
    /// When.
    pub at: WallTime,
    /// Where; none if it is about the hub itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WorkspaceId>,
    /// Who, as `user ada`, `token 12 of ada`, `device meter-01`, `hub`, `operator on the machine`.
    pub actor: String,
    /// From which address; none if it did not come over the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What, as `rollout.start`.
    pub action: String,
    /// To what, as `rollout 12`.
    pub subject: String,
    /// Digest of the subject as it was before, over its JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
    /// Digest of the subject as it is from then on, over its JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Digest>,
    /// What else is worth knowing, for people; never a secret.
    pub detail: String,
    /// Hash over this entry and the hash of the one before it.
    pub hash: Digest,
}

/// Whether the audit log is whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditVerdict {
    /// Whether every entry is there and as it was written.
    pub whole: bool,
    /// Entries that were looked at.
    pub entries: u64,
    /// Hash of the newest entry: who notes it down elsewhere can later prove that nothing before it
    /// was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Digest>,
    /// The first entry that is not as it should be, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<AuditBreak>,
}

/// Where the audit log is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditBreak {
    /// The entry.
    pub seq: u64,
    /// What is wrong with it.
    pub text: String,
}
