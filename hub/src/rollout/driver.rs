//! Looks at all rollouts, again and again, and does what the core says is missing.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use sea_orm::TransactionTrait as _;
use tern_protocol::{
    desired::Desired,
    id::{DeviceId, RolloutId, SlotName, WorkspaceId},
    rest::{Change, RolloutCounts, RolloutState, VersionRef},
    time::WallTime,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    evidence::{self, Seen},
    freeze,
    plan::{Candidate, Rollout},
    revoked,
    step::{Action, Membership, Progress, hold, share, step},
    stored,
};
use crate::{
    app::App,
    deltas,
    fleet::{
        self,
        assign::{Assignment, Cause, Done, Tell, assign, shadow::assign_shadow},
        facts::DeviceFacts,
        kept::{self, Kept},
        shadows::{AssignedShadow, ShadowAssignment},
    },
    store::{Doing as _, StoreError, chain},
};

/// Longest time between two looks, if nobody asks.
const FULL_PASS: Duration = Duration::from_secs(5);

/// Shortest time between two looks. A fleet that reconnects asks for one every few milliseconds; each look goes
/// through all devices of a slot in memory.
const BREATH: Duration = Duration::from_millis(100);

/// Assignments in one transaction: a few tens of milliseconds, in which telemetry waits.
const CHUNK: usize = 500;

/// Runs until `stop`. What devices have to be told goes into `tell`, after it was committed.
pub async fn run(app: App, tell: mpsc::Sender<Tell>, stop: CancellationToken) {
    let mut kept = Kept::new(kept::ALL);
    loop {
        match pass(&app, &mut kept, &tell).await {
            Ok(Did::Something) => app.wake.notify(),
            Ok(Did::Nothing) => {}
            Err(err) => tracing::error!(error = chain(&err), "rollouts wait"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(BREATH) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.wake.notified() => {}
            () = tokio::time::sleep(FULL_PASS) => {}
        }
    }
}

/// Whether a pass changed anything, so that another look is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Did {
    /// All was as it should be.
    Nothing,
    /// Something was assigned, or a rollout stands differently.
    Something,
}

impl Did {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, Self::Nothing) => Self::Nothing,
            _ => Self::Something,
        }
    }
}

/// One look at all rollouts of all workspaces.
pub async fn pass(
    app: &App,
    kept: &mut Kept,
    tell: &mpsc::Sender<Tell>,
) -> Result<Did, StoreError> {
    let mut did = Did::Nothing;
    for workspace in fleet::workspaces(&app.store).await? {
        let mut by_slot: BTreeMap<SlotName, Vec<Rollout>> = BTreeMap::new();
        // Evidence is still gathered, and harm still ends a rollout; nothing is moved.
        let frozen = freeze::find(app.store.read(), &workspace).await?.is_some();
        let mut live = stored::live(app.store.read(), &workspace).await?;
        live.extend(evidence::untold(app, &workspace, &live).await?);
        if !frozen && revoked::replace(app, &workspace, &live, tell).await? == Did::Something {
            // What was read is not what is there now.
            did = Did::Something;
            continue;
        }
        for rollout in live {
            by_slot
                .entry(rollout.slot.clone())
                .or_default()
                .push(rollout);
        }
        kept.refresh(app, &workspace, by_slot.keys()).await?;
        for (slot, rollouts) in by_slot {
            let tell = (!frozen).then_some(tell);
            let facts = kept.facts(&workspace, &slot);
            did = did.and(slot_pass(app, &workspace, facts, rollouts, tell).await?);
        }
    }
    Ok(did)
}

