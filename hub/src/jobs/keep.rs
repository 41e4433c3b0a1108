//! What is kept of an attempt that has ended on this machine: its log and its artifacts become blobs, and then it has
//! ended for everybody.
//!
//! Called by the driver, on a task of its own. A hub that is killed in the middle of it does it again: blobs are named by
//! what is in them, rows by path.
//!
//! Must never break: artifacts of a workspace take no more than was set aside for them; what is not kept is said
//! to be missing.

use std::{io, path::Path, sync::Arc};

use bytes::Bytes;
use sea_orm::{ConnectionTrait, Value};
use tern_compute::{
    job::AttemptKey,
    local::{Exit, Local},
};
use tern_protocol::{blob::BlobRef, id::WorkspaceId, limits};
use tokio_util::io::ReaderStream;

use super::{
    JobsError, SQL,
    rows::{self, End, KeptLog},
};
use crate::{
    app::App,
    blobs::BlobError,
    store::{StoreError, raw::number},
};

/// Bytes of a log that are read at once.
const PIECE: usize = 1024 * 1024;

/// Bytes of a log that are kept, at most: more than `local` keeps.
const LOG: usize = 32 * 1024 * 1024;

/// Bytes of a file that are read at once.
const READ: usize = 256 * 1024;

/// Rows of artifacts that are written in one transaction.
const ROWS: usize = 200;

/// Keeps it, and writes down that it has ended.
pub(super) async fn keep(
    app: &App,
    local: &Local,
    workspace: &WorkspaceId,
    key: AttemptKey,
    exit: &Arc<Exit>,
) -> Result<(), JobsError> {
    let log = keep_log(app, local, key).await?;
    let mut left_out = exit.artifacts.left_out;
    let mut trouble = String::new();
    let mut kept: Vec<(String, BlobRef)> = Vec::new();
    let quota = app.jobs.settings().quota;
    let mut taken = used(app.store.read(), workspace, key, None).await?;
    for artifact in &exit.artifacts.files {
        let Some(path) = artifact.path.to_str() else {
            left_out = true;
            continue;
        };
        let room = quota.saturating_sub(taken);
        if artifact.bytes > room || artifact.bytes > limits::BLOB {
            left_out = true;
            if trouble.is_empty() {
                trouble = no_room(app, workspace, path);
            }
            continue;
        }
        match keep_file(app, local, key, exit, &artifact.path, room).await? {
            Some(blob) => {
                taken = taken.saturating_add(blob.len);
                kept.push((path.to_owned(), blob));
            }
            None => left_out = true,
        }
    }
    let mut own = 0_u64;
    for some in kept.chunks(ROWS) {
        let txn = SQL.begin(&app.store).await?;
        // Others may have taken the room meanwhile.
        let others = used(&txn, workspace, key, None).await?;
        for (path, blob) in some {
            if others.saturating_add(own).saturating_add(blob.len) > quota {
                left_out = true;
                trouble = no_room(app, workspace, path);
                continue;
            }
            own = own.saturating_add(blob.len);
            write(app, &txn, workspace, key, path, *blob).await?;
        }
        SQL.commit(txn).await?;
    }
    if exit.survivors > 0 {
        let text = format!("{} processes of it could not be ended", exit.survivors);
        trouble = if trouble.is_empty() {
            text
        } else {
            format!("{trouble}; {text}")
        };
    }
    let end = End {
        ended: exit.ended.clone(),
        at: exit.at,
        core_millis: exit.core_millis,
        peak_memory: exit.peak_memory,
        log,
        left_out,
        trouble,
    };
    finish(app, key, &end).await
}

/// Writes down how an attempt ended; its log is one of the blobs that stay.
pub(super) async fn finish(app: &App, key: AttemptKey, end: &End) -> Result<(), JobsError> {
    let txn = SQL.begin(&app.store).await?;
    if let Some(log) = &end.log
        && app.blobs.claim(log.digest).await?.is_none()
    {
        return Err(BlobError::Missing(log.digest).into());
    }
    rows::ended(&txn, key, end, app.clock.now()).await?;
    Ok(SQL.commit(txn).await?)
}

/// The log as one blob: its beginning, and its end if that is not all.
async fn keep_log(app: &App, local: &Local, key: AttemptKey) -> Result<Option<KeptLog>, JobsError> {
    let local = local.clone();
    let read = tokio::task::spawn_blocking(move || read_log(&local, key)).await;
    let read = read.unwrap_or_else(|err| Err(io::Error::other(err)));
    let (bytes, head, total) = match read {
        Ok(read) => read,
        Err(err) => {
            // How it ended matters more than what it said.
            tracing::warn!(%err, attempt = %key, "the log of a job cannot be read");
            return Ok(None);
        }
    };
    keep_text(app, bytes, head, total).await
}

