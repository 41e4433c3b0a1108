//! What can go wrong with the database.

use std::{path::PathBuf, str::FromStr};

use sea_orm::DbErr;
use tern_protocol::codec::DecodeError;

use super::FILE;

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It could not be opened.
    #[error("opening the database {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: DbErr,
    },
    /// It could not be made, or closed to others.
    #[error("making the database {} for its owner alone", path.display())]
    Private {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It was written by a newer hub.
    #[error(
        "{} was written by a newer tern-hub: its step `{step}` is not known here; \
         start that version, or restore a copy from before the upgrade",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The first step of its schema that this hub does not know.
        step: String,
    },
    /// It was written by an older hub, which may be running.
    #[error(
        "{} was written by an older tern-hub; `tern-hub serve` of this version brings it up to date",
        path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
    },
    /// Its bytes are not those that were written.
    #[error(
        "{doing}: the database `{FILE}` of the data directory is damaged; stop the hub, keep the directory, \
         restore the last backup into another one (`tern-hub restore FILE --data DIR`) and start the hub on that"
    )]
    Damaged {
        /// What was being done.
        doing: &'static str,
        /// What SQLite says.
        #[source]
        source: DbErr,
    },
    /// Its write-ahead log could not be read.
    #[error("reading {}", path.display())]
    ReadLog {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Its write-ahead log is damaged, and what was acknowledged would be forgotten.
    #[error(
        "{} is damaged, and {commits} changes that were stored stand behind the damage; restore the last backup \
         into another directory (`tern-hub restore FILE --data DIR`), or move this file away to go on \
         without all that it holds",
        path.display()
    )]
    Log {
        /// The file.
        path: PathBuf,
        /// Transactions behind the damage.
        commits: u32,
    },
    /// A query failed.
    #[error("{doing}")]
    Query {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: DbErr,
    },
    /// A stored message cannot be read.
    #[error("a stored {what} cannot be read")]
    Message {
        /// What it should be.
        what: &'static str,
        /// Why it is not.
        #[source]
        source: DecodeError,
    },
    /// A stored value is not what its column promises.
    #[error("the stored {what} `{value}` is not one")]
    Value {
        /// What it should be.
        what: &'static str,
        /// What is there.
        value: String,
    },
}

impl StoreError {
    /// What SQLite says in codes 11 (SQLITE_CORRUPT) and 26 (SQLITE_NOTADB).
    const DAMAGE: [&str; 3] = [
        "database disk image is malformed",
        "file is not a database",
        "malformed database schema",
    ];

    /// A query failed while this was being done.
    pub(super) fn of(doing: &'static str, source: DbErr) -> Self {
        let said = source.to_string();
        if Self::DAMAGE.iter().any(|damage| said.contains(damage)) {
            Self::Damaged { doing, source }
        } else {
            Self::Query { doing, source }
        }
    }
}

/// Says what was being done when the database failed.
pub trait Doing<T> {
    /// Names the step, in the form "reading devices".
    fn doing(self, doing: &'static str) -> Result<T, StoreError>;
}

impl<T> Doing<T> for Result<T, DbErr> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::of(doing, source))
    }
}

/// A typed id from a text column.
pub fn parsed<T: FromStr>(what: &'static str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Value {
        what,
        value: text.chars().take(80).collect(),
    })
}

/// An error with all its causes in one line, for the log.
pub fn chain(err: &dyn std::error::Error) -> String {
    let mut text = err.to_string();
    let mut cause = err.source();
    while let Some(err) = cause {
        let next = err.to_string();
        // Some libraries repeat their cause in their own text.
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = err.source();
    }
    text
}