/// Devices as a rollout that decides by evidence looks at them.
fn seen<'a>(
    rollout: &Rollout,
    facts: &'a [DeviceFacts],
    claimed: &[bool],
    ranks: &HashMap<RolloutId, u32>,
) -> Vec<Seen<'a>> {
    let own = rollout.rank();
    let outranked = |facts: &DeviceFacts| {
        facts.assigned.as_ref().is_some_and(|assigned| {
            let precedence = ranks.get(&assigned.rollout).copied().unwrap_or(0);
            (precedence, assigned.rollout.0) > own
        })
    };
    let seen = facts.iter().zip(claimed).map(|(facts, claimed)| Seen {
        facts,
        selected: rollout.selects(facts),
        taken: *claimed || outranked(facts),
        index: None,
    });
    seen.collect()
}

/// One look at the rollouts of one slot, those first that outrank others: such a one claims its devices. Without
/// anybody to tell, nothing is moved.
async fn slot_pass(
    app: &App,
    workspace: &WorkspaceId,
    facts: &[DeviceFacts],
    rollouts: Vec<Rollout>,
    tell: Option<&mpsc::Sender<Tell>>,
) -> Result<Did, StoreError> {
    let ranks = stored::precedences(app.store.read(), workspace).await?;
    let mut claimed = vec![false; facts.len()];
    let mut did = Did::Nothing;
    for rollout in rollouts {
        did = did.and(if rollout.plan.is_some() {
            planned_pass(app, &rollout, facts, &mut claimed, &ranks, tell).await?
        } else {
            plain_pass(app, &rollout, facts, &mut claimed, tell).await?
        });
    }
    Ok(did)
}

/// One look at a rollout that decides by evidence.
async fn planned_pass(
    app: &App,
    rollout: &Rollout,
    facts: &[DeviceFacts],
    claimed: &mut [bool],
    ranks: &HashMap<RolloutId, u32>,
    tell: Option<&mpsc::Sender<Tell>>,
) -> Result<Did, StoreError> {
    let shadowed = |facts: &DeviceFacts| {
        let wanted = facts.shadow.wanted.as_ref();
        wanted.is_some_and(|wanted| wanted.rollout == rollout.id)
    };
    let has_devices = || {
        let mut all = facts.iter();
        all.any(|facts| is_with(rollout, facts) || shadowed(facts))
    };
    if rollout.state.is_over() && !has_devices() && !evidence::is_behind(app, rollout).await? {
        let nothing = Progress {
            state: rollout.state,
            reason: rollout.reason.clone(),
            counts: RolloutCounts {
                selected: rollout.counts.selected,
                ..RolloutCounts::default()
            },
        };
        return note(app, rollout, nothing).await;
    }
    let seen = seen(rollout, facts, claimed, ranks);
    let looked = evidence::look(app, rollout, seen).await?;
    let rollout = &looked.rollout;
    let mut actions = looked.actions;
    let mut progress = Progress {
        state: rollout.state,
        reason: looked.reason,
        counts: looked.counts,
    };
    if !rollout.state.is_over() {
        for (claimed, admitted) in claimed.iter_mut().zip(&looked.admitted) {
            *claimed |= *admitted;
        }
    }
    wait_for_deltas(app, rollout, &mut progress, &mut actions, facts).await?;
    let mut did = Did::Nothing;
    if let Some(tell) = tell {
        did = act(app, rollout, &actions, tell).await?;
        did = did.and(shadow(app, rollout, &looked.shadows, tell).await?);
    }
    let did = did.and(note(app, rollout, progress).await?);
    if looked.changed {
        let change = Change::Rollout { id: rollout.id };
        app.changes.send(&rollout.workspace, change);
    }
    Ok(if looked.changed { Did::Something } else { did })
}

/// Holds back devices whose delta is being computed.
async fn wait_for_deltas(
    app: &App,
    rollout: &Rollout,
    progress: &mut Progress,
    actions: &mut Vec<Action>,
    facts: &[DeviceFacts],
) -> Result<(), StoreError> {
    if actions.is_empty() {
        return Ok(());
    }
    let of = VersionRef {
        model: rollout.target.model.clone(),
        version: rollout.target.version,
    };
    let (workspace, now) = (&rollout.workspace, app.clock.now());
    let awaited = deltas::awaited(app.store.read(), workspace, &of, now).await?;
    hold(progress, actions, facts, &awaited);
    Ok(())
}

