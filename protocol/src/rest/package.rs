//! What a trainer says of a model, in the `publish.json` of the directory that it wrote.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use super::{NewInputSteps, NewOutputSteps, NewVersion};
use crate::{agent_version::AgentVersion, digest::Digest, metric::MetricSpec, tensor::TensorSpec};

/// Name of the file in the directory.
pub const DESCRIPTION: &str = "publish.json";

/// Longest description, in bytes: class names and shapes are a few kilobytes.
pub const DESCRIPTION_MAX: u64 = 1024 * 1024;

/// The description. Files are paths within the directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageDescription {
    /// The ONNX file.
    pub onnx: String,
    /// Golden samples. A person who publishes brings them; of a challenger that is trained by itself the hub makes some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<String>,
    /// The reference profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Inputs of a request, before steps.
    pub inputs: Vec<TensorSpec>,
    /// Outputs, after steps.
    pub outputs: Vec<TensorSpec>,
    /// Names of classes; none of a model that is no classifier.
    #[serde(default)]
    pub classes: Vec<String>,
    /// Steps of inputs.
    #[serde(default)]
    pub pre: Vec<NewInputSteps>,
    /// Steps of outputs.
    #[serde(default)]
    pub post: Vec<NewOutputSteps>,
    /// The oldest agent that may run it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_agent: Option<AgentVersion>,
    /// Metrics that it declares.
    #[serde(default)]
    pub metrics: Vec<MetricSpec>,
    /// What is new, for people.
    #[serde(default)]
    pub note: String,
    /// Accuracy on the validation part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
}

impl PackageDescription {
    /// The version that it describes, of files with these digests.
    pub fn version(self, onnx: Digest, golden: Digest, reference: Option<Digest>) -> NewVersion {
        NewVersion {
            onnx,
            golden,
            reference,
            inputs: self.inputs,
            outputs: self.outputs,
            classes: self.classes,
            pre: self.pre,
            post: self.post,
            min_agent: self.min_agent,
            metrics: self.metrics,
            note: self.note,
            validation_accuracy: self.validation_accuracy,
            dataset: None,
        }
    }
}
