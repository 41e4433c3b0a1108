//! Quantities over time, from stored windows and labels.
//!
//! Called by the API and the dashboard. Each chart reads a bounded number of rows: counts are summed
//! up by the database, windows whose bodies are needed are thinned out evenly when there are too
//! many, and the points say on how many inferences they stand.

mod axis;
mod custom;
mod labels;
mod series;
mod source;
mod summary;
mod windows;

use std::collections::BTreeMap;

use sea_orm::Value;
use tern_protocol::{
    id::{DeviceId, MetricName, ModelName, ModelVersion, SiteName, WorkspaceId},
    rest::{Chart, GroupBy, Metric, Part, Point, Series},
    time::WallTime,
};

use self::{axis::Axis, source::Source};
use super::{rows::version_ref, sql::Select};
use crate::store::{Store, StoreError};

/// Points of one series; a wide screen shows no more.
pub const POINTS: u64 = 1_000;

/// Points if nobody says how many.
const POINTS_DEFAULT: u64 = 60;

/// Length of a chart in milliseconds if nobody says how long: 15 min.
const LENGTH_DEFAULT: i64 = 15 * 60 * 1000;

/// Quantiles that are drawn of what has many values.
const QUANTILES: [(f64, &str); 3] = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99")];

/// Series of one chart. A model with a thousand classes shows those that were predicted most.
const SERIES: usize = 64;

/// What to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartQuery {
    /// The quantity.
    pub metric: Metric,
    /// Of [`Metric::Custom`]: which one.
    pub name: Option<MetricName>,
    /// Of this model; of all if absent.
    pub model: Option<ModelName>,
    /// Of this version.
    pub version: Option<ModelVersion>,
    /// Of devices at this site.
    pub site: Option<SiteName>,
    /// Of this device.
    pub device: Option<DeviceId>,
    /// Of devices that had this part in a rollout.
    pub arm: Option<Part>,
    /// What makes one series each.
    pub group: GroupBy,
    /// Start of the first interval.
    pub from: WallTime,
    /// End of the last interval.
    pub to: WallTime,
    /// Length of an interval, in milliseconds.
    pub step_ms: u64,
}

/// Why there is no chart.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// The end does not come after the start.
    #[error("`to` ({to}) must be later than `from` ({from}), both in milliseconds since 1970")]
    Empty {
        /// As asked.
        from: i64,
        /// As asked.
        to: i64,
    },
    /// Intervals of no length.
    #[error("`step_ms` must be 1 or more")]
    NoStep,
    /// Too many points.
    #[error(
        "{points} points were asked for, the limit is {POINTS}; ask for a larger `step_ms` or a shorter time"
    )]
    TooFine {
        /// How many.
        points: u64,
    },
    /// Parts in a rollout are known of sums alone.
    #[error(
        "`arm` and `group=arm` are not known of a single device, nor of accuracy; the page of a rollout compares its parts"
    )]
    Arm,
    /// Models declare metrics, and names are theirs.
    #[error(
        "`custom` needs `model`, and `name`, the name of a metric that it declares; other metrics take no name"
    )]
    Unnamed,
    /// Nobody declares it.
    #[error("no such version declares a metric `{name}`; declared are: {declared}")]
    Undeclared {
        /// As asked.
        name: MetricName,
        /// What there is.
        declared: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ChartQuery {
    /// Whether devices are told apart by their part in a rollout.
    fn is_by_arm(&self) -> bool {
        self.group == GroupBy::Arm || self.arm.is_some()
    }

    /// A metric over the last 15 minutes, in 60 intervals whose ends stand still from one question
    /// to the next.
    pub fn recent(metric: Metric, now: WallTime) -> Self {
        let step = LENGTH_DEFAULT / POINTS_DEFAULT as i64;
        let to = now
            .0
            .div_euclid(step)
            .saturating_add(1)
            .saturating_mul(step);
        Self {
            metric,
            name: None,
            model: None,
            version: None,
            site: None,
            device: None,
            arm: None,
            group: GroupBy::None,
            from: WallTime(to.saturating_sub(LENGTH_DEFAULT)),
            to: WallTime(to),
            step_ms: step.unsigned_abs(),
        }
    }

    /// The same between these moments; each that is absent follows from the others.
    #[must_use]
    pub fn between(
        mut self,
        from: Option<WallTime>,
        to: Option<WallTime>,
        step_ms: Option<u64>,
    ) -> Self {
        if from.is_none() && to.is_none() && step_ms.is_none() {
            return self;
        }
        self.to = to.unwrap_or(self.to);
        self.from = from.unwrap_or(WallTime(self.to.0.saturating_sub(LENGTH_DEFAULT)));
        let length = self.to.0.saturating_sub(self.from.0).max(1).unsigned_abs();
        self.step_ms = step_ms.unwrap_or(length.div_ceil(POINTS_DEFAULT));
        self
    }
}

/// Draws a chart.
pub async fn chart(
    store: &Store,
    workspace: &WorkspaceId,
    query: &ChartQuery,
) -> Result<Chart, ChartError> {
    let axis = Axis::new(query)?;
    if query.is_by_arm() && (query.device.is_some() || query.metric == Metric::Accuracy) {
        return Err(ChartError::Arm);
    }
    if query.name.is_some() != (query.metric == Metric::Custom) {
        return Err(ChartError::Unnamed);
    }
    let (source, axis) = match query.metric {
        Metric::Accuracy => (Source::Windows, axis),
        _ => source::choose(store, workspace, query, axis).await?,
    };
    let look = Look {
        store,
        workspace,
        query,
        source,
        axis,
    };
    let (unit, mut series) = match query.metric {
        Metric::Traffic => ("1/s".into(), windows::traffic(look).await?),
        Metric::Errors => ("ratio".into(), windows::errors(look).await?),
        Metric::Latency => ("us".into(), windows::latency(look).await?),
        Metric::Prediction => ("ratio".into(), windows::prediction(look).await?),
        Metric::Confidence => ("ratio".into(), windows::confidence(look).await?),
        Metric::Accuracy => (
            "ratio".into(),
            labels::accuracy(store, workspace, query, axis).await?,
        ),
        Metric::Custom => custom::custom(look).await?,
    };
    limit(&mut series);
    Ok(Chart {
        metric: query.metric,
        unit,
        from: WallTime(axis.from),
        step_ms: axis.step.unsigned_abs(),
        series,
    })
}

/// A chart on its way.
#[derive(Clone, Copy)]
struct Look<'a> {
    store: &'a Store,
    workspace: &'a WorkspaceId,
    query: &'a ChartQuery,
    source: Source,
    axis: Axis,
}

