//! Evidence, decisions and orders in the database.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};
use tern_protocol::{
    id::{RolloutId, WorkspaceId},
    rest::{Decision, Look},
    time::WallTime,
};
use tern_rollout::event::{Batch, Index, Order};

use super::tally::Tally;
use crate::store::{Doing as _, StoreError, raw};

const READING: &str = "reading evidence of a rollout";
const WRITING: &str = "storing evidence of a rollout";

/// Looks that are kept of one rollout; when there are more, every other one goes.
const LOOKS: usize = 400;

fn key(workspace: &WorkspaceId, id: RolloutId) -> [Value; 2] {
    [workspace.as_str().into(), i64::from(id.0).into()]
}

fn unreadable(what: &'static str, number: i64) -> StoreError {
    StoreError::Value {
        what,
        value: format!("number {number}"),
    }
}

/// All batches, in order.
pub(in crate::rollout) async fn batches(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    id: RolloutId,
) -> Result<Vec<Batch>, StoreError> {
    let sql = "SELECT sequence, body FROM rollout_batch WHERE workspace = $1 AND rollout = $2 ORDER BY sequence";
    let rows = raw::rows(db, READING, sql, key(workspace, id)).await;
    let mut batches = Vec::new();
    for row in rows? {
        let number: i64 = row.try_get_by_index(0).doing(READING)?;
        let body: Vec<u8> = row.try_get_by_index(1).doing(READING)?;
        let batch = minicbor::decode(&body);
        batches.push(batch.map_err(|_| unreadable("batch of evidence", number))?);
    }
    Ok(batches)
}

/// Adds a batch.
pub(super) async fn add_batch(
    txn: &DatabaseTransaction,
    workspace: &WorkspaceId,
    id: RolloutId,
    sequence: i64,
    batch: &Batch,
) -> Result<(), StoreError> {
    let body = minicbor::to_vec(batch).expect("encoding into memory cannot fail");
    let values =
        key(workspace, id)
            .into_iter()
            .chain([sequence.into(), batch.at.0.into(), body.into()]);
    let sql = "INSERT INTO rollout_batch (workspace, rollout, sequence, at, body) VALUES ($1, $2, $3, $4, $5)";
    raw::exec(txn, WRITING, sql, values).await?;
    Ok(())
}

/// All decisions, in order.
pub(in crate::rollout) async fn decisions(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    id: RolloutId,
) -> Result<Vec<Decision>, StoreError> {
    let bytes = decision_bytes(db, workspace, id).await?;
    let decisions = bytes.iter().enumerate().map(|(number, bytes)| {
        serde_json::from_slice(bytes).map_err(|_| unreadable("decision", number as i64 + 1))
    });
    decisions.collect()
}

/// All decisions as they are stored.
pub(in crate::rollout) async fn decision_bytes(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    id: RolloutId,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let sql =
        "SELECT body FROM rollout_decision WHERE workspace = $1 AND rollout = $2 ORDER BY number";
    let rows = raw::rows(db, READING, sql, key(workspace, id)).await;
    let rows = rows?;
    rows.iter()
        .map(|row| row.try_get_by_index::<Vec<u8>>(0).doing(READING))
        .collect()
}

/// Adds a decision.
pub(super) async fn add_decision(
    txn: &DatabaseTransaction,
    workspace: &WorkspaceId,
    id: RolloutId,
    decision: &Decision,
) -> Result<(), StoreError> {
    let values = key(workspace, id).into_iter().chain([
        i64::from(decision.number).into(),
        decision.at.0.into(),
        tern_rollout::replay::bytes(decision).into(),
    ]);
    let sql = "INSERT INTO rollout_decision (workspace, rollout, number, at, body) VALUES ($1, $2, $3, $4, $5)";
    raw::exec(txn, WRITING, sql, values).await?;
    Ok(())
}

/// What the gates said over time, the oldest first.
pub(in crate::rollout) async fn looks(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    id: RolloutId,
) -> Result<Vec<Look>, StoreError> {
    let sql = "SELECT body FROM rollout_look WHERE workspace = $1 AND rollout = $2 ORDER BY at";
    let rows = raw::rows(db, READING, sql, key(workspace, id)).await;
    let mut looks = Vec::new();
    for row in rows? {
        let body: String = row.try_get_by_index(0).doing(READING)?;
        looks.extend(serde_json::from_str::<Look>(&body).ok());
    }
    Ok(looks)
}

