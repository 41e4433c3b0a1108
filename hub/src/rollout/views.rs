//! Rollouts as the API and the dashboard show them.

use tern_protocol::{
    id::{RolloutId, WorkspaceId},
    rest::{EvidenceView, RolloutDevice, RolloutDeviceState, RolloutView, StageOf},
};
use tern_rollout::{Engine, engine::Arm, event::Index};

use super::{
    evidence::{self, Running},
    fit,
    plan::{Before, Candidate, Rollout},
    step::{Membership, place, share, stage},
    stored,
};
use crate::{
    app::App,
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
    app: &App,
    workspace: &WorkspaceId,
    id: RolloutId,
) -> Result<Option<RolloutView>, StoreError> {
    let db = app.store.read();
    let Some(rollout) = stored::find(db, workspace, id).await? else {
        return Ok(None);
    };
    if rollout.plan.is_some() {
        return planned(app, &rollout).await.map(Some);
    }
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

/// A rollout that decides by evidence.
async fn planned(app: &App, rollout: &Rollout) -> Result<RolloutView, StoreError> {
    let db = app.store.read();
    let (workspace, id) = (&rollout.workspace, rollout.id);
    let before = stored::remembered(db, workspace, id).await?;
    let facts = facts::facts(db, workspace, &rollout.slot).await?;
    let key = (workspace.clone(), id);
    // Whoever holds this keeps the driver from deciding: what is read fits what is in memory.
    let engines = app.engines.lock().await;
    let decisions = evidence::stored::decisions(db, workspace, id).await?;
    let looks = evidence::stored::looks(db, workspace, id).await?;
    let rollout = &stored::find(db, workspace, id)
        .await?
        .unwrap_or_else(|| rollout.clone());
    // One that is over, or that nobody has looked at yet, is not in memory.
    let loaded = if engines.contains_key(&key) {
        None
    } else {
        Running::load(app, rollout).await?
    };
    let Some(running) = engines.get(&key).or(loaded.as_ref()) else {
        return Ok(view(rollout));
    };
    let engine = &running.engine;
    let mut devices = Vec::new();
    for facts in &facts {
        let Some(index) = engine.index(&facts.device) else {
            continue;
        };
        let candidate = Candidate {
            facts,
            before: before.get(facts.device.as_str()).cloned(),
            claimed: false,
        };
        if !engine.is_in(index) && candidate.before.is_none() {
            continue;
        }
        let membership = evidence::membership(engine, index);
        let mut shown = device(rollout, &candidate, membership);
        shown.part = evidence::part(engine, index);
        shown.admitted = engine.stage_of(index).map(|stage| stage as u32 + 1);
        if shown.state == RolloutDeviceState::Waiting {
            shown.reason = standing(engine, index).into();
        }
        devices.push(shown);
    }
    let selected = facts.iter().filter(|facts| rollout.selects(facts));
    let selected = selected.map(|facts| &facts.device).collect();
    Ok(RolloutView {
        warnings: fit::warnings(db, rollout, &selected).await?,
        plan: rollout.plan.clone(),
        evidence: Some(Box::new(EvidenceView {
            since: engine.since(),
            devices: engine.counts(),
            waiting: engine.waiting(),
            lacking: engine.lacks(),
            gates: engine.detailed(),
            looks,
            decisions,
        })),
        devices,
        ..view(rollout)
    })
}

/// Why a device does not have the version yet.
fn standing(engine: &Engine, index: Index) -> &'static str {
    match (engine.arm(index), engine.place(index)) {
        (_, Some(tern_rollout::Place::Pending)) => "its turn, as soon as pace and calendar allow",
        (_, Some(tern_rollout::Place::Waiting)) => "refused it, and is asked again later",
        (Some(Arm::Control), _) => "control",
        (Some(Arm::Last), _) => "came late: after the last stage",
        (Some(Arm::Ignored), _) => "came late: left alone",
        _ => "in a later stage",
    }
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
        part: None,
        admitted: None,
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
        plan: None,
        precedence: rollout.precedence,
        stage: rollout
            .stage
            .zip(rollout.plan.as_ref())
            .map(|(number, plan)| StageOf {
                number,
                of: plan.stages.len() as u32,
            }),
        evidence: None,
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
