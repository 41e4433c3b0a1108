//! What was delivered, as the API and the dashboard show it.

use std::collections::BTreeMap;

use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, QueryFilter as _, Statement,
};
use tern_protocol::{
    blob::BlobRef,
    id::{ModelName, ModelVersion, WorkspaceId},
    limits::CHUNK,
    rest::{
        BlobDelivery, BlobPart, DeliveryLimits, DeliveryView, Moving, PartDelivery,
        VersionDelivery, VersionRef,
    },
    time::WallTime,
};

use super::{
    ledger::{PerSecond, Wave},
    rows::delivery,
};
use crate::{
    app::App,
    fleet, registry,
    store::{Doing as _, Store, StoreError, parsed},
};

const DOING: &str = "reading what was delivered";

/// Versions shown if nobody says how many, and at most.
const VERSIONS: u64 = 20;
/// See [`VERSIONS`].
const VERSIONS_MAX: u64 = 500;

/// What leaves the hub for the devices of a workspace, now and before.
pub async fn view(
    app: &App,
    workspace: &WorkspaceId,
    limit: Option<u64>,
) -> Result<DeliveryView, StoreError> {
    let limit = limit.unwrap_or(VERSIONS).clamp(1, VERSIONS_MAX);
    let store = &app.store;
    let (rows, open, stages) = tokio::try_join!(
        rows(store, workspace),
        open(store, workspace),
        fleet::stages(store, workspace),
    )?;
    let (mut totals, mut metadata) = (Moving::default(), Moving::default());
    let mut versions: BTreeMap<VersionRef, VersionDelivery> = BTreeMap::new();
    for row in rows {
        let taken_so_far = open.get(&(row.model.clone(), row.version, row.blob.clone()));
        let moved = moving(&row, taken_so_far.copied().unwrap_or(0));
        let named = fleet::facts::named_version(
            Some(row.model.as_str()).filter(|model| !model.is_empty()),
            Some(row.version),
        )?;
        let Some((model, version)) = named else {
            metadata.add(&moved);
            metadata.saved_bytes = 0;
            continue;
        };
        totals.add(&moved);
        let version = VersionRef { model, version };
        let (began, latest) = (WallTime(row.began), WallTime(row.latest));
        let of = versions
            .entry(version.clone())
            .or_insert_with(|| VersionDelivery {
                stages: stages.by_version.get(&version).copied().unwrap_or_default(),
                version,
                began,
                latest,
                moved: Moving::default(),
                parts: Vec::new(),
            });
        of.began = of.began.min(began);
        of.latest = of.latest.max(latest);
        of.moved.add(&moved);
        of.parts.push(part(&row, moved)?);
    }
    let mut versions: Vec<_> = versions.into_values().collect();
    versions.sort_by_key(|of| std::cmp::Reverse(of.latest));
    versions.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    for of in &mut versions {
        of.parts.sort_by_key(|part| part.part);
    }
    Ok(DeliveryView {
        limits: DeliveryLimits {
            downloads: app.egress.places() as u64,
            hub_per_s: app.egress.rate(),
            ..app.delivery
        },
        broker_inside: app.broker.is_none(),
        now: now(app, workspace).await?,
        versions,
        totals,
        metadata,
    })
}

/// All rows of a workspace: a few for each version that ever moved.
async fn rows(store: &Store, workspace: &WorkspaceId) -> Result<Vec<delivery::Model>, StoreError> {
    delivery::Entity::find()
        .filter(delivery::Column::Workspace.eq(workspace.as_str()))
        .all(store.read())
        .await
        .doing(DOING)
}

/// What devices took of parts whose version they do not have whole yet, by model, version and blob.
async fn open(
    store: &Store,
    workspace: &WorkspaceId,
) -> Result<BTreeMap<(String, i64, String), u64>, StoreError> {
    let select = Statement::from_sql_and_values(
        store.backend(),
        "SELECT model, version, blob, CAST(SUM(CASE \
         WHEN lacks >= 0 AND lacked - lacks > downloaded THEN lacked - lacks ELSE downloaded END) \
         AS BIGINT) AS taken FROM delivery_device WHERE workspace = $1 GROUP BY 1, 2, 3",
        [workspace.as_str().into()],
    );
    let rows = store.read().query_all_raw(select).await.doing(DOING)?;
    let rows = rows.into_iter().map(|row| {
        let model: String = row.try_get("", "model").doing(DOING)?;
        let version: i64 = row.try_get("", "version").doing(DOING)?;
        let blob: String = row.try_get("", "blob").doing(DOING)?;
        let taken: i64 = row.try_get("", "taken").doing(DOING)?;
        Ok(((model, version, blob), taken.max(0).unsigned_abs()))
    });
    rows.collect()
}

fn number(value: i64) -> u64 {
    value.max(0).unsigned_abs()
}

fn moving(row: &delivery::Model, taken_so_far: u64) -> Moving {
    let mut moved = Moving::default();
    moved.add(&Moving {
        published_bytes: number(row.published),
        repeated_bytes: number(row.repeated),
        chunks: number(row.chunks),
        chunks_repeated: number(row.chunks_repeated),
        downloaded_bytes: number(row.downloaded),
        taken_bytes: number(row.taken).saturating_add(taken_so_far),
        saved_bytes: 0,
        spared_bytes: number(row.spared),
    });
    moved
}

fn part(row: &delivery::Model, moved: Moving) -> Result<PartDelivery, StoreError> {
    let part = BlobPart::ALL
        .into_iter()
        .find(|part| part.word() == row.part);
    Ok(PartDelivery {
        part: part.unwrap_or(BlobPart::Model),
        blob: BlobRef {
            digest: parsed("digest", &row.blob)?,
            len: number(row.len),
        },
        devices_asked: number(row.devices_asked),
        devices_done: number(row.devices_done),
        moved,
    })
}

/// What moves now; the busiest first.
async fn now(app: &App, workspace: &WorkspaceId) -> Result<Vec<BlobDelivery>, StoreError> {
    let mut now = Vec::new();
    for (wave, per_s) in app.ledger.waves(workspace) {
        let named = registry::part_named(app.store.read(), workspace, wave.key.1).await?;
        now.push(blob(&wave, per_s, named));
    }
    now.sort_by_key(|blob| std::cmp::Reverse((blob.chunks_waiting + blob.chunks_lost, blob.per_s)));
    Ok(now)
}

fn blob(
    wave: &Wave,
    per_s: PerSecond,
    named: Option<(ModelName, ModelVersion, BlobPart)>,
) -> BlobDelivery {
    let left = (wave.waiting + wave.lost).saturating_mul(CHUNK as u64);
    let seconds_left = (left > 0 && per_s.published > 0).then(|| left.div_ceil(per_s.published));
    let part = named
        .as_ref()
        .map_or(BlobPart::Metadata, |(_, _, part)| *part);
    BlobDelivery {
        blob: BlobRef {
            digest: wave.key.1,
            len: wave.len,
        },
        part,
        version: named.map(|(model, version, _)| VersionRef { model, version }),
        chunks: wave.chunks,
        chunks_sent: wave.sent,
        chunks_waiting: wave.waiting,
        chunks_lost: wave.lost,
        devices: wave.devices,
        per_s: per_s.published.saturating_add(per_s.downloaded),
        downloaded_per_s: per_s.downloaded,
        seconds_left,
        repeats_per_s: wave.repeats_per_s,
    }
}
