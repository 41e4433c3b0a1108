//! What a cluster says of an attempt, in our words.

use serde::Deserialize;

use super::NO_ENVIRONMENT;
use crate::{
    job::{Ended, Evidence, LostBecause},
    seen::{Seen, Taken, shown},
};

/// What the cluster says to the creation of the Job.
pub fn taken(status: u16, body: &str) -> Taken {
    match status {
        200..=202 => Taken::Now,
        409 if body.contains("AlreadyExists") => Taken::Before,
        // Not allowed to ask, or too many questions: the job is not at fault.
        401 | 403 | 408 | 409 | 429 => Taken::Unclear(shown(body)),
        400..=499 => Taken::Refused(shown(body)),
        _ => Taken::Unclear(shown(body)),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JobSeen {
    #[serde(default)]
    status: JobStatus,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JobStatus {
    conditions: Vec<Condition>,
    active: u32,
    ready: Option<u32>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct Pods {
    items: Vec<PodSeen>,
}

#[derive(Deserialize)]
struct PodSeen {
    #[serde(default)]
    metadata: PodMetadata,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PodMetadata {
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize)]
struct ContainerStatus {
    state: ContainerState,
}

#[derive(Deserialize)]
struct ContainerState {
    terminated: Option<Terminated>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Terminated {
    exit_code: i32,
    #[serde(default)]
    signal: Option<i32>,
    #[serde(default)]
    reason: String,
}

/// Whether the Job is gone, or going, by what the cluster says to its removal.
pub fn is_gone(status: u16) -> bool {
    matches!(status, 200..=202 | 404)
}

/// How an attempt is, by the answers to a question for its Job and for its pods, each with its status. `cancelled`: a
/// person wanted it to end, which is done by deleting the Job.
pub fn seen((status, job): (u16, &str), (of_pods, pods): (u16, &str), cancelled: bool) -> Seen {
    match status {
        200 => {}
        404 if cancelled => return Seen::Ended(Ended::Cancelled),
        404 => return Seen::Unknown,
        _ => return Seen::Unclear(shown(job)),
    }
    let Ok(job) = serde_json::from_str::<JobSeen>(job) else {
        return Seen::Unclear(shown(job));
    };
    let is = |kind: &str| {
        let mut conditions = job.status.conditions.iter();
        conditions.find(|one| one.kind == kind && one.status == "True")
    };
    if is("Complete").is_some() {
        return Seen::Ended(Ended::Exited(0));
    }
    if let Some(failed) = is("Failed") {
        if failed.reason == "DeadlineExceeded" {
            return Seen::Ended(Ended::TimeLimit);
        }
        if of_pods != 200 {
            // How it ended is in there, and it is not to be called lost for an answer that did not come.
            return Seen::Unclear(shown(pods));
        }
        return match terminated(pods) {
            Some(how) => Seen::Ended(ended(&how)),
            // Its node went, say, and the pod with it.
            None => Seen::Ended(Ended::Lost(LostBecause::EngineForgot)),
        };
    }
    // `ready` came with version 1.24; before that a pod that is there counts as running.
    if job.status.active > 0 && job.status.ready != Some(0) {
        Seen::Running
    } else {
        Seen::Waiting
    }
}

/// The pod that has the log: the last that was made, of the list of pods. A name that could not stand in an address is
/// none.
pub fn pod(status: u16, pods: &str) -> Option<String> {
    let pods = serde_json::from_str::<Pods>(pods)
        .ok()
        .filter(|_| status == 200)?;
    let name = pods.items.into_iter().next_back()?.metadata.name;
    let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    (!name.is_empty() && name.bytes().all(letters)).then_some(name)
}

fn terminated(pods: &str) -> Option<Terminated> {
    let pods = serde_json::from_str::<Pods>(pods).ok()?;
    let mut containers = pods
        .items
        .into_iter()
        .flat_map(|pod| pod.status.container_statuses);
    containers.find_map(|container| container.state.terminated)
}

fn ended(how: &Terminated) -> Ended {
    match (how.reason.as_str(), how.exit_code) {
        ("OOMKilled", _) => Ended::OutOfMemory(Evidence::Kernel),
        ("StartError" | "ContainerCannotRun", _) => Ended::NotStarted(how.reason.clone()),
        (_, NO_ENVIRONMENT) => Ended::Environment("pip could not install the requirements".into()),
        // Its Job failed all the same: that is no success.
        (_, 0) => Ended::Interrupted,
        (_, code) => match how.signal {
            Some(signal) if signal > 0 => Ended::Signalled(signal),
            // As runtimes say that a signal ended the first process.
            _ if (129..=192).contains(&code) => Ended::Signalled(code - 128),
            _ => Ended::Exited(code),
        },
    }
}
