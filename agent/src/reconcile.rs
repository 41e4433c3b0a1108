//! Desired × observed → actions. Pure.
//!
//! Called by `node` after anything that happened, and it does not matter what that was. An action
//! changes what is observed; the next call decides anew, until there is nothing to do.
//!
//! Must never break:
//! - what serves is only replaced by what was vetted, or, when it fails, by what served before;
//! - a bundle that was refused is not tried again before desired names another one in between, or
//!   its time has come where another try may help;
//! - nothing is removed that serves, that a swap back needs, or that is on its way;
//! - nothing is fetched, vetted or activated that is not signed, or is revoked;
//! - what runs beside what serves ([`shadow`]) comes after all of it.

pub mod shadow;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tern_protocol::{
    blob::BlobRef,
    desired::{Desired, DesiredSlot},
    digest::Digest,
    id::SlotName,
    reported::{RejectReason, SlotVersion},
    time::Uptime,
};

use crate::{
    fetch::{BlobStatus, files::Stocked},
    room,
    slots::TRIAL_FAILURES,
    state::slot::Kept,
    trust::{Judgement, Signed},
};

/// What the device is.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Its slots.
    pub slots: BTreeMap<SlotName, ObservedSlot>,
    /// The blobs that are wanted or of which there is a file.
    pub blobs: BTreeMap<Digest, BlobStatus>,
    /// Blobs that others are made of.
    pub helping: BTreeSet<Digest>,
    /// What the device goes by.
    pub metadata: Metadata,
    /// Files of blobs, in the order in which they came.
    pub stock: Vec<Stocked>,
    /// Bytes that unneeded blobs have to give back.
    pub shortfall: u64,
    /// The disk is so full that all that can be left out is.
    pub is_short: bool,
}

/// The signed metadata.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    /// Which versions are signed, and which are revoked.
    pub signed: Signed,
    /// Blobs that are needed to verify what the hub offers; `None`: there is nothing to verify.
    pub needs: Option<Vec<BlobRef>>,
    /// They are being verified.
    pub verifying: bool,
    /// What is offered is of no use.
    pub refusal: Option<String>,
    /// Whether newer ones could come now.
    pub online: bool,
}

impl Metadata {
    /// Whether newer ones are on their way.
    fn pending(&self) -> bool {
        self.verifying || self.needs.is_some()
    }
}

/// One slot.
#[derive(Debug, Clone, Default)]
pub struct ObservedSlot {
    /// What it serves by its record.
    pub current: Option<Holding>,
    /// What it served before.
    pub previous: Option<Holding>,
    /// The manifest of what it served before, while it is fetched again.
    pub lost: Option<Digest>,
    /// What was refused last, and when another try makes sense.
    pub refused: Option<Refused>,
    /// What is on its way.
    pub candidate: Option<Candidate>,
    /// The record is still being turned into a loaded model.
    pub starting: bool,
    /// What serves failed its trial.
    pub failing: bool,
    /// It is not the time to activate anything.
    pub waits: bool,
    /// What runs beside what serves.
    pub shadow: shadow::ObservedShadow,
}

/// A bundle with its blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The bundle.
    pub bundle: Digest,
    /// Its manifest and parts.
    pub blobs: Vec<Digest>,
}

impl Holding {
    fn is_here(&self, observed: &Observed) -> bool {
        let mut all = self.blobs.iter().chain([&self.bundle]);
        all.all(|blob| observed.blobs.get(blob) == Some(&BlobStatus::Whole))
    }
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
    /// Since when it is on its way.
    pub since: Uptime,
}

/// How long a bundle may wait for metadata that list it, once they could come.
pub const SIGNATURE_PATIENCE: Duration = Duration::from_secs(30);

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
    SwapBack(SlotName, RejectReason, String),
    /// Verify the metadata that are here.
    VerifyMetadata,
    /// Do without the metadata that are offered.
    RefuseMetadata(String),
    /// Fetch a blob no more; what has come of it is kept as long as there is room.
    Forget(Digest),
    /// Remove a blob that nobody needs.
    Drop(Digest),
    /// Something about what runs beside what serves.
    Shadow(SlotName, shadow::Do),
}

