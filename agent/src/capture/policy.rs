//! Whether one input is kept, and with which probability. Pure: what is known of a prediction, the time and what was
//! before go in, a draw comes out.
//!
//! Three policies draw, each by itself and with a probability that is known before: unsure, drifted, random. What
//! travels is the probability that at least one of them hits, 1 − Π(1 − pᵢ). Others keep an input because of what it
//! turned out to be or because somebody wants it. Nobody knows how probable that was, so whatever no draw hit travels
//! with probability 0, and no estimate counts it; what a draw hit keeps its own, whoever wanted it besides.
//!
//! Must never break: whether an input is drawn depends on nothing but its probability and chance.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use tern_protocol::{
    capture::{CaptureRequest, Reasons},
    digest::Digest,
    id::{ModelName, SlotName},
    time::{Uptime, WallTime},
};

use super::budget::{Budget, Remembered};
use crate::{chance::Chance, config, telemetry::Prediction};

/// Subjects of which nothing is kept that are remembered: the hub keeps nothing of all others either.
const FORGOTTEN_MAX: usize = 1024;

/// What is known of a prediction before anything is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// In which slot.
    pub slot: &'a SlotName,
    /// By which model.
    pub model: &'a ModelName,
    /// What a classifier said; nothing of a model that answers numbers, which is never unsure.
    pub class: Option<Prediction>,
    /// How untypical the input is, 0 to 1; none if that is not known.
    pub untypical: Option<f32>,
    /// Its bytes.
    pub bytes: u64,
    /// Whether whoever asked for the prediction asked for the capture.
    pub asked: bool,
    /// Whose input it is.
    pub subject: Option<&'a Digest>,
}

/// An input that is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// The probability with which it was drawn; 0 if it was not.
    pub probability: f32,
    /// Why it is kept.
    pub reasons: Reasons,
    /// For which request.
    pub request: Option<u64>,
}

/// What came of the facts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// It is kept.
    Keep(Draw),
    /// It is not.
    Leave,
    /// It would be, and there is no room: in the window, or in the budget.
    NoRoom,
}

/// What has to be remembered over a start of the agent.
#[derive(Debug, Clone, PartialEq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Memory {
    #[n(0)]
    budget: Remembered,
    /// How many were kept for each request that is still open.
    #[n(1)]
    #[cbor(default)]
    given: BTreeMap<u64, u32>,
    /// Subjects of which nothing is kept, the newest last.
    #[n(2)]
    #[cbor(default)]
    forgotten: Vec<Digest>,
    /// The last erasure that was done.
    #[n(3)]
    #[cbor(default)]
    pub erased: u64,
}

/// What was kept in a window of one slot.
#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    drawn: u32,
    others: u32,
}

/// Decides by drawing.
#[derive(Debug)]
pub struct Policy {
    settings: config::Captures,
    chance: Chance,
    budget: Budget,
    window: BTreeMap<SlotName, Kept>,
    requests: Vec<CaptureRequest>,
    given: BTreeMap<u64, u32>,
    forgotten: Vec<Digest>,
    forgotten_index: BTreeSet<Digest>,
    erased: u64,
}

impl Policy {
    /// As set by a person, drawing from `chance`.
    pub fn new(settings: config::Captures, chance: Chance, now: Uptime) -> Self {
        let bytes = settings.bytes_per_day.map(|bytes| bytes.0);
        Self {
            budget: Budget::new(settings.per_day.map(u64::from), bytes, now),
            settings,
            chance,
            window: BTreeMap::new(),
            requests: Vec::new(),
            given: BTreeMap::new(),
            forgotten: Vec::new(),
            forgotten_index: BTreeSet::new(),
            erased: 0,
        }
    }

    /// What was set.
    pub fn settings(&self) -> &config::Captures {
        &self.settings
    }

    /// Whether it is worth finding out how untypical an input is.
    pub fn wants_untypical(&self) -> bool {
        self.settings.enabled && self.settings.drifted_share > 0.0
    }

    /// Decides about one prediction.
    pub fn decide(&mut self, now: Uptime, wall: Option<WallTime>, facts: &Facts<'_>) -> Decision {
        if !self.settings.enabled || self.is_forgotten(facts.subject) {
            return Decision::Leave;
        }
        let kept = self.window.get(facts.slot).copied().unwrap_or_default();
        let has_room = kept.drawn + kept.others < self.settings.per_window;
        let shares = self.shares(facts);
        let lowered = if has_room {
            self.budget.lower(now, together(&shares, 1.0), facts.bytes)
        } else {
            0.0
        };
        let mut draw = Draw {
            probability: 0.0,
            reasons: Reasons::default(),
            request: None,
        };
        let mut missed = false;
        for (reason, share) in shares {
            if share <= 0.0 {
                continue;
            }
            let at = self.chance.unit();
            if at < share * lowered {
                draw.reasons = draw.reasons.and(reason);
            }
            missed |= lowered <= 0.0 && at < share;
        }
        let drawn = !draw.reasons.is_none();
        if drawn {
            draw.probability = together(&shares, lowered) as f32;
        }
        let request = self.request_for(facts, wall);
        let may = drawn || self.may_keep_other(now, facts.slot, facts.bytes);
        if may && let Some(request) = request {
            draw.reasons = draw.reasons.and(Reasons::REQUESTED);
            draw.request = Some(request);
        }
        if may && facts.asked {
            draw.reasons = draw.reasons.and(Reasons::ASKED);
        }
        if draw.reasons.is_none() {
            let wanted = missed || facts.asked || request.is_some();
            return if wanted {
                Decision::NoRoom
            } else {
                Decision::Leave
            };
        }
        self.keep(facts.slot, facts.bytes, &draw);
        Decision::Keep(draw)
    }

