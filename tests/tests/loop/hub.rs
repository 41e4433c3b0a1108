//! The hub's own life, and what it says about itself.

use std::collections::BTreeSet;

use serde_json::Value;
use tern_protocol::{codec, desired::Desired, topic::Channel};
use tern_tests::{
    device,
    fleet::{Fleet, MODEL, meter},
    http::Http,
    mqtt::Mqtt,
    package, programs,
    traffic::Traffic,
    wait,
};

#[test]
fn a_hub_that_is_stopped_and_started_has_everything_and_publishes_desired_again() {
    let mut fleet = Fleet::of(2);
    let package = package::digits(0);
    fleet.serve(package);
    let load = Traffic::start(fleet.addresses(), &package.samples());
    wait::until("some telemetry", || {
        let counted = fleet.overview().totals.inferences;
        wait::that(counted > 100, || format!("{counted}"))
    });
    let answers = load.stop();
    assert_eq!(answers.failed, Vec::<String>::new());
    fleet.counts_exactly(0);
    let before = kept(&fleet);
    let egress = fleet.overview().totals.egress_bytes;
    assert!(egress > 0);

    assert!(
        fleet.hub.terminate().success(),
        "a hub that is told to stop ends well"
    );
    fleet.run_hub();
    wait::until("the agents to come back", || {
        let devices = fleet.devices();
        wait::that(devices.iter().all(|device| device.online), || {
            format!("{devices:?}")
        })
    });
    assert_eq!(kept(&fleet), before);
    assert_eq!(
        fleet.overview().totals.egress_bytes,
        egress,
        "it ships nothing twice"
    );

    // The broker is new and empty: what it retains came from the database.
    let mqtt = Mqtt::connect(fleet.hub.mqtt(), "listener");
    for agent in &fleet.agents {
        let id = agent.device().parse().expect("a name");
        let topic = device::topic(&id, Channel::Desired);
        mqtt.hear(&topic);
        let desired: Desired = wait::until(&format!("{topic} retained"), || {
            let heard = mqtt.heard(|heard| heard == topic);
            let bytes = heard.first().ok_or("nothing")?;
            Ok(codec::decode(bytes).expect("the hub sends desired states"))
        });
        assert_eq!(
            desired.revision,
            fleet.device(agent.device()).desired_revision
        );
        assert_eq!(desired.slots[0].model.as_str(), MODEL);
    }
    fleet.agents[0].infer(&package.samples()[0]);
    fleet.counts_exactly(0);
}

#[test]
fn the_api_describes_itself_in_openapi_3_1_and_every_error_is_a_problem() {
    let fleet = Fleet::empty();
    let (http, base) = (Http::default(), fleet.hub.url());
    let get = |path: &str| {
        http.get(&format!("{base}{path}"))
            .unwrap_or_else(|err| panic!("GET {path}: {err}"))
    };
    let answer = get("/api/openapi.json");
    assert!(
        answer.content_type.starts_with("application/json"),
        "{}",
        answer.content_type
    );
    let document = answer.json();
    let version = document["openapi"].as_str().unwrap_or_default();
    assert!(version.starts_with("3.1"), "OpenAPI {version}");
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());

    let paths = document["paths"].as_object().expect("paths are a map");
    for needed in [
        "/blobs/{digest}",
        "/models",
        "/models/{model}",
        "/models/{model}/versions",
        "/models/{model}/versions/{version}",
        "/devices",
        "/devices/{device}",
        "/devices/{device}/events",
        "/events",
        "/rollouts",
        "/rollouts/{id}",
        "/rollouts/{id}/pause",
        "/rollouts/{id}/resume",
        "/rollouts/{id}/abort",
        "/rollouts/{id}/widen",
        "/labels",
        "/captures",
        "/accuracy",
        "/charts/{metric}",
        "/overview",
        "/stream",
    ] {
        assert!(
            paths.keys().any(|path| path.ends_with(needed)),
            "{needed} is not described"
        );
    }
    let mut operations = BTreeSet::new();
    for (path, item) in paths {
        for (method, operation) in operations_of(item) {
            let responses = operation["responses"].as_object();
            assert!(
                responses.is_some_and(|all| !all.is_empty()),
                "{method} {path}"
            );
            if let Some(id) = operation["operationId"].as_str() {
                assert!(
                    operations.insert(id.to_owned()),
                    "operationId {id} stands twice"
                );
            }
        }
    }
    references_lead_somewhere(&document, &document);

    // Each route with names that nothing has, and bodies that nothing wants.
    for (path, item) in paths
        .iter()
        .filter(|(path, _)| path.starts_with("/api/v1/"))
    {
        let path = path
            .replace("{workspace}", "default")
            .replace("{id}", "4711");
        let path = fill(&path, "nothing-here");
        for (method, _) in operations_of(item) {
            let url = format!("{base}{path}");
            let answer = match method {
                // What listens without an end cannot be asked for its error.
                "get" if path.ends_with("/stream") || path.ends_with("/tap") => continue,
                // Whoever has no session is logged out already: there is nothing to refuse.
                "post" if path.ends_with("/logout") => continue,
                "get" => http.get(&url),
                "post" => http.post(&url, r#"{"nonsense":"#),
                "put" => http.put(&url, b"bytes"),
                _ => continue,
            };
            let answer = answer.unwrap_or_else(|err| panic!("{method} {path}: {err}"));
            if method != "get" || path.contains("nothing-here") || path.contains("4711") {
                assert!(
                    (400..500).contains(&answer.status),
                    "{method} {path}: {answer:?}"
                );
            }
            if answer.status >= 400 {
                assert_problem(&format!("{method} {path}"), &answer);
            }
        }
    }
    for path in [
        "/api/v1/w/default/nowhere",
        "/api/v1/w/no-such-workspace/devices",
        "/api/v2/x",
    ] {
        let answer = get(path);
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        assert_problem(path, &answer);
    }
    for query in ["limit=-1", "limit=many", "health=happy", "label=nothing"] {
        let path = format!("/api/v1/w/default/devices?{query}");
        let answer = get(&path);
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        assert_problem(&path, &answer);
    }
    let answer = http.delete(&format!("{base}/api/v1/w/default/devices"));
    let answer = answer.expect("a wrong method is answered");
    assert_eq!(answer.status, 405, "{answer:?}");
    assert_problem("DELETE /devices", &answer);
}

