//! Rollouts that decide by evidence: what carries facts of the fleet into the engine, and its decisions out.
//!
//! [`observe`] (pure) turns facts of devices into events; [`tally`] (pure) turns their windows and labels into means;
//! [`running`] is one rollout in memory with the store behind it; [`carry_out`] (pure) says what has to be assigned.
//!
//! Must never break:
//! - events, decisions, tallies and the place up to which windows were read are committed together, before anything
//!   that follows from them is done: after a kill the rollout is where it was;
//! - a window counts once.

mod asking;
mod carry_out;
mod in_time;
mod labels;
mod observe;
mod parts;
mod running;
pub(super) mod stored;
mod tally;
mod windows;

pub(super) use carry_out::{membership, part};
pub(super) use observe::Seen;
pub use parts::Seat;
pub(super) use running::Running;

use std::{collections::HashMap, sync::Arc};

use tern_protocol::{
    id::{DeviceId, RolloutId, WorkspaceId},
    rest::RolloutCounts,
};
use tern_rollout::{Phase, Wanted};
use tokio::sync::{Mutex, MutexGuard};

use super::{plan::Rollout, step::Action, stored as rollouts};
use crate::{app::App, fleet::shadows::AssignedShadow, store::StoreError};

/// The rollouts that are held in memory, some hundred bytes for each of their devices.
#[derive(Clone, Default)]
pub struct Engines(Arc<Mutex<HashMap<(WorkspaceId, RolloutId), Running>>>);

impl Engines {
    /// All of them. Whoever holds this lets the driver wait.
    pub(super) async fn lock(&self) -> MutexGuard<'_, HashMap<(WorkspaceId, RolloutId), Running>> {
        self.0.lock().await
    }
}

/// What came of a look at one rollout.
pub(super) struct Looked {
    /// The rollout as it is stored.
    pub(super) rollout: Rollout,
    /// Why it stands as it does, for people.
    pub(super) reason: String,
    /// Devices by where they are.
    pub(super) counts: RolloutCounts,
    /// For each device that was seen, whether it is, or was, to have the version.
    pub(super) admitted: Vec<bool>,
    /// What has to be assigned.
    pub(super) actions: Vec<Action>,
    /// What has to be wanted beside what serves, or no more.
    pub(super) shadows: Vec<(DeviceId, Option<AssignedShadow>)>,
    /// Whether anything is different.
    pub(super) changed: bool,
}

/// Rollouts that are over, and to which persons said something that they were not told yet.
pub(super) async fn untold(
    app: &App,
    workspace: &WorkspaceId,
    live: &[Rollout],
) -> Result<Vec<Rollout>, StoreError> {
    let mut untold = Vec::new();
    for id in stored::ordered(app.store.read(), workspace).await? {
        if live.iter().all(|rollout| rollout.id != id)
            && let Some(rollout) = rollouts::find(app.store.read(), workspace, id).await?
            && rollout.plan.is_some()
        {
            untold.push(rollout);
        }
    }
    Ok(untold)
}

/// Whether persons said something that the rollout was not told yet.
pub(super) async fn is_behind(app: &App, rollout: &Rollout) -> Result<bool, StoreError> {
    let orders = stored::orders(app.store.read(), &rollout.workspace, rollout.id).await?;
    Ok(!orders.is_empty())
}

/// Tells a rollout what is new of its devices, and says what has to be done.
pub(super) async fn look(
    app: &App,
    rollout: &Rollout,
    mut seen: Vec<Seen<'_>>,
) -> Result<Looked, StoreError> {
    let key = (rollout.workspace.clone(), rollout.id);
    let mut engines = app.engines.lock().await;
    if !engines.contains_key(&key)
        && let Some(running) = Running::load(app, rollout).await?
    {
        engines.insert(key.clone(), running);
    }
    let Some(running) = engines.get_mut(&key) else {
        return Ok(Looked {
            rollout: rollout.clone(),
            reason: rollout.reason.clone(),
            counts: rollout.counts,
            admitted: vec![false; seen.len()],
            actions: Vec::new(),
            shadows: Vec::new(),
            changed: false,
        });
    };
    for one in &mut seen {
        one.index = running.engine.index(&one.facts.device);
    }
    let committed = match running.look(app, rollout, &mut seen).await {
        Ok(committed) => committed,
        Err(err) => {
            // What is in memory may be ahead of what is stored.
            engines.remove(&key);
            return Err(err);
        }
    };
    let engine = &running.engine;
    let admitted = seen
        .iter()
        .map(|one| one.index.is_some_and(|index| running.is_admitted(index)));
    let admitted: Vec<bool> = admitted.collect();
    let gives_back = seen.iter().any(|one| {
        let ours = one.facts.assigned.as_ref();
        ours.is_some_and(|assigned| assigned.rollout == rollout.id)
            && one
                .index
                .is_some_and(|index| engine.wanted(index) == Wanted::Before)
    });
    let before = if gives_back {
        rollouts::remembered(app.store.read(), &rollout.workspace, rollout.id).await?
    } else {
        HashMap::new()
    };
    let looked = Looked {
        counts: committed.counts,
        shadows: carry_out::shadows(engine, rollout, &seen),
        actions: carry_out::actions(engine, rollout, &seen, &before),
        rollout: committed.rollout,
        reason: committed.reason,
        admitted,
        changed: committed.changed,
    };
    let is_done =
        matches!(engine.phase(), Phase::Ended { .. }) && !gives_back && looked.shadows.is_empty();
    if is_done {
        engines.remove(&key);
    }
    Ok(looked)
}

#[cfg(test)]
mod tests;
