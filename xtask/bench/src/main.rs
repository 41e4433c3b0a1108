//! `tern-bench`: measures what ships. Called by `cargo xtask bench`, which builds it.
//!
//! Must never break:
//! - standard output holds JSON lines only, one a figure, whose names stay, so that history can be
//!   drawn;
//! - a figure is printed only if what it measured was also right: counts are checked first.

mod decide;
mod delivery;
mod delta;
mod drift;
mod footprint;
mod handshake;
mod inference;
mod ingest;
mod parts;
mod query;
mod recovery;
mod report;
mod rollout;
mod swap;
mod tracking;
mod window;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measures Tern.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    bench: Bench,
    #[command(flatten)]
    binaries: Binaries,
    /// No progress on standard error
    #[arg(long, global = true)]
    quiet: bool,
}

/// What is measured, and what helps.
#[derive(clap::Args)]
struct Binaries {
    /// The agent
    #[arg(long, global = true, default_value = "tern-agent")]
    agent: PathBuf,
    /// The hub
    #[arg(long, global = true, default_value = "tern-hub")]
    hub: PathBuf,
    /// The command line, which publishes the model
    #[arg(long, global = true, default_value = "tern")]
    tern: PathBuf,
    /// The digit model, as the trainer wrote it
    #[arg(long, global = true, default_value = "package")]
    package: PathBuf,
    /// The trainer, which plays the cameras too
    #[arg(long, global = true, default_value = "tern-models")]
    models: PathBuf,
    /// Python with MLflow, whose server stands beside ours
    #[arg(long, global = true, default_value = "target/mlflow/bin/python")]
    mlflow: PathBuf,
}

#[derive(Clone, Copy, Subcommand)]
enum Bench {
    /// Size and memory of the agent
    Footprint,
    /// Time of an inference through the agent against bare tract
    Inference,
    /// Devices that join and connect a second, over TLS, and what each costs the hub in memory
    Handshake {
        /// Devices
        #[arg(long, default_value_t = 2_000)]
        devices: u32,
        /// Devices that are in the middle of it at the same time
        #[arg(long, default_value_t = 128)]
        at_once: usize,
    },
    /// One model wanted by a whole fleet: egress, time, memory, against mosquitto
    Delivery {
        /// Agents of the large wave; a small one has 50
        #[arg(long, default_value_t = 500)]
        devices: u32,
        /// Size of the model in MiB
        #[arg(long, default_value_t = 20)]
        mib: usize,
    },
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
    /// What pages ask of a month of a large fleet
    Query {
        /// Devices
        #[arg(long, default_value_t = 10_000)]
        devices: u32,
    },
    /// Experiment tracking beside `mlflow server`: batches a second, searches
    Tracking {
        /// Runs that are searched
        #[arg(long, default_value_t = 5_000)]
        runs: u64,
    },
    /// Drift to recovered accuracy by the hub's own policy: how long it takes, and what it costs
    Loop {
        /// Meters at each of the four sites
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=16))]
        meters: u8,
    },
    /// Telemetry windows a second, durable and acknowledged
    Ingest {
        /// Devices that send
        #[arg(long, default_value_t = 128)]
        devices: u32,
        /// Windows in all
        #[arg(long, default_value_t = 200_000)]
        windows: u64,
        /// Windows in one batch
        #[arg(long, default_value_t = 50)]
        batch: u64,
    },
}

fn main() -> Result<()> {
    let args = Args::parse();
    let report = report::Report::new(args.quiet);
    match args.bench {
        Bench::Footprint => footprint::run(&args.binaries, &report),
        Bench::Inference => inference::run(&args.binaries, &report),
        Bench::Swap => swap::run(&args.binaries, &report),
        Bench::Handshake { devices, at_once } => {
            handshake::run(&args.binaries, devices, at_once, &report)
        }
        Bench::Delivery { devices, mib } => delivery::run(&args.binaries, devices, mib, &report),
        Bench::Delta => delta::run(&report),
        Bench::Rollout => rollout::run(&report),
        Bench::Decide => decide::run(&report),
        Bench::Drift => drift::run_all(&report),
        Bench::Window => window::run(&report),
        Bench::Tracking { runs } => {
            tracking::run(&args.binaries, &args.binaries.mlflow, runs, &report)
        }
        Bench::Loop { meters } => recovery::run(&args.binaries, meters.into(), &report),
        Bench::Query { devices } => query::run(&args.binaries, devices, &report),
        Bench::Ingest {
            devices,
            windows,
            batch,
        } => {
            let load = ingest::Load {
                devices,
                windows,
                batch,
            };
            ingest::run(&args.binaries, load, &report)
        }
    }
}
