//! An attempt begins on this machine: its project is unpacked, its data checked out, its run and its token made, and its
//! supervisor started.
//!
//! Called by the driver, on a task of its own, for an attempt that has a row and that nobody has claimed. Whatever of
//! this was done before the hub was killed is done again; starting the supervisor is what happens once, and `local` sees
//! to that.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tern_compute::{
    job::{AttemptKey, JobSpec},
    local::{Local, StartError},
};
use tern_protocol::rest::JobAsked;

use super::{
    JobsError, archive, asked, dataset, given,
    rows::{self, JobRow},
    submit,
};
use crate::{app::App, blobs::BlobError, store::chain};

/// Why an attempt did not begin.
#[derive(Debug)]
pub(super) enum NotBegun {
    /// It never will: what is told of how it ended.
    Never(String),
    /// It may at the next look.
    Later(String),
}

impl From<JobsError> for NotBegun {
    fn from(err: JobsError) -> Self {
        Self::Later(chain(&err))
    }
}

impl From<crate::store::StoreError> for NotBegun {
    fn from(err: crate::store::StoreError) -> Self {
        Self::Later(chain(&err))
    }
}

/// Where what an attempt is handed lies while it runs.
pub(super) fn staged(root: &Path, key: AttemptKey) -> PathBuf {
    root.join("staged").join(key.to_string())
}

/// Begins it.
pub(super) async fn begin(
    app: &App,
    local: &Local,
    row: &JobRow,
    number: u32,
    gpus: &[u32],
) -> Result<(), NotBegun> {
    let key = row.attempt_key(number);
    let documents = rows::documents(app.store.read(), row.id).await?;
    let documents = documents.ok_or_else(|| NotBegun::Never("the job is gone".into()))?;
    let mut spec: JobSpec = rows::json(&documents.spec)?;
    let asked: JobAsked = rows::json(&documents.asked)?;
    let secrets = submit::opened(app, row.id, documents.secrets).map_err(NotBegun::Never)?;
    asked::with_secrets(&mut spec, &secrets);
    let dir = staged(&app.jobs.settings().root, key);
    let fresh = dir.clone();
    on_disk(move || {
        // What a hub that was killed left half-made.
        match fs::remove_dir_all(&fresh) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            _ => {}
        }
        private(&fresh)
    })
    .await?;
    if let Some(digest) = documents.project {
        let bytes = match app.blobs.read_all(digest, archive::PACKED).await {
            Ok(bytes) => bytes,
            Err(err @ (BlobError::Missing(_) | BlobError::TooLarge { .. })) => {
                return Err(NotBegun::Never(format!("its project: {err}")));
            }
            Err(err) => return Err(NotBegun::Later(chain(&err))),
        };
        let into = dir.join("project");
        spec.project = Some(into.display().to_string());
        let unpacked = tokio::task::spawn_blocking(move || archive::unpack(&bytes, &into));
        match unpacked.await {
            Ok(Ok(())) => {}
            Ok(Err(err @ archive::ArchiveError::Write { .. })) => {
                return Err(NotBegun::Later(chain(&err)));
            }
            Ok(Err(err)) => return Err(NotBegun::Never(format!("its project: {err}"))),
            Err(err) => return Err(NotBegun::Never(format!("its project: {err}"))),
        }
    }
    if let Some(text) = &asked.dataset {
        let to = dir.join("dataset");
        let place = dataset::check_out(app, &row.workspace, text, &to).await;
        spec.dataset = Some(place.map_err(NotBegun::Never)?);
    }
    let given = given::here(app, row, key, &asked, &dir).await?;
    let (local, gpus) = (local.clone(), gpus.to_vec());
    let started =
        tokio::task::spawn_blocking(move || local.start_with(key, &spec, &gpus, &given)).await;
    match started {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(err @ StartError::Wrong(_))) => Err(NotBegun::Never(err.to_string())),
        Ok(Err(err)) => Err(NotBegun::Later(chain(&err))),
        Err(err) => Err(NotBegun::Later(err.to_string())),
    }
}

fn private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
}

pub(super) async fn on_disk(
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<(), NotBegun> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.unwrap_or_else(|err| Err(io::Error::other(err)));
    done.map_err(|err| NotBegun::Later(format!("making its files ready: {err}")))
}

/// Removes what an attempt was handed.
pub(super) fn unstage(root: &Path, key: AttemptKey) {
    let dir = staged(root, key);
    match fs::remove_dir_all(&dir) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%err, dir = %dir.display(), "what a job was handed is left");
        }
        _ => {}
    }
}