#[test]
fn health_readiness_and_metrics_are_there_for_operators() {
    let mut fleet = Fleet::empty();
    fleet.add(&meter(1));
    let package = package::digits(0);
    fleet.serve(package);
    fleet.agents[0].infer(&package.samples()[0]);
    fleet.counts_exactly(0);

    let (http, base) = (Http::default(), fleet.hub.url());
    let get = |path: &str| {
        http.get(&format!("{base}{path}"))
            .unwrap_or_else(|err| panic!("GET {path}: {err}"))
    };
    assert_eq!(get("/healthz").status, 200);
    assert_eq!(get("/readyz").status, 200);
    let metrics = get("/metrics");
    assert_eq!(metrics.status, 200);
    assert!(
        metrics.content_type.starts_with("text/plain"),
        "{}",
        metrics.content_type
    );
    let mut samples = 0;
    for line in metrics
        .body
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (series, value) = line
            .rsplit_once(' ')
            .unwrap_or_else(|| panic!("sample {line}"));
        let name = series.split('{').next().unwrap_or_default();
        assert!(name.starts_with("tern_"), "{line}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        samples += 1;
    }
    assert!(samples > 5, "{}", metrics.body);

    programs::assert_good_metrics(&metrics.body);
}

/// What has to be the same after a restart.
#[track_caller]
fn kept(fleet: &Fleet) -> Value {
    let client = fleet.client();
    let totals = fleet.overview().totals;
    let devices = fleet.devices().into_iter().map(|device| {
        serde_json::json!({
            "id": device.id, "site": device.site, "first_seen": device.first_seen,
            "desired": device.desired_revision, "reported": device.reported_revision,
            "inferences": device.inferences,
        })
    });
    serde_json::json!({
        "models": client.models().all().expect("the hub lists models"),
        "rollouts": client.rollouts().all().expect("the hub lists rollouts"),
        "devices": devices.collect::<Vec<_>>(),
        "inferences": totals.inferences,
    })
}

#[track_caller]
fn assert_problem(what: &str, answer: &tern_tests::http::Answer) {
    assert!(
        answer.content_type.starts_with("application/problem+json"),
        "{what}: {answer:?}"
    );
    let problem = answer.json();
    assert_eq!(problem["status"], answer.status, "{what}: {problem}");
    for key in ["type", "title", "detail"] {
        let text = problem[key].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{what}: {key} is empty in {problem}");
    }
}

/// The operations of a path, as (method, operation). What else stands there belongs to all of them.
fn operations_of(item: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let methods = ["get", "head", "put", "post", "delete", "patch"];
    methods
        .into_iter()
        .filter_map(|method| Some((method, item.get(method)?)))
}

/// A path with every `{parameter}` replaced.
fn fill(path: &str, value: &str) -> String {
    let levels = path
        .split('/')
        .map(|level| if level.starts_with('{') { value } else { level });
    levels.collect::<Vec<_>>().join("/")
}

/// Every `$ref` of the document names a part of it.
#[track_caller]
fn references_lead_somewhere(document: &Value, part: &Value) {
    match part {
        Value::Object(map) => {
            if let Some(Value::String(to)) = map.get("$ref") {
                let pointer = to
                    .strip_prefix('#')
                    .unwrap_or_else(|| panic!("{to} leads outside"));
                assert!(document.pointer(pointer).is_some(), "{to} leads nowhere");
            }
            map.values()
                .for_each(|part| references_lead_somewhere(document, part));
        }
        Value::Array(list) => list
            .iter()
            .for_each(|part| references_lead_somewhere(document, part)),
        _ => {}
    }
}
