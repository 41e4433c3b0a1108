//! Plans of rollouts that decide by evidence, and what can be done with such a rollout.

use axum::{
    Extension, Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use tern_protocol::{
    id::{ModelName, WorkspaceId},
    rest::{
        Freeze, NewFreeze, Page, Plan, PlanCheck, PlanTemplate, RehearsalRequest, Rehearsed,
        Replay, RolloutView,
    },
};
use utoipa::IntoParams;

use super::{
    extract::{Json, JsonOrDefault, Path, Workspace},
    pages,
    policy::Asking,
    problem::ApiError,
    rollouts::RolloutPath,
};
use crate::{
    access::audit::Actor,
    app::App,
    registry,
    rollout::{freeze, planned, rehearsed, templates},
};

/// A template in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TemplatePath {
    /// Name of the model.
    #[param(value_type = String)]
    model: ModelName,
    /// Name of the template.
    name: String,
}

/// A model in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ModelPath {
    /// Name of the model.
    #[param(value_type = String)]
    pub(super) model: ModelName,
}

/// Start a rollout that decides by evidence.
#[utoipa::path(
    post, path = "/plans/start", tag = "rollouts", request_body = Plan,
    responses((status = 201, description = "Started", body = RolloutView)),
)]
pub(super) async fn start_plan(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Json(plan): Json<Plan>,
) -> Result<Response, ApiError> {
    let started = planned::start(&app, &Actor::from(&principal), &workspace, &plan).await?;
    Ok((StatusCode::CREATED, Answer(started)).into_response())
}

/// Say what is wrong with a plan, and what would come of it; nothing is changed.
#[utoipa::path(
    post, path = "/plans/check", tag = "rollouts", request_body = Plan,
    responses((status = 200, description = "What would come of it", body = PlanCheck)),
)]
pub(super) async fn check_plan(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Json(plan): Json<Plan>,
) -> Result<Answer<PlanCheck>, ApiError> {
    Ok(Answer(planned::check(&app, &workspace, &plan).await?))
}

/// Rehearse a plan: run it again and again on the fleet as it was recorded, or on a described one. Takes up to a few
/// minutes; nothing is changed.
#[utoipa::path(
    post, path = "/plans/rehearse", tag = "rollouts", request_body = RehearsalRequest,
    responses((status = 200, description = "What came of it", body = Rehearsed)),
)]
pub(super) async fn rehearse_plan(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Json(request): Json<RehearsalRequest>,
) -> Result<Answer<Rehearsed>, ApiError> {
    Ok(Answer(
        rehearsed::rehearsed(&app, &workspace, request).await?,
    ))
}

/// Let the next stage begin, although a person was to be asked or nothing is proven.
#[utoipa::path(
    post, path = "/rollouts/{id}/approve", tag = "rollouts", params(RolloutPath),
    responses((status = 200, description = "The rollout; what follows is decided at its next look", body = RolloutView)),
)]
pub(super) async fn approve_rollout(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(RolloutPath { id }): Path<RolloutPath>,
) -> Result<Answer<RolloutView>, ApiError> {
    let by = Actor::from(&principal);
    Ok(Answer(planned::approve(&app, &by, &workspace, id).await?))
}

/// Decide again from the stored evidence, and compare with what was decided.
#[utoipa::path(
    get, path = "/rollouts/{id}/replay", tag = "rollouts", params(RolloutPath),
    responses((status = 200, description = "Whether it came out the same", body = Replay)),
)]
pub(super) async fn replay_rollout(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(RolloutPath { id }): Path<RolloutPath>,
) -> Result<Answer<Replay>, ApiError> {
    Ok(Answer(planned::replayed(&app, &workspace, id).await?))
}

/// Freeze the workspace: no device is moved until somebody thaws it.
#[utoipa::path(
    post, path = "/freeze", tag = "rollouts",
    request_body(content = NewFreeze, description = "Nothing at all is a freeze without a reason"),
    responses((status = 200, description = "Frozen", body = Freeze)),
)]
pub(super) async fn freeze_workspace(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    JsonOrDefault(new): JsonOrDefault<NewFreeze>,
) -> Result<Answer<Freeze>, ApiError> {
    let by = Actor::from(&principal);
    Ok(Answer(
        freeze::freeze(&app, &by, &workspace, &new.reason).await?,
    ))
}

/// Thaw the workspace: rollouts go on.
#[utoipa::path(
    delete, path = "/freeze", tag = "rollouts",
    responses((status = 204, description = "It is not frozen")),
)]
pub(super) async fn thaw_workspace(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
) -> Result<StatusCode, ApiError> {
    freeze::thaw(&app, &Actor::from(&principal), &workspace).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the workspace is frozen.
#[utoipa::path(
    get, path = "/freeze", tag = "rollouts",
    responses((status = 200, description = "Since when, by whom and why; null if it is not", body = Option<Freeze>)),
)]
pub(super) async fn show_freeze(
    State(app): State<App>,
    Workspace(workspace): Workspace,
) -> Result<Answer<Option<Freeze>>, ApiError> {
    Ok(Answer(freeze::find(app.store.read(), &workspace).await?))
}

/// Refuses what is about a model that nobody published.
async fn is_there(app: &App, workspace: &WorkspaceId, model: &ModelName) -> Result<(), ApiError> {
    let found = registry::model(&app.store, workspace, model).await?;
    found.map(drop).ok_or_else(|| {
        ApiError::not_found(format!(
            "there is no model `{model}`; `tern model list` shows those there are"
        ))
    })
}

/// List the plans that are kept for a model.
#[utoipa::path(
    get, path = "/models/{model}/plans", tag = "rollouts", params(ModelPath),
    responses((status = 200, description = "By name", body = pages::PlanTemplatePage)),
)]
pub(super) async fn list_templates(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(ModelPath { model }): Path<ModelPath>,
) -> Result<Answer<Page<PlanTemplate>>, ApiError> {
    is_there(&app, &workspace, &model).await?;
    let items = templates::list(app.store.read(), &workspace, &model).await?;
    Ok(Answer(Page { items, next: None }))
}

/// Keep a plan for a model.
#[utoipa::path(
    put, path = "/models/{model}/plans/{name}", tag = "rollouts", params(TemplatePath), request_body = Plan,
    responses((status = 200, description = "Kept, without its version", body = PlanTemplate)),
)]
pub(super) async fn save_template(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(TemplatePath { model, name }): Path<TemplatePath>,
    Json(plan): Json<Plan>,
) -> Result<Answer<PlanTemplate>, ApiError> {
    is_there(&app, &workspace, &model).await?;
    let by = Actor::from(&principal);
    let saved = templates::save(&app, &by, &workspace, &model, &name, plan).await?;
    Ok(Answer(saved))
}

/// Remove a plan that is kept for a model.
#[utoipa::path(
    delete, path = "/models/{model}/plans/{name}", tag = "rollouts", params(TemplatePath),
    responses((status = 204, description = "Removed")),
)]
pub(super) async fn remove_template(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(TemplatePath { model, name }): Path<TemplatePath>,
) -> Result<StatusCode, ApiError> {
    let by = Actor::from(&principal);
    if templates::remove(&app, &by, &workspace, &model, &name).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found(format!(
            "model `{model}` has no plan `{name}`"
        )))
    }
}
