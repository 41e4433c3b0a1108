//! The Open Inference Protocol, version 2, with JSON tensors: what comes and what goes.
//!
//! Called by all inputs: HTTP, watched directories and standard input speak the same. See
//! <https://github.com/open-inference/open-inference-protocol>.

use serde::{Deserialize, Serialize};
use tern_protocol::tensor::{Dtype, Tensor, TensorSpec};

use super::{
    numbers::{Numbers, Values},
    predict::{Answer, PredictError, Predictor},
};
use crate::{
    capture::Wishes,
    engine::Interface,
    slots::{Loaded, Slot},
};

/// An infer request.
#[derive(Debug, Deserialize)]
struct Request {
    id: Option<String>,
    inputs: Vec<RequestTensor>,
    #[serde(default)]
    outputs: Vec<RequestedOutput>,
    #[serde(default)]
    parameters: RequestParameters,
}

/// Parameters of ours; those of other servers are not ours to refuse.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestParameters {
    /// Whether the input is to be kept.
    tern_capture: bool,
    /// Whose input it is: hashed here, and written nowhere.
    tern_subject: Option<String>,
}

#[derive(Debug, Deserialize)]
struct RequestTensor {
    name: String,
    shape: Vec<u32>,
    datatype: String,
    data: Numbers,
}

#[derive(Debug, Deserialize)]
struct RequestedOutput {
    name: String,
}

#[derive(Debug, Serialize)]
struct Response<'a> {
    model_name: &'a str,
    model_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    parameters: Parameters,
    outputs: Vec<ResponseTensor<'a>>,
}

#[derive(Debug, Serialize)]
struct Parameters {
    /// One id a row: what feedback names.
    predictions: Vec<String>,
    version: String,
}

#[derive(Debug, Serialize)]
struct ResponseTensor<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: &'a [u32],
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Labels<'a>>,
    data: Values<'a>,
}

/// What the step `labels` adds to an output.
#[derive(Debug, Serialize)]
struct Labels<'a> {
    /// The name of the class of each element, in their order.
    labels: Vec<&'a str>,
}

/// Facts about a model.
#[derive(Debug, Serialize)]
pub struct Metadata<'a> {
    name: &'a str,
    versions: [String; 1],
    platform: &'static str,
    inputs: Vec<TensorMetadata<'a>>,
    outputs: Vec<TensorMetadata<'a>>,
}

