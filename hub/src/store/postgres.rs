//! A database on a PostgreSQL server: how it is reached, and what its sessions are set to.
//!
//! Called by the store. Must never break:
//! - what is committed is on the server's disk (`synchronous_commit` is never off);
//! - text is ordered by its bytes, as everything else in the hub orders it;
//! - a connection that was lost fails what used it, and the next is made anew.

use std::{sync::Arc, time::Duration};

use sea_orm::{DatabaseConnection, SqlxPostgresConnector};
use sqlx::{
    ConnectOptions as _, Connection as _, Executor as _, PgConnection, Row as _,
    postgres::{PgConnectOptions, PgPool, PgPoolOptions},
};
use tokio::time::Instant;

use super::{
    StoreError,
    place::Server,
    tenure::{self, Tenure},
};

/// Connections that read: the hub has few cores to wait for answers with, and a server few for each hub.
const READERS: u32 = 4;

/// Longest wait for a connection that reads, and for the one that writes. Shorter than SQLite's: a server
/// that is gone is no queue, and whoever asks is told to come again.
const READ: Duration = Duration::from_secs(5);
const WRITE: Duration = Duration::from_secs(10);

/// Longest wait for a server that starts beside the hub.
const START: Duration = Duration::from_secs(10);

/// Between two attempts to reach it.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// A connection that was not used for so long is tried before it is given out: the server may have been
/// started anew.
const IDLE: Duration = Duration::from_millis(500);

/// The oldest version whose SQL is known to be enough, as PostgreSQL counts them.
const OLDEST: i32 = 130_000;

/// What every session is set to. Statements are short and many: compiling them costs more than it brings.
/// Dead connections are noticed within a minute, and nobody waits longer for a lock than SQLite would.
const SETTINGS: &str = "\
    SET client_min_messages = warning; \
    SET jit = off; \
    SET lock_timeout = '10s'; \
    SET tcp_keepalives_idle = 30; \
    SET tcp_keepalives_interval = 10; \
    SET tcp_keepalives_count = 3";

/// Readers see one moment for a transaction, and change nothing.
const READING: &str = "\
    SET default_transaction_read_only = on; \
    SET default_transaction_isolation = 'repeatable read'";

/// What is acknowledged is on the disk. A server that promises more keeps its promise.
const WRITING: &str = "SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') IN ('off', 'local')";

/// Whose connections they are.
pub(super) enum Who {
    /// The hub's.
    Hub(Arc<Tenure>),
    /// A command's, which may run beside the hub.
    Beside,
}

/// A connection that writes, as every hub has one.
pub(super) async fn writer(server: &Server, who: Who) -> Result<DatabaseConnection, StoreError> {
    let tenure = match who {
        Who::Hub(tenure) => Some(tenure),
        Who::Beside => None,
    };
    let options = named(server, tenure.as_deref());
    let ours = tenure.clone();
    let pool = pool(1, WRITE)
        .after_connect(move |connection, _| {
            let tenure = ours.clone();
            Box::pin(async move {
                connection.execute(sqlx::raw_sql(SETTINGS)).await?;
                connection.execute(sqlx::raw_sql(WRITING)).await?;
                if let Some(tenure) = tenure {
                    tenure.take(connection).await?;
                }
                tenure::begin_writing(connection).await
            })
        })
        .before_acquire(|connection, _| {
            Box::pin(async move { tenure::begin_writing(connection).await.map(|()| true) })
        })
        .after_release(|connection, _| {
            Box::pin(async move {
                tenure::end_writing(connection).await?;
                Ok(!connection.is_in_transaction())
            })
        });
    let pool = pool.connect_lazy_with(options);
    // Taken and given back as any other: what the pool opens by itself it does not give back, and the right to
    // write would stay with it.
    let first = pool.acquire();
    let first = match tenure {
        None => first.await,
        Some(tenure) => tokio::select! {
            biased;
            by = tenure.over() => {
                let server = server.to_string();
                return Err(StoreError::Used { server, by });
            }
            first = first => first,
        },
    };
    drop(first.map_err(|err| unreached(server, err))?);
    Ok(connection(pool))
}

