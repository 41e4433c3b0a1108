//! The unmodified MLflow client against a hub as it ships: TLS, a token, a role.

use std::{path::Path, process::Output};

use serde_json::Value;
use tern_tests::{
    cli::{tern, tern_json},
    fleet::Fleet,
};

use super::python::{done, python, speaking, token};

/// What the client's script imports.
const MODULES: &str = "mlflow, onnx, sklearn";

/// Runs parts of the client's script with this token.
fn client(fleet: &Fleet, python: &Path, token: &str, parts: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lifecycle/client.py");
    speaking(fleet, python, token)
        .arg(script)
        .args(parts)
        .output()
        .expect("python runs")
}

#[test]
fn an_unmodified_client_keeps_experiments_runs_files_and_models() {
    let Some(python) = python(MODULES) else {
        return;
    };
    let mut fleet = Fleet::secured(&[]);
    let scientist = token(&fleet, "scientist");
    let parts = ["experiments", "runs", "artifacts", "nested", "registry"];
    done(&client(&fleet, &python, &scientist, &parts));

    // Whoever may only look changes nothing, and hears why.
    let viewer = token(&fleet, "viewer");
    let refused = client(&fleet, &python, &viewer, &["experiments"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("PERMISSION_DENIED"),
        "{said}"
    );

    // What was logged is there after the hub was killed.
    let before = tern_json(&fleet, &["run", "list", "--experiment", "runs"]);
    assert_eq!(before.as_array().expect("runs").len(), 13);
    fleet.hub.kill_9();
    fleet.hub.run();
    let after = tern_json(&fleet, &["run", "list", "--experiment", "runs"]);
    assert_eq!(after, before);
    let audited = tern_json(&fleet, &["audit", "list"]).to_string();
    for action in [
        "experiment.create",
        "experiment.delete",
        "run.delete",
        "registry.alias",
    ] {
        assert!(audited.contains(action), "{action} is not in the audit log");
    }
}

#[test]
fn models_of_the_client_are_vetted_signed_and_compared_by_what_they_cost() {
    let Some(python) = python(MODULES) else {
        return;
    };
    let fleet = Fleet::secured(&[]);
    let scientist = token(&fleet, "scientist");
    let told = done(&client(&fleet, &python, &scientist, &["sklearn", "onnx"]));
    let told: Value = serde_json::from_str(told.lines().last().expect("a line")).expect("JSON");
    let run = |width: &str| told["runs"][width].as_str().expect("a run").to_owned();

    let model = tern_json(&fleet, &["model", "show", "iris-onnx"]);
    let versions = model["versions"].as_array().expect("versions");
    assert_eq!(versions.len(), 4, "{model}");
    for version in versions {
        assert_eq!(version["signed"], true, "{version}");
        assert_eq!(version["classes"][2], "virginica");
        assert_eq!(
            version["vetting"]["golden_samples"], 3,
            "the rows of the example"
        );
    }

    let best = |more: &[&str]| {
        let ask = [
            "run",
            "best",
            "--experiment",
            "onnx",
            "--metric",
            "accuracy",
        ];
        tern_json(&fleet, &[&ask, more].concat())
    };
    assert_eq!(
        best(&[])["best"]["run"],
        run("20000"),
        "without constraints the most accurate"
    );
    let found = best(&["--where", "size < 200 kB and p95_ms < 1000"]);
    assert_eq!(found["best"]["run"], run("64"), "{found}");
    assert_eq!(found["best"]["measured"]["version"]["version"], 2);
    assert_eq!(found["excluded"], 1, "the widest is too large");
    let front: Vec<&str> = found["front"]
        .as_array()
        .expect("a front")
        .iter()
        .map(|one| one["run"].as_str().expect("an id"))
        .collect();
    assert!(
        front.contains(&run("20000").as_str()) && front.contains(&run("64").as_str()),
        "{found}"
    );
    let none = tern(
        &fleet,
        &[
            "run",
            "best",
            "-e",
            "onnx",
            "-m",
            "accuracy",
            "--where",
            "size < 10 B",
        ],
    );
    assert_eq!(none.code, Some(1), "{none:?}");
    let odd = tern(
        &fleet,
        &[
            "run",
            "best",
            "-e",
            "onnx",
            "-m",
            "accuracy",
            "--where",
            "colour < 3",
        ],
    );
    assert!(odd.log.contains("p95_ms"), "{odd:?}");

    let shown = tern_json(&fleet, &["run", "show", &run("64")]);
    assert_eq!(shown["models"][0]["deployable"]["version"], 2, "{shown}");
    let curve = tern_json(&fleet, &["run", "show", &run("64"), "--metric", "loss"]);
    assert_eq!(curve["points"].as_array().expect("points").len(), 20);
    let page = page(&fleet, &scientist, &format!("/runs/{}", run("64")));
    assert!(
        page.contains("iris-onnx") && page.contains("width-64"),
        "{page}"
    );
    let page = page_of_experiment(&fleet, &scientist);
    assert!(page.contains("width-20000"), "{page}");
}

/// A page of the dashboard, as whoever has this token sees it.
#[track_caller]
fn page(fleet: &Fleet, token: &str, path: &str) -> String {
    let url = format!("{}{path}", fleet.hub.url());
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let answer = fleet.hub.http().send("GET", &url, &headers, &[]);
    let answer = answer.unwrap_or_else(|err| panic!("{path}: {err}"));
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.body
}

#[track_caller]
fn page_of_experiment(fleet: &Fleet, token: &str) -> String {
    let all = tern_json(fleet, &["experiment", "list"]);
    let all = all.as_array().expect("experiments");
    let of = all
        .iter()
        .find(|one| one["name"] == "onnx")
        .expect("it is there");
    page(fleet, token, &format!("/experiments/{}", of["id"]))
}