#[derive(Debug, Serialize)]
struct TensorMetadata<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: &'a [i64],
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// Not JSON of an infer request.
    #[error("not an infer request: {0}")]
    Json(#[from] serde_json::Error),
    /// An input or output that the model does not have, or one too few.
    #[error("{0}")]
    Tensor(String),
    /// The model gave none.
    #[error(transparent)]
    Predict(#[from] PredictError),
}

impl InferError {
    /// Whether the request is to blame.
    pub fn is_callers(&self) -> bool {
        match self {
            Self::Json(_) | Self::Tensor(_) | Self::Predict(PredictError::Request(_)) => true,
            Self::Predict(_) => false,
        }
    }
}

/// Answers one infer request; gives the response's JSON. `wishes` are those that came beside it; what the request says
/// itself is added.
pub async fn infer(
    predictor: &Predictor,
    slot: &Slot,
    body: &[u8],
    wishes: Wishes,
) -> Result<Vec<u8>, InferError> {
    let watch = predictor.clock().stopwatch();
    let request: Request = serde_json::from_slice(body)?;
    let empty = || PredictError::Empty(slot.name().to_string());
    let loaded = slot.serving().ok_or_else(empty)?;
    let chosen = outputs(&loaded, &request.outputs)?;
    let inputs = inputs(&loaded, request.inputs)?;
    let RequestParameters {
        tern_capture,
        tern_subject,
    } = request.parameters;
    let named = tern_subject.map(|name| predictor.captures().subject(&name));
    let wishes = Wishes {
        capture: wishes.capture || tern_capture,
        subject: wishes.subject.or(named),
    };
    let answer = predictor
        .predict(slot, loaded, inputs, wishes, watch)
        .await?;
    let watch = predictor.clock().stopwatch();
    let response = respond(slot, &answer, request.id, &chosen);
    answer.sent(watch.micros());
    Ok(response)
}

/// The request's tensors in the graph's order.
fn inputs(loaded: &Loaded, mut given: Vec<RequestTensor>) -> Result<Vec<Tensor>, InferError> {
    let mut tensors = Vec::with_capacity(given.len());
    for spec in loaded.model.inputs() {
        let found = given.iter().position(|tensor| tensor.name == spec.name);
        let missing = || InferError::Tensor(format!("the input `{}` is missing", spec.name));
        let tensor = given.swap_remove(found.ok_or_else(missing)?);
        tensors.push(self::tensor(tensor)?);
    }
    match given.first() {
        None => Ok(tensors),
        Some(extra) => Err(InferError::Tensor(format!(
            "the model has no input `{}`, or it came twice",
            shown(&extra.name)
        ))),
    }
}

fn tensor(given: RequestTensor) -> Result<Tensor, InferError> {
    let name = shown(&given.name);
    let dtype = dtype(&given.datatype).ok_or_else(|| {
        let datatype = shown(&given.datatype);
        let known = "FP32, FP64, INT32, INT64 and UINT8 are known";
        InferError::Tensor(format!("the input `{name}` is {datatype}; {known}"))
    })?;
    let elements = given
        .shape
        .iter()
        .try_fold(1usize, |n, dim| n.checked_mul(*dim as usize));
    if elements != Some(given.data.len()) {
        return Err(InferError::Tensor(format!(
            "the input `{name}` has {} values, its shape {:?} asks for another number",
            given.data.len(),
            given.shape
        )));
    }
    let data = given.data.into_bytes(dtype);
    let unfit = || InferError::Tensor(format!("a value of the input `{name}` is no {dtype}"));
    Ok(Tensor {
        dtype,
        shape: given.shape,
        data: data.ok_or_else(unfit)?,
    })
}

/// Which outputs are asked for, by their place; all unless the request names some.
fn outputs(loaded: &Loaded, wanted: &[RequestedOutput]) -> Result<Vec<usize>, InferError> {
    if wanted.is_empty() {
        return Ok((0..loaded.model.outputs().len()).collect());
    }
    let places = wanted.iter().map(|wanted| {
        let place = loaded
            .model
            .outputs()
            .position(|spec| spec.name == wanted.name);
        let unknown = || {
            let name = shown(&wanted.name);
            InferError::Tensor(format!("the model has no output `{name}`"))
        };
        place.ok_or_else(unknown)
    });
    places.collect()
}

fn respond(slot: &Slot, answer: &Answer, id: Option<String>, chosen: &[usize]) -> Vec<u8> {
    let version = answer.loaded.kept.version.version.to_string();
    let specs: Vec<_> = answer.loaded.model.outputs().collect();
    let outputs = chosen.iter().map(|place| {
        let tensor = &answer.outputs[*place];
        ResponseTensor {
            name: &specs[*place].name,
            datatype: datatype(tensor.dtype),
            shape: &tensor.shape,
            parameters: labels(&answer.loaded, specs[*place], tensor),
            data: Values(tensor),
        }
    });
    let response = Response {
        model_name: slot.name().as_str(),
        model_version: version.clone(),
        id,
        parameters: Parameters {
            predictions: answer.predictions.iter().map(ToString::to_string).collect(),
            version,
        },
        outputs: outputs.collect(),
    };
    serde_json::to_vec(&response).expect("strings and numbers are JSON")
}

/// Names of the classes that an output holds, if its steps end with `labels`.
fn labels<'a>(loaded: &'a Loaded, spec: &TensorSpec, tensor: &Tensor) -> Option<Labels<'a>> {
    if !Interface::names_classes(&loaded.manifest.post, &spec.name) {
        return None;
    }
    let classes = &loaded.manifest.classes;
    // Indices of at most 1,024 classes: a float holds them exactly.
    let indices = tensor.to_f32()?;
    let name = |index: &f32| classes.get(*index as usize).map_or("", String::as_str);
    Some(Labels {
        labels: indices.iter().map(name).collect(),
    })
}

/// Facts about what a slot serves.
pub fn metadata<'a>(slot: &'a Slot, loaded: &'a Loaded) -> Metadata<'a> {
    let facts = |spec: &'a TensorSpec| TensorMetadata {
        name: &spec.name,
        datatype: datatype(spec.dtype),
        shape: &spec.shape,
    };
    Metadata {
        name: slot.name().as_str(),
        versions: [loaded.kept.version.version.to_string()],
        platform: "onnx_tract",
        inputs: loaded.model.inputs().map(facts).collect(),
        outputs: loaded.model.outputs().map(facts).collect(),
    }
}

fn datatype(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "FP32",
        Dtype::F64 => "FP64",
        Dtype::I32 => "INT32",
        Dtype::I64 => "INT64",
        Dtype::U8 => "UINT8",
    }
}

fn dtype(datatype: &str) -> Option<Dtype> {
    let all = [Dtype::F32, Dtype::F64, Dtype::I32, Dtype::I64, Dtype::U8];
    all.into_iter()
        .find(|dtype| self::datatype(*dtype) == datatype)
}

/// What an error shows of a name from outside.
fn shown(name: &str) -> String {
    name.chars().take(80).collect()
}
