//! Facts about a bundle. A bundle's digest is the digest of its manifest's bytes.

use alloc::{string::String, vec::Vec};

use minicbor::{Decode, Encode};

use crate::{
    blob::BlobRef,
    id::{ModelName, ModelVersion},
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
    /// Its inputs, in the graph's order.
    #[n(5)]
    pub inputs: Vec<TensorSpec>,
    /// Its outputs, in the graph's order. For a classifier the first is the probability of each
    /// class.
    #[n(6)]
    pub outputs: Vec<TensorSpec>,
    /// Names of the classes, in the order of the first output; empty unless a classifier.
    #[n(7)]
    #[cbor(skip_if = "Vec::is_empty")]
    pub classes: Vec<String>,
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
    /// One tensor an input, in the graph's order.
    #[n(0)]
    pub inputs: Vec<Tensor>,
    /// One tensor an output, in the graph's order.
    #[n(1)]
    pub outputs: Vec<Tensor>,
}
