//! Files by path, whose bytes are blobs: what is there twice takes room once, and an ONNX file that a run logged is
//! where publishing looks for it already.
//!
//! Directories have rows of their own, so that listing one reads what is in it and nothing below.
//!
//! Must never break: a path never leads out of its workspace, and names one thing whatever reads it; a row is written
//! only when its bytes are on the disk; what all rows of a workspace [take](super::taken) changes in the transaction that
//! changes them.

use std::error::Error;

use bytes::Bytes;
use futures::Stream;
use sea_orm::{ConnectionTrait, Value};
use tern_protocol::{blob::BlobRef, digest::Digest, id::WorkspaceId, limits};

use super::{
    TrackingError, bounds,
    sql::SQL,
    taken::{self, Taken},
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    blobs::BlobError,
    store::{StoreError, parsed},
};

/// What paths are URIs with.
const SCHEME: &str = "mlflow-artifacts:";

/// Longest path in bytes.
const PATH: usize = 1_000;

/// Directories above a file.
const DEPTH: usize = 32;

/// Files in one directory that are listed.
const LISTED: i64 = 50_000;

/// Files and directories of one workspace.
const FILES: i64 = 2_000_000;

/// A file or a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path.
    pub path: String,
    /// The bytes of a file; none for a directory.
    pub file: Option<BlobRef>,
}

/// The path of a URI that the hub serves.
pub fn path_of(uri: &str) -> Option<&str> {
    let path = uri.strip_prefix(SCHEME)?;
    // `mlflow-artifacts://HOST/path` is somebody else's.
    match path.strip_prefix("//") {
        Some(rest) => rest.strip_prefix('/'),
        None => path.strip_prefix('/'),
    }
}

/// A path that names one thing.
pub fn check(path: &str) -> Result<(), TrackingError> {
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && !part.chars().any(|c| c.is_control() || c == '\\')
    };
    let parts = path.split('/').count();
    if path.len() > PATH || parts > DEPTH || !path.split('/').all(plain) {
        return Err(TrackingError::Invalid(format!(
            "Invalid path {}: it has at most {PATH} bytes and {DEPTH} parts, none of them empty, `.` or `..`",
            bounds::shown(path)
        )));
    }
    Ok(())
}

/// The directory that holds something; empty at the top.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Stores a file, in place of one that is there.
pub async fn put<S, E>(
    app: &App,
    workspace: &WorkspaceId,
    path: &str,
    bytes: S,
) -> Result<BlobRef, TrackingError>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    check(path)?;
    let quota = app.tracking.quota;
    // First without a lock, so that what has no room does not travel.
    let room = |used: i64| quota.saturating_sub(used.max(0).unsigned_abs());
    let there = entry(app.store.read(), workspace, path).await?;
    let there = there
        .and_then(|entry| entry.file)
        .map_or(0, |file| file.len);
    let taken = taken::read(app.store.read(), workspace).await?;
    let limit = room(taken.bytes.saturating_sub(there as i64)).min(limits::BLOB);
    let full = |need: u64| {
        TrackingError::Invalid(format!(
            "no room for {need} bytes: artifacts of workspace {workspace} take at most {quota} bytes; delete \
             some, or raise `--artifact-quota` of the hub"
        ))
    };
    let blob = match app.blobs.put_unnamed(bytes, limit).await {
        Err(BlobError::TooLarge { limit }) if limit < limits::BLOB => return Err(full(limit)),
        put => put?,
    };
    let txn = SQL.begin(&app.store).await?;
    let before = entry(&txn, workspace, path).await?;
    if before.as_ref().is_some_and(|entry| entry.file.is_none()) {
        let path = bounds::shown(path);
        return Err(TrackingError::Invalid(format!("{path} is a directory")));
    }
    let taken = taken::read(&txn, workspace).await?;
    let is_new = before.is_none();
    let replaced = before
        .and_then(|entry| entry.file)
        .map_or(0, |file| file.len);
    if room(taken.bytes.saturating_sub(replaced as i64)) < blob.len {
        return Err(full(blob.len));
    }
    if taken.entries >= FILES {
        let text = format!("a workspace has at most {FILES} artifacts; delete some");
        return Err(TrackingError::Invalid(text));
    }
    let made = directories(&txn, workspace, path, app.clock.now().0).await?;
    // Garbage is collected by whoever else writes: what is there now stays, as this row names it.
    if app.blobs.claim(blob.digest).await?.is_none() {
        return Err(BlobError::Missing(blob.digest).into());
    }
    let sql = "INSERT INTO tracking_artifact (workspace, path, parent, digest, bytes, stored) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace, path) DO UPDATE SET \
               digest = excluded.digest, bytes = excluded.bytes, stored = excluded.stored";
    let values = [
        workspace.as_str().into(),
        path.into(),
        parent(path).into(),
        blob.digest.to_string().into(),
        (blob.len as i64).into(),
        app.clock.now().0.into(),
    ];
    SQL.exec(&txn, sql, values).await?;
    let more = Taken {
        bytes: blob.len as i64 - replaced as i64,
        entries: made + i64::from(is_new),
    };
    taken::add(&txn, workspace, more).await?;
    SQL.commit(txn).await?;
    Ok(blob)
}

