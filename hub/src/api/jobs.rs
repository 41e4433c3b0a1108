//! Jobs: asked for, looked at, ended, done again.

use std::time::Duration;

use axum::{
    Extension, Json as Answer,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use tern_compute::job::AttemptKey;
use tern_protocol::{
    blob::BlobRef,
    id::JobId,
    limits,
    rest::{JobAsked, JobDetail, JobLog, JobRetry, JobState, JobView, Page},
};
use utoipa::IntoParams;

use super::{
    blobs::{facts, is_too_long, pieces},
    extract::{Json, JsonOrDefault, Path, Query, Workspace},
    pages,
    policy::Asking,
    problem::ApiError,
};
use crate::{
    access::principal::{Principal, Who},
    app::App,
    jobs::{self, By, JobsQuery},
};

/// Bytes of a log in one answer, unless asked for less.
const LOG: usize = 64 * 1024;

/// A job in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct JobPath {
    /// Its number.
    #[param(value_type = u64)]
    id: JobId,
}

/// By what the job is known again.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SubmitQuery {
    /// The same key in the same workspace gives the job that has it already.
    key: Option<String>,
}

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct JobsParams {
    /// Only those in this state.
    #[param(inline)]
    state: Option<JobState>,
    /// `true`: only those that are not over.
    #[serde(default)]
    open: bool,
    /// Only those of this account.
    by: Option<String>,
    /// Only those on this compute.
    compute: Option<String>,
    /// The `next` of the page before.
    after: Option<u64>,
    /// Jobs on the page, at most 1,000; 100 by default.
    limit: Option<u64>,
}

/// Which part of a log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogParams {
    /// Of this attempt; of the last by default.
    attempt: Option<u32>,
    /// From this place on: the `next` of the answer before.
    #[serde(default)]
    offset: u64,
    /// At most so many bytes, up to 262,144.
    most: Option<usize>,
    /// How long to wait for more if there is nothing yet, in seconds, up to 25.
    #[serde(default)]
    wait_s: u64,
}

/// Which artifact.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ArtifactParams {
    /// Where it was below the working directory.
    path: String,
    /// Of this attempt; of the last that has it by default.
    attempt: Option<u32>,
}

/// Which artifact comes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HandedOver {
    /// Where it is below the working directory.
    path: String,
    /// Of this attempt, which runs.
    attempt: u32,
}

/// Whether all artifacts came.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AllThere {
    /// Of this attempt, which runs.
    attempt: u32,
    /// Whether something could not be handed over.
    left_out: bool,
}

/// Run a job.
///
/// What is wrong with it is told field by field.
#[utoipa::path(
    post, path = "/jobs", tag = "jobs", params(SubmitQuery), request_body = JobAsked,
    responses((status = 201, description = "The job", body = JobDetail)),
)]
pub(super) async fn submit_job(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Query(SubmitQuery { key }): Query<SubmitQuery>,
    Json(asked): Json<JobAsked>,
) -> Result<Response, ApiError> {
    let by = By::from(&principal);
    let id = jobs::submit(&app, &workspace, &by, &asked, key.as_deref()).await?;
    let detail = jobs::one(&app, &workspace, id).await?;
    Ok((StatusCode::CREATED, Answer(detail)).into_response())
}

/// List jobs, the newest first.
#[utoipa::path(
    get, path = "/jobs", tag = "jobs", params(JobsParams),
    responses((status = 200, description = "Jobs, page by page", body = pages::JobPage)),
)]
pub(super) async fn list_jobs(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(params): Query<JobsParams>,
) -> Result<Answer<Page<JobView>>, ApiError> {
    let query = JobsQuery {
        state: params.state,
        open: params.open,
        over: false,
        person: params.by,
        compute: params.compute,
        before: params.after.map(JobId),
        limit: params.limit,
    };
    Ok(Answer(jobs::list(&app, &workspace, &query).await?))
}

/// Show a job, with its attempts and what they made.
#[utoipa::path(
    get, path = "/jobs/{id}", tag = "jobs", params(JobPath),
    responses((status = 200, description = "The job", body = JobDetail)),
)]
pub(super) async fn show_job(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(JobPath { id }): Path<JobPath>,
) -> Result<Answer<JobDetail>, ApiError> {
    Ok(Answer(jobs::one(&app, &workspace, id).await?))
}

