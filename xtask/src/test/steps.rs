//! The steps of `cargo xtask test`: what each calls.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tern_postgres::{Keeps, Postgres};
use xtask::workspace;

use super::{Counts, Outcome, Skip, embedded};
use crate::tools;

/// Package of the whole-system tests: they need all binaries built.
const WHOLE_SYSTEM: &str = "tern-tests";

/// What speaks to the hub's database, by the modules of its unit tests.
const ON_POSTGRES: [&str; 17] = [
    "access::",
    "alerts::",
    "captures::",
    "counters::",
    "datasets::",
    "deltas::",
    "fleet::",
    "garbage::",
    "jobs::",
    "lineage::",
    "monitor::",
    "notify::",
    "registry::",
    "retrain::",
    "rollout::",
    "store::",
    "tracking::",
];

type Run = Box<dyn FnOnce(&mut Counts, &mut Vec<Skip>) -> Result<Outcome>>;

/// One step.
pub(super) struct Step {
    /// What it does, for people.
    pub(super) name: &'static str,
    /// Whether the steps after it make no sense without it.
    pub(super) others_need_it: bool,
    /// Does it.
    pub(super) run: Run,
}

fn step(name: &'static str, mut command: Command) -> Step {
    let run: Run = Box::new(move |_, _| outcome(&mut command));
    Step {
        name,
        others_need_it: false,
        run,
    }
}

pub(super) fn format() -> Step {
    step("format", workspace::cargo(["fmt", "--all", "--check"]))
}

pub(super) fn lints() -> Step {
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ];
    step("lints", workspace::cargo(clippy))
}

/// All targets at once: what `cargo test` builds later is then there, with the same features.
pub(super) fn build() -> Step {
    let build = workspace::cargo(["build", "--workspace", "--all-targets"]);
    Step {
        others_need_it: true,
        ..step("build", build)
    }
}

/// The program that prepares datasets, which is a workspace of its own, and its tests. Tests of the whole run it.
pub(super) fn data() -> Step {
    let target = workspace::target();
    let mut test = workspace::cargo(["test", "--manifest-path", "data/Cargo.toml", "--quiet"]);
    test.arg("--target-dir").arg(target);
    Step {
        others_need_it: true,
        ..step("tern-data", test)
    }
}

pub(super) fn doc_tests() -> Step {
    tests("examples in the documentation", vec!["--doc".into()], &[])
}

