//! What can go wrong with the database.

use std::{path::PathBuf, str::FromStr};

use sea_orm::{DbErr, RuntimeErr};
use serde::{Serialize, de::DeserializeOwned};
use tern_protocol::codec::DecodeError;

use super::{FILE, postgres};

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
        "{database} was written by a newer tern-hub: its step `{step}` is not known here; \
         start that version, or restore a copy from before the upgrade"
    )]
    Newer {
        /// Its file or server.
        database: String,
        /// The first step of its schema that this hub does not know.
        step: String,
    },
    /// It was written by an older hub, which may be running.
    #[error(
        "{database} was written by an older tern-hub; `tern-hub serve` of this version brings it up to date"
    )]
    Older {
        /// Its file or server.
        database: String,
    },
    /// Its server lets nobody in, or is not there.
    #[error("connecting to the database {server}")]
    Connect {
        /// The server, without the password.
        server: String,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// A database on a server that is not as the hub needs it.
    #[error("the database {server} cannot be used: {why}")]
    Unfit {
        /// The server.
        server: String,
        /// What about it, and what to do.
        why: String,
    },
    /// Another hub uses it.
    #[error(
        "the database {server} is used by another hub ({by}); stop that one, or give this one a database of \
         its own"
    )]
    Used {
        /// The server.
        server: String,
        /// Who, and where.
        by: String,
    },
    /// Another hub has used it while this one ran.
    #[error(
        "the database belongs to another hub now ({by}); two hubs cannot share one: see which is to stay, and \
         start that one again"
    )]
    Taken {
        /// Who, and where.
        by: String,
    },
    /// The hub of a data directory has its database on a server, and nobody said so.
    #[error(
        "the hub of {} has its database at {server}; say so with `--database` or `--database-file`",
        dir.display()
    )]
    Elsewhere {
        /// The data directory.
        dir: PathBuf,
        /// The server.
        server: String,
    },
    /// A server is named, and the data directory has a database too.
    #[error(
        "{} is a hub's database, and `--database` names another ({server}); choose another `--data`, or leave \
         `--database` out",
        path.display()
    )]
    Both {
        /// The file.
        path: PathBuf,
        /// The server.
        server: String,
    },
    /// It could not be written down where the database is.
    #[error("writing {}", path.display())]
    Remember {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database does not answer; it may be back in a moment.
    #[error("{doing}: the database does not answer")]
    Away {
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: DbErr,
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
    /// A text has U+0000 in it, which PostgreSQL has no place for.
    #[error("{doing}: a text has the character U+0000 in it, which the database cannot hold")]
    Nul {
        /// What was being done.
        doing: &'static str,
        /// What the database says.
        #[source]
        source: DbErr,
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
        } else if driver(&source).is_some_and(postgres::is_away) || is_queue(&source) {
            Self::Away { doing, source }
        } else if driver(&source).is_some_and(postgres::is_nul) {
            Self::Nul { doing, source }
        } else {
            Self::Query { doing, source }
        }
    }
}

/// What the driver says.
fn driver(err: &DbErr) -> Option<&sqlx::Error> {
    match err {
        DbErr::Conn(RuntimeErr::SqlxError(err))
        | DbErr::Exec(RuntimeErr::SqlxError(err))
        | DbErr::Query(RuntimeErr::SqlxError(err)) => Some(err),
        _ => None,
    }
}

/// Whether nobody gave a connection back in time.
const fn is_queue(err: &DbErr) -> bool {
    matches!(err, DbErr::ConnectionAcquire(_))
}

/// A text as every database can hold it: PostgreSQL has no place for U+0000. For what devices say: a batch
/// must not wait for ever since one of its texts cannot be stored.
pub fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
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

/// Something that a text column keeps as JSON.
pub fn json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Value {
        what,
        value: text.chars().take(80).collect(),
    })
}

/// Something as JSON, for a text column.
pub fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts, numbers and lists are always JSON")
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
