//! Labelling by people: what is asked of them, what they say, and how that is taken back.

use axum::{Extension, Json as Answer, extract::State, http::StatusCode};
use serde::Deserialize;
use tern_protocol::{
    id::ModelName,
    rest::{Items, LabellingSettings, LabellingView, NextItems, Said, Say},
};
use utoipa::IntoParams;

use super::{
    extract::{Json, Path, Workspace},
    policy::Asking,
    problem::ApiError,
};
use crate::{
    access::audit::Actor,
    app::App,
    monitor::labelling::{self, Labeller},
};

/// Which model.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ModelPath {
    /// The model.
    #[param(value_type = String)]
    model: ModelName,
}

/// How labelling of a model stands.
#[utoipa::path(
    get, path = "/labelling/{model}", tag = "truth", params(ModelPath),
    responses((status = 200, description = "Counts, settings, agreement", body = LabellingView)),
)]
pub(super) async fn show_labelling(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(ModelPath { model }): Path<ModelPath>,
) -> Result<Answer<LabellingView>, ApiError> {
    let labeller = Labeller::of(&principal);
    Ok(Answer(
        labelling::stand(&app, &workspace, &labeller, &model).await?,
    ))
}

/// Say how many people have to agree about a capture of a model.
#[utoipa::path(
    put, path = "/labelling/{model}", tag = "truth", params(ModelPath),
    request_body = LabellingSettings,
    responses((status = 204, description = "Set")),
)]
pub(super) async fn set_labelling(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(ModelPath { model }): Path<ModelPath>,
    Json(settings): Json<LabellingSettings>,
) -> Result<StatusCode, ApiError> {
    let actor = Actor::from(&principal);
    labelling::set(&app, &actor, &workspace, &model, settings).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ask for captures to label, the most valuable first. Each is lent to whoever asks for ten minutes.
#[utoipa::path(
    post, path = "/labelling/{model}/next", tag = "truth", params(ModelPath),
    request_body = NextItems,
    responses((status = 200, description = "Captures; none if nothing waits", body = Items)),
)]
pub(super) async fn next_items(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(ModelPath { model }): Path<ModelPath>,
    Json(request): Json<NextItems>,
) -> Result<Answer<Items>, ApiError> {
    let labeller = Labeller::of(&principal);
    Ok(Answer(
        labelling::next(&app, &workspace, &labeller, &model, &request).await?,
    ))
}

/// Say what is true about a capture, or that whoever asks cannot say.
#[utoipa::path(
    post, path = "/labelling/{model}/say", tag = "truth", params(ModelPath), request_body = Say,
    responses((status = 200, description = "How the capture stands now", body = Said)),
)]
pub(super) async fn say(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(ModelPath { model }): Path<ModelPath>,
    Json(request): Json<Say>,
) -> Result<Answer<Said>, ApiError> {
    let (actor, labeller) = (Actor::from(&principal), Labeller::of(&principal));
    Ok(Answer(
        labelling::say(&app, &actor, &workspace, &labeller, &model, &request).await?,
    ))
}

/// Take back what whoever asks said last; it is asked again.
#[utoipa::path(
    post, path = "/labelling/{model}/undo", tag = "truth", params(ModelPath),
    responses((status = 200, description = "How the capture stands now, and the capture", body = Said)),
)]
pub(super) async fn undo(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(ModelPath { model }): Path<ModelPath>,
) -> Result<Answer<Said>, ApiError> {
    let (actor, labeller) = (Actor::from(&principal), Labeller::of(&principal));
    Ok(Answer(
        labelling::undo(&app, &actor, &workspace, &labeller, &model).await?,
    ))
}
