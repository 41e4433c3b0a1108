mod access;
mod joining;

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

#[tokio::test]
async fn every_route_is_documented_and_every_reference_resolves() {
    let hub = Hub::new().await;
    let document = hub.get("/api/openapi.json").await.ok().json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().expect("paths");
    let mut documented = BTreeSet::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("an item") {
            if method == "parameters" {
                continue;
            }
            documented.insert(format!(
                "{method} {}",
                path.trim_start_matches(openapi::BASE)
            ));
            let text = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{text} says nothing");
            assert!(
                operation["responses"]["default"].is_object(),
                "{text} has no problem"
            );
            let own = operation["parameters"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let shared = item["parameters"].as_array().cloned().unwrap_or_default();
            for name in path
                .split('{')
                .skip(1)
                .filter_map(|rest| rest.split('}').next())
            {
                let has = own
                    .iter()
                    .chain(&shared)
                    .any(|p| p["name"] == name && p["in"] == "path");
                assert!(has, "{text} does not describe {name}");
            }
        }
    }
    let expected = [
        "put /blobs/{digest}",
        "head /blobs/{digest}",
        "get /members",
        "put /members/{user}",
        "delete /members/{user}",
        "get /tokens",
        "post /tokens",
        "post /tokens/{id}/revoke",
        "get /audit",
        "get /api/v1/audit/all",
        "get /api/v1/audit/verify",
        "post /api/v1/setup",
        "post /api/v1/login",
        "post /api/v1/login/token",
        "post /api/v1/logout",
        "get /api/v1/me",
        "post /api/v1/me/password",
        "post /api/v1/me/second-factor",
        "post /api/v1/me/second-factor/confirm",
        "post /api/v1/me/second-factor/remove",
        "get /api/v1/workspaces",
        "post /api/v1/workspaces",
        "get /api/v1/users",
        "post /api/v1/users",
        "post /api/v1/users/{user}/link",
        "post /api/v1/users/{user}/disable",
        "post /api/v1/users/{user}/enable",
        "get /api/v1/authorities",
        "get /api/v1/ca",
        "get /api/v1/sdk/{wheel}",
        "get /identities",
        "get /invitations",
        "post /api/v1/join",
        "post /api/v1/renew",
        "post /identities/{id}/accept",
        "post /identities/{id}/reject",
        "post /identities/{id}/revoke",
        "post /invitations",
        "post /invitations/{id}/revoke",
        "get /blobs/{digest}",
        "get /models",
        "get /models/{model}",
        "get /models/{model}/versions/{version}",
        "post /models/{model}/versions",
        "post /models/{model}/versions/{version}/revoke",
        "post /models/{model}/versions/{version}/transcodings",
        "get /datasets",
        "post /datasets",
        "get /datasets/{dataset}",
        "delete /datasets/{dataset}",
        "post /datasets/{dataset}/stop",
        "get /datasets/{dataset}/rows",
        "get /datasets/{dataset}/files/{file}",
        "get /datasets/{dataset}/diff/{other}",
        "get /datastores",
        "post /datastores",
        "delete /datastores/{name}",
        "get /experiments",
        "get /experiments/{experiment}/runs",
        "get /experiments/{experiment}/best",
        "get /runs/{run}",
        "get /runs/{run}/curve",
        "get /trust",
        "post /trust/plan",
        "post /trust/signatures",
        "post /trust/withdraw",
        "get /delivery",
        "get /delivery/blobs/{digest}",
        "get /devices",
        "get /devices/{device}",
        "get /devices/{device}/events",
        "get /devices/{device}/timeline",
        "get /events",
        "post /rollouts",
        "get /rollouts",
        "get /rollouts/{id}",
        "post /rollouts/{id}/pause",
        "post /rollouts/{id}/resume",
        "post /rollouts/{id}/abort",
        "post /rollouts/{id}/widen",
        "post /rollouts/{id}/approve",
        "get /rollouts/{id}/replay",
        "post /plans/start",
        "post /plans/check",
        "post /plans/rehearse",
        "get /freeze",
        "post /freeze",
        "delete /freeze",
        "get /models/{model}/plans",
        "put /models/{model}/plans/{name}",
        "delete /models/{model}/plans/{name}",
        "post /labels",
        "get /captures",
        "get /captures/kept",
        "post /capture-requests",
        "get /capture-requests",
        "post /capture-requests/{id}/cancel",
        "post /capture-deletions",
        "get /capture-deletions",
        "get /capture-deletions/{id}",
        "get /accuracy",
        "get /models/{model}/versions/{version}/truth",
        "get /labelling/{model}",
        "get /lineage",
        "put /labelling/{model}",
        "post /labelling/{model}/next",
        "post /labelling/{model}/say",
        "post /labelling/{model}/undo",
        "get /charts/{metric}",
        "get /findings",
        "get /findings/{finding}",
        "post /findings/{finding}/accept",
        "get /models/{model}/versions/{version}/distances",
        "get /overview",
        "get /notifications",
        "get /notifications/subscriptions",
        "post /notifications/subscriptions",
        "delete /notifications/subscriptions/{id}",
        "post /notifications/subscriptions/{id}/test",
        "get /alerts",
        "get /alerts/{id}",
        "post /alerts/{id}/acknowledge",
        "get /alerts/rules",
        "put /alerts/rules/{name}",
        "delete /alerts/rules/{name}",
        "post /alerts/rules/check",
        "post /alerts/rules/apply",
        "get /alerts/silences",
        "post /alerts/silences",
        "delete /alerts/silences/{id}",
        "get /retraining",
        "get /models/{model}/retraining",
        "post /models/{model}/retraining/rounds",
        "get /models/{model}/retraining/policy",
        "post /retraining/policies",
        "delete /models/{model}/retraining/policy",
        "post /retraining/check",
        "get /retraining/trainings",
        "get /retraining/trainings/{name}",
        "put /retraining/trainings/{name}",
        "delete /retraining/trainings/{name}",
        "get /proposals",
        "get /proposals/{id}",
        "post /proposals/{id}/say",
        "get /retraining/lessons",
        "post /jobs",
        "get /jobs",
        "get /jobs/{id}",
        "get /jobs/{id}/log",
        "get /jobs/{id}/artifact",
        "put /jobs/{id}/artifact",
        "post /jobs/{id}/artifacts",
        "post /jobs/{id}/cancel",
        "post /jobs/{id}/retry",
        "get /computes",
        "get /computes/{name}",
        "put /api/v1/computes/{name}",
        "delete /api/v1/computes/{name}",
        "get /quarantine",
        "get /stream",
        "get /tap",
        "get /healthz",
        "get /readyz",
        "get /metrics",
    ];
    let expected: BTreeSet<String> = expected.into_iter().map(String::from).collect();
    assert_eq!(documented, expected);

    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    assert!(references.contains("#/components/schemas/Problem"));
    for reference in references {
        let pointer = reference.trim_start_matches('#');
        assert!(
            document.pointer(pointer).is_some(),
            "{reference} leads nowhere"
        );
    }
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                references.insert(reference.clone());
            }
            fields.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}

