//! Rollouts that somebody else knows by a key of their own: started once for each.

use sea_orm::ConnectionTrait;
use tern_protocol::id::{RolloutId, WorkspaceId};

use crate::store::{Statements, StoreError};

const SQL: Statements = Statements::of("reading or writing keys of rollouts");

/// The rollout that was started under a key.
pub(super) async fn find(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    key: &str,
) -> Result<Option<RolloutId>, StoreError> {
    let sql = "SELECT rollout FROM rollout_key WHERE workspace = $1 AND key = $2";
    let row = SQL
        .row(db, sql, [workspace.as_str().into(), key.into()])
        .await?;
    let id = row.map(|row| SQL.count(&row, "rollout")).transpose()?;
    Ok(id.map(|id| RolloutId(u32::try_from(id).unwrap_or(u32::MAX))))
}

/// Notes it, in the transaction that starts the rollout.
pub(super) async fn note(
    txn: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    key: &str,
    id: RolloutId,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO rollout_key (workspace, key, rollout) VALUES ($1, $2, $3)";
    let values = [
        workspace.as_str().into(),
        key.into(),
        i64::from(id.0).into(),
    ];
    SQL.exec(txn, sql, values).await.map(drop)
}
