//! What the OpenAPI document says, and that it says all.

use super::*;

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
