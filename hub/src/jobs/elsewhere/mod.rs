//! Attempts on clusters: given to the engine, asked after, ended, and their logs kept.
//!
//! Run by the driver beside its own looks, so that a cluster that does not answer holds up nothing else. Each cluster is
//! gone through by itself; one that does not answer is left alone for a while, and what runs there goes on.
//!
//! In reading order: this file (all clusters, again and again), `attempt` (one attempt on one cluster), `said` (its log).
//!
//! Must never break: an attempt that its engine may have is never given up for one that did not begin; of one that the
//! engine had and does not know any more it is said that it is lost.

mod attempt;
mod said;

pub(super) use said::log;

use std::{collections::BTreeMap, time::Duration};

use tern_protocol::id::ComputeName;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::attempt::Way;
use super::{
    JobsError,
    client::Clients,
    computes::{self, Compute},
    rows::{self, AttemptRow, JobRow},
};
use crate::{app::App, store::chain};

/// Between two looks while something runs on a cluster.
const RUNS: Duration = Duration::from_secs(2);

/// Between two looks whether something does.
const IDLE: Duration = Duration::from_secs(5);

/// How long a cluster that does not answer is left alone, at first and at most.
const REST: Duration = Duration::from_secs(5);
const REST_MOST: Duration = Duration::from_mins(2);

/// Runs until `stop`.
pub(super) async fn run(app: App, stop: CancellationToken) {
    let clients = app.jobs.clients();
    let mut resting: BTreeMap<ComputeName, (Instant, Duration)> = BTreeMap::new();
    loop {
        let looked = tokio::select! {
            () = stop.cancelled() => return,
            looked = look(&app, &clients, &mut resting) => looked,
        };
        let pause = match looked {
            Ok(true) => RUNS,
            Ok(false) => IDLE,
            Err(err) => {
                tracing::error!(error = chain(&err), "jobs on clusters wait");
                IDLE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// One look at all clusters on which something runs; whether there is any.
async fn look(
    app: &App,
    clients: &Clients,
    resting: &mut BTreeMap<ComputeName, (Instant, Duration)>,
) -> Result<bool, JobsError> {
    let all = rows::open(app.store.read()).await?;
    let computes = computes::all(app, app.store.read()).await?;
    let mut tended = Vec::new();
    resting.retain(|name, _| {
        let open = all.iter().filter_map(JobRow::open);
        open.into_iter().any(|one| one.compute == *name)
    });
    for compute in computes.iter().filter(|one| !one.is_local()) {
        let here: Vec<(&JobRow, &AttemptRow)> = all
            .iter()
            .filter_map(|row| Some((row, row.open()?)))
            .filter(|(_, one)| one.compute == compute.name)
            .collect();
        let rests = resting
            .get(&compute.name)
            .is_some_and(|(until, _)| Instant::now() < *until);
        if !here.is_empty() && !rests {
            tended.push((compute, here));
        }
    }
    let any = !tended.is_empty() || !resting.is_empty();
    let each = tended.iter().map(|(compute, here)| async {
        (
            compute.name.clone(),
            tend(app, clients, compute, here).await,
        )
    });
    for (name, done) in futures::future::join_all(each).await {
        match done {
            Ok(()) => {
                if resting.remove(&name).is_some() {
                    app.jobs.know(&name, |known| known.trouble = None);
                    tracing::info!(compute = %name, "a cluster answers again");
                }
            }
            Err(text) => {
                let before = resting.get(&name).map(|(_, rest)| *rest);
                let rest = before.map_or(REST, |rest| (rest * 2).min(REST_MOST));
                resting.insert(name.clone(), (Instant::now() + rest, rest));
                if before.is_none() {
                    tracing::warn!(compute = %name, text, "a cluster does not answer");
                }
                app.jobs.know(&name, |known| known.trouble = Some(text));
            }
        }
    }
    Ok(any)
}

/// Why an attempt was not tended to.
enum Trouble {
    /// Its cluster does not answer.
    Silent(String),
    /// The hub itself.
    Ours(JobsError),
}

impl<E: Into<JobsError>> From<E> for Trouble {
    fn from(err: E) -> Self {
        Self::Ours(err.into())
    }
}

/// Tends to all attempts on a cluster; what it is that does not answer.
async fn tend(
    app: &App,
    clients: &Clients,
    compute: &Compute,
    here: &[(&JobRow, &AttemptRow)],
) -> Result<(), String> {
    let way = Way {
        app,
        clients,
        compute,
    };
    for (row, attempt) in here {
        match way.tend_one(row, attempt).await {
            Ok(()) => {}
            Err(Trouble::Silent(text)) => return Err(text),
            // One that cannot be tended to holds up no other.
            Err(Trouble::Ours(err)) => {
                let attempt = row.attempt_key(attempt.number);
                tracing::error!(%attempt, error = chain(&err), "an attempt on a cluster waits");
            }
        }
    }
    Ok(())
}
