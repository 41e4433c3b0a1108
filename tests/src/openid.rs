//! A real OpenID provider: `tests/oidc/provider.mjs`, as `cargo xtask setup` installs it.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{process::Process, programs, wait};

/// A running provider with one client. Its login page takes any password of a user that it knows.
pub struct OpenId {
    /// Where it is.
    pub issuer: String,
    _process: Process,
}

/// The client's id.
pub const CLIENT: &str = "tern";

/// The client's secret.
pub const SECRET: &str = "planted-secret-of-the-openid-client";

impl OpenId {
    /// Starts one that sends people back to `redirect`, or says that there is none here. Users are
    /// `name=group,group`.
    #[track_caller]
    pub fn start(dir: &Path, redirect: &str, users: &[&str]) -> Option<Self> {
        let node = programs::find("node")?;
        let folder = env::var_os("TERN_OPENID")
            .map_or_else(|| programs::repository().join("target/oidc"), PathBuf::from);
        let script = folder.join("provider.mjs");
        if !script.is_file() {
            let required = env::var_os("TERN_REQUIRE_ALL").is_some_and(|all| all == "1");
            let what = format!("{} is missing: run `cargo xtask setup`", script.display());
            assert!(!required, "{what}");
            eprintln!("SKIPPED: {what}");
            return None;
        }
        let script = script.to_string_lossy().into_owned();
        let args = [&[script.as_str(), CLIENT, SECRET, redirect], users].concat();
        let mut process = Process::start(dir, "openid", &node, args);
        let issuer = wait::until("an OpenID provider", || {
            process.assert_runs();
            let said = process.output();
            let issuer = said.lines().find_map(|line| line.strip_prefix("issuer "));
            issuer.map(str::to_owned).ok_or(said)
        });
        Some(Self {
            issuer,
            _process: process,
        })
    }
}
