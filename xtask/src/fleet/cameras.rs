//! The cameras of all meters: one `tern-models camera` process, steered by JSON lines.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{ChildStdin, Command},
    time::Duration,
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cast::{Device, SLOT};
use crate::process::Process;

/// Images a second that one camera takes. Twelve of them leave both processors of a small machine
/// room for the hub, the trainer and the browser.
const RATE: f64 = 6.0;

/// How long the last images may be on their way after the cameras were told to stop.
const LAST_IMAGES: Duration = Duration::from_secs(10);

/// Which of the field's images the meters show.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Images {
    /// Those that may be captured and trained on.
    Early,
    /// Those that no trainer has seen: version 2 is judged by these.
    Late,
}

/// Cameras that stream.
pub struct Cameras {
    process: Process,
    stdin: ChildStdin,
    /// What the cameras know and only people will say later: the right digits.
    pub truth: PathBuf,
    counts: PathBuf,
}

/// What the cameras say each second.
#[derive(Deserialize)]
struct Second {
    failed: u64,
}

impl Cameras {
    /// Starts them; each posts to its agent. `name` tells one run's files from another's.
    pub fn start(
        name: &str,
        program: &Path,
        folder: &Path,
        meters: &[(Device, String)],
    ) -> Result<Self> {
        let truth = folder.join(format!("{name}-truth.csv"));
        let logs = folder.join("logs");
        let mut command = Command::new(program);
        command.arg("camera").arg("--truth").arg(&truth);
        let mut process = Process::start(name, command, &logs)?;
        let stdin = process.stdin().context("the cameras' standard input")?;
        let counts = logs.join(format!("{name}.out"));
        let mut cameras = Self {
            process,
            stdin,
            truth,
            counts,
        };
        for (seed, (device, agent)) in (1u64..).zip(meters) {
            cameras.tell(&json!({"add": {
                "device": device.name, "site": device.site, "agent": agent, "slot": SLOT,
                "seed": seed, "rate": RATE,
            }}))?;
        }
        Ok(cameras)
    }

    /// What all cameras of a site see from now on: images through fog of this strength, 0 to 1.
    pub fn see(&mut self, site: &str, images: Images, fog: f64) -> Result<()> {
        self.tell(&json!({"site": site, "images": images, "fog": fog}))
    }

    /// An error if they are gone.
    pub fn check(&mut self) -> Result<()> {
        self.process.check()
    }

    /// Stops them and gives the number of images that no agent answered.
    pub fn stop(mut self) -> Result<u64> {
        self.tell(&json!({"stop": true}))?;
        self.process
            .wait(LAST_IMAGES)?
            .context("the cameras do not stop")?;
        let counts = fs::read_to_string(&self.counts)?;
        let seconds = counts
            .lines()
            .filter_map(|line| serde_json::from_str::<Second>(line).ok());
        Ok(seconds.map(|second| second.failed).sum())
    }

    fn tell(&mut self, command: &Value) -> Result<()> {
        writeln!(self.stdin, "{command}")?;
        self.stdin.flush().context("the cameras do not listen")
    }
}
