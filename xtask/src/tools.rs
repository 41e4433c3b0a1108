//! Programs that tests and demo use and that cargo does not build: what each is for, where it is,
//! how it is installed.
//!
//! Called by `setup` (to install) and `test` (to say what could not run). One table for both.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use xtask::workspace;

/// A program from a Debian package.
pub(crate) struct Packaged {
    /// Its name on the search path.
    pub(crate) program: &'static str,
    /// The Debian package that has it.
    pub(crate) package: &'static str,
    /// What needs it.
    pub(crate) used_for: &'static str,
}

/// What comes from Debian.
pub(crate) const PACKAGED: [Packaged; 17] = [
    Packaged {
        program: "chromium",
        package: "chromium",
        used_for: "browser tests of the dashboard",
    },
    Packaged {
        program: "chromedriver",
        package: "chromium-driver",
        used_for: "browser tests of the dashboard",
    },
    Packaged {
        program: "promtool",
        package: "prometheus",
        used_for: "the test that reads /metrics with Prometheus' own parser",
    },
    Packaged {
        program: "prometheus-alertmanager",
        package: "prometheus-alertmanager",
        used_for: "the test that tells a real Alertmanager",
    },
    Packaged {
        program: "mosquitto",
        package: "mosquitto",
        used_for: "tests on a Mosquitto: its topic rules, and both suites a second time",
    },
    Packaged {
        program: "postgres",
        package: "postgresql",
        used_for: "tests of the hub on PostgreSQL, unit tests a second time, and `bench ingest`",
    },
    Packaged {
        program: "rabbitmq-server",
        package: "rabbitmq-server",
        used_for: "the loop on RabbitMQ",
    },
    Packaged {
        program: "epmd",
        package: "erlang-base",
        used_for: "the loop on RabbitMQ",
    },
    Packaged {
        program: "nats-server",
        package: "nats-server",
        used_for: "the loop on NATS",
    },
    Packaged {
        program: "faketime",
        package: "faketime",
        used_for: "tests of devices and hubs with another clock",
    },
    Packaged {
        program: "pebble",
        package: "pebble",
        used_for: "the test that gets a certificate for browsers by ACME",
    },
    Packaged {
        program: "zstd",
        package: "zstd",
        used_for: "`bench delta`, which compares with its patches",
    },
    Packaged {
        program: "bsdiff",
        package: "bsdiff",
        used_for: "`bench delta`, which compares with it",
    },
    Packaged {
        program: "openssl",
        package: "openssl",
        used_for: "the test that the hub speaks no TLS before 1.3",
    },
    Packaged {
        program: "age",
        package: "age",
        used_for: "the test that a backup opens without a hub",
    },
    Packaged {
        program: "strace",
        package: "strace",
        used_for: "tests of power cuts, kills and full disks at each step",
    },
    Packaged {
        program: "npm",
        package: "npm",
        used_for: OPENID_USED_FOR,
    },
];

/// Python packages, pinned: answers of the first two are compared with ours, the third is a mail server, the others are an S3
/// that checks signatures.
pub(crate) const PYTHON_PACKAGES: [&str; 7] = [
    "onnxruntime==1.24.4",
    "numpy==2.4.6",
    "aiosmtpd==1.4.6",
    "moto[s3]==5.2.5",
    "boto3==1.44.8",
    // What moto is served by. Its own extra `server` brings ten times as much.
    "flask==3.1.3",
    "flask-cors==6.0.5",
];

/// What needs Python.
pub(crate) const PYTHON_USED_FOR: &str =
    "the test that runs our ONNX files in onnxruntime, notices by mail, and datastores in S3";

/// What needs the OpenID provider.
pub(crate) const OPENID_USED_FOR: &str = "the login through a real OpenID provider";

/// Where the OpenID provider of the tests is installed. Its script, its package and the exact versions
/// are in `tests/oidc`.
pub(crate) fn openid() -> PathBuf {
    workspace::target().join("oidc")
}

