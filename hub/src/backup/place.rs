//! Where what is made stands until it is whole, and how it stays after a power cut.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use crate::file_error::{FileError, io_error};

/// The same path with this at its end.
pub(super) fn ending(path: &Path, end: &str) -> PathBuf {
    let mut ended = path.to_owned().into_os_string();
    ended.push(end);
    ended.into()
}

/// Puts what a directory names onto the disk.
pub(super) fn synced(dir: &Path) -> Result<(), FileError> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(io_error("syncing", dir))
}

/// As [`synced`], of the directory that holds this.
pub(super) fn synced_around(path: &Path) -> Result<(), FileError> {
    let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
    synced(parent.unwrap_or(Path::new(".")))
}
