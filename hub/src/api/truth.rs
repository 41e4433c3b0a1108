//! Captures, labels and the accuracy that follows from them.

use axum::{Extension, Json as Answer, extract::State};
use serde::Deserialize;
use tern_protocol::{
    id::{ModelName, SiteName},
    rest::{AccuracyView, CaptureView, LabelImport, LabelImportResult, Page},
};
use utoipa::IntoParams;

use super::{
    extract::{Json, Query, Workspace},
    pages,
    policy::Asking,
    problem::ApiError,
};
use crate::{
    access::audit::Actor,
    app::App,
    monitor::{self, AccuracyQuery, CaptureQuery},
};

/// Which captures.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CapturesQuery {
    /// Only those of this model.
    #[param(value_type = Option<String>)]
    model: Option<ModelName>,
    /// Only those from this site.
    #[param(value_type = Option<String>)]
    site: Option<SiteName>,
    /// Only those with a truth, or only those without.
    labelled: Option<bool>,
    /// Only those that came for this request.
    request: Option<u64>,
    /// The `next` of the page before.
    after: Option<i64>,
    /// Captures on the page, at most 1,000; 100 by default. Large inputs make shorter pages.
    limit: Option<u64>,
}

/// Which accuracy.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AccuraciesQuery {
    /// Only of this model.
    #[param(value_type = Option<String>)]
    model: Option<ModelName>,
    /// Only the newest so many labels of each row, by the time of the prediction.
    last: Option<u64>,
}

/// Bring truths about captured predictions.
///
/// Each stands alone: refused ones come back with the reason and hold nothing up.
#[utoipa::path(
    post, path = "/labels", tag = "truth", request_body = LabelImport,
    responses((status = 200, description = "What became of them", body = LabelImportResult)),
)]
pub(super) async fn import_labels(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Json(request): Json<LabelImport>,
) -> Result<Answer<LabelImportResult>, ApiError> {
    Ok(Answer(
        monitor::labels::import(&app, &Actor::from(&principal), &workspace, request).await?,
    ))
}

/// List captured inputs.
#[utoipa::path(
    get, path = "/captures", tag = "truth", params(CapturesQuery),
    responses((status = 200, description = "Newest first", body = pages::CapturePage)),
)]
pub(super) async fn list_captures(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(query): Query<CapturesQuery>,
) -> Result<Answer<Page<CaptureView>>, ApiError> {
    let query = CaptureQuery {
        model: query.model,
        site: query.site,
        labelled: query.labelled,
        request: query.request,
        after: query.after,
        limit: query.limit,
    };
    Ok(Answer(
        monitor::captures(&app, &workspace, &query).await?,
    ))
}

/// Accuracy per version and site, and per version over all sites.
#[utoipa::path(
    get, path = "/accuracy", tag = "truth", params(AccuraciesQuery),
    responses((
        status = 200, description = "By model, newest version first, all sites before each",
        body = pages::AccuracyPage,
    )),
)]
pub(super) async fn list_accuracy(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(query): Query<AccuraciesQuery>,
) -> Result<Answer<Page<AccuracyView>>, ApiError> {
    if query.last == Some(0) {
        return Err(ApiError::unprocessable(
            "`last` is 1 or more; leave it out for all labels",
        ));
    }
    let query = AccuracyQuery {
        model: query.model,
        last: query.last,
    };
    let items = monitor::accuracy(&app.store, &workspace, &query).await?;
    Ok(Answer(Page { items, next: None }))
}
