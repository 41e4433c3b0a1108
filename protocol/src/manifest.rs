//! Facts about a bundle. A bundle's digest is the digest of its manifest's bytes.

use alloc::{string::String, vec::Vec};

use minicbor::{Decode, Encode};

use crate::{
    agent_version::AgentVersion,
    blob::BlobRef,
    id::{ModelName, ModelVersion},
    metric::MetricSpec,
    steps::{InputSteps, OutputSteps},
    tensor::{Tensor, TensorSpec},
};

/// What ships under a model's version. Immutable.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Manifest {
    /// The model.
    #[n(0)]
    pub model: ModelName,
    /// Its version.
    #[n(1)]
    pub version: ModelVersion,
    /// The ONNX file.
    #[n(2)]
    pub onnx: BlobRef,
    /// The golden samples ([`Golden`]).
    #[n(3)]
    pub golden: BlobRef,
    /// The reference profile ([`crate::profile::Reference`]), if the model came with one.
    #[n(4)]
    pub reference: Option<BlobRef>,
    /// Its inputs, in the graph's order: what a request carries, before [`Self::pre`].
    #[n(5)]
    pub inputs: Vec<TensorSpec>,
    /// Its outputs, in the graph's order: what an answer holds, after [`Self::post`]. For a
    /// classifier the first is the probability of each class, or was before it was decided.
    #[n(6)]
    pub outputs: Vec<TensorSpec>,
    /// Names of the classes, in the order of the first output; empty unless a classifier. With a
    /// first output that ends by `argmax` or `threshold` they are those of its scores, which is what
    /// it was before that step. Two names for one score are those of below and of at least the
    /// threshold.
    #[n(7)]
    #[cbor(skip_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Steps from a request to the graph, for the inputs that have some.
    #[n(8)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub pre: Vec<InputSteps>,
    /// Steps from the graph to an answer, for the outputs that have some.
    #[n(9)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub post: Vec<OutputSteps>,
    /// The oldest agent that may run it; an older one refuses it by this alone.
    #[n(10)]
    pub min_agent: Option<AgentVersion>,
    /// Kinds of operators in the graph, sorted.
    #[n(11)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub operators: Vec<String>,
    /// What vetting measured, one entry a class of target.
    #[n(12)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub measured: Vec<Measured>,
    /// Versions of the same model that a delta may start from, newest first.
    #[n(13)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub bases: Vec<Base>,
    /// Metrics of its own, beside those of every model.
    #[n(14)]
    #[cbor(default, skip_if = "Vec::is_empty")]
    pub metrics: Vec<MetricSpec>,
}

/// What of a manifest every agent reads first, whatever else is in it: one that is too old for the
/// rest learns that it is.
#[derive(Debug, Clone, PartialEq, Eq, Decode)]
#[cbor(map)]
pub struct Requirement {
    /// The oldest agent that may run it.
    #[n(10)]
    pub min_agent: Option<AgentVersion>,
}

/// What vetting measured on one class of target.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Measured {
    /// The class: an architecture as Rust names it, `x86_64`.
    #[n(0)]
    pub target: String,
    /// Median latency of one sample, steps included, in microseconds.
    #[n(1)]
    pub latency_us: u64,
    /// Time to load and optimise, in microseconds.
    #[n(2)]
    pub load_us: u64,
    /// Largest resident memory of a process that does nothing but load and run it, in bytes. `None`
    /// where the system does not say.
    #[n(3)]
    pub peak_rss: Option<u64>,
    /// The latency that 95 of 100 samples keep to, steps included, in microseconds. `None` from those that did not
    /// measure it.
    #[n(4)]
    #[cfg_attr(
        feature = "rest",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub p95_us: Option<u64>,
}

/// A version that a delta may start from.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Base {
    /// Its number.
    #[n(0)]
    pub version: ModelVersion,
    /// Its ONNX file.
    #[n(1)]
    pub onnx: BlobRef,
}

impl Manifest {
    /// The blobs to have, besides the manifest itself, before the model can run.
    pub fn parts(&self) -> impl Iterator<Item = BlobRef> + use<> {
        [Some(self.onnx), Some(self.golden), self.reference]
            .into_iter()
            .flatten()
    }
}

/// Inputs with the outputs that the publisher saw: a model is what reproduces them.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Golden {
    /// Largest absolute difference allowed in any output element.
    #[n(0)]
    pub tolerance: f32,
    /// The samples, at least one.
    #[n(1)]
    pub samples: Vec<GoldenSample>,
}

/// One golden sample, a batch of one.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct GoldenSample {
    /// One tensor an input, in the graph's order, as a request carries it.
    #[n(0)]
    pub inputs: Vec<Tensor>,
    /// One tensor an output, in the graph's order, as an answer holds it.
    #[n(1)]
    pub outputs: Vec<Tensor>,
}