/// Makes sure that all above a path are directories; how many had to be made.
async fn directories(
    txn: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    path: &str,
    now: i64,
) -> Result<i64, TrackingError> {
    let mut below = path;
    let mut made = 0;
    loop {
        let dir = parent(below);
        if dir.is_empty() {
            return Ok(made);
        }
        match entry(txn, workspace, dir).await? {
            // What is above it was looked at when it was made.
            Some(Entry { file: None, .. }) => return Ok(made),
            Some(_) => {
                let dir = bounds::shown(dir);
                return Err(TrackingError::Invalid(format!("{dir} is a file")));
            }
            None => {}
        }
        let sql = "INSERT INTO tracking_artifact (workspace, path, parent, digest, bytes, stored) \
                   VALUES ($1, $2, $3, '', 0, $4) ON CONFLICT DO NOTHING";
        let values = [
            workspace.as_str().into(),
            dir.into(),
            parent(dir).into(),
            now.into(),
        ];
        made += SQL.exec(txn, sql, values).await? as i64;
        below = dir;
    }
}

/// What is at a path.
pub async fn entry(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    path: &str,
) -> Result<Option<Entry>, StoreError> {
    let sql =
        "SELECT path, digest, bytes FROM tracking_artifact WHERE workspace = $1 AND path = $2";
    let found = SQL
        .row(db, sql, [workspace.as_str().into(), path.into()])
        .await?;
    found.as_ref().map(read).transpose()
}

fn read(row: &sea_orm::QueryResult) -> Result<Entry, StoreError> {
    let digest: String = SQL.column(row, "digest")?;
    let bytes: i64 = SQL.column(row, "bytes")?;
    let file = match digest.as_str() {
        "" => None,
        text => Some(BlobRef {
            digest: parsed::<Digest>("digest", text)?,
            len: bytes.max(0).unsigned_abs(),
        }),
    };
    Ok(Entry {
        path: SQL.column(row, "path")?,
        file,
    })
}

/// A file that has to be there.
pub async fn file(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    path: &str,
) -> Result<BlobRef, TrackingError> {
    check(path)?;
    let found = entry(db, workspace, path).await?;
    found.and_then(|entry| entry.file).ok_or_else(|| {
        TrackingError::NotFound(format!("No such artifact: {}", bounds::shown(path)))
    })
}

/// What is in a directory, by path; nothing if there is no such directory.
pub async fn list(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    dir: &str,
) -> Result<Vec<Entry>, TrackingError> {
    if !dir.is_empty() {
        check(dir)?;
    }
    let sql = "SELECT path, digest, bytes FROM tracking_artifact WHERE workspace = $1 AND parent = $2 \
               ORDER BY path LIMIT $3";
    let values = [workspace.as_str().into(), dir.into(), LISTED.into()];
    let found = SQL.rows(db, sql, values).await?;
    let entries: Result<_, StoreError> = found.iter().map(read).collect();
    Ok(entries?)
}

/// Removes a file, or a directory with all that is in it. Bytes that nothing refers to any more go later.
pub async fn delete(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    path: &str,
) -> Result<(), TrackingError> {
    check(path)?;
    let txn = SQL.begin(&app.store).await?;
    if entry(&txn, workspace, path).await?.is_none() {
        return Err(TrackingError::NotFound(format!(
            "No such artifact: {}",
            bounds::shown(path)
        )));
    }
    let mut dirs = vec![path.to_owned()];
    let mut removed = Taken::default();
    while let Some(dir) = dirs.pop() {
        let below = "SELECT path FROM tracking_artifact WHERE workspace = $1 AND parent = $2 AND digest = ''";
        let below = SQL
            .rows(
                &txn,
                below,
                [workspace.as_str().into(), dir.as_str().into()],
            )
            .await?;
        for row in &below {
            dirs.push(SQL.column(row, "path")?);
        }
        let these = "workspace = $1 AND (path = $2 OR (parent = $2 AND digest <> ''))";
        let values = || -> [Value; 2] { [workspace.as_str().into(), dir.as_str().into()] };
        removed.bytes += taken::bytes_of(&txn, these, values()).await?;
        let sql = format!("DELETE FROM tracking_artifact WHERE {these}");
        removed.entries += SQL.exec(&txn, &sql, values()).await? as i64;
    }
    taken::take_off(&txn, workspace, removed).await?;
    let deed = Deed::new("artifact.delete", format!("artifact {path}"))
        .within(workspace)
        .detail(format!("{} files and directories", removed.entries));
    audit::record(&txn, &app.clock, by, deed).await?;
    Ok(SQL.commit(txn).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_one_thing() {
        for good in ["0/abc/artifacts/model.onnx", "a", "a b/ü.txt", "..a/b"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a\\b", "a\nb", "a\0",
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        assert!(check(&"a/".repeat(40)).is_err());
        assert!(check(&"a".repeat(1_001)).is_err());
    }

    #[test]
    fn only_our_own_uris_have_a_path() {
        assert_eq!(path_of("mlflow-artifacts:/0/x"), Some("0/x"));
        assert_eq!(path_of("mlflow-artifacts:///0/x"), Some("0/x"));
        assert_eq!(path_of("mlflow-artifacts://host/0/x"), None);
        assert_eq!(path_of("s3://bucket/x"), None);
        assert_eq!(path_of("/etc/passwd"), None);
    }
}
