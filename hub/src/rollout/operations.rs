//! What a person can do with a rollout. Each operation changes the plan in one transaction and wakes
//! the driver, which does the rest.

use sea_orm::{DatabaseTransaction, TransactionTrait as _};
use tern_protocol::{
    id::{ModelName, ModelVersion, RolloutId, SlotName, WorkspaceId},
    rest::{
        Abort, Change, Moved, NewRollout, PlanProblem, RolloutCounts, RolloutState, RolloutView,
        Widen,
    },
};
use tern_rollout::event::Order;

use super::{
    evidence::stored as evidence,
    fit,
    plan::{Candidate, Rollout},
    step::step,
    stored, views,
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    fleet::{
        assign::{SLOTS_WANTED, slots_wanted},
        facts::{self, Target},
    },
    registry,
    store::{Doing as _, StoreError},
};

/// Rollouts that may go on at the same time in one workspace. Each is looked at whenever a device
/// changes; a fleet has a handful.
const LIVE_MAX: usize = 256;

/// Why an operation was not done.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// There is no such rollout.
    #[error("there is no rollout {id}; `tern rollout list` shows those there are")]
    NotFound {
        /// The id that was asked for.
        id: RolloutId,
    },
    /// The model or version to roll out does not exist.
    #[error("{text}")]
    NoVersion {
        /// What is missing, what there is, and what to do.
        text: String,
    },
    /// Devices would refuse the version.
    #[error(
        "version {version} of `{model}` waits for a signature; whoever has a release key signs it \
         with `tern key sign`"
    )]
    Unsigned {
        /// The model.
        model: ModelName,
        /// Its version.
        version: ModelVersion,
    },
    /// Devices would refuse the version.
    #[error("version {version} of `{model}` is revoked; roll out another")]
    Revoked {
        /// The model.
        model: ModelName,
        /// Its version.
        version: ModelVersion,
    },
    /// A percentage out of its range.
    #[error("a share is 1 to 100 percent, not {percent}")]
    Percent {
        /// What was asked for.
        percent: u8,
    },
    /// A share can only grow.
    #[error(
        "rollout {id} is at {now} % already and devices that have the version keep it; \
         abort it to take them back"
    )]
    Narrower {
        /// The rollout.
        id: RolloutId,
        /// Its share.
        now: u8,
    },
    /// The operation does not fit the rollout's state.
    #[error("rollout {id} is {state}; {advice}")]
    State {
        /// The rollout.
        id: RolloutId,
        /// How it stands.
        state: &'static str,
        /// What can be done instead.
        advice: &'static str,
    },
    /// A plan that cannot be carried out.
    #[error("the plan cannot be carried out: {}", list(problems))]
    Plan {
        /// All that is wrong with it.
        problems: Vec<PlanProblem>,
    },
    /// A template that cannot be kept.
    #[error("{text}")]
    Template {
        /// Why, and what to do.
        text: String,
    },
    /// Harm was proven: nobody can wave it through.
    #[error("rollout {id} was held because harm was proven ({text}); abort it")]
    Harm {
        /// The rollout.
        id: RolloutId,
        /// What was proven.
        text: String,
    },
    /// Too many rollouts go on.
    #[error("{LIVE_MAX} rollouts go on in this workspace; abort some that are no longer needed")]
    TooMany,
    /// Too many slots.
    #[error(
        "something is wanted in {SLOTS_WANTED} slots of this workspace already, and a device is told of \
         all in one message; abort rollouts of slots that are no longer needed"
    )]
    TooManySlots,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn list(problems: &[PlanProblem]) -> String {
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    problems.join("; ")
}

/// Whether one more rollout of a slot may go on.
pub(super) async fn has_room(
    txn: &DatabaseTransaction,
    workspace: &WorkspaceId,
    slot: &SlotName,
) -> Result<(), RolloutError> {
    let live = stored::live(txn, workspace).await?;
    if live.len() >= LIVE_MAX {
        return Err(RolloutError::TooMany);
    }
    let mut slots = slots_wanted(txn, workspace).await?;
    slots.extend(live.iter().map(|rollout| rollout.slot.to_string()));
    slots.insert(slot.to_string());
    if slots.len() > SLOTS_WANTED {
        return Err(RolloutError::TooManySlots);
    }
    Ok(())
}

