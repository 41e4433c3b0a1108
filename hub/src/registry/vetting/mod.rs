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

use std::{io, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tern_agent::engine::{
    Interface,
    measure::{Comparison, Measurement},
};
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
    /// What to compare the model with, instead of measuring it; its files follow as well.
    #[serde(default)]
    compare: Option<Compare>,
    /// Whether it is to answer the golden samples' inputs, instead of being measured by them.
    #[serde(default)]
    say: bool,
}

/// Another form of the model.
#[derive(Debug, Serialize, Deserialize)]
struct Compare {
    before_bytes: u64,
    /// Inputs as golden samples without outputs.
    labelled_bytes: u64,
    /// The class of each of those.
    truths: Vec<usize>,
}

/// How two forms of a model differ, in one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Compared {
    /// CBOR of the golden samples, in base64.
    golden: String,
    same_class: Option<u64>,
    largest_difference: f32,
    mean_difference: f64,
    labelled: u64,
    right_before: Option<f64>,
    right_after: Option<f64>,
}

/// What the child found.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// It passed.
    Measured(Measurement),
    /// It was compared.
    Compared(Box<Compared>),
    /// What it says of each input: a class by its number, or a number.
    Said(Vec<Option<f64>>),
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
    let order = Order {
        interface: interface(&candidate.facts),
        onnx_bytes: candidate.onnx.len() as u64,
        golden_bytes: candidate.golden.len() as u64,
        limits,
        compare: None,
        say: false,
    };
    match parent::ask(program, &order, &[&candidate.onnx, &candidate.golden])? {
        Verdict::Measured(measured) => Ok(measured),
        Verdict::Refused(finding) => Err(VettingError::Refused(vec![finding])),
        Verdict::Compared(_) | Verdict::Said(_) => Err(VettingError::Start(unexpected())),
    }
}

/// A model, and inputs that it is to answer.
pub(crate) struct Question {
    pub(crate) facts: NewVersion,
    pub(crate) onnx: Bytes,
    /// As golden samples without outputs.
    pub(crate) inputs: Bytes,
}

/// What a model says of each input, as a device would say it: a class by its number, or a number.
pub(super) fn said(
    program: &Program,
    question: &Question,
    limits: Limits,
) -> Result<Vec<Option<f64>>, VettingError> {
    let order = Order {
        interface: interface(&question.facts),
        onnx_bytes: question.onnx.len() as u64,
        golden_bytes: question.inputs.len() as u64,
        limits,
        compare: None,
        say: true,
    };
    match parent::ask(program, &order, &[&question.onnx, &question.inputs])? {
        Verdict::Said(said) => Ok(said),
        Verdict::Refused(finding) => Err(VettingError::Refused(vec![finding])),
        Verdict::Measured(_) | Verdict::Compared(_) => Err(VettingError::Start(unexpected())),
    }
}

/// Two forms of a model, and what they are compared on.
pub(crate) struct Pair {
    pub(crate) facts: NewVersion,
    pub(crate) before: Bytes,
    pub(crate) after: Bytes,
    pub(crate) golden: Bytes,
    /// Inputs as golden samples without outputs.
    pub(crate) labelled: Bytes,
    /// The class of each of those.
    pub(crate) truths: Vec<usize>,
}

/// Runs both forms of a model; how they differ, or why one of them is refused.
pub(super) fn compare(
    program: &Program,
    pair: &Pair,
    limits: Limits,
) -> Result<Comparison, VettingError> {
    let order = Order {
        interface: interface(&pair.facts),
        onnx_bytes: pair.after.len() as u64,
        golden_bytes: pair.golden.len() as u64,
        limits,
        compare: Some(Compare {
            before_bytes: pair.before.len() as u64,
            labelled_bytes: pair.labelled.len() as u64,
            truths: pair.truths.clone(),
        }),
        say: false,
    };
    let files = [&pair.after, &pair.golden, &pair.before, &pair.labelled];
    let compared = match parent::ask(program, &order, &files.map(|file| &file[..]))? {
        Verdict::Compared(compared) => *compared,
        Verdict::Refused(finding) => return Err(VettingError::Refused(vec![finding])),
        Verdict::Measured(_) | Verdict::Said(_) => {
            return Err(VettingError::Start(unexpected()));
        }
    };
    let golden = STANDARD.decode(&compared.golden);
    let golden = golden.map_err(|err| VettingError::Start(io::Error::other(err)))?;
    Ok(Comparison {
        golden: read("golden", &golden)?,
        same_class: compared.same_class,
        largest_difference: compared.largest_difference,
        mean_difference: compared.mean_difference,
        labelled: compared.labelled,
        right_before: compared.right_before,
        right_after: compared.right_after,
    })
}

/// The process answered something else than it was asked.
fn unexpected() -> io::Error {
    io::Error::other("the process that vets answered another question")
}

fn interface(facts: &NewVersion) -> Interface {
    Interface {
        inputs: facts.inputs.clone(),
        outputs: facts.outputs.clone(),
        pre: facts.known_pre(),
        post: facts.known_post(),
        classes: facts.classes.len(),
        taps: Interface::taps(&facts.metrics),
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
