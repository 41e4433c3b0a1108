//! Jobs: what a person asks for, how its attempts end, and what follows from that. Pure.
//!
//! Called by whoever keeps jobs. [`JobSpec::problems`] is the border: what it finds nothing wrong with can be run.
//!
//! Must never break:
//! - a value marked secret is shown as `***` by `Debug` and by serialisation; only [`Secret::expose`] gives it;
//! - an attempt that cannot end otherwise the next time is not made again ([`Ended::may_go_better`]).

mod check;
mod ended;
mod life;
mod patterns;
mod secret;

pub use check::Problem;
pub use ended::{Ended, Evidence, LostBecause};
pub use life::{Attempt, AttemptKey, Job, JobState, Next, Phase};
pub use patterns::{ARTIFACTS, Patterns};
pub(crate) use patterns::{DEPTH, LOOKED_AT, expressions};
pub use secret::{SHOWN, Secret};

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

/// What a person asks for: a command, what it needs, and how patient to be with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// The program and its arguments. No shell reads it; who wants one writes `["sh", "-c", "…"]`.
    pub command: Vec<String>,
    /// The directory with its files, as an absolute path. On this machine it is copied into the working directory
    /// before the command starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The Python environment in which it runs.
    #[serde(default)]
    pub environment: Environment,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Variable>,
    /// Where the data is: handed to the command as `TERN_DATASET`. What begins with `/` has to be there when the job
    /// starts on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// What it takes of a compute while it runs.
    #[serde(default)]
    pub resources: Resources,
    /// How long the command may run, in seconds. What the environment takes is not in it.
    #[serde(default = "day")]
    pub time_limit: u64,
    /// What to do when it ends badly.
    #[serde(default)]
    pub retries: Retries,
    /// 0 to 9; the higher ones of a workspace go first.
    #[serde(default = "middle")]
    pub priority: u8,
    /// Which files under its working directory are kept, as patterns: `models/*.onnx`, `plots/**`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<String>,
}

fn day() -> u64 {
    24 * 60 * 60
}

fn middle() -> u8 {
    4
}

impl JobSpec {
    /// A job that runs this and leaves everything else at its default.
    pub fn of<S: Into<String>>(command: impl IntoIterator<Item = S>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            project: None,
            environment: Environment::None,
            variables: BTreeMap::new(),
            dataset: None,
            resources: Resources::default(),
            time_limit: day(),
            retries: Retries::default(),
            priority: middle(),
            artifacts: Vec::new(),
        }
    }
}

/// The Python environment of a job.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Environment {
    /// None: the command finds what the machine has.
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

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Variable {
    /// Anybody who may see the job sees it.
    Plain(String),
    /// Written `{"secret": "…"}`; never shown, and hidden in the log.
    Secret {
        /// The value.
        secret: Secret,
    },
}

impl Variable {
    /// The value itself.
    pub fn value(&self) -> &str {
        match self {
            Self::Plain(value) => value,
            Self::Secret { secret } => secret.expose(),
        }
    }

    /// Whether it must not be shown.
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Secret { .. })
    }
}

/// Variables that whoever keeps jobs adds to what a person asked for: how the job reaches it, say. Those of the person
/// come first.
pub type Given = BTreeMap<String, Variable>;

/// What a job takes of a compute while it runs, and what a compute has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resources {
    /// Thousandths of a processor core.
    pub cpu_millis: u32,
    /// Bytes of memory: a limit. 0 takes nothing into account and sets no limit.
    pub memory: u64,
    /// Whole graphics processors.
    pub gpus: u32,
}

impl Default for Resources {
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
pub struct Retries {
    /// How many attempts after the first.
    pub most: u32,
    /// Seconds before the second attempt. They double from attempt to attempt, up to an hour.
    pub wait: u64,
}

impl Default for Retries {
    fn default() -> Self {
        Self { most: 0, wait: 10 }
    }
}

impl Retries {
    /// The longest wait between two attempts.
    pub const LONGEST: Duration = Duration::from_hours(1);

    /// How long to wait after so many attempts have ended badly.
    pub fn wait_after(self, attempts: u32) -> Duration {
        let doubled = 2_u64.saturating_pow(attempts.saturating_sub(1));
        Duration::from_secs(self.wait.saturating_mul(doubled)).min(Self::LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour() {
        let retries = Retries { most: 9, wait: 10 };
        let seconds = |n| retries.wait_after(n).as_secs();
        assert_eq!((seconds(1), seconds(2), seconds(3)), (10, 20, 40));
        assert_eq!((seconds(20), seconds(u32::MAX)), (3600, 3600));
    }

    #[test]
    fn a_job_reads_as_people_write_it() {
        let spec: JobSpec = serde_json::from_str(
            r#"{"command": ["python", "train.py"],
                "environment": {"requirements": {"text": "numpy==2.1.0\n"}},
                "variables": {"SEED": "7", "API_KEY": {"secret": "swordfish"}},
                "resources": {"cpu_millis": 2000, "memory": 1073741824}}"#,
        )
        .unwrap();
        assert_eq!(spec.problems(), []);
        assert_eq!(spec.variables["API_KEY"].value(), "swordfish");
        assert_eq!((spec.time_limit, spec.priority), (86400, 4));
        let (shown, debug) = (serde_json::to_string(&spec).unwrap(), format!("{spec:?}"));
        for text in [shown, debug] {
            assert!(
                !text.contains("swordfish") && text.contains("***"),
                "{text}"
            );
        }
        assert!(serde_json::from_str::<JobSpec>(r#"{"command": ["a"], "comand": 1}"#).is_err());
    }
}
