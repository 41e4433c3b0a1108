//! The Python package `tern` and its notebook against a hub as it ships, with a device that captures what it sees.
//!
//! What is tested stands in `sdk/python/tests`, so that whoever changes the package finds it beside it.

use std::process::Command;

use tern_tests::{
    binaries,
    fleet::{Fleet, meter},
    package, programs,
};

use super::python::{done, python, speaking, token};

/// Runs these files of the package's tests.
#[track_caller]
fn pytest(files: &[&str]) {
    let modules = "mlflow, onnxruntime, pandas, pyarrow, pytest, skl2onnx, nbclient, ipykernel";
    let Some(python) = python(modules) else {
        return;
    };
    let mut fleet = Fleet::secured(&[]);
    fleet.add_joined(&meter(1).capturing_all());
    let sdk = programs::repository().join("sdk/python");
    let ran = speaking(&fleet, &python, &token(&fleet, "admin"))
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir"])
        .arg(&sdk)
        .arg("-c")
        .arg(sdk.join("pyproject.toml"))
        .arg("--basetemp")
        .arg(fleet.dir().join("pytest"))
        .args(files.iter().map(|file| sdk.join("tests").join(file)))
        .env("TERN_TEST_PACKAGE", &package::digits(0).dir)
        .env(
            "TERN_TEST_AGENT",
            format!("http://{}", fleet.agents[0].address()),
        )
        .env("TERN_TEST_VIEWER", token(&fleet, "viewer"))
        .output()
        .expect("python runs");
    let told = done(&ran);
    assert!(
        told.contains(" passed") && !told.contains("skipped"),
        "{told}"
    );
}

#[test]
fn the_package_asks_a_hub_and_what_is_in_the_tree_is_its_api() {
    pytest(&[
        "test_datasets.py",
        "test_generated.py",
        "test_http.py",
        "test_jobs.py",
        "test_loop.py",
        "test_package.py",
        "test_proposals.py",
    ]);
}

#[test]
fn the_notebook_goes_from_captures_to_a_rollout() {
    pytest(&["test_notebook.py"]);
}

#[test]
fn the_package_holds_what_its_types_say() {
    let Some(python) = python("mypy, numpy, pytest") else {
        return;
    };
    let ran = Command::new(python)
        .args(["-m", "mypy", "--cache-dir"])
        .arg(binaries::dir().join("tern-tests/mypy"))
        .current_dir(programs::repository().join("sdk/python"))
        .output();
    done(&ran.expect("python runs"));
}
