//! What was found to have moved.

use axum::{Extension, Json as Answer, extract::State};
use serde::Deserialize;
use tern_protocol::{
    id::ModelName,
    rest::{FindingView, Page},
    time::WallTime,
};
use utoipa::IntoParams;

use super::{
    extract::{Path, Query, Workspace},
    pages,
    policy::Asking,
    problem::ApiError,
};
use crate::{
    access::audit::Actor,
    app::App,
    monitor::{self, AcceptError, FindingQuery},
};

/// Which findings.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FindingsQuery {
    /// Only of this model.
    #[param(value_type = Option<String>)]
    model: Option<ModelName>,
    /// Only those that go on, or only those that ended.
    open: Option<bool>,
    /// Only those that went on at this moment or later, in milliseconds since 1970.
    #[param(value_type = Option<i64>)]
    from: Option<WallTime>,
    /// The `next` of the page before.
    after: Option<i64>,
    /// Findings on the page, at most 1,000; 100 by default.
    limit: Option<u64>,
}

/// A finding in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct FindingPath {
    /// Its number.
    finding: i64,
}

/// List what moved: which inputs, predictions or errors, where, since when, how sure that is, and why.
#[utoipa::path(
    get, path = "/findings", tag = "monitor", params(FindingsQuery),
    responses((status = 200, description = "The newest first", body = pages::FindingPage)),
)]
pub(super) async fn list_findings(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(query): Query<FindingsQuery>,
) -> Result<Answer<Page<FindingView>>, ApiError> {
    let query = FindingQuery {
        model: query.model,
        open: query.open,
        from: query.from,
        after: query.after,
        limit: query.limit,
    };
    Ok(Answer(
        monitor::findings(&app.store, &workspace, &query).await?,
    ))
}

/// Show one of them.
#[utoipa::path(
    get, path = "/findings/{finding}", tag = "monitor", params(FindingPath),
    responses((status = 200, description = "The finding", body = FindingView)),
)]
pub(super) async fn show_finding(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(FindingPath { finding }): Path<FindingPath>,
) -> Result<Answer<FindingView>, ApiError> {
    let found = monitor::finding(app.store.read(), &workspace, finding).await?;
    let found = found.ok_or(AcceptError::NotFound(finding))?;
    Ok(Answer(found))
}

/// Say that what was found is usual from now on. The finding ends within seconds, and the same is not told again.
#[utoipa::path(
    post, path = "/findings/{finding}/accept", tag = "monitor", params(FindingPath),
    responses((status = 200, description = "The finding, accepted", body = FindingView)),
)]
pub(super) async fn accept_finding(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(FindingPath { finding }): Path<FindingPath>,
) -> Result<Answer<FindingView>, ApiError> {
    let by = Actor::from(&principal);
    Ok(Answer(
        monitor::accept(&app, &by, &workspace, finding).await?,
    ))
}
