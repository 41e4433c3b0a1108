//! How people and meters of a fleet get in: as an operator and an installer do it, by command line.
//!
//! Must never break: passwords and tokens go through standard input, never through arguments, which
//! other users of the machine can list. (The link of the first account is used up as it is given.)

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use tern_protocol::rest::Invited;

use super::{
    Programs,
    cast::{Device, SITES},
    stage::START,
    tern::Tern,
};
use crate::{
    interrupt,
    process::{Process, call_with},
};

/// Who runs the hub.
pub const USER: &str = "demo";

/// The first account of a hub, and what is needed to log in with it.
pub struct Account {
    /// Its password, made for this run.
    pub password: String,
    /// The authority that vouches for the hub, as a PEM file.
    pub ca: PathBuf,
}

/// Sets up the first account of a fresh hub, so that `tern` is logged in.
pub(super) fn set_up(
    hub: &mut Process,
    programs: &Programs,
    data: &Path,
    folder: &Path,
    tern: &Tern,
) -> Result<Account> {
    let file = data.join("setup-link");
    let link = interrupt::wait_for("the hub offers its first account", START, || {
        hub.check()?;
        Ok(fs::read_to_string(&file).ok())
    })?;
    let mut export = Command::new(&programs.hub);
    export.args(["ca", "export", "--data"]).arg(data);
    let exported = call_with(export, b"")?;
    ensure!(exported.status.success(), "{}", exported.stderr);
    let ca = folder.join("hub-ca.pem");
    fs::write(&ca, &exported.stdout)?;
    let random = getrandom::u64().context("a random password")?;
    let password = format!("{random:016x}");
    tern.set_up(link.trim(), USER, &password, &ca)?;
    Ok(Account { password, ca })
}

/// Lets all meters in, with one invitation a site: where they are is the hub's word, not theirs.
pub(super) fn join_all(
    devices: &[Device],
    programs: &Programs,
    folder: &Path,
    tern: &Tern,
) -> Result<()> {
    for site in &SITES {
        let devices = devices.iter().filter(|one| one.site == site.name);
        let devices: Vec<&Device> = devices.collect();
        let invited: Invited = tern.invite(site.name, devices.len())?;
        for device in devices {
            let config = folder.join(&device.name).join("agent.toml");
            let mut join = Command::new(&programs.agent);
            join.args(["join", "--config"]).arg(config).arg("-");
            let answer = call_with(join, invited.token.as_bytes())?;
            ensure!(
                answer.status.success(),
                "{} does not join: {}",
                device.name,
                answer.stderr.trim_end()
            );
        }
    }
    Ok(())
}
