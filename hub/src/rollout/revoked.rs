//! What becomes of devices and rollouts whose version was revoked: rollouts of it end, and whoever was
//! given it gets what takes its place. Looked at with every pass, so it holds for devices that are given
//! it back later too.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, QueryResult, Statement, TransactionTrait as _};
use tern_protocol::{
    id::{DeviceId, RolloutId, SlotName, WorkspaceId},
    rest::{Change, Moved, RolloutState},
};
use tokio::sync::mpsc;

use super::{
    driver::{Did, tell_all},
    plan::Rollout,
    stored,
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    fleet::{
        self,
        assign::{Assignment, Cause, Tell, assign},
        facts::{Assigned, Target, named_version},
    },
    registry,
    store::{Doing as _, StoreError, parsed},
};

const DOING: &str = "looking for revoked versions";

/// Devices moved in one transaction.
const CHUNK: usize = 500;

/// Ends what spreads a revoked version, and replaces it where it was assigned.
pub(super) async fn replace(
    app: &App,
    workspace: &WorkspaceId,
    live: &[Rollout],
    tell: &mpsc::Sender<Tell>,
) -> Result<Did, StoreError> {
    let mut did = Did::Nothing;
    if fleet::revoked::mark(app, workspace).await? {
        did = Did::Something;
    }
    for rollout in live.iter().filter(|rollout| !rollout.state.is_over()) {
        let target = &rollout.target;
        let facts =
            registry::bundle_of(&app.store, workspace, &target.model, target.version).await?;
        if facts.is_some_and(|facts| facts.revoked) {
            end(app, rollout).await?;
            did = Did::Something;
        }
    }
    for (slot, assignments) in due(app, workspace).await? {
        for chunk in assignments.chunks(CHUNK) {
            move_on(app, workspace, &slot, chunk, tell).await?;
            did = Did::Something;
        }
    }
    Ok(did)
}

async fn end(app: &App, rollout: &Rollout) -> Result<(), StoreError> {
    let txn = app.store.write().begin().await.doing(DOING)?;
    let Some(mut now) = stored::find(&txn, &rollout.workspace, rollout.id).await? else {
        return Ok(());
    };
    let target = &rollout.target;
    now.state = RolloutState::Aborted;
    now.moved = Some(Moved::Stay);
    now.reason = format!("{} v{} is revoked", target.model, target.version);
    now.updated = app.clock.now();
    stored::save(&txn, &now).await?;
    let deed = Deed::new("rollout.abort", format!("rollout {}", rollout.id))
        .within(&rollout.workspace)
        .detail(now.reason.clone());
    audit::record(&txn, &app.clock, &Actor::hub(), deed).await?;
    txn.commit().await.doing(DOING)?;
    tracing::warn!(workspace = %rollout.workspace, rollout = %rollout.id, reason = now.reason,
        "rollout ended");
    let change = Change::Rollout { id: rollout.id };
    app.changes.send(&rollout.workspace, change);
    Ok(())
}

/// Devices with a revoked version, by slot, and what they are to have.
async fn due(
    app: &App,
    workspace: &WorkspaceId,
) -> Result<BTreeMap<SlotName, Vec<Assignment>>, StoreError> {
    let db = app.store.read();
    let select = Statement::from_sql_and_values(
        db.get_database_backend(),
        "SELECT s.slot, s.device, s.assigned_rollout, v.model, v.replacement, v.version, v.revoked \
         FROM model_version v JOIN slot s ON s.workspace = v.workspace \
         AND s.assigned_model = v.model AND s.assigned_version = v.version \
         WHERE v.workspace = $1 AND v.revoked IS NOT NULL ORDER BY s.slot, s.device",
        [workspace.as_str().into()],
    );
    let rows = db.query_all_raw(select).await.doing(DOING)?;
    let mut all: BTreeMap<SlotName, Vec<Assignment>> = BTreeMap::new();
    for row in rows {
        let slot: String = row.try_get_by_index(0).doing(DOING)?;
        let device: String = row.try_get_by_index(1).doing(DOING)?;
        let device: DeviceId = parsed("device id", &device)?;
        let wanted = replacement(app, workspace, &row).await?;
        let slot = parsed("slot name", &slot)?;
        all.entry(slot).or_default().push(Assignment {
            device,
            wanted,
            cause: cause(app, &row)?,
        });
    }
    Ok(all)
}

fn cause(app: &App, row: &QueryResult) -> Result<Cause, StoreError> {
    let model: String = row.try_get_by_index(3).doing(DOING)?;
    let version: i64 = row.try_get_by_index(5).doing(DOING)?;
    let reason: String = row.try_get_by_index(6).doing(DOING)?;
    Ok(Cause {
        at: app.clock.now(),
        actor: None,
        text: format!("{model} v{version} is revoked: {reason}"),
    })
}

async fn replacement(
    app: &App,
    workspace: &WorkspaceId,
    row: &QueryResult,
) -> Result<Option<Assigned>, StoreError> {
    let rollout: Option<i64> = row.try_get_by_index(2).doing(DOING)?;
    let model: String = row.try_get_by_index(3).doing(DOING)?;
    let other: Option<i64> = row.try_get_by_index(4).doing(DOING)?;
    let Some((model, version)) = named_version(Some(&model), other)? else {
        return Ok(None);
    };
    let facts = registry::bundle_of(&app.store, workspace, &model, version).await?;
    let rollout = rollout.and_then(|id| u32::try_from(id).ok());
    Ok(facts.map(|facts| Assigned {
        target: Target {
            model,
            version,
            bundle: facts.bundle,
            weights: facts.weights,
        },
        rollout: RolloutId(rollout.unwrap_or_default()),
    }))
}

async fn move_on(
    app: &App,
    workspace: &WorkspaceId,
    slot: &SlotName,
    assignments: &[Assignment],
    tell: &mpsc::Sender<Tell>,
) -> Result<(), StoreError> {
    let txn = app.store.write().begin().await.doing(DOING)?;
    let done = assign(&txn, workspace, slot, assignments).await?;
    txn.commit().await.doing(DOING)?;
    tracing::warn!(%workspace, %slot, devices = done.len(), "a revoked version is replaced");
    tell_all(
        app,
        workspace,
        done.into_iter().map(|done| (done.device, done.desired)),
        tell,
    )
    .await;
    Ok(())
}
