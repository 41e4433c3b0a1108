//! Policies: written, read, removed; and a round by a person's word.

use sea_orm::ConnectionTrait;
use tern_protocol::{
    id::{ModelName, WorkspaceId},
    rest::{RetrainCheck, RetrainPolicyView},
    time::WallTime,
};
use tern_retrain::{Policy, fact::Asked, ledger};

use super::{
    RetrainError, document, proposals,
    sql::{SQL, of, to_json},
    stored,
};
use crate::{
    access::{
        audit::{self, Actor, Deed},
        principal::Principal,
    },
    app::App,
    registry,
    rollout::templates,
    store::StoreError,
};

/// Policies of a workspace, at most: each is a look at all that is known of a model every few seconds.
const POLICIES: usize = 200;

/// All policies of a workspace, by model.
pub async fn list(
    app: &App,
    workspace: &WorkspaceId,
) -> Result<Vec<RetrainPolicyView>, RetrainError> {
    let all = stored::policies(app.store.read(), workspace).await?;
    Ok(all.into_iter().map(|written| written.view).collect())
}

/// The policy of a model.
pub async fn one(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
) -> Result<RetrainPolicyView, RetrainError> {
    let found = stored::policy(app.store.read(), workspace, model).await?;
    let found = found.ok_or_else(|| none(model))?;
    Ok(found.view)
}

fn none(model: &ModelName) -> RetrainError {
    RetrainError::NotFound(format!(
        "{model} has no policy of retraining; `tern retrain policy set FILE` writes one"
    ))
}

/// Says what is wrong with a policy, and what it names that is not there; nothing is changed.
pub async fn check(
    app: &App,
    workspace: &WorkspaceId,
    text: &str,
) -> Result<RetrainCheck, RetrainError> {
    let (problems, warnings) = match document::policy(text) {
        Ok(policy) => (Vec::new(), missing(app, workspace, &policy).await?),
        Err(problems) => (problems, Vec::new()),
    };
    Ok(RetrainCheck { problems, warnings })
}

/// What a policy names that is not there yet. It may be written before what it names.
async fn missing(
    app: &App,
    workspace: &WorkspaceId,
    policy: &Policy,
) -> Result<Vec<String>, StoreError> {
    let db = app.store.read();
    let mut warnings = Vec::new();
    let model = &policy.model;
    if registry::model(&app.store, workspace, model)
        .await?
        .is_none()
    {
        warnings.push(format!("there is no model {model} yet"));
    }
    if !super::trainings::is_there(db, workspace, &policy.training).await? {
        warnings.push(format!(
            "there is no training `{0}` yet; write it with `tern retrain training set {0} FILE`",
            policy.training
        ));
    }
    let known = templates::list(db, workspace, model).await?;
    if known.iter().all(|one| one.name != policy.rollout) {
        warnings.push(format!(
            "{model} has no plan template `{0}` yet; keep one with `tern rollout plan FILE --save {0}`",
            policy.rollout
        ));
    }
    Ok(warnings)
}

/// Writes a policy over the one that its model has.
pub async fn put(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    text: &str,
) -> Result<RetrainPolicyView, RetrainError> {
    let policy = document::policy(text).map_err(RetrainError::Document)?;
    let model = &policy.model;
    let now = app.clock.now();
    let txn = SQL.begin(&app.store).await?;
    let before = stored::policies(&txn, workspace).await?;
    let is_new = before.iter().all(|one| one.view.model != *model);
    if is_new && before.len() >= POLICIES {
        return Err(RetrainError::Conflict(format!(
            "a workspace has at most {POLICIES} policies; remove one"
        )));
    }
    let upsert = "INSERT INTO retrain_policy (workspace, model, text, body, updated, actor) \
                  VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace, model) DO UPDATE SET \
                  text = excluded.text, body = excluded.body, updated = excluded.updated, actor = excluded.actor";
    let [in_workspace, of_model] = of(workspace, model);
    let values = [
        in_workspace,
        of_model,
        text.into(),
        to_json(&policy).into(),
        now.0.into(),
        by.name.as_str().into(),
    ];
    SQL.exec(&txn, upsert, values).await?;
    let deed = Deed::new("retrain.policy", format!("policy of {model}"))
        .within(workspace)
        .after(&policy);
    let was = before.iter().find(|one| one.view.model == *model);
    let deed = match was {
        Some(was) => deed.before(&was.policy),
        None => deed,
    };
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    changed(app, workspace, model);
    one(app, workspace, model).await
}

/// Removes the policy of a model; an open round ends.
pub async fn remove(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    model: &ModelName,
) -> Result<(), RetrainError> {
    let txn = SQL.begin(&app.store).await?;
    let delete = "DELETE FROM retrain_policy WHERE workspace = $1 AND model = $2";
    if SQL.exec(&txn, delete, of(workspace, model)).await? == 0 {
        return Err(none(model));
    }
    let deed = Deed::new("retrain.policy-remove", format!("policy of {model}")).within(workspace);
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    changed(app, workspace, model);
    Ok(())
}

fn changed(app: &App, workspace: &WorkspaceId, model: &ModelName) {
    app.retraining.wake.notify();
    super::announce(app, workspace, model);
}

/// Asks for a round now.
pub async fn ask(
    app: &App,
    principal: &Principal,
    workspace: &WorkspaceId,
    model: &ModelName,
    note: &str,
) -> Result<(), RetrainError> {
    /// Longest note, in characters.
    const NOTE: usize = 300;
    let now = app.clock.now();
    let txn = SQL.begin(&app.store).await?;
    let policy = stored::policy(&txn, workspace, model).await?;
    let policy = policy.ok_or_else(|| none(model))?.policy;
    let known = stored::state(&txn, workspace, model).await?;
    if let Some(open) = known.open() {
        return Err(RetrainError::Conflict(format!(
            "round {} of {model} is open already: {}",
            open.number,
            open.stage.words()
        )));
    }
    if let Some(until) = cooling(&policy, known.ended(), now) {
        let left = ledger::time_left(until.0.saturating_sub(now.0).saturating_add(60_000));
        return Err(RetrainError::Conflict(format!(
            "the last round of {model} ended not long ago, and its policy lets no other begin for {left}; \
             write a shorter `cool-down` if it has to be now"
        )));
    }
    let asked = Asked {
        round: known.rounds().saturating_add(1),
        by: proposals::person(principal),
        at: now,
        note: note.trim().chars().take(NOTE).collect(),
    };
    stored::ask(&txn, workspace, model, &asked).await?;
    let deed = Deed::new("retrain.now", format!("round {} of {model}", asked.round))
        .within(workspace)
        .detail(asked.note.clone());
    audit::record(&txn, &app.clock, &Actor::from(principal), deed).await?;
    SQL.commit(txn).await?;
    changed(app, workspace, model);
    Ok(())
}

/// Before when no round begins, if that is later than now.
pub(super) fn cooling(policy: &Policy, ended: Option<WallTime>, now: WallTime) -> Option<WallTime> {
    let until = ended?.0.saturating_add_unsigned(policy.cool_down.ms());
    (now.0 < until).then_some(WallTime(until))
}

/// Models whose policies name a training.
pub(super) async fn naming(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
) -> Result<Vec<(ModelName, tern_protocol::id::TrainingName)>, StoreError> {
    let all = stored::policies(db, workspace).await?;
    let each = all.into_iter();
    Ok(each
        .map(|one| (one.view.model, one.view.training))
        .collect())
}
