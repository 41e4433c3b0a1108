//! What a person asks for becomes what is run, with what is wrong field by field.
//!
//! Called when a job is submitted. What comes out is stored; no text of it is read from a project again, so that what is
//! run stays the same while the job waits, whatever becomes of its `MLproject`.

use std::{collections::BTreeMap, path::Path};

use tern_compute::{
    job::{Environment, Given, JobSpec, Problem, Resources, Retries, Secret, Variable},
    kubernetes,
    mlproject::Project,
    ray,
};
use tern_protocol::{
    id::{ComputeName, JobId},
    rest::{
        ComputeKind, JobAsked, JobEntry, JobEnvironment, JobProject, JobResources, JobVariable,
    },
};

use super::{LOCAL, archive, computes::Compute, dataset, handover, problem};
use crate::{app::App, blobs::BlobError};

/// Longest name, in characters.
const NAME: usize = 200;

/// Largest document of a job, in bytes: requirements and values alone may be large.
const DOCUMENT: usize = 1024 * 1024;

/// What is run.
pub(super) struct Understood {
    pub(super) name: String,
    pub(super) spec: JobSpec,
    pub(super) compute: ComputeName,
}

/// Reads what was asked for. The archive, if it has one, is looked through.
pub(super) async fn understand(
    app: &App,
    workspace: &tern_protocol::id::WorkspaceId,
    asked: &JobAsked,
    compute: &Compute,
) -> Result<Understood, super::JobsError> {
    let mut problems = Vec::new();
    let archive = match &asked.project {
        Some(JobProject::Archive { archive }) => {
            match app.blobs.read_all(*archive, archive::PACKED).await {
                Ok(bytes) => Some(bytes),
                Err(err @ (BlobError::Missing(_) | BlobError::TooLarge { .. })) => {
                    problems.push(problem("project.archive", err.to_string()));
                    None
                }
                Err(err) => return Err(err.into()),
            }
        }
        _ => None,
    };
    let texts = match archive {
        None => BTreeMap::new(),
        Some(bytes) => {
            let looked = tokio::task::spawn_blocking(move || archive::texts(&bytes)).await;
            match looked {
                Ok(Ok(texts)) => texts,
                Ok(Err(err)) => {
                    problems.push(problem("project.archive", err.to_string()));
                    BTreeMap::new()
                }
                // It panicked, over bytes that somebody sent.
                Err(_) => {
                    problems.push(problem("project.archive", "cannot be read"));
                    BTreeMap::new()
                }
            }
        }
    };
    if let Some(text) = &asked.dataset {
        problems.extend(dataset::check(app, workspace, text).await);
    }
    let mut spec = spec_of(asked);
    if let Some(entry) = &asked.entry {
        match by_entry(asked, entry, &texts) {
            Ok(of_entry) => {
                spec.command = of_entry.command;
                if asked.environment == JobEnvironment::None {
                    spec.environment = of_entry.environment;
                }
            }
            Err(found) => {
                problems.extend(found);
                // So that its absence is not told as well.
                spec.command = vec!["true".into()];
            }
        }
    }
    check_texts(asked, &mut problems);
    problems.extend(spec.problems());
    problems.extend(of_compute(asked, &spec, compute));
    problems.extend(handover::problem_of(app, compute, &spec));
    let document = serde_json::to_string(asked).map_or(0, |text| text.len());
    if document > DOCUMENT {
        let text = format!("{document} bytes in all; at most {DOCUMENT}");
        problems.push(problem("", text));
    }
    // The same from two checks is one.
    let mut seen = std::collections::BTreeSet::new();
    problems.retain(|one| seen.insert((one.at.clone(), one.text.clone())));
    if !problems.is_empty() {
        return Err(super::JobsError::Wrong(problems));
    }
    let name = match (&asked.name, &asked.entry) {
        (Some(name), _) => name.trim().to_owned(),
        (None, Some(entry)) => entry.point.clone(),
        (None, None) => asked.command.join(" "),
    };
    Ok(Understood {
        name: name.chars().take(NAME).collect(),
        spec,
        compute: compute.name.clone(),
    })
}

fn check_texts(asked: &JobAsked, problems: &mut Vec<Problem>) {
    let control = |text: &str| text.chars().any(char::is_control);
    if let Some(name) = &asked.name {
        let trimmed = name.trim();
        if trimmed.is_empty() || trimmed.chars().count() > NAME || control(trimmed) {
            problems.push(problem("name", format!("1 to {NAME} characters")));
        }
    }
    if let Some(name) = &asked.experiment {
        if name.trim().is_empty() || name.chars().count() > NAME || control(name) {
            problems.push(problem("experiment", format!("1 to {NAME} characters")));
        }
        if !asked.tracking {
            problems.push(problem("experiment", "a job without `tracking` has no run"));
        }
    }
    if asked.entry.is_some() && !asked.command.is_empty() {
        let text = "a job has a command or an entry point of a project, not both";
        problems.push(problem("entry", text));
    }
}

