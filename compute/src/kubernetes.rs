//! Jobs as Kubernetes Jobs, and what the cluster says of them in our words. Pure: no client is in here.
//!
//! Called by whoever speaks to a cluster. [`manifests`] gives what is to be created, [`create`] and its like the requests,
//! [`seen`] reads the Job and its pod.
//!
//! Must never break: an attempt has one name ([`name`]), so that creating it twice is creating it once; the cluster
//! never tries again by itself, since attempts are ours to count; secrets are in a Secret and nowhere else; what fails is
//! told by what its pod says and by nothing less.

mod answer;
mod ask;

pub use answer::{is_gone, pod, seen, taken};
pub use ask::{create, delete, log, pods, status};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    handover::{self, Work},
    job::{AttemptKey, Environment, Given, JobSpec, Problem},
};

/// How long a command has between being asked to end and being ended, in seconds.
const GRACE: u64 = 10;

/// How long the cluster keeps a Job that has ended: for an owner that was away over a weekend.
const KEPT: u64 = 7 * 24 * 60 * 60;

/// Makes an environment of the requirements in a variable, and becomes the command.
const IN_ENVIRONMENT: &str = r#"python3 -m venv /tmp/tern-environment
printf %s "$TERN_REQUIREMENTS" > /tmp/tern-requirements.txt
/tmp/tern-environment/bin/python -m pip install --no-input --disable-pip-version-check --progress-bar=off -r /tmp/tern-requirements.txt || exit 120
PATH="/tmp/tern-environment/bin:$PATH" VIRTUAL_ENV=/tmp/tern-environment exec "$@""#;

/// Bytes of that variable, at most: a kernel refuses to start a program with one of 128 KiB.
const REQUIREMENTS: usize = 127 * 1024;

/// With what the script above says that there is no environment.
const NO_ENVIRONMENT: i32 = 120;

/// Where and of what jobs are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// The namespace.
    pub namespace: String,
    /// The image that every job runs in. One with requirements needs `python3` with `venv` in it.
    pub image: String,
    /// The account that jobs have in the cluster, unless it is the usual one.
    #[serde(default)]
    pub service_account: Option<String>,
    /// What a graphics processor is called.
    #[serde(default = "nvidia")]
    pub gpu: String,
}

fn nvidia() -> String {
    "nvidia.com/gpu".into()
}

/// What every object has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// Its name.
    pub name: String,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// By what it is found.
    pub labels: BTreeMap<&'static str, String>,
}

/// `v1/Secret`. It has no `Debug`: it holds secrets in the clear.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretManifest {
    api_version: &'static str,
    kind: &'static str,
    /// Its name and labels.
    pub metadata: Metadata,
    immutable: bool,
    string_data: BTreeMap<String, String>,
}

