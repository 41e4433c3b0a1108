//! Uploads and downloads by content address.

use std::{error::Error, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::Stream;
use serde::Deserialize;
use tern_protocol::{blob::BlobRef, digest::Digest, limits};
use tokio_stream::StreamExt as _;
use utoipa::IntoParams;

use super::{
    extract::{Path, Workspace},
    problem::ApiError,
};
use crate::{
    app::App,
    blobs::{BlobError, Put},
};

/// Longest pause in the middle of an upload. Slower senders are gone, or hold a connection on
/// purpose.
const PAUSE: Duration = Duration::from_mins(1);

/// A blob in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct BlobPath {
    /// SHA-256 of the bytes, 64 lower-case hex digits.
    #[param(value_type = String)]
    pub(super) digest: Digest,
}

/// Upload bytes under their digest.
///
/// The bytes are compared with the digest while they stream in; nothing is stored unless it holds.
#[utoipa::path(
    put, path = "/blobs/{digest}", tag = "models", params(BlobPath),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 201, description = "Stored", body = BlobRef),
        (status = 200, description = "Known already", body = BlobRef),
    ),
)]
pub(super) async fn put_blob(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(BlobPath { digest }): Path<BlobPath>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    if is_too_long(&headers) {
        let text = format!("a blob has at most {} bytes", limits::BLOB);
        return Err(ApiError::too_large(text));
    }
    let put = app.blobs.put(pieces(body), digest, limits::BLOB).await?;
    let status = match put {
        Put::Stored(blob) => {
            tracing::info!(%workspace, digest = %blob.digest, bytes = blob.len, "stored a blob");
            StatusCode::CREATED
        }
        Put::Known(_) => StatusCode::OK,
    };
    Ok((status, axum::Json(put.blob())).into_response())
}

/// Ask whether a blob is there.
///
/// One that is stays for a while, also if nothing refers to it yet: whoever asks is about to publish.
#[utoipa::path(
    head, path = "/blobs/{digest}", tag = "models", params(BlobPath),
    responses((status = 200, description = "It is; Content-Length is its length")),
)]
pub(super) async fn head_blob(
    State(app): State<App>,
    Workspace(_): Workspace,
    Path(BlobPath { digest }): Path<BlobPath>,
) -> Result<Response, ApiError> {
    let blob = app.blobs.claim(digest).await?;
    let blob = blob.ok_or(BlobError::Missing(digest))?;
    Ok((facts(blob), Body::empty()).into_response())
}

/// Download a blob.
#[utoipa::path(
    get, path = "/blobs/{digest}", tag = "models", params(BlobPath),
    responses((
        status = 200, description = "Its bytes",
        body = Vec<u8>, content_type = "application/octet-stream",
    )),
)]
pub(super) async fn get_blob(
    State(app): State<App>,
    Workspace(_): Workspace,
    Path(BlobPath { digest }): Path<BlobPath>,
) -> Result<Response, ApiError> {
    let (len, stream) = app.blobs.stream(digest).await?;
    Ok((facts(BlobRef { digest, len }), Body::from_stream(stream)).into_response())
}

/// Whether an upload says that it is longer than a blob may be.
pub(super) fn is_too_long(headers: &HeaderMap) -> bool {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|len| len.to_str().ok()?.parse().ok());
    announced.is_some_and(|len: u64| len > limits::BLOB)
}

/// The bytes of an upload as they come; a long pause is an error.
pub(super) fn pieces(
    body: Body,
) -> impl Stream<Item = Result<Bytes, Box<dyn Error + Send + Sync>>> + Unpin {
    let pieces = body.into_data_stream().timeout(PAUSE);
    Box::pin(pieces.map(|piece| match piece {
        Ok(piece) => piece.map_err(|err| Box::new(err) as _),
        Err(late) => Err(Box::new(late) as _),
    }))
}

/// A blob never changes, and a browser that is shown one must not take it for a page.
pub(super) fn facts(blob: BlobRef) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let fixed = HeaderValue::from_static;
    headers.insert(header::CONTENT_LENGTH, blob.len.into());
    headers.insert(header::CONTENT_TYPE, fixed("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, fixed("attachment"));
    headers.insert(
        header::CACHE_CONTROL,
        fixed("private, max-age=31536000, immutable"),
    );
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", blob.digest)) {
        headers.insert(header::ETAG, tag);
    }
    headers
}