/// Starts a rollout.
pub async fn start(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    new: NewRollout,
) -> Result<RolloutView, RolloutError> {
    check_percent(new.percent)?;
    let (target, bytes) = target(app, workspace, &new.model, new.version).await?;
    let txn = app
        .store
        .write()
        .begin()
        .await
        .doing("beginning to start a rollout")?;
    has_room(&txn, workspace, &new.slot).await?;
    let now = app.clock.now();
    let mut rollout = Rollout {
        workspace: workspace.clone(),
        id: stored::next_id(&txn, workspace).await?,
        slot: new.slot,
        target,
        selector: new.selector,
        percent: new.percent,
        plan: None,
        precedence: 0,
        stage: None,
        bytes,
        state: RolloutState::Running,
        moved: None,
        reason: String::new(),
        counts: RolloutCounts::default(),
        created: now,
        updated: now,
        actor: Some(by.name.clone()),
    };
    // The first look, so that the answer tells how many devices it is about; a newer rollout cannot
    // claim any of them yet.
    let facts = facts::facts(&txn, workspace, &rollout.slot).await?;
    let candidates: Vec<Candidate<'_>> = facts
        .iter()
        .map(|facts| Candidate {
            facts,
            before: None,
            claimed: false,
        })
        .collect();
    let (progress, _) = step(&rollout, &candidates);
    rollout.reason = progress.reason;
    rollout.counts = progress.counts;
    stored::save(&txn, &rollout).await?;
    let selected = facts.iter().filter(|facts| rollout.selects(facts));
    let selected = selected.map(|facts| &facts.device).collect();
    let warnings = fit::warnings(&txn, &rollout, &selected).await?;
    let deed = Deed::new("rollout.start", format!("rollout {}", rollout.id))
        .within(workspace)
        .after(&views::view(&rollout))
        .detail(format!(
            "{} version {} into slot {}, {} %",
            rollout.target.model, rollout.target.version, rollout.slot, rollout.percent
        ));
    audit::record(&txn, &app.clock, by, deed).await?;
    txn.commit().await.doing("committing a new rollout")?;
    tracing::info!(%workspace, rollout = %rollout.id, model = %rollout.target.model,
        version = %rollout.target.version, percent = rollout.percent,
        selected = rollout.counts.selected, "rollout started");
    announce(app, &rollout);
    Ok(RolloutView {
        warnings,
        ..views::view(&rollout)
    })
}

/// Assigns nothing more until resumed.
pub async fn pause(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    id: RolloutId,
) -> Result<RolloutView, RolloutError> {
    change(app, by, "rollout.pause", workspace, id, |rollout| {
        if !rollout.state.is_over() {
            rollout.state = RolloutState::Paused;
            rollout.reason = "paused by a person".into();
            return Ok(());
        }
        over(rollout, "there is nothing to pause")
    })
    .await
}

/// Goes on after a pause.
pub async fn resume(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    id: RolloutId,
) -> Result<RolloutView, RolloutError> {
    change(
        app,
        by,
        "rollout.resume",
        workspace,
        id,
        |rollout| match rollout.state {
            RolloutState::Paused => {
                rollout.state = RolloutState::Running;
                rollout.reason = "resumed by a person".into();
                Ok(())
            }
            RolloutState::Running | RolloutState::Complete => Ok(()),
            RolloutState::Waiting => over(rollout, "approve its next stage, or abort it"),
            RolloutState::Aborted | RolloutState::Stopped | RolloutState::Superseded => {
                over(rollout, "start a new rollout of the version instead")
            }
        },
    )
    .await
}

/// Ends a rollout for good; moved devices go back or stay.
pub async fn abort(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    id: RolloutId,
    abort: Abort,
) -> Result<RolloutView, RolloutError> {
    change(app, by, "rollout.abort", workspace, id, |rollout| {
        match (rollout.state, rollout.moved) {
            (RolloutState::Aborted, Some(Moved::Back)) if abort.moved == Moved::Back => {
                return Ok(());
            }
            (RolloutState::Aborted, Some(Moved::Stay)) if abort.moved == Moved::Stay => {
                return Ok(());
            }
            (RolloutState::Aborted | RolloutState::Stopped, _) => {
                return over(
                    rollout,
                    "start a rollout of the version that devices should have",
                );
            }
            _ => {}
        }
        rollout.state = RolloutState::Aborted;
        rollout.moved = Some(abort.moved);
        rollout.reason = match abort.moved {
            Moved::Back => "aborted by a person; moved devices go back to what they had",
            Moved::Stay => "aborted by a person; moved devices stay where they are",
        }
        .into();
        Ok(())
    })
    .await
}

