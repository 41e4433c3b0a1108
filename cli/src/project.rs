//! A directory as an archive, to be uploaded as the project of a job.
//!
//! The same files make the same bytes, so that a project that did not change is not sent again: names in order, no times,
//! no owners.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header, HeaderMode};
use tern_protocol::digest::Digest;

/// Files of a project.
const FILES: usize = 100_000;

/// Bytes of all of them before they are packed: code, and not data.
const BYTES: u64 = 256 * 1024 * 1024;

/// Directories that hold no part of a project and much else.
const NOT_PACKED: [&str; 6] = [
    ".git",
    ".venv",
    "venv",
    "__pycache__",
    "mlruns",
    "node_modules",
];

/// Why a directory is no project.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProjectError {
    #[error("reading {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "{} has more than {FILES} files or {} MiB; what is data belongs into --dataset",
        .0.display(), BYTES >> 20
    )]
    TooLarge(PathBuf),
    #[error("packing")]
    Pack(#[source] io::Error),
}

/// A packed project.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: Digest,
    pub(crate) files: usize,
    /// Links, which are left out.
    pub(crate) links: usize,
}

/// Packs a directory.
pub(crate) fn pack(dir: &Path) -> Result<Packed, ProjectError> {
    let read = |path: &Path, source| ProjectError::Read {
        path: path.to_owned(),
        source,
    };
    let (mut files, mut links, mut bytes) = (Vec::new(), 0, 0_u64);
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        let here = dir.join(&below);
        for entry in fs::read_dir(&here).map_err(|err| read(&here, err))? {
            let entry = entry.map_err(|err| read(&here, err))?;
            let path = below.join(entry.file_name());
            let facts = entry.metadata().map_err(|err| read(&entry.path(), err))?;
            if facts.is_dir() {
                if !NOT_PACKED.iter().any(|name| entry.file_name() == *name) {
                    open.push(path);
                }
            } else if facts.is_file() {
                bytes = bytes.saturating_add(facts.len());
                files.push(path);
            } else {
                links += 1;
            }
            if files.len() > FILES || bytes > BYTES {
                return Err(ProjectError::TooLarge(dir.to_owned()));
            }
        }
    }
    files.sort();
    let gzip = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::default());
    let mut tar = Builder::new(gzip);
    for path in &files {
        let here = dir.join(path);
        let file = File::open(&here).map_err(|err| read(&here, err))?;
        let facts = file.metadata().map_err(|err| read(&here, err))?;
        let mut header = Header::new_gnu();
        header.set_metadata_in_mode(&facts, HeaderMode::Deterministic);
        header.set_entry_type(EntryType::Regular);
        header.set_mtime(0);
        tar.append_data(&mut header, path, io::Read::take(file, facts.len()))
            .map_err(ProjectError::Pack)?;
    }
    let gzip = tar.into_inner().map_err(ProjectError::Pack)?;
    let packed = gzip.finish().map_err(ProjectError::Pack)?;
    Ok(Packed {
        digest: Digest::of(&packed),
        bytes: packed,
        files: files.len(),
        links,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_are_the_same_archive() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(dir.path().join("src")).expect("made");
        fs::create_dir_all(dir.path().join(".git/objects")).expect("made");
        fs::write(dir.path().join("src/train.py"), "print()").expect("written");
        fs::write(dir.path().join("MLproject"), "name: x").expect("written");
        fs::write(dir.path().join(".git/objects/x"), "x").expect("written");
        let one = pack(dir.path()).expect("packed");
        // Written again, at another time.
        fs::write(dir.path().join("MLproject"), "name: x").expect("written");
        let two = pack(dir.path()).expect("packed");
        assert_eq!((one.digest, one.files), (two.digest, 2));
        fs::write(dir.path().join("MLproject"), "name: y").expect("written");
        assert_ne!(pack(dir.path()).expect("packed").digest, one.digest);
        assert!(pack(&dir.path().join("nowhere")).is_err());
    }
}