#[tokio::test]
async fn every_error_is_a_problem() {
    let hub = Hub::new().await;
    let get = async |path: &str| hub.get(&format!("{W}{path}")).await;
    hub.get("/api/v1/nowhere").await.problem(404, "not-found");
    hub.get("/api").await.problem(404, "not-found");
    hub.get("/api/v1/w/elsewhere/models")
        .await
        .problem(404, "not-found");
    hub.get("/api/v1/w/..%2f/models")
        .await
        .problem(404, "not-found");
    get("/models/nobody").await.problem(404, "not-found");
    get("/models/a%20b").await.problem(400, "bad-request");
    get("/models/nobody/versions/0")
        .await
        .problem(400, "bad-request");
    get("/models/nobody/versions/1")
        .await
        .problem(404, "not-found");
    get("/devices/nobody").await.problem(404, "not-found");
    get("/devices/nobody/events")
        .await
        .problem(404, "not-found");
    get("/devices?colour=red").await.problem(400, "bad-request");
    get("/devices?label=nothing")
        .await
        .problem(400, "bad-request");
    get("/rollouts/7").await.problem(404, "not-found");
    get("/rollouts/x").await.problem(400, "bad-request");
    get("/charts/mood").await.problem(400, "bad-request");
    get("/charts/traffic?from=5&to=1")
        .await
        .problem(422, "unprocessable");
    get("/charts/traffic?from=0&to=9000000&step_ms=1")
        .await
        .problem(422, "unprocessable");
    for of_one in [
        "/charts/accuracy?group=arm",
        "/charts/accuracy?arm=control",
        "/charts/traffic?arm=control&device=d",
    ] {
        get(of_one).await.problem(422, "unprocessable");
    }
    get("/charts/traffic?step_ms=0")
        .await
        .problem(422, "unprocessable");
    get("/accuracy?last=0").await.problem(422, "unprocessable");
    get("/captures?after=last")
        .await
        .problem(400, "bad-request");
    get("/blobs/abc").await.problem(400, "bad-request");
    get(&format!("/blobs/{}", Digest::of(b"x")))
        .await
        .problem(404, "not-found");

    let delete = hub
        .send(Method::DELETE, &format!("{W}/models"), "", Body::empty())
        .await;
    delete.problem(405, "method-not-allowed");
    let labels = format!("{W}/labels");
    let send = async |kind: &str, text: Vec<u8>| {
        hub.send(Method::POST, &labels, kind, Body::from(text))
            .await
    };
    send("text/plain", b"{}".to_vec())
        .await
        .problem(415, "media-type");
    send("application/json", b"{".to_vec())
        .await
        .problem(400, "bad-request");
    send("application/json", b"{\"labels\":7}".to_vec())
        .await
        .problem(422, "unprocessable");
    send("application/json", b"{\"labels\":[],\"x\":1}".to_vec())
        .await
        .problem(422, "unprocessable");
    send("application/json", vec![b' '; JSON_BODY + 1])
        .await
        .problem(413, "too-large");
    // The same as a table: what is wrong is said with its line, and what is refused too.
    send("text/csv", b"device,prediction\nm,1-1\n".to_vec())
        .await
        .problem(422, "unprocessable");
    let wrong = b"device,prediction,truth\nm,1-1,7\nm,x,7\n".to_vec();
    let wrong = send("text/csv; charset=utf-8", wrong).await;
    let wrong = wrong.problem(422, "unprocessable").detail;
    assert!(wrong.contains("line 3: prediction `x`"), "{wrong}");
    send("text/csv", vec![b'x'; JSON_BODY + 1])
        .await
        .problem(413, "too-large");
    let table = b"truth,note,prediction,device\r\n7,,1-1,meter-01\r\n".to_vec();
    let refused = send("text/csv", table).await.json();
    assert_eq!(
        (&refused["added"], &refused["refused"][0]["line"]),
        (&0.into(), &2.into())
    );
    let rollout = json!({"slot": "reader", "model": "nobody", "version": 1});
    hub.post(&format!("{W}/rollouts"), &rollout)
        .await
        .problem(422, "unprocessable");
    hub.post(&format!("{W}/rollouts/9/pause"), &json!({}))
        .await
        .problem(404, "not-found");
    let nothing = hub
        .send(
            Method::POST,
            &format!("{W}/rollouts/9/abort"),
            "",
            Body::empty(),
        )
        .await;
    nothing.problem(404, "not-found");
    let wrong = format!("{W}/blobs/{}", Digest::of(b"x"));
    let wrong = hub.send(Method::PUT, &wrong, "", Body::from("y")).await;
    wrong.problem(422, "unprocessable");
}

