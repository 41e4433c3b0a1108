//! The last entry stored of each outbox.
//!
//! The table is the truth. One hub process owns its database, so what was read or written once is
//! remembered, and a commit asks the database only about outboxes that it has not met before.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::{ConnectionTrait, Value};
use tern_protocol::id::{DeviceId, OutboxId, Sequence, WorkspaceId};

use crate::{
    monitor::sql::{Bulk, Select},
    store::{Doing as _, StoreError},
};

/// Outboxes that are remembered, about 200 bytes each. When there are more, all are forgotten and
/// read again as they come.
const REMEMBERED: usize = 100_000;

/// Devices asked about in one query.
const DEVICES: usize = 500;

const TABLE: Bulk = Bulk {
    table: "outbox_position",
    columns: &["workspace", "device", "outbox", "last"],
    conflict: "ON CONFLICT (workspace, device, outbox) DO UPDATE SET last = excluded.last",
};

/// Names one outbox.
pub(super) type Key = (WorkspaceId, DeviceId, OutboxId);

/// Positions in memory, over the table.
#[derive(Default)]
pub(super) struct Positions(HashMap<Key, Sequence>);

impl Positions {
    /// Reads the positions of outboxes that are not remembered.
    pub(super) async fn load<'a>(
        &mut self,
        db: &impl ConnectionTrait,
        keys: impl Iterator<Item = &'a Key>,
    ) -> Result<(), StoreError> {
        if self.0.len() > REMEMBERED {
            self.0.clear();
        }
        let mut missing: BTreeMap<WorkspaceId, BTreeSet<DeviceId>> = BTreeMap::new();
        for key in keys {
            if !self.0.contains_key(key) {
                missing
                    .entry(key.0.clone())
                    .or_default()
                    .insert(key.1.clone());
                self.0.insert(key.clone(), Sequence(0));
            }
        }
        for (workspace, devices) in missing {
            let devices: Vec<_> = devices.into_iter().collect();
            for devices in devices.chunks(DEVICES) {
                if let Err(err) = self.read(db, &workspace, devices).await {
                    // What was put down as 0 above must not be taken for the truth.
                    self.0.clear();
                    return Err(err);
                }
            }
        }
        Ok(())
    }

    async fn read(
        &mut self,
        db: &impl ConnectionTrait,
        workspace: &WorkspaceId,
        devices: &[DeviceId],
    ) -> Result<(), StoreError> {
        const DOING: &str = "reading positions of outboxes";
        let mut select = Select::new(
            "SELECT device, outbox, last FROM outbox_position WHERE workspace = $1 AND device IN (",
            [workspace.as_str().into()],
        );
        for (place, device) in devices.iter().enumerate() {
            select = select.push(
                if place == 0 { "?" } else { ", ?" },
                [device.as_str().into()],
            );
        }
        let select = select.push(")", []).done(db.get_database_backend());
        for row in db.query_all_raw(select).await.doing(DOING)? {
            let device: String = row.try_get("", "device").doing(DOING)?;
            let outbox: i64 = row.try_get("", "outbox").doing(DOING)?;
            let last: i64 = row.try_get("", "last").doing(DOING)?;
            let Some(device) = devices.iter().find(|id| id.as_str() == device) else {
                continue;
            };
            let outbox = OutboxId(outbox.cast_unsigned());
            let key = (workspace.clone(), device.clone(), outbox);
            self.0.insert(key, Sequence(last.cast_unsigned()));
        }
        Ok(())
    }

    /// The last entry stored of an outbox; 0 if there is none.
    pub(super) fn get(&self, key: &Key) -> Sequence {
        self.0.get(key).copied().unwrap_or_default()
    }

    /// Writes moved positions, inside the transaction that stores what they count.
    pub(super) async fn write(
        txn: &impl ConnectionTrait,
        moved: &BTreeMap<Key, Sequence>,
    ) -> Result<(), StoreError> {
        let rows = moved
            .iter()
            .flat_map(|((workspace, device, outbox), last)| {
                let texts: [Value; 2] = [workspace.as_str().into(), device.as_str().into()];
                texts
                    .into_iter()
                    .chain([super::prepare::bits(outbox.0), super::prepare::bits(last.0)])
            });
        let rows: Vec<Value> = rows.collect();
        TABLE
            .insert(txn, rows, "writing positions of outboxes")
            .await?;
        Ok(())
    }

    /// Remembers moved positions, after their commit.
    pub(super) fn moved(&mut self, moved: BTreeMap<Key, Sequence>) {
        self.0.extend(moved);
    }

    /// Forgets everything, after a commit whose fate is not known.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}
