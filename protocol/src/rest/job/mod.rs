//! Jobs: what a person asks for, and how it goes. Computes: where jobs run.

mod asked;
mod compute;

pub use self::{asked::*, compute::*};

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    id::{ComputeName, JobId},
    time::WallTime,
};

/// What a job is in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum JobState {
    /// It waits for its turn, or for its next attempt.
    Queued,
    /// Its data, its project or its environment is being made ready.
    Preparing,
    /// It runs, or what it made is being kept.
    Running,
    /// It did what it should.
    Succeeded,
    /// It will not.
    Failed,
    /// Somebody wanted it to end.
    Cancelled,
}

impl JobState {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Preparing,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Preparing => "preparing",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of this word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether nothing more comes.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// How a job or one of its attempts ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobEnd {
    /// For programs: `success`, `exit-code`, `signal`, `out-of-memory`, `time-limit`, `cancelled`, `interrupted`,
    /// `environment`, `not-started`, `lost`.
    pub kind: String,
    /// For people.
    pub text: String,
    /// The exit code, or the number of the signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// Whether the same once more may end otherwise.
    pub may_go_better: bool,
}

/// The MLflow run of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobRun {
    /// Number of its experiment.
    pub experiment: i64,
    /// Its id.
    pub run: String,
}

/// A job in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobView {
    /// Its number.
    pub id: JobId,
    /// What it is called.
    pub name: String,
    /// Whose it is.
    pub by: String,
    /// What it is in one word.
    pub state: JobState,
    /// How it ended, or its last attempt did, once one has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<JobEnd>,
    /// Why it waits, or what keeps it from going on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
    /// Where it runs, ran last, or has to run.
    pub compute: ComputeName,
    /// 0 to 9.
    pub priority: u8,
    /// Whether somebody wants it to end.
    pub cancelled: bool,
    /// When it came.
    pub created: WallTime,
    /// When its last attempt was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<WallTime>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<WallTime>,
    /// How many attempts were begun.
    pub attempts: u32,
    /// Processor time that all of them took, in thousandths of a core-second. What runs now counts when it has ended.
    pub core_millis: u64,
    /// The run of its last attempt, if it is tracked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<JobRun>,
    /// By what whoever asked for it knows it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The job that this one does again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again_of: Option<JobId>,
}

/// One attempt of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobAttemptView {
    /// 1, 2, 3 …
    pub number: u32,
    /// Where it runs or ran.
    pub compute: ComputeName,
    /// When it was begun.
    pub given: WallTime,
    /// `given`, `preparing` or `running`: how far it came.
    pub phase: String,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<JobEnd>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<WallTime>,
    /// Processor time that it took, in thousandths of a core-second.
    pub core_millis: u64,
    /// Most bytes of memory that were seen in use; 0 if nobody looked.
    pub peak_memory: u64,
    /// Bytes that it wrote into its log, kept or not, once it has ended.
    pub log_bytes: u64,
    /// Its run, if it is tracked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<JobRun>,
    /// Whether it made more artifacts than were kept.
    pub artifacts_left_out: bool,
    /// What keeps it from going on, or what was wrong beside how it ended.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trouble: String,
}

/// A file that an attempt made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobArtifact {
    /// Which attempt.
    pub attempt: u32,
    /// Where it was below the working directory.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub digest: Digest,
}

/// All that is known of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobDetail {
    /// What stands in the list.
    #[serde(flatten)]
    pub view: JobView,
    /// What was asked for, without secrets.
    pub asked: JobAsked,
    /// The command as it is run.
    pub command: Vec<String>,
    /// Its attempts, the first one first.
    pub all_attempts: Vec<JobAttemptView>,
    /// What they made, by attempt and path.
    pub artifacts: Vec<JobArtifact>,
}

/// A part of a job's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobLog {
    /// Of which attempt; 0 while there is none.
    pub attempt: u32,
    /// Place of its first byte. Later than what was asked for if that is not kept.
    pub from: u64,
    /// What to ask for next.
    pub next: u64,
    /// All bytes so far, kept or not.
    pub total: u64,
    /// How many of them are not kept.
    pub left_out: u64,
    /// The text; bytes that are no UTF-8 are replaced.
    pub text: String,
    /// Whether nothing more comes of this attempt.
    pub over: bool,
}

/// `POST /jobs/{id}/retry`: secrets are forgotten when a job is over and have to be given again.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobRetry {
    /// By the name of the variable.
    pub secrets: alloc::collections::BTreeMap<String, String>,
}
