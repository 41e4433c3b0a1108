//! The database: who may read, who may write, and what shape it has.
//!
//! Called by every domain module. Knows no table but the counters'; each domain has its own tables
//! beside its code.
//!
//! Must never break:
//! - what is committed survives a power cut (`synchronous = FULL`);
//! - one writer at a time, and nobody waits for a lock: writers queue for the only connection that
//!   may write, readers see a snapshot;
//! - a database of a newer hub is refused, not damaged.

mod error;
mod migrations;
pub mod schema;
#[cfg(test)]
mod tests;

use std::{path::Path, time::Duration};

use sea_orm::{
    ConnectOptions, Database, DatabaseBackend, DatabaseConnection,
    sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

pub use self::error::{Doing, StoreError, chain, parsed};

/// Name of the database in the data directory.
const FILE: &str = "tern.sqlite";

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
        let opening = |source| StoreError::Open {
            path: path.clone(),
            source,
        };
        // The writer first: it makes the file and sets the journal, which needs the right to write.
        let write = connect(&path, Access::Write).await.map_err(opening)?;
        migrations::run(&write, &path).await?;
        let read = connect(&path, Access::Read).await.map_err(opening)?;
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

    /// Closes all connections, when their users are done.
    pub async fn close(self) {
        // An error here says that a connection was broken already; there is nothing left to save,
        // since every commit reached the disk.
        let _ = self.read.close().await;
        let _ = self.write.close().await;
    }
}

#[derive(Clone, Copy)]
enum Access {
    Read,
    Write,
}

async fn connect(path: &Path, access: Access) -> Result<DatabaseConnection, sea_orm::DbErr> {
    let path = path.to_owned();
    // The path is set below, where it need not be spelled as part of a URL.
    let mut options = ConnectOptions::new("sqlite://placeholder");
    let connections = match access {
        Access::Read => READERS,
        Access::Write => 1,
    };
    options
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .test_before_acquire(false)
        .sqlx_logging(false)
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
                Access::Write => options
                    .journal_mode(SqliteJournalMode::Wal)
                    .pragma("cache_size", WRITER_CACHE)
                    .pragma("wal_autocheckpoint", CHECKPOINT_PAGES),
            }
        });
    Database::connect(options).await
}
