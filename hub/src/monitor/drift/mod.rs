//! The watch over models: from windows to findings.
//!
//! Follows the windows in the order in which they came, as roll-ups do, and drives the crate `tern-watch`: each hour
//! once most of it has come ([`pending`]), and departures as windows come. Called by [`crate::serve`]; what was found is
//! read through [`super::findings`].
//!
//! Must never break:
//! - state, place in the order of windows, and findings are stored in one transaction: a kill loses nothing, and the
//!   same windows are not judged twice;
//! - names of devices and sites get numbers that mean the same for good;
//! - a model that cannot be watched, or a state that cannot be read, stops nothing else.

mod following;
mod model;
mod names;
mod pending;
mod rows;
pub mod schema;
mod told;

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

use tern_protocol::id::WorkspaceId;
use tokio_util::sync::CancellationToken;

use self::following::Following;
use super::turns::Turns;
use crate::{
    app::App,
    config::Drift as Settings,
    fleet,
    store::{StoreError, chain},
};

/// Between two looks for new windows: how far behind departures are.
const LOOK: Duration = Duration::from_secs(2);

/// Watches until `stop`.
pub async fn run(app: App, settings: Settings, stop: CancellationToken) {
    let mut watches = HashMap::new();
    let mut turns = Turns::default();
    loop {
        match pass(&app, &settings, &mut watches).await {
            Ok(true) if !stop.is_cancelled() => {
                turns.next(&app.counters, &stop).await;
                continue;
            }
            Ok(_) => {}
            Err(err) => {
                tracing::error!(error = chain(&err), "models are not watched");
                // What is in memory may be ahead of what is stored: read that again.
                watches.clear();
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn pass(
    app: &App,
    settings: &Settings,
    watches: &mut HashMap<WorkspaceId, Following>,
) -> Result<bool, StoreError> {
    let mut more = false;
    for workspace in fleet::workspaces(&app.store).await? {
        let following = match watches.entry(workspace.clone()) {
            Entry::Occupied(following) => following.into_mut(),
            Entry::Vacant(room) => room.insert(Following::read(app, &workspace, settings).await?),
        };
        more |= following.pass(app, &workspace, settings).await?;
    }
    Ok(more)
}