#[tokio::test]
async fn a_panic_becomes_a_problem_and_the_hub_goes_on() {
    async fn broken() -> &'static str {
        panic!("a fault")
    }
    let routes = Router::new().route("/broken", axum::routing::get(broken));
    let world = World::new().await;
    let hub = Hub {
        router: around(routes, &world.app, Trust::Loopback),
        world,
    };
    hub.get("/broken").await.problem(500, "internal");
    hub.get("/broken").await.problem(500, "internal");
}

#[tokio::test]
async fn a_model_is_uploaded_published_and_shown() {
    let hub = Hub::new().await;
    let good = package(1.0);
    assert_eq!(hub.put(&good.onnx).await.status, StatusCode::CREATED);
    assert_eq!(hub.put(&good.onnx).await.status, StatusCode::OK);
    let path = format!("{W}/blobs/{}", Digest::of(&good.onnx));
    assert_eq!(hub.get(&path).await.ok().body, good.onnx);
    let head = hub.send(Method::HEAD, &path, "", Body::empty()).await.ok();
    assert!(head.body.is_empty());

    let new = good.upload(&hub.world.app.blobs).await;
    let new = serde_json::to_value(new).expect("JSON");
    let versions = format!("{W}/models/digits/versions");
    let published = hub.post(&versions, &new).await;
    assert_eq!(published.status, StatusCode::CREATED);
    assert_eq!(published.json()["version"], 1);
    let again = hub.post(&versions, &new).await;
    assert_eq!(
        (again.status, again.json()),
        (StatusCode::OK, published.json())
    );
    assert_eq!(
        hub.get(&format!("{versions}/1")).await.ok().json(),
        published.json()
    );
    assert_eq!(
        hub.get(&format!("{versions}/v1")).await.status,
        StatusCode::BAD_REQUEST
    );
    let model = hub.get(&format!("{W}/models/digits")).await.ok().json();
    assert_eq!(model["versions"].as_array().map(Vec::len), Some(1));
    let models = hub.get(&format!("{W}/models")).await.ok().json();
    assert_eq!(models["items"][0], model);

    let onnx = single("TreeEnsembleRegressor");
    hub.put(&onnx).await.ok();
    let mut bad = new;
    bad["onnx"] = json!(Digest::of(&onnx).to_string());
    let problem = hub.post(&versions, &bad).await.problem(422, "not-vetted");
    assert_eq!(problem.findings[0].check, "operator");
    assert_eq!(problem.findings[0].subject, "TreeEnsembleRegressor");
    assert!(!problem.findings[0].remedy.is_empty());
}

