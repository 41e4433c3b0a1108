//! The few shapes of statement that the tables of people need.

use sea_orm::{ConnectionTrait, QueryResult, TryGetable, Value};

use crate::store::{Doing as _, StoreError, raw};

const DOING: &str = "reading or writing accounts";

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

/// The first row of a query.
pub(super) async fn row<C: ConnectionTrait>(
    db: &C,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Option<QueryResult>, StoreError> {
    raw::row(db, DOING, sql, values).await
}

/// A column of a row.
pub(super) fn column<T: TryGetable>(row: &QueryResult, name: &str) -> Result<T, StoreError> {
    row.try_get("", name).doing(DOING)
}

/// Begins a transaction of the one writer.
pub(super) async fn begin(
    store: &crate::store::Store,
) -> Result<sea_orm::DatabaseTransaction, StoreError> {
    use sea_orm::TransactionTrait as _;
    store.write().begin().await.doing(DOING)
}

/// Ends it.
pub(super) async fn commit(txn: sea_orm::DatabaseTransaction) -> Result<(), StoreError> {
    txn.commit().await.doing(DOING)
}
