//! Directories of datasets.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use tern_dataset::{Row, Rows, TableWriter, Truths};
use tern_protocol::{
    digest::Hasher,
    rest::{DATASET_MANIFEST, DatasetFile, DatasetInput, DatasetLabel, DatasetManifest, Split},
};

use super::PrepareError;

/// Longest manifest, in bytes.
const MANIFEST: u64 = 64 * 1024 * 1024;

fn io_error(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> PrepareError {
    let doing = format!("{doing} {}", path.display());
    move |source| PrepareError::Io { doing, source }
}

/// A dataset as a directory.
pub(crate) struct Directory {
    dir: PathBuf,
    pub(crate) manifest: DatasetManifest,
}

impl Directory {
    pub(crate) fn open(dir: &Path) -> Result<Self, PrepareError> {
        let path = dir.join(DATASET_MANIFEST);
        let len = fs::metadata(&path)
            .map_err(io_error("reading", &path))?
            .len();
        if len > MANIFEST {
            return Err(PrepareError::Refused(format!(
                "{} is too long for a manifest",
                path.display()
            )));
        }
        let json = fs::read(&path).map_err(io_error("reading", &path))?;
        let manifest = serde_json::from_slice(&json).map_err(|source| PrepareError::Json {
            what: "dataset.json",
            source,
        })?;
        Ok(Self {
            dir: dir.to_owned(),
            manifest,
        })
    }

    /// The rows of a split, in order.
    pub(crate) fn rows(
        &self,
        split: Split,
    ) -> Result<impl Iterator<Item = Result<Row, PrepareError>> + use<>, PrepareError> {
        let mut all = Vec::new();
        for name in &self.manifest.splits.of(split).files {
            // A name, never a path that leads elsewhere.
            if Path::new(name).file_name() != Some(name.as_ref()) {
                return Err(PrepareError::Refused(format!(
                    "`{name}` is no file of a dataset"
                )));
            }
            let path = self.dir.join(name);
            let file = File::open(&path).map_err(io_error("reading", &path))?;
            all.push(Rows::new(file, &self.manifest.input, &self.manifest.label)?);
        }
        Ok(all.into_iter().flatten().map(|row| row.map_err(Into::into)))
    }
}

/// Makes a directory, which must not be there.
pub(crate) fn make(dir: &Path) -> Result<(), PrepareError> {
    fs::create_dir(dir).map_err(io_error("making", dir))
}

/// Removes a directory that was made and is not to stay.
pub(crate) fn unmake(dir: &Path) {
    // What cannot be removed whoever made it sees: why nothing was prepared is what they are told.
    let _ = fs::remove_dir_all(dir);
}

/// Writes a small file.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> Result<(), PrepareError> {
    let write = || -> io::Result<()> {
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(io_error("writing", path))
}

/// Hashes what goes by.
struct Hashing {
    to: BufWriter<File>,
    hasher: Hasher,
    len: u64,
}

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Writes the rows of a split; the name of the file, and what it is.
pub(crate) fn write(
    dir: &Path,
    split: Split,
    rows: Vec<Row>,
    input: &DatasetInput,
    label: &DatasetLabel,
) -> Result<(String, DatasetFile), PrepareError> {
    let name = split.file();
    let path = dir.join(&name);
    let file = File::create_new(&path).map_err(io_error("writing", &path))?;
    let to = Hashing {
        to: BufWriter::new(file),
        hasher: Hasher::new(),
        len: 0,
    };
    let truths = match label {
        DatasetLabel::Classes { .. } => Truths::Classes,
        DatasetLabel::Number => Truths::Numbers,
    };
    let mut writer = TableWriter::new(to, input, truths)?;
    for row in rows {
        writer.push(row)?;
    }
    let mut written = writer.finish()?;
    written.flush().map_err(io_error("writing", &path))?;
    let facts = DatasetFile {
        digest: written.hasher.finish(),
        len: written.len,
    };
    Ok((name, facts))
}