#[tokio::test]
async fn every_list_answers_on_an_empty_hub_and_on_a_full_one() {
    let hub = Hub::new().await;
    let paths = [
        "/models",
        "/devices",
        "/events",
        "/rollouts",
        "/captures",
        "/accuracy",
        "/overview",
        "/charts/traffic",
        "/charts/errors?group=site",
        "/charts/latency?group=version",
        "/charts/prediction",
        "/charts/confidence",
        "/charts/accuracy?group=site",
        "/accuracy?model=digits&last=100",
        "/captures?labelled=false&model=digits&site=harbour",
        "/devices?site=harbour&health=healthy&label=a=b&limit=5",
        "/events?limit=3",
    ];
    for path in paths {
        hub.get(&format!("{W}{path}")).await.ok();
    }
    let mut device = Device::new("meter-1");
    let bodies = vec![
        device.window(0, 60_000, 120),
        device.capture(1, 1, 1.0),
        device.label(1, 1, 1),
    ];
    let batch = device.batch(bodies);
    hub.world.ingest(vec![batch]).await;
    for path in paths {
        hub.get(&format!("{W}{path}")).await.ok();
    }
    let overview = hub.get(&format!("{W}/overview")).await.ok().json();
    assert_eq!(overview["totals"]["inferences"], 120);
    let chart = hub.get(&format!("{W}/charts/traffic")).await.ok().json();
    assert_eq!(
        chart["series"][0]["points"].as_array().map(Vec::len),
        Some(60)
    );
}

