//! What an ONNX file says of itself, and inputs to try it with: a model that comes by MLflow brings no more than its
//! file, and perhaps an example. Pure.

use prost::Message as _;
use serde_json::Value;
use tern_protocol::{
    manifest::{Golden, GoldenSample},
    tensor::{Dtype, Tensor, TensorSpec},
};
use tract_onnx::pb::{
    ModelProto, ValueInfoProto, tensor_proto::DataType, tensor_shape_proto::dimension, type_proto,
};

/// Samples to try a model with, at most.
const SAMPLES: usize = 8;

/// Elements of all samples, at most: golden samples travel to each device.
const ELEMENTS: usize = 1 << 20;

/// Why a file is no model that devices could run. Text for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unfit(String);

/// Inputs and outputs of a graph.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Interface {
    pub(super) inputs: Vec<TensorSpec>,
    pub(super) outputs: Vec<TensorSpec>,
}

/// Reads them from a file.
pub(super) fn interface(onnx: &[u8]) -> Result<Interface, Unfit> {
    let model = ModelProto::decode(onnx);
    let model = model.map_err(|err| Unfit(format!("it is no ONNX file: {err}")))?;
    let graph = model.graph.ok_or_else(|| Unfit("it has no graph".into()))?;
    let given = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
    let inputs = graph.input.iter().filter(|input| !given(&input.name));
    let inputs: Result<_, _> = inputs.map(|of| spec("input", of)).collect();
    let outputs: Result<_, _> = graph.output.iter().map(|of| spec("output", of)).collect();
    Ok(Interface {
        inputs: inputs?,
        outputs: outputs?,
    })
}

fn spec(what: &str, of: &ValueInfoProto) -> Result<TensorSpec, Unfit> {
    let name = of.name.chars().take(80).collect::<String>();
    let unfit = |why: String| Unfit(format!("{what} `{name}` {why}"));
    let value = of.r#type.as_ref().and_then(|of| of.value.as_ref());
    let Some(type_proto::Value::TensorType(tensor)) = value else {
        // Classifiers of scikit-learn say probabilities as a list of dictionaries unless told otherwise.
        return Err(unfit(
            "is no tensor; convert scikit-learn models with `options={'zipmap': False}`".into(),
        ));
    };
    let dtype = match DataType::try_from(tensor.elem_type) {
        Ok(DataType::Float) => Dtype::F32,
        Ok(DataType::Double) => Dtype::F64,
        Ok(DataType::Int32) => Dtype::I32,
        Ok(DataType::Int64) => Dtype::I64,
        Ok(DataType::Uint8) => Dtype::U8,
        other => {
            return Err(unfit(format!(
                "has elements of type {other:?}; devices take f32, f64, i32, i64 and u8"
            )));
        }
    };
    let Some(shape) = &tensor.shape else {
        return Err(unfit("has no shape; export the model with one".into()));
    };
    let mut dims = Vec::with_capacity(shape.dim.len());
    for (i, dim) in shape.dim.iter().enumerate() {
        match dim.value {
            Some(dimension::Value::DimValue(value)) if value > 0 => dims.push(value),
            _ if i == 0 => dims.push(-1),
            _ => {
                return Err(unfit(format!(
                    "has no fixed dimension {i}; only the first may vary, the batch"
                )));
            }
        }
    }
    Ok(TensorSpec {
        name: of.name.clone(),
        dtype,
        shape: dims,
    })
}

/// Inputs for a model, without outputs: the rows of an example, or such that were made up.
pub(super) fn samples(inputs: &[TensorSpec], example: Option<&Value>) -> Result<Golden, Unfit> {
    let lens: Option<Vec<usize>> = inputs.iter().map(TensorSpec::sample_len).collect();
    let lens = lens.ok_or_else(|| Unfit("its inputs have impossible shapes".into()))?;
    let all: usize = lens.iter().fold(0, |sum, len| sum.saturating_add(*len));
    if all > ELEMENTS {
        return Err(Unfit(format!(
            "one sample of its inputs has {all} elements, at most {ELEMENTS} are taken"
        )));
    }
    let most = (ELEMENTS / all.max(1)).clamp(1, SAMPLES);
    let given = example.and_then(|example| rows(inputs, &lens, example, most));
    let of_example = given.filter(|samples| !samples.is_empty());
    let samples = of_example.unwrap_or_else(|| made_up(inputs, &lens, most.min(4)));
    Ok(Golden {
        tolerance: 0.0,
        samples,
    })
}

