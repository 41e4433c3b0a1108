//! The Open Inference Protocol, version 2, as a client writes it.

use serde_json::{Value, json};
use tern_protocol::tensor::{Tensor, TensorSpec};

/// Path of inference for a slot.
pub fn path(slot: &str) -> String {
    format!("/v2/models/{slot}/infer")
}

/// One input: the tensor of a sample and its name in the graph.
#[derive(Debug, Clone)]
pub struct Input {
    name: String,
    tensor: Tensor,
}

impl Input {
    /// The input of a model with one input.
    pub fn new(spec: &TensorSpec, tensor: Tensor) -> Self {
        Self {
            name: spec.name.clone(),
            tensor,
        }
    }

    /// Its tensor.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// Its values.
    #[track_caller]
    pub fn values(&self) -> Vec<f32> {
        self.tensor.to_f32().expect("golden tensors are whole")
    }

    /// The request as JSON text.
    #[track_caller]
    pub fn request(&self) -> String {
        let data: Vec<f64> = self.values().into_iter().map(f64::from).collect();
        json!({ "inputs": [{
            "name": self.name,
            "shape": self.tensor.shape,
            "datatype": "FP32",
            "data": data,
        }]})
        .to_string()
    }
}

/// An answer for a batch of one.
#[derive(Debug, Clone)]
pub struct Inferred {
    /// Version that answered.
    pub version: u32,
    /// The prediction's id.
    pub prediction: String,
    /// The first output.
    pub output: Vec<f32>,
}

impl Inferred {
    /// Reads an answer.
    #[track_caller]
    pub fn read(body: &str) -> Self {
        Self::parse(body).unwrap_or_else(|what| panic!("{what} in the answer {body}"))
    }

    /// Reads an answer; the error says what is missing.
    pub fn parse(body: &str) -> Result<Self, String> {
        let answer: Value = serde_json::from_str(body).map_err(|err| err.to_string())?;
        let version = answer["model_version"]
            .as_str()
            .and_then(|text| text.parse().ok());
        let prediction = answer["parameters"]["predictions"][0].as_str();
        let output = answer["outputs"][0]["data"]
            .as_array()
            .ok_or("no outputs[0].data")?;
        let output = output
            .iter()
            .map(|value| value.as_f64().map(|value| value as f32));
        Ok(Self {
            version: version.ok_or("no model_version")?,
            prediction: prediction.ok_or("no parameters.predictions[0]")?.to_owned(),
            output: output
                .collect::<Option<_>>()
                .ok_or("outputs[0].data has other than numbers")?,
        })
    }

    /// Index of the largest output.
    #[track_caller]
    pub fn class(&self) -> usize {
        let best = self
            .output
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1));
        best.expect("a classifier has outputs").0
    }
}
