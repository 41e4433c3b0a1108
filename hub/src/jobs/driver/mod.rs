//! Looks at all jobs that are not over, again and again: observes what runs, lets end what should, starts what has its
//! turn, and scales the machine.
//!
//! A look starts from what is stored and from what the machine says. What takes long (a project that is unpacked, an
//! artifact that is copied) is a task of its own, of which one runs for an attempt at a time; the next look sees what
//! came of it. Attempts on clusters are [`elsewhere`]'s; whose turn it is, is decided here for all.
//!
//! In reading order: this file (one look after the other), `looking` (what runs on the machine), `starting` and `ending`
//! (the two ends of an attempt there, as tasks), `turn` (whose turn it is), `memory` (what is remembered between looks).
//!
//! Must never break: nothing is started that has no row; what a look decided and did not do, because the hub was killed,
//! the next one decides again.

mod ending;
mod looking;
mod memory;
mod starting;
mod turn;

use std::time::Duration;

use tern_compute::{
    job::{AttemptKey, Phase},
    schedule::Usage,
};
use tern_protocol::{id::WorkspaceId, rest::Change, time::WallTime};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::memory::Memory;
use super::{
    JobsError, SQL, computes, elsewhere, retention,
    rows::{self, JobRow},
    tracked,
};
use crate::{
    app::App,
    store::{StoreError, chain},
};

/// Between two looks while something runs on the machine: files are looked at, which costs little.
const RUNS: Duration = Duration::from_millis(300);

/// The same while jobs wait and nothing runs: what grows has to be counted.
const WAITS: Duration = Duration::from_secs(1);

/// The same when there is nothing to do, if nobody asks.
const IDLE: Duration = Duration::from_secs(30);

/// Between two times that who had how much is written down.
const BOOKS: Duration = Duration::from_mins(1);

/// Runs until `stop`.
pub async fn run(app: App, stop: CancellationToken) {
    let tending = tokio::spawn(elsewhere::run(app.clone(), stop.clone()));
    let mut memory = loop {
        match Memory::of(&app).await {
            Ok(memory) => break memory,
            Err(err) => tracing::error!(error = chain(&err), "jobs wait"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(IDLE) => {}
        }
    };
    loop {
        let looked = tokio::select! {
            () = stop.cancelled() => break,
            looked = look(&app, &mut memory) => looked,
        };
        let pause = looked.unwrap_or_else(|err| {
            tracing::error!(error = chain(&err), "jobs wait");
            IDLE / 6
        });
        tokio::select! {
            () = stop.cancelled() => break,
            () = app.jobs.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    if let Err(err) = write_usage(&app, &memory.usage).await {
        tracing::warn!(
            error = chain(&err),
            "who had how much of the computes was not written"
        );
    }
    // It ends by the same token.
    let _ = tending.await;
}

/// One look; how long to the next.
async fn look(app: &App, memory: &mut Memory) -> Result<Duration, JobsError> {
    memory.count_failed();
    let now = app.clock.now();
    tracked::end_all(app).await?;
    let all = rows::open(app.store.read()).await?;
    let computes = computes::all(app, app.store.read()).await?;
    let runs_here = looking::here(app, memory, &all, now).await?;
    looking::strays(app, memory).await;
    turn::charge(memory, &all, &computes, app, now);
    let started = turn::deal(app, &memory.usage, &all, &computes, now).await?;
    if memory.written.elapsed() >= BOOKS {
        memory.written = Instant::now();
        write_usage(app, &memory.usage).await?;
    }
    if memory
        .kept_at
        .is_none_or(|at| at.elapsed() >= retention::EVERY)
    {
        memory.kept_at = Some(Instant::now());
        retention::remove_old(app, now).await?;
    }
    memory.tries.retain(|key, _| {
        all.iter()
            .any(|row| row.id == key.job && row.open().is_some_and(|one| one.number == key.number))
    });
    Ok(if started > 0 {
        Duration::ZERO
    } else if runs_here || !memory.strays.is_empty() {
        RUNS
    } else if all.is_empty() {
        IDLE
    } else {
        WAITS
    })
}

/// Tells that an attempt has ended, if that was written.
pub(super) fn over(
    app: &App,
    workspace: &WorkspaceId,
    key: AttemptKey,
    written: Result<(), JobsError>,
) -> Result<(), JobsError> {
    written?;
    app.changes.send(workspace, Change::Job { id: key.job });
    app.changes.send(workspace, Change::Computes);
    Ok(())
}

/// Notes how far an attempt is, if that is news.
pub(super) async fn reached(
    app: &App,
    row: &JobRow,
    key: AttemptKey,
    phase: Phase,
    now: WallTime,
) -> Result<(), JobsError> {
    let known = row.open().is_some_and(|one| one.phase == phase);
    if !known && rows::reached(app.store.write(), key, phase, now).await? {
        app.changes.send(&row.workspace, Change::Job { id: row.id });
    }
    Ok(())
}

/// Notes what keeps an attempt from going on; an empty text if nothing does any more.
pub(super) async fn trouble(
    app: &App,
    row: &JobRow,
    key: AttemptKey,
    text: &str,
) -> Result<(), JobsError> {
    let known = row.open().is_some_and(|one| one.trouble == text);
    if !known && rows::troubled(app.store.write(), key, text).await? {
        if !text.is_empty() {
            tracing::warn!(attempt = %key, text, "an attempt does not go on");
        }
        app.changes.send(&row.workspace, Change::Job { id: row.id });
    }
    Ok(())
}

async fn write_usage(app: &App, usage: &Usage) -> Result<(), StoreError> {
    let text = rows::to_json(usage);
    let sql = "INSERT INTO job_book (id, last, usage) VALUES (1, 0, $1) \
               ON CONFLICT (id) DO UPDATE SET usage = excluded.usage";
    SQL.exec(app.store.write(), sql, [text.into()])
        .await
        .map(drop)
}
