mod access;
mod answers;
mod documented;
mod joining;
mod problems;

use std::{collections::BTreeSet, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{Method, StatusCode},
};
use serde_json::{Value, json};
use tern_protocol::{
    digest::Digest,
    rest::{Change, Problem},
    time::WallTime,
};
use tokio_stream::StreamExt as _;
use tower::ServiceExt as _;

use super::*;
use crate::{
    dashboard,
    monitor::fixture::{Device, World},
    registry::fixture::{package, single},
};

/// The hub's whole router over a real database, without a socket.
struct Hub {
    world: World,
    router: Router,
}

struct Got {
    status: StatusCode,
    kind: String,
    body: Bytes,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    #[track_caller]
    fn problem(&self, status: u16, kind: &str) -> Problem {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(
            (self.status.as_u16(), self.kind.as_str()),
            (status, PROBLEM),
            "{text}"
        );
        let problem: Problem = serde_json::from_slice(&self.body).expect("a problem");
        assert_eq!(problem.status, status);
        assert_eq!(problem.kind, format!("urn:tern:problem:{kind}"));
        assert!(!problem.title.is_empty() && !problem.detail.is_empty());
        problem
    }

    #[track_caller]
    fn ok(self) -> Self {
        assert!(
            self.status.is_success(),
            "{} {}",
            self.status,
            String::from_utf8_lossy(&self.body)
        );
        self
    }
}

const PROBLEM: &str = "application/problem+json";
const W: &str = "/api/v1/w/default";

impl Hub {
    async fn new() -> Self {
        let world = World::new().await;
        let app = world.app.clone();
        let routes = router().merge(dashboard::router()).with_state(app.clone());
        Self {
            world,
            router: around(routes, &app, Trust::Loopback),
        }
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: Body) -> Got {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind);
        let request = request.body(body).expect("a request");
        let answer = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("the router never fails");
        let kind = answer
            .headers()
            .get("content-type")
            .map(|kind| kind.to_str().expect("text"));
        let kind = kind.unwrap_or_default().to_owned();
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 64 << 20)
            .await
            .expect("a body");
        Got { status, kind, body }
    }

    async fn get(&self, path: &str) -> Got {
        self.send(Method::GET, path, "", Body::empty()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Got {
        self.send(
            Method::POST,
            path,
            "application/json",
            Body::from(body.to_string()),
        )
        .await
    }

    async fn put(&self, bytes: &[u8]) -> Got {
        let path = format!("{W}/blobs/{}", Digest::of(bytes));
        self.send(Method::PUT, &path, "", Body::from(bytes.to_vec()))
            .await
    }
}