pub(super) fn documentation() -> Step {
    let mut doc = workspace::cargo(["doc", "--workspace", "--no-deps", "--quiet"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    step("documentation", doc)
}

pub(super) fn unit(suites: &Suites, filters: &[String]) -> Step {
    let mut selection = vec!["--lib".into(), "--bins".into()];
    selection.extend(
        suites
            .in_crates
            .iter()
            .flat_map(|name| ["--test".into(), name.clone()]),
    );
    tests("unit and property tests", selection, filters)
}

pub(super) fn whole_system(suites: &Suites, filters: &[String]) -> Step {
    let each = suites.whole_system.iter();
    let selection = each
        .flat_map(|name| ["--test".into(), name.clone()])
        .collect();
    tests("whole-system tests", selection, filters)
}

/// The whole-system suites once more, with a Mosquitto beside each hub in place of the broker inside it.
pub(super) fn on_mosquitto(suites: &Suites, filters: &[String]) -> Step {
    const NAME: &str = "whole-system tests on Mosquitto";
    let each = suites.whole_system.iter();
    let selection: Vec<String> = each
        .filter(|name| !embedded::SUITES_ONCE.contains(&name.as_str()))
        .flat_map(|name| ["--test".into(), name.clone()])
        .collect();
    let filters = filters.to_vec();
    let run: Run = Box::new(move |counts, skips| {
        if tools::on_path("mosquitto").is_none() {
            // Said already, by the list of missing programs.
            return Ok(Outcome::Skipped);
        }
        let stale = embedded::stale(&listed(&selection)?);
        if !stale.is_empty() {
            println!("no test has these names, which are not to run on Mosquitto: {stale:?}");
            return Ok(Outcome::Failed);
        }
        let mut arguments = filters;
        for (test, _) in embedded::EMBEDDED_ONLY {
            arguments.extend(["--skip".into(), test.into()]);
        }
        let again = tests_with(
            &[("TERN_TEST_BROKER", "mosquitto")],
            NAME,
            selection,
            &arguments,
        );
        (again.run)(counts, skips)
    });
    Step {
        name: NAME,
        others_need_it: false,
        run,
    }
}

/// Unit tests of the hub that speak to its database, once more on PostgreSQL.
pub(super) fn on_postgres() -> Step {
    const NAME: &str = "the hub's unit tests on PostgreSQL";
    let run: Run = Box::new(|counts, skips| {
        if tern_postgres::installed().is_none() {
            // Said already, by the list of missing programs.
            return Ok(Outcome::Skipped);
        }
        let server = Postgres::start(Keeps::NoMatter)?;
        let database = server.database("units")?;
        let again = tests_with(
            &[("TERN_TEST_DATABASE", &database)],
            NAME,
            vec!["--lib".into()],
            &ON_POSTGRES.map(String::from),
        );
        let tested = (again.run)(counts, skips);
        drop(server);
        tested
    });
    Step {
        name: NAME,
        others_need_it: false,
        run,
    }
}

/// Names of all tests in these suites.
fn listed(selection: &[String]) -> Result<String> {
    let mut command = workspace::cargo(["test", "--workspace", "--quiet"]);
    command.args(selection).args(["--", "--list"]);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("cargo test -- --list")?;
    if !output.status.success() {
        bail!("cargo test -- --list: {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Dependencies against `deny.toml`.
pub(super) fn dependencies() -> Step {
    let run: Run = Box::new(|_, skips| {
        let Some(program) = tools::cargo_deny() else {
            skips.push(Skip {
                what: tools::CARGO_DENY_USED_FOR,
                missing: "no cargo-deny".into(),
            });
            return Ok(Outcome::Skipped);
        };
        let deny = |checks: &[&str]| {
            let mut command = Command::new(&program);
            command.current_dir(workspace::root()).args([
                "deny",
                "check",
                "--hide-inclusion-graph",
            ]);
            command.args(checks);
            command
        };
        let ours = outcome(&mut deny(&["licenses", "bans", "sources"]))?;
        let advisories = deny(&["advisories"]).output().context("cargo-deny")?;
        let text = String::from_utf8_lossy(&advisories.stderr);
        // The advisories live on one public server. Not to reach it says nothing about us, and no
        // installation would help: it is told, and fails nobody.
        if text.contains("failed to fetch advisory database") {
            println!("advisories NOT CHECKED: their database cannot be fetched from here");
            return Ok(ours);
        }
        std::io::stderr().write_all(&advisories.stderr)?;
        Ok(if advisories.status.success() {
            ours
        } else {
            Outcome::Failed
        })
    });
    Step {
        name: "dependencies",
        others_need_it: false,
        run,
    }
}

/// Names of the workspace's test binaries.
pub(super) struct Suites {
    in_crates: Vec<String>,
    whole_system: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Suites {
    /// As cargo knows them.
    pub(super) fn read() -> Result<Self> {
        let mut call = workspace::cargo(["metadata", "--no-deps", "--format-version", "1"]);
        let output = call
            .stderr(Stdio::inherit())
            .output()
            .context("cargo metadata")?;
        if !output.status.success() {
            bail!("cargo metadata: {}", output.status);
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
        let (whole, crates): (Vec<_>, Vec<_>) = metadata
            .packages
            .into_iter()
            .partition(|package| package.name == WHOLE_SYSTEM);
        let names = |packages: Vec<Package>| {
            let targets = packages.into_iter().flat_map(|package| package.targets);
            let tests = targets.filter(|target| target.kind.iter().any(|kind| kind == "test"));
            tests.map(|target| target.name).collect()
        };
        Ok(Self {
            in_crates: names(crates),
            whole_system: names(whole),
        })
    }
}

/// A call of `cargo test` whose results are counted while they are shown.
fn tests(name: &'static str, selection: Vec<String>, filters: &[String]) -> Step {
    tests_with(&[], name, selection, filters)
}

/// As [`tests`], with these variables in the environment.
fn tests_with(
    variables: &[(&'static str, &str)],
    name: &'static str,
    selection: Vec<String>,
    filters: &[String],
) -> Step {
    let variables: Vec<(&str, String)> = variables
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    let filters = filters.to_vec();
    let run: Run = Box::new(move |counts, _| {
        if selection.is_empty() {
            return Ok(Outcome::Passed);
        }
        let mut command = workspace::cargo(["test", "--workspace", "--no-fail-fast"]);
        command.args(selection).arg("--").args(filters);
        command.envs(variables);
        command.env("TERN_PYTHON", tools::python());
        command.env("TERN_MLFLOW", tools::mlflow());
        command.env("TERN_RAY", tools::ray());
        command.env("TERN_OPENID", tools::openid());
        if env::var("CI").is_ok_and(|ci| ci == "true") {
            // A test that misses a program then fails instead of skipping.
            command.env("TERN_REQUIRE_ALL", "1");
        }
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .context("cargo test")?;
        let stdout = child
            .stdout
            .take()
            .context("cargo test: no standard output")?;
        let mut shown = std::io::stdout();
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line?;
            shown.write_all(&line)?;
            shown.write_all(b"\n")?;
            counts.read_line(&String::from_utf8_lossy(&line));
        }
        Ok(as_outcome(child.wait()?.success()))
    });
    Step {
        name,
        others_need_it: false,
        run,
    }
}

fn outcome(command: &mut Command) -> Result<Outcome> {
    let shown = format!("{command:?}");
    let status = command.status().with_context(|| shown)?;
    Ok(as_outcome(status.success()))
}

fn as_outcome(success: bool) -> Outcome {
    if success {
        Outcome::Passed
    } else {
        Outcome::Failed
    }
}
