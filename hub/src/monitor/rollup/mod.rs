//! Windows merged into minutes, hours and days, so that a question about a month reads a thousand rows and not a
//! hundred million.
//!
//! [`run`] follows the windows in the order in which they came and adds each to the minute, the hour and the day in
//! which it lies: by slot, version, site and part in a rollout, over all sites, and to its device's day. [`level`] and
//! [`gather`] are pure; [`write`] stores; [`parts`] says what part a device had; [`retain`] removes what is too old.
//!
//! Must never break:
//! - a window is added once, whenever it comes, weeks late too: what was added and up to which window are committed
//!   together;
//! - merging is exact: a day is what its windows say, whatever their order.

mod gather;
mod level;
mod parts;
mod read;
pub mod retain;
mod write;

#[cfg(test)]
mod tests;

pub(super) use self::read::{Which, count, sums};
pub use self::{
    level::{Level, middle},
    write::ALL_SITES,
};

use std::time::Duration;

use sea_orm::TransactionTrait as _;
use tern_protocol::id::WorkspaceId;
use tokio_util::sync::CancellationToken;

use self::gather::Gathered;
use super::{follow, turns::Turns};
use crate::{
    app::App,
    config::Retention,
    fleet,
    store::{Doing as _, StoreError, chain},
};

/// Between two looks for new windows: how far behind what is shown may be.
const LOOK: Duration = Duration::from_secs(2);

/// Windows that are added in one transaction.
const TOGETHER: usize = 10_000;

/// Windows that are read at once.
const PAGE: u64 = 500;

/// Sums at which no more windows are taken: those of 64 features hold some 20 KB each, and become up to six rows. Ten
/// thousand that share nothing, as after weeks offline, took 3.4 GB.
const SUMS: usize = 1_000;

/// Adds windows as they come, and removes what is too old, until `stop`.
pub async fn run(app: App, retention: Retention, stop: CancellationToken) {
    let mut cleaned = None;
    let mut turns = Turns::default();
    loop {
        let more = pass(&app, &retention).await.unwrap_or_else(|err| {
            tracing::error!(error = chain(&err), "roll-ups wait");
            false
        });
        // Also while there is more and more: what comes needs the room of what goes.
        if let Err(err) = retain::now_and_then(&app, &retention, &mut cleaned, &stop).await {
            tracing::error!(error = chain(&err), "old telemetry stays");
        }
        if more {
            turns.next(&app.counters, &stop).await;
            if !stop.is_cancelled() {
                continue;
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Adds what came since the last pass, some of it; whether there is more.
pub async fn pass(app: &App, retention: &Retention) -> Result<bool, StoreError> {
    let mut more = false;
    for workspace in fleet::workspaces(&app.store).await? {
        more |= add(app, &workspace, retention).await?;
    }
    Ok(more)
}

async fn add(
    app: &App,
    workspace: &WorkspaceId,
    retention: &Retention,
) -> Result<bool, StoreError> {
    let before = write::position(app.store.read(), workspace).await?;
    let (mut gathered, mut last, mut read) = (Gathered::new(app.clock.now(), retention), before, 0);
    let mut more = true;
    while more && read < TOGETHER && gathered.len() < SUMS {
        let page = follow::believed(app.store.read(), workspace, last, PAGE).await?;
        last = page.up_to;
        read += page.read;
        more = page.read as u64 >= PAGE;
        let parts = parts::of(app, workspace, &page.windows).await;
        for (window, part) in page.windows.into_iter().zip(parts) {
            gathered.add(window, part);
        }
        // Merging is arithmetic without a pause.
        tokio::task::yield_now().await;
    }
    if last == before {
        return Ok(false);
    }
    let txn = app.store.write().begin().await;
    let txn = txn.doing("beginning to roll up windows")?;
    let refused = write::store(&txn, workspace, gathered).await?;
    write::moved(&txn, workspace, last).await?;
    txn.commit().await.doing("committing roll-ups")?;
    if refused > 0 {
        app.counters.rollups_refused.add(refused);
        tracing::warn!(%workspace, windows = refused, "windows do not merge with others of their version");
    }
    Ok(more)
}
