//! Which inputs are kept for people to label, and what of them.
//!
//! Called by `serve` for every prediction that a truth can be compared with, by `shadow` for those that a candidate answered otherwise,
//! and by `node`, which writes captures down and remembers what has to be. [`policy`] and [`budget`] decide and are
//! pure; [`blur`] runs the operator's own program.
//!
//! Must never break:
//! - a prediction waits for nothing here but a lock that is held for the length of a decision;
//! - if only summaries are to be kept, no input leaves this module;
//! - of a subject that asked to be forgotten nothing is kept.

pub mod blur;
pub mod budget;
pub mod policy;

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tern_protocol::{
    capture::{self, CaptureRequest},
    digest::Digest,
    id::{ModelName, ModelVersion, PredictionId, SlotName, WorkspaceId},
    limits,
    log::Capture,
    tensor::{Dtype, Tensor},
};
use tokio::sync::mpsc;

use self::policy::{Decision, Draw, Facts, Memory, Policy};
use crate::{
    clock::Clock,
    config::Keep,
    node::Input,
    telemetry::{Bins, Said},
};

/// What whoever asks for a prediction may say about keeping its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wishes {
    /// Keep it.
    pub capture: bool,
    /// Whose it is.
    pub subject: Option<Digest>,
}

/// One answered row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its id.
    pub id: PredictionId,
    /// In which slot.
    pub slot: &'a SlotName,
    /// By which model.
    pub model: &'a ModelName,
    /// By which version.
    pub version: ModelVersion,
    /// What its reference gives to count on.
    pub bins: &'a Bins,
    /// The request's inputs, of all rows.
    pub inputs: &'a [Tensor],
    /// Its place among the rows.
    pub row: usize,
    /// How many rows there are.
    pub rows: usize,
    /// What was said of it.
    pub said: Said,
    /// The embedding of the whole request, if the model gives one.
    pub embedding: Option<&'a Tensor>,
    /// Whose it is.
    pub subject: Option<Digest>,
}

/// Keeps inputs, for all threads.
#[derive(Debug)]
pub struct Captures {
    policy: Mutex<Policy>,
    keep: Keep,
    disagreed_beyond: f32,
    workspace: WorkspaceId,
    clock: Clock,
    inputs: mpsc::Sender<Input>,
    skipped: AtomicU64,
    /// Number of the newest prediction of this start.
    newest: AtomicU64,
    /// What was remembered is in `policy`.
    restored: Mutex<bool>,
}

impl Captures {
    /// Decides by `policy`; what is kept goes into `inputs`.
    pub fn new(
        policy: Policy,
        workspace: WorkspaceId,
        clock: Clock,
        inputs: mpsc::Sender<Input>,
    ) -> Self {
        Self {
            keep: policy.settings().keep,
            disagreed_beyond: policy.settings().disagreed_beyond,
            policy: policy.into(),
            workspace,
            clock,
            inputs,
            skipped: AtomicU64::new(0),
            newest: AtomicU64::new(0),
            restored: false.into(),
        }
    }

    /// The hash that stands for somebody.
    pub fn subject(&self, name: &str) -> Digest {
        capture::subject(&self.workspace, name)
    }

    /// Inputs that were to be kept and passed over since the agent started: there was no room in the window or the
    /// budget, the input is too large, the disk does not keep up, or the blur hook failed. While this grows, captures
    /// say less about busy times than their probabilities claim.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// One more was passed over.
    pub fn skip(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
    }

    /// By how much numbers of two versions may differ and none of their inputs is kept, as
    /// [`tern_protocol::shadow::agree`] takes it.
    pub fn disagreed_beyond(&self) -> f32 {
        self.disagreed_beyond
    }

    /// Whether it is worth finding out how untypical inputs are.
    pub fn wants_untypical(&self) -> bool {
        self.policy().wants_untypical()
    }

    /// A row was answered: whether it is kept.
    pub fn answered(&self, row: &Row<'_>, untypical: Option<f32>, wishes: &Wishes) -> bool {
        self.newest.fetch_max(row.id.number, Ordering::Relaxed);
        let facts = Facts {
            slot: row.slot,
            model: row.model,
            class: row.said.class(),
            untypical,
            bytes: self.bytes(row) as u64,
            asked: wishes.capture,
            subject: row.subject.as_ref(),
        };
        let (now, wall) = (self.clock.uptime(), self.clock.wall());
        let decision = self.policy().decide(now, wall, &facts);
        self.carry_out(row, decision)
    }

