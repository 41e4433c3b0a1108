//! How far what devices count is from what it is compared with.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    id::{ModelName, ModelVersion, SiteName},
    time::WallTime,
};

/// What a time is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Baseline {
    /// The reference profile of the version: what it was trained on.
    #[default]
    Training,
    /// The same hours a week before, at the same place.
    WeekBefore,
}

/// What a histogram counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Counted {
    /// An element of the first input.
    Feature,
    /// Something measured of inputs as a whole.
    Signal,
    /// Predicted classes.
    Prediction,
    /// How sure the model was.
    Confidence,
    /// How much surer than of the next class.
    Margin,
}

/// Distances of a version's inputs and answers over a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DistancesView {
    /// The model.
    pub model: ModelName,
    /// Its version.
    pub version: ModelVersion,
    /// What the time is compared with.
    pub baseline: Baseline,
    /// Where the time begins: with a whole hour or day.
    pub from: WallTime,
    /// Where it ends.
    pub to: WallTime,
    /// All sites together first, then each by name.
    pub places: Vec<PlaceDistances>,
}

/// Distances at one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PlaceDistances {
    /// The site; all of them if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteName>,
    /// From this moment: whole hours of all sites together; with many sites whole days of each.
    pub from: WallTime,
    /// To this moment.
    pub to: WallTime,
    /// Inferences of the time.
    pub inferences: u64,
    /// Of what was counted, the farthest first; of many features those that are farthest.
    pub distances: Vec<CountedDistance>,
}

/// How far one histogram is from what it is compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CountedDistance {
    /// What is counted.
    pub counted: Counted,
    /// Name of the feature or signal; empty else.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Values counted.
    pub n: u64,
    /// Jensen–Shannon distance, 0 to 1.
    pub jensen_shannon: Interval,
    /// Population stability index, 0 and up.
    pub psi: Interval,
    /// Kolmogorov–Smirnov on the bins, 0 to 1; of what has an order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kolmogorov_smirnov: Option<Interval>,
    /// Cramér's V, 0 to 1; of classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cramers_v: Option<Interval>,
    /// Share of values that are missing, of features and signals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<f64>,
    /// Share of values that were those of the inference before, of features.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeated: Option<f64>,
}

/// A distance with its 95 % interval, in which the hour, or the day, is the unit: those are left out one at a time. None
/// of fewer than three.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Interval {
    /// As measured.
    pub value: f64,
    /// Lower end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
}
