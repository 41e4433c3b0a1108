//! Rollouts in the database.

use std::collections::HashMap;

use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, DatabaseTransaction,
    EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::{ExprTrait as _, OnConflict},
};
use serde::{Serialize, de::DeserializeOwned};
use tern_protocol::{
    blob::BlobRef,
    id::{RolloutId, WorkspaceId},
    time::WallTime,
};

use super::{
    plan::{Before, Rollout},
    rows::{moved, rollout},
};
use crate::{
    fleet::{
        assign::Done,
        facts::{Assigned, Target, assigned_from, digest, named_version},
    },
    store::{Doing as _, StoreError, parsed},
};

/// Devices in one statement that remembers what they had before.
const ROWS: usize = 500;

/// The spelling of a closed set of words or a small structure: its JSON, without quotes if it is a
/// word.
fn to_text<T: Serialize>(value: &T) -> String {
    let json = serde_json::to_string(value).expect("plain data is JSON");
    json.trim_matches('"').to_owned()
}

fn word<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    let word = serde_json::from_value(serde_json::Value::String(text.to_owned()));
    word.map_err(|_| unreadable(what, text))
}

fn structure<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| unreadable(what, text))
}

fn unreadable(what: &'static str, text: &str) -> StoreError {
    StoreError::Value {
        what,
        value: text.chars().take(80).collect(),
    }
}

fn from_row(row: rollout::Model) -> Result<Rollout, StoreError> {
    let named = named_version(Some(&row.model), Some(row.version))?;
    let (model, version) = named.ok_or_else(|| unreadable("version of a rollout", &row.model))?;
    let percent = u8::try_from(row.percent);
    Ok(Rollout {
        workspace: parsed("workspace id", &row.workspace)?,
        id: id_from(row.id)?,
        slot: parsed("slot name", &row.slot)?,
        target: Target {
            model,
            version,
            bundle: BlobRef {
                digest: digest(&row.bundle)?,
                len: u64::try_from(row.bundle_len).unwrap_or(0),
            },
            weights: digest(&row.weights)?,
        },
        selector: structure("selector", &row.selector)?,
        percent: percent.map_err(|_| unreadable("percentage", &row.percent.to_string()))?,
        state: word("state of a rollout", &row.state)?,
        moved: row
            .moved
            .map(|text| word("end of a rollout", &text))
            .transpose()?,
        reason: row.reason,
        counts: structure("counts of a rollout", &row.counts)?,
        created: WallTime(row.created),
        updated: WallTime(row.updated),
        actor: row.actor,
        plan: row
            .plan
            .map(|text| structure("plan of a rollout", &text))
            .transpose()?,
        precedence: u32::try_from(row.precedence).unwrap_or_default(),
        stage: row.stage.and_then(|stage| u32::try_from(stage).ok()),
        bytes: u64::try_from(row.bytes).unwrap_or(0),
    })
}

fn id_from(id: i64) -> Result<RolloutId, StoreError> {
    let id = u32::try_from(id).map_err(|_| unreadable("rollout id", &id.to_string()));
    id.map(RolloutId)
}

fn to_row(rollout: &Rollout) -> rollout::Model {
    rollout::Model {
        workspace: rollout.workspace.to_string(),
        id: i64::from(rollout.id.0),
        slot: rollout.slot.to_string(),
        model: rollout.target.model.to_string(),
        version: i64::from(rollout.target.version.get()),
        bundle: rollout.target.bundle.digest.as_bytes().to_vec(),
        bundle_len: i64::try_from(rollout.target.bundle.len).unwrap_or(i64::MAX),
        weights: rollout.target.weights.as_bytes().to_vec(),
        selector: to_text(&rollout.selector),
        percent: i64::from(rollout.percent),
        state: to_text(&rollout.state),
        moved: rollout.moved.as_ref().map(to_text),
        reason: rollout.reason.clone(),
        counts: to_text(&rollout.counts),
        created: rollout.created.0,
        updated: rollout.updated.0,
        actor: rollout.actor.clone(),
        plan: rollout.plan.as_ref().map(to_text),
        precedence: i64::from(rollout.precedence),
        stage: rollout.stage.map(i64::from),
        bytes: i64::try_from(rollout.bytes).unwrap_or(i64::MAX),
    }
}

/// One rollout.
pub(super) async fn find<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    id: RolloutId,
) -> Result<Option<Rollout>, StoreError> {
    let row = rollout::Entity::find_by_id((workspace.to_string(), i64::from(id.0)))
        .one(db)
        .await
        .doing("reading a rollout")?;
    row.map(from_row).transpose()
}

/// The newest rollouts, newest first.
pub(super) async fn newest<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    limit: u64,
) -> Result<Vec<Rollout>, StoreError> {
    let rows = rollout::Entity::find()
        .filter(rollout::Column::Workspace.eq(workspace.as_str()))
        .order_by_desc(rollout::Column::Id)
        .limit(limit)
        .all(db)
        .await
        .doing("reading rollouts")?;
    rows.into_iter().map(from_row).collect()
}

