//! Why a model does not load or run, in words that tell its maker what to do.

use std::fmt;

use tern_protocol::{steps::StepError, tensor::Dtype};

/// Input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// An input of the model.
    Input,
    /// An output of the model.
    Output,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Output => "output",
        })
    }
}

/// Why a model does not load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The bytes are not an ONNX model.
    #[error("not an ONNX model: {detail}")]
    Parse {
        /// What the parser said.
        detail: String,
    },
    /// The weights lie in another file.
    #[error("the tensor `{tensor}` keeps its values in another file")]
    ExternalData {
        /// Which tensor.
        tensor: String,
    },
    /// The engine has no such operator, or not with these attributes.
    #[error("the operator {op} (node `{node}`) is not supported{detail}")]
    UnsupportedOperator {
        /// Kind of operator.
        op: String,
        /// The node's name, or that of its first output.
        node: String,
        /// More, if the operator is known but not in this form; begins with `: `.
        detail: String,
    },
    /// The graph has other inputs or outputs than declared.
    #[error("the {place} `{name}` is declared {declared}, the graph has {found}")]
    Port {
        /// Input or output.
        place: Place,
        /// The name, as declared.
        name: String,
        /// What was declared.
        declared: String,
        /// What the graph has.
        found: String,
    },
    /// Declared with another element type than the graph has.
    #[error("the {place} `{name}` is declared as {declared}, in the graph it is {found}")]
    Dtype {
        /// Input or output.
        place: Place,
        /// Its name.
        name: String,
        /// As declared.
        declared: Dtype,
        /// As in the graph.
        found: String,
    },
    /// Declared with another shape than the graph has.
    #[error("the {place} `{name}` is declared with shape {declared}, in the graph it is {found}")]
    Shape {
        /// Input or output.
        place: Place,
        /// Its name.
        name: String,
        /// As declared.
        declared: String,
        /// As in the graph.
        found: String,
    },
    /// Declared steps are wrong, or do not lead to what the graph takes or the answer declares.
    #[error("the {place} `{name}`: {detail}")]
    Step {
        /// Input or output.
        place: Place,
        /// Its name.
        name: String,
        /// What is wrong.
        detail: String,
        /// What to do.
        remedy: String,
    },
    /// The classes do not fit the scores.
    #[error("{classes} classes are named, the scores of `{name}` are {found} a sample")]
    Classes {
        /// The first output.
        name: String,
        /// How many are named.
        classes: usize,
        /// What the scores are.
        found: String,
    },
    /// A metric is read from a tensor that gives it no value.
    #[error("a metric is read from the tensor `{tensor}`: {detail}")]
    Tap {
        /// As declared.
        tensor: String,
        /// What is wrong.
        detail: String,
    },
    /// Shapes do not fit together somewhere inside, or a step of the optimiser failed.
    #[error("cannot be optimised with a batch of one: {detail}")]
    Optimise {
        /// The engine's words, which name the node.
        detail: String,
    },
}

impl LoadError {
    /// What is wrong with a step.
    pub(super) fn step(place: Place, name: &str, err: &StepError) -> Self {
        Self::Step {
            place,
            name: name.into(),
            detail: err.to_string(),
            remedy: err.remedy.clone(),
        }
    }

    /// Name of the check that failed, for programs: `parse`, `operator`, `shape`, `dtype`, `steps`,
    /// `classes`, `metrics` or `optimise`.
    pub fn check(&self) -> &'static str {
        match self {
            Self::Parse { .. } | Self::ExternalData { .. } => "parse",
            Self::UnsupportedOperator { .. } => "operator",
            Self::Port { .. } | Self::Shape { .. } => "shape",
            Self::Dtype { .. } => "dtype",
            Self::Step { .. } => "steps",
            Self::Classes { .. } => "classes",
            Self::Tap { .. } => "metrics",
            Self::Optimise { .. } => "optimise",
        }
    }

    /// What failed it: the operator, input, output or file.
    pub fn subject(&self) -> String {
        match self {
            Self::Parse { .. } | Self::Optimise { .. } => "onnx".into(),
            Self::ExternalData { tensor } | Self::Tap { tensor, .. } => tensor.clone(),
            Self::UnsupportedOperator { op, .. } => op.clone(),
            Self::Port { name, .. }
            | Self::Dtype { name, .. }
            | Self::Shape { name, .. }
            | Self::Step { name, .. }
            | Self::Classes { name, .. } => name.clone(),
        }
    }

    /// What the model's maker can do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Parse { .. } => {
                "export the model again and publish the whole file; `onnx.checker.check_model` \
                 says what is wrong with it"
                    .into()
            }
            Self::ExternalData { .. } => {
                "save the model as one file: `onnx.save_model(model, path, \
                 save_as_external_data=False)`"
                    .into()
            }
            Self::UnsupportedOperator { op, .. } => format!(
                "build the model without {op}: express it by basic operators, or export with \
                 another operator set (9 to 18 are well supported); trees and classical \
                 estimators are best exported as a small neural network"
            ),
            Self::Port { place, .. } => format!(
                "declare the {place}s in the graph's order under the names that they have there"
            ),
            Self::Dtype { name, found, .. } => {
                format!("declare `{name}` as {found}, or cast it in the graph")
            }
            Self::Shape { name, found, .. } => format!(
                "declare `{name}` with shape {found}, -1 standing for the batch in the first place"
            ),
            Self::Step { remedy, .. } => remedy.clone(),
            Self::Classes { .. } => {
                "name one class an element of the first output as it is before `argmax` or \
                 `threshold`, in its order; or two classes for one element and a `threshold`"
                    .into()
            }
            Self::Tap { .. } => {
                "give `from.output` the name of a declared output, or of an output of a node as `onnx` shows \
                 it; one of numbers, whose shape is fixed but for the batch"
                    .into()
            }
            Self::Optimise { .. } => {
                "export the model with a dynamic first dimension only and run \
                 `onnx.shape_inference.infer_shapes(model, strict_mode=True)` on it, which finds \
                 most contradictions"
                    .into()
            }
        }
    }
}

/// Why a run gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Not one tensor an input.
    #[error("the model takes {expected} inputs, {found} came")]
    Inputs {
        /// How many it takes.
        expected: usize,
        /// How many came.
        found: usize,
    },
    /// An input is not what the model takes.
    #[error("the input `{name}` takes {expected}, {found} came")]
    Input {
        /// Which.
        name: String,
        /// Element type and shape that it takes.
        expected: String,
        /// Element type and shape that came.
        found: String,
    },
    /// Inputs disagree about the number of rows, or it is none or too many.
    #[error("the input `{name}` has {found} rows, where {expected} are possible")]
    Rows {
        /// Which input.
        name: String,
        /// How many were expected.
        expected: String,
        /// How many it has.
        found: usize,
    },
    /// The engine gave an error.
    #[error("the engine stopped: {detail}")]
    Engine {
        /// Its words.
        detail: String,
    },
    /// The engine panicked.
    #[error("the engine panicked: {text}")]
    Panic {
        /// What it said.
        text: String,
    },
    /// An output is not what the model declares.
    #[error("the output `{name}` came as {found}, declared is {declared}")]
    Output {
        /// Which.
        name: String,
        /// As declared.
        declared: String,
        /// As it came.
        found: String,
    },
}

impl RunError {
    /// Whether the request is to blame rather than the model.
    pub fn is_callers(&self) -> bool {
        matches!(
            self,
            Self::Inputs { .. } | Self::Input { .. } | Self::Rows { .. }
        )
    }
}
