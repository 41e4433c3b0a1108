//! `cargo xtask bench NAME`: builds what ships and has `tern-bench` measure it.
//!
//! Called by people. The measuring itself is in `bench/`, an own package, because it needs the
//! agent's engine and an MQTT client, which xtask must not.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use clap::ValueEnum;
use xtask::workspace::{self, Profile};

use crate::{Verdict, tools};

/// Options of the task.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What to measure; everything by default
    name: Option<Name>,
    /// Only JSON lines, no progress
    #[arg(long)]
    json: bool,
}

/// A bench.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// Size and memory of the agent
    Footprint,
    /// Time of an inference through the agent against bare tract
    Inference,
    /// Devices that join and connect a second, over TLS, and what each costs the hub in memory
    Handshake,
    /// One model wanted by a whole fleet: egress, time, memory, against mosquitto
    Delivery,
    /// What a swap costs whoever asks: failures, silence, and the way back
    Swap,
    /// Deltas of retrained models: size and speed, against zstd patches and bsdiff
    Delta,
    /// What it costs to decide a rollout: a look, a plan, a device's memory
    Rollout,
    /// How well a rollout decides on simulated fleets, beside rules of fixed thresholds
    Decide,
    /// How well drift is found on simulated fleets, beside the rules of others
    Drift,
    /// What telemetry costs a device: time of an inference, bytes of a window
    Window,
    /// What pages ask of a month of a large fleet, and how long that takes
    Query,
    /// Experiment tracking beside `mlflow server`: batches a second, searches
    Tracking,
    /// Drift to recovered accuracy by the hub's own policy: how long it takes, and what it costs
    Loop,
    /// Telemetry windows a second, durable and acknowledged
    Ingest,
}

/// Builds, then measures.
pub(crate) fn run(options: &Options) -> Result<Verdict> {
    build(&["--release", "--package", "tern-bench"], options)?;
    // These need no process of Tern's.
    let alone = [
        Name::Delta,
        Name::Rollout,
        Name::Decide,
        Name::Drift,
        Name::Window,
    ];
    if let Some(name) = options.name.filter(|name| alone.contains(name)) {
        return measure(&[name], None, options);
    }
    let without_agent = [Name::Handshake, Name::Delivery, Name::Query, Name::Ingest];
    if !options
        .name
        .is_some_and(|name| without_agent.contains(&name))
    {
        // Alone, so that no other crate's features get into the agent that is measured: this is how
        // it is built for a device.
        build(&["--profile", "device", "--package", "tern-agent"], options)?;
    }
    build(
        &["--release", "--package", "tern-hub", "--bin", "tern-hub"],
        options,
    )?;
    // What only helps is built as for the demo.
    build(&["--workspace", "--bins"], options)?;
    if options.name.is_none_or(|name| name == Name::Loop) {
        // What a training costs is measured there, so it is built as it ships. A hub finds the supervisor of its jobs
        // beside itself.
        build(
            &[
                "--release",
                "--package",
                "tern-compute",
                "--bin",
                "tern-job",
            ],
            options,
        )?;
        build(&["--release", "--package", "tern-models"], options)?;
    }
    if options.name == Some(Name::Loop) {
        return measure(&[Name::Loop], None, options);
    }
    let package = train(options)?;
    match options.name {
        Some(name) => measure(&[name], Some(&package), options),
        None => measure(Name::value_variants(), Some(&package), options),
    }
}

/// Has `tern-bench` measure, one bench after the other.
fn measure(names: &[Name], package: Option<&Path>, options: &Options) -> Result<Verdict> {
    let mut verdict = Verdict::Yes;
    for name in names {
        let value = name.to_possible_value().context("every bench has a name")?;
        let mut bench = Command::new(workspace::binary(Profile::Release, "tern-bench"));
        bench.arg(value.get_name());
        bench
            .arg("--agent")
            .arg(workspace::binary(Profile::Device, "tern-agent"));
        bench
            .arg("--hub")
            .arg(workspace::binary(Profile::Release, "tern-hub"));
        bench
            .arg("--tern")
            .arg(workspace::binary(Profile::Dev, "tern"));
        bench
            .arg("--models")
            .arg(workspace::binary(Profile::Release, "tern-models"));
        bench.arg("--mlflow").arg(tools::mlflow());
        if let Some(package) = package {
            bench.arg("--package").arg(package);
        }
        if options.json {
            bench.arg("--quiet");
        }
        if !bench.status().context("starting tern-bench")?.success() {
            verdict = Verdict::No;
        }
    }
    Ok(verdict)
}

fn build(selection: &[&str], options: &Options) -> Result<()> {
    let mut cargo = workspace::cargo(["build"]);
    cargo.args(selection);
    if options.json {
        cargo.arg("--quiet");
    }
    let status = cargo.status().context("starting cargo")?;
    anyhow::ensure!(
        status.success(),
        "cargo build {}: {status}",
        selection.join(" ")
    );
    Ok(())
}

/// The digit model that is served while memory and time are measured.
fn train(options: &Options) -> Result<PathBuf> {
    let package = workspace::target().join("bench/digits");
    if !options.json {
        eprintln!("training the digit model");
    }
    let mut train = Command::new(workspace::binary(Profile::Dev, "tern-models"));
    train
        .args(["train", "--seed", "1", "--json", "--out"])
        .arg(&package);
    let output = train
        .stderr(Stdio::null())
        .output()
        .context("starting tern-models")?;
    anyhow::ensure!(
        output.status.success(),
        "tern-models train: {}",
        output.status
    );
    Ok(package)
}
