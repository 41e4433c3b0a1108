//! Small ONNX models for tests, written by hand.

use prost::Message as _;
use tern_protocol::tensor::{Dtype, TensorSpec};
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

/// A classifier: softmax of the input times a matrix. Its input has `weights.len() / classes`
/// elements.
pub fn classifier(weights: &[f32], classes: usize) -> Vec<u8> {
    let features = (weights.len() / classes) as i64;
    let graph = GraphProto {
        name: "classifier".into(),
        node: vec![
            node("MatMul", "multiply", &["image", "weights"], "scores"),
            node("Softmax", "normalise", &["scores"], "probabilities"),
        ],
        initializer: vec![TensorProto {
            name: "weights".into(),
            dims: vec![features, classes as i64],
            data_type: DataType::Float as i32,
            float_data: weights.into(),
            ..TensorProto::default()
        }],
        input: vec![value("image", &[None, Some(features)])],
        output: vec![value("probabilities", &[None, Some(classes as i64)])],
        ..GraphProto::default()
    };
    bytes(graph)
}

/// What [`classifier`] takes and gives.
pub fn specs(features: i64, classes: i64) -> (Vec<TensorSpec>, Vec<TensorSpec>) {
    let spec = |name: &str, len| TensorSpec {
        name: name.into(),
        dtype: Dtype::F32,
        shape: vec![-1, len],
    };
    (
        vec![spec("image", features)],
        vec![spec("probabilities", classes)],
    )
}

/// The file of a graph.
pub fn bytes(graph: GraphProto) -> Vec<u8> {
    let model = ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: 13,
        }],
        graph: Some(graph),
        ..ModelProto::default()
    };
    model.encode_to_vec()
}

/// A node with one output.
pub fn node(op: &str, name: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        name: name.into(),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

/// An input or output; `None` is the batch.
pub fn value(name: &str, dims: &[Option<i64>]) -> ValueInfoProto {
    let dim = dims.iter().map(|dim| Dimension {
        value: Some(match dim {
            Some(dim) => dimension::Value::DimValue(*dim),
            None => dimension::Value::DimParam("batch".into()),
        }),
        ..Dimension::default()
    });
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim: dim.collect() }),
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
