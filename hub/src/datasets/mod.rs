//! Datasets: what models are trained on, in versions that never change.
//!
//! Called by the API, the dashboard, jobs (which get a version as a directory) and retraining (which orders versions and
//! reads their rows). Calls `captures` and `registry` for what is known of captures, `blobs` for bytes, and the store.
//! Knows no HTTP but as a client of datastores.
//!
//! A **version** (`digits@3`) is a manifest and Parquet files, each a blob; the digest of the manifest names it. Its rows
//! are in **splits**: to train on, **held out** and **kept out**. The **ledger** remembers of each row of a name which
//! split it was in first.
//!
//! Must never break:
//! - a version is whole or not there: it is done in the transaction that names its files, and one whose making was cut off
//!   is made again from what was asked for;
//! - what was in one split of any version of a name, by its id or by its input, is in no other of a later one;
//! - a capture that was deleted is in no version made after, and versions that hold it are withdrawn in the transaction
//!   that deletes it;
//! - with a key for captures, no row reaches the disk as it is, but where somebody has a version written out;
//! - memory does not grow with the size of a version.

pub mod ask;
mod batches;
pub mod check_out;
pub mod compare;
pub mod datastores;
mod desk;
mod ledger;
pub mod look;
mod make;
pub mod schema;
mod side;
mod stored;
#[cfg(test)]
mod tests;
pub mod trained;
mod vault;
pub mod withdraw;
pub mod worker;

use std::{io, path::PathBuf};

use tern_dataset::TableError;
pub use tern_dataset::{Cell, Input, Label, Row};
use tern_protocol::rest::DatasetPick;

pub(crate) use self::ledger::predicted;
pub use self::{
    ask::{begin, build, remove, stop, stop_by_key},
    check_out::check_out,
    desk::Desk,
    look::{Found, by_key, find, one, rows, some_rows},
};
use crate::{
    blobs::BlobError,
    store::{Statements, StoreError, chain},
};

/// Rows of one version, at most: what the ledger of a name still grows by in a minute.
pub const ROWS: u64 = 2_000_000;

/// Bytes of one file of a version, at most.
pub const FILE: u64 = 64 * 1024 * 1024 * 1024;

const SQL: Statements = Statements::of("reading or writing datasets");

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// There is no such version.
    #[error("there is no dataset {0}; `tern dataset list` shows those that there are")]
    NoDataset(DatasetPick),
    /// There is no such thing.
    #[error("there is no {0}")]
    NotFound(String),
    /// What was asked is impossible, and would be again.
    #[error("{0}")]
    Refused(String),
    /// It is not in a state for this.
    #[error("{0}")]
    Conflict(String),
    /// Nobody waits for it any more.
    #[error("it was stopped")]
    Stopped,
    /// Something elsewhere did not work.
    #[error("{0}")]
    Away(String),
    /// A program of ours did not run.
    #[error("running {}", program.display())]
    Program {
        /// Which.
        program: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Files.
    #[error("{doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Why it did not work.
        #[source]
        source: io::Error,
    },
    /// Rows.
    #[error("reading or writing rows of a dataset")]
    Table(#[from] TableError),
    /// The bytes.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DatasetError {
    fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }

    /// Whether the same may succeed if it is tried again.
    pub const fn may_help_again(&self) -> bool {
        match self {
            Self::Away(_) | Self::Io { .. } | Self::Table(_) | Self::Blob(_) | Self::Store(_) => {
                true
            }
            Self::NoDataset(_)
            | Self::NotFound(_)
            | Self::Refused(_)
            | Self::Conflict(_)
            | Self::Stopped
            | Self::Program { .. } => false,
        }
    }

    /// With its causes, in one line.
    pub fn causes(&self) -> String {
        chain(self)
    }
}
