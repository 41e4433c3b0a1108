//! Calls of the `tern` command line, as a person would type them, with `--json`.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use tern_protocol::rest::{
    AccuracyView, CaptureView, DeviceView, FindingView, Invited, Minted, Overview, RolloutView,
    VersionView,
};

use super::cast::{MODEL, SLOT};
use crate::{
    process::call_with,
    workspace::{Profile, binary},
};

/// The command line, with credentials of the demo's own.
pub(super) struct Tern {
    credentials: PathBuf,
}

impl Tern {
    /// One that keeps its credentials in this folder.
    pub(super) fn keeping(credentials: PathBuf) -> Self {
        Self { credentials }
    }

    /// Where its credentials are: what `TERN_CONFIG_DIR` is set to.
    pub(super) fn credentials(&self) -> &Path {
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

    /// `tern model publish`.
    pub(super) fn publish(&self, package: &Path) -> Result<VersionView> {
        self.json([
            OsStr::new("model"),
            "publish".as_ref(),
            MODEL.as_ref(),
            package.as_ref(),
        ])
    }

    /// `tern model show`.
    pub(super) fn version(&self, version: &VersionView) -> Result<VersionView> {
        let number = version.version.to_string();
        self.json(["model", "show", MODEL, &number])
    }

    /// `tern device list`.
    pub(super) fn devices(&self) -> Result<Vec<DeviceView>> {
        self.json(["device", "list"])
    }

    /// `tern rollout start`; watched to its end.
    pub(super) fn roll_out(&self, version: &VersionView, percent: u8) -> Result<RolloutView> {
        let (target, percent) = (format!("{MODEL}@{}", version.version), percent.to_string());
        let start = [
            "rollout",
            "start",
            &target,
            "--slot",
            SLOT,
            "--percent",
            &percent,
        ];
        let rollout: RolloutView = self.json(start)?;
        self.watch(&rollout)
    }

    /// `tern rollout widen`; watched to its end.
    pub(super) fn widen(&self, rollout: &RolloutView, percent: u8) -> Result<RolloutView> {
        let (id, percent) = (rollout.id.to_string(), percent.to_string());
        let rollout: RolloutView = self.json(["rollout", "widen", &id, &percent])?;
        self.watch(&rollout)
    }

    /// `tern rollout start --plan`.
    pub(super) fn roll_out_by(&self, version: &VersionView, plan: &Path) -> Result<RolloutView> {
        let target = format!("{MODEL}@{}", version.version);
        let start = ["rollout", "start", &target, "--plan"];
        let args = start.iter().map(OsStr::new).chain([plan.as_os_str()]);
        self.json(args)
    }

    /// `tern rollout show`.
    pub(super) fn rollout(&self, rollout: &RolloutView) -> Result<RolloutView> {
        self.json(["rollout", "show", &rollout.id.to_string()])
    }

    /// Whether every device says that it serves a version.
    pub(super) fn all_serve(&self, version: &VersionView) -> Result<bool> {
        let serves = |device: &DeviceView| {
            let mut slots = device.slots.iter().filter_map(|slot| slot.serving.as_ref());
            slots.any(|serving| serving.version == version.version)
        };
        Ok(self.devices()?.iter().all(serves))
    }

    fn watch(&self, rollout: &RolloutView) -> Result<RolloutView> {
        let id = rollout.id.to_string();
        self.run(["rollout", "watch", &id])?;
        self.json(["rollout", "show", &id])
    }

    /// `tern overview`.
    pub(super) fn overview(&self) -> Result<Overview> {
        self.json(["overview"])
    }

    /// `tern accuracy`: one row a version and site; of the newest `last` labels each, if given.
    pub(super) fn accuracy(&self, last: Option<u64>) -> Result<Vec<AccuracyView>> {
        let last = last.map(|last| last.to_string());
        let mut args = vec!["accuracy", "--model", MODEL];
        args.extend(last.iter().flat_map(|last| ["--last", last.as_str()]));
        self.json(args)
    }

    /// `tern finding list`: what is found to have moved now.
    pub(super) fn findings(&self) -> Result<Vec<FindingView>> {
        self.json(["finding", "list", "--model", MODEL])
    }

    /// `tern capture list --unlabelled`.
    pub(super) fn unlabelled(&self) -> Result<Vec<CaptureView>> {
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

    /// `tern capture export --labelled`.
    pub(super) fn export_labelled(&self, file: &Path) -> Result<()> {
        let export = ["capture", "export", "--labelled", "--model", MODEL, "--out"];
        let args = export.iter().map(OsStr::new).chain([file.as_os_str()]);
        self.run(args).map(drop)
    }

    /// `tern label import`; an error if the hub refused one.
    pub(super) fn import_labels(&self, file: &Path) -> Result<()> {
        let import = [OsStr::new("label"), "import".as_ref(), file.as_os_str()];
        self.run(import).map(drop)
    }

    fn json<T, I, S>(&self, args: I) -> Result<T>
    where
        T: DeserializeOwned,
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let stdout = self.run(args)?;
        serde_json::from_slice(&stdout).with_context(|| {
            let start: String = String::from_utf8_lossy(&stdout).chars().take(200).collect();
            format!("reading what tern answered: {start}")
        })
    }

    fn run<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Result<Vec<u8>> {
        self.run_with(args, b"")
    }

    fn run_with<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(
        &self,
        args: I,
        input: &[u8],
    ) -> Result<Vec<u8>> {
        let mut command = Command::new(binary(Profile::Dev, "tern"));
        // Whom somebody is logged in to by the environment is none of the demo's business.
        for name in ["TERN_HUB", "TERN_TOKEN", "TERN_WORKSPACE", "TERN_CA"] {
            command.env_remove(name);
        }
        command.env("TERN_CONFIG_DIR", &self.credentials);
        command.arg("--json").args(args);
        let shown = format!("{command:?}");
        let answer = call_with(command, input)?;
        if !answer.status.success() {
            bail!("{shown}: {}\n{}", answer.status, answer.stderr.trim_end());
        }
        Ok(answer.stdout)
    }
}
