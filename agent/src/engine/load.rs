//! From ONNX bytes to a plan.

use std::collections::BTreeSet;

use prost::Message as _;
use tern_protocol::{digest::Digest, tensor::TensorSpec};
use tract_onnx::{
    Onnx,
    pb::{GraphProto, ModelProto, NodeProto, TensorProto, tensor_proto},
    prelude::{
        Framework as _, InferenceFact, InferenceModelExt as _, IntoRunnable as _, TractError,
    },
};

use super::{
    LoadError, Model, Place, Port,
    check::{self, Declared},
};

pub(super) fn load(
    onnx: &[u8],
    inputs: &[TensorSpec],
    outputs: &[TensorSpec],
) -> Result<Model, LoadError> {
    let proto = ModelProto::decode(onnx).map_err(|err| LoadError::Parse {
        detail: err.to_string(),
    })?;
    let graph = proto.graph.as_ref().ok_or_else(|| LoadError::Parse {
        detail: "it holds no graph".into(),
    })?;
    let engine = engine();
    let operators = check_operators(&engine, graph)?;
    check_weights(graph)?;
    let inputs = ports(Place::Input, inputs)?;
    let outputs = ports(Place::Output, outputs)?;

    let mut model = engine
        .model_for_proto_model(&proto)
        .map_err(|err| untranslatable(graph, &err))?;
    let names: Vec<_> = graph.output.iter().map(|o| o.name.as_str()).collect();
    let initial: BTreeSet<_> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let sources = graph.input.iter().map(|i| i.name.as_str());
    let sources: Vec<_> = sources.filter(|name| !initial.contains(name)).collect();
    Declared::new(Place::Input, &inputs).check_names(&sources)?;
    Declared::new(Place::Output, &outputs).check_names(&names)?;
    for (index, port) in inputs.iter().enumerate() {
        check::input(port, model.input_fact(index).map_err(optimise)?)?;
        let fact = InferenceFact::dt_shape(check::datum_type(port.spec.dtype), &port.row[..]);
        model.set_input_fact(index, fact).map_err(optimise)?;
    }
    drop(proto);

    let model = model.into_optimized().map_err(optimise)?;
    for (index, port) in outputs.iter().enumerate() {
        check::output(port, model.output_fact(index).map_err(optimise)?)?;
    }
    let plan = model.into_runnable().map_err(optimise)?;
    let state = plan.spawn().map_err(optimise)?;
    let remembers = state.op_states.iter().any(Option::is_some);
    Ok(Model {
        plan,
        inputs,
        outputs,
        operators,
        weights: Digest::of(onnx),
        idle: Vec::new().into(),
        remembers,
    })
}

/// tract with its operators. What `value_info` says about inner shapes is left out: with a batch
/// that is symbolic there and one here, it would contradict what tract finds by itself.
fn engine() -> Onnx {
    tract_onnx::onnx().with_ignore_value_info(true)
}

fn ports(place: Place, specs: &[TensorSpec]) -> Result<Vec<Port>, LoadError> {
    specs.iter().map(|spec| port(place, spec)).collect()
}

fn port(place: Place, spec: &TensorSpec) -> Result<Port, LoadError> {
    let unusable = || LoadError::Shape {
        place,
        name: spec.name.clone(),
        declared: check::shown(&spec.shape),
        found: "dimensions from 1 up, or -1 for the batch in the first place".into(),
    };
    let batched = spec.shape.first() == Some(&-1);
    let elements = spec.sample_len().ok_or_else(unusable)?;
    let bytes = elements
        .checked_mul(spec.dtype.size())
        .ok_or_else(unusable)?;
    let dims = spec.shape.iter().map(|dim| (*dim).max(1) as usize);
    Ok(Port {
        spec: spec.clone(),
        row: dims.collect(),
        bytes,
        batched,
    })
}

/// The kinds of operators of the graph and of the graphs inside it; the first that tract does not
/// have is the error.
fn check_operators(engine: &Onnx, graph: &GraphProto) -> Result<Vec<String>, LoadError> {
    let mut kinds = BTreeSet::new();
    // Nesting is bounded: the decoder refuses messages deeper than 100.
    let mut graphs = vec![graph];
    while let Some(graph) = graphs.pop() {
        for node in &graph.node {
            if !engine.op_register.0.contains_key(&node.op_type) {
                return Err(LoadError::UnsupportedOperator {
                    op: node.op_type.clone(),
                    node: name(node).into(),
                    detail: String::new(),
                });
            }
            kinds.insert(node.op_type.clone());
            graphs.extend(
                node.attribute
                    .iter()
                    .flat_map(|a| a.g.iter().chain(&a.graphs)),
            );
        }
    }
    Ok(kinds.into_iter().collect())
}

fn check_weights(graph: &GraphProto) -> Result<(), LoadError> {
    let external = |tensor: &&TensorProto| {
        tensor.data_location == Some(tensor_proto::DataLocation::External as i32)
    };
    match graph.initializer.iter().find(external) {
        Some(tensor) => Err(LoadError::ExternalData {
            tensor: tensor.name.clone(),
        }),
        None => Ok(()),
    }
}

fn name(node: &NodeProto) -> &str {
    match (node.name.as_str(), node.output.first()) {
        ("", Some(output)) => output,
        (name, _) => name,
    }
}

/// tract puts `Building node NAME (KIND)` into the chain when an operator is known to it, but not
/// with these attributes (`engine::tests` pins that).
fn untranslatable(graph: &GraphProto, err: &TractError) -> LoadError {
    let detail = format!("{err:#}");
    let built = |node: &&NodeProto| {
        detail.contains(&format!("Building node {} ({})", node.name, node.op_type))
    };
    match graph.node.iter().find(built) {
        Some(node) => LoadError::UnsupportedOperator {
            op: node.op_type.clone(),
            node: name(node).into(),
            detail: format!(" in this form: {detail}"),
        },
        None => LoadError::Parse { detail },
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn optimise(err: TractError) -> LoadError {
    LoadError::Optimise {
        detail: format!("{err:#}"),
    }
}
