//! Loads and runs models, on tract.
//!
//! Called by `slots` and `serve`, by the hub when it vets a model before it ships, and by benches.
//! Calls tract and nothing else, so that hub and device judge a model by the very same code.
//!
//! Must never break:
//! - bytes from outside never panic here, not even when tract does: a panic becomes an error;
//! - a model that loads has exactly the inputs and outputs that were declared;
//! - a [`Model`] is shared by threads without waiting for each other.
//!
//! The batch is bound to one when the model is loaded, since tract then knows every shape and
//! optimises for it; [`Model::run`] loops over the rows of larger batches.

mod check;
mod error;
#[cfg(test)]
pub(crate) mod fixture;
pub mod golden;
mod interface;
mod load;
pub mod measure;
mod steps;
mod tap;
#[cfg(test)]
mod tests;
mod values;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use tern_protocol::{
    digest::Digest,
    tensor::{Tensor, TensorSpec},
};
use tract_onnx::prelude::{TypedSimplePlan, TypedSimpleState};

pub use self::{
    error::{LoadError, Place, RunError},
    interface::Interface,
};

/// Idle execution states kept for reuse, each with the model's scratch memory. More threads than
/// this at once make new ones.
const IDLE_STATES: usize = 4;

/// Rows of one request. Each costs a run; what is larger should come as several requests.
pub const ROWS_MAX: usize = 4096;

/// A loaded and optimised model.
pub struct Model {
    plan: Arc<TypedSimplePlan>,
    inputs: Vec<Port>,
    /// Those of the plan: the declared ones, and the scores if no declared one shows them.
    outputs: Vec<Port>,
    declared: usize,
    /// What a bundle's own metrics are read from.
    taps: Vec<tap::Tap>,
    threshold: Option<f32>,
    operators: Vec<String>,
    weights: Digest,
    /// Setting up a state costs as much as running a small model, so they are kept. Only of models
    /// without operators that remember things from run to run.
    idle: Mutex<Vec<TypedSimpleState>>,
    remembers: bool,
}

/// What one run gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// One tensor an output, as declared.
    pub outputs: Vec<Tensor>,
    /// What the first output was before it was decided, if it was.
    pub scores: Option<Tensor>,
    /// For each row the values of [`Interface::taps`], in their order.
    pub taps: Vec<f32>,
}

/// One input or output, as declared and as bound.
#[derive(Debug, Clone)]
struct Port {
    spec: TensorSpec,
    /// The shape of one row, with the batch bound to one.
    row: Vec<usize>,
    /// Bytes of one row.
    bytes: usize,
    /// Whether its first dimension is the batch.
    batched: bool,
}

impl Model {
    /// Loads, checks and optimises a model without steps. `inputs` and `outputs` are in the graph's
    /// order.
    pub fn load(
        onnx: &[u8],
        inputs: &[TensorSpec],
        outputs: &[TensorSpec],
    ) -> Result<Self, LoadError> {
        Self::load_as(onnx, &Interface::plain(inputs, outputs))
    }

    /// Loads, checks and optimises a model together with its steps.
    pub fn load_as(onnx: &[u8], interface: &Interface) -> Result<Self, LoadError> {
        caught(|| load::load(onnx, interface)).unwrap_or_else(|panic| {
            Err(LoadError::Optimise {
                detail: format!("the engine panicked: {panic}"),
            })
        })
    }

    /// Runs the model on one tensor an input, in the graph's order. The first dimension of batched
    /// inputs says how many rows there are.
    pub fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        Ok(self.answer(inputs)?.outputs)
    }

    /// As [`Self::run`], with the scores behind a decided output.
    pub fn answer(&self, inputs: &[Tensor]) -> Result<Answered, RunError> {
        let rows = values::rows(&self.inputs, &self.outputs, inputs)?;
        let mut outputs = values::empty(&self.outputs, rows);
        let mut taps = Vec::with_capacity(self.taps.len() * rows);
        let mut state = self.state()?;
        for row in 0..rows {
            let values = values::row(&self.inputs, inputs, row)?;
            let found = caught(|| state.run(values)).map_err(|text| RunError::Panic { text })?;
            let found = found.map_err(|err| RunError::Engine {
                detail: format!("{err:#}"),
            })?;
            values::append(&self.outputs, &mut outputs, &found)?;
            for tap in &self.taps {
                taps.push(tap.read(&found)?);
            }
            if self.remembers {
                state = self.state()?;
            }
        }
        self.keep(state);
        let scores = outputs.drain(self.declared..).next();
        Ok(Answered {
            outputs,
            scores,
            taps,
        })
    }

    /// At how much its first output is decided, if by a threshold.
    pub fn threshold(&self) -> Option<f32> {
        self.threshold
    }

    /// The kinds of operators in the model, sorted, each once.
    pub fn operators(&self) -> Vec<String> {
        self.operators.clone()
    }

    /// Digest of the ONNX bytes, computed from them when they were loaded.
    pub fn weights(&self) -> Digest {
        self.weights
    }

    /// Its inputs as declared.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = &TensorSpec> {
        self.inputs.iter().map(|port| &port.spec)
    }

    /// Its outputs as declared.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = &TensorSpec> {
        self.outputs[..self.declared].iter().map(|port| &port.spec)
    }

    fn state(&self) -> Result<TypedSimpleState, RunError> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match idle {
            Some(state) => Ok(state),
            None => self.plan.spawn().map_err(|err| RunError::Engine {
                detail: format!("{err:#}"),
            }),
        }
    }

    fn keep(&self, state: TypedSimpleState) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.remembers && idle.len() < IDLE_STATES {
            idle.push(state);
        }
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("weights", &self.weights)
            .finish_non_exhaustive()
    }
}

/// Runs `work`; a panic inside becomes its text.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    // Nothing that `work` may have left half done is used after a panic: states are dropped.
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        text.or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no text".into())
    })
}
