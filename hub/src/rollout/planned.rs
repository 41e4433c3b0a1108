//! What a person can do with a rollout that decides by evidence: check its plan, start it, approve, replay.

use std::collections::BTreeSet;

use sea_orm::TransactionTrait as _;
use tern_protocol::{
    id::{ModelVersion, RolloutId, WorkspaceId},
    rest::{
        Decision, Deed as Decided, Gate, Plan, PlanCheck, PlanProblem, Replay, ReplayDifference,
        RolloutCounts, RolloutState, RolloutView,
    },
};
use tern_rollout::{
    Setup, calendar,
    event::Order,
    replay::{bytes, replay},
};

use super::{
    evidence::stored as evidence,
    fit, keys,
    operations::{self, RolloutError},
    plan::Rollout,
    stored, views,
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    fleet::facts::{self, DeviceFacts, Target},
    registry,
    store::{Doing as _, StoreError},
};

/// What would come of a plan: nothing is changed.
pub async fn check(
    app: &App,
    workspace: &WorkspaceId,
    plan: &Plan,
) -> Result<PlanCheck, RolloutError> {
    let mut problems = problems(plan);
    let facts = facts::facts(app.store.read(), workspace, &plan.slot).await?;
    let (selected, control, stages) = sizes(plan, &facts);
    let mut warnings = Vec::new();
    if let Some(version) = plan.version {
        match operations::target(app, workspace, &plan.model, version).await {
            Ok((target, bytes)) => {
                let rollout = rollout(app, workspace, plan, target, bytes);
                let devices = facts.iter().filter(|facts| rollout.selects(facts));
                let devices = devices.map(|facts| &facts.device).collect();
                warnings = fit::warnings(app.store.read(), &rollout, &devices).await?;
                problems.extend(undeclared(app, workspace, plan, version).await?);
            }
            Err(RolloutError::Store(err)) => return Err(err.into()),
            Err(err) => problems.push(PlanProblem {
                at: "version".into(),
                text: err.to_string(),
            }),
        }
    }
    if selected == 0 {
        warnings.push(format!(
            "no device matches and has the slot `{}` now; those that appear later join",
            plan.slot
        ));
    }
    let compares = plan
        .gates
        .iter()
        .any(tern_protocol::rest::Gate::needs_control);
    if selected > 0 && control == 0 && compares {
        warnings.push(
            "so few devices leave none for the control, and gates with a margin stay inconclusive; \
             write limits"
                .into(),
        );
    }
    Ok(PlanCheck {
        problems,
        warnings,
        selected,
        control,
        stages,
    })
}

/// What is wrong with a plan, also what only somebody with a calendar knows.
fn problems(plan: &Plan) -> Vec<PlanProblem> {
    let mut problems = plan.problems();
    if let Some(zone) = plan.calendar.as_ref().map(|calendar| &calendar.zone)
        && !calendar::is_zone(zone)
    {
        problems.push(PlanProblem {
            at: "calendar.zone".into(),
            text: format!("no time zone is called `{zone}`; write one such as Europe/Lisbon"),
        });
    }
    problems
}

/// Gates on metrics that the version does not declare: they would stay inconclusive for ever.
async fn undeclared(
    app: &App,
    workspace: &WorkspaceId,
    plan: &Plan,
    version: ModelVersion,
) -> Result<Vec<PlanProblem>, RolloutError> {
    let declared = registry::metrics_of(app.store.read(), workspace, &plan.model, version).await?;
    let declared = declared.unwrap_or_default();
    let missing = plan.gates.iter().enumerate().filter_map(|(index, gate)| {
        let Gate::Metric(of) = gate else { return None };
        let known = declared.iter().any(|spec| spec.name == of.name);
        (!known).then(|| PlanProblem {
            at: format!("gates[{index}].metric.name"),
            text: format!("version {version} declares no metric `{}`", of.name),
        })
    });
    Ok(missing.collect())
}