/// One look at a rollout by hand.
async fn plain_pass(
    app: &App,
    rollout: &Rollout,
    facts: &[DeviceFacts],
    claimed: &mut [bool],
    tell: Option<&mpsc::Sender<Tell>>,
) -> Result<Did, StoreError> {
    let has_devices = || facts.iter().any(|facts| is_with(rollout, facts));
    if rollout.state.is_over() && !has_devices() {
        return Ok(Did::Nothing);
    }
    let mut before = if rollout.is_giving_back() {
        stored::remembered(app.store.read(), &rollout.workspace, rollout.id).await?
    } else {
        HashMap::default()
    };
    let candidates: Vec<Candidate<'_>> = facts
        .iter()
        .zip(claimed.iter())
        .map(|(facts, claimed)| Candidate {
            facts,
            before: before.remove(facts.device.as_str()),
            claimed: *claimed,
        })
        .collect();
    let (mut progress, mut actions) = step(rollout, &candidates);
    wait_for_deltas(app, rollout, &mut progress, &mut actions, facts).await?;
    if !rollout.state.is_over() {
        let share = share(rollout, &candidates);
        for (claimed, membership) in claimed.iter_mut().zip(share) {
            *claimed |= membership == Membership::InShare;
        }
    }
    let did = match tell {
        Some(tell) => act(app, rollout, &actions, tell).await?,
        None => Did::Nothing,
    };
    Ok(did.and(note(app, rollout, progress).await?))
}

fn is_with(rollout: &Rollout, facts: &DeviceFacts) -> bool {
    facts
        .assigned
        .as_ref()
        .is_some_and(|assigned| assigned.rollout == rollout.id)
}

/// Does what the core said, unless a person changed the plan in the meantime.
async fn act(
    app: &App,
    rollout: &Rollout,
    actions: &[Action],
    tell: &mpsc::Sender<Tell>,
) -> Result<Did, StoreError> {
    if actions.is_empty() {
        return Ok(Did::Nothing);
    }
    let workspace = &rollout.workspace;
    for chunk in actions.chunks(CHUNK) {
        let txn = app
            .store
            .write()
            .begin()
            .await
            .doing("beginning to assign")?;
        if !still_the_plan(&txn, rollout).await? {
            return Ok(Did::Something);
        }
        let now = app.clock.now();
        let assignments = chunk.iter().map(|action| assignment(rollout, action, now));
        let assignments: Vec<Assignment> = assignments.collect();
        let done = assign(&txn, workspace, &rollout.slot, &assignments).await?;
        // What a device is given back is not what it had before.
        let moved: Vec<Done> = if rollout.plan.is_some() {
            let given = |done: &&Done| !gives_back(chunk, done);
            done.iter().filter(given).cloned().collect()
        } else {
            done.clone()
        };
        if !rollout.is_giving_back() {
            stored::remember(&txn, workspace, rollout.id, &moved).await?;
        }
        txn.commit().await.doing("committing assignments")?;
        tracing::debug!(%workspace, rollout = %rollout.id, devices = done.len(), "assigned");
        let told = done.into_iter().map(|done| (done.device, done.desired));
        tell_all(app, workspace, told, tell).await;
    }
    Ok(Did::Something)
}

/// Wants versions beside what serves, or no more.
async fn shadow(
    app: &App,
    rollout: &Rollout,
    shadows: &[(DeviceId, Option<AssignedShadow>)],
    tell: &mpsc::Sender<Tell>,
) -> Result<Did, StoreError> {
    let workspace = &rollout.workspace;
    for chunk in shadows.chunks(CHUNK) {
        let txn = app.store.write().begin().await;
        let txn = txn.doing("beginning to assign shadows")?;
        let at = app.clock.now();
        let assignments = chunk.iter().map(|(device, wanted)| ShadowAssignment {
            device: device.clone(),
            wanted: wanted.clone(),
            cause: Cause {
                at,
                actor: rollout.actor.clone(),
                text: String::new(),
            },
        });
        let assignments: Vec<ShadowAssignment> = assignments.collect();
        let done = assign_shadow(&txn, workspace, &rollout.slot, &assignments).await?;
        txn.commit().await.doing("committing shadows")?;
        let told = done.into_iter().map(|done| (done.device, done.desired));
        tell_all(app, workspace, told, tell).await;
    }
    Ok(if shadows.is_empty() {
        Did::Nothing
    } else {
        Did::Something
    })
}

