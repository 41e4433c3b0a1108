//! What is asked of a cluster.

use serde_json::json;

use super::{Cluster, JobManifest, NAME_LABEL, SecretManifest};
use crate::request::Request;

fn jobs(cluster: &Cluster) -> String {
    format!("/apis/batch/v1/namespaces/{}/jobs", cluster.namespace)
}

fn secrets(cluster: &Cluster) -> String {
    format!("/api/v1/namespaces/{}/secrets", cluster.namespace)
}

/// Creates what there is to create, in this order, of an attempt whose Job is not there. A Secret that is there already was
/// made by a try that was cut off: it goes first, since the token in it was drawn for that try. Whether there was one to
/// remove is of no interest; that there is a Job meanwhile is no failure.
pub fn create(
    cluster: &Cluster,
    secret: Option<&SecretManifest>,
    job: &JobManifest,
) -> Vec<Request> {
    let post = |path: String, body: serde_json::Value| Request {
        method: "POST",
        path,
        body: Some(body),
    };
    let json = "our own types are JSON";
    let secret = secret.map(|one| {
        let new = serde_json::to_value(one).expect(json);
        let of = format!("{}/{}", secrets(cluster), one.metadata.name);
        [gone(of), post(secrets(cluster), new)]
    });
    let job = post(jobs(cluster), serde_json::to_value(job).expect(json));
    secret.into_iter().flatten().chain([job]).collect()
}

/// Asks for the Job of this name.
pub fn status(cluster: &Cluster, name: &str) -> Request {
    get(format!("{}/{name}", jobs(cluster)))
}

/// Asks for its pods.
pub fn pods(cluster: &Cluster, name: &str) -> Request {
    get(format!(
        "/api/v1/namespaces/{}/pods?limit=10&labelSelector={}%3D{name}",
        cluster.namespace,
        NAME_LABEL.replace('/', "%2F")
    ))
}

/// Asks for the log of a pod, at most so many bytes of it.
pub fn log(cluster: &Cluster, pod: &str, most: u64) -> Request {
    get(format!(
        "/api/v1/namespaces/{}/pods/{pod}/log?container=job&limitBytes={most}",
        cluster.namespace
    ))
}

/// Ends a Job if it runs, and removes it with its pods, and then its Secret.
pub fn delete(cluster: &Cluster, name: &str) -> [Request; 2] {
    [
        gone(format!("{}/{name}", jobs(cluster))),
        gone(format!("{}/{name}", secrets(cluster))),
    ]
}

fn gone(path: String) -> Request {
    Request {
        method: "DELETE",
        path,
        body: Some(json!({
            "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background",
        })),
    }
}

fn get(path: String) -> Request {
    Request {
        method: "GET",
        path,
        body: None,
    }
}
