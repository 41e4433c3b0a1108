//! A model whose size is all that matters.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use tern_protocol::{
    blob::{BlobRef, Chunk},
    codec,
    topic::Topic,
};

use crate::{
    Binaries,
    parts::{Hub, SLOT},
};

/// Hidden units of a random model of one MiB.
const UNITS_PER_MIB: usize = 3_495;

/// A package on disk, and its weights.
pub(super) struct Model {
    package: PathBuf,
    /// The ONNX file, which all agents want.
    pub(super) blob: BlobRef,
    pub(super) bytes: Arc<[u8]>,
}

impl Model {
    pub(super) fn random(package: &Path, mib: usize) -> Result<Self> {
        tern_models::package::random(package, 1, mib * UNITS_PER_MIB)?;
        let mut files = fs::read_dir(package)?.flatten().map(|file| file.path());
        let onnx = files
            .find(|path| path.extension().is_some_and(|end| end == "onnx"))
            .context("the package has an ONNX file")?;
        let bytes = fs::read(onnx)?;
        Ok(Self {
            package: package.into(),
            blob: BlobRef::of(&bytes),
            bytes: bytes.into(),
        })
    }

    pub(super) fn publish(&self, binaries: &Binaries, hub: &Hub) -> Result<()> {
        let mut command = Command::new(&binaries.tern);
        command.args(["--hub", &hub.url, "--json", "model", "publish", SLOT]);
        let output = command.arg(&self.package).output();
        let output = output.with_context(|| binaries.tern.display().to_string())?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{command:?}: {said}");
        Ok(())
    }

    /// The topic of its chunks.
    pub(super) fn topic(&self) -> Result<String> {
        let topic = Topic::Blob {
            workspace: "default".parse()?,
            digest: self.blob.digest,
        };
        Ok(topic.to_string())
    }

    /// Its chunks as the hub publishes them.
    pub(super) fn chunks(&self) -> impl Iterator<Item = Vec<u8>> {
        (0..self.blob.chunks()).filter_map(|index| {
            let (offset, len) = self.blob.place(index)?;
            let offset = offset as usize;
            let bytes = self.bytes[offset..offset + len].to_vec();
            Some(codec::encode(&Chunk { index, bytes }))
        })
    }
}
