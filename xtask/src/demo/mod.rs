//! `cargo xtask demo`: the loop on this machine, with real processes, images and MQTT.
//!
//! Called by people who meet Tern, and by tests that ask whether the loop still closes. It steers
//! as a person would, by the command line and the API, and looks nowhere else.
//!
//! Must never break:
//! - exit code 0 only if the story held: see [`figures::Figures::checks`];
//! - nothing that it starts outlives it, also after Ctrl-C or a failure.

mod act;
mod figures;
mod narrator;
mod round;
mod story;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use xtask::{
    fleet::{
        Programs, USER,
        cameras::Images,
        cast::{FOG, SITES},
        stage::Stage,
    },
    interrupt,
    workspace::{self, Profile},
};

use self::{narrator::Narrator, round::Approval};
use crate::Verdict;

/// Meters at each site.
const METERS: usize = 3;

/// How often a stage that stays up looks after its processes.
const WATCH: Duration = Duration::from_secs(1);

/// Options of the task.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Agree to the proposal by the API and end after the story, with exit code 0 only if it held; without it the
    /// proposal waits for your click
    #[arg(long)]
    once: bool,
    /// Stay up after the story, cameras running, until Ctrl-C (the default)
    #[arg(long, conflicts_with = "once")]
    keep: bool,
    /// Write the final figures here, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Builds, plays the story, shows what came of it.
pub(crate) fn run(options: &Options) -> Result<Verdict> {
    interrupt::watch()?;
    build()?;
    let folder = tempfile::Builder::new().prefix("tern-demo-").tempdir()?;
    let told = tell(options, folder.path());
    if let Err(err) = told {
        if interrupt::is_set() {
            return Err(err);
        }
        // Somebody will want to read the logs.
        let kept = folder.keep();
        return Err(err.context(format!("logs and data are in {}", kept.display())));
    }
    told
}

/// All binaries, in the same selection as `cargo xtask test`, so that neither builds again what
/// the other has.
fn build() -> Result<()> {
    println!("building …");
    let mut cargo = workspace::cargo(["build", "--workspace", "--bins"]);
    let status = cargo.status().context("starting cargo")?;
    anyhow::ensure!(status.success(), "cargo build: {status}");
    Ok(())
}

fn tell(options: &Options, folder: &Path) -> Result<Verdict> {
    let mut narrator = Narrator::start();
    let mut stage = Stage::set(folder, Programs::of(Profile::Dev), METERS)?;
    println!();
    println!(
        "  Tern demo: {} meters at {} sites",
        stage.devices.len(),
        SITES.len()
    );
    println!("  dashboard  {}", stage.hub());
    println!("  logs       {}", folder.join("logs").display());
    println!("  log in     {USER} with {}", stage.account.password);
    println!("  its CA     {}", stage.account.ca.display());
    println!(
        "  ask it     TERN_CONFIG_DIR={} {} overview",
        stage.tern.credentials().display(),
        stage.programs.tern.display()
    );
    println!();

    let approval = if options.once {
        Approval::ByUs
    } else {
        Approval::ByClick
    };
    let figures = story::play(&mut stage, &mut narrator, folder, approval)?;
    println!();
    println!("{}", figures.table());
    if let Some(file) = &options.json {
        let json = serde_json::to_string_pretty(&figures)? + "\n";
        fs::write(file, json).with_context(|| file.display().to_string())?;
    }
    let mut verdict = Verdict::Yes;
    for (holds, what) in figures.checks() {
        println!("  {} {what}", if holds { "ok    " } else { "FAILED" });
        if !holds {
            verdict = Verdict::No;
        }
    }
    println!();
    if options.keep || !options.once {
        stay(&mut stage, &narrator)?;
    }
    narrator.say("stopping everything");
    drop(stage);
    Ok(verdict)
}

/// Stays up until Ctrl-C, with cameras that see what they saw at the end of the story.
fn stay(stage: &mut Stage, say: &Narrator) -> Result<()> {
    stage.start_cameras("cameras-after")?;
    stage.see(Images::Late, FOG)?;
    say.say(format!(
        "everything stays up: {} — Ctrl-C ends it",
        stage.hub()
    ));
    while !interrupt::is_set() {
        stage.check()?;
        // Ctrl-C is how this ends, not an error.
        let _ = interrupt::pause(WATCH);
    }
    Ok(())
}
