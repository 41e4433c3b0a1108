//! From ONNX bytes to a plan.

use std::collections::BTreeSet;

use prost::Message as _;
use tern_protocol::{
    digest::Digest,
    steps::{self as declared, Form, PostStep},
    tensor::{Dtype, TensorSpec},
};
use tract_onnx::{
    Onnx,
    pb::{GraphProto, ModelProto, NodeProto, TensorProto, tensor_proto},
    prelude::{
        Framework as _, InferenceFact, InferenceModelExt as _, IntoRunnable as _, TractError,
        TypedModel,
    },
};

use super::{
    Interface, LoadError, Model, Place, Port,
    check::{self, Declared},
    steps, tap,
};

pub(super) fn load(onnx: &[u8], interface: &Interface) -> Result<Model, LoadError> {
    let proto = ModelProto::decode(onnx).map_err(|err| LoadError::Parse {
        detail: err.to_string(),
    })?;
    let graph = proto.graph.as_ref().ok_or_else(|| LoadError::Parse {
        detail: "it holds no graph".into(),
    })?;
    let engine = engine();
    let operators = check_operators(&engine, graph)?;
    check_weights(graph)?;
    interface.check_names()?;
    let inputs = ports(Place::Input, &interface.inputs)?;
    let outputs = ports(Place::Output, &interface.outputs)?;

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
        let inner = interface.graph_input(port)?;
        let found = model.input_fact(index).map_err(optimise)?;
        check::input(&inner, found).map_err(|err| after_steps(interface, err))?;
        let fact = InferenceFact::dt_shape(check::datum_type(inner.spec.dtype), &inner.row[..]);
        model.set_input_fact(index, fact).map_err(optimise)?;
    }
    drop(proto);

    let mut model = model.into_typed().map_err(optimise)?;
    let (outputs, threshold) = with_steps(&mut model, interface, &inputs, outputs)?;
    let declared = interface.outputs.len();
    let taps = tap::wire(&mut model, &interface.taps, &outputs[..declared])?;
    let model = model.into_optimized().map_err(optimise)?;
    for (index, port) in outputs[..declared].iter().enumerate() {
        let found = model.output_fact(index).map_err(optimise)?;
        check::output(port, found).map_err(|err| after_steps(interface, err))?;
    }
    if interface.classes > 0 {
        check_classes(interface, outputs.get(declared), threshold)?;
    }
    let plan = model.into_runnable().map_err(optimise)?;
    let state = plan.spawn().map_err(optimise)?;
    let remembers = state.op_states.iter().any(Option::is_some);
    Ok(Model {
        plan,
        inputs,
        outputs,
        declared,
        taps,
        threshold,
        operators,
        weights: Digest::of(onnx),
        idle: Vec::new().into(),
        remembers,
    })
}

/// Wires the steps; the outputs of the plan, and at how much the first is decided.
fn with_steps(
    model: &mut TypedModel,
    interface: &Interface,
    inputs: &[Port],
    mut outputs: Vec<Port>,
) -> Result<(Vec<Port>, Option<f32>), LoadError> {
    for (index, port) in inputs.iter().enumerate() {
        let steps = declared::of_input(&interface.pre, &port.spec.name);
        if !steps.is_empty() {
            steps::before(model, index, port, steps).map_err(optimise)?;
        }
    }
    let mut outlets = model.output_outlets().map_err(optimise)?.to_vec();
    let mut hidden = None;
    let mut threshold = None;
    for (index, port) in outputs.iter().enumerate() {
        let steps = declared::of_output(&interface.post, &port.spec.name);
        if steps.is_empty() {
            continue;
        }
        let after = steps::after(model, index, port, steps)?;
        outlets[index] = after.answer;
        if let Some((_, scores)) = &after.scores {
            check_labels(interface, &port.spec, steps, scores)?;
        }
        if index == 0 && interface.classes > 0 {
            hidden = after.scores;
            threshold = steps::threshold(steps);
        }
    }
    if let Some((outlet, form)) = hidden {
        outlets.push(outlet);
        let Form { dtype, shape } = form;
        let name = format!("{}, before it is decided", outputs[0].spec.name);
        outputs.push(port(Place::Output, &TensorSpec { name, dtype, shape })?);
    }
    model.select_output_outlets(&outlets).map_err(optimise)?;
    Ok((outputs, threshold))
}

/// The classes are those of the scores, or the two sides of one score.
fn check_classes(
    interface: &Interface,
    hidden: Option<&Port>,
    threshold: Option<f32>,
) -> Result<(), LoadError> {
    let Some(first) = interface.outputs.first() else {
        return Ok(());
    };
    let scores = hidden.map_or(first, |port| &port.spec);
    let len = scores.sample_len();
    let fits = len == Some(interface.classes)
        || len == Some(1) && interface.classes == 2 && threshold.is_some();
    if fits && matches!(scores.dtype, Dtype::F32 | Dtype::F64) {
        return Ok(());
    }
    Err(LoadError::Classes {
        name: first.name.clone(),
        classes: interface.classes,
        found: format!("{} {}", len.unwrap_or(0), scores.dtype),
    })
}

/// Names are those of the elements that `argmax` chose from, or of the two sides of one score.
fn check_labels(
    interface: &Interface,
    output: &TensorSpec,
    steps: &[PostStep],
    scores: &Form,
) -> Result<(), LoadError> {
    if !steps.contains(&PostStep::Labels {}) {
        return Ok(());
    }
    let sample = scores.sample();
    let fits = match steps::threshold(steps) {
        Some(_) => interface.classes == 2 && sample.iter().product::<i64>() == 1,
        None => sample.last().copied() == i64::try_from(interface.classes).ok(),
    };
    if fits {
        return Ok(());
    }
    Err(LoadError::Classes {
        name: output.name.clone(),
        classes: interface.classes,
        found: check::shown(sample),
    })
}

/// A contradiction to the graph, told as one of the steps if there are some in between.
fn after_steps(interface: &Interface, err: LoadError) -> LoadError {
    let (place, name, declared, found) = match &err {
        LoadError::Dtype {
            place,
            name,
            declared,
            found,
        } => (*place, name, declared.to_string(), found),
        LoadError::Shape {
            place,
            name,
            declared,
            found,
        } => (*place, name, declared.clone(), found),
        _ => return err,
    };
    let steps = match place {
        Place::Input => declared::of_input(&interface.pre, name).len(),
        Place::Output => declared::of_output(&interface.post, name).len(),
    };
    if steps == 0 {
        return err;
    }
    let (detail, remedy) = match place {
        Place::Input => (
            format!("after its {steps} steps it is {declared}, the graph takes {found}"),
            format!("change the steps so that they end with {found}"),
        ),
        Place::Output => (
            format!("after its {steps} steps it is {found}, declared is {declared}"),
            format!("declare it as {found}, -1 standing for the batch in the first place"),
        ),
    };
    LoadError::Step {
        place,
        name: name.clone(),
        detail,
        remedy,
    }
}

/// tract with its operators. What `value_info` says about inner shapes is left out: with a batch
/// that is symbolic there and one here, it would contradict what tract finds by itself.
fn engine() -> Onnx {
    tract_onnx::onnx().with_ignore_value_info(true)
}

fn ports(place: Place, specs: &[TensorSpec]) -> Result<Vec<Port>, LoadError> {
    specs.iter().map(|spec| port(place, spec)).collect()
}

pub(super) fn port(place: Place, spec: &TensorSpec) -> Result<Port, LoadError> {
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
pub(super) fn optimise(err: TractError) -> LoadError {
    LoadError::Optimise {
        detail: format!("{err:#}"),
    }
}
