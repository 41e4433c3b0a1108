//! A file or directory that could not be used: what was being done, with which, and why it failed.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why something could not be done with a file.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {}", path.display())]
pub struct FileError {
    /// What was being done, in the form "reading".
    pub doing: &'static str,
    /// With what.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

/// Says what was being done with which file when it failed.
pub(crate) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError {
        doing,
        path,
        source,
    }
}
