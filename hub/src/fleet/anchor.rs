//! Repairs wall times: devices say how long after their start something happened, and the hub knows
//! when it heard from which boot.
//!
//! Every message that carries the device's present (boot, uptime) gives an **anchor**: the wall time
//! at which that boot's uptime was zero. A message is late or on time, never early, so the earliest
//! anchor of a boot is the best one.

use std::time::Duration;

use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, Set, Statement,
    sea_query::{Expr, ExprTrait as _, OnConflict},
};
use tern_protocol::{
    id::{BootId, DeviceId, WorkspaceId},
    time::{Instant, WallTime},
};

use super::rows::anchor;
use crate::store::{Doing as _, Store, StoreError};

/// An anchor that lies this much later than the known one is not a slow message: the hub's own clock
/// was set, and the new anchor is the right one.
const CLOCK_WAS_SET: Duration = Duration::from_mins(1);

/// Boots of a device whose anchors are kept. Older entries are in no outbox any more.
const BOOTS_KEPT: i64 = 64;

/// Rows in one statement, well under SQLite's 32,766 bound values.
const ROWS: usize = 500;

/// What a message told about its device's clock.
#[derive(Debug, Clone)]
pub struct Heard {
    /// From which device.
    pub device: DeviceId,
    /// What it is now on the device.
    pub now: Instant,
    /// When the hub received that.
    pub received: WallTime,
}

impl Heard {
    fn zero(&self) -> i64 {
        self.received.0.saturating_sub_unsigned(self.now.uptime.0)
    }
}

/// Learns from messages when boots began.
pub async fn learn_anchors<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    heard: &[Heard],
) -> Result<(), StoreError> {
    let known = Expr::col((anchor::Entity, anchor::Column::Zero));
    let new = Expr::cust("excluded.zero");
    let set = i64::try_from(CLOCK_WAS_SET.as_millis()).unwrap_or(i64::MAX);
    let better = Expr::case(
        new.clone()
            .lt(known.clone())
            .or(new.clone().gt(known.clone().add(set))),
        new,
    )
    .finally(known);
    for heard in heard.chunks(ROWS) {
        let rows = heard.iter().map(|heard| anchor::ActiveModel {
            workspace: Set(workspace.to_string()),
            device: Set(heard.device.to_string()),
            boot: Set(i64::from(heard.now.boot.0)),
            zero: Set(heard.zero()),
        });
        let key = [
            anchor::Column::Workspace,
            anchor::Column::Device,
            anchor::Column::Boot,
        ];
        let on_conflict = OnConflict::columns(key)
            .value(anchor::Column::Zero, better.clone())
            .to_owned();
        let insert = anchor::Entity::insert_many(rows).on_conflict(on_conflict);
        insert
            .exec_without_returning(db)
            .await
            .doing("storing clock anchors")?;
    }
    Ok(())
}

/// When the boots of a device began, as far as the hub heard of them: the last [`BOOTS_KEPT`].
pub async fn anchors<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    device: &DeviceId,
) -> Result<Vec<(BootId, i64)>, StoreError> {
    let rows = anchor::Entity::find()
        .filter(anchor::Column::Workspace.eq(workspace.as_str()))
        .filter(anchor::Column::Device.eq(device.as_str()))
        .all(db)
        .await
        .doing("reading clock anchors")?;
    let known = rows.into_iter().filter_map(|row| {
        let boot = u32::try_from(row.boot).ok()?;
        Some((BootId(boot), row.zero))
    });
    Ok(known.collect())
}

/// The wall time of a moment on a device, if the hub heard from its boot.
pub(super) async fn known(
    store: &Store,
    workspace: &WorkspaceId,
    device: &DeviceId,
    at: Instant,
) -> Result<Option<WallTime>, StoreError> {
    by_anchor(store.read(), workspace, device, at).await
}

async fn by_anchor<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    device: &DeviceId,
    at: Instant,
) -> Result<Option<WallTime>, StoreError> {
    let select = anchor::Entity::find()
        .filter(anchor::Column::Workspace.eq(workspace.as_str()))
        .filter(anchor::Column::Device.eq(device.as_str()))
        .filter(anchor::Column::Boot.eq(i64::from(at.boot.0)));
    let row = select.one(db).await.doing("reading a clock anchor")?;
    Ok(row.map(|row| WallTime(row.zero.saturating_add_unsigned(at.uptime.0))))
}

/// Forgets anchors of boots long before `boot`.
pub(super) async fn forget_old<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    device: &str,
    boot: BootId,
) -> Result<(), StoreError> {
    let delete = Statement::from_sql_and_values(
        db.get_database_backend(),
        "DELETE FROM anchor WHERE workspace = $1 AND device = $2 AND boot < $3",
        [
            workspace.as_str().into(),
            device.into(),
            (i64::from(boot.0) - BOOTS_KEPT).into(),
        ],
    );
    db.execute_raw(delete)
        .await
        .doing("forgetting old clock anchors")?;
    Ok(())
}
