//! Requests and errors of lately, with how much devices differ in them.
//!
//! Called by alerts. A chart sums windows whoever sent them; whether one device fails all of its requests or all fail
//! a few is told only by sums of each device, which the database makes here. Must never break: a question reads a
//! bounded number of windows, the newest, however many there are.

use sea_orm::{ConnectionTrait as _, QueryResult, Value};
use tern_protocol::{
    id::{ModelName, ModelVersion, SiteName, WorkspaceId},
    rest::AlertGroup,
    time::WallTime,
};
use tern_stats::interval::{Clusters, Estimate};

use super::sql::Select;
use crate::store::{Doing as _, Store, StoreError, parsed};

const DOING: &str = "adding up requests by device";

/// Windows that are read at most, the newest: a quarter of an hour of 6,000 devices with windows of a minute.
const WINDOWS: i64 = 100_000;

/// Which requests.
#[derive(Debug, Clone)]
pub struct RequestQuery<'a> {
    /// Of this model.
    pub model: Option<&'a ModelName>,
    /// Of this version.
    pub version: Option<ModelVersion>,
    /// Of devices at this site.
    pub site: Option<&'a SiteName>,
    /// What is summed up by itself.
    pub group: AlertGroup,
    /// In windows that closed after this.
    pub from: WallTime,
    /// And not after this.
    pub to: WallTime,
    /// Devices with a larger share of errors are counted.
    pub level: f64,
    /// Groups at most, those with the most devices.
    pub groups: u64,
}

/// Requests of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Requests {
    /// The model, if groups are of models or versions.
    pub model: Option<ModelName>,
    /// The version, if groups are of versions.
    pub version: Option<ModelVersion>,
    /// The site, if groups are of sites.
    pub site: Option<SiteName>,
    /// Devices that sent windows.
    pub devices: u64,
    /// Of those, the ones whose own share of errors is above the level.
    pub beyond: u64,
    /// Requests that were answered.
    pub inferences: u64,
    /// The share of errors, with an interval that says how much devices differ; nothing without requests.
    pub errors: Option<Estimate>,
}

/// Requests by group, those of the most devices first.
pub async fn requests(
    store: &Store,
    workspace: &WorkspaceId,
    query: &RequestQuery<'_>,
) -> Result<Vec<Requests>, StoreError> {
    let groups = match query.group {
        AlertGroup::None => "'' AS grp_model, CAST(0 AS BIGINT) AS grp_version, '' AS grp_site",
        AlertGroup::Site => "'' AS grp_model, CAST(0 AS BIGINT) AS grp_version, site AS grp_site",
        AlertGroup::Version => "model AS grp_model, version AS grp_version, '' AS grp_site",
        AlertGroup::Model => "model AS grp_model, CAST(0 AS BIGINT) AS grp_version, '' AS grp_site",
    };
    let begin = format!(
        "SELECT grp_model, grp_version, grp_site, COUNT(*) AS devices, \
         CAST(SUM(inferences) AS BIGINT) AS inferences, CAST(SUM(e) AS BIGINT) AS errors, \
         CAST(SUM(m) AS BIGINT) AS requests, SUM(e * e) AS ee, SUM(e * m) AS em, SUM(m * m) AS mm, \
         COUNT(CASE WHEN e > $1 * m THEN 1 END) AS beyond FROM (SELECT {groups}, device, \
         CAST(SUM(inferences) AS BIGINT) AS inferences, CAST(SUM(errors) AS DOUBLE PRECISION) AS e, \
         CAST(SUM(inferences + errors) AS DOUBLE PRECISION) AS m FROM ("
    );
    let number = |at: WallTime| Value::from(at.0);
    let select = Select::new(begin, [query.level.into()])
        .push(
            "SELECT device, model, version, site, inferences, errors FROM telemetry_window \
             WHERE workspace = ? AND quarantine IS NULL AND closed > ? AND closed <= ?",
            [
                workspace.as_str().into(),
                number(query.from),
                number(query.to),
            ],
        )
        .filter(" AND model = ?", query.model.map(ModelName::as_str))
        .filter(
            " AND version = ?",
            query.version.map(|version| i64::from(version.get())),
        )
        .filter(" AND site = ?", query.site.map(SiteName::as_str))
        .push(" ORDER BY closed DESC LIMIT ?) AS newest", [WINDOWS.into()])
        .push(
            " GROUP BY grp_model, grp_version, grp_site, device) AS each_device",
            [],
        )
        .push(
            " GROUP BY grp_model, grp_version, grp_site \
             ORDER BY devices DESC, grp_model, grp_version, grp_site LIMIT ?",
            [i64::try_from(query.groups).unwrap_or(i64::MAX).into()],
        );
    let rows = store
        .read()
        .query_all_raw(select.done(store.backend()))
        .await;
    rows.doing(DOING)?.iter().map(read).collect()
}

fn read(row: &QueryResult) -> Result<Requests, StoreError> {
    let count = |column: &str| -> Result<u64, StoreError> {
        let value: i64 = row.try_get("", column).doing(DOING)?;
        Ok(value.max(0).unsigned_abs())
    };
    let real = |column: &str| row.try_get::<f64>("", column).doing(DOING);
    let text = |column: &str| row.try_get::<String>("", column).doing(DOING);
    let (model, site) = (text("grp_model")?, text("grp_site")?);
    let version = u32::try_from(count("grp_version")?).ok();
    let clusters = Clusters {
        clusters: count("devices")?,
        hits: count("errors")?,
        all: count("requests")?,
        hits_squared: real("ee")?,
        hits_by_all: real("em")?,
        all_squared: real("mm")?,
    };
    let named = |text: &str| !text.is_empty();
    Ok(Requests {
        model: Some(&model)
            .filter(|text| named(text))
            .map(|text| parsed("model name", text))
            .transpose()?,
        version: version.and_then(ModelVersion::new),
        site: Some(&site)
            .filter(|text| named(text))
            .map(|text| parsed("site name", text))
            .transpose()?,
        devices: clusters.clusters,
        beyond: count("beyond")?,
        inferences: count("inferences")?,
        errors: clusters.share(),
    })
}
