//! Datasets and datastores.

use std::io::Read as _;

use axum::{
    Extension, Json as Answer,
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::Deserialize;
use tern_protocol::{
    id::{DatasetName, DatastoreName},
    rest::{
        DatasetDetail, DatasetDiff, DatasetPick, DatasetRow, DatasetView, DatastoreView,
        NewDataset, NewDatastore, Page, Split,
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
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
    datasets::{self, compare, datastores, look},
};

/// Bytes that are sent together.
const PIECE: usize = 256 * 1024;

/// Rows that are shown if nobody says how many.
const ROWS: usize = 20;

/// A version in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct DatasetPath {
    /// `NAME@NUMBER`, `NAME` for the newest that is done, or an id.
    #[param(value_type = String)]
    dataset: String,
}

/// A file of a version in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct FilePath {
    /// `NAME@NUMBER`, `NAME` for the newest that is done, or an id.
    #[param(value_type = String)]
    dataset: String,
    /// Name of the file: `dataset.json`, `train.parquet`, `held-out.parquet`, `kept-out.parquet`.
    file: String,
}

/// Two versions in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct DiffPath {
    /// One version.
    #[param(value_type = String)]
    dataset: String,
    /// The other.
    #[param(value_type = String)]
    other: String,
}

/// A datastore in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct DatastorePath {
    /// Its name.
    #[param(value_type = String)]
    name: DatastoreName,
}

/// Which versions are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// All versions of this dataset; without, the newest of each.
    #[param(value_type = Option<String>)]
    name: Option<DatasetName>,
}

/// Which rows are shown.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RowParams {
    /// Of this split; `train` if not said.
    #[param(value_type = Option<String>)]
    split: Option<Split>,
    /// So many, at most 200; 20 if not said.
    limit: Option<usize>,
}

fn pick(text: &str) -> Result<DatasetPick, ApiError> {
    text.parse()
        .map_err(|err: String| ApiError::bad_request(err))
}

/// List datasets: of each the newest version, or all versions of one.
#[utoipa::path(
    get, path = "/datasets", tag = "datasets", params(ListParams),
    responses((status = 200, description = "At most 500, the newest first", body = pages::DatasetPage)),
)]
pub(super) async fn list_datasets(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(params): Query<ListParams>,
) -> Result<Answer<Page<DatasetView>>, ApiError> {
    Ok(Answer(
        look::list(&app, &workspace, params.name.as_ref()).await?,
    ))
}

/// Have a version of a dataset made: of captures and labels, of files, or of another version.
///
/// It is made in the background. Files are uploaded before, each with `PUT /blobs/{digest}`, or are in a datastore. Asked
/// again with the same `key`, the version that was begun with it is the answer.
#[utoipa::path(
    post, path = "/datasets", tag = "datasets", request_body = NewDataset,
    responses((status = 201, description = "The version, which is being made", body = DatasetView)),
)]
pub(super) async fn make_dataset(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Json(new): Json<NewDataset>,
) -> Result<Response, ApiError> {
    let made = datasets::begin(&app, &Actor::from(&principal), &workspace, new).await?;
    Ok((StatusCode::CREATED, Answer(made)).into_response())
}

/// Show a version: what it is, what it was made from, what was made of it and trained on it.
#[utoipa::path(
    get, path = "/datasets/{dataset}", tag = "datasets", params(DatasetPath),
    responses((status = 200, description = "The version", body = DatasetDetail)),
)]
pub(super) async fn show_dataset(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(DatasetPath { dataset }): Path<DatasetPath>,
) -> Result<Answer<DatasetDetail>, ApiError> {
    Ok(Answer(look::one(&app, &workspace, &pick(&dataset)?).await?))
}

/// Look at some rows of a version.
#[utoipa::path(
    get, path = "/datasets/{dataset}/rows", tag = "datasets", params(DatasetPath, RowParams),
    responses((status = 200, description = "The first rows of a split", body = pages::DatasetRowPage)),
)]
pub(super) async fn show_rows(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(DatasetPath { dataset }): Path<DatasetPath>,
    Query(params): Query<RowParams>,
) -> Result<Answer<Page<DatasetRow>>, ApiError> {
    let found = look::find(&app, &workspace, &pick(&dataset)?).await?;
    let split = params.split.unwrap_or(Split::Train);
    let limit = params.limit.unwrap_or(ROWS);
    let items = look::some_rows(&app, &found, split, limit).await?;
    Ok(Answer(Page { items, next: None }))
}

