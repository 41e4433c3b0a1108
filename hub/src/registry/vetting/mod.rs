//! Vetting: does the engine that devices run take this model, and does it compute what its
//! publisher saw? Blocking; `publish` gives it a thread.
//!
//! The checks run from cheap to dear and stop at the first step that finds something: what comes
//! after could only be confused by it. What touches the model itself runs in a process of its own.
//!
//! Must never break: a model that crashes, hangs or eats memory harms that process alone, and is
//! refused by name.

pub mod child;
mod parent;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_agent::engine::{Interface, measure::Measurement};
use tern_protocol::{
    codec, limits,
    manifest::Golden,
    rest::{Finding, NewVersion},
};

pub use self::parent::Program;
use super::facts::{self, finding};

/// What vetting may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall clock, and as much of the processor.
    pub time: Duration,
    /// Bytes of memory beyond what the process has before it begins.
    pub memory: u64,
}

impl Limits {
    /// For what a small device could use: it loads in a few seconds, so what takes a minute hangs; and
    /// what takes 2 GiB fits none.
    pub const DEFAULT: Self = Self {
        time: Duration::from_mins(1),
        memory: 2 << 30,
    };
}

/// What the child is told first; the bytes of both files follow.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    interface: Interface,
    onnx_bytes: u64,
    golden_bytes: u64,
    limits: Limits,
}

/// What the child found.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// It passed.
    Measured(Measurement),
    /// It is refused.
    Refused(Finding),
}

/// The files and facts of a model that wants to become a version.
pub(super) struct Candidate {
    pub(super) onnx: Bytes,
    pub(super) golden: Bytes,
    pub(super) reference: Option<Bytes>,
    pub(super) facts: NewVersion,
}

/// Why there is no verdict on a model.
#[derive(Debug, thiserror::Error)]
pub(super) enum VettingError {
    /// It is refused.
    #[error("the model was refused")]
    Refused(Vec<Finding>),
    /// The process did not start.
    #[error("starting a process to vet a model")]
    Start(#[source] std::io::Error),
}

/// Vets a model; what was measured, or why it is refused.
pub(super) fn vet(
    program: &Program,
    candidate: &Candidate,
    limits: Limits,
) -> Result<Measurement, VettingError> {
    let golden: Golden = read("golden", &candidate.golden)?;
    let reference = candidate
        .reference
        .as_ref()
        .map(|bytes| read("reference", bytes))
        .transpose()?;
    let findings = facts::check(&candidate.facts, &golden, reference.as_ref());
    if !findings.is_empty() {
        return Err(VettingError::Refused(findings));
    }
    let facts = &candidate.facts;
    let order = Order {
        interface: Interface {
            inputs: facts.inputs.clone(),
            outputs: facts.outputs.clone(),
            pre: facts.known_pre(),
            post: facts.known_post(),
            classes: facts.classes.len(),
        },
        onnx_bytes: candidate.onnx.len() as u64,
        golden_bytes: candidate.golden.len() as u64,
        limits,
    };
    match parent::ask(program, &order, &[&candidate.onnx, &candidate.golden])? {
        Verdict::Measured(measured) => Ok(measured),
        Verdict::Refused(finding) => Err(VettingError::Refused(vec![finding])),
    }
}

/// Reads a CBOR file of a package.
fn read<T: for<'b> minicbor::Decode<'b, ()>>(check: &str, bytes: &[u8]) -> Result<T, VettingError> {
    codec::decode_within(bytes, limits::PROFILE).map_err(|err| {
        VettingError::Refused(vec![finding(
            check,
            check,
            format!("the file cannot be read: {err}"),
            "write it with the trainer that comes with Tern, or with the same CBOR keys",
        )])
    })
}

/// It takes more memory than vetting may.
fn too_large(limits: Limits) -> Finding {
    finding(
        "memory",
        "model",
        format!(
            "loading and running it takes more than {} MiB of memory",
            limits.memory >> 20
        ),
        "publish a smaller model; no device of this fleet could run it",
    )
}
