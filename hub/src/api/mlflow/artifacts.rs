//! Files of runs and of logged models: up, down from anywhere, listed, deleted.

use std::ops::Range;

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tern_protocol::limits;

use super::{
    super::{
        blobs::{facts, is_too_long, pieces},
        downloads,
    },
    Caller,
    error::MlflowError,
    extract::{Asked, run_id},
};
use crate::{
    app::App,
    tracking::{
        artifact::{self, Entry},
        run,
    },
};

/// Bytes read at once.
const PIECE: u64 = 256 * 1024;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Listed {
    path: String,
    run_id: String,
    run_uuid: String,
}

/// Files and directories, by their names in the directory that was asked for.
fn files(entries: &[Entry], prefix: &str) -> Vec<Value> {
    let file = |entry: &Entry| {
        let path = entry.path.strip_prefix(prefix).unwrap_or(&entry.path);
        let path = path.trim_start_matches('/');
        match entry.file {
            Some(file) => json!({ "path": path, "is_dir": false, "file_size": file.len }),
            None => json!({ "path": path, "is_dir": true }),
        }
    };
    entries.iter().map(file).collect()
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Listed>,
) -> Result<Json<Value>, MlflowError> {
    let dir = asked.path.trim_matches('/');
    let found = artifact::list(app.store.read(), &caller.workspace, dir).await?;
    Ok(super::experiments::list("files", &files(&found, dir), None))
}

/// The same, of a run, by paths below its own directory.
pub(super) async fn list_of_run(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Listed>,
) -> Result<Json<Value>, MlflowError> {
    let id = run_id(&asked.run_id, &asked.run_uuid)?;
    let info = run::info(app.store.read(), &caller.workspace, id).await?;
    let Some(root) = artifact::path_of(&info.artifact_uri) else {
        return Err(MlflowError::invalid(format!(
            "the files of this run are not with the hub but at {}",
            info.artifact_uri
        )));
    };
    let dir = match asked.path.trim_matches('/') {
        "" => root.to_owned(),
        path => format!("{root}/{path}"),
    };
    let found = artifact::list(app.store.read(), &caller.workspace, &dir).await?;
    let mut answer = json!({ "root_uri": info.artifact_uri });
    if !found.is_empty() {
        answer["files"] = Value::Array(files(&found, root));
    }
    Ok(Json(answer))
}

pub(super) async fn upload(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, MlflowError> {
    if is_too_long(&headers) {
        let text = format!("an artifact has at most {} bytes", limits::BLOB);
        return Err(MlflowError::invalid(text));
    }
    artifact::put(&app, &caller.workspace, &path, pieces(body)).await?;
    Ok(StatusCode::OK.into_response())
}

pub(super) async fn download(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response, MlflowError> {
    let file = artifact::file(app.store.read(), &caller.workspace, &path).await?;
    // Damage is found before the first byte leaves.
    let blob = app.blobs.find(file.digest).await?;
    let mut answer = facts(blob);
    // The bytes of a path may change; those of a digest, which the tag is, never do.
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // A range of another file than the one whose beginning somebody has is no help to them.
    let changed = headers
        .get(header::IF_RANGE)
        .is_some_and(|tag| Some(tag) != answer.get(header::ETAG));
    let asked = headers.get(header::RANGE).filter(|_| !changed);
    let asked = match asked.map(|range| downloads::asked(range, blob.len)) {
        Some(Err(_)) => {
            let none = format!("bytes */{}", blob.len);
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            return Ok((status, [(header::CONTENT_RANGE, none)]).into_response());
        }
        Some(Ok(range)) => Some(range),
        None => None,
    };
    let status = downloads::part(&mut answer, asked.as_ref(), blob.len);
    let range = asked.unwrap_or(0..blob.len);
    let blobs = app.blobs.clone();
    let pieces = stream::try_unfold(range, move |Range { start, end }| {
        let blobs = blobs.clone();
        async move {
            if start >= end {
                return Ok::<_, crate::blobs::BlobError>(None);
            }
            let len = (end - start).min(PIECE) as usize;
            let piece = blobs.get_range(blob.digest, start, len).await?;
            Ok(Some((piece, start + len as u64..end)))
        }
    });
    Ok((status, answer, Body::from_stream(pieces)).into_response())
}

pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
) -> Result<Json<Value>, MlflowError> {
    artifact::delete(&app, &caller.by, &caller.workspace, path.trim_matches('/')).await?;
    Ok(Json(json!({})))
}
