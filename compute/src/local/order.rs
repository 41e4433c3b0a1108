//! What a supervisor is told, once, on its standard input: so that no secret is ever in a file of ours.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use super::{LogLimits, Settings};
use crate::job::{AttemptKey, Environment, Given, JobSpec};

/// Longest order, in bytes; what [`JobSpec::problems`] lets pass is shorter unless somebody tries.
const LONGEST: u64 = 64 * 1024 * 1024;

/// Everything that a supervisor needs for one attempt. It has no `Debug`: it holds secrets in the clear.
#[derive(Serialize, Deserialize)]
pub struct Order {
    pub(crate) attempt: AttemptKey,
    pub(crate) command: Vec<String>,
    pub(crate) project: Option<PathBuf>,
    pub(crate) environment: Environment,
    pub(crate) variables: BTreeMap<String, String>,
    /// Values that are hidden in the log.
    pub(crate) secrets: Vec<String>,
    pub(crate) dataset: Option<String>,
    pub(crate) cpu_millis: u32,
    pub(crate) memory: u64,
    pub(crate) gpus: Vec<u32>,
    pub(crate) time_limit: u64,
    pub(crate) artifacts: Vec<String>,
    pub(crate) log: LogLimits,
    pub(crate) grace: u64,
    pub(crate) preparation: u64,
    pub(crate) environments: PathBuf,
    pub(crate) environments_kept: usize,
    pub(crate) cgroup: Option<PathBuf>,
}

impl Order {
    pub(crate) fn of(
        key: AttemptKey,
        spec: &JobSpec,
        gpus: &[u32],
        given: &Given,
        settings: &Settings,
    ) -> Self {
        let mut values = given.clone();
        values.extend(spec.variables.clone());
        let values = values.iter();
        let secrets = values.clone().filter(|(_, value)| value.is_secret());
        Self {
            attempt: key,
            command: spec.command.clone(),
            project: spec.project.as_ref().map(PathBuf::from),
            environment: spec.environment.clone(),
            secrets: secrets.map(|(_, value)| value.value().to_owned()).collect(),
            variables: values
                .map(|(name, value)| (name.clone(), value.value().to_owned()))
                .collect(),
            dataset: spec.dataset.clone(),
            cpu_millis: spec.resources.cpu_millis,
            memory: spec.resources.memory,
            gpus: gpus.to_vec(),
            time_limit: spec.time_limit,
            artifacts: spec.artifacts.clone(),
            log: settings.log,
            grace: settings.grace.as_secs(),
            preparation: settings.preparation.as_secs(),
            environments: settings.root.join("environments"),
            environments_kept: settings.environments_kept,
            cgroup: settings.cgroup.clone(),
        }
    }

    pub(crate) fn read(from: impl Read) -> io::Result<Self> {
        let mut text = Vec::new();
        from.take(LONGEST).read_to_end(&mut text)?;
        // Its sender was killed half-way: then this is no JSON, and nothing has happened yet.
        serde_json::from_slice(&text).map_err(|_| {
            // What stands in it is not said: it holds secrets.
            io::Error::new(io::ErrorKind::InvalidData, "the order is no order")
        })
    }
}
