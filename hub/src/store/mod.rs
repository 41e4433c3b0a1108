//! The database: who may read, who may write, and what shape it has.
//!
//! Called by every domain module. Knows no table but the counters'; each domain has its own tables
//! beside its code.
//!
//! Must never break:
//! - what is committed survives a power cut (`synchronous = FULL`);
//! - one writer at a time, and nobody waits for a lock: writers queue for the only connection that
//!   may write, readers see a snapshot;
//! - a transaction that failed leaves nothing behind: SQLite ends one by itself when the disk is full,
//!   sqlx goes on counting it as open, and what came after would be part of it and never be committed.
//!   So a connection that is still in a transaction when it is handed back is closed;
//! - a database of a newer hub is refused, not damaged.

mod error;
mod migrations;
pub mod raw;
pub mod schema;
#[cfg(test)]
mod tests;
mod wal;

use std::{
    fs::{OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    time::Duration,
};

use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseBackend, DatabaseConnection, Statement,
    sqlx::{
        Connection as _,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
    },
};

pub use self::error::{Doing, StoreError, chain, parsed};

/// Name of the database in the data directory.
pub(crate) const FILE: &str = "tern.sqlite";

/// Name of its write-ahead log.
const LOG: &str = "tern.sqlite-wal";

/// Connections that read. SQLite readers do not block each other; more than the cores of a small
/// server bring nothing.
const READERS: u32 = 4;

/// Longest wait for a connection. Writers queue behind batches of telemetry, which take tens of
/// milliseconds; a wait of half a minute means that the disk is gone.
const ACQUIRE: Duration = Duration::from_secs(30);

/// Longest wait for SQLite's own lock, which only another process can hold (a backup).
const BUSY: Duration = Duration::from_secs(10);

/// Pages of 4 KiB in the write-ahead log before it is copied into the database: 16 MiB. The default
/// of 1,000 pages makes steady telemetry checkpoint several times a second.
const CHECKPOINT_PAGES: &str = "4000";

/// Pages that the writer keeps in memory, in KiB as SQLite counts negative sizes: 64 MiB. With the
/// default of 2 MiB the indices of a busy fleet's windows are read again for every transaction.
const WRITER_CACHE: &str = "-65536";

/// The database. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Store {
    read: DatabaseConnection,
    write: DatabaseConnection,
}

impl Store {
    /// Opens the database in `dir`, makes it if there is none, and brings it up to this hub's shape.
    pub async fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        private(&path).map_err(|source| StoreError::Private {
            path: path.clone(),
            source,
        })?;
        let log = dir.join(LOG);
        let forgotten = wal::forgotten(&path, &log);
        let forgotten = forgotten.map_err(|source| StoreError::ReadLog {
            path: log.clone(),
            source,
        })?;
        if forgotten > 0 {
            return Err(StoreError::Log {
                path: log,
                commits: forgotten,
            });
        }
        // The writer first: it makes the file and sets the journal, which needs the right to write.
        let write = opened(&path, Access::Write).await?;
        migrations::run(&write, &path).await?;
        let read = opened(&path, Access::Read).await?;
        Ok(Self { read, write })
    }

    /// Opens the database in `dir` beside a hub that may be running, and so leaves its shape alone: one
    /// of an older hub is refused.
    pub async fn beside(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        if !path.is_file() {
            return Self::open(dir).await;
        }
        let write = opened(&path, Access::Write).await?;
        migrations::refuse_other(&write, &path).await?;
        let read = opened(&path, Access::Read).await?;
        Ok(Self { read, write })
    }

    /// Connections that read a snapshot; a write through them is an error.
    pub const fn read(&self) -> &DatabaseConnection {
        &self.read
    }

    /// The one connection that writes. Writers queue here; hold a transaction as short as possible
    /// and never while waiting for anything but the database.
    pub const fn write(&self) -> &DatabaseConnection {
        &self.write
    }

    /// Which SQL the database speaks.
    pub fn backend(&self) -> DatabaseBackend {
        self.write.get_database_backend()
    }

    /// Copies the database of `dir`, as it stands at one moment, to a file that is empty; whoever uses
    /// it goes on meanwhile.
    pub async fn snapshot(dir: &Path, to: &Path) -> Result<(), StoreError> {
        let path = dir.join(FILE);
        let read = opened(&path, Access::Copy).await?;
        let to = to.to_string_lossy().into_owned();
        let backend = read.get_database_backend();
        let vacuum = Statement::from_sql_and_values(backend, "VACUUM INTO $1", [to.into()]);
        let copied = read.execute_raw(vacuum).await;
        // The copy is there or not; closing changes nothing about it.
        let _ = read.close().await;
        copied.map(drop).doing("copying the database")
    }

    /// Looks whether the pages of the database fit together, while it is in use; what is wrong, if
    /// something is. Faster than [`Self::check`]: indices are not compared with their tables.
    pub async fn quick_check(&self) -> Result<Result<(), String>, StoreError> {
        verdict(&self.read, "PRAGMA quick_check(1)").await
    }

    /// Opens the database in `dir`, which must be there, brings it up to this hub's shape, and looks
    /// whether it is sound; what is wrong with it, if something is.
    pub async fn check(dir: &Path) -> Result<Result<(), String>, StoreError> {
        let store = Self::open(dir).await?;
        let said = verdict(&store.read, "PRAGMA integrity_check(1)").await;
        store.close().await;
        said
    }

    /// Closes all connections, when their users are done.
    pub async fn close(self) {
        // An error here says that a connection was broken already; there is nothing left to save,
        // since every commit reached the disk.
        let _ = self.read.close().await;
        let _ = self.write.close().await;
    }
}

