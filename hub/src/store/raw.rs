//! The few shapes of statement written as SQL that domains have in common. `doing` says in errors what it was for.

use sea_orm::{ConnectionTrait, DatabaseBackend, QueryResult, Statement, Value};

use super::{Doing as _, StoreError};

/// Runs a statement; how many rows it changed.
pub async fn exec<C: ConnectionTrait>(
    db: &C,
    doing: &'static str,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, StoreError> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let done = db.execute_raw(statement).await.doing(doing)?;
    Ok(done.rows_affected())
}

/// The rows of a query.
pub async fn rows<C: ConnectionTrait>(
    db: &C,
    doing: &'static str,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<QueryResult>, StoreError> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    db.query_all_raw(statement).await.doing(doing)
}

/// The first row of a query.
pub async fn row<C: ConnectionTrait>(
    db: &C,
    doing: &'static str,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Option<QueryResult>, StoreError> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    db.query_one_raw(statement).await.doing(doing)
}

/// A number as the database keeps it.
pub fn number(value: u64) -> Value {
    i64::try_from(value).unwrap_or(i64::MAX).into()
}

/// The text of bytes in a column, as digests are written.
pub fn hex(backend: DatabaseBackend, column: &str) -> String {
    match backend {
        DatabaseBackend::Postgres => format!("encode({column}, 'hex')"),
        _ => format!("lower(hex({column}))"),
    }
}
