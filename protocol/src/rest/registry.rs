use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    agent_version::AgentVersion,
    blob::BlobRef,
    digest::Digest,
    id::{ModelName, ModelVersion},
    manifest::{Base, Measured},
    metric::MetricSpec,
    rest::{BlobPart, DatasetPick, Stages, TrainedOn},
    steps::{InputSteps, OutputSteps, PostStep, PreStep},
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
    /// Its inputs, as requests carry them: before their steps.
    pub inputs: Vec<TensorSpec>,
    /// Its outputs, as answers hold them: after their steps.
    pub outputs: Vec<TensorSpec>,
    /// Names of the classes, if it is a classifier.
    #[serde(default)]
    pub classes: Vec<String>,
    /// Steps between a request and the graph.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pre: Vec<NewInputSteps>,
    /// Steps between the graph and an answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post: Vec<NewOutputSteps>,
    /// The oldest agent that may run it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_agent: Option<AgentVersion>,
    /// Metrics of its own, beside those of every model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricSpec>,
    /// What is new, for people.
    #[serde(default)]
    pub note: String,
    /// Accuracy on the trainer's validation part, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
    /// The dataset that it was trained on: `NAME@NUMBER`, or an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetPick>,
}

/// Steps of an input, as they are declared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewInputSteps {
    /// Name of the input.
    pub input: String,
    /// Its steps, in order.
    pub steps: Vec<NewPreStep>,
}

/// Steps of an output, as they are declared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewOutputSteps {
    /// Name of the output.
    pub output: String,
    /// Its steps, in order.
    pub steps: Vec<NewPostStep>,
}

/// A step before the graph. What is not one is taken too, so that the hub can say what is wrong with
/// it together with all else that is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum NewPreStep {
    /// A step.
    Known(PreStep),
    /// None that this hub knows, or not with these fields.
    Unknown(UnknownStep),
}

/// A step after the graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum NewPostStep {
    /// A step.
    Known(PostStep),
    /// None that this hub knows, or not with these fields.
    Unknown(UnknownStep),
}

/// The name of what is no step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UnknownStep {
    /// As it was declared.
    pub step: String,
}

impl NewVersion {
    /// The steps of inputs that are steps.
    pub fn known_pre(&self) -> Vec<InputSteps> {
        let known = |step: &NewPreStep| match step {
            NewPreStep::Known(step) => Some(step.clone()),
            NewPreStep::Unknown(_) => None,
        };
        let of = |of: &NewInputSteps| InputSteps {
            input: of.input.clone(),
            steps: of.steps.iter().filter_map(known).collect(),
        };
        self.pre.iter().map(of).collect()
    }

    /// The steps of outputs that are steps.
    pub fn known_post(&self) -> Vec<OutputSteps> {
        let known = |step: &NewPostStep| match step {
            NewPostStep::Known(step) => Some(*step),
            NewPostStep::Unknown(_) => None,
        };
        let of = |of: &NewOutputSteps| OutputSteps {
            output: of.output.clone(),
            steps: of.steps.iter().filter_map(known).collect(),
        };
        self.post.iter().map(of).collect()
    }
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
    /// Steps between a request and the graph.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pre: Vec<InputSteps>,
    /// Steps between the graph and an answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post: Vec<OutputSteps>,
    /// The oldest agent that may run it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_agent: Option<AgentVersion>,
    /// Metrics of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricSpec>,
    /// What vetting measured, one entry a class of target.
    #[serde(default)]
    pub measured: Vec<Measured>,
    /// Versions that a delta may start from, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bases: Vec<Base>,
    /// What became of the deltas from these, newest base first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deltas: Vec<DeltaView>,
    /// What is new.
    pub note: String,
    /// Accuracy on the trainer's validation part.
    pub validation_accuracy: Option<f64>,
    /// What vetting measured.
    pub vetting: Vetting,
    /// Devices that serve it now.
    pub devices_serving: u64,
    /// How far it got, over all slots of all devices.
    #[serde(default)]
    pub stages: Stages,
    /// Whether its bundle is signed, so that devices take it.
    pub signed: bool,
    /// Of which version it is another form, and what that cost, if it was made by transcoding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcoded: Option<Transcoded>,
    /// The dataset that it was trained on, if somebody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<TrainedOn>,
    /// Why it is revoked, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
    /// Its files that the hub lacks, since they were damaged on its disk or are gone: until they are
    /// published again it does not ship.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<BlobPart>,
}

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Transcoding {
    /// Half precision: half the bytes.
    Fp16,
    /// Eight bits with a scale for each channel: a quarter of the bytes.
    Int8,
}

impl core::fmt::Display for Transcoding {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Fp16 => "fp16",
            Self::Int8 => "int8",
        })
    }
}

/// `POST /models/{model}/versions/{version}/transcodings`: publish it with weights stored otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Transcode {
    /// How.
    pub to: Transcoding,
}

/// What a version is another form of, and what the hub measured of both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Transcoded {
    /// The version that it was made of.
    pub from: ModelVersion,
    /// How its weights are stored.
    pub to: Transcoding,
    /// Tensors that are stored so; small ones are not.
    pub tensors: u64,
    /// Length of the ONNX file that it was made of, in bytes.
    pub onnx_bytes_before: u64,
    /// Golden samples that both were run on.
    pub golden_samples: u64,
    /// Of these, how many have the same class as before; none unless a classifier.
    pub same_class: Option<u64>,
    /// Largest absolute difference of an output element on them.
    pub largest_difference: f32,
    /// Mean absolute difference of an output element on them.
    pub mean_difference: f64,
    /// Labelled captures that both were run on.
    pub labelled: u64,
    /// Share of these that the version before gets right; none without any.
    pub right_before: Option<f64>,
    /// Share of these that this version gets right; none without any.
    pub right_after: Option<f64>,
}

/// A delta: what makes the ONNX file of a version from that of another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DeltaView {
    /// The version that it starts from.
    pub base: ModelVersion,
    /// What became of it.
    pub state: DeltaState,
    /// Why it is not there; empty if it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Its length in bytes, once it was computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The length of the file that travels without it.
    pub full_bytes: u64,
    /// Its length over that, once it was computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// How long it took to compute, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
}

/// What became of a delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum DeltaState {
    /// It is to be computed.
    Pending,
    /// Devices that have its base are offered it.
    Ready,
    /// It would save too little.
    NotWorthIt,
    /// It is not computed: its files are too large, or there is no room for deltas.
    Skipped,
    /// It was there, and made room for newer ones.
    Evicted,
    /// It could not be computed.
    Failed,
}

impl core::fmt::Display for DeltaState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Pending => "being computed",
            Self::Ready => "ready",
            Self::NotWorthIt => "not worth it",
            Self::Skipped => "not computed",
            Self::Evicted => "made room for others",
            Self::Failed => "failed",
        })
    }
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