fn gives_back(actions: &[Action], done: &Done) -> bool {
    let of =
        |action: &Action| matches!(action, Action::GiveBack(device, _) if *device == done.device);
    actions.iter().any(of)
}

/// Tells devices what was assigned to them, once it is committed.
pub(crate) async fn tell_all(
    app: &App,
    workspace: &WorkspaceId,
    done: impl IntoIterator<Item = (DeviceId, Desired)>,
    tell: &mpsc::Sender<Tell>,
) {
    for (device, desired) in done {
        let changed = Change::Device {
            device: device.clone(),
        };
        app.changes.send(workspace, changed);
        let workspace = workspace.clone();
        // Closed only when the hub stops; its next start sends all desired states again.
        let _ = tell
            .send(Tell {
                workspace,
                device,
                desired,
            })
            .await;
    }
}

fn assignment(rollout: &Rollout, action: &Action, at: WallTime) -> Assignment {
    let (device, wanted, cause) = match action {
        Action::Assign(device) => {
            let cause = Cause {
                at,
                actor: rollout.actor.clone(),
                text: String::new(),
            };
            (device, Some(rollout.assignment()), cause)
        }
        Action::GiveBack(device, before) => {
            let cause = Cause {
                at,
                actor: None,
                text: format!(
                    "rollout {} {}, and its devices go back",
                    rollout.id,
                    ended(rollout)
                ),
            };
            (device, before.clone(), cause)
        }
    };
    Assignment {
        device: device.clone(),
        wanted,
        cause,
    }
}

/// How a rollout ended, for people.
fn ended(rollout: &Rollout) -> &'static str {
    match rollout.state {
        RolloutState::Stopped => "was stopped by evidence of harm",
        RolloutState::Aborted => "was aborted",
        // A device that is asked again later.
        _ => "asks again later",
    }
}

async fn still_the_plan(
    txn: &sea_orm::DatabaseTransaction,
    rollout: &Rollout,
) -> Result<bool, StoreError> {
    let now = stored::find(txn, &rollout.workspace, rollout.id).await?;
    Ok(now.is_some_and(|now| {
        (now.state, now.percent, now.moved) == (rollout.state, rollout.percent, rollout.moved)
    }))
}

/// Writes down how a rollout stands, if that changed.
async fn note(app: &App, rollout: &Rollout, progress: Progress) -> Result<Did, StoreError> {
    let Progress {
        state,
        reason,
        counts,
    } = progress;
    if (state, &reason, counts) == (rollout.state, &rollout.reason, rollout.counts) {
        return Ok(Did::Nothing);
    }
    let txn = app
        .store
        .write()
        .begin()
        .await
        .doing("beginning to note progress")?;
    if !still_the_plan(&txn, rollout).await? {
        return Ok(Did::Something);
    }
    let noted = Rollout {
        state,
        reason,
        counts,
        updated: app.clock.now(),
        ..rollout.clone()
    };
    stored::save(&txn, &noted).await?;
    txn.commit().await.doing("committing progress")?;
    if state != rollout.state {
        tracing::info!(workspace = %rollout.workspace, rollout = %rollout.id, from = ?rollout.state,
            to = ?state, reason = noted.reason, "rollout stands differently");
    }
    app.changes
        .send(&rollout.workspace, Change::Rollout { id: rollout.id });
    Ok(Did::Something)
}

#[cfg(test)]
pub(super) mod tests;
