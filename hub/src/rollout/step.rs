//! The decision: where each device of a rollout stands, and what to do next. Pure.

use std::{
    collections::{BTreeSet, HashSet},
    fmt::Write as _,
};

use tern_protocol::{
    digest::Digest,
    id::{DeviceId, RolloutId},
    rest::{RolloutCounts, RolloutDeviceState, RolloutState, Stage},
};

use super::plan::{Before, Candidate, Rollout};
use crate::{
    deltas::HOLD,
    fleet::facts::{Assigned, DeviceFacts},
};

/// What to do for one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Want the rollout's version on it.
    Assign(DeviceId),
    /// Want again what was wanted before.
    GiveBack(DeviceId, Option<Assigned>),
}

/// How a rollout stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Its state.
    pub state: RolloutState,
    /// One sentence for a person.
    pub reason: String,
    /// Devices by where they are.
    pub counts: RolloutCounts,
}

/// Where one device of a rollout stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Where it is.
    pub state: RolloutDeviceState,
    /// Share of the bytes that it has, while in progress.
    pub progress: Option<f64>,
    /// Why it failed, or waits.
    pub reason: String,
}

/// Looks at a rollout and its devices. `candidates` are all devices that have the slot.
pub fn step(rollout: &Rollout, candidates: &[Candidate<'_>]) -> (Progress, Vec<Action>) {
    let share = share(rollout, candidates);
    let mut counts = RolloutCounts {
        selected: share
            .iter()
            .filter(|place| **place != Membership::Outside)
            .count() as u64,
        ..Default::default()
    };
    let mut claimed = 0;
    let mut actions = Vec::new();
    for (candidate, membership) in candidates.iter().zip(&share) {
        if rollout.is_giving_back() {
            actions.extend(give_back(rollout, candidate));
        }
        if *membership != Membership::InShare {
            continue;
        }
        if taken(rollout, candidate) {
            claimed += 1;
            continue;
        }
        counts.targeted += 1;
        if let Some(stage) = stage(rollout, candidate) {
            counts.stages.add(stage);
        }
        match place(rollout, candidate, *membership).state {
            RolloutDeviceState::Waiting => {
                if rollout.assigns() {
                    actions.push(Action::Assign(candidate.facts.device.clone()));
                }
            }
            RolloutDeviceState::Assigned => counts.assigned += 1,
            RolloutDeviceState::InProgress => counts.in_progress += 1,
            RolloutDeviceState::Serving => counts.serving += 1,
            RolloutDeviceState::Failed => counts.failed += 1,
        }
    }
    let progress = judge(rollout, counts, claimed);
    if progress.state.is_over() && !rollout.state.is_over() {
        actions.clear();
    }
    (progress, actions)
}

/// Lets devices wait that serve one of the `awaited` bases: a delta from it is being computed, and the
/// whole file need not travel to them.
pub fn hold(
    progress: &mut Progress,
    actions: &mut Vec<Action>,
    facts: &[DeviceFacts],
    awaited: &BTreeSet<Digest>,
) {
    if awaited.is_empty() {
        return;
    }
    let waiting: HashSet<&DeviceId> = facts
        .iter()
        .filter(|facts| {
            let serving = facts.serving;
            serving.is_some_and(|serving| awaited.contains(&serving.weights))
        })
        .map(|facts| &facts.device)
        .collect();
    let before = actions.len();
    actions.retain(|action| !matches!(action, Action::Assign(device) if waiting.contains(device)));
    let held = before - actions.len();
    if held > 0 {
        let _ = write!(
            progress.reason,
            "; {held} wait, at most {} s, for a delta that is being computed",
            HOLD.as_secs()
        );
    }
}

/// Whether a device belongs to a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// Not selected.
    Outside,
    /// Selected, and not in the share.
    Waiting,
    /// In the share.
    InShare,
}

