//! Why the store cannot be used.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::LAYOUT;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// sled said no.
    #[error("{doing} the store")]
    Sled {
        /// What was being done.
        doing: &'static str,
        /// What sled said.
        #[source]
        err: sled::Error,
    },
    /// The disk is full.
    #[error("no space left on the disk while {doing} {}; free some, it goes on by itself", path.display())]
    NoSpace {
        /// What was being done.
        doing: &'static str,
        /// With what.
        path: PathBuf,
    },
    /// The file system said no.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the file system said.
        #[source]
        err: io::Error,
    },
    /// Written by a newer agent.
    #[error(
        "{} was written by a newer agent (layout {found}, this one knows up to {LAYOUT}); \
         install that agent again or move the directory away", path.display()
    )]
    Newer {
        /// Which store.
        path: PathBuf,
        /// Its layout.
        found: u32,
    },
    /// Another agent uses it.
    #[error("{} is in use by another agent; each needs its own `state`", path.display())]
    InUse {
        /// Which store.
        path: PathBuf,
    },
    /// It could not be opened again after it was rewritten.
    #[error("{} is closed: it did not open again after it was rewritten", path.display())]
    Closed {
        /// Which store.
        path: PathBuf,
    },
    /// The system gives no random numbers.
    #[error("drawing an outbox id")]
    Random(#[source] getrandom::Error),
}

impl StateError {
    /// Whether it may go away by itself or by what somebody does to the disk. The others ask for a person
    /// who does something about this agent.
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Newer { .. } | Self::InUse { .. })
    }

    /// What the file system said of this path.
    pub(super) fn io(doing: &'static str, path: &Path, err: io::Error) -> Self {
        match err.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace {
                doing,
                path: path.into(),
            },
            _ => Self::Io {
                doing,
                path: path.into(),
                err,
            },
        }
    }

    /// What sled said of the store at this path.
    pub(super) fn sled(doing: &'static str, path: &Path, err: sled::Error) -> Self {
        match err {
            sled::Error::Io(err) if is_full(&err) => Self::io(doing, path, err),
            err => Self::Sled { doing, err },
        }
    }
}

fn is_full(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
