//! Who may use a database on a server: one hub at a time, and one writer at a time.
//!
//! Called by the connections that write, when they begin, are taken and are given back. Two locks of
//! the session (PostgreSQL ends them with it, however it ends): the hub's, held as long as its writing
//! connection lives; and the writer's, held while somebody writes, by the hub or by a command beside it,
//! so that all that was written for SQLite's one writer holds here too.
//!
//! Must never break:
//! - two hubs never write to one database. A connection that was lost is made anew, and then the lock is
//!   taken again; if another hub has it, or had it meanwhile, this one ends: what it remembers is no
//!   longer so;
//! - a session of this hub that the server has not noticed to be dead does not lock the hub out.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sea_orm::DatabaseConnection;
use sqlx::{Executor as _, PgConnection, Row as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{StoreError, raw};

/// The first half of the locks' numbers: "TERN".
const LOCKS: &str = "1413829198";

/// How long a hub that starts waits for one that is ending, as it does for the data directory.
const GRACE: Duration = Duration::from_secs(5);

/// Between two looks at a lock.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The row of `counter` that says which hub used the database last.
const HOLDER: &str = "hub.holder";

/// A hub's right to a database.
#[derive(Debug)]
pub(super) struct Tenure {
    /// A number that no other start of a hub has.
    me: i64,
    /// Whether the database knows that it is this hub's.
    settled: AtomicBool,
    /// Why the hub may not use it any more.
    refused: Mutex<Option<String>>,
    over: CancellationToken,
}

impl Tenure {
    /// Of a hub that starts.
    pub(super) fn new() -> Arc<Self> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).expect("the system has randomness");
        Arc::new(Self {
            me: i64::from_le_bytes(bytes) & i64::MAX,
            settled: AtomicBool::new(false),
            refused: Mutex::new(None),
            over: CancellationToken::new(),
        })
    }

    /// What its sessions are called.
    pub(super) fn name(&self) -> String {
        format!("tern-hub {} {:x}", std::process::id(), self.me)
    }

    /// Returns once the database is another's, and says whose.
    pub(super) async fn over(&self) -> String {
        self.over.cancelled().await;
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.clone().unwrap_or_default()
    }

    fn refuse(&self, by: String) -> sqlx::Error {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let by = refused.get_or_insert(by).clone();
        self.over.cancel();
        sqlx::Error::Configuration(format!("the database is another's: {by}").into())
    }

    /// Writes down whose the database is, once its tables are there.
    pub(super) async fn settle(&self, db: &DatabaseConnection) -> Result<(), StoreError> {
        let sql = "INSERT INTO counter (name, value) VALUES ($1, $2) \
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        let values = [HOLDER.into(), self.me.into()];
        raw::exec(db, "taking the database", sql, values).await?;
        self.settled.store(true, Ordering::Release);
        Ok(())
    }

    /// Takes the hub's lock for a new session.
    pub(super) async fn take(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let deadline = Instant::now() + GRACE;
        loop {
            if try_lock(connection).await? {
                break;
            }
            match holder(connection).await? {
                Some((pid, name, _)) if name == self.name() => {
                    // A session of this hub whose end the server has not noticed yet.
                    sqlx::query("SELECT pg_terminate_backend($1)")
                        .bind(pid)
                        .execute(&mut *connection)
                        .await?;
                }
                Some((_, name, from)) if Instant::now() >= deadline => {
                    return Err(self.refuse(format!("{name} from {from}")));
                }
                _ => {}
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        if self.settled.load(Ordering::Acquire) {
            let last: Option<i64> = sqlx::query_scalar("SELECT value FROM counter WHERE name = $1")
                .bind(HOLDER)
                .fetch_optional(connection)
                .await?;
            if last != Some(self.me) {
                let by = "one that has used it while this one had lost its connection";
                return Err(self.refuse(by.into()));
            }
        }
        Ok(())
    }
}

async fn try_lock(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let lock = format!("SELECT pg_try_advisory_lock({LOCKS}, {})", number("hub"));
    let row = connection.fetch_one(sqlx::raw_sql(sqlx::AssertSqlSafe(lock)));
    row.await?.try_get(0)
}

/// The second half of a lock's number. A schema is a hub's own, as a database is.
fn number(what: &str) -> String {
    format!("hashtext('{what} ' || current_schema())")
}

/// Who has the hub's lock: process of the server, name, and where it is.
async fn holder(
    connection: &mut PgConnection,
) -> Result<Option<(i32, String, String)>, sqlx::Error> {
    let held = format!(
        "SELECT a.pid, a.application_name, \
                COALESCE(host(a.client_addr), 'the machine of the server') \
         FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 \
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
           AND l.classid = {LOCKS} AND l.objid = ({}::bigint & 4294967295)::oid",
        number("hub")
    );
    let row = connection.fetch_optional(sqlx::raw_sql(sqlx::AssertSqlSafe(held)));
    let Some(row) = row.await? else {
        return Ok(None);
    };
    Ok(Some((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
}

/// Waits for the right to write: whoever else has it is done in a moment.
pub(super) async fn begin_writing(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let lock = format!("SELECT pg_advisory_lock({LOCKS}, {})", number("writer"));
    let locked = connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(lock)));
    locked.await.map(drop)
}

/// Lets others write. What is left of a transaction is rolled back first.
pub(super) async fn end_writing(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let unlock = format!("SELECT pg_advisory_unlock({LOCKS}, {})", number("writer"));
    let unlocked = connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(unlock)));
    unlocked.await.map(drop)
}