    /// Decides about an input of which a version beside the one that serves said something else.
    pub fn disagreed(
        &mut self,
        now: Uptime,
        slot: &SlotName,
        bytes: u64,
        subject: Option<&Digest>,
    ) -> Decision {
        let share = self.settings.disagreed_share;
        let off = !self.settings.enabled || self.is_forgotten(subject);
        if off || !self.chance.hits(share) {
            return Decision::Leave;
        }
        if !self.may_keep_other(now, slot, bytes) {
            return Decision::NoRoom;
        }
        let draw = Draw {
            probability: 0.0,
            reasons: Reasons::DISAGREED,
            request: None,
        };
        self.keep(slot, bytes, &draw);
        Decision::Keep(draw)
    }

    /// The probability of each policy that concerns the input, before the budget lowers it.
    fn shares(&self, facts: &Facts<'_>) -> [(Reasons, f64); 3] {
        let settings = &self.settings;
        let unsure = facts.class.is_some_and(|said| {
            said.confidence < settings.unsure_below || said.margin < settings.unsure_margin
        });
        let drifted = facts
            .untypical
            .is_some_and(|share| share >= settings.drifted_above);
        let of = |is: bool, share: f32| if is { f64::from(share) } else { 0.0 };
        [
            (Reasons::UNSURE, of(unsure, settings.unsure_share)),
            (Reasons::DRIFTED, of(drifted, settings.drifted_share)),
            (Reasons::RANDOM, of(true, settings.random_share)),
        ]
    }

    /// What no draw hit gets half of a window and half of what may be spent at once, and leaves the rest to what
    /// estimates stand on.
    fn may_keep_other(&mut self, now: Uptime, slot: &SlotName, bytes: u64) -> bool {
        let kept = self.window.get(slot).copied().unwrap_or_default();
        let most = self.settings.per_window;
        let fits = kept.others < most.div_ceil(2) && kept.drawn + kept.others < most;
        fits && self.budget.spares(now, bytes)
    }

    fn keep(&mut self, slot: &SlotName, bytes: u64, draw: &Draw) {
        self.budget.spend(bytes);
        let kept = self.window.entry(slot.clone()).or_default();
        if draw.probability > 0.0 {
            kept.drawn += 1;
        } else {
            kept.others += 1;
        }
        if let Some(request) = draw.request {
            *self.given.entry(request).or_default() += 1;
        }
    }

    /// The first request that still wants such an input.
    fn request_for(&self, facts: &Facts<'_>, wall: Option<WallTime>) -> Option<u64> {
        let wants = |request: &&CaptureRequest| {
            let given = self.given.get(&request.id).copied().unwrap_or_default();
            given < request.count
                && request.slot.as_ref().is_none_or(|slot| slot == facts.slot)
                && request
                    .model
                    .as_ref()
                    .is_none_or(|model| model == facts.model)
                && wall.is_none_or(|wall| wall < request.until)
        };
        self.requests.iter().find(wants).map(|request| request.id)
    }

    /// These are all requests that are open.
    pub fn ask(&mut self, requests: &[CaptureRequest]) {
        self.requests = requests.to_vec();
        let open: BTreeSet<u64> = requests.iter().map(|request| request.id).collect();
        self.given.retain(|id, _| open.contains(id));
    }

    /// The windows were closed: the next ones begin.
    pub fn next_window(&mut self) {
        self.window.clear();
    }

    /// The last erasure that was done.
    pub fn erased(&self) -> u64 {
        self.erased
    }

    /// An erasure was done; of its subject, if it has one, nothing is kept any more.
    pub fn forget(&mut self, erasure: u64, subject: Option<Digest>) {
        self.erased = self.erased.max(erasure);
        let Some(subject) = subject else {
            return;
        };
        if self.forgotten_index.insert(subject) {
            self.forgotten.push(subject);
        }
        if self.forgotten.len() > FORGOTTEN_MAX {
            let oldest = self.forgotten.remove(0);
            self.forgotten_index.remove(&oldest);
        }
    }

    /// Whether nothing may be kept of this subject.
    pub fn is_forgotten(&self, subject: Option<&Digest>) -> bool {
        subject.is_some_and(|subject| self.forgotten_index.contains(subject))
    }

    /// What has to be remembered.
    pub fn memory(&self, wall: Option<WallTime>) -> Memory {
        Memory {
            budget: self.budget.remembered(wall),
            given: self.given.clone(),
            forgotten: self.forgotten.clone(),
            erased: self.erased,
        }
    }

    /// Goes on where an earlier start ended.
    pub fn restore(&mut self, memory: Memory, now: Uptime, wall: Option<WallTime>) {
        self.budget.restore(&memory.budget, now, wall);
        self.given = memory.given;
        self.erased = memory.erased;
        self.forgotten_index = memory.forgotten.iter().copied().collect();
        self.forgotten = memory.forgotten;
    }
}

/// The probability that at least one policy hits, each lowered.
fn together(shares: &[(Reasons, f64); 3], lowered: f64) -> f64 {
    let missed = shares.iter().map(|(_, share)| 1.0 - share * lowered);
    1.0 - missed.product::<f64>()
}

#[cfg(test)]
mod tests;