/// Whether the OpenID provider is there, as the repository has it now.
pub(crate) fn openid_is_complete() -> bool {
    let read = |folder: PathBuf, name: &str| std::fs::read(folder.join(name)).ok();
    let ours = workspace::root().join("tests/oidc");
    let same = OPENID_FILES
        .iter()
        .all(|name| read(ours.clone(), name) == read(openid(), name));
    same && openid().join("node_modules/oidc-provider").is_dir()
}

/// What the OpenID provider consists of, besides its packages.
pub(crate) const OPENID_FILES: [&str; 3] = ["package.json", "package-lock.json", "provider.mjs"];

/// Version of cargo-deny that `deny.toml` was written for.
pub(crate) const CARGO_DENY: &str = "0.20.2";

/// What needs cargo-deny.
pub(crate) const CARGO_DENY_USED_FOR: &str = "licences, sources and advisories of dependencies";

/// Where Debian keeps daemons: not on everybody's search path.
const DAEMONS: &str = "/usr/sbin";

/// Where it keeps the programs of PostgreSQL, by version: not on the search path at all.
const POSTGRES: &str = "/usr/lib/postgresql";

/// A program on the search path, or a daemon.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let versions = std::fs::read_dir(POSTGRES).into_iter().flatten().flatten();
    env::split_paths(&path)
        .chain([PathBuf::from(DAEMONS)])
        .chain(versions.map(|version| version.path().join("bin")))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Python of our own virtual environment, whether or not it is there yet.
pub(crate) fn python() -> PathBuf {
    workspace::target().join("venv/bin/python")
}

/// Whether our Python has what the tests import.
pub(crate) fn python_is_complete() -> bool {
    succeeds(
        &python(),
        &[
            "-c",
            "import aiosmtpd, boto3, moto.server, numpy, onnxruntime",
        ],
    )
}

/// Python with MLflow, in a virtual environment of its own: what it depends on is five times all else, and pinned.
pub(crate) fn mlflow() -> PathBuf {
    workspace::target().join("mlflow/bin/python")
}

/// Whether that Python has what the tests and benches import.
pub(crate) fn mlflow_is_complete() -> bool {
    succeeds(
        &mlflow(),
        &[
            "-c",
            "import ipykernel, mlflow, mypy, nbclient, onnx, onnxruntime, pytest, skl2onnx, sklearn",
        ],
    )
}

/// What is installed there.
pub(crate) const MLFLOW_PACKAGES: [&str; 9] = [
    "mlflow==3.17.2",
    "scikit-learn==1.9.1",
    "onnx==1.23.2",
    "onnxruntime==1.24.4",
    "skl2onnx==1.20.0",
    // What tests the Python package, and runs its notebook.
    "pytest==9.2.0",
    "mypy==2.4.1",
    "nbclient==0.11.0",
    "ipykernel==7.4.0",
];

/// What needs it.
pub(crate) const MLFLOW_USED_FOR: &str =
    "tracking by the unmodified MLflow client, the Python package, its notebook and the trainers";

/// Python with Ray, in a virtual environment of its own.
pub(crate) fn ray() -> PathBuf {
    workspace::target().join("ray/bin/python")
}

/// Whether that Python has what the tests start.
pub(crate) fn ray_is_complete() -> bool {
    succeeds(&ray(), &["-c", "import ray, aiohttp"])
}

/// What is installed there: its Jobs API is in the extra.
pub(crate) const RAY_PACKAGES: [&str; 1] = ["ray[default]==2.60.0"];

/// What needs it.
pub(crate) const RAY_USED_FOR: &str = "jobs on a real Ray";

/// Where `setup` installs cargo's own tools: below the target folder, so that nothing outside the
/// clone changes.
pub(crate) fn tools() -> PathBuf {
    workspace::target().join("tools")
}

/// cargo-deny, ours or the one on the search path.
pub(crate) fn cargo_deny() -> Option<PathBuf> {
    let ours = tools().join("bin/cargo-deny");
    [Some(ours), on_path("cargo-deny")]
        .into_iter()
        .flatten()
        .find(|program| succeeds(program, &["--version"]))
}

/// Whether a quiet call ends well.
pub(crate) fn succeeds(program: &Path, args: &[&str]) -> bool {
    let status = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
