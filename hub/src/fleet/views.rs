//! Devices as the API and the dashboard show them.

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, ExprTrait as _, Query},
};
use tern_protocol::{
    codec,
    digest::Digest,
    id::{DeviceId, ModelName, ModelVersion, Revision, SiteName, WorkspaceId},
    reported::{Reported, Serving, SlotReport, SlotVersion},
    rest::{
        DeviceView, Health, Page, ProgressView, RejectedView, ServingView, SlotView, VersionRef,
    },
    time::WallTime,
};

use super::{
    anchor, facts, health, intake,
    rows::{device, label, slot},
    shadows, stage,
};
use crate::{
    fleet::apply::Rows,
    registry,
    store::{Doing as _, Store, StoreError, parsed},
};

/// Devices on one page if nobody says how many, and at most.
const PAGE: u64 = 100;
/// See [`PAGE`]: a thousand devices are about a megabyte of JSON.
const PAGE_MAX: u64 = 1_000;

/// Which devices to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceFilter {
    /// At this site.
    pub site: Option<SiteName>,
    /// Of this health.
    pub health: Option<Health>,
    /// With this label.
    pub label: Option<(String, String)>,
    /// After this device, in the order of ids.
    pub after: Option<DeviceId>,
    /// At most so many; 100 if not said, never more than 1,000.
    pub limit: Option<u64>,
}

/// A page of devices, in the order of their ids.
pub async fn devices(
    store: &Store,
    workspace: &WorkspaceId,
    filter: &DeviceFilter,
) -> Result<Page<DeviceView>, StoreError> {
    let limit = filter.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let mut select = device::Entity::find()
        .filter(device::Column::Workspace.eq(workspace.as_str()))
        .order_by_asc(device::Column::Id)
        .limit(limit + 1);
    if let Some(site) = &filter.site {
        select = select.filter(device::Column::Site.eq(site.as_str()));
    }
    if let Some(health) = filter.health {
        select = select.filter(device::Column::Health.eq(health::to_text(health)));
    }
    if let Some(after) = &filter.after {
        select = select.filter(device::Column::Id.gt(after.as_str()));
    }
    if let Some((key, value)) = &filter.label {
        let labelled = Query::select()
            .column(label::Column::Device)
            .from(label::Entity)
            .and_where(Expr::col(label::Column::Workspace).eq(workspace.as_str()))
            .and_where(Expr::col(label::Column::Key).eq(key.as_str()))
            .and_where(Expr::col(label::Column::Value).eq(value.as_str()))
            .take();
        select = select.filter(device::Column::Id.in_subquery(labelled));
    }
    let mut rows = select.all(store.read()).await.doing("reading devices")?;
    let more = rows.len() as u64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = more
        .then(|| rows.last().map(|row| row.id.clone()))
        .flatten();

    let slots = slot::Entity::find()
        .filter(slot::Column::Workspace.eq(workspace.as_str()))
        .filter(slot::Column::Device.is_in(rows.iter().map(|row| row.id.as_str())))
        .all(store.read())
        .await
        .doing("reading slots")?;
    let mut by_device: HashMap<String, Vec<slot::Model>> = HashMap::new();
    for slot in slots {
        by_device.entry(slot.device.clone()).or_default().push(slot);
    }
    let mut published = Published::default();
    let mut items = Vec::with_capacity(rows.len());
    for device in rows {
        let slots = by_device.remove(&device.id).unwrap_or_default();
        items.push(view(store, workspace, Rows { device, slots }, &mut published).await?);
    }
    Ok(Page { items, next })
}

/// One device, if it was ever heard of.
pub async fn device(
    store: &Store,
    workspace: &WorkspaceId,
    id: &DeviceId,
) -> Result<Option<DeviceView>, StoreError> {
    let mut rows = intake::load(store.read(), workspace, &[id]).await?;
    match rows.remove(id.as_str()) {
        Some(rows) => view(store, workspace, rows, &mut Published::default())
            .await
            .map(Some),
        None => Ok(None),
    }
}

/// Digests of published weights, looked up once a version while a page is made.
#[derive(Default)]
struct Published(HashMap<(ModelName, ModelVersion), Option<Digest>>);

impl Published {
    async fn weights(
        &mut self,
        store: &Store,
        workspace: &WorkspaceId,
        of: &SlotVersion,
    ) -> Result<Option<Digest>, StoreError> {
        let key = (of.model.clone(), of.version);
        if let Some(known) = self.0.get(&key) {
            return Ok(*known);
        }
        let facts = registry::bundle_of(store, workspace, &of.model, of.version).await?;
        let weights = facts.map(|facts| facts.weights);
        self.0.insert(key, weights);
        Ok(weights)
    }
}

