//! What runs on the machine: how it is, what it says, and what should not be there.

use std::time::Duration;

use tern_compute::{
    job::AttemptKey,
    local::{Local, Observed},
};
use tern_protocol::{rest::Change, time::WallTime};
use tokio::time::Instant;

use super::{
    super::{JobsError, LOCAL, rows::JobRow},
    ending,
    memory::Memory,
    reached, starting, trouble,
};
use crate::app::App;

/// Between two looks whether logs grew, for whoever reads one.
const LOGS: Duration = Duration::from_secs(1);

/// Attempts on this machine: whether there are any.
pub(super) async fn here(
    app: &App,
    memory: &mut Memory,
    all: &[JobRow],
    now: WallTime,
) -> Result<bool, JobsError> {
    let open: Vec<(&JobRow, AttemptKey)> = all
        .iter()
        .filter_map(|row| Some((row, row.open()?)))
        .filter(|(_, one)| one.compute.as_str() == LOCAL)
        .map(|(row, one)| (row, row.attempt_key(one.number)))
        .filter(|(_, key)| !memory.busy.has(*key))
        .collect();
    if open.is_empty() {
        memory.logs.clear();
        return Ok(all
            .iter()
            .any(|row| row.open().is_some_and(|one| one.compute.as_str() == LOCAL)));
    }
    let Ok(local) = app.jobs.local() else {
        // The hub was started without its machine. What runs there is seen again when it is started with it.
        return Ok(false);
    };
    let looking = local.clone();
    let keys: Vec<AttemptKey> = open.iter().map(|(_, key)| *key).collect();
    let with_logs = memory.logs_at.elapsed() >= LOGS;
    if with_logs {
        memory.logs_at = Instant::now();
    }
    let observed = tokio::task::spawn_blocking(move || {
        let look = |key: AttemptKey| {
            let length = with_logs.then(|| looking.log(key, u64::MAX, 1).map(|part| part.total));
            (looking.observe(key), length.and_then(Result::ok))
        };
        keys.into_iter().map(look).collect::<Vec<_>>()
    });
    let observed = observed.await.unwrap_or_default();
    for ((row, key), (observed, log)) in open.iter().zip(observed) {
        match observed {
            Ok(observed) => one_here(app, memory, local, row, *key, observed, now).await?,
            Err(err) => {
                let text = format!("the files of its attempt: {err}");
                trouble(app, row, *key, &text).await?;
            }
        }
        if let Some(length) = log
            && memory.logs.insert(*key, length) != Some(length)
        {
            app.changes.send(&row.workspace, Change::Job { id: row.id });
        }
    }
    memory
        .logs
        .retain(|key, _| open.iter().any(|(_, open)| open == key));
    Ok(true)
}

async fn one_here(
    app: &App,
    memory: &Memory,
    local: &Local,
    row: &JobRow,
    key: AttemptKey,
    observed: Observed,
    now: WallTime,
) -> Result<(), JobsError> {
    match observed {
        Observed::Running { phase, .. } => {
            reached(app, row, key, phase, now).await?;
            // What kept it from beginning did not, after all.
            trouble(app, row, key, "").await?;
            if row.cancelled {
                machine(local, move |local| local.cancel(key)).await;
            }
        }
        Observed::Unclaimed if row.cancelled => {
            machine(local, move |local| local.cancel(key)).await;
        }
        Observed::Unclaimed => starting::begin(app, memory, local, row, key),
        Observed::Lost(_) => machine(local, move |local| local.settle(key)).await,
        Observed::Ended(exit) => ending::keep(app, memory, local, row, key, *exit),
    }
    Ok(())
}

/// Does something short on the machine. What fails is done again at the next look.
pub(super) async fn machine(
    local: &Local,
    work: impl FnOnce(&Local) -> std::io::Result<()> + Send + 'static,
) {
    let local = local.clone();
    let done = tokio::task::spawn_blocking(move || work(&local)).await;
    if let Ok(Err(err)) = done {
        tracing::warn!(%err, "an attempt on this machine");
    }
}

/// Lets end what runs on the machine for a job that no row knows.
pub(super) async fn strays(app: &App, memory: &mut Memory) {
    let Ok(local) = app.jobs.local() else { return };
    if memory.strays.is_empty() {
        return;
    }
    let (local, strays) = (local.clone(), std::mem::take(&mut memory.strays));
    let left = tokio::task::spawn_blocking(move || {
        let still_there = |key: &AttemptKey| {
            match local.observe(*key) {
                Ok(Observed::Ended(_)) => return !matches!(local.forget(*key), Ok(true)),
                Ok(Observed::Lost(_)) => drop(local.settle(*key)),
                _ => drop(local.cancel(*key)),
            }
            true
        };
        strays.into_iter().filter(still_there).collect()
    });
    memory.strays = left.await.unwrap_or_default();
}