/// Takes a larger share.
pub async fn widen(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    id: RolloutId,
    Widen { percent }: Widen,
) -> Result<RolloutView, RolloutError> {
    check_percent(percent)?;
    change(app, by, "rollout.widen", workspace, id, |rollout| {
        if rollout.state.is_over() {
            return over(rollout, "start a new rollout of the version instead");
        }
        if rollout.plan.is_some() {
            return Err(RolloutError::State {
                id,
                state: "one with a plan, which says how it grows",
                advice: "approve its next stage instead: `tern rollout approve`",
            });
        }
        if percent < rollout.percent {
            return Err(RolloutError::Narrower {
                id,
                now: rollout.percent,
            });
        }
        // Said here, not at the next look of the driver: whoever asks to widen and then watches must
        // not meet the end of the narrower share.
        if percent > rollout.percent && rollout.state == RolloutState::Complete {
            rollout.state = RolloutState::Running;
        }
        rollout.percent = percent;
        Ok(())
    })
    .await
}

fn check_percent(percent: u8) -> Result<(), RolloutError> {
    match percent {
        1..=100 => Ok(()),
        _ => Err(RolloutError::Percent { percent }),
    }
}

pub(super) fn over(rollout: &Rollout, advice: &'static str) -> Result<(), RolloutError> {
    let state = match rollout.state {
        RolloutState::Aborted => "aborted",
        RolloutState::Stopped => "stopped by evidence of harm",
        RolloutState::Waiting => "waiting for a person",
        RolloutState::Superseded => "superseded by a newer one",
        RolloutState::Running => "running",
        RolloutState::Paused => "paused",
        RolloutState::Complete => "complete",
    };
    Err(RolloutError::State {
        id: rollout.id,
        state,
        advice,
    })
}

/// What the engine of a rollout with a plan is to be told of what a person did.
fn said(rollout: &Rollout) -> Option<Order> {
    match (rollout.state, rollout.moved) {
        (RolloutState::Paused, _) => Some(Order::Pause),
        (RolloutState::Running, _) => Some(Order::Resume),
        (RolloutState::Aborted, Some(Moved::Back)) => Some(Order::AbortBack),
        (RolloutState::Aborted, _) => Some(Order::AbortStay),
        _ => None,
    }
}

async fn change(
    app: &App,
    by: &Actor,
    action: &'static str,
    workspace: &WorkspaceId,
    id: RolloutId,
    change: impl FnOnce(&mut Rollout) -> Result<(), RolloutError>,
) -> Result<RolloutView, RolloutError> {
    let txn = app
        .store
        .write()
        .begin()
        .await
        .doing("beginning to change a rollout")?;
    let mut rollout = stored::find(&txn, workspace, id)
        .await?
        .ok_or(RolloutError::NotFound { id })?;
    let before = rollout.clone();
    change(&mut rollout)?;
    if rollout != before {
        rollout.updated = app.clock.now();
        if rollout.plan.is_some()
            && let Some(order) = said(&rollout)
        {
            evidence::order(&txn, workspace, id, order, &by.name, rollout.updated).await?;
        }
        stored::save(&txn, &rollout).await?;
        let deed = Deed::new(action, format!("rollout {id}"))
            .within(workspace)
            .before(&views::view(&before))
            .after(&views::view(&rollout))
            .detail(format!("{:?}, {} %", rollout.state, rollout.percent).to_lowercase());
        audit::record(&txn, &app.clock, by, deed).await?;
        txn.commit()
            .await
            .doing("committing a change of a rollout")?;
        tracing::info!(%workspace, rollout = %id, state = ?rollout.state,
            percent = rollout.percent, "rollout changed");
        announce(app, &rollout);
    }
    Ok(views::view(&rollout))
}

pub(super) fn announce(app: &App, rollout: &Rollout) {
    app.changes
        .send(&rollout.workspace, Change::Rollout { id: rollout.id });
    app.wake.notify();
}

/// A version that may be rolled out, and the bytes that a device has to fetch for it if it has nothing.
pub(super) async fn target(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
    version: ModelVersion,
) -> Result<(Target, u64), RolloutError> {
    if let Some(facts) = registry::bundle_of(&app.store, workspace, model, version).await? {
        let (model, version) = (model.clone(), version);
        if facts.revoked {
            return Err(RolloutError::Revoked { model, version });
        }
        if !facts.signed {
            return Err(RolloutError::Unsigned { model, version });
        }
        let target = Target {
            model,
            version,
            bundle: facts.bundle,
            weights: facts.weights,
        };
        return Ok((target, facts.total_bytes));
    }
    let known = registry::model(&app.store, workspace, model).await?;
    let text = match known {
        None => format!(
            "there is no model `{model}`; `tern model list` shows those there are, \
             `tern model publish {model} DIR` makes it"
        ),
        Some(view) => {
            let versions = view.versions.iter().map(|view| view.version.to_string());
            let versions = versions.collect::<Vec<_>>().join(", ");
            format!(
                "model `{model}` has no version {version}, only {versions}; \
                 publish it first with `tern model publish {model} DIR`"
            )
        }
    };
    Err(RolloutError::NoVersion { text })
}
