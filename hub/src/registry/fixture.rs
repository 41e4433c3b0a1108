//! Small packages for tests: ONNX files written by hand, with golden samples and a reference.

use bytes::Bytes;
use prost::Message as _;
use tern_protocol::{
    codec,
    digest::Digest,
    manifest::{Golden, GoldenSample},
    profile::{FeatureReference, Reference},
    rest::NewVersion,
    tensor::{Dtype, Tensor, TensorSpec},
};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

use crate::blobs::Blobs;

/// A package before it is published.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) onnx: Vec<u8>,
    pub(crate) golden: Golden,
    pub(crate) reference: Reference,
    pub(crate) classes: Vec<String>,
}

/// A classifier of two features into `no` and `yes`: the softmax of the input times `scale`.
pub(crate) fn package(scale: f32) -> Package {
    let sample = |input: [f32; 2]| {
        let [a, b] = input.map(|value| (value * scale).exp());
        GoldenSample {
            inputs: vec![Tensor::from_f32(&[1, 2], &input)],
            outputs: vec![Tensor::from_f32(&[1, 2], &[a / (a + b), b / (a + b)])],
        }
    };
    let feature = |name: &str| FeatureReference {
        name: name.into(),
        edges: vec![0.0, 0.5, 1.0],
        counts: vec![5, 5],
        missing: 0,
        by_class: Vec::new(),
    };
    Package {
        onnx: classifier(&[scale, 0.0, 0.0, scale]),
        golden: Golden {
            tolerance: 1e-4,
            samples: vec![sample([0.1, 0.9]), sample([1.0, 0.5])],
        },
        reference: Reference {
            features: vec![feature("left"), feature("right")],
            classes: vec![5, 5],
            ..Reference::default()
        },
        classes: vec!["no".into(), "yes".into()],
    }
}

impl Package {
    /// Uploads the files; what to publish.
    pub(crate) async fn upload(&self, blobs: &Blobs) -> NewVersion {
        let put = async |bytes: Vec<u8>| -> Digest {
            blobs
                .put_bytes(Bytes::from(bytes))
                .await
                .expect("stores")
                .digest
        };
        put(self.onnx.clone()).await;
        put(codec::encode(&self.golden)).await;
        put(codec::encode(&self.reference)).await;
        self.facts()
    }

    /// The bytes of its files.
    pub(crate) fn parts(&self) -> [Vec<u8>; 3] {
        [
            self.onnx.clone(),
            codec::encode(&self.golden),
            codec::encode(&self.reference),
        ]
    }

    /// What to publish.
    pub(crate) fn facts(&self) -> NewVersion {
        NewVersion {
            onnx: Digest::of(&self.onnx),
            golden: Digest::of(&codec::encode(&self.golden)),
            reference: Some(Digest::of(&codec::encode(&self.reference))),
            inputs: vec![spec("image")],
            outputs: vec![spec("probabilities")],
            classes: self.classes.clone(),
            pre: Vec::new(),
            post: Vec::new(),
            min_agent: None,
            metrics: Vec::new(),
            note: "a test".into(),
            validation_accuracy: Some(0.9),
            dataset: None,
        }
    }
}

fn spec(name: &str) -> TensorSpec {
    TensorSpec {
        name: name.into(),
        dtype: Dtype::F32,
        shape: vec![-1, 2],
    }
}

/// Softmax of the input times a matrix of 2 × 2.
fn classifier(weights: &[f32; 4]) -> Vec<u8> {
    bytes(GraphProto {
        node: vec![
            node("MatMul", "multiply", &["image", "weights"], "scores"),
            node("Softmax", "normalise", &["scores"], "probabilities"),
        ],
        initializer: vec![TensorProto {
            name: "weights".into(),
            dims: vec![2, 2],
            data_type: DataType::Float as i32,
            float_data: weights.into(),
            ..TensorProto::default()
        }],
        input: vec![value("image")],
        output: vec![value("probabilities")],
        ..GraphProto::default()
    })
}

/// A model whose only node is of this kind.
pub(crate) fn single(op: &str) -> Vec<u8> {
    bytes(GraphProto {
        node: vec![node(op, "odd", &["image"], "probabilities")],
        input: vec![value("image")],
        output: vec![value("probabilities")],
        ..GraphProto::default()
    })
}

/// A model of a few hundred bytes that takes 8 × `times` bytes while it runs: it repeats its input
/// so often along a new dimension and takes the largest again.
pub(crate) fn hungry(times: i64) -> Vec<u8> {
    let repeats = TensorProto {
        name: "shape".into(),
        dims: vec![3],
        data_type: DataType::Int64 as i32,
        int64_data: vec![times, 1, 2],
        ..TensorProto::default()
    };
    let mut largest = node("ReduceMax", "largest", &["many"], "probabilities");
    let ints = |name: &str, ints: &[i64]| AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: ints.into(),
        ..AttributeProto::default()
    };
    largest.attribute.push(ints("axes", &[0]));
    let keep = AttributeProto {
        name: "keepdims".into(),
        r#type: AttributeType::Int as i32,
        i: 0,
        ..AttributeProto::default()
    };
    largest.attribute.push(keep);
    bytes(GraphProto {
        node: vec![node("Expand", "many", &["image", "shape"], "many"), largest],
        initializer: vec![repeats],
        input: vec![value("image")],
        output: vec![value("probabilities")],
        ..GraphProto::default()
    })
}

fn bytes(graph: GraphProto) -> Vec<u8> {
    let opset = OperatorSetIdProto {
        domain: String::new(),
        version: 13,
    };
    let model = ModelProto {
        ir_version: 8,
        opset_import: vec![opset],
        graph: Some(GraphProto {
            name: "test".into(),
            ..graph
        }),
        ..ModelProto::default()
    };
    model.encode_to_vec()
}

fn node(op: &str, name: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        name: name.into(),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

/// A tensor of floats with a batch and two elements.
fn value(name: &str) -> ValueInfoProto {
    let dims = [
        dimension::Value::DimParam("batch".into()),
        dimension::Value::DimValue(2),
    ];
    let dim = dims.map(|value| Dimension {
        value: Some(value),
        ..Dimension::default()
    });
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim: dim.into() }),
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

/// Uploads a model that was made elsewhere, without a reference; what to publish.
pub(crate) async fn facts_of(
    blobs: &Blobs,
    onnx: &[u8],
    golden: &Golden,
    (inputs, outputs): (Vec<TensorSpec>, Vec<TensorSpec>),
    classes: Vec<String>,
) -> NewVersion {
    let put = async |bytes: Vec<u8>| blobs.put_bytes(bytes.into()).await.expect("stores").digest;
    NewVersion {
        onnx: put(onnx.to_vec()).await,
        golden: put(codec::encode(golden)).await,
        reference: None,
        inputs,
        outputs,
        classes,
        pre: Vec::new(),
        post: Vec::new(),
        min_agent: None,
        metrics: Vec::new(),
        note: "a test".into(),
        validation_accuracy: None,
        dataset: None,
    }
}
