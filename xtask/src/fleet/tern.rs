//! Calls of the `tern` command line, as a person would type them, with `--json`.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde::de::DeserializeOwned;
use tern_protocol::{
    id::{ModelVersion, ProposalId, RolloutId},
    rest::{
        AccuracyView, CaptureView, DeviceView, FindingView, Invited, JobView, LessonView, Minted,
        Overview, ProposalView, RetrainView, RolloutView, VersionView,
    },
};

use super::cast::{DATASET, MODEL, SLOT};
use crate::process::{Answer, call_with, last_call};

/// How long jobs that were cancelled may take to end.
const CANCELLED: Duration = Duration::from_secs(12);

/// How often a wait for them looks again.
const LOOK: Duration = Duration::from_millis(200);

/// The command line, with credentials of its own.
pub struct Tern {
    program: PathBuf,
    credentials: PathBuf,
}

impl Tern {
    /// This program, with its credentials in this folder.
    pub(super) fn keeping(program: PathBuf, credentials: PathBuf) -> Self {
        Self {
            program,
            credentials,
        }
    }

    /// Where its credentials are: what `TERN_CONFIG_DIR` is set to.
    pub fn credentials(&self) -> &Path {
        &self.credentials
    }

    /// `tern setup`: makes the first account and logs in.
    pub(super) fn set_up(&self, link: &str, user: &str, password: &str, ca: &Path) -> Result<()> {
        let set_up = ["setup", link, "--user", user, "--password-stdin", "--ca"];
        let args = set_up.iter().map(OsStr::new).chain([ca.as_os_str()]);
        self.run_with(args, password.as_bytes()).map(drop)
    }

    /// `tern device invite`: devices of a site, with the lens that all have.
    pub(super) fn invite(&self, site: &str, uses: usize) -> Result<Invited> {
        let uses = uses.to_string();
        let label = ["--label", "lens=plastic", "--expires", "1h"];
        let invite = ["device", "invite", "--site", site, "--uses", &uses];
        self.json(invite.iter().chain(&label))
    }

    /// `tern token create`: one that only sees.
    pub(super) fn viewer_token(&self) -> Result<Minted> {
        self.json([
            "token",
            "create",
            "demo",
            "--role",
            "viewer",
            "--expires",
            "1d",
        ])
    }

    /// `tern model publish`; `more` are arguments of it.
    pub fn publish(&self, package: &Path, more: &[&str]) -> Result<VersionView> {
        let publish = ["model", "publish", MODEL].iter().map(OsStr::new);
        let more = more.iter().map(OsStr::new);
        self.json(publish.chain([package.as_os_str()]).chain(more))
    }

    /// `tern model show`.
    pub fn version(&self, version: ModelVersion) -> Result<VersionView> {
        self.json(["model", "show", MODEL, &version.to_string()])
    }

    /// `tern dataset import`: a dataset of images, as `tern-models dataset` writes them.
    pub fn import_images(&self, train: &Path, held_out: &Path) -> Result<()> {
        let import = ["dataset", "import", DATASET, "--label", "truth"];
        let split = |name: &str, file: &Path| format!("{name}={}", file.display());
        let (train, held_out) = (split("train", train), split("held-out", held_out));
        let tensor = ["--tensor", "image:f32:64"];
        let splits = ["--split", &train, "--split", &held_out];
        self.run(import.iter().chain(&tensor).chain(&splits))
            .map(drop)
    }

    /// `tern dataset get`: the first version of it, as a directory.
    pub fn get_images(&self, to: &Path) -> Result<()> {
        let first = format!("{DATASET}@1");
        let get = ["dataset", "get", &first, "--to"];
        let args = get.iter().map(OsStr::new).chain([to.as_os_str()]);
        self.run(args).map(drop)
    }

    /// `tern device list`.
    pub fn devices(&self) -> Result<Vec<DeviceView>> {
        self.json(["device", "list"])
    }

    /// `tern rollout start` to all devices; watched to its end.
    pub fn roll_out(&self, version: &VersionView) -> Result<RolloutView> {
        let target = format!("{MODEL}@{}", version.version);
        let rollout: RolloutView = self.json(["rollout", "start", &target, "--slot", SLOT])?;
        let id = rollout.id.to_string();
        self.run(["rollout", "watch", &id])?;
        self.rollout(rollout.id)
    }

    /// `tern rollout plan --save`: a plan becomes a template of its model.
    pub(super) fn keep_plan(&self, plan: &Path, name: &str) -> Result<()> {
        self.run_on(&["rollout", "plan", "--save", name], plan)
    }

    /// `tern rollout start --template`.
    pub fn roll_out_by(&self, version: &VersionView, template: &str) -> Result<RolloutView> {
        let target = format!("{MODEL}@{}", version.version);
        self.json(["rollout", "start", &target, "--template", template])
    }

    /// `tern rollout show`.
    pub fn rollout(&self, rollout: RolloutId) -> Result<RolloutView> {
        self.json(["rollout", "show", &rollout.to_string()])
    }

    /// `tern retrain training set`.
    pub(super) fn keep_training(&self, name: &str, job: &Path) -> Result<()> {
        self.run_on(&["retrain", "training", "set", name], job)
    }

    /// `tern retrain policy set`; an error if anything is wrong with it.
    pub(super) fn keep_policy(&self, policy: &Path) -> Result<()> {
        self.run_on(&["retrain", "policy", "set"], policy)
    }

