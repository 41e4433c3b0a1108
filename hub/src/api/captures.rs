//! What is asked of devices about captures, and what is deleted.

use axum::{
    Extension, Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use tern_protocol::{
    id::{ModelName, SiteName},
    rest::{
        CaptureRequestView, CapturesKept, DeletionView, NewCaptureDeletion, NewCaptureRequest, Page,
    },
};
use utoipa::IntoParams;

use super::{
    extract::{Json, Path, Query, Workspace},
    pages,
    policy::Asking,
    problem::ApiError,
};
use crate::{
    access::audit::Actor,
    app::App,
    captures::{
        deletions,
        kept::{self, KeptQuery},
        requests,
    },
};

/// A request or a deletion in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct NumberPath {
    /// Its number.
    id: u64,
}

/// Which captures are counted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct KeptParams {
    /// Only those of this model.
    #[param(value_type = Option<String>)]
    model: Option<ModelName>,
    /// Only those from this site.
    #[param(value_type = Option<String>)]
    site: Option<SiteName>,
}

/// Count captures: by version, site, reason and day, and what devices spent of their budgets.
///
/// Of the newest 200,000.
#[utoipa::path(
    get, path = "/captures/kept", tag = "truth", params(KeptParams),
    responses((status = 200, description = "Counts and bytes", body = CapturesKept)),
)]
pub(super) async fn captures_kept(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(params): Query<KeptParams>,
) -> Result<Answer<CapturesKept>, ApiError> {
    let query = KeptQuery {
        model: params.model,
        site: params.site,
    };
    Ok(Answer(kept::kept(&app, &workspace, &query).await?))
}

/// Ask devices for some of their next inputs.
///
/// They are kept besides what policies draw, and no estimate of accuracy counts them.
#[utoipa::path(
    post, path = "/capture-requests", tag = "truth", request_body = NewCaptureRequest,
    responses((status = 201, description = "The request", body = CaptureRequestView)),
)]
pub(super) async fn request_captures(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Json(new): Json<NewCaptureRequest>,
) -> Result<Response, ApiError> {
    let actor = Actor::from(&principal);
    let asked = requests::ask(&app, &actor, &workspace, new).await?;
    Ok((StatusCode::CREATED, Answer(asked)).into_response())
}

/// List requests for captures.
#[utoipa::path(
    get, path = "/capture-requests", tag = "truth",
    responses((
        status = 200, description = "The newest 500, newest first", body = pages::CaptureRequestPage,
    )),
)]
pub(super) async fn list_capture_requests(
    State(app): State<App>,
    Workspace(workspace): Workspace,
) -> Result<Answer<Page<CaptureRequestView>>, ApiError> {
    Ok(Answer(requests::list(&app.store, &workspace).await?))
}

/// Take a request for captures back.
#[utoipa::path(
    post, path = "/capture-requests/{id}/cancel", tag = "truth", params(NumberPath),
    responses((status = 200, description = "The request", body = CaptureRequestView)),
)]
pub(super) async fn cancel_capture_request(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(NumberPath { id }): Path<NumberPath>,
) -> Result<Answer<CaptureRequestView>, ApiError> {
    let actor = Actor::from(&principal);
    Ok(Answer(
        requests::cancel(&app, &actor, &workspace, id).await?,
    ))
}

/// Delete captures and truths.
///
/// Of a device, of single predictions, or of a subject. Devices are told to forget what they still hold, and what comes
/// from them all the same is not taken. The answer is a receipt whose digest stands in the audit log.
#[utoipa::path(
    post, path = "/capture-deletions", tag = "truth", request_body = NewCaptureDeletion,
    responses((status = 201, description = "The receipt, with its proof", body = DeletionView)),
)]
pub(super) async fn delete_captures(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Json(new): Json<NewCaptureDeletion>,
) -> Result<Response, ApiError> {
    let actor = Actor::from(&principal);
    let deleted = deletions::delete(&app, &actor, &workspace, new).await?;
    Ok((StatusCode::CREATED, Answer(deleted)).into_response())
}

/// List deletions.
#[utoipa::path(
    get, path = "/capture-deletions", tag = "truth",
    responses((
        status = 200, description = "The newest 500, newest first, without proofs",
        body = pages::DeletionPage,
    )),
)]
pub(super) async fn list_capture_deletions(
    State(app): State<App>,
    Workspace(workspace): Workspace,
) -> Result<Answer<Page<DeletionView>>, ApiError> {
    Ok(Answer(deletions::list(&app, &workspace).await?))
}

/// Show a deletion, and whether it holds.
#[utoipa::path(
    get, path = "/capture-deletions/{id}", tag = "truth", params(NumberPath),
    responses((status = 200, description = "The receipt, with its proof", body = DeletionView)),
)]
pub(super) async fn show_capture_deletion(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(NumberPath { id }): Path<NumberPath>,
) -> Result<Answer<DeletionView>, ApiError> {
    Ok(Answer(deletions::show(&app, &workspace, id).await?))
}
