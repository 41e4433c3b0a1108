//! Computes what is to be computed, one delta at a time, in the background.

use std::{
    io,
    time::{Duration, Instant},
};

use bytes::Bytes;
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, ConnectionTrait, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, Statement, TransactionTrait as _,
};
use tern_delta::EncodeError;
use tern_protocol::{
    digest::Digest,
    id::{ModelName, WorkspaceId},
    rest::{Change, DeltaState},
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    MISSING,
    budget::{Kept, evicted},
    rows::delta,
    to_text,
};
use crate::{
    app::App,
    blobs::BlobError,
    registry::publish::ONNX,
    store::{Doing as _, StoreError, chain, parsed},
};

/// Longest time between two looks, if nobody asks; also the wait after the disk or the database
/// failed.
const FULL_PASS: Duration = Duration::from_secs(30);

/// Both files of a delta together (256 MiB). Computing holds about as much again.
pub const LARGEST: u64 = 256 * 1024 * 1024;

/// Largest part of the whole file that a delta may take, in percent: applying one costs a device
/// room for it and time.
pub const WORTH_IT: u64 = 90;

/// How often computing a delta is begun. A hub that ended meanwhile was stopped, or had not enough
/// memory for it.
const ATTEMPTS: i64 = 3;

/// Why a delta waits; the next look tries again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("reading or storing a blob")]
    Blob(#[from] BlobError),
    #[error("starting a thread")]
    Thread(#[source] io::Error),
}

/// Runs until `stop`. `budget`: bytes that deltas may take.
pub async fn run(app: App, budget: u64, stop: CancellationToken) {
    loop {
        let did = tokio::select! {
            () = stop.cancelled() => return,
            did = pass(&app, budget) => did,
        };
        match did {
            Ok(true) => continue,
            Ok(false) => {}
            Err(err) => tracing::error!(error = chain(&err), "deltas wait"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.deltas.notified() => {}
            () = tokio::time::sleep(FULL_PASS) => {}
        }
    }
}

/// Computes the next delta; whether there was one.
pub(super) async fn pass(app: &App, budget: u64) -> Result<bool, Trouble> {
    make_room(app, budget).await?;
    let Some(row) = next(app.store.read()).await? else {
        return Ok(false);
    };
    let outcome = outcome(app, &row, budget).await?;
    note(app, row, outcome).await?;
    make_room(app, budget).await?;
    Ok(true)
}

/// The delta to compute next: of the version that was published first, the one from the newest base,
/// which most devices have.
async fn next(db: &impl ConnectionTrait) -> Result<Option<delta::Model>, StoreError> {
    delta::Entity::find()
        .filter(delta::Column::State.eq(to_text(DeltaState::Pending)))
        .order_by_asc(delta::Column::Created)
        .order_by_asc(delta::Column::Workspace)
        .order_by_asc(delta::Column::Model)
        .order_by_desc(delta::Column::Base)
        .one(db)
        .await
        .doing("looking for a delta to compute")
}

/// What became of a delta.
struct Outcome {
    state: DeltaState,
    reason: String,
    digest: Option<Digest>,
    len: Option<u64>,
    took: Option<Duration>,
}

impl Outcome {
    fn without(state: DeltaState, reason: String) -> Self {
        Self {
            state,
            reason,
            digest: None,
            len: None,
            took: None,
        }
    }
}

async fn outcome(app: &App, row: &delta::Model, budget: u64) -> Result<Outcome, Trouble> {
    let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
    let (full, both) = (
        unsigned(row.onnx_len),
        unsigned(row.onnx_len) + unsigned(row.base_len),
    );
    if budget == 0 {
        let reason = "no room is set aside for deltas (`--delta-budget 0`)";
        return Ok(Outcome::without(DeltaState::Skipped, reason.into()));
    }
    if both > LARGEST {
        let reason =
            format!("its two files have {both} bytes; deltas are computed of up to {LARGEST}");
        return Ok(Outcome::without(DeltaState::Skipped, reason));
    }
    if row.attempts >= ATTEMPTS {
        let reason = format!("the hub ended {ATTEMPTS} times while it was computed");
        return Ok(Outcome::without(DeltaState::Failed, reason));
    }
    begin(app, row).await?;
    let (base, new) = (
        parsed("digest", &row.base_onnx)?,
        parsed("digest", &row.onnx)?,
    );
    let (base, new) = match (read(app, base).await?, read(app, new).await?) {
        (Ok(base), Ok(new)) => (base, new),
        (Err(reason), _) | (_, Err(reason)) => {
            return Ok(Outcome::without(DeltaState::Failed, reason));
        }
    };
    let start = Instant::now();
    let made = encoded(base, new).await.map_err(Trouble::Thread)?;
    let took = Some(start.elapsed());
    let delta = match made {
        Ok(delta) => delta,
        Err(reason) => return Ok(Outcome::without(DeltaState::Failed, reason)),
    };
    let len = delta.len() as u64;
    if len * 100 > full * WORTH_IT {
        return Ok(Outcome {
            state: DeltaState::NotWorthIt,
            reason: format!(
                "it has {} % of the bytes of the file; it is kept up to {WORTH_IT} %",
                len * 100 / full.max(1)
            ),
            digest: None,
            len: Some(len),
            took,
        });
    }
    let blob = app.blobs.put_bytes(delta.into()).await?;
    Ok(Outcome {
        state: DeltaState::Ready,
        reason: String::new(),
        digest: Some(blob.digest),
        len: Some(blob.len),
        took,
    })
}

/// Remembers that it is begun, before anything is done that might end the hub.
async fn begin(app: &App, row: &delta::Model) -> Result<(), StoreError> {
    let begun = delta::ActiveModel {
        attempts: Set(row.attempts + 1),
        ..row.clone().into_active_model()
    };
    let begun = begun.update(app.store.write()).await;
    begun.doing("beginning to compute a delta")?;
    Ok(())
}

/// A file that a version names; the text says what is wrong with it, if another look would find the
/// same.
async fn read(app: &App, digest: Digest) -> Result<Result<Bytes, String>, BlobError> {
    match app.blobs.read_all(digest, ONNX).await {
        Ok(bytes) => Ok(Ok(bytes)),
        Err(BlobError::Missing(digest)) => Ok(Err(format!("{MISSING}: {digest}"))),
        Err(err @ BlobError::TooLarge { .. }) => Ok(Err(err.to_string())),
        Err(err) => Err(err),
    }
}

/// Computes in a thread of its own, which nobody waits for when the hub stops: it holds nothing that
/// lasts.
async fn encoded(base: Bytes, new: Bytes) -> io::Result<Result<Vec<u8>, String>> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new()
        .name("delta".into())
        .spawn(move || {
            let delta = tern_delta::encode(&base, &new);
            // Nobody listens only when the hub ends.
            let _ = done.send(delta);
        })?;
    Ok(match result.await {
        Ok(Ok(delta)) => Ok(delta),
        Ok(Err(err @ (EncodeError::Pack(_) | EncodeError::Wrong(_)))) => Err(chain(&err)),
        Err(_) => Err("computing it broke; the log says where".into()),
    })
}

async fn note(app: &App, row: delta::Model, outcome: Outcome) -> Result<(), StoreError> {
    let (workspace, model) = (row.workspace.clone(), row.model.clone());
    let (version, base) = (row.version, row.base);
    let full = row.onnx_len;
    let done = delta::ActiveModel {
        state: Set(to_text(outcome.state).into()),
        reason: Set(outcome.reason.clone()),
        digest: Set(outcome.digest.map(|digest| digest.to_string())),
        len: Set(outcome.len.map(|len| len as i64)),
        took_ms: Set(outcome.took.map(|took| took.as_millis() as i64)),
        ..row.into_active_model()
    };
    let done = done.update(app.store.write()).await;
    done.doing("noting a delta")?;
    match outcome.state {
        DeltaState::Failed => {
            tracing::warn!(
                workspace,
                model,
                version,
                base,
                reason = outcome.reason,
                "no delta"
            );
        }
        state => tracing::info!(
            workspace,
            model,
            version,
            base,
            state = to_text(state),
            bytes = outcome.len,
            full_bytes = full,
            reason = outcome.reason,
            "a delta is settled"
        ),
    }
    if outcome.state == DeltaState::Ready {
        app.counters.deltas.one();
    }
    tell(app, &workspace, &model)?;
    // Rollouts may have waited for it.
    app.wake.notify();
    Ok(())
}

fn tell(app: &App, workspace: &str, model: &str) -> Result<(), StoreError> {
    let workspace: WorkspaceId = parsed("workspace id", workspace)?;
    let model: ModelName = parsed("model name", model)?;
    app.changes.send(&workspace, Change::Model { model });
    Ok(())
}

/// Lets deltas go until the rest takes no more than `budget` bytes. Their blobs are garbage then.
pub(super) async fn make_room(app: &App, budget: u64) -> Result<(), StoreError> {
    const DOING: &str = "making room for deltas";
    // The oldest bases first; among deltas from one, that to the older version.
    const SELECT: &str = "\
        SELECT d.workspace, d.model, d.version, d.base, d.len FROM delta d \
        LEFT JOIN model_version b \
        ON b.workspace = d.workspace AND b.model = d.model AND b.version = d.base \
        WHERE d.state = 'ready' ORDER BY b.created, d.created, d.base";
    let txn = app.store.write().begin().await.doing(DOING)?;
    let select = Statement::from_string(txn.get_database_backend(), SELECT);
    let mut kept = Vec::new();
    let mut keys = Vec::new();
    for row in txn.query_all_raw(select).await.doing(DOING)? {
        let text = |column| row.try_get_by_index::<String>(column).doing(DOING);
        let number = |column| row.try_get_by_index::<i64>(column).doing(DOING);
        keys.push((text(0)?, text(1)?, number(2)?, number(3)?));
        kept.push(Kept {
            key: kept.len(),
            len: u64::try_from(number(4)?).unwrap_or(0),
        });
    }
    let gone = evicted(&kept, budget);
    if gone.is_empty() {
        return txn.rollback().await.doing(DOING);
    }
    for (workspace, model, version, base) in gone.iter().map(|index| &keys[*index]) {
        let update = Statement::from_sql_and_values(
            txn.get_database_backend(),
            "UPDATE delta SET state = $1, reason = $2 \
             WHERE workspace = $3 AND model = $4 AND version = $5 AND base = $6",
            [
                to_text(DeltaState::Evicted).into(),
                format!("{budget} bytes are set aside for deltas").into(),
                workspace.into(),
                model.into(),
                (*version).into(),
                (*base).into(),
            ],
        );
        txn.execute_raw(update).await.doing(DOING)?;
    }
    txn.commit().await.doing(DOING)?;
    for (workspace, model, version, base) in gone.iter().map(|index| &keys[*index]) {
        tracing::info!(
            workspace,
            model,
            version,
            base,
            "a delta made room for others"
        );
        tell(app, workspace, model)?;
    }
    Ok(())
}