/// What to do next. Applying all of it and asking again ends with nothing to do.
pub fn reconcile(desired: &Desired, observed: &Observed, now: Uptime) -> Vec<Action> {
    let mut actions = Vec::new();
    metadata(observed, &mut actions);
    for (name, slot) in &observed.slots {
        let want = desired.slots.iter().find(|want| want.slot == *name);
        one_slot(name, slot, want, observed, now, &mut actions);
    }
    if actions.is_empty() {
        shadow::shadows(desired, observed, now, &mut actions);
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
        let text = format!("{TRIAL_FAILURES} requests in a row failed in the engine");
        let reason = RejectReason::FailedServing;
        actions.push(Action::SwapBack(name.clone(), reason, text));
        return;
    }
    let signed = &observed.metadata.signed;
    if let (Some(current), Some(previous)) = (&slot.current, &slot.previous)
        && let Some(why) = signed.revoked(current.bundle)
        && signed.revoked(previous.bundle).is_none()
        && previous.is_here(observed)
    {
        // Without a version to return to it serves on until another one is here.
        let reason = RejectReason::Revoked;
        actions.push(Action::SwapBack(name.clone(), reason, why.to_owned()));
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
            // Without a version that serves, none is waited for.
            let waits = slot.waits && slot.current.is_some();
            if waits && matches!(candidate.step, Step::Vetted(_)) {
                return;
            }
            match judged(candidate, &signed.judge(want), &observed.metadata, now) {
                Verdict::Go => advance(name, candidate, observed, actions),
                Verdict::Wait => {}
                Verdict::Refuse(reason, text) => {
                    actions.push(Action::Reject(name.clone(), reason, text));
                }
            }
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

/// What is due of the metadata.
fn metadata(observed: &Observed, actions: &mut Vec<Action>) {
    let Metadata {
        needs,
        verifying,
        refusal,
        ..
    } = &observed.metadata;
    if let Some(text) = refusal {
        return actions.push(Action::RefuseMetadata(text.clone()));
    }
    let Some(needs) = needs.as_ref().filter(|_| !verifying) else {
        return;
    };
    let mut missing = false;
    for blob in needs {
        match observed.blobs.get(&blob.digest) {
            Some(BlobStatus::Whole) => {}
            Some(BlobStatus::Coming) => missing = true,
            Some(BlobStatus::Mismatch(text) | BlobStatus::NoSpace(text)) => {
                return actions.push(Action::RefuseMetadata(text.clone()));
            }
            Some(BlobStatus::Absent) | None => {
                missing = true;
                actions.push(Action::Fetch(*blob));
            }
        }
    }
    if !missing {
        actions.push(Action::VerifyMetadata);
    }
}

/// Whether a candidate may go on.
enum Verdict {
    Go,
    Wait,
    Refuse(RejectReason, String),
}

fn judged(
    candidate: &Candidate,
    judgement: &Judgement,
    metadata: &Metadata,
    now: Uptime,
) -> Verdict {
    let version = &candidate.kept.version;
    let named = format!("{} v{}", version.model, version.version);
    match judgement {
        Judgement::Signed => Verdict::Go,
        Judgement::Revoked(why) => {
            Verdict::Refuse(RejectReason::Revoked, format!("{named} is revoked: {why}"))
        }
        Judgement::Contradicted => Verdict::Refuse(
            RejectReason::Unsigned,
            format!("another bundle than this is signed as {named}"),
        ),
        // Metadata come by another way than desired states, and may be on it.
        Judgement::Unknown
            if !metadata.online
                || metadata.pending()
                || now.since(candidate.since) < SIGNATURE_PATIENCE =>
        {
            Verdict::Wait
        }
        Judgement::Unknown => Verdict::Refuse(
            RejectReason::Unsigned,
            format!("the signed metadata do not list {named}"),
        ),
    }
}

/// The next step of a candidate.
fn advance(name: &SlotName, candidate: &Candidate, observed: &Observed, actions: &mut Vec<Action>) {
    match next(candidate, observed) {
        Next::Nothing => {}
        Next::Fetch(blobs) => actions.extend(blobs.into_iter().map(Action::Fetch)),
        Next::ReadManifest => actions.push(Action::ReadManifest(name.clone())),
        Next::Vet => actions.push(Action::Vet(name.clone())),
        Next::Activate => actions.push(Action::Activate(name.clone())),
        Next::Refuse(reason, text) => actions.push(Action::Reject(name.clone(), reason, text)),
    }
}

/// What a candidate needs next.
enum Next {
    /// What it waits for is on its way.
    Nothing,
    Fetch(Vec<BlobRef>),
    ReadManifest,
    Vet,
    Activate,
    Refuse(RejectReason, String),
}

fn next(candidate: &Candidate, observed: &Observed) -> Next {
    let (needs, then) = match &candidate.step {
        Step::Manifest => (
            std::slice::from_ref(&candidate.kept.bundle),
            Next::ReadManifest,
        ),
        Step::Parts(parts) => (&parts[..], Next::Vet),
        Step::Vetting(_) => return Next::Nothing,
        Step::Vetted(_) => return Next::Activate,
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
            BlobStatus::Absent => fetches.push(*blob),
            BlobStatus::Mismatch(text) => {
                return Next::Refuse(RejectReason::DigestMismatch, text.clone());
            }
            BlobStatus::NoSpace(text) => {
                return Next::Refuse(RejectReason::NoSpace, text.clone());
            }
        }
    }
    match (fetches.is_empty(), missing) {
        (false, _) => Next::Fetch(fetches),
        (true, true) => Next::Nothing,
        (true, false) => then,
    }
}

/// Blobs that nobody needs: they are fetched no more, and go if their room is asked for. Until then they
/// stay, so that going back to them costs nothing. Nothing while a slot is starting: its record may not be
/// known yet.
fn litter(observed: &Observed) -> Vec<Action> {
    if observed.slots.values().any(|slot| slot.starting) || observed.metadata.verifying {
        return Vec::new();
    }
    let needed = needed(observed);
    let gone = room::evict(&observed.stock, &needed, observed.shortfall);
    let unneeded = observed.blobs.iter().filter(|(blob, status)| {
        let is_under_way = !matches!(status, BlobStatus::Whole | BlobStatus::Absent);
        is_under_way && !needed.contains(blob) && !gone.contains(blob)
    });
    let forgotten = unneeded.map(|(blob, _)| Action::Forget(*blob));
    let dropped = gone.iter().map(|blob| Action::Drop(*blob));
    forgotten.chain(dropped).collect()
}

/// Blobs that somebody needs: what serves, its predecessor, what is on its way, metadata, and what runs
/// beside what serves.
pub fn needed(observed: &Observed) -> BTreeSet<&Digest> {
    let mut needed = needed_to_serve(observed);
    for shadow in observed.slots.values().map(|slot| &slot.shadow) {
        let holding = shadow.holding.iter();
        needed.extend(holding.flat_map(|h| h.blobs.iter().chain([&h.bundle])));
        if let Some(candidate) = &shadow.candidate {
            needed.insert(&candidate.kept.bundle.digest);
            needed.extend(candidate.parts().iter().map(|blob| &blob.digest));
        }
    }
    needed
}

/// Of these, those that are needed by more than what runs beside what serves.
pub fn needed_to_serve(observed: &Observed) -> BTreeSet<&Digest> {
    let mut needed: BTreeSet<&Digest> = observed
        .metadata
        .needs
        .iter()
        .flatten()
        .map(|blob| &blob.digest)
        .chain(&observed.helping)
        .collect();
    for slot in observed.slots.values() {
        let holdings = slot.current.iter().chain(&slot.previous);
        needed.extend(holdings.flat_map(|h| h.blobs.iter().chain([&h.bundle])));
        needed.extend(&slot.lost);
        if let Some(candidate) = &slot.candidate {
            needed.insert(&candidate.kept.bundle.digest);
            needed.extend(candidate.parts().iter().map(|blob| &blob.digest));
        }
    }
    needed
}

#[cfg(test)]
mod tests;
