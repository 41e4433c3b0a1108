//! Rollouts as the API and the dashboard show them.

use tern_protocol::{
    id::{RolloutId, WorkspaceId},
    rest::{RolloutDevice, RolloutView},
};

use super::{
    fit,
    plan::{Before, Candidate, Rollout},
    step::{Membership, place, share, stage},
    stored,
};
use crate::{
    fleet::facts,
    store::{Store, StoreError},
};

/// Rollouts on one page, at most.
const PAGE_MAX: u64 = 1_000;

/// The newest rollouts, newest first, without their devices.
pub async fn list(
    store: &Store,
    workspace: &WorkspaceId,
    limit: u64,
) -> Result<Vec<RolloutView>, StoreError> {
    let rollouts = stored::newest(store.read(), workspace, limit.min(PAGE_MAX)).await?;
    Ok(rollouts.iter().map(view).collect())
}

/// One rollout with its devices, as far as it is about them.
pub async fn show(
    store: &Store,
    workspace: &WorkspaceId,
    id: RolloutId,
) -> Result<Option<RolloutView>, StoreError> {
    let db = store.read();
    let Some(rollout) = stored::find(db, workspace, id).await? else {
        return Ok(None);
    };
    let before = stored::remembered(db, workspace, id).await?;
    let facts = facts::facts(db, workspace, &rollout.slot).await?;
    let candidates: Vec<Candidate<'_>> = facts
        .iter()
        .map(|facts| Candidate {
            facts,
            before: before.get(facts.device.as_str()).cloned(),
            claimed: false,
        })
        .collect();
    let share = share(&rollout, &candidates);
    let devices = candidates
        .iter()
        .zip(share)
        .filter_map(|(candidate, membership)| {
            let concerned = membership != Membership::Outside || candidate.before.is_some();
            concerned.then(|| device(&rollout, candidate, membership))
        });
    let selected = facts.iter().filter(|facts| rollout.selects(facts));
    let selected = selected.map(|facts| &facts.device).collect();
    Ok(Some(RolloutView {
        warnings: fit::warnings(db, &rollout, &selected).await?,
        devices: devices.collect(),
        ..view(&rollout)
    }))
}

fn device(rollout: &Rollout, candidate: &Candidate<'_>, membership: Membership) -> RolloutDevice {
    let place = place(rollout, candidate, membership);
    let before = match &candidate.before {
        Some(Before(Some(before))) => Some(before.target.version),
        _ => None,
    };
    RolloutDevice {
        device: candidate.facts.device.clone(),
        site: candidate.facts.site.clone(),
        state: place.state,
        stage: stage(rollout, candidate),
        progress: place.progress,
        reason: place.reason,
        before,
    }
}

/// A rollout without its devices.
pub(super) fn view(rollout: &Rollout) -> RolloutView {
    RolloutView {
        id: rollout.id,
        slot: rollout.slot.clone(),
        model: rollout.target.model.clone(),
        version: rollout.target.version,
        selector: rollout.selector.clone(),
        percent: rollout.percent,
        state: rollout.state,
        reason: rollout.reason.clone(),
        created: rollout.created,
        updated: rollout.updated,
        actor: rollout.actor.clone(),
        counts: rollout.counts,
        warnings: Vec::new(),
        devices: Vec::new(),
    }
}
