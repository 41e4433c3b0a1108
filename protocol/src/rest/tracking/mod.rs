//! Experiments, runs, and which of them is best.

mod constraint;

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

pub use self::constraint::{Constraint, ConstraintError, Constraints, Quantity};
use crate::{rest::VersionRef, time::WallTime};

/// An experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ExperimentView {
    /// Its number; 0 is `Default`.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: WallTime,
    /// Runs that are there.
    pub runs: u64,
    /// Of these, how many run now.
    pub running: u64,
    /// When the last one began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<WallTime>,
    /// What is said of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RunView {
    /// Its id: 32 hex digits.
    pub run: String,
    /// Its experiment.
    pub experiment: i64,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub user: String,
    /// `RUNNING`, `SCHEDULED`, `FINISHED`, `FAILED` or `KILLED`.
    pub status: String,
    /// When it began.
    pub started: WallTime,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<WallTime>,
    /// The run that it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// What it was given.
    pub params: BTreeMap<String, String>,
    /// The latest value of each metric; nothing for one that is no number.
    pub metrics: BTreeMap<String, Option<f64>>,
    /// What is said of it.
    pub tags: BTreeMap<String, String>,
    /// Where its files lie.
    pub artifact_uri: String,
    /// Models of it that were registered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<RunModel>,
}

/// A model of a run that was registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RunModel {
    /// Under which name.
    pub name: String,
    /// As which version of that.
    pub version: i64,
    /// What devices get, if it can be deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployable: Option<VersionRef>,
    /// What became of it, for people.
    pub message: String,
}

/// The values of a metric of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MetricCurve {
    /// Which metric.
    pub metric: String,
    /// By step; of many values the extremes of each stretch.
    pub points: Vec<MetricPoint>,
}

/// One value of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MetricPoint {
    /// At which step.
    pub step: i64,
    /// When.
    pub at: WallTime,
    /// The value.
    pub value: f64,
}

/// Which end of a metric is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Direction {
    /// More is better.
    #[default]
    Max,
    /// Less is better.
    Min,
}

/// The best run of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BestRun {
    /// By which metric.
    pub metric: String,
    /// Which end of it is good.
    pub direction: Direction,
    /// The best of those that keep to all constraints; none if none does.
    pub best: Option<RunCandidate>,
    /// Those of which no other is as good in the metric, the latency and the size, and better in one: by the metric,
    /// best first. Of runs whose model vetting has measured.
    pub front: Vec<RunCandidate>,
    /// Runs that have the metric, and that the filter takes.
    pub considered: u64,
    /// Of these, how many have no model that vetting has measured.
    pub unmeasured: u64,
    /// Of these, how many do not keep to the constraints, though they were measured.
    pub excluded: u64,
}

/// A run, as it is compared with others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RunCandidate {
    /// Which run.
    pub run: String,
    /// Its name.
    pub name: String,
    /// When it began.
    pub started: WallTime,
    /// Its value of the metric.
    pub value: f64,
    /// What was measured of its model, if it has one that devices can get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<CandidateCost>,
}

/// What a run's model costs a device: of several classes of target the worst.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CandidateCost {
    /// The version.
    pub version: VersionRef,
    /// Length of its ONNX file in bytes.
    pub size: u64,
    /// Median latency of one sample, in milliseconds.
    pub latency_ms: f64,
    /// The latency that 95 of 100 samples keep to, in milliseconds; versions that were vetted before it was measured
    /// have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<f64>,
    /// Largest resident memory of a process that loads and runs it, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

impl CandidateCost {
    /// What it has of a quantity.
    pub fn get(&self, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::Size => Some(self.size as f64),
            Quantity::LatencyMs => Some(self.latency_ms),
            Quantity::P95Ms => self.p95_ms,
            Quantity::Memory => self.memory.map(|bytes| bytes as f64),
        }
    }
}