/// What SQLite says of a database, if it is not well.
async fn verdict(db: &DatabaseConnection, pragma: &str) -> Result<Result<(), String>, StoreError> {
    let check = Statement::from_string(db.get_database_backend(), pragma);
    let rows = match db.query_all_raw(check).await.doing("checking the database") {
        Err(StoreError::Damaged { source, .. }) => return Ok(Err(source.to_string())),
        rows => rows?,
    };
    let said = rows.iter().find_map(|row| row.try_get_by_index(0).ok());
    let said: String = said.unwrap_or_else(|| "it says nothing".into());
    Ok(if said == "ok" { Ok(()) } else { Err(said) })
}

/// Makes the file if it is missing, and closes it to others: seeds of second factors are in it. SQLite
/// gives what it puts beside it the same rights.
fn private(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))
}

#[derive(Clone, Copy)]
enum Access {
    Read,
    Write,
    /// Reads it all, for a copy.
    Copy,
}

async fn opened(path: &Path, access: Access) -> Result<DatabaseConnection, StoreError> {
    let connected = connect(path, access).await;
    connected.map_err(|source| match StoreError::of("starting", source) {
        StoreError::Query { source, .. } => StoreError::Open {
            path: path.to_owned(),
            source,
        },
        damaged => damaged,
    })
}

async fn connect(path: &Path, access: Access) -> Result<DatabaseConnection, sea_orm::DbErr> {
    let path = path.to_owned();
    // The path is set below, where it need not be spelled as part of a URL.
    let mut options = ConnectOptions::new("sqlite://placeholder");
    let connections = match access {
        Access::Read => READERS,
        Access::Write | Access::Copy => 1,
    };
    options
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_pool_opts(|pool| {
            pool.after_release(|connection, _| {
                Box::pin(async move {
                    // First what is left of a transaction is rolled back.
                    connection.ping().await?;
                    Ok(!connection.is_in_transaction())
                })
            })
        })
        .map_sqlx_sqlite_opts(move |options: SqliteConnectOptions| {
            let options = options
                .filename(&path)
                .create_if_missing(matches!(access, Access::Write))
                .foreign_keys(true)
                .busy_timeout(BUSY)
                .synchronous(SqliteSynchronous::Full)
                .pragma("temp_store", "memory");
            match access {
                Access::Read => options.pragma("query_only", "on"),
                Access::Copy => options,
                Access::Write => options
                    .journal_mode(SqliteJournalMode::Wal)
                    .pragma("cache_size", WRITER_CACHE)
                    .pragma("wal_autocheckpoint", CHECKPOINT_PAGES),
            }
        });
    Database::connect(options).await
}
