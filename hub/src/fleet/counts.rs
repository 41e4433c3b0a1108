//! Numbers over the fleet.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};
use tern_protocol::{
    id::{DeviceId, SiteName, WorkspaceId},
    rest::{Health, HealthCount, ServingCount, Stages, VersionRef},
    time::WallTime,
};

use super::{apply::NOWHERE, facts, health, rows::slot, stage};
use crate::store::{Doing as _, Store, StoreError, parsed, raw};

/// Devices of one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteCount {
    /// The site.
    pub site: SiteName,
    /// Devices there.
    pub devices: u64,
    /// Of those, connected.
    pub online: u64,
}

/// Sums over all devices of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FleetTotals {
    /// Devices.
    pub devices: u64,
    /// Inferences in stored windows, ever.
    pub inferences: u64,
    /// Windows stored, ever.
    pub windows: u64,
}

/// Most devices in one statement. Lengths are powers of two, so that few texts are prepared and all of them stay
/// in the driver's cache.
const AT_ONCE: usize = 128;

/// Adds to devices' totals (windows and inferences), in the transaction that stores the windows. A device that is
/// not known yet is made: its state may come a moment later.
pub async fn count_windows<C: ConnectionTrait>(
    db: &C,
    counts: impl IntoIterator<Item = ((WorkspaceId, DeviceId), (u64, u64))>,
    at: WallTime,
) -> Result<(), StoreError> {
    let column = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let counts: Vec<_> = counts.into_iter().collect();
    let mut left = counts.as_slice();
    while !left.is_empty() {
        let (these, later) = left.split_at(AT_ONCE.min(1 << left.len().ilog2()));
        left = later;
        let mut sql = String::from(
            "INSERT INTO device (workspace, id, site, labels, online, boot, health, health_reason, \
             first_seen, last_seen, reported_revision, desired_revision, inferences, windows) VALUES ",
        );
        let mut values: Vec<Value> = vec![NOWHERE.into(), at.0.into()];
        for (place, ((workspace, device), (windows, inferences))) in these.iter().enumerate() {
            let n = values.len();
            let row = format!(
                "{}(${}, ${}, $1, '{{}}', TRUE, 0, 'updating', 'has not reported its state yet', \
                 $2, $2, 0, 0, ${}, ${})",
                if place == 0 { "" } else { ", " },
                n + 1,
                n + 2,
                n + 3,
                n + 4
            );
            sql.push_str(&row);
            values.extend([
                Value::from(workspace.as_str()),
                device.as_str().into(),
                column(*inferences).into(),
                column(*windows).into(),
            ]);
        }
        sql.push_str(
            " ON CONFLICT (workspace, id) DO UPDATE SET \
             inferences = device.inferences + excluded.inferences, \
             windows = device.windows + excluded.windows, last_seen = excluded.last_seen",
        );
        raw::exec(db, "adding to devices' totals", &sql, values).await?;
    }
    Ok(())
}

async fn select(
    store: &Store,
    workspace: &WorkspaceId,
    sql: &str,
    doing: &'static str,
) -> Result<Vec<QueryResult>, StoreError> {
    let values = [workspace.as_str().into()];
    let select = Statement::from_sql_and_values(store.backend(), sql, values);
    store.read().query_all_raw(select).await.doing(doing)
}

fn count(row: &QueryResult, column: &str, doing: &'static str) -> Result<u64, StoreError> {
    let value: i64 = row.try_get("", column).doing(doing)?;
    Ok(value.max(0).unsigned_abs())
}

/// Devices by health; every health is there, from good to bad.
pub async fn health_counts(
    store: &Store,
    workspace: &WorkspaceId,
) -> Result<Vec<HealthCount>, StoreError> {
    const DOING: &str = "counting devices by health";
    let sql = "SELECT health, COUNT(*) AS devices FROM device WHERE workspace = $1 GROUP BY health";
    let mut counts = BTreeMap::from(
        [
            Health::Healthy,
            Health::Updating,
            Health::Failing,
            Health::Offline,
        ]
        .map(|h| (h, 0)),
    );
    for row in select(store, workspace, sql, DOING).await? {
        let text: String = row.try_get("", "health").doing(DOING)?;
        counts.insert(health::from_text(&text)?, count(&row, "devices", DOING)?);
    }
    let counts = counts.into_iter();
    Ok(counts
        .map(|(health, devices)| HealthCount { health, devices })
        .collect())
}