/// Download a file of a version.
#[utoipa::path(
    get, path = "/datasets/{dataset}/files/{file}", tag = "datasets", params(FilePath),
    responses((
        status = 200, description = "Its bytes",
        body = Vec<u8>, content_type = "application/octet-stream",
    )),
)]
pub(super) async fn get_dataset_file(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(FilePath { dataset, file }): Path<FilePath>,
) -> Result<Response, ApiError> {
    let found = look::find(&app, &workspace, &pick(&dataset)?).await?;
    let (len, mut from) = look::file(&app, &found, &file).await?;
    let (to, pieces) = mpsc::channel::<std::io::Result<Bytes>>(2);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            let read = from.by_ref().take(PIECE as u64).read_to_end(&mut piece);
            let is_last = !matches!(read, Ok(1..));
            if matches!(read, Ok(0)) {
                return;
            }
            // Who takes no more needs no more.
            if to.blocking_send(read.map(|_| piece.into())).is_err() || is_last {
                return;
            }
        }
    });
    let headers = [
        (header::CONTENT_LENGTH, HeaderValue::from(len)),
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        ),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment"),
        ),
    ];
    let body = Body::from_stream(ReceiverStream::new(pieces));
    Ok((headers, body).into_response())
}

/// Compare two versions, row by row.
#[utoipa::path(
    get, path = "/datasets/{dataset}/diff/{other}", tag = "datasets", params(DiffPath),
    responses((status = 200, description = "What sets them apart", body = DatasetDiff)),
)]
pub(super) async fn diff_datasets(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(DiffPath { dataset, other }): Path<DiffPath>,
) -> Result<Answer<DatasetDiff>, ApiError> {
    let (from, to) = (pick(&dataset)?, pick(&other)?);
    Ok(Answer(compare::diff(&app, &workspace, &from, &to).await?))
}

/// Stop the making of a version.
#[utoipa::path(
    post, path = "/datasets/{dataset}/stop", tag = "datasets", params(DatasetPath),
    responses((status = 200, description = "The version", body = DatasetView)),
)]
pub(super) async fn stop_dataset(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(DatasetPath { dataset }): Path<DatasetPath>,
) -> Result<Answer<DatasetView>, ApiError> {
    let actor = Actor::from(&principal);
    Ok(Answer(
        datasets::stop(&app, &actor, &workspace, &pick(&dataset)?).await?,
    ))
}

/// Remove the files of a version.
///
/// That there was one stays known, with what was trained on it, and its number is not given again.
#[utoipa::path(
    delete, path = "/datasets/{dataset}", tag = "datasets", params(DatasetPath),
    responses((status = 200, description = "The version", body = DatasetView)),
)]
pub(super) async fn remove_dataset(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(DatasetPath { dataset }): Path<DatasetPath>,
) -> Result<Answer<DatasetView>, ApiError> {
    let actor = Actor::from(&principal);
    Ok(Answer(
        datasets::remove(&app, &actor, &workspace, &pick(&dataset)?).await?,
    ))
}

/// List datastores: where files to import are.
#[utoipa::path(
    get, path = "/datastores", tag = "datasets",
    responses((status = 200, description = "All of them, by name", body = pages::DatastorePage)),
)]
pub(super) async fn list_datastores(
    State(app): State<App>,
    Workspace(workspace): Workspace,
) -> Result<Answer<Page<DatastoreView>>, ApiError> {
    Ok(Answer(datastores::list(&app, &workspace).await?))
}

/// Add a datastore, or change the one of this name.
#[utoipa::path(
    post, path = "/datastores", tag = "datasets", request_body = NewDatastore,
    responses((status = 201, description = "The datastore", body = DatastoreView)),
)]
pub(super) async fn add_datastore(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Json(new): Json<NewDatastore>,
) -> Result<Response, ApiError> {
    let actor = Actor::from(&principal);
    let added = datastores::add(&app, &actor, &workspace, new).await?;
    Ok((StatusCode::CREATED, Answer(added)).into_response())
}

/// Remove a datastore; what was imported from it stays.
#[utoipa::path(
    delete, path = "/datastores/{name}", tag = "datasets", params(DatastorePath),
    responses((status = 204, description = "It is gone")),
)]
pub(super) async fn remove_datastore(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(DatastorePath { name }): Path<DatastorePath>,
) -> Result<StatusCode, ApiError> {
    let actor = Actor::from(&principal);
    datastores::remove(&app, &actor, &workspace, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