    /// A version beside the one that serves said something else of a row that is not kept yet.
    pub fn disagreed(&self, row: &Row<'_>) {
        let (now, bytes) = (self.clock.uptime(), self.bytes(row) as u64);
        let subject = row.subject.as_ref();
        let decision = self.policy().disagreed(now, row.slot, bytes, subject);
        self.carry_out(row, decision);
    }

    fn carry_out(&self, row: &Row<'_>, decision: Decision) -> bool {
        let kept = match decision {
            Decision::Leave => return false,
            Decision::NoRoom => false,
            Decision::Keep(draw) => self.capture(row, draw).is_some_and(|capture| {
                // A full channel means that the disk does not keep up: inference goes first.
                self.inputs.try_send(Input::Capture(capture.into())).is_ok()
            }),
        };
        if !kept {
            self.skip();
        }
        kept
    }

    /// About how many bytes are kept of a row.
    fn bytes(&self, row: &Row<'_>) -> usize {
        let of = |tensor: Option<&Tensor>| {
            let all = tensor.map_or(0, |tensor| tensor.data.len());
            all / row.rows.max(1)
        };
        match self.keep {
            Keep::Inputs => of(row.inputs.first()),
            Keep::Features => row.bins.summary_bytes() + of(row.embedding),
        }
    }

    /// What is kept of a row; nothing if it is too large.
    fn capture(&self, row: &Row<'_>, draw: Draw) -> Option<Capture> {
        let (input, summary) = match self.keep {
            Keep::Inputs => {
                let input = of_row(row.inputs.first()?, row.row, row.rows)?;
                (
                    Some(input).filter(|it| it.data.len() <= limits::CAPTURE_INPUT)?,
                    None,
                )
            }
            Keep::Features => {
                let nothing = Tensor {
                    dtype: Dtype::F32,
                    shape: vec![0],
                    data: Vec::new(),
                };
                let values = of_row(row.inputs.first()?, row.row, row.rows)?.to_f32()?;
                let embedding = row.embedding;
                let embedding = embedding.and_then(|all| of_row(all, row.row, row.rows)?.to_f32());
                let embedding = embedding.filter(|values| values.len() <= limits::EMBEDDING);
                let summary = row.bins.summary(&values, embedding.unwrap_or_default());
                (nothing, Some(summary))
            }
        };
        let class = row.said.class();
        Some(Capture {
            prediction: row.id,
            slot: row.slot.clone(),
            model: row.model.clone(),
            version: row.version,
            input,
            class: class.map_or(0, |said| said.class),
            confidence: class.map_or(0.0, |said| said.confidence),
            probability: draw.probability,
            reasons: draw.reasons,
            request: draw.request,
            subject: row.subject,
            summary,
            number: row.said.number(),
        })
    }

    /// These are all requests that are open.
    pub fn ask(&self, requests: &[CaptureRequest]) {
        self.policy().ask(requests);
    }

    /// The windows were closed.
    pub fn next_window(&self) {
        self.policy().next_window();
    }

    /// The last erasure that was done.
    pub fn erased(&self) -> u64 {
        self.policy().erased()
    }

    /// An erasure was done: nothing is kept of its subject any more. Gives the number of the newest prediction: what is
    /// still on its way and not newer has to go as well.
    pub fn forget(&self, erasure: u64, subject: Option<Digest>) -> u64 {
        self.policy().forget(erasure, subject);
        self.newest.load(Ordering::Relaxed)
    }

    /// Whether nothing may be kept of this subject.
    pub fn is_forgotten(&self, subject: Option<&Digest>) -> bool {
        subject.is_some() && self.policy().is_forgotten(subject)
    }

    /// What has to be remembered.
    pub fn memory(&self) -> Memory {
        self.policy().memory(self.clock.wall())
    }

    /// Goes on where an earlier start ended; only once, since what is known here is newer after that.
    pub fn restore(&self, memory: Option<Memory>) {
        let mut restored = self.restored.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *restored, true)
            && let Some(memory) = memory
        {
            let (now, wall) = (self.clock.uptime(), self.clock.wall());
            self.policy().restore(memory, now, wall);
        }
    }

    fn policy(&self) -> MutexGuard<'_, Policy> {
        self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One row of a tensor.
fn of_row(tensor: &Tensor, row: usize, rows: usize) -> Option<Tensor> {
    let bytes = tensor.data.len().checked_div(rows)?;
    let mut shape = tensor.shape.clone();
    if rows > 1 {
        *shape.first_mut()? = 1;
    }
    Some(Tensor {
        dtype: tensor.dtype,
        shape,
        data: tensor.data.get(row * bytes..(row + 1) * bytes)?.to_vec(),
    })
}

#[cfg(test)]
mod tests;
