//! Looks after what lies on the disk while nobody needs it.
//!
//! Run by the hub from its start to its end. Two things go on beside each other: what lacks is made again
//! as far as the hub can by itself ([`mend`]), and now and then everything is read once, slowly, so that
//! damage is found while the files are still at hand and not when a device waits for them. What is
//! known of it is in memory: a start looks which blobs there are, and finds what was put aside before.
//!
//! Must never break: a scrub slows nobody down; nothing that is whole is touched.

mod mend;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tern_protocol::{
    digest::Digest,
    id::{ModelName, WorkspaceId},
    rest::Change,
};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    blobs::{BlobError, Found, Pace},
    deltas, fleet, garbage,
    registry::lacking,
    store::{StoreError, chain},
};

/// From the start of a hub to its first scrub at least: a start has other things to do.
const FIRST: Duration = Duration::from_mins(10);

/// Longest time between two looks which blobs there are, and the wait after something failed: a few
/// hundred directories are listed.
const LOOK: Duration = Duration::from_mins(15);

/// Bytes a second that a scrub reads (8 MiB): a small part of what the slowest disk gives, and 100 GiB
/// in four hours.
const PACE: Pace = Pace::PerSecond(8 * 1024 * 1024);

/// Why a look or a scrub did not come to its end; the next one begins again.
#[derive(Debug, thiserror::Error)]
enum ScrubError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("looking after blobs")]
    Blob(#[from] BlobError),
}

/// What the last scrub said of the database, if it is damaged.
#[derive(Debug, Clone, Default)]
pub struct Verdict(Arc<Mutex<Option<String>>>);

impl Verdict {
    /// What SQLite says is wrong with it.
    pub fn damage(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, damage: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = damage;
    }
}

/// Runs until `stop`. `every`: between two scrubs; none: only what lacks is looked after.
pub async fn run(app: App, every: Option<Duration>, stop: CancellationToken) {
    let scrubbing = async {
        match every {
            Some(every) => scrub_every(&app, every).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = mending(&app) => {}
        () = scrubbing => {}
    }
}

async fn scrub_every(app: &App, every: Duration) {
    let mut wait = every.min(FIRST);
    loop {
        tokio::time::sleep(wait).await;
        wait = every;
        if let Err(err) = scrub(app, PACE).await {
            tracing::warn!(error = chain(&err), "a scrub did not come to its end");
        }
    }
}

/// Reads everything once.
async fn scrub(app: &App, pace: Pace) -> Result<(), ScrubError> {
    database(app).await?;
    let (mut whole, mut damaged) = (0_u64, 0_u64);
    for digest in garbage::references(app.store.read()).await? {
        match app.blobs.scrub(digest, pace).await? {
            Found::Whole => whole += 1,
            Found::Damaged => damaged += 1,
            // It was collected since the list was made, or the next look finds that it lacks.
            Found::Gone => {}
        }
    }
    app.counters.scrubs.one();
    tracing::info!(whole, damaged, "everything was read once");
    Ok(())
}

async fn database(app: &App) -> Result<(), StoreError> {
    let found = app.store.quick_check().await?.err();
    if let Some(what) = &found {
        tracing::error!(
            what,
            "the database is damaged; the dashboard says what to do"
        );
    }
    if app.verdict.damage() != found {
        app.verdict.set(found);
        for workspace in fleet::workspaces(&app.store).await? {
            app.changes.send(&workspace, Change::Trust);
        }
    }
    Ok(())
}

/// Looks what lacks, makes it again, and says so to open pages; as soon as something changes, and now and
/// then.
async fn mending(app: &App) {
    let mut shown = BTreeSet::new();
    let mut changes = app.blobs.watch_lacking();
    loop {
        if let Err(err) = look(app, &mut shown).await {
            tracing::error!(error = chain(&err), "blobs that lack are not looked after");
        }
        let next = Instant::now() + LOOK;
        tokio::select! {
            // Its sender is part of the app.
            _ = changes.changed() => {}
            () = sleep_until(next) => {}
        }
    }
}

type Models = BTreeSet<(WorkspaceId, ModelName)>;

async fn look(app: &App, shown: &mut Models) -> Result<(), ScrubError> {
    let wanted: HashSet<Digest> = garbage::references(app.store.read()).await?;
    for digest in app.blobs.look_for(&wanted).await? {
        tracing::error!(%digest, "a blob is gone from the disk");
    }
    for digest in app.blobs.lacking() {
        match mend::again(app, digest).await {
            Ok(Some(what)) => tracing::info!(%digest, what, "a blob is made again"),
            Ok(None) => {}
            Err(err) => {
                tracing::error!(%digest, error = chain(&err), "a blob was not made again");
            }
        }
    }
    deltas::retry(app).await?;
    let mut lack = Models::new();
    for workspace in fleet::workspaces(&app.store).await? {
        let versions = lacking::versions(app, &workspace).await?;
        lack.extend(versions.into_keys().map(|of| (workspace.clone(), of.model)));
    }
    for (workspace, model) in shown.union(&lack) {
        let model = model.clone();
        app.changes.send(workspace, Change::Model { model });
    }
    *shown = lack;
    Ok(())
}