/// Devices selected, kept as control, and with the version from each stage on.
fn sizes(plan: &Plan, facts: &[DeviceFacts]) -> (u64, u64, Vec<u64>) {
    let selector = super::plan::selects(&plan.selector);
    let selected = facts.iter().filter(|facts| selector(facts)).count() as u64;
    let control = plan.control.of(selected).min(selected / 2);
    let others = selected - control;
    let mut most = 0;
    let stages = plan.stages.iter().map(|stage| {
        most = stage.to.of(others).max(most);
        most
    });
    (selected, control, stages.collect())
}

fn rollout(app: &App, workspace: &WorkspaceId, plan: &Plan, target: Target, bytes: u64) -> Rollout {
    let now = app.clock.now();
    Rollout {
        workspace: workspace.clone(),
        id: RolloutId(0),
        slot: plan.slot.clone(),
        target,
        selector: plan.selector.clone(),
        percent: 100,
        plan: Some(Box::new(plan.clone())),
        precedence: plan.precedence,
        stage: None,
        bytes,
        state: RolloutState::Running,
        moved: None,
        reason: "about to begin".into(),
        counts: RolloutCounts::default(),
        created: now,
        updated: now,
        actor: None,
    }
}

/// Starts a rollout that decides by evidence.
pub async fn start(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    plan: &Plan,
) -> Result<RolloutView, RolloutError> {
    begin(app, by, workspace, plan, None).await
}

/// As [`start`], once for each key of whoever asks: the rollout that was started under the key, whatever the plan says.
pub async fn start_once(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    plan: &Plan,
    key: &str,
) -> Result<RolloutId, RolloutError> {
    if let Some(known) = keys::find(app.store.read(), workspace, key).await? {
        return Ok(known);
    }
    Ok(begin(app, by, workspace, plan, Some(key)).await?.id)
}

/// The rollout that was started under a key, if one was.
pub async fn started_as(
    app: &App,
    workspace: &WorkspaceId,
    key: &str,
) -> Result<Option<RolloutView>, StoreError> {
    let db = app.store.read();
    let Some(id) = keys::find(db, workspace, key).await? else {
        return Ok(None);
    };
    let found = stored::find(db, workspace, id).await?;
    Ok(found.map(|rollout| views::view(&rollout)))
}

async fn begin(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    plan: &Plan,
    key: Option<&str>,
) -> Result<RolloutView, RolloutError> {
    let mut problems = problems(plan);
    let Some(version) = plan.version else {
        problems.push(PlanProblem {
            at: "version".into(),
            text: "a template has none, a rollout needs one".into(),
        });
        return Err(RolloutError::Plan { problems });
    };
    if !problems.is_empty() {
        return Err(RolloutError::Plan { problems });
    }
    let (target, bytes) = operations::target(app, workspace, &plan.model, version).await?;
    let problems = undeclared(app, workspace, plan, version).await?;
    if !problems.is_empty() {
        return Err(RolloutError::Plan { problems });
    }
    let txn = app.store.write().begin().await;
    let txn = txn.doing("beginning to start a rollout")?;
    if let Some(key) = key
        && let Some(known) = keys::find(&txn, workspace, key).await?
    {
        let known = stored::find(&txn, workspace, known).await?;
        return known
            .map(|rollout| views::view(&rollout))
            .ok_or(RolloutError::NotFound { id: RolloutId(0) });
    }
    operations::has_room(&txn, workspace, &plan.slot).await?;
    let mut rollout = rollout(app, workspace, plan, target, bytes);
    rollout.id = stored::next_id(&txn, workspace).await?;
    if let Some(key) = key {
        keys::note(&txn, workspace, key, rollout.id).await?;
    }
    rollout.actor = Some(by.name.clone());
    let facts = facts::facts(&txn, workspace, &rollout.slot).await?;
    rollout.counts.selected = sizes(plan, &facts).0;
    stored::save(&txn, &rollout).await?;
    let devices = facts.iter().filter(|facts| rollout.selects(facts));
    let devices = devices.map(|facts| &facts.device).collect();
    let warnings = fit::warnings(&txn, &rollout, &devices).await?;
    let deed = Deed::new("rollout.start", format!("rollout {}", rollout.id))
        .within(workspace)
        .after(&views::view(&rollout))
        .detail(format!(
            "{} version {} into slot {}, by a plan of {} stages",
            rollout.target.model,
            rollout.target.version,
            rollout.slot,
            plan.stages.len()
        ));
    audit::record(&txn, &app.clock, by, deed).await?;
    txn.commit().await.doing("committing a new rollout")?;
    tracing::info!(%workspace, rollout = %rollout.id, model = %rollout.target.model,
        version = %rollout.target.version, selected = rollout.counts.selected,
        "rollout by a plan started");
    operations::announce(app, &rollout);
    Ok(RolloutView {
        warnings,
        plan: rollout.plan.clone(),
        ..views::view(&rollout)
    })
}

