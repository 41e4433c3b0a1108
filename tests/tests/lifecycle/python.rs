//! Python programs against a hub as it ships: with TLS, a token, and nothing of whoever runs the tests.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tern_tests::{cli::tern_json, fleet::Fleet, programs};

/// Python with these modules, if there is one; without, the test says so and does nothing.
pub(crate) fn python(modules: &str) -> Option<PathBuf> {
    programs::python("TERN_MLFLOW", "target/mlflow/bin/python", modules)
}

/// A fresh token of this role.
#[track_caller]
pub(crate) fn token(fleet: &Fleet, role: &str) -> String {
    let ask = [
        "token",
        "create",
        "training",
        "--role",
        role,
        "--expires",
        "1h",
    ];
    let made = tern_json(fleet, &ask);
    made["token"].as_str().expect("a token").to_owned()
}

/// A program that runs in the fleet's directory and finds its hub, as MLflow's client and as `tern` do.
pub(crate) fn speaking(fleet: &Fleet, python: &Path, token: &str) -> Command {
    let ca = fleet.dir().join("hub.ca.pem");
    fs::write(&ca, fleet.hub.ca(&["export"])).expect("a file of the test");
    let mut command = Command::new(python);
    command
        .current_dir(fleet.dir())
        .env("MLFLOW_TRACKING_URI", fleet.hub.url())
        .env("MLFLOW_TRACKING_TOKEN", token)
        .env("MLFLOW_TRACKING_SERVER_CERT_PATH", &ca)
        .env("MLFLOW_DISABLE_TELEMETRY", "true")
        .env("GIT_PYTHON_REFRESH", "quiet")
        .env("TERN_HUB", fleet.hub.url())
        .env("TERN_TOKEN", token)
        .env("TERN_CA", &ca)
        .env("TERN_CONFIG_DIR", fleet.dir().join("nobody"))
        .env("PYTHONPATH", programs::repository().join("sdk/python/src"))
        // What runs here leaves nothing in the repository.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HOME", fleet.dir());
    command
}

/// What a program that has to end well wrote.
#[track_caller]
pub(crate) fn done(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{said}");
    told
}