/// Who is in the share: those that have the rollout's version already, and as many others, in the
/// order of their rank, as the percentage asks for, rounded up. So the share is exact in a fleet of
/// twelve too, a larger percentage only adds devices, and a device that joins late pushes nobody
/// out.
pub fn share(rollout: &Rollout, candidates: &[Candidate<'_>]) -> Vec<Membership> {
    let mut membership = vec![Membership::Outside; candidates.len()];
    let mut selected = Vec::new();
    for (index, candidate) in candidates.iter().enumerate() {
        if !rollout.selects(candidate.facts) {
            continue;
        }
        if rollout.percent >= 100 {
            membership[index] = Membership::InShare;
            continue;
        }
        membership[index] = Membership::Waiting;
        let rank = rank(rollout.id, &candidate.facts.device);
        // `false` sorts first: moved devices are in before all others.
        selected.push((!is_ours(rollout, candidate), rank, index));
    }
    selected.sort_unstable();
    let moved = selected.iter().take_while(|(unmoved, ..)| !unmoved).count();
    let asked = (selected.len() * usize::from(rollout.percent)).div_ceil(100);
    for (_, _, index) in selected.into_iter().take(asked.max(moved)) {
        membership[index] = Membership::InShare;
    }
    membership
}

/// Whether what is wanted on the device was assigned by this rollout.
fn is_ours(rollout: &Rollout, candidate: &Candidate<'_>) -> bool {
    let assigned = candidate.facts.assigned.as_ref();
    assigned.is_some_and(|assigned| assigned.rollout == rollout.id)
}

/// A number that depends on the rollout and the device only, evenly spread: FNV-1a over both, then
/// the finaliser of `SplitMix64`, since FNV alone hardly mixes its last bytes into the high bits.
fn rank(rollout: RolloutId, device: &DeviceId) -> u64 {
    let bytes = rollout
        .0
        .to_le_bytes()
        .into_iter()
        .chain(device.as_str().bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// Whether a newer rollout has the device, so that this one keeps its hands off. What a newer one
/// assigned counts even after it is over: its devices were told to stay.
fn taken(rollout: &Rollout, candidate: &Candidate<'_>) -> bool {
    let assigned = candidate.facts.assigned.as_ref();
    candidate.claimed || assigned.is_some_and(|assigned| assigned.rollout > rollout.id)
}

/// Where a device stands in a rollout.
pub fn place(rollout: &Rollout, candidate: &Candidate<'_>, membership: Membership) -> Place {
    let at = |state, reason: &str| Place {
        state,
        progress: None,
        reason: reason.into(),
    };
    let facts = candidate.facts;
    let bundle = rollout.target.bundle.digest;
    let ours = is_ours(rollout, candidate);
    if membership != Membership::InShare && !ours {
        return at(RolloutDeviceState::Waiting, "not in the share");
    }
    if !ours {
        let why = if taken(rollout, candidate) {
            "a newer rollout has it"
        } else if rollout.assigns() {
            "about to be assigned"
        } else {
            "not assigned before the rollout was stopped"
        };
        return at(RolloutDeviceState::Waiting, why);
    }
    match facts.serving {
        Some(serving) if serving.bundle == bundle => {
            return if serving.weights == rollout.target.weights {
                at(RolloutDeviceState::Serving, "")
            } else {
                at(
                    RolloutDeviceState::Failed,
                    "it serves other weights than were published",
                )
            };
        }
        _ => {}
    }
    match (&facts.refused, &facts.underway) {
        (Some(refused), _) if refused.bundle == bundle => {
            at(RolloutDeviceState::Failed, &refused.text)
        }
        (_, Some(underway)) if underway.bundle == bundle => Place {
            state: RolloutDeviceState::InProgress,
            progress: (underway.total > 0)
                .then(|| (underway.bytes as f64 / underway.total as f64).clamp(0.0, 1.0)),
            reason: String::new(),
        },
        _ => at(RolloutDeviceState::Assigned, ""),
    }
}

/// How far the rollout's version got on a device, once it is assigned there.
pub fn stage(rollout: &Rollout, candidate: &Candidate<'_>) -> Option<Stage> {
    candidate
        .facts
        .stage
        .filter(|_| is_ours(rollout, candidate))
}

fn give_back(rollout: &Rollout, candidate: &Candidate<'_>) -> Option<Action> {
    let Before(before) = candidate.before.as_ref()?;
    is_ours(rollout, candidate)
        .then(|| Action::GiveBack(candidate.facts.device.clone(), before.clone()))
}

fn judge(rollout: &Rollout, counts: RolloutCounts, claimed: u64) -> Progress {
    let at = |state, reason: String| Progress {
        state,
        reason,
        counts,
    };
    let ended = counts.serving + counts.failed;
    let failures = match counts.failed {
        0 => String::new(),
        failed => format!(", {failed} refused it"),
    };
    let so_far = format!(
        "{} of {} devices serve it{failures}",
        counts.serving, counts.targeted
    );
    match rollout.state {
        // Ended by a person or by a newer rollout: the reason was given then.
        state @ (RolloutState::Aborted | RolloutState::Stopped | RolloutState::Superseded) => {
            at(state, rollout.reason.clone())
        }
        _ if counts.targeted == 0 && claimed > 0 => {
            let reason = format!("newer rollouts of this slot took all its {claimed} devices");
            at(RolloutState::Superseded, reason)
        }
        RolloutState::Paused => at(RolloutState::Paused, format!("paused: {so_far}")),
        _ if counts.targeted == 0 => {
            let reason = "no device matches the selector and has this slot yet; devices that \
                          appear later will join";
            at(RolloutState::Running, reason.into())
        }
        _ if ended == counts.targeted => at(RolloutState::Complete, so_far),
        _ => at(RolloutState::Running, so_far),
    }
}

#[cfg(test)]
mod tests;
