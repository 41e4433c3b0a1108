//! Weights of an ONNX file in fewer bits. Pure.
//!
//! The graph computes what it did: each weight that is stored smaller gets a node before all others that
//! makes it what it was, under its old name, so nothing else in the graph changes.

use std::collections::{BTreeMap, BTreeSet};

use half::f16;
use prost::Message as _;
use tern_protocol::rest::Transcoding;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto,
    attribute_proto::AttributeType,
    tensor_proto::{DataLocation, DataType},
};

/// Fewer elements than this stay as they are: biases and scales, which cost little and matter much.
const SMALL: usize = 256;

/// The operator set in which `DequantizeLinear` has one scale a channel.
const CHANNELS_SINCE: i64 = 13;

/// The largest magnitude of an eight-bit weight: the same on both sides of zero.
const INT8_MAX: f32 = 127.0;

/// What came out.
pub(super) struct Made {
    /// The file.
    pub(super) onnx: Vec<u8>,
    /// Tensors that are stored smaller.
    pub(super) tensors: u64,
}

/// Why nothing came out.
#[derive(Debug, thiserror::Error)]
pub(super) enum GraphError {
    /// It is no ONNX.
    #[error("it is no ONNX file: {0}")]
    Decode(#[from] prost::DecodeError),
    /// It is older than what is needed.
    #[error("it uses operator set {0}; scales for each channel need {CHANNELS_SINCE}")]
    Opset(i64),
    /// Nothing in it can be stored smaller.
    #[error("it has no f32 weights of at least {SMALL} elements that can be stored as {0}")]
    Nothing(Transcoding),
}

impl GraphError {
    /// What its publisher can do.
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Decode(_) => "publish the model again",
            Self::Opset(_) => {
                "export the model with operator set 13 or newer, or transcode to fp16"
            }
            Self::Nothing(_) => "keep the version as it is; it is small already, or quantised",
        }
    }
}

/// The file with its weights stored so.
pub(super) fn transcode(onnx: &[u8], to: Transcoding) -> Result<Made, GraphError> {
    let mut model = ModelProto::decode(onnx)?;
    let opset = model.opset_import.iter().find(|set| set.domain.is_empty());
    let opset = opset.map_or(1, |set| set.version);
    if to == Transcoding::Int8 && opset < CHANNELS_SINCE {
        return Err(GraphError::Opset(opset));
    }
    let mut graph = model.graph.take().unwrap_or_default();
    let interface: BTreeSet<String> = graph
        .input
        .iter()
        .chain(&graph.output)
        .map(|value| value.name.clone())
        .collect();
    let channels = channels(&graph);
    let mut names: BTreeSet<String> = graph.initializer.iter().map(|t| t.name.clone()).collect();
    for node in &graph.node {
        names.extend(node.output.iter().cloned());
    }
    let (mut weights, mut before, mut tensors) = (Vec::new(), Vec::new(), 0);
    for tensor in std::mem::take(&mut graph.initializer) {
        let values = values(&tensor).filter(|_| !interface.contains(&tensor.name));
        let smaller = values.and_then(|values| match to {
            Transcoding::Fp16 => halves(&tensor, &values, &mut names),
            Transcoding::Int8 => {
                let axis = *channels.get(&tensor.name)?;
                quantised(&tensor, &values, axis?, &mut names)
            }
        });
        match smaller {
            Some((stored, node)) => {
                weights.extend(stored);
                before.push(node);
                tensors += 1;
            }
            None => weights.push(tensor),
        }
    }
    if tensors == 0 {
        return Err(GraphError::Nothing(to));
    }
    before.append(&mut graph.node);
    graph.node = before;
    graph.initializer = weights;
    model.graph = Some(graph);
    Ok(Made {
        onnx: model.encode_to_vec(),
        tensors,
    })
}

/// The values of a tensor that is worth it: f32, finite, large enough.
fn values(tensor: &TensorProto) -> Option<Vec<f32>> {
    let inside = tensor.data_location != Some(DataLocation::External as i32);
    if tensor.data_type != DataType::Float as i32 || !inside {
        return None;
    }
    let values: Vec<f32> = if tensor.raw_data.is_empty() {
        tensor.float_data.clone()
    } else {
        let chunks = tensor.raw_data.chunks_exact(4);
        chunks
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect()
    };
    let declared = tensor.dims.iter().try_fold(1_usize, |len, dim| {
        usize::try_from(*dim)
            .ok()
            .and_then(|dim| len.checked_mul(dim))
    });
    let whole = declared == Some(values.len()) && values.len() >= SMALL;
    (whole && values.iter().all(|value| value.is_finite())).then_some(values)
}

