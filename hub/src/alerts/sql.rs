//! The few shapes of statement that the tables of alerts need.

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, QueryResult, TransactionTrait as _, TryGetable, Value,
};
use tern_protocol::time::WallTime;

use crate::store::{Doing as _, Store, StoreError, raw};

const DOING: &str = "reading or writing alerts";

pub(super) async fn exec<C: ConnectionTrait>(
    db: &C,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, StoreError> {
    raw::exec(db, DOING, sql, values).await
}

pub(super) async fn rows<C: ConnectionTrait>(
    db: &C,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<QueryResult>, StoreError> {
    raw::rows(db, DOING, sql, values).await
}

pub(super) fn column<T: TryGetable>(row: &QueryResult, name: &str) -> Result<T, StoreError> {
    row.try_get("", name).doing(DOING)
}

/// A column that counts.
pub(super) fn count(row: &QueryResult, name: &str) -> Result<u64, StoreError> {
    Ok(column::<i64>(row, name)?.max(0).unsigned_abs())
}

/// A column that is a time, or nothing.
pub(super) fn time(row: &QueryResult, name: &str) -> Result<Option<WallTime>, StoreError> {
    Ok(column::<Option<i64>>(row, name)?.map(WallTime))
}

/// A number as the database keeps it.
pub(super) fn number(value: u64) -> Value {
    i64::try_from(value).unwrap_or(i64::MAX).into()
}

/// Something that is kept as JSON.
pub(super) fn json<T: serde::de::DeserializeOwned>(
    what: &'static str,
    text: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Value {
        what,
        value: text.chars().take(80).collect(),
    })
}

/// Something as JSON.
pub(super) fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("texts, numbers and lists are always JSON")
}

/// Begins a transaction of the one writer.
pub(super) async fn begin(store: &Store) -> Result<DatabaseTransaction, StoreError> {
    store.write().begin().await.doing(DOING)
}

/// Ends it.
pub(super) async fn commit(txn: DatabaseTransaction) -> Result<(), StoreError> {
    txn.commit().await.doing(DOING)
}
