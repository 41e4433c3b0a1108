//! Files that are there whole or not at all, and files that are made once.
//!
//! The agent has the first of the two as well; it is not taken from there because the agent is a program for devices
//! and brings its whole engine.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Replaces a file: temporary file, fsync, rename, fsync of the directory. Only its owner may read it.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = written(path, bytes)?;
    fs::rename(&temporary, path)?;
    sync_parent(path)
}

/// Makes a file that nobody has made before; `AlreadyExists` if somebody has. It appears with all of its content.
pub(crate) fn create_once(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = written(path, bytes)?;
    let made = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    made?;
    sync_parent(path)
}

/// A synced file beside this one, named after the process so that two never share it.
fn written(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(
        ".{}-{:?}.tmp",
        std::process::id(),
        std::thread::current().id()
    ));
    let temporary = path.with_file_name(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(temporary)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("claim");
        create_once(&path, b"first").unwrap();
        let again = create_once(&path, b"second").unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        replace(&path, b"third").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"third");
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing is left"
        );
    }
}