/// Precedence of the rollouts of a workspace that have one.
pub(super) async fn precedences<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
) -> Result<HashMap<RolloutId, u32>, StoreError> {
    let rows: Vec<(i64, i64)> = rollout::Entity::find()
        .select_only()
        .columns([rollout::Column::Id, rollout::Column::Precedence])
        .filter(rollout::Column::Workspace.eq(workspace.as_str()))
        .filter(rollout::Column::Precedence.gt(0))
        .into_tuple()
        .all(db)
        .await
        .doing("reading the precedence of rollouts")?;
    let pairs = rows
        .into_iter()
        .map(|(id, precedence)| Ok((id_from(id)?, u32::try_from(precedence).unwrap_or(u32::MAX))));
    pairs.collect()
}

/// All rollouts for which there may be something to do, those first that outrank others.
pub(super) async fn live<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
) -> Result<Vec<Rollout>, StoreError> {
    let goes_on = rollout::Column::State.is_not_in(["aborted", "stopped", "superseded"]);
    let rows = rollout::Entity::find()
        .filter(rollout::Column::Workspace.eq(workspace.as_str()))
        .filter(goes_on.or(rollout::Column::Moved.eq("back")))
        .order_by_desc(rollout::Column::Precedence)
        .order_by_desc(rollout::Column::Id)
        .all(db)
        .await
        .doing("reading live rollouts")?;
    rows.into_iter().map(from_row).collect()
}

/// The id after the newest.
pub(super) async fn next_id(
    txn: &DatabaseTransaction,
    workspace: &WorkspaceId,
) -> Result<RolloutId, StoreError> {
    let newest = newest(txn, workspace, 1).await?;
    Ok(newest
        .first()
        .map_or(RolloutId(1), |rollout| rollout.id.next()))
}

/// Writes a rollout, new or known.
pub(super) async fn save(txn: &DatabaseTransaction, rollout: &Rollout) -> Result<(), StoreError> {
    use rollout::Column;
    let on_conflict = OnConflict::columns([Column::Workspace, Column::Id])
        .update_columns([
            Column::Percent,
            Column::State,
            Column::Moved,
            Column::Reason,
            Column::Counts,
            Column::Updated,
            Column::Stage,
        ])
        .to_owned();
    let row = to_row(rollout).into_active_model().reset_all();
    let insert = rollout::Entity::insert(row).on_conflict(on_conflict);
    insert
        .exec_without_returning(txn)
        .await
        .doing("storing a rollout")?;
    Ok(())
}

/// Remembers what devices had before the rollout moved them. What is remembered already stays: a
/// device that was moved twice had it before the first time.
pub(super) async fn remember(
    txn: &DatabaseTransaction,
    workspace: &WorkspaceId,
    id: RolloutId,
    done: &[Done],
) -> Result<(), StoreError> {
    for done in done.chunks(ROWS) {
        let rows = done.iter().map(|done| {
            let before = done.before.as_ref();
            let target = before.map(|before| &before.target);
            let row = moved::Model {
                workspace: workspace.to_string(),
                rollout: i64::from(id.0),
                device: done.device.to_string(),
                before_model: target.map(|target| target.model.to_string()),
                before_version: target.map(|target| i64::from(target.version.get())),
                before_bundle: target.map(|target| target.bundle.digest.as_bytes().to_vec()),
                before_len: target
                    .map(|target| i64::try_from(target.bundle.len).unwrap_or(i64::MAX)),
                before_weights: target.map(|target| target.weights.as_bytes().to_vec()),
                before_rollout: before.map(|before| i64::from(before.rollout.0)),
            };
            row.into_active_model().reset_all()
        });
        let on_conflict = OnConflict::columns([
            moved::Column::Workspace,
            moved::Column::Rollout,
            moved::Column::Device,
        ])
        .do_nothing()
        .to_owned();
        let insert = moved::Entity::insert_many(rows).on_conflict(on_conflict);
        let inserted = insert.exec_without_returning(txn).await;
        inserted.doing("remembering what devices had before")?;
    }
    Ok(())
}

/// What the devices of a rollout had before it moved them, by device.
pub(super) async fn remembered<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    id: RolloutId,
) -> Result<HashMap<String, Before>, StoreError> {
    let rows = moved::Entity::find()
        .filter(moved::Column::Workspace.eq(workspace.as_str()))
        .filter(moved::Column::Rollout.eq(i64::from(id.0)))
        .all(db)
        .await
        .doing("reading what devices had before")?;
    let before = rows.into_iter().map(|row| {
        let before: Option<Assigned> = assigned_from(
            named_version(row.before_model.as_deref(), row.before_version)?,
            row.before_bundle.as_deref(),
            row.before_len,
            row.before_weights.as_deref(),
            row.before_rollout,
        )?;
        Ok((row.device, Before(before)))
    });
    before.collect()
}