/// A name that nothing has yet.
fn fresh(tensor: &str, suffix: &str, names: &mut BTreeSet<String>) -> String {
    let mut name = format!("{tensor}.{suffix}");
    while !names.insert(name.clone()) {
        name.push('_');
    }
    name
}

fn halves(
    tensor: &TensorProto,
    values: &[f32],
    names: &mut BTreeSet<String>,
) -> Option<(Vec<TensorProto>, NodeProto)> {
    let halves: Vec<f16> = values.iter().map(|value| f16::from_f32(*value)).collect();
    if !halves.iter().all(|half| half.is_finite()) {
        return None;
    }
    let stored = TensorProto {
        name: fresh(&tensor.name, "fp16", names),
        dims: tensor.dims.clone(),
        data_type: DataType::Float16.into(),
        raw_data: halves.iter().flat_map(|half| half.to_le_bytes()).collect(),
        ..TensorProto::default()
    };
    let cast = NodeProto {
        op_type: "Cast".into(),
        name: fresh(&tensor.name, "to_f32", names),
        input: vec![stored.name.clone()],
        output: vec![tensor.name.clone()],
        attribute: vec![integer("to", DataType::Float as i64)],
        ..NodeProto::default()
    };
    Some((vec![stored], cast))
}

fn quantised(
    tensor: &TensorProto,
    values: &[f32],
    axis: usize,
    names: &mut BTreeSet<String>,
) -> Option<(Vec<TensorProto>, NodeProto)> {
    let channels = usize::try_from(*tensor.dims.get(axis)?).ok()?;
    // Elements between two of neighbouring channels.
    let inner: usize = tensor.dims[axis + 1..]
        .iter()
        .map(|dim| *dim as usize)
        .product();
    let channel = |index: usize| index / inner % channels;
    let mut largest = vec![0_f32; channels];
    for (index, value) in values.iter().enumerate() {
        let largest = &mut largest[channel(index)];
        *largest = largest.max(value.abs());
    }
    let scale = |largest: &f32| match *largest / INT8_MAX {
        scale if scale.is_normal() => scale,
        // A channel of zeros, or as good as.
        _ => 1.0,
    };
    let scales: Vec<f32> = largest.iter().map(scale).collect();
    let bytes = values.iter().enumerate().map(|(index, value)| {
        let steps = (value / scales[channel(index)]).round();
        (steps.clamp(-INT8_MAX, INT8_MAX) as i8) as u8
    });
    let stored = TensorProto {
        name: fresh(&tensor.name, "int8", names),
        dims: tensor.dims.clone(),
        data_type: DataType::Int8.into(),
        raw_data: bytes.collect(),
        ..TensorProto::default()
    };
    let scale = TensorProto {
        name: fresh(&tensor.name, "scale", names),
        dims: vec![channels as i64],
        data_type: DataType::Float.into(),
        raw_data: scales
            .iter()
            .flat_map(|scale| scale.to_le_bytes())
            .collect(),
        ..TensorProto::default()
    };
    let node = NodeProto {
        op_type: "DequantizeLinear".into(),
        name: fresh(&tensor.name, "to_f32", names),
        input: vec![stored.name.clone(), scale.name.clone()],
        output: vec![tensor.name.clone()],
        attribute: vec![integer("axis", axis as i64)],
        ..NodeProto::default()
    };
    Some((vec![stored, scale], node))
}

