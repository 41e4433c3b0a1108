//! One big red command: nothing is moved in a workspace until a person thaws it.
//!
//! Rollouts still gather evidence, and one that does harm is still ended; but no device is assigned anything, not even
//! what it had before.

use sea_orm::{ConnectionTrait, Statement, TransactionTrait as _};
use tern_protocol::{
    id::WorkspaceId,
    rest::{Freeze, NoticeKind},
    time::WallTime,
};

use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    notify::{self, Notice},
    store::{Doing as _, StoreError},
};

const DOING: &str = "freezing or thawing a workspace";

/// Longest reason, in characters.
const REASON_MAX: usize = 500;

/// Whether a workspace is frozen.
pub async fn find(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
) -> Result<Option<Freeze>, StoreError> {
    let select = Statement::from_sql_and_values(
        db.get_database_backend(),
        "SELECT since, actor, reason FROM \"freeze\" WHERE workspace = $1",
        [workspace.as_str().into()],
    );
    let Some(row) = db.query_one_raw(select).await.doing(DOING)? else {
        return Ok(None);
    };
    Ok(Some(Freeze {
        since: WallTime(row.try_get_by_index(0).doing(DOING)?),
        by: row.try_get_by_index(1).doing(DOING)?,
        reason: row.try_get_by_index(2).doing(DOING)?,
    }))
}

/// Freezes a workspace; one that is frozen stays as it was.
pub async fn freeze(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    reason: &str,
) -> Result<Freeze, StoreError> {
    let txn = app.store.write().begin().await.doing(DOING)?;
    if let Some(frozen) = find(&txn, workspace).await? {
        return Ok(frozen);
    }
    let frozen = Freeze {
        since: app.clock.now(),
        by: by.name.clone(),
        reason: reason.chars().take(REASON_MAX).collect(),
    };
    let insert = Statement::from_sql_and_values(
        txn.get_database_backend(),
        "INSERT INTO \"freeze\" (workspace, since, actor, reason) VALUES ($1, $2, $3, $4)",
        [
            workspace.as_str().into(),
            frozen.since.0.into(),
            frozen.by.as_str().into(),
            frozen.reason.as_str().into(),
        ],
    );
    txn.execute_raw(insert).await.doing(DOING)?;
    let deed = Deed::new("rollout.freeze", format!("workspace {workspace}"))
        .within(workspace)
        .detail(frozen.reason.clone());
    audit::record(&txn, &app.clock, by, deed).await?;
    let notice = Notice {
        kind: NoticeKind::FleetFrozen,
        subject: format!("workspace {workspace} is frozen"),
        text: format!(
            "{} froze it, so no device is moved until somebody thaws it: {}",
            frozen.by,
            if frozen.reason.is_empty() {
                "no reason given"
            } else {
                &frozen.reason
            }
        ),
        link_path: "/rollouts".into(),
        at: frozen.since,
        key: format!("freeze/{}", frozen.since.0),
    };
    notify::enqueue(&txn, workspace, &notice).await?;
    txn.commit().await.doing(DOING)?;
    app.courier.wake();
    tracing::warn!(%workspace, by = frozen.by, reason = frozen.reason, "frozen: nothing is moved");
    app.wake.notify();
    Ok(frozen)
}

/// Lets rollouts go on; whether it was frozen.
pub async fn thaw(app: &App, by: &Actor, workspace: &WorkspaceId) -> Result<bool, StoreError> {
    let txn = app.store.write().begin().await.doing(DOING)?;
    if find(&txn, workspace).await?.is_none() {
        return Ok(false);
    }
    let delete = Statement::from_sql_and_values(
        txn.get_database_backend(),
        "DELETE FROM \"freeze\" WHERE workspace = $1",
        [workspace.as_str().into()],
    );
    txn.execute_raw(delete).await.doing(DOING)?;
    let deed = Deed::new("rollout.thaw", format!("workspace {workspace}")).within(workspace);
    audit::record(&txn, &app.clock, by, deed).await?;
    txn.commit().await.doing(DOING)?;
    tracing::warn!(%workspace, by = by.name, "thawed: rollouts go on");
    app.wake.notify();
    Ok(true)
}
