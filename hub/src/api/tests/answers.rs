//! What is answered when nothing is wrong.

use super::*;

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