/// Devices by what they serve; those that serve nothing come last.
pub async fn serving_counts(
    store: &Store,
    workspace: &WorkspaceId,
) -> Result<Vec<ServingCount>, StoreError> {
    const DOING: &str = "counting devices by what they serve";
    let by_version = "SELECT serving_model, serving_version, COUNT(DISTINCT device) AS devices \
        FROM slot WHERE workspace = $1 AND serving_model IS NOT NULL \
        GROUP BY serving_model, serving_version ORDER BY serving_model, serving_version";
    let mut counts = Vec::new();
    for row in select(store, workspace, by_version, DOING).await? {
        let model: Option<String> = row.try_get("", "serving_model").doing(DOING)?;
        let number: Option<i64> = row.try_get("", "serving_version").doing(DOING)?;
        if let Some((model, version)) = facts::named_version(model.as_deref(), number)? {
            counts.push(ServingCount {
                version: Some(VersionRef { model, version }),
                devices: count(&row, "devices", DOING)?,
            });
        }
    }
    let nothing = "SELECT COUNT(*) AS devices FROM device d WHERE workspace = $1 AND NOT EXISTS \
        (SELECT 1 FROM slot s WHERE s.workspace = d.workspace AND s.device = d.id \
        AND s.serving_model IS NOT NULL)";
    for row in select(store, workspace, nothing, DOING).await? {
        let devices = count(&row, "devices", DOING)?;
        if devices > 0 {
            counts.push(ServingCount {
                version: None,
                devices,
            });
        }
    }
    Ok(counts)
}

/// Sites with their devices, by name.
pub async fn sites(store: &Store, workspace: &WorkspaceId) -> Result<Vec<SiteCount>, StoreError> {
    const DOING: &str = "counting devices by site";
    let sql = "SELECT site, COUNT(*) AS devices, \
        COUNT(CASE WHEN online THEN 1 END) AS online \
        FROM device WHERE workspace = $1 GROUP BY site ORDER BY site";
    let rows = select(store, workspace, sql, DOING).await?;
    let sites = rows.iter().map(|row| {
        let site: String = row.try_get("", "site").doing(DOING)?;
        Ok(SiteCount {
            site: parsed("site name", &site)?,
            devices: count(row, "devices", DOING)?,
            online: count(row, "online", DOING)?,
        })
    });
    sites.collect()
}

/// A version that devices of one site serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServingPlace {
    /// The site.
    pub site: SiteName,
    /// What is served there.
    pub version: VersionRef,
}

/// Where which version is served, by site, at most so many.
pub async fn serving_places(
    store: &Store,
    workspace: &WorkspaceId,
    most: usize,
) -> Result<Vec<ServingPlace>, StoreError> {
    const DOING: &str = "looking where versions are served";
    let sql = format!(
        "SELECT d.site, s.serving_model, s.serving_version FROM slot s \
         JOIN device d ON d.workspace = s.workspace AND d.id = s.device \
         WHERE s.workspace = $1 AND s.serving_model IS NOT NULL \
         GROUP BY d.site, s.serving_model, s.serving_version \
         ORDER BY d.site, s.serving_model, s.serving_version LIMIT {most}"
    );
    let mut places = Vec::new();
    for row in select(store, workspace, &sql, DOING).await? {
        let site: String = row.try_get("", "site").doing(DOING)?;
        let model: Option<String> = row.try_get("", "serving_model").doing(DOING)?;
        let number: Option<i64> = row.try_get("", "serving_version").doing(DOING)?;
        if let Some((model, version)) = facts::named_version(model.as_deref(), number)? {
            places.push(ServingPlace {
                site: parsed("site name", &site)?,
                version: VersionRef { model, version },
            });
        }
    }
    Ok(places)
}

/// Devices of one site that are not heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteSilence {
    /// The site.
    pub site: SiteName,
    /// Devices there.
    pub devices: u64,
    /// Of those, not connected and not heard of since.
    pub silent: u64,
}

/// Sites with their devices that are not connected and were last heard of before a moment, by name.
pub async fn silent(
    store: &Store,
    workspace: &WorkspaceId,
    before: WallTime,
) -> Result<Vec<SiteSilence>, StoreError> {
    const DOING: &str = "counting silent devices by site";
    let sql = "SELECT site, COUNT(*) AS devices, \
        COUNT(CASE WHEN NOT online AND last_seen <= $2 THEN 1 END) AS silent \
        FROM device WHERE workspace = $1 GROUP BY site ORDER BY site";
    let values = [workspace.as_str().into(), before.0.into()];
    let rows = raw::rows(store.read(), DOING, sql, values).await?;
    let sites = rows.iter().map(|row| {
        let site: String = row.try_get("", "site").doing(DOING)?;
        Ok(SiteSilence {
            site: parsed("site name", &site)?,
            devices: count(row, "devices", DOING)?,
            silent: count(row, "silent", DOING)?,
        })
    });
    sites.collect()
}

