//! Rollouts.

use axum::{
    Extension, Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use tern_protocol::{
    id::RolloutId,
    rest::{Abort, NewRollout, Page, RolloutView, Widen},
};
use utoipa::IntoParams;

use super::{
    extract::{Json, JsonOrDefault, Path, Query, Workspace},
    pages,
    policy::Asking,
    problem::ApiError,
};
use crate::{access::audit::Actor, app::App, rollout};

/// A rollout in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct RolloutPath {
    /// Id of the rollout.
    #[param(value_type = u32)]
    pub(super) id: RolloutId,
}

/// How many rollouts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RolloutsQuery {
    /// Rollouts, at most 1,000; 100 by default.
    limit: Option<u64>,
}

/// Start a rollout.
#[utoipa::path(
    post, path = "/rollouts", tag = "rollouts", request_body = NewRollout,
    responses((status = 201, description = "Started", body = RolloutView)),
)]
pub(super) async fn start_rollout(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Json(new): Json<NewRollout>,
) -> Result<Response, ApiError> {
    let started = rollout::start(&app, &Actor::from(&principal), &workspace, new).await?;
    Ok((StatusCode::CREATED, Answer(started)).into_response())
}

/// List rollouts.
#[utoipa::path(
    get, path = "/rollouts", tag = "rollouts", params(RolloutsQuery),
    responses((status = 200, description = "Newest first, without their devices", body = pages::RolloutPage)),
)]
pub(super) async fn list_rollouts(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(query): Query<RolloutsQuery>,
) -> Result<Answer<Page<RolloutView>>, ApiError> {
    let limit = query.limit.unwrap_or(100).clamp(1, 1000);
    let items = rollout::list(&app.store, &workspace, limit).await?;
    Ok(Answer(Page { items, next: None }))
}

/// Show a rollout with its devices.
#[utoipa::path(
    get, path = "/rollouts/{id}", tag = "rollouts", params(RolloutPath),
    responses((status = 200, description = "The rollout", body = RolloutView)),
)]
pub(super) async fn show_rollout(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(RolloutPath { id }): Path<RolloutPath>,
) -> Result<Answer<RolloutView>, ApiError> {
    let found = rollout::show(&app, &workspace, id).await?;
    found
        .map(Answer)
        .ok_or_else(|| ApiError::not_found(format!("there is no rollout {id}")))
}

/// Pause a rollout: it assigns nothing more until resumed.
#[utoipa::path(
    post, path = "/rollouts/{id}/pause", tag = "rollouts", params(RolloutPath),
    responses((status = 200, description = "The rollout", body = RolloutView)),
)]
pub(super) async fn pause_rollout(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(RolloutPath { id }): Path<RolloutPath>,
) -> Result<Answer<RolloutView>, ApiError> {
    Ok(Answer(
        rollout::pause(&app, &Actor::from(&principal), &workspace, id).await?,
    ))
}

/// Resume a paused rollout.
#[utoipa::path(
    post, path = "/rollouts/{id}/resume", tag = "rollouts", params(RolloutPath),
    responses((status = 200, description = "The rollout", body = RolloutView)),
)]
pub(super) async fn resume_rollout(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(RolloutPath { id }): Path<RolloutPath>,
) -> Result<Answer<RolloutView>, ApiError> {
    Ok(Answer(
        rollout::resume(&app, &Actor::from(&principal), &workspace, id).await?,
    ))
}

/// End a rollout; moved devices go back to what they had, unless told to stay.
#[utoipa::path(
    post, path = "/rollouts/{id}/abort", tag = "rollouts", params(RolloutPath),
    request_body(content = Abort, description = "Nothing at all means: back"),
    responses((status = 200, description = "The rollout", body = RolloutView)),
)]
pub(super) async fn abort_rollout(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(RolloutPath { id }): Path<RolloutPath>,
    JsonOrDefault(abort): JsonOrDefault<Abort>,
) -> Result<Answer<RolloutView>, ApiError> {
    Ok(Answer(
        rollout::abort(&app, &Actor::from(&principal), &workspace, id, abort).await?,
    ))
}

/// Widen a rollout to a larger share; devices in it stay in it.
#[utoipa::path(
    post, path = "/rollouts/{id}/widen", tag = "rollouts", params(RolloutPath),
    request_body = Widen,
    responses((status = 200, description = "The rollout", body = RolloutView)),
)]
pub(super) async fn widen_rollout(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(RolloutPath { id }): Path<RolloutPath>,
    Json(widen): Json<Widen>,
) -> Result<Answer<RolloutView>, ApiError> {
    Ok(Answer(
        rollout::widen(&app, &Actor::from(&principal), &workspace, id, widen).await?,
    ))
}
