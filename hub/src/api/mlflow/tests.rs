use axum::{
    Extension,
    body::Body,
    http::{Method, StatusCode},
};
use serde_json::{Value, json};
use tern_protocol::rest::Role;
use tower::ServiceExt as _;

use super::*;
use crate::access::principal::Account;

async fn app() -> (tempfile::TempDir, App) {
    crate::app::fresh().await
}

fn token(workspace: &str, role: Role) -> Principal {
    let who = Who::Token {
        id: tern_protocol::id::TokenId(1),
        user: "ada".parse().expect("a name"),
        workspace: workspace.parse().expect("a name"),
        role,
        hub_admin: false,
    };
    Principal { who, from: None }
}

async fn send(
    app: &App,
    asker: &Principal,
    method: &str,
    path: &str,
    body: &str,
) -> (StatusCode, Value) {
    let routes = super::super::router()
        .with_state(app.clone())
        .layer(Extension(asker.clone()));
    let request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).expect("a method"))
        .uri(path)
        .body(Body::from(body.to_owned()))
        .expect("a request");
    let answer = routes.oneshot(request).await.expect("it never fails");
    let status = answer.status();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 24)
        .await
        .expect("a body");
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// What each route needs. One that is missing here is found by the last lines of the test below.
const ROUTES: [(Permission, &str, &str); 54] = {
    use Permission::{Publish as P, View as V};
    [
        (P, "POST", "/mlflow/experiments/create"),
        (V, "GET", "/mlflow/experiments/get"),
        (V, "GET", "/mlflow/experiments/get-by-name"),
        (V, "POST", "/mlflow/experiments/search"),
        (P, "POST", "/mlflow/experiments/update"),
        (P, "POST", "/mlflow/experiments/delete"),
        (P, "POST", "/mlflow/experiments/restore"),
        (P, "POST", "/mlflow/experiments/set-experiment-tag"),
        (P, "POST", "/mlflow/experiments/delete-experiment-tag"),
        (P, "POST", "/mlflow/runs/create"),
        (V, "GET", "/mlflow/runs/get"),
        (V, "POST", "/mlflow/runs/search"),
        (P, "POST", "/mlflow/runs/update"),
        (P, "POST", "/mlflow/runs/delete"),
        (P, "POST", "/mlflow/runs/restore"),
        (P, "POST", "/mlflow/runs/set-tag"),
        (P, "POST", "/mlflow/runs/delete-tag"),
        (P, "POST", "/mlflow/runs/log-metric"),
        (P, "POST", "/mlflow/runs/log-parameter"),
        (P, "POST", "/mlflow/runs/log-batch"),
        (P, "POST", "/mlflow/runs/log-inputs"),
        (P, "POST", "/mlflow/runs/outputs"),
        (V, "GET", "/mlflow/metrics/get-history"),
        (V, "GET", "/mlflow/metrics/get-history-bulk-interval"),
        (V, "GET", "/mlflow/artifacts/list"),
        (P, "POST", "/mlflow/logged-models"),
        (V, "POST", "/mlflow/logged-models/search"),
        (V, "GET", "/mlflow/logged-models/m-1"),
        (P, "PATCH", "/mlflow/logged-models/m-1"),
        (P, "DELETE", "/mlflow/logged-models/m-1"),
        (P, "POST", "/mlflow/logged-models/m-1/params"),
        (P, "PATCH", "/mlflow/logged-models/m-1/tags"),
        (P, "DELETE", "/mlflow/logged-models/m-1/tags/k"),
        (P, "POST", "/mlflow/registered-models/create"),
        (V, "GET", "/mlflow/registered-models/get"),
        (V, "GET", "/mlflow/registered-models/search"),
        (P, "POST", "/mlflow/registered-models/rename"),
        (P, "PATCH", "/mlflow/registered-models/update"),
        (P, "DELETE", "/mlflow/registered-models/delete"),
        (P, "POST", "/mlflow/registered-models/set-tag"),
        (P, "DELETE", "/mlflow/registered-models/delete-tag"),
        (V, "POST", "/mlflow/registered-models/get-latest-versions"),
        (V, "GET", "/mlflow/registered-models/alias"),
        (P, "POST", "/mlflow/registered-models/alias"),
        (P, "DELETE", "/mlflow/registered-models/alias"),
        (P, "POST", "/mlflow/model-versions/create"),
        (V, "GET", "/mlflow/model-versions/get"),
        (V, "GET", "/mlflow/model-versions/search"),
        (V, "GET", "/mlflow/model-versions/get-download-uri"),
        (P, "POST", "/mlflow/model-versions/transition-stage"),
        (V, "GET", "/mlflow-artifacts/artifacts"),
        (V, "GET", "/mlflow-artifacts/artifacts/0/x"),
        (P, "PUT", "/mlflow-artifacts/artifacts/0/x"),
        (P, "DELETE", "/mlflow-artifacts/artifacts/0/x"),
    ]
};

