//! Desired × observed → actions. Pure.
//!
//! Called by `node` after anything that happened, and it does not matter what that was. An action
//! changes what is observed; the next call decides anew, until there is nothing to do.
//!
//! Must never break:
//! - what serves is only replaced by what was vetted, or, when it fails, by what served before;
//! - a bundle that was refused is not tried again before desired names another one in between, or
//!   its time has come where another try may help;
//! - nothing is removed that serves, that a swap back needs, or that is on its way.

use std::collections::{BTreeMap, BTreeSet};

use tern_protocol::{
    blob::BlobRef,
    desired::{Desired, DesiredSlot},
    digest::Digest,
    id::SlotName,
    reported::{RejectReason, SlotVersion},
    time::Uptime,
};

use crate::{fetch::BlobStatus, state::slot::Kept};

/// What the device is.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Its slots.
    pub slots: BTreeMap<SlotName, ObservedSlot>,
    /// The blobs that are wanted or of which there is a file.
    pub blobs: BTreeMap<Digest, BlobStatus>,
}

/// One slot.
#[derive(Debug, Clone, Default)]
pub struct ObservedSlot {
    /// What it serves by its record.
    pub current: Option<Holding>,
    /// What it served before.
    pub previous: Option<Holding>,
    /// What was refused last, and when another try makes sense.
    pub refused: Option<Refused>,
    /// What is on its way.
    pub candidate: Option<Candidate>,
    /// The record is still being turned into a loaded model.
    pub starting: bool,
    /// What serves failed its trial.
    pub failing: bool,
}

/// A bundle with its blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The bundle.
    pub bundle: Digest,
    /// Its manifest and parts.
    pub blobs: Vec<Digest>,
}

/// A bundle that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub bundle: Digest,
    /// When to try again; `None`: not before desired changes.
    pub retry_at: Option<Uptime>,
}

/// A bundle on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What it is.
    pub kept: Kept,
    /// How far.
    pub step: Step,
}

/// Steps on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The manifest is awaited.
    Manifest,
    /// The parts are awaited.
    Parts(Vec<BlobRef>),
    /// It is being loaded and run on its golden samples. The parts are kept meanwhile.
    Vetting(Vec<BlobRef>),
    /// It may serve.
    Vetted(Vec<BlobRef>),
}

impl Candidate {
    /// The parts, once the manifest is known.
    pub fn parts(&self) -> &[BlobRef] {
        match &self.step {
            Step::Manifest => &[],
            Step::Parts(parts) | Step::Vetting(parts) | Step::Vetted(parts) => parts,
        }
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Remember a bundle as the one on its way; what was on its way before is let go.
    Begin(SlotName, Kept),
    /// Let go what is on its way.
    Abandon(SlotName),
    /// Forget what was refused: desired names something else now.
    Forgive(SlotName),
    /// Want a blob.
    Fetch(BlobRef),
    /// Read the manifest that is here.
    ReadManifest(SlotName),
    /// Load what is here and run it on its golden samples.
    Vet(SlotName),
    /// Let it serve.
    Activate(SlotName),
    /// Refuse it.
    Reject(SlotName, RejectReason, String),
    /// Return to what served before.
    SwapBack(SlotName),
    /// Remove a blob that nobody needs.
    Drop(Digest),
}

/// What to do next. Applying all of it and asking again ends with nothing to do.
pub fn reconcile(desired: &Desired, observed: &Observed, now: Uptime) -> Vec<Action> {
    let mut actions = Vec::new();
    for (name, slot) in &observed.slots {
        let want = desired.slots.iter().find(|want| want.slot == *name);
        one_slot(name, slot, want, observed, now, &mut actions);
    }
    if actions.is_empty() {
        actions.extend(litter(observed));
    }
    actions
}

fn one_slot(
    name: &SlotName,
    slot: &ObservedSlot,
    want: Option<&DesiredSlot>,
    observed: &Observed,
    now: Uptime,
    actions: &mut Vec<Action>,
) {
    if slot.starting {
        return;
    }
    if slot.failing && slot.current.is_some() {
        actions.push(Action::SwapBack(name.clone()));
        return;
    }
    let abandon = |actions: &mut Vec<Action>| {
        if slot.candidate.is_some() {
            actions.push(Action::Abandon(name.clone()));
        }
    };
    let Some(want) = want else {
        return abandon(actions);
    };
    let bundle = want.bundle.digest;
    if let Some(refused) = &slot.refused {
        if refused.bundle != bundle {
            actions.push(Action::Forgive(name.clone()));
        } else if refused.retry_at.is_none_or(|at| now < at) {
            return abandon(actions);
        }
    }
    if slot.current.as_ref().is_some_and(|c| c.bundle == bundle) {
        return abandon(actions);
    }
    match &slot.candidate {
        Some(candidate) if candidate.kept.bundle == want.bundle => {
            advance(name, candidate, observed, actions);
        }
        _ => {
            let version = SlotVersion {
                model: want.model.clone(),
                version: want.version,
                bundle,
            };
            let kept = Kept {
                version,
                bundle: want.bundle,
            };
            actions.push(Action::Begin(name.clone(), kept));
        }
    }
}

/// The next step of a candidate.
fn advance(name: &SlotName, candidate: &Candidate, observed: &Observed, actions: &mut Vec<Action>) {
    let (needs, then) = match &candidate.step {
        Step::Manifest => (
            std::slice::from_ref(&candidate.kept.bundle),
            Action::ReadManifest(name.clone()),
        ),
        Step::Parts(parts) => (&parts[..], Action::Vet(name.clone())),
        Step::Vetting(_) => return,
        Step::Vetted(_) => return actions.push(Action::Activate(name.clone())),
    };
    let mut missing = false;
    let mut fetches = Vec::new();
    for blob in needs {
        match observed
            .blobs
            .get(&blob.digest)
            .unwrap_or(&BlobStatus::Absent)
        {
            BlobStatus::Whole => {}
            BlobStatus::Coming => missing = true,
            BlobStatus::Absent => {
                missing = true;
                fetches.push(Action::Fetch(*blob));
            }
            BlobStatus::Mismatch(text) => {
                let reason = RejectReason::DigestMismatch;
                return actions.push(Action::Reject(name.clone(), reason, text.clone()));
            }
            BlobStatus::NoSpace(text) => {
                let reason = RejectReason::NoSpace;
                return actions.push(Action::Reject(name.clone(), reason, text.clone()));
            }
        }
    }
    actions.extend(fetches);
    if !missing {
        actions.push(then);
    }
}

/// Blobs that nobody needs. Nothing while a slot is starting: its record may not be known yet.
fn litter(observed: &Observed) -> Vec<Action> {
    if observed.slots.values().any(|slot| slot.starting) {
        return Vec::new();
    }
    let mut needed = BTreeSet::new();
    for slot in observed.slots.values() {
        let holdings = slot.current.iter().chain(&slot.previous);
        needed.extend(holdings.flat_map(|h| h.blobs.iter().chain([&h.bundle])));
        if let Some(candidate) = &slot.candidate {
            needed.insert(&candidate.kept.bundle.digest);
            needed.extend(candidate.parts().iter().map(|blob| &blob.digest));
        }
    }
    let litter = observed.blobs.keys().filter(|blob| !needed.contains(blob));
    litter.map(|digest| Action::Drop(*digest)).collect()
}

#[cfg(test)]
mod tests;
