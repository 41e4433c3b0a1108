//! ONNX files whose weights lie in files beside them, as MLflow saves them unless told otherwise: made one file, which is
//! what devices take. Pure.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message as _;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, tensor_proto::DataLocation};

/// Files that one model's weights lie in, at most.
const FILES: usize = 1_000;

/// Graphs within graphs, at most.
const DEPTH: usize = 16;

/// Why a file cannot be made one. Text for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Broken(String);

fn broken<T>(why: impl Into<String>) -> Result<T, Broken> {
    Err(Broken(why.into()))
}

/// Every tensor of a graph that holds weights.
fn each(
    graph: &mut GraphProto,
    depth: usize,
    see: &mut dyn FnMut(&mut TensorProto) -> Result<(), Broken>,
) -> Result<(), Broken> {
    if depth > DEPTH {
        return broken(format!("more than {DEPTH} graphs lie in each other"));
    }
    for tensor in &mut graph.initializer {
        see(tensor)?;
    }
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        let tensors = attribute.t.iter_mut().chain(&mut attribute.tensors);
        for tensor in tensors {
            see(tensor)?;
        }
        for inner in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            each(inner, depth + 1, see)?;
        }
    }
    Ok(())
}

fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location == Some(DataLocation::External as i32)
}

fn entry<'a>(tensor: &'a TensorProto, key: &str) -> Option<&'a str> {
    let mut entries = tensor.external_data.iter();
    entries
        .find(|entry| entry.key == key)
        .map(|entry| entry.value.as_str())
}

/// The files beside a model in which its weights lie; none of one that is whole. What is no model has none either:
/// whoever reads it next says so.
pub(super) fn files(onnx: &[u8]) -> Result<BTreeSet<String>, Broken> {
    let mut files = BTreeSet::new();
    let Ok(mut model) = ModelProto::decode(onnx) else {
        return Ok(files);
    };
    let Some(graph) = &mut model.graph else {
        return Ok(files);
    };
    each(graph, 0, &mut |tensor| {
        if is_external(tensor) {
            let Some(file) = entry(tensor, "location") else {
                return broken(format!(
                    "tensor `{}` lies in a file without a name",
                    tensor.name
                ));
            };
            files.insert(file.to_owned());
        }
        if files.len() > FILES {
            return broken(format!("its weights lie in more than {FILES} files"));
        }
        Ok(())
    })?;
    Ok(files)
}

/// The same model as one file of at most `limit` bytes.
pub(super) fn whole(
    onnx: &[u8],
    files: &BTreeMap<String, Bytes>,
    limit: u64,
) -> Result<Vec<u8>, Broken> {
    let model = ModelProto::decode(onnx);
    let mut model = model.map_err(|err| Broken(format!("it is no ONNX file: {err}")))?;
    let mut sum = onnx.len() as u64;
    if let Some(graph) = &mut model.graph {
        each(graph, 0, &mut |tensor| {
            if !is_external(tensor) {
                return Ok(());
            }
            let data = external(tensor, files)?;
            // Several tensors may name the same bytes.
            sum = sum.saturating_add(data.len() as u64);
            if sum > limit {
                return broken(format!("with its weights it has more than {limit} bytes"));
            }
            tensor.raw_data = data.to_vec();
            tensor.data_location = None;
            tensor.external_data.clear();
            Ok(())
        })?;
    }
    Ok(model.encode_to_vec())
}

/// The bytes of a tensor.
fn external(tensor: &TensorProto, files: &BTreeMap<String, Bytes>) -> Result<Bytes, Broken> {
    let name = &tensor.name;
    let file = entry(tensor, "location").and_then(|file| files.get(file));
    let Some(file) = file else {
        return broken(format!(
            "the file with the values of tensor `{name}` is not there"
        ));
    };
    let number = |key: &str| entry(tensor, key).map(str::parse::<usize>).transpose();
    let (Ok(offset), Ok(length)) = (number("offset"), number("length")) else {
        return broken(format!(
            "where tensor `{name}` lies in its file is no number"
        ));
    };
    let from = offset.unwrap_or(0);
    let to = match length {
        Some(length) => from.checked_add(length),
        None => Some(file.len()),
    };
    match to.filter(|to| (from..=file.len()).contains(to)) {
        Some(to) => Ok(file.slice(from..to)),
        None => broken(format!("tensor `{name}` lies beyond the end of its file")),
    }
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::StringStringEntryProto;

    use super::*;
    use crate::registry::fixture;

    /// The test model with its weights in another file, and that file.
    fn apart(offset: &str, length: &str) -> (Vec<u8>, Bytes) {
        let package = fixture::package(2.0);
        let mut model = ModelProto::decode(&package.onnx[..]).expect("a model");
        let weights = &mut model.graph.as_mut().expect("a graph").initializer[0];
        let floats = std::mem::take(&mut weights.float_data);
        let mut bytes = vec![0; 8];
        bytes.extend(floats.iter().flat_map(|value| value.to_le_bytes()));
        weights.data_location = Some(DataLocation::External as i32);
        let entries = [
            ("location", "model.onnx.data"),
            ("offset", offset),
            ("length", length),
        ];
        weights.external_data = entries
            .map(|(key, value)| StringStringEntryProto {
                key: key.into(),
                value: value.into(),
            })
            .into();
        (model.encode_to_vec(), bytes.into())
    }

    #[test]
    fn a_model_in_two_files_becomes_one() {
        let (onnx, data) = apart("8", "16");
        let names = files(&onnx).expect("names");
        assert_eq!(names, BTreeSet::from(["model.onnx.data".to_owned()]));
        let beside = BTreeMap::from([("model.onnx.data".to_owned(), data)]);
        let one = whole(&onnx, &beside, 1 << 20).expect("one file");
        assert_eq!(files(&one), Ok(BTreeSet::new()));
        let model = ModelProto::decode(&one[..]).expect("a model");
        let weights = &model.graph.expect("a graph").initializer[0];
        let expected: Vec<u8> = [2.0_f32, 0.0, 0.0, 2.0]
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        assert_eq!(weights.raw_data, expected);
        assert!(whole(&onnx, &beside, 100).is_err(), "a limit holds");
    }

    #[test]
    fn what_is_not_there_is_said() {
        for (offset, length) in [
            ("8", "17"),
            ("99", "1"),
            ("x", "16"),
            ("18446744073709551615", "16"),
        ] {
            let (onnx, data) = apart(offset, length);
            let beside = BTreeMap::from([("model.onnx.data".to_owned(), data)]);
            assert!(whole(&onnx, &beside, 1 << 20).is_err(), "{offset} {length}");
        }
        let (onnx, _) = apart("8", "16");
        assert!(whole(&onnx, &BTreeMap::new(), 1 << 20).is_err());
        assert_eq!(files(b"no model"), Ok(BTreeSet::new()));
    }
}
