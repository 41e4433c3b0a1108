use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    blob::BlobRef,
    digest::Digest,
    id::{ModelName, ModelVersion},
    tensor::TensorSpec,
    time::WallTime,
};

/// `POST /models/{model}/versions`: publish. Its blobs were uploaded before with
/// `PUT /blobs/{digest}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewVersion {
    /// The ONNX file.
    pub onnx: Digest,
    /// Golden samples (CBOR, `protocol::manifest::Golden`).
    pub golden: Digest,
    /// Reference profile (CBOR, `protocol::profile::Reference`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Digest>,
    /// Its inputs.
    pub inputs: Vec<TensorSpec>,
    /// Its outputs.
    pub outputs: Vec<TensorSpec>,
    /// Names of the classes, if it is a classifier.
    #[serde(default)]
    pub classes: Vec<String>,
    /// What is new, for people.
    #[serde(default)]
    pub note: String,
    /// Accuracy on the trainer's validation part, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ModelView {
    /// Its name.
    pub name: ModelName,
    /// When its first version was published.
    pub created: WallTime,
    /// Its versions, newest first.
    pub versions: Vec<VersionView>,
}

/// A version of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct VersionView {
    /// The model.
    pub model: ModelName,
    /// Its number.
    pub version: ModelVersion,
    /// When it was published.
    pub created: WallTime,
    /// The bundle: digest and length of its manifest.
    pub bundle: BlobRef,
    /// The ONNX file.
    pub onnx: BlobRef,
    /// Bytes that a device fetches for it: manifest and parts.
    pub total_bytes: u64,
    /// Its inputs.
    pub inputs: Vec<TensorSpec>,
    /// Its outputs.
    pub outputs: Vec<TensorSpec>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// What is new.
    pub note: String,
    /// Accuracy on the trainer's validation part.
    pub validation_accuracy: Option<f64>,
    /// What vetting measured.
    pub vetting: Vetting,
    /// Devices that serve it now.
    pub devices_serving: u64,
    /// Whether its bundle is signed, so that devices take it.
    pub signed: bool,
    /// Why it is revoked, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
}

/// A version that must not be loaded any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Revoked {
    /// Why, for people.
    pub reason: String,
    /// When that was decided.
    pub at: WallTime,
    /// What devices get instead; none if there is nothing to give them.
    pub replacement: Option<ModelVersion>,
}

/// What the hub measured when it vetted a model with the agents' own engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Vetting {
    /// Operators of the graph, sorted.
    pub operators: Vec<String>,
    /// Golden samples reproduced.
    pub golden_samples: u64,
    /// Largest absolute difference from a golden output.
    pub golden_difference: f32,
    /// Median latency of one sample on the hub, in microseconds.
    pub latency_us: f64,
    /// Time to load and optimise, in milliseconds.
    pub load_ms: f64,
}
