use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use super::{CaptureReason, CaptureSummary, NoInput};
use crate::{
    capture::PredictedNumber,
    digest::Digest,
    id::{DeviceId, ModelName, ModelVersion, PredictionId, SiteName, SlotName},
    time::WallTime,
};

/// `POST /labels`: truths about captures, at most 10,000 at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LabelImport {
    /// The labels.
    pub labels: Vec<NewLabel>,
    /// Only say what would become of them: nothing is stored.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub dry_run: bool,
}

/// The truth about one captured prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewLabel {
    /// The device that predicted.
    pub device: DeviceId,
    /// Which prediction.
    pub prediction: PredictionId,
    /// The right class, by its name in the manifest; of a model that answers numbers the right number.
    pub truth: String,
}

/// What became of the labels.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LabelImportResult {
    /// New ones.
    pub added: u64,
    /// Those that replaced another truth.
    pub changed: u64,
    /// Those that said what was known.
    pub unchanged: u64,
    /// Those that were refused, as (index in the request, why). Nothing else is held up by them.
    pub refused: Vec<LabelRefused>,
}

/// A label that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LabelRefused {
    /// Its index in the request, from 0.
    pub index: u64,
    /// Its line, of CSV.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Why, and what to do.
    pub reason: String,
}

/// A stored input with its prediction and, once known, the truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CaptureView {
    /// The device.
    pub device: DeviceId,
    /// Which prediction.
    pub prediction: PredictionId,
    /// The device's site.
    pub site: SiteName,
    /// The slot.
    pub slot: SlotName,
    /// The model.
    pub model: ModelName,
    /// Its version.
    pub version: ModelVersion,
    /// When, repaired by the hub's clock.
    pub at: WallTime,
    /// Shape of the input.
    pub shape: Vec<u32>,
    /// The input's values, row-major.
    pub input: Vec<f32>,
    /// The predicted class; of a model that answers numbers the number.
    pub class: String,
    /// Its probability as the model said; 0 of a model that answers numbers.
    pub confidence: f32,
    /// With which probability such an input was drawn; 0 if it was not drawn but asked for, or kept because of what
    /// it turned out to be: no estimate counts it.
    pub probability: f32,
    /// Why it was captured; empty if its device did not say.
    #[serde(default)]
    pub reasons: Vec<CaptureReason>,
    /// For which request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u64>,
    /// Whose input it is: a hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
    /// Why `input` is empty, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_input: Option<NoInput>,
    /// What stands for an input that is not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<CaptureSummary>,
    /// What was predicted, of a model that answers numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<PredictedNumber>,
    /// The right class or number, once somebody said.
    pub truth: Option<String>,
}

/// Accuracy of one version at one site (or over all sites), from labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AccuracyView {
    /// The model.
    pub model: ModelName,
    /// Its version.
    pub version: ModelVersion,
    /// The site; absent: all sites.
    pub site: Option<SiteName>,
    /// Labels it stands on.
    pub labels: u64,
    /// Share of right predictions, weighted by the inverse capture probability.
    pub accuracy: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
}
