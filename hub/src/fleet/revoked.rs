//! Devices that serve a version that was revoked.
//!
//! A device keeps a revoked version when it has nothing else, since a working model stays. That must be
//! seen: each slot's row says why what serves there is revoked, and health is judged by it. Rows are
//! marked when a device reports (`intake`) and by [`mark`], which the rollouts' driver calls at every
//! pass, so that a revocation is seen at once and none is missed.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{ConnectionTrait, Statement, TransactionTrait as _};
use tern_protocol::{
    id::{DeviceId, WorkspaceId},
    rest::{Change, VersionRef},
    time::WallTime,
};

use super::{
    apply::Rows,
    assign::{self, Cause},
    events,
    facts::Target,
    intake,
    rows::{event, slot},
    shadows,
    timeline::{
        self,
        news::{kind, row},
    },
};
use crate::{
    app::App,
    store::{Doing as _, Store, StoreError, parsed},
};

const DOING: &str = "looking for revoked versions that serve";

/// Devices marked in one transaction.
const CHUNK: usize = 500;

/// Why versions are revoked, by model and version.
#[derive(Debug, Clone, Default)]
pub(super) struct Reasons(HashMap<(String, i64), String>);

impl Reasons {
    /// Those of a workspace: a handful.
    pub(super) async fn read<C: ConnectionTrait>(
        db: &C,
        workspace: &WorkspaceId,
    ) -> Result<Self, StoreError> {
        let select = Statement::from_sql_and_values(
            db.get_database_backend(),
            "SELECT model, version, revoked FROM model_version \
             WHERE workspace = $1 AND revoked IS NOT NULL",
            [workspace.as_str().into()],
        );
        let rows = db.query_all_raw(select).await.doing(DOING)?;
        let reasons = rows.into_iter().map(|row| {
            let model: String = row.try_get_by_index(0).doing(DOING)?;
            let version: i64 = row.try_get_by_index(1).doing(DOING)?;
            let reason: String = row.try_get_by_index(2).doing(DOING)?;
            Ok(((model, version), reason))
        });
        Ok(Self(reasons.collect::<Result<_, StoreError>>()?))
    }

    /// Whether a version is revoked.
    pub(super) fn concern(&self, target: &Target) -> bool {
        let of = (target.model.to_string(), i64::from(target.version.get()));
        self.0.contains_key(&of)
    }

    /// Takes back what is wanted beside what serves and is revoked, with the next revision. Devices
    /// refuse it by the signed metadata, whatever is wanted of them.
    pub(super) fn take_back(&self, rows: &mut Rows, at: WallTime) -> Vec<event::Model> {
        let mut news = Vec::new();
        for slot in &mut rows.slots {
            let of = slot.shadow_model.clone().zip(slot.shadow_version);
            let Some((of, reason)) = of.and_then(|of| self.0.get_key_value(&of)) else {
                continue;
            };
            let was = slot.clone();
            shadows::assign(slot, None);
            let cause = Cause {
                at,
                actor: None,
                text: format!("{} v{} is revoked: {reason}", of.0, of.1),
            };
            news.extend(assign::shadow::told(&rows.device, &was, slot, &cause));
        }
        if !news.is_empty() {
            rows.device.desired_revision = rows.device.desired_revision.saturating_add(1);
        }
        news
    }

    /// Says in each slot whether what serves there is revoked, and looks at the health again.
    pub(super) fn mark(&self, rows: &mut Rows) {
        for slot in &mut rows.slots {
            let of = slot.serving_model.clone().zip(slot.serving_version);
            slot.serving_revoked = of.and_then(|of| self.0.get(&of).cloned());
        }
        rows.judge();
    }
}

