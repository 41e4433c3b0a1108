//! Desired × observed → actions, for versions that run beside what serves. Pure.
//!
//! Must never break:
//! - all that serves comes first: nothing of a shadow is fetched or vetted while anything is on its way
//!   that is to serve, and its blobs go when there is no room for others;
//! - whatever becomes of a shadow touches nothing but the shadow.

use tern_protocol::{
    desired::{Desired, DesiredShadow, DesiredSlot},
    reported::{RejectReason, SlotVersion},
    time::Uptime,
};

use super::{
    Action, Candidate, Holding, Next, Observed, ObservedSlot, Refused, Step, Verdict, judged, next,
};
use crate::{fetch::BlobStatus, state::slot::Kept, trust::Judgement};

/// What runs beside what serves in one slot, or is to.
#[derive(Debug, Clone, Default)]
pub struct ObservedShadow {
    /// What is remembered of it: its blobs are kept.
    pub holding: Option<Holding>,
    /// What is on its way, or runs.
    pub candidate: Option<Candidate>,
    /// It runs, with this share of a processor, in thousandths.
    pub running: Option<u16>,
    /// It is fetched no more until nothing is on its way that is to serve.
    pub paused: bool,
    /// What was refused last, and when another try makes sense.
    pub refused: Option<Refused>,
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Do {
    /// Remember a bundle as the one on its way.
    Begin(Kept),
    /// Fetch it no more for now.
    Pause,
    /// Fetch it again.
    Resume,
    /// Read the manifest that is here.
    ReadManifest,
    /// Load what is here and run it on its golden samples.
    Vet,
    /// Let it run, with this share of a processor, in thousandths.
    Run(u16),
    /// Give what runs another share.
    Pace(u16),
    /// Refuse it; what runs ends.
    Refuse(RejectReason, String),
    /// Let go all there is of it; what runs ends.
    End,
}

/// What is due of all shadows.
pub(super) fn shadows(
    desired: &Desired,
    observed: &Observed,
    now: Uptime,
    actions: &mut Vec<Action>,
) {
    let mut may_vet = at_rest(observed);
    let vetting = |slot: &ObservedSlot| {
        let candidate = slot.shadow.candidate.as_ref();
        candidate.is_some_and(|candidate| matches!(candidate.step, Step::Vetting(_)))
    };
    // One at a time: each takes as much memory and time as vetting may.
    may_vet &= !observed.slots.values().any(vetting);
    for (name, slot) in &observed.slots {
        let want = desired.shadows.iter().find(|want| want.slot == *name);
        let due = one(slot, want, observed, now, actions);
        match due {
            Some(Do::Vet) if !may_vet => continue,
            Some(Do::Vet) => may_vet = false,
            _ => {}
        }
        actions.extend(due.map(|due| Action::Shadow(name.clone(), due)));
    }
}

/// Whether nothing is on its way that is to serve, or serves and is damaged. What waits for its
/// activation window is here already.
fn at_rest(observed: &Observed) -> bool {
    let metadata = &observed.metadata;
    let waits = |slot: &ObservedSlot| {
        slot.candidate.as_ref().is_none_or(|candidate| {
            matches!(candidate.step, Step::Vetted(_)) && slot.waits && slot.current.is_some()
        })
    };
    let is_coming = |slot: &ObservedSlot| {
        let held = slot.current.iter().chain(&slot.previous);
        let held = held.flat_map(|holding| holding.blobs.iter().chain([&holding.bundle]));
        let mut held = held.chain(&slot.lost);
        held.any(|blob| observed.blobs.get(blob) == Some(&BlobStatus::Coming))
    };
    let rests =
        |slot: &ObservedSlot| !slot.starting && !slot.failing && waits(slot) && !is_coming(slot);
    !metadata.pending() && observed.slots.values().all(rests)
}

/// What is due of one; fetches go to `actions`.
fn one(
    slot: &ObservedSlot,
    want: Option<&DesiredShadow>,
    observed: &Observed,
    now: Uptime,
    actions: &mut Vec<Action>,
) -> Option<Do> {
    let shadow = &slot.shadow;
    if slot.starting {
        return None;
    }
    let is_there =
        shadow.holding.is_some() || shadow.candidate.is_some() || shadow.refused.is_some();
    let serves = |bundle| {
        let current = slot.current.as_ref();
        current.is_some_and(|current| current.bundle == bundle)
    };
    let Some(want) = want.filter(|want| !serves(want.bundle.digest)) else {
        return is_there.then_some(Do::End);
    };
    let bundle = want.bundle.digest;
    let is_other = shadow.candidate.as_ref().map(|c| c.kept.bundle.digest) != Some(bundle);
    if is_other && shadow.candidate.is_some() {
        return Some(Do::End);
    }
    if let Some(refused) = &shadow.refused {
        if refused.bundle != bundle {
            return Some(Do::End);
        }
        if refused.retry_at.is_none_or(|at| now < at) {
            return None;
        }
    }
    let rests = at_rest(observed);
    let Some(candidate) = &shadow.candidate else {
        let may_begin = rests && slot.current.is_some() && !observed.is_short;
        return may_begin.then(|| Do::Begin(kept(want)));
    };
    let judgement = observed.metadata.signed.judge(&as_slot(want));
    let is_running = shadow.running.is_some();
    match judged(candidate, &judgement, &observed.metadata, now) {
        Verdict::Go => {}
        // What was signed when it began is, until they say otherwise.
        Verdict::Wait | Verdict::Refuse(..) if is_running && judgement == Judgement::Unknown => {}
        Verdict::Wait => return None,
        Verdict::Refuse(reason, text) => return Some(Do::Refuse(reason, text)),
    }
    if observed.is_short {
        let text = "the disk is nearly full, and a shadow is the first to go";
        return Some(Do::Refuse(RejectReason::NoSpace, text.into()));
    }
    if let Some(permille) = shadow.running {
        return (permille != want.cpu_permille).then_some(Do::Pace(want.cpu_permille));
    }
    match (rests, shadow.paused) {
        (false, true) => return None,
        (false, false) => {
            let fetches = matches!(candidate.step, Step::Manifest | Step::Parts(_));
            return fetches.then_some(Do::Pause);
        }
        (true, true) => return Some(Do::Resume),
        (true, false) => {}
    }
    match next(candidate, observed) {
        Next::Nothing => None,
        Next::Fetch(blobs) => {
            actions.extend(blobs.into_iter().map(Action::Fetch));
            None
        }
        Next::ReadManifest => Some(Do::ReadManifest),
        Next::Vet => Some(Do::Vet),
        Next::Activate => Some(Do::Run(want.cpu_permille)),
        Next::Refuse(reason, text) => Some(Do::Refuse(reason, text)),
    }
}

fn kept(want: &DesiredShadow) -> Kept {
    Kept {
        version: SlotVersion {
            model: want.model.clone(),
            version: want.version,
            bundle: want.bundle.digest,
        },
        bundle: want.bundle,
    }
}

/// The same as if it were to serve, for whoever judges that.
fn as_slot(want: &DesiredShadow) -> DesiredSlot {
    DesiredSlot {
        slot: want.slot.clone(),
        model: want.model.clone(),
        version: want.version,
        bundle: want.bundle,
        offers: Vec::new(),
    }
}