/// Adds what the gates say; when there are many, every other one is forgotten.
pub(super) async fn add_look(
    txn: &DatabaseTransaction,
    workspace: &WorkspaceId,
    id: RolloutId,
    look: &Look,
) -> Result<(), StoreError> {
    let body = serde_json::to_string(look).expect("plain data is JSON");
    let values = key(workspace, id)
        .into_iter()
        .chain([look.at.0.into(), body.into()]);
    let sql = "INSERT INTO rollout_look (workspace, rollout, at, body) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (workspace, rollout, at) DO UPDATE SET body = excluded.body";
    raw::exec(txn, WRITING, sql, values).await?;
    let sql = "SELECT at FROM rollout_look WHERE workspace = $1 AND rollout = $2 ORDER BY at";
    let rows = raw::rows(txn, WRITING, sql, key(workspace, id)).await;
    let rows = rows?;
    if rows.len() > LOOKS {
        for row in rows.iter().skip(1).step_by(2) {
            let at: i64 = row.try_get_by_index(0).doing(WRITING)?;
            let values = key(workspace, id).into_iter().chain([at.into()]);
            let sql = "DELETE FROM rollout_look WHERE workspace = $1 AND rollout = $2 AND at = $3";
            raw::exec(txn, WRITING, sql, values).await?;
        }
    }
    Ok(())
}

/// What is known of each device, and the place up to which windows were read.
pub(super) async fn tallies(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    id: RolloutId,
) -> Result<HashMap<u32, Tally>, StoreError> {
    let sql = "SELECT device, body FROM rollout_tally WHERE workspace = $1 AND rollout = $2";
    let rows = raw::rows(db, READING, sql, key(workspace, id)).await;
    let mut tallies = HashMap::new();
    for row in rows? {
        let index: i64 = row.try_get_by_index(0).doing(READING)?;
        let body: Vec<u8> = row.try_get_by_index(1).doing(READING)?;
        let tally = minicbor::decode(&body);
        let tally = tally.map_err(|_| unreadable("tally of a device", index))?;
        tallies.insert(u32::try_from(index).unwrap_or(u32::MAX), tally);
    }
    Ok(tallies)
}

/// Writes what is known of one device.
pub(super) async fn save_tally(
    txn: &DatabaseTransaction,
    workspace: &WorkspaceId,
    id: RolloutId,
    index: Index,
    tally: &Tally,
) -> Result<(), StoreError> {
    let body = minicbor::to_vec(tally).expect("encoding into memory cannot fail");
    let values = key(workspace, id)
        .into_iter()
        .chain([i64::from(index.0).into(), body.into()]);
    let sql = "INSERT INTO rollout_tally (workspace, rollout, device, body) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (workspace, rollout, device) DO UPDATE SET body = excluded.body";
    raw::exec(txn, WRITING, sql, values).await?;
    Ok(())
}

/// What is remembered of a rollout beside its engine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Memory {
    /// The last window that was read.
    pub(super) cursor: i64,
    /// The last window of a shadow that was read.
    pub(super) shadow_cursor: i64,
    /// The place of the last label that was read.
    pub(super) label_cursor: i64,
    /// What was predicted before, by class.
    pub(super) mix: Vec<u64>,
}

/// What is remembered, if it has begun.
pub(super) async fn memory(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    id: RolloutId,
) -> Result<Option<Memory>, StoreError> {
    let sql = "SELECT window_cursor, mix, shadow_cursor, label_cursor FROM rollout_memory \
               WHERE workspace = $1 AND rollout = $2";
    let row = raw::row(db, READING, sql, key(workspace, id)).await;
    let Some(row) = row? else {
        return Ok(None);
    };
    let mix: String = row.try_get_by_index(1).doing(READING)?;
    Ok(Some(Memory {
        cursor: row.try_get_by_index(0).doing(READING)?,
        shadow_cursor: row.try_get_by_index(2).doing(READING)?,
        label_cursor: row.try_get_by_index(3).doing(READING)?,
        mix: serde_json::from_str(&mix).unwrap_or_default(),
    }))
}