#[tokio::test]
async fn every_route_lets_in_who_has_its_permission_and_nobody_else() {
    let (_dir, app) = app().await;
    let device = Principal {
        who: Who::Device {
            identity: tern_protocol::id::IdentityId(1),
            workspace: "default".parse().expect("a name"),
            device: "meter-01".parse().expect("a name"),
        },
        from: None,
    };
    let stranger = Principal {
        who: Who::User(Account {
            user: "eve".parse().expect("a name"),
            hub_admin: false,
            roles: std::collections::BTreeMap::new(),
        }),
        from: None,
    };
    for (permission, method, path) in ROUTES {
        let path = format!("/api/2.0{path}");
        for role in crate::access::role::ROLES {
            let (status, body) = send(&app, &token("default", role), method, &path, "{}").await;
            let may = crate::access::role::permits(role, permission);
            let why = format!("{method} {path} as {role:?}: {status} {body}");
            if may {
                assert!(!matches!(status.as_u16(), 401 | 403 | 405 | 500..), "{why}");
                assert_ne!(body["error_code"], "ENDPOINT_NOT_FOUND", "{why}");
            } else {
                assert_eq!(
                    (status.as_u16(), &body["error_code"]),
                    (403, &json!("PERMISSION_DENIED")),
                    "{why}"
                );
            }
        }
        for (nobody, expected) in [
            (&Principal::ANONYMOUS, 401),
            (&device, 401),
            (&stranger, 403),
        ] {
            let (status, body) = send(&app, nobody, method, &path, "{}").await;
            assert_eq!(
                status.as_u16(),
                expected,
                "{method} {path} as {nobody}: {body}"
            );
        }
    }
}