/// Which dimension of each weight counts the channels of what it computes; `None` for one that is used
/// in two ways that disagree.
fn channels(graph: &GraphProto) -> BTreeMap<String, Option<usize>> {
    let rank = |name: &str| {
        let tensor = graph.initializer.iter().find(|tensor| tensor.name == name);
        tensor.map_or(0, |tensor| tensor.dims.len())
    };
    let mut found: BTreeMap<String, Option<usize>> = BTreeMap::new();
    for node in &graph.node {
        for (place, input) in node.input.iter().enumerate() {
            let transposed = node
                .attribute
                .iter()
                .any(|a| a.name == "transB" && a.i != 0);
            let axis = match (node.op_type.as_str(), place) {
                ("Conv", 1) => Some(0),
                ("Gemm", 1) => Some(usize::from(!transposed)),
                ("MatMul", 1) if rank(input) >= 2 => Some(rank(input) - 1),
                _ => None,
            };
            let known = found.entry(input.clone()).or_insert(axis);
            if *known != axis {
                *known = None;
            }
        }
    }
    found
}

fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int.into(),
        i: value,
        ..AttributeProto::default()
    }
}

#[cfg(test)]
mod tests {
    use tern_models::onnx::random_mlp;

    use super::*;

    fn weights(onnx: &[u8]) -> BTreeMap<String, (i32, usize)> {
        let graph = ModelProto::decode(onnx).expect("ONNX").graph;
        let tensors = graph.expect("a graph").initializer.into_iter();
        let fact = |t: TensorProto| (t.name, (t.data_type, t.raw_data.len()));
        tensors.map(fact).collect()
    }

    #[test]
    fn large_weights_are_stored_smaller_and_small_ones_are_not_touched() {
        let (onnx, ..) = random_mlp(1, 96);
        for (to, bytes) in [(Transcoding::Fp16, 2), (Transcoding::Int8, 1)] {
            let made = transcode(&onnx, to).expect("it is transcoded");
            assert_eq!(made.tensors, 2);
            let weights = weights(&made.onnx);
            let name = |of: &str| format!("{of}.{to}");
            assert_eq!(weights[&name("hidden.weight")].1, 64 * 96 * bytes);
            assert_eq!(weights[&name("out.weight")].1, 96 * 10 * bytes);
            assert_eq!(weights["hidden.bias"], (1, 96 * 4));
            assert!(!weights.contains_key("hidden.weight"));
            let again = transcode(&made.onnx, to);
            assert!(matches!(again, Err(GraphError::Nothing(_))));
        }
    }

    #[test]
    fn each_channel_has_its_own_scale() {
        // Two channels side by side, one a hundred times the other.
        let values: Vec<f32> = (0..512)
            .map(|i| (i as f32 - 256.0) * if i % 2 == 0 { 1.0 } else { 0.01 })
            .collect();
        let tensor = TensorProto {
            name: "w".into(),
            dims: vec![256, 2],
            data_type: DataType::Float.into(),
            float_data: values.clone(),
            ..TensorProto::default()
        };
        let read = self::values(&tensor).expect("it is worth it");
        let (stored, _) = quantised(&tensor, &read, 1, &mut BTreeSet::new()).expect("it is made");
        let scales: Vec<f32> = stored[1]
            .raw_data
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().expect("four")))
            .collect();
        for (index, (byte, value)) in stored[0].raw_data.iter().zip(&values).enumerate() {
            let back = f32::from(byte.cast_signed()) * scales[index % 2];
            assert!((back - value).abs() <= scales[index % 2] / 2.0 + 1e-6);
        }
    }

    #[test]
    fn what_cannot_be_transcoded_says_why() {
        assert!(matches!(
            transcode(b"\xff", Transcoding::Fp16),
            Err(GraphError::Decode(_))
        ));
        let (onnx, ..) = random_mlp(1, 96);
        let mut model = ModelProto::decode(&onnx[..]).expect("ONNX");
        model.opset_import[0].version = 11;
        let old = model.encode_to_vec();
        assert!(matches!(
            transcode(&old, Transcoding::Int8),
            Err(GraphError::Opset(11))
        ));
        assert!(transcode(&old, Transcoding::Fp16).is_ok());
        let mut huge = ModelProto::decode(&onnx[..]).expect("ONNX");
        let graph = huge.graph.as_mut().expect("a graph");
        for tensor in &mut graph.initializer {
            for value in tensor.raw_data.chunks_exact_mut(4) {
                value.copy_from_slice(&1e6_f32.to_le_bytes());
            }
        }
        assert!(matches!(
            transcode(&huge.encode_to_vec(), Transcoding::Fp16),
            Err(GraphError::Nothing(_))
        ));
    }
}
