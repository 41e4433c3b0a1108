//! What others make of the same files: `zstd` and `bsdiff`, as processes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

/// Their results in bytes.
pub(super) struct Sizes {
    /// The whole file at zstd's level 19.
    pub(super) zstd: usize,
    /// The patch of `zstd --patch-from` at level 19.
    pub(super) zstd_patch: usize,
    /// The patch of `bsdiff`.
    pub(super) bsdiff: usize,
}

/// Where they work.
pub(super) struct Peers {
    base: PathBuf,
    new: PathBuf,
    out: PathBuf,
}

impl Peers {
    /// Finds them.
    pub(super) fn find(folder: &Path) -> Result<Self> {
        for program in ["zstd", "bsdiff"] {
            let mut look = Command::new(program);
            look.stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            look.arg("--help");
            // What it says and how it ends is its own business.
            look.status()
                .with_context(|| format!("starting {program}; `cargo xtask setup` installs it"))?;
        }
        Ok(Self {
            base: folder.join("base"),
            new: folder.join("new"),
            out: folder.join("out"),
        })
    }

    /// Runs all of them.
    pub(super) fn sizes(&self, base: &[u8], new: &[u8]) -> Result<Sizes> {
        fs::write(&self.base, base).context("writing the base")?;
        fs::write(&self.new, new).context("writing the new file")?;
        let zstd = |more: &[&str]| {
            let mut zstd = Command::new("zstd");
            zstd.args(["-q", "-f", "-19"]).args(more);
            zstd.arg(&self.new).arg("-o").arg(&self.out);
            // Advice about its options.
            zstd.stderr(Stdio::null());
            self.size(zstd)
        };
        let patch = format!("--patch-from={}", self.base.display());
        let mut bsdiff = Command::new("bsdiff");
        bsdiff.args([&self.base, &self.new, &self.out]);
        Ok(Sizes {
            zstd: zstd(&[])?,
            zstd_patch: zstd(&[&patch])?,
            bsdiff: self.size(bsdiff)?,
        })
    }

    fn size(&self, mut command: Command) -> Result<usize> {
        let shown = format!("{command:?}");
        let ended = command.status().with_context(|| shown.clone())?;
        ensure!(ended.success(), "{shown}: {ended}");
        let len = fs::metadata(&self.out).with_context(|| shown)?.len();
        Ok(len as usize)
    }
}
