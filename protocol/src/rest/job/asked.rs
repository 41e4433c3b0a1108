//! What a person asks for.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::fmt;
use serde::{Deserialize, Serialize};

use crate::{digest::Digest, id::ComputeName};

/// What stands where a secret would.
pub const SECRET_SHOWN: &str = "***";

/// `POST /jobs`: a command, what it needs, and how patient to be with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobAsked {
    /// What it is called; its command unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The program and its arguments. No shell reads it; who wants one writes `["sh", "-c", "…"]`. Left out with
    /// `entry`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// An entry point of the project's `MLproject`, in place of a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<JobEntry>,
    /// The directory with its files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<JobProject>,
    /// The Python environment in which it runs.
    #[serde(default, skip_serializing_if = "JobEnvironment::is_none")]
    pub environment: JobEnvironment,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, JobVariable>,
    /// A dataset as `digits@3`, its number, or an absolute path on the machine where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// What it takes of a compute while it runs.
    #[serde(default)]
    pub resources: JobResources,
    /// How long the command may run, in seconds. What the environment takes is not in it.
    #[serde(default = "day")]
    pub time_limit: u64,
    /// What to do when it ends badly.
    #[serde(default)]
    pub retries: JobRetries,
    /// 0 to 9; the higher ones of a workspace go first.
    #[serde(default = "middle")]
    pub priority: u8,
    /// Which files below its working directory are kept, as patterns: `models/*.onnx`, `plots/**`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<String>,
    /// Where it runs; on the hub's machine unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub compute: Option<ComputeName>,
    /// The experiment of its MLflow run, which is made if there is none; `jobs` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// Whether it gets an MLflow run.
    #[serde(default = "yes")]
    pub tracking: bool,
}

const fn day() -> u64 {
    24 * 60 * 60
}

const fn middle() -> u8 {
    4
}

const fn yes() -> bool {
    true
}

impl JobAsked {
    /// A job that runs this and leaves everything else at its default.
    pub fn of<S: Into<String>>(command: impl IntoIterator<Item = S>) -> Self {
        Self {
            name: None,
            command: command.into_iter().map(Into::into).collect(),
            entry: None,
            project: None,
            environment: JobEnvironment::None,
            variables: BTreeMap::new(),
            dataset: None,
            resources: JobResources::default(),
            time_limit: day(),
            retries: JobRetries::default(),
            priority: middle(),
            artifacts: Vec::new(),
            compute: None,
            experiment: None,
            tracking: true,
        }
    }

    /// The same with `***` in place of secrets.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        let mut shown = self.clone();
        for variable in shown.variables.values_mut() {
            if let JobVariable::Secret { secret } = variable {
                *secret = SECRET_SHOWN.into();
            }
        }
        shown
    }
}

/// An entry point of an `MLproject` file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobEntry {
    /// Its name; `main` is usual.
    pub point: String,
    /// Values of its parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// Where the files of a job are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum JobProject {
    /// A `tar.gz` that was uploaded with `PUT /blobs/{digest}`.
    Archive {
        /// SHA-256 of its bytes.
        #[cfg_attr(feature = "schema", schema(value_type = String))]
        archive: Digest,
    },
    /// A directory on the machine where it runs, as an absolute path; for Ray a URI that the cluster can read.
    At(String),
}

/// The Python environment of a job.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum JobEnvironment {
    /// None: the command finds what the machine has. With `entry`: what the project says.
    #[default]
    None,
    /// One that is made for it, once for the same requirements.
    Requirements {
        /// The text of a `requirements.txt`.
        text: String,
        /// Which Python, as `3.11`. Without it the machine's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        python: Option<String>,
    },
    /// One that is there: the absolute path of a virtual environment.
    Venv(String),
}

impl JobEnvironment {
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// The value of an environment variable.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum JobVariable {
    /// Anybody who may see the job sees it.
    Plain(String),
    /// Never shown, hidden in the log, and forgotten when the job is over.
    Secret {
        /// The value.
        secret: String,
    },
}

impl fmt::Debug for JobVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(value) => write!(f, "{value:?}"),
            Self::Secret { .. } => f.write_str(SECRET_SHOWN),
        }
    }
}

/// What a job takes of a compute while it runs, and what one unit of a compute has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobResources {
    /// Thousandths of a processor core.
    pub cpu_millis: u32,
    /// Bytes of memory: of a job a limit. 0: none.
    pub memory: u64,
    /// Whole graphics processors.
    pub gpus: u32,
}

impl Default for JobResources {
    fn default() -> Self {
        Self {
            cpu_millis: 1000,
            memory: 0,
            gpus: 0,
        }
    }
}

/// What to do when an attempt ends badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobRetries {
    /// How many attempts after the first.
    pub most: u32,
    /// Seconds before the second attempt. They double from attempt to attempt, up to an hour.
    pub wait: u64,
}

impl Default for JobRetries {
    fn default() -> Self {
        Self { most: 0, wait: 10 }
    }
}