/// Sums over all devices.
pub async fn totals(store: &Store, workspace: &WorkspaceId) -> Result<FleetTotals, StoreError> {
    const DOING: &str = "adding up the fleet's totals";
    let sql = "SELECT COUNT(*) AS devices, \
        CAST(COALESCE(SUM(inferences), 0) AS BIGINT) AS inferences, \
        CAST(COALESCE(SUM(windows), 0) AS BIGINT) AS windows FROM device WHERE workspace = $1";
    let rows = select(store, workspace, sql, DOING).await?;
    let Some(row) = rows.first() else {
        return Ok(FleetTotals::default());
    };
    Ok(FleetTotals {
        devices: count(row, "devices", DOING)?,
        inferences: count(row, "inferences", DOING)?,
        windows: count(row, "windows", DOING)?,
    })
}

/// How far versions got.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StageCounts {
    /// All that is wanted, whatever version it is.
    pub wanted: Stages,
    /// Each version, wanted or only still there.
    pub by_version: BTreeMap<VersionRef, Stages>,
}

/// How far versions got, over all slots of a workspace.
pub async fn stages(store: &Store, workspace: &WorkspaceId) -> Result<StageCounts, StoreError> {
    const DOING: &str = "counting slots by how far versions got";
    // Slots that look the same are one row; how far they are is decided where it always is.
    let wanted = "SELECT assigned_model AS model, assigned_version AS version, \
        CASE WHEN progress_bundle = assigned_bundle THEN progress_phase END AS phase, \
        COALESCE(serving_bundle = assigned_bundle, FALSE) AS serves, \
        COALESCE(serving_weights = assigned_weights, FALSE) AS proven, \
        serving_confirmed AS confirmed, COUNT(*) AS slots \
        FROM slot WHERE workspace = $1 AND assigned_bundle IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6";
    let weights = raw::hex(store.backend(), "s.serving_weights");
    let left = format!(
        "SELECT s.serving_model AS model, s.serving_version AS version, CAST(NULL AS TEXT) AS phase, \
        TRUE AS serves, {weights} = v.onnx AS proven, \
        s.serving_confirmed AS confirmed, COUNT(*) AS slots \
        FROM slot s JOIN model_version v ON v.workspace = s.workspace \
        AND v.model = s.serving_model AND v.version = s.serving_version \
        WHERE s.workspace = $1 AND s.serving_bundle IS NOT NULL \
        AND (s.assigned_bundle IS NULL OR s.assigned_bundle <> s.serving_bundle) \
        GROUP BY 1, 2, 3, 4, 5, 6"
    );
    let mut counts = StageCounts::default();
    for (sql, is_wanted) in [(wanted, true), (left.as_str(), false)] {
        for row in select(store, workspace, sql, DOING).await? {
            let model: Option<String> = row.try_get("", "model").doing(DOING)?;
            let number: Option<i64> = row.try_get("", "version").doing(DOING)?;
            let Some((model, version)) = facts::named_version(model.as_deref(), number)? else {
                continue;
            };
            let Some(stage) = stage::stage(&alike(&row)?) else {
                continue;
            };
            let slots = count(&row, "slots", DOING)?;
            if is_wanted {
                counts.wanted.add_many(stage, slots);
            }
            let of = VersionRef { model, version };
            counts
                .by_version
                .entry(of)
                .or_default()
                .add_many(stage, slots);
        }
    }
    Ok(counts)
}

/// A slot that stands for all those of a row of [`stages`].
fn alike(row: &QueryResult) -> Result<slot::Model, StoreError> {
    const DOING: &str = "counting slots by how far versions got";
    let yes = |column: &str| row.try_get::<bool>("", column).doing(DOING);
    let wanted = vec![1];
    let phase: Option<String> = row.try_get("", "phase").doing(DOING)?;
    Ok(slot::Model {
        assigned_bundle: Some(wanted.clone()),
        assigned_weights: Some(wanted.clone()),
        serving_bundle: yes("serves")?.then(|| wanted.clone()),
        serving_weights: yes("proven")?.then(|| wanted.clone()),
        serving_confirmed: yes("confirmed")?,
        progress_bundle: phase.is_some().then_some(wanted),
        progress_phase: phase,
        ..Default::default()
    })
}
