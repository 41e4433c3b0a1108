//! What labels say of a version, and what is estimated while there are none.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use super::Part;
use crate::{
    id::{ModelName, ModelVersion, SiteName},
    time::WallTime,
};

/// A quantity with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Estimated {
    /// As estimated.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Samples that it stands on.
    pub n: u64,
}

/// Where a truth came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum LabelSource {
    /// The device was told.
    Device,
    /// A file or a program, by `POST /labels`.
    Import,
    /// A person on the labelling page.
    Person,
    /// From before the hub kept where labels came from.
    Unknown,
}

impl LabelSource {
    /// As it is stored and written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Import => "import",
            Self::Person => "person",
            Self::Unknown => "unknown",
        }
    }

    /// The source of this word.
    pub fn named(word: &str) -> Self {
        [Self::Device, Self::Import, Self::Person]
            .into_iter()
            .find(|source| source.word() == word)
            .unwrap_or(Self::Unknown)
    }
}

/// What labels say of one version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TruthView {
    /// The model.
    pub model: ModelName,
    /// Its version.
    pub version: ModelVersion,
    /// At this site; at all if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteName>,
    /// Only devices that had this part in a rollout; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<Part>,
    /// Of predictions from this moment on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<WallTime>,
    /// Of predictions before this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<WallTime>,
    /// Labels that the figures stand on.
    pub labels: u64,
    /// Labels that are left out of them, since they were chosen by what the model said and not by a known chance: those
    /// that the labelling page asked for first.
    pub left_out: u64,
    /// Whether there are older labels that were not read.
    pub more: bool,
    /// How many of the labels came from where.
    pub sources: Vec<SourceCount>,
    /// How long after its prediction a label came, in milliseconds, in the median; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Of a classifier; absent without labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<ClassTruth>,
    /// Of a model that answers numbers; absent without labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<NumberTruth>,
    /// What is to be expected without labels, day by day.
    pub estimate: EstimateView,
}

/// Labels of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SourceCount {
    /// The source.
    pub source: LabelSource,
    /// Labels.
    pub labels: u64,
}

/// How right a classifier is. Each label weighs as much as the inverse of the probability with which its input was
/// captured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ClassTruth {
    /// Share of right predictions.
    pub accuracy: Estimated,
    /// Mean F1 of the classes that were predicted or true.
    pub macro_f1: f64,
    /// Each class that was predicted or true, in the order of the manifest.
    pub rates: Vec<ClassRates>,
    /// Pairs of truth and prediction that have labels.
    pub confusion: Vec<ConfusionCell>,
    /// Whether the model is as sure as it is right.
    pub calibration: CalibrationView,
}

/// How one class does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ClassRates {
    /// The class.
    pub class: String,
    /// Labels of which it is the truth.
    pub labels: u64,
    /// Labels of which it was predicted.
    pub predicted: u64,
    /// Of those predicted to be of this class, the share that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<Estimated>,
    /// Of those of this class, the share that was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall: Option<Estimated>,
    /// Both in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub f1: Option<Estimated>,
}

/// One cell of the confusion matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ConfusionCell {
    /// What was true.
    pub truth: String,
    /// What was predicted.
    pub predicted: String,
    /// Labels.
    pub labels: u64,
    /// Predictions of the fleet that they stand for.
    pub weight: f64,
    /// Share of the predictions of this truth.
    pub share: f64,
}

/// Calibration of a classifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CalibrationView {
    /// Expected calibration error, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
    /// What it would be of a perfectly calibrated model with as many labels: chance alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_chance: Option<f64>,
    /// Brier score of the predicted class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brier: Option<Estimated>,
    /// The reliability curve, by rising confidence.
    pub points: Vec<ReliabilityPoint>,
}

/// One point of the reliability curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ReliabilityPoint {
    /// Mean confidence.
    pub said: f64,
    /// Share that was right.
    pub right: Estimated,
}

/// How far numbers are from what was true, in their own unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NumberTruth {
    /// Mean absolute error; absent with fewer than two labels, as all of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mae: Option<Estimated>,
    /// Root of the mean squared error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rmse: Option<Estimated>,
    /// Mean error: above 0 where predictions are too large.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bias: Option<Estimated>,
    /// Of a model that predicts an interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
}

/// How often predicted intervals held the truth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Coverage {
    /// How often they promise to, by the names of the outputs; absent if those no longer say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promised: Option<f64>,
    /// How often they did.
    pub held: Estimated,
}

/// What an estimate without labels stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum EstimateBasis {
    /// How often the model was right at which confidence in its validation: the reference profile.
    Reference,
    /// How often it was right, or how far off, in labels of predictions before that day.
    Labels,
}

/// What is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum EstimatedQuantity {
    /// Share of right predictions.
    Accuracy,
    /// Mean absolute error.
    MeanAbsoluteError,
}

/// Estimates without labels, and how far off they were each time truth arrived.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EstimateView {
    /// What is estimated.
    pub quantity: EstimatedQuantity,
    /// Why nothing is, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lacks: Option<String>,
    /// Days with predictions, the oldest first.
    pub days: Vec<EstimatedDay>,
    /// Days on which there was an estimate and a truth.
    pub compared: u64,
    /// Those on which both agree: their intervals overlap.
    pub agreed: u64,
    /// How far the estimates were off in the mean, whichever way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_error: Option<f64>,
    /// By how much they were larger than the truth in the mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_bias: Option<f64>,
}

/// One day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EstimatedDay {
    /// Where it begins, midnight UTC.
    pub from: WallTime,
    /// Predictions of the day.
    pub predictions: u64,
    /// What is estimated; absent where there is nothing to stand on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimated>,
    /// On what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basis: Option<EstimateBasis>,
    /// What labels say of the same day, once there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truth: Option<Estimated>,
    /// Estimate less truth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub off: Option<f64>,
}
