//! The few shapes of statement that the tables of notices need.

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, QueryResult, TransactionTrait as _, TryGetable, Value,
};

use crate::store::{Doing as _, Store, StoreError, raw};

const DOING: &str = "reading or writing notices";

/// Runs a statement; how many rows it changed.
pub(super) async fn exec<C: ConnectionTrait>(
    db: &C,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, StoreError> {
    raw::exec(db, DOING, sql, values).await
}

/// The rows of a query.
pub(super) async fn rows<C: ConnectionTrait>(
    db: &C,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<QueryResult>, StoreError> {
    raw::rows(db, DOING, sql, values).await
}

/// A column of a row.
pub(super) fn column<T: TryGetable>(row: &QueryResult, name: &str) -> Result<T, StoreError> {
    row.try_get("", name).doing(DOING)
}

/// A column that counts.
pub(super) fn count(row: &QueryResult, name: &str) -> Result<u64, StoreError> {
    Ok(column::<i64>(row, name)?.max(0).unsigned_abs())
}

/// A number as the database keeps it.
pub(super) fn number(value: u64) -> Value {
    i64::try_from(value).unwrap_or(i64::MAX).into()
}

/// Begins a transaction of the one writer.
pub(super) async fn begin(store: &Store) -> Result<DatabaseTransaction, StoreError> {
    store.write().begin().await.doing(DOING)
}

/// Ends it.
pub(super) async fn commit(txn: DatabaseTransaction) -> Result<(), StoreError> {
    txn.commit().await.doing(DOING)
}