/// What stands in it, word for word.
fn spec_of(asked: &JobAsked) -> JobSpec {
    let mut spec = JobSpec::of(asked.command.clone());
    spec.project = match &asked.project {
        Some(JobProject::At(path)) => Some(path.clone()),
        // Unpacked when an attempt begins.
        Some(JobProject::Archive { .. }) | None => None,
    };
    spec.environment = match &asked.environment {
        JobEnvironment::None => Environment::None,
        JobEnvironment::Requirements { text, python } => Environment::Requirements {
            text: text.clone(),
            python: python.clone(),
        },
        JobEnvironment::Venv(path) => Environment::Venv(path.clone()),
    };
    let variables = asked.variables.iter().map(|(name, value)| {
        let value = match value {
            JobVariable::Plain(value) => Variable::Plain(value.clone()),
            JobVariable::Secret { secret } => Variable::Secret {
                secret: Secret::new(secret.clone()),
            },
        };
        (name.clone(), value)
    });
    spec.variables = variables.collect();
    spec.dataset.clone_from(&asked.dataset);
    spec.resources = resources(asked.resources);
    spec.time_limit = asked.time_limit;
    spec.retries = Retries {
        most: asked.retries.most,
        wait: asked.retries.wait,
    };
    spec.priority = asked.priority;
    spec.artifacts.clone_from(&asked.artifacts);
    spec
}

pub(super) const fn resources(of: JobResources) -> Resources {
    Resources {
        cpu_millis: of.cpu_millis,
        memory: of.memory,
        gpus: of.gpus,
    }
}

pub(super) const fn shown_resources(of: Resources) -> JobResources {
    JobResources {
        cpu_millis: of.cpu_millis,
        memory: of.memory,
        gpus: of.gpus,
    }
}

/// The job of an entry point of the project.
fn by_entry(
    asked: &JobAsked,
    entry: &JobEntry,
    texts: &BTreeMap<String, String>,
) -> Result<JobSpec, Vec<Problem>> {
    let read = |name: &str| match &asked.project {
        Some(JobProject::Archive { .. }) => texts.get(name.trim_start_matches("./")).cloned(),
        Some(JobProject::At(path)) if path.starts_with('/') => {
            archive::text_in(Path::new(path), name)
        }
        _ => None,
    };
    let Some(text) = read("MLproject") else {
        let text = "there is no file MLproject in the project, so no entry point of it";
        return Err(vec![problem("entry", text)]);
    };
    Project::read(&text, &read)?.job(&entry.point, &entry.parameters)
}

/// What the compute that it has to run on cannot do.
fn of_compute(asked: &JobAsked, spec: &JobSpec, compute: &Compute) -> Vec<Problem> {
    let key = tern_compute::job::AttemptKey {
        job: JobId(1),
        number: 1,
    };
    let mut problems = Vec::new();
    let elsewhere = compute.settings.kind != ComputeKind::Local;
    if elsewhere && matches!(asked.project, Some(JobProject::Archive { .. })) {
        let text = format!(
            "uploaded projects run on `{LOCAL}`; for `{}` name a place that the cluster can read",
            compute.name
        );
        problems.push(problem("project.archive", text));
    }
    if elsewhere
        && let Some(text) = &asked.dataset
        && matches!(dataset::named(text), dataset::Named::Version(_))
    {
        let text = format!("datasets of the hub are handed to jobs on `{LOCAL}` only");
        problems.push(problem("dataset", text));
    }
    match compute.settings.kind {
        ComputeKind::Local | ComputeKind::Kubernetes
            if spec
                .project
                .as_ref()
                .is_some_and(|place| !place.starts_with('/')) =>
        {
            problems.push(problem("project", "not an absolute path; a URI is for Ray"));
        }
        ComputeKind::Local => {}
        ComputeKind::Ray => {
            let made = ray::submit("", key, spec, &Given::new());
            problems.extend(made.err().unwrap_or_default());
        }
        ComputeKind::Kubernetes => {
            if let Some(cluster) = compute.cluster() {
                let made = kubernetes::manifests("x", key, spec, &Given::new(), &cluster);
                problems.extend(made.err().unwrap_or_default());
            }
        }
    }
    problems
}

/// Secrets of a job by name.
pub(super) fn secrets(spec: &JobSpec) -> BTreeMap<String, String> {
    let secret = spec.variables.iter().filter(|(_, value)| value.is_secret());
    secret
        .map(|(name, value)| (name.clone(), value.value().to_owned()))
        .collect()
}

/// Puts secrets back where they were taken out.
pub(super) fn with_secrets(spec: &mut JobSpec, secrets: &BTreeMap<String, String>) {
    for (name, value) in secrets {
        spec.variables.insert(
            name.clone(),
            Variable::Secret {
                secret: Secret::new(value.clone()),
            },
        );
    }
}
