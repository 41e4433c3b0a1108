//! Where things are in the workspace, and how cargo is called.
//!
//! Called by every task. No state.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// The workspace's root.
pub fn root() -> PathBuf {
    // At run time first: a target folder may outlive the clone that it was built in.
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = manifest.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    here.parent().map_or(here.clone(), Path::to_path_buf)
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// A profile that binaries are built with.
#[derive(Clone, Copy)]
pub enum Profile {
    /// For tests and the demo.
    Dev,
    /// For servers, and for measuring.
    Release,
    /// For devices: small.
    Device,
}

/// A binary of the workspace, once it is built.
pub fn binary(profile: Profile, name: &str) -> PathBuf {
    let folder = match profile {
        Profile::Dev => "debug",
        Profile::Release => "release",
        Profile::Device => "device",
    };
    target().join(folder).join(name)
}

/// A call of cargo at the workspace's root.
pub fn cargo<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(args: I) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(args);
    // What `cargo run` told us about xtask is not for the cargo that we call: build scripts that look at such words (that
    // of ring does) would run again, and all that stands on them, after each call from elsewhere.
    let ours = env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        [
            "CARGO_MANIFEST_",
            "CARGO_PKG_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
        ]
        .iter()
        .any(|begin| name.starts_with(begin))
    });
    for name in ours {
        command.env_remove(name);
    }
    command
}
