//! The statements of one domain.

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, QueryResult, TransactionTrait as _, TryGetable, Value,
};
use tern_protocol::time::WallTime;

use super::{Doing as _, Store, StoreError, raw};

/// The statements of a domain whose tables are asked for many things: all errors say the same of what was being done.
#[derive(Debug, Clone, Copy)]
pub struct Statements(&'static str);

impl Statements {
    /// Those that are for this, in the form "reading or writing notices".
    pub const fn of(doing: &'static str) -> Self {
        Self(doing)
    }

    /// As [`raw::exec`].
    pub async fn exec<C: ConnectionTrait>(
        self,
        db: &C,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<u64, StoreError> {
        raw::exec(db, self.0, sql, values).await
    }

    /// As [`raw::rows`].
    pub async fn rows<C: ConnectionTrait>(
        self,
        db: &C,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<QueryResult>, StoreError> {
        raw::rows(db, self.0, sql, values).await
    }

    /// As [`raw::row`].
    pub async fn row<C: ConnectionTrait>(
        self,
        db: &C,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Option<QueryResult>, StoreError> {
        raw::row(db, self.0, sql, values).await
    }

    /// A column of a row.
    pub fn column<T: TryGetable>(self, row: &QueryResult, name: &str) -> Result<T, StoreError> {
        row.try_get("", name).doing(self.0)
    }

    /// A column by its place, which is cheaper by much where there are many rows.
    pub fn at<T: TryGetable>(self, row: &QueryResult, place: usize) -> Result<T, StoreError> {
        row.try_get_by_index(place).doing(self.0)
    }

    /// A column that counts.
    pub fn count(self, row: &QueryResult, name: &str) -> Result<u64, StoreError> {
        Ok(self.column::<i64>(row, name)?.max(0).unsigned_abs())
    }

    /// A column that is a time, or nothing.
    pub fn time(self, row: &QueryResult, name: &str) -> Result<Option<WallTime>, StoreError> {
        Ok(self.column::<Option<i64>>(row, name)?.map(WallTime))
    }

    /// Begins a transaction of the one writer.
    pub async fn begin(self, store: &Store) -> Result<DatabaseTransaction, StoreError> {
        store.write().begin().await.doing(self.0)
    }

    /// Ends it.
    pub async fn commit(self, txn: DatabaseTransaction) -> Result<(), StoreError> {
        txn.commit().await.doing(self.0)
    }
}