    /// `tern retrain status`.
    pub fn retraining(&self) -> Result<RetrainView> {
        self.json(["retrain", "status", MODEL])
    }

    /// `tern retrain lessons`: how rounds ended, the last first.
    pub fn lessons(&self) -> Result<Vec<LessonView>> {
        self.json(["retrain", "lessons", MODEL])
    }

    /// `tern proposal show`.
    pub fn proposal(&self, id: ProposalId) -> Result<ProposalView> {
        self.json(["proposal", "show", &id.to_string()])
    }

    /// `tern proposal list --all`: all that was ever asked.
    pub fn proposals(&self) -> Result<Vec<ProposalView>> {
        self.json(["proposal", "list", "--all", "--model", MODEL])
    }

    /// `tern proposal agree`.
    pub fn agree(&self, id: ProposalId, note: &str) -> Result<ProposalView> {
        self.json(["proposal", "agree", &id.to_string(), "--note", note])
    }

    /// `tern job list`: all that there were, the last first.
    pub fn jobs(&self) -> Result<Vec<JobView>> {
        self.json(["job", "list"])
    }

    /// `tern job cancel` of all that are open, and waits for their end; also when somebody wants us to stop.
    pub(super) fn cancel_jobs(&self) -> Result<()> {
        let open = || -> Result<Vec<JobView>> {
            let (command, shown) = self.command(["job", "list", "--open"]);
            read(&answered(last_call(command)?, &shown)?)
        };
        let end = Instant::now() + CANCELLED;
        let mut left = open()?;
        for job in &left {
            let (command, shown) = self.command(["job", "cancel", &job.id.to_string()]);
            answered(last_call(command)?, &shown)?;
        }
        while !left.is_empty() {
            ensure!(Instant::now() < end, "{} jobs do not end", left.len());
            thread::sleep(LOOK);
            left = open()?;
        }
        Ok(())
    }

    /// Whether every device says that it serves a version.
    pub fn all_serve(&self, version: &VersionView) -> Result<bool> {
        let serves = |device: &DeviceView| {
            let mut slots = device.slots.iter().filter_map(|slot| slot.serving.as_ref());
            slots.any(|serving| serving.version == version.version)
        };
        Ok(self.devices()?.iter().all(serves))
    }

    /// `tern overview`.
    pub fn overview(&self) -> Result<Overview> {
        self.json(["overview"])
    }

    /// `tern accuracy`: one row a version and site; of the newest `last` labels each, if given.
    pub fn accuracy(&self, last: Option<u64>) -> Result<Vec<AccuracyView>> {
        let last = last.map(|last| last.to_string());
        let mut args = vec!["accuracy", "--model", MODEL];
        args.extend(last.iter().flat_map(|last| ["--last", last.as_str()]));
        self.json(args)
    }

    /// `tern finding list`: what is found to have moved now.
    pub fn findings(&self) -> Result<Vec<FindingView>> {
        self.json(["finding", "list", "--model", MODEL])
    }

    /// `tern capture list --unlabelled`.
    pub fn unlabelled(&self) -> Result<Vec<CaptureView>> {
        let list = [
            "capture",
            "list",
            "--unlabelled",
            "--model",
            MODEL,
            "--limit",
            "1000",
        ];
        self.json(list)
    }

    /// `tern label import`; an error if the hub refused one.
    pub fn import_labels(&self, file: &Path) -> Result<()> {
        self.run_on(&["label", "import"], file)
    }

    /// Runs a command on a file.
    fn run_on(&self, args: &[&str], file: &Path) -> Result<()> {
        let args = args.iter().map(OsStr::new).chain([file.as_os_str()]);
        self.run(args).map(drop)
    }

    fn json<T, I, S>(&self, args: I) -> Result<T>
    where
        T: DeserializeOwned,
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        read(&self.run(args)?)
    }

    fn run<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Result<Vec<u8>> {
        self.run_with(args, b"")
    }

    fn run_with<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(
        &self,
        args: I,
        input: &[u8],
    ) -> Result<Vec<u8>> {
        let (command, shown) = self.command(args);
        answered(call_with(command, input)?, &shown)
    }

    /// A call of it, and how that is shown.
    fn command<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> (Command, String) {
        let mut command = Command::new(&self.program);
        // Whom somebody is logged in to by the environment is none of our business.
        for name in ["TERN_HUB", "TERN_TOKEN", "TERN_WORKSPACE", "TERN_CA"] {
            command.env_remove(name);
        }
        command.env("TERN_CONFIG_DIR", &self.credentials);
        command.arg("--json").args(args);
        let shown = format!("{command:?}");
        (command, shown)
    }
}

/// What it answered, if it could do what it was asked.
fn answered(answer: Answer, shown: &str) -> Result<Vec<u8>> {
    if !answer.status.success() {
        // What is wrong with a file is its answer, on standard output.
        let said = String::from_utf8_lossy(&answer.stdout);
        let (said, why) = (said.trim_end(), answer.stderr.trim_end());
        bail!("{shown}: {}\n{why}\n{said}", answer.status);
    }
    Ok(answer.stdout)
}

fn read<T: DeserializeOwned>(stdout: &[u8]) -> Result<T> {
    serde_json::from_slice(stdout).with_context(|| {
        let start: String = String::from_utf8_lossy(stdout).chars().take(200).collect();
        format!("reading what tern answered: {start}")
    })
}