/// Keeps the series that stand on most, in their order.
fn limit(series: &mut Vec<Series>) {
    if series.len() <= SERIES {
        return;
    }
    let weight = |series: &Series| {
        let counts = series
            .points
            .iter()
            .map(|point: &Point| point.value.unwrap_or(0.0) * point.n as f64);
        counts.sum::<f64>()
    };
    let mut weights: Vec<f64> = series.iter().map(weight).collect();
    weights.sort_by(|a, b| b.total_cmp(a));
    let least = weights[SERIES - 1];
    series.retain(|series| weight(series) >= least);
    series.truncate(SERIES);
}

/// The column or columns that make a series, or a constant if there is one series only.
fn group_columns(group: GroupBy) -> &'static str {
    match group {
        GroupBy::None => {
            "'' AS grp_model, CAST(0 AS BIGINT) AS grp_version, '' AS grp_site, '' AS grp_arm"
        }
        GroupBy::Version => {
            "model AS grp_model, version AS grp_version, '' AS grp_site, '' AS grp_arm"
        }
        GroupBy::Site => {
            "'' AS grp_model, CAST(0 AS BIGINT) AS grp_version, site AS grp_site, '' AS grp_arm"
        }
        GroupBy::Arm => {
            "'' AS grp_model, CAST(0 AS BIGINT) AS grp_version, '' AS grp_site, arm AS grp_arm"
        }
    }
}

/// What a series is about; orders series as people read them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
struct GroupKey {
    model: String,
    version: i64,
    site: String,
    arm: String,
}

impl GroupKey {
    fn of(row: &sea_orm::QueryResult) -> Result<Self, sea_orm::DbErr> {
        Ok(Self {
            model: row.try_get("", "grp_model")?,
            version: row.try_get("", "grp_version")?,
            site: row.try_get("", "grp_site")?,
            arm: row.try_get("", "grp_arm")?,
        })
    }

    /// Name of the series; empty for the only one.
    fn name(&self, query: &ChartQuery) -> String {
        match query.group {
            GroupBy::None => String::new(),
            GroupBy::Site => self.site.clone(),
            GroupBy::Arm if self.arm.is_empty() => "neither".into(),
            GroupBy::Arm => self.arm.clone(),
            GroupBy::Version if query.model.is_some() => format!("v{}", self.version),
            GroupBy::Version => format!("{} v{}", self.model, self.version),
        }
    }
}

/// A series' name from its group and its part; either may be empty.
fn series_name(group: &str, part: &str) -> String {
    match (group, part) {
        ("", part) => part.into(),
        (group, "") => group.into(),
        (group, part) => format!("{group} {part}"),
    }
}

/// Adds the conditions of a query that name what to look at.
fn filtered(select: Select, query: &ChartQuery) -> Select {
    select
        .filter(
            " AND model = ?",
            query.model.as_ref().map(ModelName::as_str),
        )
        .filter(
            " AND version = ?",
            query.version.map(|version| i64::from(version.get())),
        )
        .filter(" AND site = ?", query.site.as_ref().map(SiteName::as_str))
        .filter(
            " AND device = ?",
            query.device.as_ref().map(DeviceId::as_str),
        )
}

/// Names of the classes of a row's version.
type Classes = BTreeMap<tern_protocol::rest::VersionRef, Vec<String>>;

fn names<'c>(
    classes: &'c Classes,
    model: &str,
    version: i64,
) -> Result<Option<&'c Vec<String>>, StoreError> {
    Ok(classes.get(&version_ref(model, version)?))
}

/// A number as the database takes it.
fn ms(time: i64) -> Value {
    time.into()
}