async fn view(
    store: &Store,
    workspace: &WorkspaceId,
    rows: Rows,
    published: &mut Published,
) -> Result<DeviceView, StoreError> {
    let Rows { device: row, slots } = rows;
    let reported: Option<Reported> = match &row.reported {
        Some(bytes) => Some(codec::decode(bytes).map_err(|source| StoreError::Message {
            what: "state of a device",
            source,
        })?),
        None => None,
    };
    let id: DeviceId = parsed("device id", &row.id)?;
    let reports = reported
        .as_ref()
        .map(|reported| &reported.slots[..])
        .unwrap_or_default();
    let mut views = Vec::with_capacity(slots.len());
    for slot in &slots {
        let report = reports
            .iter()
            .find(|report| report.slot.as_str() == slot.slot);
        let assigned = facts::assigned(slot)?.map(|assigned| VersionRef {
            model: assigned.target.model,
            version: assigned.target.version,
        });
        let serving = match report.and_then(|report| report.serving.as_ref()) {
            Some(serving) => {
                let weights = published
                    .weights(store, workspace, &serving.version)
                    .await?;
                let since = anchor::known(store, workspace, &id, serving.since).await?;
                Some(serving_view(
                    serving,
                    weights == Some(serving.weights),
                    since,
                    slot.serving_revoked.clone(),
                ))
            }
            None => None,
        };
        views.push(SlotView {
            slot: parsed("slot name", &slot.slot)?,
            assigned,
            stage: stage::stage(slot),
            serving,
            previous: report
                .and_then(|report| report.previous.as_ref())
                .map(version_ref),
            progress: report.and_then(progress_view),
            rejected: report.and_then(rejected_view),
            shadow: shadows::view(slot, report)?,
        });
    }
    views.sort_by(|a, b| a.slot.cmp(&b.slot));
    let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(DeviceView {
        id,
        site: parsed("site name", &row.site)?,
        labels: facts::labels_from(&row.labels)?,
        online: row.online,
        health: health::from_text(&row.health)?,
        health_reason: row.health_reason,
        first_seen: WallTime(row.first_seen),
        last_seen: WallTime(row.last_seen),
        agent: reported
            .as_ref()
            .map(|r| r.agent.clone())
            .unwrap_or_default(),
        platform: reported
            .as_ref()
            .map(|r| r.platform.clone())
            .unwrap_or_default(),
        resources: reported
            .as_ref()
            .map(|r| r.resources.clone())
            .unwrap_or_default(),
        desired_revision: Revision(unsigned(row.desired_revision)),
        reported_revision: Revision(unsigned(row.reported_revision)),
        slots: views,
        outbox: reported.as_ref().map(|r| r.outbox).unwrap_or_default(),
        inferences: unsigned(row.inferences),
        windows: unsigned(row.windows),
        malformed: reported.as_ref().map(|r| r.malformed).unwrap_or_default(),
        deltas: reported.as_ref().and_then(|r| r.deltas),
        trust: reported.and_then(|r| r.trust),
    })
}

fn version_ref(version: &SlotVersion) -> VersionRef {
    VersionRef {
        model: version.model.clone(),
        version: version.version,
    }
}

fn serving_view(
    serving: &Serving,
    proven: bool,
    since: Option<WallTime>,
    revoked: Option<String>,
) -> ServingView {
    ServingView {
        model: serving.version.model.clone(),
        version: serving.version.version,
        weights: serving.weights,
        proven,
        since,
        inferences: serving.inferences,
        errors: serving.errors,
        // JSON has no word for it; a difference that is not a number is as bad as can be.
        golden_difference: if serving.golden_difference.is_finite() {
            serving.golden_difference
        } else {
            f32::MAX
        },
        confirmed: serving.confirmed,
        revoked,
    }
}

fn progress_view(report: &SlotReport) -> Option<ProgressView> {
    let progress = report.progress.as_ref()?;
    Some(ProgressView {
        model: progress.version.model.clone(),
        version: progress.version.version,
        phase: progress.phase,
        bytes: progress.bytes,
        bytes_total: progress.bytes_total,
    })
}

fn rejected_view(report: &SlotReport) -> Option<RejectedView> {
    let rejected = report.rejected.as_ref()?;
    Some(RejectedView {
        model: rejected.version.model.clone(),
        version: rejected.version.version,
        reason: rejected.reason,
        text: rejected.text.clone(),
    })
}
