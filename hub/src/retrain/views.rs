//! How retraining stands, and what rounds taught.

use tern_protocol::{
    id::{ModelName, WorkspaceId},
    rest::{LessonView, RetrainView, RoundView},
};
use tern_retrain::{
    ledger::{DAY, MONTH, Sort},
    state::Round,
};

use super::{RetrainError, policies::cooling, questions, stored, words, work};
use crate::{app::App, registry};

/// Lessons of one list, at most.
const LESSONS: u64 = 1_000;

/// All models of a workspace that are trained anew, by name.
pub async fn all(app: &App, workspace: &WorkspaceId) -> Result<Vec<RetrainView>, RetrainError> {
    let mut all = Vec::new();
    for model in stored::models(app.store.read(), workspace).await? {
        all.push(view(app, workspace, &model).await?);
    }
    Ok(all)
}

/// One model.
pub async fn one(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
) -> Result<RetrainView, RetrainError> {
    let known = stored::models(app.store.read(), workspace).await?;
    if !known.contains(model)
        && registry::model(&app.store, workspace, model)
            .await?
            .is_none()
    {
        return Err(RetrainError::NotFound(format!(
            "there is no model {model}, and no policy of it"
        )));
    }
    view(app, workspace, model).await
}

async fn view(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
) -> Result<RetrainView, RetrainError> {
    let db = app.store.read();
    let now = app.clock.now();
    let known = stored::state(db, workspace, model).await?;
    let policy = stored::policy(db, workspace, model).await?;
    let round = match known.open() {
        Some(open) => Some(round(app, workspace, model, open).await?),
        None => None,
    };
    let spent = |span| known.ledger().spent(Sort::CoreSeconds, span, now);
    Ok(RetrainView {
        model: model.clone(),
        round,
        waits: app.retraining.waits(&(workspace.clone(), model.clone())),
        rounds: known.rounds(),
        ended: known.ended(),
        cooling_until: policy
            .as_ref()
            .filter(|_| known.open().is_none())
            .and_then(|written| cooling(&written.policy, known.ended(), now)),
        core_seconds_day: spent(DAY),
        core_seconds_month: spent(MONTH),
        policy: policy.map(|written| written.view),
    })
}

async fn round(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
    open: &Round,
) -> Result<RoundView, RetrainError> {
    let db = app.store.read();
    let of = (workspace.clone(), model.clone());
    let asked = questions::of_round(db, workspace, model, open.number).await?;
    let asks = words::asks(open);
    let asks = asked
        .iter()
        .find(|one| asks == Some((one.key.step, one.key.attempt)));
    let ordered = work::of_round(db, workspace, model, open.number).await?;
    Ok(RoundView {
        asks: asks.map(|one| one.id),
        work: ordered
            .iter()
            .map(|row| {
                let running =
                    !row.over && (row.number.is_some() || app.retraining.is_running(&of, row.key));
                row.view(running)
            })
            .collect(),
        ..words::round(open)
    })
}

/// What rounds taught, of all models or of one, the latest first.
pub async fn lessons(
    app: &App,
    workspace: &WorkspaceId,
    model: Option<&ModelName>,
    limit: Option<u64>,
) -> Result<Vec<LessonView>, RetrainError> {
    let most = limit.unwrap_or(100).clamp(1, LESSONS);
    let all = stored::lessons(app.store.read(), workspace, model, most).await?;
    let views = all.into_iter();
    Ok(views
        .map(|(model, lesson)| words::lesson(model, lesson))
        .collect())
}