/// `batch/v1/Job`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobManifest {
    api_version: &'static str,
    kind: &'static str,
    /// Its name and labels.
    pub metadata: Metadata,
    spec: JobManifestSpec,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct JobManifestSpec {
    parallelism: u32,
    completions: u32,
    backoff_limit: u32,
    active_deadline_seconds: u64,
    ttl_seconds_after_finished: u64,
    template: Template,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Template {
    metadata: Labelled,
    spec: Pod,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Labelled {
    labels: BTreeMap<&'static str, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Pod {
    restart_policy: &'static str,
    termination_grace_period_seconds: u64,
    automount_service_account_token: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_account_name: Option<String>,
    containers: Vec<Container>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    name: &'static str,
    image: String,
    command: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_dir: Option<String>,
    env: Vec<Variable>,
    resources: ContainerResources,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Variable {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_from: Option<ValueFrom>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ValueFrom {
    secret_key_ref: KeyRef,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct KeyRef {
    name: String,
    key: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct ContainerResources {
    requests: BTreeMap<String, String>,
    limits: BTreeMap<String, String>,
}

/// What an attempt is called in a cluster: its Job, and its Secret if it has one. `mark` is drawn for each job, so that
/// two hubs in one namespace, or one that was restored from an old copy, never take each other's attempts for their own.
pub fn name(mark: &str, key: AttemptKey) -> String {
    format!("tern-job-{mark}-{key}")
}

fn metadata(name: &str, key: AttemptKey, cluster: &Cluster) -> Metadata {
    Metadata {
        name: name.to_owned(),
        namespace: Some(cluster.namespace.clone()),
        labels: labels(name, key),
    }
}

/// The label by which the pods of an attempt are found.
const NAME_LABEL: &str = "tern/name";

fn labels(name: &str, key: AttemptKey) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("app.kubernetes.io/managed-by", "tern".to_owned()),
        (NAME_LABEL, name.to_owned()),
        ("tern/attempt", key.number.to_string()),
        ("tern/job", key.job.to_string()),
    ])
}

/// What is to be created under this [`name`], the Secret first; or which parts of the job a cluster cannot do.
pub fn manifests(
    name: &str,
    key: AttemptKey,
    spec: &JobSpec,
    given: &Given,
    cluster: &Cluster,
) -> Result<(Option<SecretManifest>, JobManifest), Vec<Problem>> {
    let mut problems = spec.problems();
    let python = match &spec.environment {
        Environment::Requirements { python, .. } => python.as_ref(),
        _ => None,
    };
    if python.is_some() {
        problems.push(Problem {
            at: "environment.requirements.python".into(),
            text: "a pod has the Python of its image".into(),
        });
    }
    if let Environment::Requirements { text, .. } = &spec.environment
        && text.len() > REQUIREMENTS
    {
        problems.push(Problem {
            at: "environment.requirements.text".into(),
            text: format!(
                "a pod gets them in a variable, which holds at most {} KiB",
                REQUIREMENTS / 1024
            ),
        });
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    // What a person wrote stands.
    let mut all = given.clone();
    all.extend(spec.variables.clone());
    let secrets = all.iter().filter(|(_, value)| value.is_secret());
    let secrets: BTreeMap<String, String> = secrets
        .map(|(name, value)| (name.clone(), value.value().to_owned()))
        .collect();
    let secret = (!secrets.is_empty()).then(|| SecretManifest {
        api_version: "v1",
        kind: "Secret",
        metadata: metadata(name, key, cluster),
        immutable: true,
        string_data: secrets,
    });
    let container = Container {
        name: "job",
        image: cluster.image.clone(),
        command: command(spec),
        working_dir: spec.project.clone(),
        env: variables(name, key, spec, &all),
        resources: resources(spec, cluster),
    };
    let job = JobManifest {
        api_version: "batch/v1",
        kind: "Job",
        metadata: metadata(name, key, cluster),
        spec: JobManifestSpec {
            parallelism: 1,
            completions: 1,
            // Attempts are ours to count.
            backoff_limit: 0,
            active_deadline_seconds: spec.time_limit,
            ttl_seconds_after_finished: KEPT,
            template: Template {
                metadata: Labelled {
                    labels: labels(name, key),
                },
                spec: Pod {
                    restart_policy: "Never",
                    termination_grace_period_seconds: GRACE,
                    // What a job may do in the cluster is for whoever names an account to say.
                    automount_service_account_token: cluster.service_account.is_some(),
                    service_account_name: cluster.service_account.clone(),
                    containers: vec![container],
                },
            },
        },
    };
    Ok((secret, job))
}

fn command(spec: &JobSpec) -> Vec<String> {
    // A pod has its files to itself; in the directory that its image starts in there may be all that the image has.
    let work = match spec.project {
        Some(_) => Work::Here,
        None => Work::Fresh,
    };
    let around = handover::told(spec, work).map(|told| {
        let words = ["python3", "-c", handover::SCRIPT];
        words.map(str::to_owned).into_iter().chain([told])
    });
    let before: Vec<String> = match &spec.environment {
        Environment::None => Vec::new(),
        Environment::Requirements { .. } => {
            let words = ["sh", "-ec", IN_ENVIRONMENT, "tern"];
            words.map(str::to_owned).into()
        }
        Environment::Venv(path) => {
            let script = "PATH=\"$0/bin:$PATH\" VIRTUAL_ENV=\"$0\" exec \"$@\"";
            vec!["sh".into(), "-ec".into(), script.into(), path.clone()]
        }
    };
    // The cluster reads `$(NAME)` in a command as a variable, and `$$` as a dollar.
    let words = around.into_iter().flatten().chain(before);
    let words = words.chain(spec.command.iter().cloned());
    words.map(|word| word.replace('$', "$$")).collect()
}

fn variables(name: &str, key: AttemptKey, spec: &JobSpec, values: &Given) -> Vec<Variable> {
    let plain = |variable: &str, value: &str| Variable {
        name: variable.to_owned(),
        value: Some(value.replace('$', "$$")),
        value_from: None,
    };
    let mut all = vec![
        plain("TERN_JOB", &key.job.to_string()),
        plain("TERN_ATTEMPT", &key.number.to_string()),
    ];
    if let Some(dataset) = &spec.dataset {
        all.push(plain("TERN_DATASET", dataset));
    }
    if let Environment::Requirements { text, .. } = &spec.environment {
        all.push(plain("TERN_REQUIREMENTS", text));
    }
    for (variable, value) in values {
        all.push(if value.is_secret() {
            Variable {
                name: variable.clone(),
                value: None,
                value_from: Some(ValueFrom {
                    secret_key_ref: KeyRef {
                        name: name.to_owned(),
                        key: variable.clone(),
                    },
                }),
            }
        } else {
            plain(variable, value.value())
        });
    }
    all
}

fn resources(spec: &JobSpec, cluster: &Cluster) -> ContainerResources {
    let wanted = &spec.resources;
    let mut requests = BTreeMap::from([("cpu".to_owned(), format!("{}m", wanted.cpu_millis))]);
    let mut limits = BTreeMap::new();
    if wanted.memory > 0 {
        // The same for both: a pod that was promised less than it may take is the first to go.
        requests.insert("memory".to_owned(), wanted.memory.to_string());
        limits.insert("memory".to_owned(), wanted.memory.to_string());
    }
    if wanted.gpus > 0 {
        limits.insert(cluster.gpu.clone(), wanted.gpus.to_string());
    }
    ContainerResources { requests, limits }
}

#[cfg(test)]
mod tests;