#[tokio::test]
async fn health_readiness_and_metrics() {
    let hub = Hub::new().await;
    assert_eq!(hub.get("/healthz").await.ok().body, "ok\n");
    assert_eq!(hub.get("/readyz").await.ok().json()["broker"], true);
    hub.world.ready.send_modify(|ready| ready.inbound = false);
    let problem = hub.get("/readyz").await.problem(503, "unavailable");
    assert!(
        problem.detail.contains("the link from devices"),
        "{problem:?}"
    );

    hub.get(&format!("{W}/models/nobody")).await;
    let metrics = hub.get("/metrics").await.ok();
    assert!(metrics.kind.starts_with("text/plain; version=0.0.4"));
    let text = String::from_utf8(metrics.body.to_vec()).expect("text");
    for line in [
        "# TYPE tern_windows_total counter",
        "# HELP tern_devices Devices by health.",
        "tern_devices{workspace=\"default\",health=\"offline\"} 0",
        "tern_ingest_queue 0",
        "tern_ready 0",
        "tern_http_requests_total{route=\"/api/v1/w/{workspace}/models/{model}\",method=\"GET\",\
         status=\"404\"} 1",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "no `{line}` in\n{text}"
        );
    }
}

#[tokio::test]
async fn a_stream_tells_changes_of_its_workspace_until_the_hub_stops() {
    let hub = Hub::new().await;
    let request = Request::get(format!("{W}/stream"))
        .body(Body::empty())
        .expect("a request");
    let answer = hub.router.clone().oneshot(request).await.expect("answers");
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut body = answer.into_body().into_data_stream();
    let other = "elsewhere".parse().expect("a name");
    let changes = &hub.world.app.changes;
    changes.send(&other, Change::Telemetry { at: WallTime(1) });
    for ms in 2..9 {
        changes.send(&hub.world.workspace, Change::Telemetry { at: WallTime(ms) });
    }
    let mut next = async || {
        let next = tokio::time::timeout(Duration::from_secs(10), body.next()).await;
        let piece = next.expect("comes in time")?.expect("a piece");
        Some(String::from_utf8(piece.to_vec()).expect("text"))
    };
    let first = next().await.expect("a change");
    assert_eq!(
        first,
        "event: telemetry\ndata: {\"changed\":\"telemetry\",\"at\":2}\n\n"
    );
    let second = next().await.expect("a change");
    assert!(
        second.contains("\"at\":8"),
        "a burst is told as one: {second}"
    );
    drop(hub.world.ready);
    assert_eq!(next().await, None);
}

#[tokio::test]
async fn an_answer_to_a_body_that_nobody_read_says_that_the_connection_ends() {
    let hub = Hub::new().await;
    let label = format!("{W}/labels");
    for (method, path, body, closes) in [
        // Its body is not looked at.
        (Method::POST, "/api/v1/users/nobody/link", "{}", true),
        (Method::POST, "/api/v1/no/such/route", "{}", true),
        (Method::POST, "/api/v1/users/nobody/link", "", false),
        // Read, and refused.
        (Method::POST, label.as_str(), r#"{"nonsense":"#, false),
        (Method::GET, "/healthz", "", false),
    ] {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("content-type", "application/json");
        let request = request.body(Body::from(body)).expect("a request");
        let answer = hub.router.clone().oneshot(request).await;
        let answer = answer.expect("the router never fails");
        let said = answer.headers().get("connection");
        assert_eq!(
            said.is_some_and(|it| it == "close"),
            closes,
            "{path} {body}"
        );
    }
}
