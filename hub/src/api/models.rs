//! Models and their versions.

use axum::{
    Extension, Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use tern_protocol::{
    id::{ModelName, ModelVersion},
    rest::{ModelView, NewVersion, Page, Transcode, VersionView},
};
use utoipa::IntoParams;

use super::{
    extract::{Json, Path, Workspace},
    pages,
    policy::Asking,
    problem::ApiError,
};
use crate::{
    access::audit::Actor,
    app::App,
    registry::{self, Published, lacking},
    transcode,
};

/// A model in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ModelPath {
    /// Name of the model.
    #[param(value_type = String)]
    model: ModelName,
}

/// A version in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct VersionPath {
    /// Name of the model.
    #[param(value_type = String)]
    pub(super) model: ModelName,
    /// Number of the version.
    #[param(value_type = u32)]
    pub(super) version: ModelVersion,
}

/// List models with their versions.
#[utoipa::path(
    get, path = "/models", tag = "models",
    responses((status = 200, description = "All models, by name", body = pages::ModelPage)),
)]
pub(super) async fn list_models(
    State(app): State<App>,
    Workspace(workspace): Workspace,
) -> Result<Answer<Page<ModelView>>, ApiError> {
    let mut items = registry::models(&app.store, &workspace).await?;
    lacking::mark_models(&app, &workspace, &mut items).await?;
    Ok(Answer(Page { items, next: None }))
}

/// Show a model.
#[utoipa::path(
    get, path = "/models/{model}", tag = "models", params(ModelPath),
    responses((status = 200, description = "The model", body = ModelView)),
)]
pub(super) async fn show_model(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(ModelPath { model }): Path<ModelPath>,
) -> Result<Answer<ModelView>, ApiError> {
    let mut found = registry::model(&app.store, &workspace, &model).await?;
    lacking::mark_models(&app, &workspace, found.as_mut_slice()).await?;
    found
        .map(Answer)
        .ok_or_else(|| ApiError::not_found(format!("there is no model `{model}`")))
}

/// Show a version of a model.
#[utoipa::path(
    get, path = "/models/{model}/versions/{version}", tag = "models", params(VersionPath),
    responses((status = 200, description = "The version", body = VersionView)),
)]
pub(super) async fn show_version(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(VersionPath { model, version }): Path<VersionPath>,
) -> Result<Answer<VersionView>, ApiError> {
    let mut found = registry::version(&app.store, &workspace, &model, version).await?;
    lacking::mark(&app, &workspace, &mut found).await?;
    let missing = || ApiError::not_found(format!("there is no version {version} of `{model}`"));
    found.map(Answer).ok_or_else(missing)
}

/// Publish a version of a model.
///
/// Its files are uploaded before, each with `PUT /blobs/{digest}`. The hub loads, optimises and runs
/// the model with the engine that devices run; a refused model changes nothing, and the problem's
/// findings say which check failed, on what, and what to do. The same files again give the version
/// that they were published as.
#[utoipa::path(
    post, path = "/models/{model}/versions", tag = "models", params(ModelPath),
    request_body = NewVersion,
    responses(
        (status = 201, description = "Published", body = VersionView),
        (status = 200, description = "The same files were published before", body = VersionView),
    ),
)]
pub(super) async fn publish_version(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(ModelPath { model }): Path<ModelPath>,
    Json(new): Json<NewVersion>,
) -> Result<Response, ApiError> {
    let (status, version) =
        match registry::publish(&app, &Actor::from(&principal), &workspace, &model, new).await? {
            Published::New(version) => (StatusCode::CREATED, version),
            Published::Known(version) => (StatusCode::OK, version),
        };
    Ok((status, Answer(version)).into_response())
}

/// Publish a version with its weights stored in fewer bits.
///
/// The hub makes the file, runs both on the golden samples and on labelled captures of the model, and
/// publishes it as the next version, vetted like any other, with what the change cost. Devices get it
/// by a rollout.
#[utoipa::path(
    post, path = "/models/{model}/versions/{version}/transcodings", tag = "models",
    params(VersionPath), request_body = Transcode,
    responses(
        (status = 201, description = "Published", body = VersionView),
        (status = 200, description = "It was published before", body = VersionView),
    ),
)]
pub(super) async fn transcode_version(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(VersionPath { model, version }): Path<VersionPath>,
    Json(Transcode { to }): Json<Transcode>,
) -> Result<Response, ApiError> {
    let by = Actor::from(&principal);
    let made = transcode::transcode(&app, &by, &workspace, &model, version, to).await?;
    let missing = || ApiError::not_found(format!("there is no version {version} of `{model}`"));
    let (status, version) = match made.ok_or_else(missing)? {
        Published::New(version) => (StatusCode::CREATED, version),
        Published::Known(version) => (StatusCode::OK, version),
    };
    Ok((status, Answer(version)).into_response())
}
