//! The latest predictions, so that the truth about one can be joined with it.
//!
//! Called by `predict` and the feedback endpoint. Must never break: it has a bound; what fell out
//! of it is unknown, and the caller is told so.

use std::{collections::VecDeque, sync::Arc};

use tern_protocol::{id::PredictionId, log::Label, time::Instant};

use crate::{slots::Loaded, telemetry::Prediction};

/// Predictions that are remembered: 32 bytes each, so 2 MiB when full.
pub const RECENT_MAX: usize = 65_536;

/// What is remembered of one.
#[derive(Debug)]
struct Memory {
    loaded: Arc<Identity>,
    prediction: Option<Prediction>,
    at: Instant,
}

/// Who predicted. Held instead of the model itself, which may leave memory meanwhile.
#[derive(Debug)]
struct Identity {
    slot: tern_protocol::id::SlotName,
    version: tern_protocol::reported::SlotVersion,
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
    /// The model is not a classifier.
    #[error("the prediction {0} has no class: its model is not a classifier")]
    NoClass(PredictionId),
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
    pub fn push(
        &mut self,
        loaded: &Loaded,
        prediction: Option<Prediction>,
        at: Instant,
    ) -> PredictionId {
        if self.memories.len() == RECENT_MAX {
            self.memories.pop_front();
            self.first += 1;
        }
        let number = self.first + self.memories.len() as u64;
        let loaded = self.identity(loaded);
        self.memories.push_back(Memory {
            loaded,
            prediction,
            at,
        });
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

    /// Joins a truth, the name or the index of a class, with its prediction.
    pub fn label(&self, id: PredictionId, truth: &str) -> Result<Label, FeedbackError> {
        let at = id.number.checked_sub(self.first);
        let memory = at.and_then(|at| self.memories.get(usize::try_from(at).ok()?));
        let memory = memory.filter(|_| id.boot == self.boot);
        let memory = memory.ok_or(FeedbackError::Unknown(id))?;
        let prediction = memory.prediction.ok_or(FeedbackError::NoClass(id))?;
        let Identity {
            slot,
            version,
            classes,
        } = &*memory.loaded;
        let named = classes.iter().position(|class| class == truth);
        let index = named.or_else(|| truth.parse().ok().filter(|index| *index < classes.len()));
        let index = index.ok_or_else(|| FeedbackError::NotAClass {
            truth: truth.chars().take(80).collect(),
            classes: classes.len(),
        })?;
        Ok(Label {
            prediction: id,
            slot: slot.clone(),
            model: version.model.clone(),
            version: version.version,
            class: prediction.class,
            confidence: prediction.confidence,
            truth: index as u32,
            predicted_at: memory.at,
            subject: None,
        })
    }
}
