use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::time::WallTime;

/// A quantity over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Metric {
    /// Inferences a second.
    Traffic,
    /// Share of requests that got an error.
    Errors,
    /// Latency in microseconds; one series a quantile (p50, p90, p99).
    Latency,
    /// Share of each predicted class; one series a class.
    Prediction,
    /// Mean confidence.
    Confidence,
    /// Share of right predictions from labels, by the time of the prediction.
    Accuracy,
    /// A metric that the model's bundle declares, by its name: a counter a second, a gauge as mean, least and most, a
    /// histogram as quantiles.
    Custom,
}

/// What makes one series each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum GroupBy {
    /// One for all.
    #[default]
    None,
    /// One a version.
    Version,
    /// One a site.
    Site,
    /// One a part in a rollout: `treatment`, `control`, and `neither`.
    Arm,
}

/// A chart: series on one time axis, evenly spaced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Chart {
    /// What is drawn.
    pub metric: Metric,
    /// Its unit: `1/s`, `ratio`, `us`; of a metric that a bundle declares, what that says.
    pub unit: String,
    /// Start of the first interval.
    pub from: WallTime,
    /// Length of an interval, in milliseconds.
    pub step_ms: u64,
    /// The series; all of the same length.
    pub series: Vec<Series>,
}

/// One line of a chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Series {
    /// Its name: a quantile, a class, a version, a site.
    pub name: String,
    /// One point an interval.
    pub points: Vec<Point>,
}

/// One point of a series.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Point {
    /// The value; absent where nothing was seen.
    pub value: Option<f64>,
    /// Inferences or labels it stands on. Traffic and errors divide a window that reaches over the end of an
    /// interval by time; quantiles, mixes and means stand on all of it on both sides.
    pub n: u64,
    /// Lower end of the 95 % interval, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end of the 95 % interval, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
}
