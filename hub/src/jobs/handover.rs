//! Artifacts that the command of an attempt on a cluster hands over to the hub, which has no files there.
//!
//! Called by the API, for the job itself while its attempt runs. What is taken becomes a blob at once, so that it is there
//! when the attempt ends.
//!
//! Must never break: nothing is taken but from an attempt that runs elsewhere, and nothing that its job does not keep; of
//! an attempt that did not say that everything is there, it is said that something is missing.

use std::error::Error;

use bytes::Bytes;
use futures::Stream;
use sea_orm::ConnectionTrait;
use tern_compute::job::{ARTIFACTS, AttemptKey, JobSpec, Patterns, Problem};
use tern_protocol::{blob::BlobRef, id::WorkspaceId, limits};

use super::{JobsError, LOCAL, SQL, computes::Compute, given, keep, problem, rows};
use crate::{app::App, blobs::BlobError, store::raw::number};

/// Bytes of a path, at most: more than systems take.
const PATH: usize = 4096;

/// Why a compute could not hand over what a job makes, if it could not.
pub(super) fn problem_of(app: &App, compute: &Compute, spec: &JobSpec) -> Option<Problem> {
    if compute.is_local() || spec.artifacts.is_empty() {
        return None;
    }
    let name = &compute.name;
    let text = if given::address(app).is_none() {
        format!(
            "a job on `{name}` hands them over to the hub, which does not know where it is reached from there; start it with \
             `--jobs-url URL`"
        )
    } else if !app.jobs.settings().open && !given::may_know_token(compute) {
        format!(
            "a job hands them over by its token, which Ray would show to everybody who sees its dashboard; add `{name}` with \
             `--tracking` if that is right, or let the command store them"
        )
    } else {
        return None;
    };
    Some(problem("artifacts", text))
}

/// Takes an artifact: what `pieces` yields is kept under this path below the working directory. The same path once more
/// is the same artifact as it is then.
pub async fn hand_over<S, E>(
    app: &App,
    workspace: &WorkspaceId,
    key: AttemptKey,
    path: &str,
    pieces: S,
) -> Result<BlobRef, JobsError>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let db = app.store.read();
    runs_elsewhere(db, workspace, key).await?;
    let documents = rows::documents(db, key.job).await?;
    let documents = documents.ok_or(JobsError::NoJob(key.job))?;
    let spec: JobSpec = rows::json(&documents.spec)?;
    if !is_below(path) || !Patterns::of(&spec.artifacts).take(path) {
        let text = "not the path of an artifact: the job keeps files that match its `artifacts`";
        return Err(JobsError::Impossible(text.into()));
    }
    let quota = app.jobs.settings().quota;
    let no_room = || JobsError::State(keep::no_room(app, workspace, path));
    let room = quota.saturating_sub(keep::used(db, workspace, key, Some(path)).await?);
    let blob = match app.blobs.put_unnamed(pieces, room.min(limits::BLOB)).await {
        Err(BlobError::TooLarge { .. }) if room < limits::BLOB => return Err(no_room()),
        blob => blob?,
    };
    // It may have ended, and others may have taken the room, while the bytes came.
    let txn = SQL.begin(&app.store).await?;
    runs_elsewhere(&txn, workspace, key).await?;
    let others =
        "SELECT COUNT(*) AS n FROM job_artifact WHERE job = $1 AND attempt = $2 AND path <> $3";
    let of = [number(key.job.0), i64::from(key.number).into(), path.into()];
    let others = SQL.row(&txn, others, of).await?;
    if others.map_or(Ok(0), |row| SQL.count(&row, "n"))? >= ARTIFACTS as u64 {
        let text = format!("an attempt has at most {ARTIFACTS} artifacts");
        return Err(JobsError::State(text));
    }
    let used = keep::used(&txn, workspace, key, Some(path)).await?;
    if used.saturating_add(blob.len) > quota {
        return Err(no_room());
    }
    keep::write(app, &txn, workspace, key, path, blob).await?;
    SQL.commit(txn).await?;
    Ok(blob)
}

/// An attempt has handed over what it had; whether it left something out.
pub async fn all_there(
    app: &App,
    workspace: &WorkspaceId,
    key: AttemptKey,
    left_out: bool,
) -> Result<(), JobsError> {
    let txn = SQL.begin(&app.store).await?;
    runs_elsewhere(&txn, workspace, key).await?;
    rows::missing(&txn, key, left_out).await?;
    Ok(SQL.commit(txn).await?)
}

/// That an attempt is one whose files the hub does not have, and has not ended.
async fn runs_elsewhere(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    key: AttemptKey,
) -> Result<(), JobsError> {
    let row = rows::of(db, workspace, key.job).await?;
    let row = row.ok_or(JobsError::NoJob(key.job))?;
    let runs = |one: &&rows::AttemptRow| one.number == key.number && one.compute.as_str() != LOCAL;
    match row.open().filter(runs) {
        Some(_) => Ok(()),
        None => Err(JobsError::NotFound(format!(
            "attempt {} of job {} does not run on a cluster",
            key.number, key.job
        ))),
    }
}

/// Whether a path stays below the directory that it is in, written in the one way that it has.
fn is_below(path: &str) -> bool {
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    path.len() <= PATH && !path.contains('\0') && path.split('/').all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below() {
        assert!(
            is_below("a")
                && is_below("out/deep/a b.onnx")
                && is_below("...")
                && is_below("\u{e4}/.b")
        );
        for wrong in [
            "",
            "/",
            "/etc/passwd",
            "a/",
            "a//b",
            "./a",
            "a/../b",
            "..",
            "a/.",
            "a\0b",
        ] {
            assert!(!is_below(wrong), "{wrong:?}");
        }
        assert!(!is_below(&"x".repeat(PATH + 1)));
    }
}
