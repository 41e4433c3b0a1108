//! Removes blobs that nothing refers to.
//!
//! Run by the hub now and then, and by `tern-hub gc` beside it. A blob goes if no row names it and
//! nobody has stored or claimed it for a grace: it may have been uploaded to be published.
//!
//! Must never break: what a version is made of stays. Rows are read and blobs removed while the
//! database is locked for writing, and who publishes looks for its blobs under the same lock; so a
//! version whose blobs are gone is never written, not even when clocks jump.

mod report;
#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use sea_orm::{ConnectionTrait, TransactionTrait as _};
use tern_protocol::digest::Digest;
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    blobs::{BlobError, Blobs, Unclaimed},
    config::{DatabaseSettingsError, GcArgs},
    data_dir::{self, NoData},
    store::{Doing as _, Store, StoreError, chain, parsed, raw},
};

/// From the start of a hub to its first collection: a start has other things to do.
const FIRST: Duration = Duration::from_mins(5);

/// Between two collections.
const EVERY: Duration = Duration::from_hours(1);

/// Blobs removed under one lock of the database: a few milliseconds for whoever waits.
const BATCH: usize = 64;

/// Every column that names a blob by the text of its digest. Whoever adds one adds it here.
const REFERENCES: &str = "\
    SELECT bundle FROM model_version \
    UNION SELECT onnx FROM model_version \
    UNION SELECT golden FROM model_version \
    UNION SELECT reference FROM model_version WHERE reference <> '' \
    UNION SELECT digest FROM delta WHERE state = 'ready' \
    UNION SELECT digest FROM tracking_artifact WHERE digest <> '' \
    UNION SELECT onnx FROM retrain_challenger \
    UNION SELECT golden FROM retrain_challenger WHERE golden <> '' \
    UNION SELECT reference FROM retrain_challenger WHERE reference <> '' \
    UNION SELECT project FROM job WHERE project <> '' \
    UNION SELECT log FROM job_attempt WHERE log <> '' \
    UNION SELECT digest FROM job_artifact \
    UNION SELECT digest FROM dataset_file \
    UNION SELECT digest FROM trust_document WHERE role IN ('root', 'targets', 'snapshot')";

/// Every column that names one by its bytes: table and column.
const BYTES: [(&str, &str); 3] = [
    ("slot", "assigned_bundle"),
    ("slot", "shadow_bundle"),
    ("rollout", "bundle"),
];

/// Whether garbage is removed, or only found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It goes.
    Remove,
    /// It stays.
    DryRun,
}

/// Why garbage was not collected.
#[derive(Debug, thiserror::Error)]
pub enum GarbageError {
    /// There is no hub's data.
    #[error(transparent)]
    NoData(#[from] NoData),
    /// The blobs.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// Where the database is.
    #[error(transparent)]
    Database(#[from] DatabaseSettingsError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Collects what nobody has claimed since `before` and nothing refers to; what it was.
pub async fn collect(
    store: &Store,
    blobs: &Blobs,
    before: SystemTime,
    mode: Mode,
) -> Result<Vec<Unclaimed>, GarbageError> {
    let mut gone = Vec::new();
    // A look without a lock first: nearly always nearly all blobs are referred to.
    let kept = references(store.read()).await?;
    let mut candidates = blobs.unclaimed(before).await?;
    candidates.retain(|blob| is_garbage(blob, &kept));
    if mode == Mode::DryRun {
        return Ok(candidates);
    }
    for batch in candidates.chunks(BATCH) {
        let txn = store.write().begin().await.doing("collecting garbage")?;
        // A write that changes nothing: from here on no process writes but this one.
        let lock = "UPDATE counter SET value = value WHERE name = ''";
        txn.execute_unprepared(lock)
            .await
            .doing("collecting garbage")?;
        let kept = references(&txn).await?;
        for blob in batch.iter().filter(|blob| is_garbage(blob, &kept)) {
            if blobs.remove(blob.clone(), before).await?.is_some() {
                gone.push(blob.clone());
            }
        }
        txn.rollback().await.doing("collecting garbage")?;
    }
    Ok(gone)
}

/// Removes these blobs now, but for those that something refers to: of data that has to go.
pub(crate) async fn discard(
    store: &Store,
    blobs: &Blobs,
    gone: &[Digest],
) -> Result<(), GarbageError> {
    for batch in gone.chunks(BATCH) {
        let txn = store.write().begin().await.doing("discarding blobs")?;
        let kept = references(&txn).await?;
        for digest in batch.iter().filter(|digest| !kept.contains(*digest)) {
            blobs.discard(*digest).await?;
        }
        txn.rollback().await.doing("discarding blobs")?;
    }
    Ok(())
}

fn is_garbage(blob: &Unclaimed, kept: &HashSet<Digest>) -> bool {
    blob.digest.is_none_or(|digest| !kept.contains(&digest))
}

/// Every blob that a row names.
pub(crate) async fn references(db: &impl ConnectionTrait) -> Result<HashSet<Digest>, StoreError> {
    const DOING: &str = "reading what refers to blobs";
    let backend = db.get_database_backend();
    let by_bytes = BYTES.map(|(table, column)| {
        let text = raw::hex(backend, column);
        format!(" UNION SELECT {text} FROM {table} WHERE {column} IS NOT NULL")
    });
    let sql = REFERENCES.to_owned() + &by_bytes.concat();
    let rows = raw::rows(db, DOING, &sql, []).await?;
    let digest = |row: &sea_orm::QueryResult| {
        let text: String = row.try_get_by_index(0).doing(DOING)?;
        parsed("digest", &text)
    };
    rows.iter().map(digest).collect()
}

/// Collects now and then until the hub stops.
pub async fn run(app: App, grace: Duration, stop: CancellationToken) {
    let mut wait = FIRST;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = EVERY;
        let Some(before) = SystemTime::now().checked_sub(grace) else {
            continue;
        };
        match collect(&app.store, &app.blobs, before, Mode::Remove).await {
            Ok(gone) if gone.is_empty() => {}
            Ok(gone) => {
                let bytes = gone.iter().map(|blob| blob.bytes).sum();
                app.counters.blobs_collected.add(gone.len() as u64);
                app.counters.blob_bytes_collected.add(bytes);
                tracing::info!(
                    blobs = gone.len(),
                    bytes,
                    "removed blobs that nothing refers to"
                );
            }
            Err(err) => tracing::warn!(error = chain(&err), "garbage was not collected"),
        }
    }
}

/// `tern-hub gc`; what to print.
pub async fn command(args: GcArgs) -> Result<String, GarbageError> {
    data_dir::used(&args.data)?;
    let store = Store::beside(args.database.place(&args.data)?).await?;
    let blobs = Blobs::beside(&blobs_of(&args.data))?;
    let mode = if args.dry_run {
        Mode::DryRun
    } else {
        Mode::Remove
    };
    let now = SystemTime::now();
    let before = now
        .checked_sub(args.grace)
        .unwrap_or(SystemTime::UNIX_EPOCH);
    let found = collect(&store, &blobs, before, mode).await;
    store.close().await;
    let found = found?;
    Ok(if args.json {
        report::json(&found, mode)
    } else {
        report::text(&found, mode, now)
    })
}

fn blobs_of(data: &std::path::Path) -> PathBuf {
    data.join("blobs")
}