/// Text as a blob, if there is any.
pub(super) async fn keep_text(
    app: &App,
    bytes: Vec<u8>,
    head: u64,
    total: u64,
) -> Result<Option<KeptLog>, JobsError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let blob = app.blobs.put_bytes(Bytes::from(bytes)).await?;
    Ok(Some(KeptLog {
        digest: blob.digest,
        head,
        total,
    }))
}

/// What is kept of the log, how much of that is its beginning, and how much there was.
fn read_log(local: &Local, key: AttemptKey) -> io::Result<(Vec<u8>, u64, u64)> {
    let mut all = Vec::new();
    let (mut at, mut head) = (0, None);
    loop {
        let part = local.log(key, at, PIECE)?;
        if part.from > at && head.is_none() {
            head = Some(all.len() as u64);
        }
        let total = part.total;
        if part.bytes.is_empty() || all.len() + part.bytes.len() > LOG {
            let head = head.unwrap_or(all.len() as u64);
            return Ok((all, head, total));
        }
        all.extend_from_slice(&part.bytes);
        at = part.next;
    }
}

/// An artifact as a blob; nothing if it is not there any more.
async fn keep_file(
    app: &App,
    local: &Local,
    key: AttemptKey,
    exit: &Arc<Exit>,
    path: &Path,
    room: u64,
) -> Result<Option<BlobRef>, JobsError> {
    let (local, exit, path) = (local.clone(), Arc::clone(exit), path.to_owned());
    let opened = tokio::task::spawn_blocking(move || local.artifact(key, &exit, &path)).await;
    let opened = opened.unwrap_or_else(|err| Err(io::Error::other(err)));
    let Ok(file) = opened else { return Ok(None) };
    let pieces = ReaderStream::with_capacity(tokio::fs::File::from_std(file), READ);
    match app.blobs.put_unnamed(pieces, room.min(limits::BLOB)).await {
        Ok(blob) => Ok(Some(blob)),
        // It grew since it was looked at.
        Err(BlobError::TooLarge { .. }) => Ok(None),
        Err(err) => Err(err.into()),
    }
}

/// Why an artifact is not kept.
pub(super) fn no_room(app: &App, workspace: &WorkspaceId, path: &str) -> String {
    let quota = app.jobs.settings().quota;
    let path: String = path.chars().take(200).collect();
    format!(
        "no room for {path}: jobs of workspace {workspace} keep at most {quota} bytes (`--jobs-quota`), and one file has at \
         most {} bytes",
        limits::BLOB
    )
}

/// Writes that an attempt has an artifact; its bytes are one of the blobs that stay.
pub(super) async fn write(
    app: &App,
    txn: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    key: AttemptKey,
    path: &str,
    blob: BlobRef,
) -> Result<(), JobsError> {
    // Garbage is collected by whoever else writes: what is there now stays, as this row names it.
    if app.blobs.claim(blob.digest).await?.is_none() {
        return Err(BlobError::Missing(blob.digest).into());
    }
    let sql = "INSERT INTO job_artifact (job, attempt, path, workspace, digest, bytes) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (job, attempt, path) DO UPDATE SET \
               digest = excluded.digest, bytes = excluded.bytes";
    let values = [
        number(key.job.0),
        i64::from(key.number).into(),
        path.into(),
        workspace.as_str().into(),
        blob.digest.to_string().into(),
        number(blob.len),
    ];
    Ok(SQL.exec(txn, sql, values).await.map(drop)?)
}

/// Bytes of artifacts of a workspace, without those of this attempt, or without this one of them.
pub(super) async fn used(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    key: AttemptKey,
    path: Option<&str>,
) -> Result<u64, StoreError> {
    let sql = "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS used FROM job_artifact \
               WHERE workspace = $1 AND NOT (job = $2 AND attempt = $3 AND path = COALESCE($4, path))";
    let values: [Value; 4] = [
        workspace.as_str().into(),
        number(key.job.0),
        i64::from(key.number).into(),
        path.map(ToOwned::to_owned).into(),
    ];
    let row = SQL.row(db, sql, values).await?;
    row.map_or(Ok(0), |row| SQL.count(&row, "used"))
}
