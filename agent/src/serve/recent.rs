//! The latest predictions, so that the truth about one can be joined with it.
//!
//! Called by `predict` and the feedback endpoint. Must never break: it has a bound; what fell out
//! of it is unknown, and the caller is told so.

use std::{collections::VecDeque, sync::Arc};

use tern_protocol::{
    id::{PredictionId, SlotName},
    log::{Label, NumberLabel},
    reported::SlotVersion,
    time::Instant,
};

use crate::{slots::Loaded, telemetry::Said};

/// Predictions that are remembered: 48 bytes each, so 3 MiB when full.
pub const RECENT_MAX: usize = 65_536;

/// A truth, joined with its prediction.
#[derive(Debug, Clone, PartialEq)]
pub enum Truth {
    /// Of a classifier.
    Class(Label),
    /// Of another model.
    Number(NumberLabel),
}

/// What is remembered of one.
#[derive(Debug)]
struct Memory {
    loaded: Arc<Identity>,
    said: Said,
    at: Instant,
}

/// Who predicted. Held instead of the model itself, which may leave memory meanwhile.
#[derive(Debug)]
struct Identity {
    slot: SlotName,
    version: SlotVersion,
    classes: Vec<String>,
}

/// The latest predictions, numbered without gaps.
#[derive(Debug)]
pub struct Recent {
    boot: tern_protocol::id::BootId,
    first: u64,
    memories: VecDeque<Memory>,
    /// The identity used last for each slot; a model has one for all its predictions.
    identities: Vec<Arc<Identity>>,
}

/// Why a truth is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeedbackError {
    /// Of an earlier boot, too old, or never made.
    #[error("the prediction {0} is not known; the latest {RECENT_MAX} of this boot are")]
    Unknown(PredictionId),
    /// Nothing that a truth could be compared with.
    #[error("the prediction {0} is neither a class nor a number")]
    Nothing(PredictionId),
    /// The model answers numbers.
    #[error("`{0}` is not a number, and the model answers numbers")]
    NotANumber(String),
    /// What made it serves no more.
    #[error("the version that made the prediction {0} serves no more, and its metrics are closed")]
    Gone(PredictionId),
    /// Not a class of the model.
    #[error("`{truth}` is not one of the model's {classes} classes, by name or index")]
    NotAClass {
        /// What was given.
        truth: String,
        /// How many classes there are.
        classes: usize,
    },
}

impl Recent {
    /// Nothing was predicted yet.
    pub fn new(boot: tern_protocol::id::BootId) -> Self {
        Self {
            boot,
            first: 1,
            memories: VecDeque::new(),
            identities: Vec::new(),
        }
    }

    /// Remembers a prediction; gives it its number.
    pub fn push(&mut self, loaded: &Loaded, said: Said, at: Instant) -> PredictionId {
        if self.memories.len() == RECENT_MAX {
            self.memories.pop_front();
            self.first += 1;
        }
        let number = self.first + self.memories.len() as u64;
        let loaded = self.identity(loaded);
        self.memories.push_back(Memory { loaded, said, at });
        PredictionId {
            boot: self.boot,
            number,
        }
    }

    fn identity(&mut self, loaded: &Loaded) -> Arc<Identity> {
        let known = self.identities.iter().position(|id| id.slot == loaded.slot);
        if let Some(at) = known
            && self.identities[at].version == loaded.kept.version
        {
            return Arc::clone(&self.identities[at]);
        }
        let identity = Arc::new(Identity {
            slot: loaded.slot.clone(),
            version: loaded.kept.version.clone(),
            classes: loaded.manifest.classes.clone(),
        });
        match known {
            Some(at) => self.identities[at] = Arc::clone(&identity),
            None => self.identities.push(Arc::clone(&identity)),
        }
        identity
    }

    fn memory(&self, id: PredictionId) -> Result<&Memory, FeedbackError> {
        let at = id.number.checked_sub(self.first);
        let memory = at.and_then(|at| self.memories.get(usize::try_from(at).ok()?));
        let memory = memory.filter(|_| id.boot == self.boot);
        memory.ok_or(FeedbackError::Unknown(id))
    }

    /// Which slot and version made a prediction.
    pub fn author(&self, id: PredictionId) -> Result<(SlotName, SlotVersion), FeedbackError> {
        let by = &self.memory(id)?.loaded;
        Ok((by.slot.clone(), by.version.clone()))
    }

    /// Joins a truth with its prediction: the name or the index of a class, or a number.
    pub fn truth(&self, id: PredictionId, truth: &str) -> Result<Truth, FeedbackError> {
        let memory = self.memory(id)?;
        let Identity {
            slot,
            version,
            classes,
        } = &*memory.loaded;
        let prediction = match memory.said {
            Said::Class(prediction) => prediction,
            Said::Nothing => return Err(FeedbackError::Nothing(id)),
            Said::Number { .. } => {
                let said = memory.said.number().ok_or(FeedbackError::Nothing(id))?;
                let number = truth.trim().parse().ok().filter(|it: &f64| it.is_finite());
                let number = number
                    .ok_or_else(|| FeedbackError::NotANumber(truth.chars().take(80).collect()))?;
                return Ok(Truth::Number(NumberLabel {
                    subject: None,
                    prediction: id,
                    slot: slot.clone(),
                    model: version.model.clone(),
                    version: version.version,
                    predicted: said.value,
                    truth: number,
                    low: said.low,
                    high: said.high,
                    predicted_at: memory.at,
                }));
            }
        };
        let named = classes.iter().position(|class| class == truth);
        let index = named.or_else(|| truth.parse().ok().filter(|index| *index < classes.len()));
        let index = index.ok_or_else(|| FeedbackError::NotAClass {
            truth: truth.chars().take(80).collect(),
            classes: classes.len(),
        })?;
        Ok(Truth::Class(Label {
            prediction: id,
            slot: slot.clone(),
            model: version.model.clone(),
            version: version.version,
            class: prediction.class,
            confidence: prediction.confidence,
            truth: index as u32,
            predicted_at: memory.at,
            subject: None,
        }))
    }
}
