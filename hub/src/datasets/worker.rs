//! Makes versions, one after the other: reading and writing rows is work for one disk.
//!
//! Must never break: what is being made when the hub ends is made again from what was asked for.

use std::time::Duration;

use sea_orm::Value;
use tern_protocol::rest::Change;
use tokio_util::sync::CancellationToken;

use super::{
    DatasetError, SQL, ask,
    ledger::Ledger,
    make::make,
    stored::{self, FAILED, RUNNING, Stored},
};
use crate::{
    app::App,
    store::{StoreError, chain},
};

/// Longest time between two looks, if nobody asks; also the wait after the database failed.
const FULL_PASS: Duration = Duration::from_secs(30);

/// Longest reason that is kept, in characters.
const REASON: usize = 2_000;

/// Runs until `stop`.
pub async fn run(app: App, stop: CancellationToken) {
    app.datasets.sweep();
    loop {
        let did = tokio::select! {
            () = stop.cancelled() => return,
            did = pass(&app) => did,
        };
        match did {
            Ok(true) => continue,
            Ok(false) => {}
            Err(err) => tracing::error!(error = chain(&err), "datasets wait"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.datasets.wake.notified() => {}
            () = tokio::time::sleep(FULL_PASS) => {}
        }
    }
}

/// Makes the version that waits longest; whether there was one.
pub(super) async fn pass(app: &App) -> Result<bool, StoreError> {
    let condition = "state = $1 ORDER BY id LIMIT 1";
    let found = stored::all(app.store.read(), condition, [RUNNING.into()]).await?;
    let Some(of) = found.into_iter().next() else {
        return Ok(false);
    };
    match make(app, &of).await {
        // Whoever stopped it forgot what was noted of it.
        Ok(()) | Err(DatasetError::Stopped) => {}
        // The database is away: it waits as it is. What the database holds and nobody can read will not get better.
        Err(DatasetError::Store(err)) if !matches!(err, StoreError::Value { .. }) => {
            return Err(err);
        }
        Err(err) => {
            tracing::warn!(
                dataset = of.view.title(),
                error = chain(&err),
                "a version of a dataset was not made"
            );
            fail(app, &of, &err).await?;
        }
    }
    app.changes.send(&of.workspace, Change::Datasets);
    Ok(true)
}

async fn fail(app: &App, of: &Stored, err: &DatasetError) -> Result<(), StoreError> {
    let reason: String = crate::store::storable(&err.causes())
        .chars()
        .take(REASON)
        .collect();
    let txn = SQL.begin(&app.store).await?;
    let update = "UPDATE dataset SET state = $1, finished = $2, reason = $3, again = $4 WHERE id = $5 AND state = $6";
    let values: [Value; 6] = [
        FAILED.into(),
        app.clock.now().0.into(),
        reason.into(),
        i64::from(err.may_help_again()).into(),
        of.key().into(),
        RUNNING.into(),
    ];
    SQL.exec(&txn, update, values).await?;
    let gone = ask::drop_files(&txn, of.id()).await?;
    Ledger::forget(&txn, of.id()).await?;
    SQL.commit(txn).await?;
    ask::discard(app, &gone).await;
    Ok(())
}
