//! Writes ONNX files.
//!
//! Called by `package`, tests and benches. Must never break: tract and onnxruntime both load what
//! is written here and give the same answers (`tests/engines.rs`).
//!
//! Protobuf types are tract's own. Operator set 13 and IR version 8 (ONNX 1.10, 2021) are old
//! enough for every runtime in use and young enough for a stable softmax.

use prost::Message;
use tern_protocol::tensor::{Dtype, TensorSpec};
use tract_onnx::pb::{
    self, AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

use crate::{
    data::CLASSES,
    image::PIXELS,
    mlp::{INPUT_SCALE, Mlp},
};

/// The graph's input: grey values from 0 to 16.
pub const INPUT: &str = "image";

/// The graph's first and only output.
pub const OUTPUT: &str = "probabilities";

/// See the module's header.
const OPSET: i64 = 13;

/// See the module's header.
const IR_VERSION: i64 = 8;

/// The tensor whose length is the number of hidden units.
const HIDDEN_BIAS: &str = "hidden.bias";

/// Name of the batch dimension.
const BATCH: &str = "N";

/// Domain of the operators for classical models.
const ML: &str = "ai.onnx.ml";

/// Inputs of every model written here.
pub fn inputs() -> Vec<TensorSpec> {
    vec![spec(INPUT, PIXELS)]
}

/// Outputs of every model written here.
pub fn outputs() -> Vec<TensorSpec> {
    vec![spec(OUTPUT, CLASSES)]
}

fn spec(name: &str, len: usize) -> TensorSpec {
    TensorSpec {
        name: name.into(),
        dtype: Dtype::F32,
        shape: vec![-1, len as i64],
    }
}

/// The network as an ONNX file: Mul, Gemm, Relu, Gemm, Softmax.
pub fn write_mlp(mlp: &Mlp) -> Vec<u8> {
    let nodes = vec![
        node("Mul", &[INPUT, "scale"], "scaled"),
        node(
            "Gemm",
            &["scaled", "hidden.weight", "hidden.bias"],
            "hidden",
        ),
        node("Relu", &["hidden"], "active"),
        node("Gemm", &["active", "out.weight", "out.bias"], "logits"),
        with(node("Softmax", &["logits"], OUTPUT), "axis", 1),
    ];
    let weights = vec![
        tensor("scale", &[], &[INPUT_SCALE]),
        tensor("hidden.weight", &[PIXELS, mlp.hidden], &mlp.hidden_weights),
        tensor(HIDDEN_BIAS, &[mlp.hidden], &mlp.hidden_bias),
        tensor("out.weight", &[mlp.hidden, CLASSES], &mlp.out_weights),
        tensor("out.bias", &[CLASSES], &mlp.out_bias),
    ];
    model(nodes, weights)
}

/// The network in an ONNX file that [`write_mlp`] wrote.
pub fn read_mlp(file: &[u8]) -> Result<Mlp, ReadError> {
    let model = ModelProto::decode(file)?;
    let graph = model.graph.unwrap_or_default();
    let weights = |name: &'static str, shape: &[usize]| -> Result<Vec<f32>, ReadError> {
        let tensor = graph.initializer.iter().find(|tensor| tensor.name == name);
        let tensor = tensor.ok_or(ReadError::Missing(name))?;
        let len = shape.iter().product::<usize>();
        let dims = shape.iter().map(|dim| *dim as i64);
        if !tensor.dims.iter().copied().eq(dims) || tensor.raw_data.len() != 4 * len {
            return Err(ReadError::Shape(name));
        }
        let values = tensor.raw_data.chunks_exact(4);
        Ok(values
            .map(|value| f32::from_le_bytes(value.try_into().expect("chunks of four bytes")))
            .collect())
    };
    let bias = graph.initializer.iter().find(|t| t.name == HIDDEN_BIAS);
    let hidden = bias.ok_or(ReadError::Missing(HIDDEN_BIAS))?.raw_data.len() / 4;
    Ok(Mlp {
        hidden,
        hidden_weights: weights("hidden.weight", &[PIXELS, hidden])?,
        hidden_bias: weights(HIDDEN_BIAS, &[hidden])?,
        out_weights: weights("out.weight", &[hidden, CLASSES])?,
        out_bias: weights("out.bias", &[CLASSES])?,
    })
}

/// Why a file is not taken for the network.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is no ONNX.
    #[error("it is no ONNX file")]
    Decode(#[from] prost::DecodeError),
    /// It is another network.
    #[error("it has no tensor `{0}`; it is not a digit reader of this trainer")]
    Missing(&'static str),
    /// It is a network of another shape.
    #[error("its tensor `{0}` has another shape than a digit reader's")]
    Shape(&'static str),
}

/// A network with random weights, for tests and benches to which only its size matters: its file,
/// inputs and outputs. 20,000 hidden units are about 6 MB.
pub fn random_mlp(seed: u64, hidden: usize) -> (Vec<u8>, Vec<TensorSpec>, Vec<TensorSpec>) {
    (write_mlp(&Mlp::random(seed, hidden)), inputs(), outputs())
}

/// A well-formed model whose one node is an operator of this name: for operators that an engine
/// does not have, from a later ONNX or from nowhere. Those of classical models (`SVMClassifier`,
/// `Scaler`, `TreeEnsembleRegressor`, …) get their own domain.
pub fn unsupported(operator: &str) -> Vec<u8> {
    let classical = [
        "SVM",
        "Scaler",
        "TreeEnsemble",
        "Linear",
        "Imputer",
        "Normalizer",
    ];
    let mut node = node(operator, &[INPUT], OUTPUT);
    if classical.iter().any(|start| operator.starts_with(start)) {
        node.domain = ML.into();
    }
    model(vec![node], Vec::new())
}

fn model(nodes: Vec<NodeProto>, weights: Vec<TensorProto>) -> Vec<u8> {
    let opset = |domain: &str, version| OperatorSetIdProto {
        domain: domain.into(),
        version,
    };
    let mut opsets = vec![opset("", OPSET)];
    if nodes.iter().any(|node| node.domain == ML) {
        opsets.push(opset(ML, 3));
    }
    let model = ModelProto {
        ir_version: IR_VERSION,
        opset_import: opsets,
        producer_name: "tern-models".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(GraphProto {
            name: "tern".into(),
            node: nodes,
            initializer: weights,
            input: vec![value(INPUT, PIXELS)],
            output: vec![value(OUTPUT, CLASSES)],
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    };
    model.encode_to_vec()
}

/// A node with the name of its output, so that an engine's complaint points to one place.
fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: operator.into(),
        name: output.into(),
        input: inputs.iter().map(|name| (*name).into()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

fn with(mut node: NodeProto, attribute: &str, value: i64) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: attribute.into(),
        r#type: AttributeType::Int.into(),
        i: value,
        ..AttributeProto::default()
    });
    node
}

fn tensor(name: &str, shape: &[usize], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: shape.iter().map(|dim| *dim as i64).collect(),
        data_type: DataType::Float.into(),
        raw_data: values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        ..TensorProto::default()
    }
}

/// An input or output of the graph: f32, [N, len].
fn value(name: &str, len: usize) -> ValueInfoProto {
    let dimension = |value| Dimension {
        value: Some(value),
        ..Dimension::default()
    };
    let shape = TensorShapeProto {
        dim: vec![
            dimension(dimension::Value::DimParam(BATCH.into())),
            dimension(dimension::Value::DimValue(len as i64)),
        ],
    };
    let tensor = type_proto::Tensor {
        elem_type: pb::tensor_proto::DataType::Float.into(),
        shape: Some(shape),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}