/// Read the log of a job, also while it runs.
#[utoipa::path(
    get, path = "/jobs/{id}/log", tag = "jobs", params(JobPath, LogParams),
    responses((status = 200, description = "A part of it", body = JobLog)),
)]
pub(super) async fn job_log(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(JobPath { id }): Path<JobPath>,
    Query(params): Query<LogParams>,
) -> Result<Answer<JobLog>, ApiError> {
    let part = jobs::log(
        &app,
        &workspace,
        id,
        params.attempt,
        params.offset,
        params.most.unwrap_or(LOG),
        Duration::from_secs(params.wait_s.min(60)),
    );
    Ok(Answer(part.await?))
}

/// End a job.
///
/// One that runs is asked to end, and ended with all of its processes if it does not.
#[utoipa::path(
    post, path = "/jobs/{id}/cancel", tag = "jobs", params(JobPath),
    responses((status = 200, description = "The job", body = JobDetail)),
)]
pub(super) async fn cancel_job(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(JobPath { id }): Path<JobPath>,
) -> Result<Answer<JobDetail>, ApiError> {
    jobs::cancel(&app, &workspace, &By::from(&principal), id).await?;
    Ok(Answer(jobs::one(&app, &workspace, id).await?))
}

/// Do a job that is over once more, as a job of its own.
#[utoipa::path(
    post, path = "/jobs/{id}/retry", tag = "jobs", params(JobPath), request_body = JobRetry,
    responses((status = 201, description = "The new job", body = JobDetail)),
)]
pub(super) async fn retry_job(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(JobPath { id }): Path<JobPath>,
    JsonOrDefault(given): JsonOrDefault<JobRetry>,
) -> Result<Response, ApiError> {
    let new = jobs::retry(&app, &workspace, &By::from(&principal), id, &given).await?;
    let detail = jobs::one(&app, &workspace, new).await?;
    Ok((StatusCode::CREATED, Answer(detail)).into_response())
}

/// Download an artifact of a job.
#[utoipa::path(
    get, path = "/jobs/{id}/artifact", tag = "jobs", params(JobPath, ArtifactParams),
    responses((
        status = 200, description = "Its bytes",
        body = Vec<u8>, content_type = "application/octet-stream",
    )),
)]
pub(super) async fn job_artifact(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(JobPath { id }): Path<JobPath>,
    Query(ArtifactParams { path, attempt }): Query<ArtifactParams>,
) -> Result<Response, ApiError> {
    let found = jobs::artifact(&app, &workspace, id, attempt, &path).await?;
    let (len, stream) = app.blobs.stream(found.blob.digest).await?;
    let blob = BlobRef {
        digest: found.blob.digest,
        len,
    };
    Ok((facts(blob), Body::from_stream(stream)).into_response())
}

/// Hand over an artifact.
///
/// Asked by the job itself, with its own token, while its attempt runs on a cluster. What matches its `artifacts` is taken.
#[utoipa::path(
    put, path = "/jobs/{id}/artifact", tag = "jobs", params(JobPath, HandedOver),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, description = "Kept", body = BlobRef)),
)]
pub(super) async fn put_job_artifact(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(JobPath { id }): Path<JobPath>,
    Query(HandedOver { path, attempt }): Query<HandedOver>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let key = its_own(&principal, id, attempt)?;
    if is_too_long(&headers) {
        let text = format!("an artifact has at most {} bytes", limits::BLOB);
        return Err(ApiError::too_large(text));
    }
    let blob = jobs::hand_over(&app, &workspace, key, &path, pieces(body)).await?;
    Ok((StatusCode::CREATED, Answer(blob)).into_response())
}

/// Say that all artifacts were handed over.
///
/// Asked by the job itself. Of an attempt that ends without it, it is said that artifacts are missing.
#[utoipa::path(
    post, path = "/jobs/{id}/artifacts", tag = "jobs", params(JobPath, AllThere),
    responses((status = 204, description = "It is noted")),
)]
pub(super) async fn job_artifacts_done(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(JobPath { id }): Path<JobPath>,
    Query(AllThere { attempt, left_out }): Query<AllThere>,
) -> Result<StatusCode, ApiError> {
    let key = its_own(&principal, id, attempt)?;
    jobs::all_there(&app, &workspace, key, left_out).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An attempt that speaks for itself. A hub that lets in whoever is on its machine cannot tell.
fn its_own(principal: &Principal, job: JobId, number: u32) -> Result<AttemptKey, ApiError> {
    let own = match &principal.who {
        Who::Job { id, .. } => *id == job,
        who => *who == Who::Loopback,
    };
    if own {
        Ok(AttemptKey { job, number })
    } else {
        let text = "artifacts are handed over by the job itself, while it runs";
        Err(ApiError::forbidden(text))
    }
}