/// Connections that read.
pub(super) async fn readers(server: &Server) -> Result<DatabaseConnection, StoreError> {
    let pool = pool(READERS, READ)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(sqlx::raw_sql(SETTINGS)).await?;
                connection.execute(sqlx::raw_sql(READING)).await.map(drop)
            })
        })
        .before_acquire(|connection, facts| {
            Box::pin(async move {
                if facts.idle_for > IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(named(server, None));
    pool.await
        .map(connection)
        .map_err(|err| unreached(server, err))
}

fn connection(pool: PgPool) -> DatabaseConnection {
    SqlxPostgresConnector::from_sqlx_postgres_pool(pool)
}

fn pool(connections: u32, longest: Duration) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(longest)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

fn named(server: &Server, tenure: Option<&Tenure>) -> PgConnectOptions {
    let name = tenure.map_or_else(|| format!("tern-hub {}", std::process::id()), Tenure::name);
    server
        .options
        .clone()
        .application_name(&name)
        .disable_statement_logging()
}

fn unreached(server: &Server, source: sqlx::Error) -> StoreError {
    StoreError::Connect {
        server: server.to_string(),
        source,
    }
}

/// Looks whether there is a database that a hub can use; waits a moment for a server that is starting.
pub(super) async fn survey(server: &Server) -> Result<(), StoreError> {
    let deadline = Instant::now() + START;
    let options = named(server, None);
    let mut first = loop {
        match PgConnection::connect_with(&options).await {
            Ok(connection) => break connection,
            Err(err) if !is_starting(&err) || Instant::now() > deadline => {
                return Err(unreached(server, err));
            }
            Err(_) => tokio::time::sleep(TRY_AGAIN).await,
        }
    };
    let looked = look(server, &mut first).await;
    // It was for this look alone.
    let _ = first.close().await;
    looked
}

fn is_starting(err: &sqlx::Error) -> bool {
    match err {
        sqlx::Error::Io(err) => err.kind() == std::io::ErrorKind::ConnectionRefused,
        sqlx::Error::Database(err) => err.code().is_some_and(|code| code == "57P03"),
        _ => false,
    }
}

async fn look(server: &Server, connection: &mut PgConnection) -> Result<(), StoreError> {
    #[cfg(test)]
    if let Some(schema) = &server.schema {
        let make = format!("CREATE SCHEMA IF NOT EXISTS {schema}");
        let made = connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(make)));
        made.await.expect("a schema for a test");
    }
    let asked = "SELECT current_setting('server_version_num')::int, \
                 current_setting('server_encoding'), current_setting('fsync'), \
                 'a' > 'B' AND 'a-c' < 'ab', current_schema() IS NOT NULL";
    let facts = connection.fetch_one(sqlx::raw_sql(asked)).await;
    let facts = facts.map_err(|err| unreached(server, err))?;
    let read = (|| -> Result<(i32, String, String, bool, bool), sqlx::Error> {
        Ok((
            facts.try_get(0)?,
            facts.try_get(1)?,
            facts.try_get(2)?,
            facts.try_get(3)?,
            facts.try_get(4)?,
        ))
    })();
    let (version, encoding, fsync, by_bytes, schema) =
        read.map_err(|err| unreached(server, err))?;
    let name = server.options.get_database().unwrap_or("tern");
    let why = if version < OLDEST {
        format!(
            "its server is PostgreSQL {}; 13 is the oldest",
            version / 10_000
        )
    } else if encoding != "UTF8" || !by_bytes {
        format!(
            "it does not order text by its bytes in UTF-8; make one that does: CREATE DATABASE \"{name}\" \
             TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    } else if !schema {
        "there is no schema to make tables in; see its `search_path`".to_owned()
    } else {
        if fsync == "off" && !cfg!(test) {
            tracing::warn!(
                "the database's server runs with fsync off: a power cut loses what was acknowledged"
            );
        }
        return Ok(());
    };
    let server = server.to_string();
    Err(StoreError::Unfit { server, why })
}

/// How many pages the server has found damaged, if it looks: `data_checksums` is on.
pub(super) const DAMAGED_PAGES: &str = "SELECT COALESCE(checksum_failures, 0) FROM pg_stat_database WHERE datname = current_database()";

/// Whether an error of the driver says that the database is not there, and not that a statement is wrong.
pub(super) fn is_away(err: &sqlx::Error) -> bool {
    match err {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::BeginFailed
        | sqlx::Error::WorkerCrashed => true,
        // Class 08: connections; 53300: too many of them; 55P03: a lock; 57P0x: the server ends or starts.
        sqlx::Error::Database(err) => err.code().is_some_and(|code| {
            code.len() == 5
                && (code.starts_with("08")
                    || matches!(
                        &*code,
                        "53300" | "55P03" | "57P01" | "57P02" | "57P03" | "57P05"
                    ))
        }),
        _ => false,
    }
}

/// Whether a text could not be stored for a U+0000 in it.
pub(super) fn is_nul(err: &sqlx::Error) -> bool {
    match err {
        sqlx::Error::Database(err) => err.code().is_some_and(|code| code == "22021"),
        _ => false,
    }
}
