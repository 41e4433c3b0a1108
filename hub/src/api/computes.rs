//! Where jobs run. Computes belong to the hub; whoever sees jobs sees them in their workspace.

use axum::{Extension, Json as Answer, extract::State, http::StatusCode};
use serde::Deserialize;
use tern_protocol::{
    id::ComputeName,
    rest::{ComputeSettings, ComputeView, Page},
};
use utoipa::IntoParams;

use super::{
    extract::{Json, Path, Workspace},
    pages,
    policy::Asking,
    problem::ApiError,
};
use crate::{access::audit::Actor, app::App, jobs};

/// A compute in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ComputePath {
    /// Its name.
    #[param(value_type = String)]
    name: ComputeName,
}

/// List computes.
#[utoipa::path(
    get, path = "/computes", tag = "jobs",
    responses((status = 200, description = "The hub's machine first", body = pages::ComputePage)),
)]
pub(super) async fn list_computes(
    State(app): State<App>,
    Workspace(_): Workspace,
) -> Result<Answer<Page<ComputeView>>, ApiError> {
    let items = jobs::computes(&app).await?;
    Ok(Answer(Page { items, next: None }))
}

/// Show a compute.
#[utoipa::path(
    get, path = "/computes/{name}", tag = "jobs", params(ComputePath),
    responses((status = 200, description = "The compute", body = ComputeView)),
)]
pub(super) async fn show_compute(
    State(app): State<App>,
    Workspace(_): Workspace,
    Path(ComputePath { name }): Path<ComputePath>,
) -> Result<Answer<ComputeView>, ApiError> {
    Ok(Answer(jobs::compute(&app, &name).await?))
}

/// Add a compute, or change it.
#[utoipa::path(
    put, path = "/computes/{name}", tag = "jobs", params(ComputePath),
    request_body = ComputeSettings,
    responses((status = 200, description = "The compute", body = ComputeView)),
)]
pub(super) async fn set_compute(
    State(app): State<App>,
    Extension(principal): Asking,
    Path(ComputePath { name }): Path<ComputePath>,
    Json(new): Json<ComputeSettings>,
) -> Result<Answer<ComputeView>, ApiError> {
    let by = Actor::from(&principal);
    Ok(Answer(jobs::set_compute(&app, &by, &name, new).await?))
}

/// Remove a compute on which nothing runs.
#[utoipa::path(
    delete, path = "/computes/{name}", tag = "jobs", params(ComputePath),
    responses((status = 204, description = "Removed")),
)]
pub(super) async fn remove_compute(
    State(app): State<App>,
    Extension(principal): Asking,
    Path(ComputePath { name }): Path<ComputePath>,
) -> Result<StatusCode, ApiError> {
    jobs::remove_compute(&app, &Actor::from(&principal), &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