/// Lets the next stage begin, although a person was to be asked or nothing is proven.
pub async fn approve(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    id: RolloutId,
) -> Result<RolloutView, RolloutError> {
    let txn = app.store.write().begin().await;
    let txn = txn.doing("beginning to approve a stage")?;
    let rollout = stored::find(&txn, workspace, id).await?;
    let rollout = rollout.ok_or(RolloutError::NotFound { id })?;
    if rollout.plan.is_none() {
        return Err(RolloutError::State {
            id,
            state: "a rollout by hand",
            advice: "widen it instead: `tern rollout widen`",
        });
    }
    let decisions = evidence::decisions(&txn, workspace, id).await?;
    if let Some(held) = decisions.iter().find(|one| one.what == Decided::Hold) {
        return Err(RolloutError::Harm {
            id,
            text: held.sentence.clone(),
        });
    }
    match rollout.state {
        RolloutState::Waiting | RolloutState::Running | RolloutState::Paused => {}
        _ => {
            return operations::over(&rollout, "no stage waits for approval")
                .map(|()| views::view(&rollout));
        }
    }
    if decisions.iter().any(|one| one.what == Decided::Release) {
        return Err(RolloutError::State {
            id,
            state: "past its last stage",
            advice: "nothing waits for approval",
        });
    }
    evidence::order(
        &txn,
        workspace,
        id,
        Order::Approve,
        &by.name,
        app.clock.now(),
    )
    .await?;
    let deed = Deed::new("rollout.approve", format!("rollout {id}"))
        .within(workspace)
        .detail(format!("in stage {}", rollout.stage.unwrap_or(0)));
    audit::record(&txn, &app.clock, by, deed).await?;
    txn.commit().await.doing("committing an approval")?;
    operations::announce(app, &rollout);
    Ok(views::view(&rollout))
}

/// Decides again from what is stored, and compares, to the byte.
pub async fn replayed(
    app: &App,
    workspace: &WorkspaceId,
    id: RolloutId,
) -> Result<Replay, RolloutError> {
    let db = app.store.read();
    let rollout = stored::find(db, workspace, id).await?;
    let rollout = rollout.ok_or(RolloutError::NotFound { id })?;
    let Some(plan) = &rollout.plan else {
        return Err(RolloutError::State {
            id,
            state: "a rollout by hand",
            advice: "persons decided, and the audit log says what: `tern audit list`",
        });
    };
    let batches = evidence::batches(db, workspace, id).await?;
    let stored = evidence::decision_bytes(db, workspace, id).await?;
    let setup = Setup {
        plan: (**plan).clone(),
        rollout: id,
        bytes: rollout.bytes,
    };
    let decisions = replay(setup, &batches).decisions;
    let computed: Vec<Vec<u8>> = decisions.iter().map(bytes).collect();
    let numbers: BTreeSet<usize> = (0..stored.len().max(computed.len())).collect();
    let difference = numbers
        .into_iter()
        .find(|number| stored.get(*number) != computed.get(*number))
        .map(|number| {
            let read = |bytes: &Vec<u8>| serde_json::from_slice::<Decision>(bytes).ok();
            Box::new(ReplayDifference {
                stored: stored.get(number).and_then(read),
                computed: decisions.get(number).cloned(),
            })
        });
    Ok(Replay {
        batches: batches.len() as u64,
        events: batches.iter().map(|batch| batch.events.len() as u64).sum(),
        same: difference.is_none(),
        difference,
        decisions,
    })
}
