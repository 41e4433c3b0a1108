//! A database in the data directory: how its file is made, checked and opened.
//!
//! Called by the store. Must never break: the file is for its owner alone; what a log holds is not
//! forgotten without a word.

use std::{
    fs::{OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, Statement,
    sqlx::{
        Connection as _,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
    },
};

use super::{Doing as _, StoreError, wal};

/// Name of the database in the data directory.
pub(crate) const FILE: &str = "tern.sqlite";

/// Name of its write-ahead log.
pub(super) const LOG: &str = "tern.sqlite-wal";

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

/// Makes the file in `dir` if it is missing, and refuses one whose log has lost something; its path.
pub(super) fn prepared(dir: &Path) -> Result<PathBuf, StoreError> {
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
    Ok(path)
}

/// Copies the database of `dir`, as it stands at one moment, to a file that is empty; whoever uses
/// it goes on meanwhile.
pub(super) async fn snapshot(dir: &Path, to: &Path) -> Result<(), StoreError> {
    let read = opened(&dir.join(FILE), Access::Copy).await?;
    let to = to.to_string_lossy().into_owned();
    let backend = read.get_database_backend();
    let vacuum = Statement::from_sql_and_values(backend, "VACUUM INTO $1", [to.into()]);
    let copied = read.execute_raw(vacuum).await;
    // The copy is there or not; closing changes nothing about it.
    let _ = read.close().await;
    copied.map(drop).doing("copying the database")
}

/// What SQLite says of a database, if it is not well.
pub(super) async fn verdict(
    db: &DatabaseConnection,
    pragma: &str,
) -> Result<Result<(), String>, StoreError> {
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
pub(super) enum Access {
    Read,
    Write,
    /// Reads it all, for a copy.
    Copy,
}

pub(super) async fn opened(path: &Path, access: Access) -> Result<DatabaseConnection, StoreError> {
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