#[tokio::test]
async fn a_workspace_sees_its_own_and_answers_in_mlflows_words() {
    let (_dir, app) = app().await;
    let ours = token("default", Role::Scientist);
    let theirs = token("plant-2", Role::Scientist);
    let api = async |who: &Principal, method: &str, path: &str, body: Value| {
        let path = format!("/api/2.0/mlflow{path}");
        send(&app, who, method, &path, &body.to_string()).await
    };
    let (status, made) = api(
        &ours,
        "POST",
        "/experiments/create",
        json!({ "name": "digits" }),
    )
    .await;
    assert_eq!(status, 200, "{made}");
    assert_eq!(made, json!({ "experiment_id": "1" }));
    let (status, again) = api(
        &ours,
        "POST",
        "/experiments/create",
        json!({ "name": "digits" }),
    )
    .await;
    assert_eq!(
        (status.as_u16(), &again["error_code"]),
        (400, &json!("RESOURCE_ALREADY_EXISTS"))
    );
    let (status, hidden) = api(
        &theirs,
        "GET",
        "/experiments/get?experiment_id=1",
        json!(null),
    )
    .await;
    assert_eq!(
        (status.as_u16(), &hidden["error_code"]),
        (404, &json!("RESOURCE_DOES_NOT_EXIST"))
    );
    let (_, first) = api(
        &theirs,
        "GET",
        "/experiments/get?experiment_id=0",
        json!(null),
    )
    .await;
    assert_eq!(first["experiment"]["name"], "Default");

    let new = json!({ "experiment_id": "1", "start_time": 5, "tags": [{ "key": "mlflow.runName", "value": "first" }] });
    let (_, run) = api(&ours, "POST", "/runs/create", new).await;
    let id = run["run"]["info"]["run_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert_eq!(run["run"]["info"]["run_uuid"], json!(id));
    assert_eq!(
        run["run"]["info"]["artifact_uri"],
        json!(format!("mlflow-artifacts:/1/{id}/artifacts"))
    );
    let metric = |key: &str, value: Value| json!({ "run_id": id, "key": key, "value": value, "timestamp": 1, "step": 0 });
    for (key, value) in [
        ("a", json!(0.5)),
        ("b", json!("NaN")),
        ("c", json!("Infinity")),
    ] {
        let (status, body) = api(&ours, "POST", "/runs/log-metric", metric(key, value)).await;
        assert_eq!((status.as_u16(), body), (200, json!({})));
    }
    let (_, read) = api(&ours, "GET", &format!("/runs/get?run_id={id}"), json!(null)).await;
    let metrics = read["run"]["data"]["metrics"].as_array().expect("metrics");
    let values: Vec<&Value> = metrics.iter().map(|metric| &metric["value"]).collect();
    assert_eq!(values, [&json!(0.5), &json!("NaN"), &json!(f64::MAX)]);
    let (status, _) = api(
        &theirs,
        "GET",
        &format!("/runs/get?run_id={id}"),
        json!(null),
    )
    .await;
    assert_eq!(status, 404);
    let (status, _) = api(&theirs, "POST", "/runs/log-metric", metric("a", json!(1.0))).await;
    assert_eq!(status, 404);

    let none = json!({ "experiment_ids": ["1"], "filter": "metrics.a > 1" });
    assert_eq!(
        api(&ours, "POST", "/runs/search", none).await.1,
        json!({}),
        "an empty list is absent"
    );
    // What a client does wrong is never told so that it tries again.
    for (method, path, body) in [
        (
            "POST",
            "/runs/search",
            json!({ "experiment_ids": ["1"], "max_results": 50_001 }),
        ),
        (
            "POST",
            "/runs/search",
            json!({ "experiment_ids": ["1"], "filter": "x ! y" }),
        ),
        (
            "POST",
            "/runs/search",
            json!({ "experiment_ids": ["1"], "page_token": "x" }),
        ),
        ("POST", "/runs/search", json!([1])),
        (
            "POST",
            "/runs/log-metric",
            json!({ "run_id": id, "key": "a", "value": "much", "timestamp": 1 }),
        ),
        (
            "POST",
            "/runs/log-metric",
            json!({ "run_id": id, "key": "a" }),
        ),
        ("GET", "/runs/get", json!(null)),
        ("GET", "/nowhere", json!(null)),
        ("PUT", "/runs/get", json!(null)),
    ] {
        let (status, answer) = api(&ours, method, path, body.clone()).await;
        assert!(
            matches!(status.as_u16(), 400 | 404),
            "{method} {path} {body}: {status} {answer}"
        );
        assert!(
            answer["error_code"].is_string() && answer["message"].is_string(),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_file_comes_back_from_where_it_broke_off() {
    let (_dir, app) = app().await;
    let who = token("default", Role::Scientist);
    let routes = super::super::router()
        .with_state(app.clone())
        .layer(Extension(who));
    let path = "/api/2.0/mlflow-artifacts/artifacts/0/r/artifacts/a%20b.bin";
    let bytes: Vec<u8> = (0..700_000_u32).map(|i| (i % 253) as u8).collect();
    let ask = async |method: &str, headers: &[(&str, &str)], body: Vec<u8>| {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body)).expect("a request");
        let answer = routes
            .clone()
            .oneshot(request)
            .await
            .expect("it never fails");
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, 1 << 24).await.expect("a body");
        (parts, body)
    };
    let (put, body) = ask("PUT", &[], bytes.clone()).await;
    assert_eq!((put.status.as_u16(), body.len()), (200, 0));
    let (whole, body) = ask("GET", &[], Vec::new()).await;
    assert_eq!(whole.status, 200);
    assert_eq!(body, bytes);
    let tag = whole.headers["etag"].to_str().expect("text").to_owned();
    let (rest, body) = ask(
        "GET",
        &[("range", "bytes=300000-"), ("if-range", &tag)],
        Vec::new(),
    )
    .await;
    assert_eq!(rest.status, 206);
    assert_eq!(rest.headers["content-range"], "bytes 300000-699999/700000");
    assert_eq!(body, bytes[300_000..]);
    let (beyond, _) = ask("GET", &[("range", "bytes=700000-")], Vec::new()).await;
    assert_eq!(beyond.status, 416);
    ask("PUT", &[], b"another".to_vec()).await;
    let (changed, body) = ask(
        "GET",
        &[("range", "bytes=3-"), ("if-range", &tag)],
        Vec::new(),
    )
    .await;
    assert_eq!((changed.status.as_u16(), &body[..]), (200, &b"another"[..]));
}
