//! How much room artifacts of a workspace take, as a row of its own: adding all of them up for each upload would read two
//! million rows for one.
//!
//! Called by whatever adds and removes artifacts. Must never break: the row changes in the transaction that changes them.

use sea_orm::{ConnectionTrait, Value};
use tern_protocol::id::WorkspaceId;

use super::sql::SQL;
use crate::store::StoreError;

/// What artifacts take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Bytes of all files.
    pub(super) bytes: i64,
    /// Files and directories.
    pub(super) entries: i64,
}

/// What those of a workspace take.
pub(super) async fn read(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
) -> Result<Taken, StoreError> {
    let sql = "SELECT bytes, entries FROM tracking_taken WHERE workspace = $1";
    let found = SQL.row(db, sql, [workspace.as_str().into()]).await?;
    let Some(found) = found else {
        return Ok(Taken::default());
    };
    Ok(Taken {
        bytes: SQL.column(&found, "bytes")?,
        entries: SQL.column(&found, "entries")?,
    })
}

/// They take so much more; less, where it is negative.
pub(super) async fn add(
    txn: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    more: Taken,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO tracking_taken (workspace, bytes, entries) VALUES ($1, $2, $3) \
               ON CONFLICT (workspace) DO UPDATE SET bytes = tracking_taken.bytes + excluded.bytes, \
               entries = tracking_taken.entries + excluded.entries";
    let values = [
        workspace.as_str().into(),
        more.bytes.into(),
        more.entries.into(),
    ];
    SQL.exec(txn, sql, values).await.map(drop)
}

/// They take so much less.
pub(super) async fn take_off(
    txn: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    less: Taken,
) -> Result<(), StoreError> {
    let less = Taken {
        bytes: -less.bytes,
        entries: -less.entries,
    };
    add(txn, workspace, less).await
}

/// Bytes of those for which a condition holds, added up from their rows.
pub(super) async fn bytes_of(
    db: &impl ConnectionTrait,
    condition: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<i64, StoreError> {
    let sql = format!(
        "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS bytes FROM tracking_artifact WHERE {condition}"
    );
    let found = SQL.row(db, &sql, values).await?;
    found.map_or(Ok(0), |found| SQL.column(&found, "bytes"))
}