/// Writes what is remembered.
pub(super) async fn save_memory(
    txn: &DatabaseTransaction,
    workspace: &WorkspaceId,
    id: RolloutId,
    memory: &Memory,
) -> Result<(), StoreError> {
    let mix = serde_json::to_string(&memory.mix).expect("numbers are JSON");
    let values = key(workspace, id).into_iter().chain([
        memory.cursor.into(),
        mix.into(),
        memory.shadow_cursor.into(),
        memory.label_cursor.into(),
    ]);
    let sql = "INSERT INTO rollout_memory \
               (workspace, rollout, window_cursor, mix, shadow_cursor, label_cursor) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace, rollout) DO UPDATE \
               SET window_cursor = excluded.window_cursor, shadow_cursor = excluded.shadow_cursor, \
               label_cursor = excluded.label_cursor";
    raw::exec(txn, WRITING, sql, values).await?;
    Ok(())
}

/// What persons said that the engine was not told yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) id: i64,
    pub(super) order: Order,
    pub(super) by: String,
}

const ORDERS: [(Order, &str); 5] = [
    (Order::Approve, "approve"),
    (Order::Pause, "pause"),
    (Order::Resume, "resume"),
    (Order::AbortBack, "abort-back"),
    (Order::AbortStay, "abort-stay"),
];

/// Remembers what a person said, for the engine.
pub(in crate::rollout) async fn order(
    txn: &DatabaseTransaction,
    workspace: &WorkspaceId,
    id: RolloutId,
    order: Order,
    by: &str,
    at: WallTime,
) -> Result<(), StoreError> {
    let word = ORDERS.iter().find(|(one, _)| *one == order);
    let word = word.map_or("pause", |(_, word)| word);
    let values = key(workspace, id)
        .into_iter()
        .chain([word.into(), by.into(), at.0.into()]);
    let sql = "INSERT INTO rollout_order (workspace, rollout, said, actor, at) VALUES ($1, $2, $3, $4, $5)";
    raw::exec(txn, WRITING, sql, values).await?;
    Ok(())
}

/// What was said and not heard, the oldest first.
pub(super) async fn orders(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    id: RolloutId,
) -> Result<Vec<Told>, StoreError> {
    let sql = "SELECT id, said, actor FROM rollout_order WHERE workspace = $1 AND rollout = $2 ORDER BY id";
    let rows = raw::rows(db, READING, sql, key(workspace, id)).await;
    let mut orders = Vec::new();
    for row in rows? {
        let number: i64 = row.try_get_by_index(0).doing(READING)?;
        let said: String = row.try_get_by_index(1).doing(READING)?;
        let order = ORDERS.iter().find(|(_, word)| *word == said);
        let (order, _) = order.ok_or_else(|| unreadable("order", number))?;
        orders.push(Told {
            id: number,
            order: *order,
            by: row.try_get_by_index(2).doing(READING)?,
        });
    }
    Ok(orders)
}

/// Rollouts to which something was said that they have not heard.
pub(super) async fn ordered(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
) -> Result<Vec<RolloutId>, StoreError> {
    let sql = "SELECT DISTINCT rollout FROM rollout_order WHERE workspace = $1";
    let rows = raw::rows(db, READING, sql, [workspace.as_str().into()]).await;
    let mut ids = Vec::new();
    for row in rows? {
        let id: i64 = row.try_get_by_index(0).doing(READING)?;
        ids.extend(u32::try_from(id).ok().map(RolloutId));
    }
    Ok(ids)
}

/// Forgets orders that the engine heard.
pub(super) async fn heard(
    txn: &DatabaseTransaction,
    last: i64,
    workspace: &WorkspaceId,
    id: RolloutId,
) -> Result<(), StoreError> {
    let values = key(workspace, id).into_iter().chain([last.into()]);
    let sql = "DELETE FROM rollout_order WHERE workspace = $1 AND rollout = $2 AND id <= $3";
    raw::exec(txn, WRITING, sql, values).await?;
    Ok(())
}
