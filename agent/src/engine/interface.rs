//! What is declared of a model: what goes in, what comes out, and the steps between.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tern_protocol::{
    manifest::Manifest,
    metric::{MetricSpec, TensorSource},
    steps::{self, InputSteps, OutputSteps, PostStep},
    tensor::TensorSpec,
};

use super::{LoadError, Place, Port, load};

/// What requests carry and answers hold, and the steps from one to the other around the graph.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Interface {
    /// Inputs of a request, in the graph's order.
    pub inputs: Vec<TensorSpec>,
    /// Outputs of an answer, in the graph's order.
    pub outputs: Vec<TensorSpec>,
    /// Steps of inputs.
    pub pre: Vec<InputSteps>,
    /// Steps of outputs.
    pub post: Vec<OutputSteps>,
    /// How many classes are named; 0 unless a classifier.
    pub classes: usize,
    /// Tensors that metrics of the bundle are read from.
    #[serde(default)]
    pub taps: Vec<TensorSource>,
}

impl Interface {
    /// A graph as it is.
    pub fn plain(inputs: &[TensorSpec], outputs: &[TensorSpec]) -> Self {
        Self {
            inputs: inputs.into(),
            outputs: outputs.into(),
            ..Self::default()
        }
    }

    /// The tensors that these metrics are read from, in their order.
    pub fn taps(metrics: &[MetricSpec]) -> Vec<TensorSource> {
        metrics
            .iter()
            .filter_map(|spec| spec.from.clone())
            .collect()
    }

    /// Whether answers name the class of each element of this output.
    pub fn names_classes(post: &[OutputSteps], output: &str) -> bool {
        steps::of_output(post, output).contains(&PostStep::Labels {})
    }

    /// Each set of steps belongs to one input or output, and to no more than one; names are given
    /// only where there are some.
    pub(super) fn check_names(&self) -> Result<(), LoadError> {
        let inputs = self.pre.iter().map(|of| of.input.as_str());
        let outputs = self.post.iter().map(|of| of.output.as_str());
        owned(Place::Input, inputs, &self.inputs)?;
        owned(Place::Output, outputs, &self.outputs)?;
        let nameless = self
            .post
            .iter()
            .find(|of| of.steps.contains(&PostStep::Labels {}));
        match nameless.filter(|_| self.classes == 0) {
            None => Ok(()),
            Some(of) => Err(LoadError::Step {
                place: Place::Output,
                name: of.output.clone(),
                detail: "the step `labels` has no names to give".into(),
                remedy: "name the classes, or leave `labels` out".into(),
            }),
        }
    }

    /// What the graph gets of an input.
    pub(super) fn graph_input(&self, request: &Port) -> Result<Port, LoadError> {
        let name = &request.spec.name;
        let steps = steps::of_input(&self.pre, name);
        if steps.is_empty() {
            return Ok(request.clone());
        }
        let form = steps::graph_input(&request.spec, steps)
            .map_err(|err| LoadError::step(Place::Input, name, &err))?;
        let spec = TensorSpec {
            name: name.clone(),
            dtype: form.dtype,
            shape: form.shape,
        };
        load::port(Place::Input, &spec)
    }
}

impl From<&Manifest> for Interface {
    fn from(manifest: &Manifest) -> Self {
        Self {
            inputs: manifest.inputs.clone(),
            outputs: manifest.outputs.clone(),
            pre: manifest.pre.clone(),
            post: manifest.post.clone(),
            classes: manifest.classes.len(),
            taps: Self::taps(&manifest.metrics),
        }
    }
}

fn owned<'a>(
    place: Place,
    names: impl Iterator<Item = &'a str>,
    specs: &[TensorSpec],
) -> Result<(), LoadError> {
    let mut seen = BTreeSet::new();
    for name in names {
        let known = specs.iter().any(|spec| spec.name == name);
        if !known || !seen.insert(name) {
            let what = if known {
                "twice"
            } else {
                "for what is not there"
            };
            return Err(LoadError::Step {
                place,
                name: name.chars().take(80).collect(),
                detail: format!("steps are declared {what}"),
                remedy: format!("give each {place} its steps once, under its name"),
            });
        }
    }
    Ok(())
}