/// The rows of an example as MLflow keeps it for serving: `inputs` is a list for one input or a dictionary by name,
/// `dataframe_split` has rows of columns.
fn rows(
    inputs: &[TensorSpec],
    lens: &[usize],
    example: &Value,
    most: usize,
) -> Option<Vec<GoldenSample>> {
    let columns: Vec<Vec<f64>> = match (example.get("inputs"), inputs) {
        (Some(Value::Object(by_name)), _) => {
            let of = |spec: &TensorSpec| Some(flat(by_name.get(&spec.name)?));
            inputs.iter().map(of).collect::<Option<_>>()?
        }
        (Some(list), [_]) => vec![flat(list)],
        (None, [_]) => vec![flat(example.get("dataframe_split")?.get("data")?)],
        _ => return None,
    };
    let count = columns.iter().zip(lens).map(|(all, len)| all.len() / len);
    let count = count.min()?.min(most);
    let whole = columns
        .iter()
        .zip(lens)
        .all(|(all, len)| all.len() % len == 0);
    if !whole || columns.iter().flatten().any(|value| !value.is_finite()) {
        return None;
    }
    let sample = |row: usize| GoldenSample {
        inputs: inputs
            .iter()
            .zip(columns.iter().zip(lens))
            .map(|(spec, (all, len))| tensor(spec, &all[row * len..(row + 1) * len]))
            .collect(),
        outputs: Vec::new(),
    };
    Some((0..count).map(sample).collect())
}

/// All numbers of nested lists; what is none is not a number.
fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        Value::Bool(value) => vec![f64::from(u8::from(*value))],
        value => vec![value.as_f64().unwrap_or(f64::NAN)],
    }
}

/// The same for the same interface: nothing, ones, a ramp, and what looks like noise.
fn made_up(inputs: &[TensorSpec], lens: &[usize], count: usize) -> Vec<GoldenSample> {
    let value = |sample: usize, i: usize, len: usize| match sample {
        0 => 0.0,
        1 => 1.0,
        2 => i as f64 / len.max(2) as f64,
        _ => {
            // A step of a linear congruential generator for each element.
            let mixed = (i as u64 + 1).wrapping_mul(6_364_136_223_846_793_005);
            ((mixed >> 33) % 1_000) as f64 / 1_000.0
        }
    };
    let sample = |sample: usize| GoldenSample {
        inputs: inputs
            .iter()
            .zip(lens)
            .map(|(spec, len)| {
                let values: Vec<f64> = (0..*len).map(|i| value(sample, i, *len)).collect();
                tensor(spec, &values)
            })
            .collect(),
        outputs: Vec::new(),
    };
    (0..count).map(sample).collect()
}

/// A batch of one.
fn tensor(spec: &TensorSpec, values: &[f64]) -> Tensor {
    let dims = spec.shape.iter().map(|dim| match dim {
        -1 => 1,
        dim => u32::try_from(*dim).unwrap_or(u32::MAX),
    });
    let data = values.iter().flat_map(|value| match spec.dtype {
        Dtype::F32 => (*value as f32).to_le_bytes().to_vec(),
        Dtype::F64 => value.to_le_bytes().to_vec(),
        Dtype::I32 => (*value as i32).to_le_bytes().to_vec(),
        Dtype::I64 => (*value as i64).to_le_bytes().to_vec(),
        Dtype::U8 => vec![*value as u8],
    });
    Tensor {
        dtype: spec.dtype,
        shape: dims.collect(),
        data: data.collect(),
    }
}

/// By how much a device may differ: rounding, of numbers of this size.
pub(super) fn tolerance(golden: &Golden) -> f32 {
    let outputs = golden.samples.iter().flat_map(|sample| &sample.outputs);
    let values = outputs.filter_map(Tensor::to_f32).flatten();
    let largest = values
        .filter(|value| value.is_finite())
        .fold(1.0_f32, |most, value| most.max(value.abs()));
    largest * 1e-3
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::fixture;

    #[test]
    fn a_graph_says_its_interface() {
        let package = fixture::package(2.0);
        let read = interface(&package.onnx).expect("a model");
        let shape = |spec: &TensorSpec| (spec.name.clone(), spec.dtype, spec.shape.clone());
        assert_eq!(read.inputs.len(), 1, "weights are no inputs");
        assert_eq!(
            shape(&read.inputs[0]),
            ("image".into(), Dtype::F32, vec![-1, 2])
        );
        assert_eq!(read.outputs[0].name, "probabilities");
        assert!(interface(b"not a model").is_err());
    }

    #[test]
    fn an_example_is_taken_row_by_row() {
        let spec = TensorSpec {
            name: "x".into(),
            dtype: Dtype::F32,
            shape: vec![-1, 2],
        };
        let inputs = [spec];
        let first = |example: Value| {
            let golden = samples(&inputs, Some(&example)).expect("samples");
            (
                golden.samples.len(),
                golden.samples[0].inputs[0].to_f32().expect("whole"),
            )
        };
        let rows = json!([[1.5, 2.0], [3.0, 4.0]]);
        let expected = (2, vec![1.5, 2.0]);
        assert_eq!(first(json!({ "inputs": rows })), expected);
        assert_eq!(first(json!({ "inputs": { "x": rows } })), expected);
        let split = json!({ "dataframe_split": { "columns": ["a", "b"], "data": rows } });
        assert_eq!(first(split), expected);
        // What does not fit is made up.
        let made = (4, vec![0.0, 0.0]);
        for odd in [
            json!({}),
            json!({ "inputs": [1, 2, 3] }),
            json!({ "inputs": [[1, "a"]] }),
        ] {
            assert_eq!(first(odd), made);
        }
    }
}