/// What a timeline says when what serves in a slot turns out to be revoked.
pub(super) fn told(
    before: Option<&slot::Model>,
    after: &slot::Model,
    at: WallTime,
) -> Option<event::Model> {
    let reason = after.serving_revoked.as_ref()?;
    let same = |before: &slot::Model| {
        before.serving_bundle == after.serving_bundle && before.serving_revoked.is_some()
    };
    (!before.is_some_and(same)).then(|| event::Model {
        slot: Some(after.slot.clone()),
        model: after.serving_model.clone(),
        version: after.serving_version,
        text: reason.clone(),
        ..row(&after.workspace, &after.device, at, kind::REVOKED)
    })
}

/// Marks slots that serve what was revoked since; whether there were any.
pub async fn mark(app: &App, workspace: &WorkspaceId) -> Result<bool, StoreError> {
    let select = Statement::from_sql_and_values(
        app.store.backend(),
        "SELECT DISTINCT s.device FROM model_version v JOIN slot s ON s.workspace = v.workspace \
         AND s.serving_model = v.model AND s.serving_version = v.version \
         WHERE v.workspace = $1 AND v.revoked IS NOT NULL \
         AND (s.serving_revoked IS NULL OR s.serving_revoked <> v.revoked)",
        [workspace.as_str().into()],
    );
    let rows = app.store.read().query_all_raw(select).await.doing(DOING)?;
    let ids = rows.iter().map(|row| {
        let id: String = row.try_get_by_index(0).doing(DOING)?;
        parsed("device id", &id)
    });
    let ids = ids.collect::<Result<Vec<DeviceId>, StoreError>>()?;
    for ids in ids.chunks(CHUNK) {
        mark_some(app, workspace, ids).await?;
        for device in ids.iter().cloned() {
            app.changes.send(workspace, Change::Device { device });
        }
    }
    Ok(!ids.is_empty())
}

async fn mark_some(app: &App, workspace: &WorkspaceId, ids: &[DeviceId]) -> Result<(), StoreError> {
    let now = app.clock.now();
    let txn = app.store.write().begin().await.doing(DOING)?;
    let reasons = Reasons::read(&txn, workspace).await?;
    let ids: Vec<&DeviceId> = ids.iter().collect();
    let (mut devices, mut slots, mut news) = (Vec::new(), Vec::new(), Vec::new());
    for before in intake::load(&txn, workspace, &ids).await?.into_values() {
        let mut after = before.clone();
        reasons.mark(&mut after);
        for (old, slot) in before.slots.iter().zip(&after.slots) {
            news.extend(told(Some(old), slot, now));
        }
        slots.extend(after.slots);
        devices.push(after.device);
    }
    intake::save_devices(&txn, devices).await?;
    intake::save_slots(&txn, slots).await?;
    timeline::record(&txn, news).await?;
    txn.commit().await.doing(DOING)
}

/// Devices that serve a revoked version which nothing takes the place of, with why it is revoked.
pub async fn unreplaced(
    store: &Store,
    workspace: &WorkspaceId,
) -> Result<BTreeMap<VersionRef, (u64, String)>, StoreError> {
    let select = Statement::from_sql_and_values(
        store.backend(),
        "SELECT serving_model, serving_version, MAX(serving_revoked), COUNT(DISTINCT device) \
         FROM slot WHERE workspace = $1 AND serving_revoked IS NOT NULL \
         AND (assigned_bundle IS NULL OR assigned_bundle = serving_bundle) GROUP BY 1, 2",
        [workspace.as_str().into()],
    );
    let rows = store.read().query_all_raw(select).await.doing(DOING)?;
    let mut found = BTreeMap::new();
    for row in rows {
        let model: Option<String> = row.try_get_by_index(0).doing(DOING)?;
        let version: Option<i64> = row.try_get_by_index(1).doing(DOING)?;
        let reason: String = row.try_get_by_index(2).doing(DOING)?;
        let devices: i64 = row.try_get_by_index(3).doing(DOING)?;
        if let Some(of) = events::version(model.as_deref(), version)? {
            found.insert(of, (devices.max(0).unsigned_abs(), reason));
        }
    }
    Ok(found)
}
