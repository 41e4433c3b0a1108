//! Looks at all jobs that are not over, again and again: observes what runs, lets end what should, starts what has its
//! turn, and scales the machine.
//!
//! A look starts from what is stored and from what the machine says. What takes long (a project that is unpacked, an
//! artifact that is copied) is a task of its own, of which one runs for an attempt at a time; the next look sees what
//! came of it. Attempts on clusters are [`elsewhere`]'s; whose turn it is, is decided here for all.
//!
//! Must never break: nothing is started that has no row; what a look decided and did not do, because the hub was killed,
//! the next one decides again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tern_compute::{
    job::{AttemptKey, Ended, Next},
    local::{Exit, Local, Observed},
    schedule::{self, Owner, Placed, Rules, Usage, View, Waiting, Why},
};
use tern_protocol::{
    id::{ComputeName, JobId, WorkspaceId},
    rest::Change,
    time::WallTime,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    JobsError, SQL,
    begin::{self, NotBegun},
    computes::{self, Compute},
    elsewhere, keep, retention,
    rows::{self, End, JobRow},
    submit, tracked,
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

/// Between two looks whether logs grew, for whoever reads one.
const LOGS: Duration = Duration::from_secs(1);

/// Between two times that who had how much is written down.
const BOOKS: Duration = Duration::from_mins(1);

/// How often an attempt is begun, or what it made kept, before it is given up.
const TRIES: u32 = 20;

/// Longest pause between two such tries.
const PAUSE: Duration = Duration::from_secs(30);

/// What is remembered between looks. A hub that starts again does without it.
struct Memory {
    usage: Usage,
    charged: Option<(WallTime, Vec<(Owner, f64)>)>,
    written: Instant,
    logs: BTreeMap<AttemptKey, u64>,
    logs_at: Instant,
    kept_at: Option<Instant>,
    /// Attempts on the machine that no row knows: of a database that was restored.
    strays: Vec<AttemptKey>,
    busy: Busy,
    tries: BTreeMap<AttemptKey, (u32, Instant)>,
    failed: Arc<Mutex<Vec<AttemptKey>>>,
}

/// Attempts for which a task runs.
#[derive(Debug, Clone, Default)]
struct Busy(Arc<Mutex<BTreeSet<AttemptKey>>>);

impl Busy {
    fn has(&self, key: AttemptKey) -> bool {
        let busy = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        busy.contains(&key)
    }

    /// A task for an attempt, unless one runs.
    fn take(&self, key: AttemptKey) -> Option<Held> {
        let mut busy = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        busy.insert(key).then(|| Held(self.clone(), key))
    }
}

/// Given back when its task ends, also by a panic.
struct Held(Busy, AttemptKey);

impl Drop for Held {
    fn drop(&mut self) {
        let mut busy = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        busy.remove(&self.1);
    }
}

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

impl Memory {
    async fn of(app: &App) -> Result<Self, StoreError> {
        let mut strays = Vec::new();
        if let Ok(local) = app.jobs.local() {
            strays = settle_machine(app, local).await?;
        }
        let sql = "SELECT usage FROM job_book WHERE id = 1";
        let usage = SQL.row(app.store.read(), sql, []).await?;
        let usage: Option<String> = usage.map(|row| SQL.column(&row, "usage")).transpose()?;
        let now = Instant::now();
        Ok(Self {
            // Without it everybody begins anew, which is fair too.
            usage: usage
                .and_then(|text| serde_json::from_str(&text).ok())
                .unwrap_or_default(),
            charged: None,
            written: now,
            logs: BTreeMap::new(),
            logs_at: now,
            kept_at: None,
            strays,
            busy: Busy::default(),
            tries: BTreeMap::new(),
            failed: Arc::default(),
        })
    }

    /// Whether an attempt that failed to begin or to be kept may be tried now.
    fn may_try(&self, key: AttemptKey) -> bool {
        self.tries
            .get(&key)
            .is_none_or(|(_, until)| Instant::now() >= *until)
    }

    /// Counts those that failed since the last look.
    fn count_failed(&mut self) {
        let failed = {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *failed)
        };
        for key in failed {
            let (tries, until) = self.tries.entry(key).or_insert((0, Instant::now()));
            *tries += 1;
            *until = Instant::now() + (Duration::from_millis(500) * *tries).min(PAUSE);
        }
    }

    fn tries(&self, key: AttemptKey) -> u32 {
        self.tries.get(&key).map_or(0, |(tries, _)| *tries)
    }
}

/// What the machine has files of, when the hub starts: numbers of jobs go on after them; what is left of those that have
/// ended goes; and those that no row knows are found.
async fn settle_machine(app: &App, local: &Local) -> Result<Vec<AttemptKey>, StoreError> {
    let listing = local.clone();
    let all = tokio::task::spawn_blocking(move || listing.attempts()).await;
    let all = match all {
        Ok(Ok(all)) => all,
        Ok(Err(err)) => {
            tracing::warn!(%err, "the attempts on this machine cannot be listed");
            Vec::new()
        }
        Err(_) => Vec::new(),
    };
    if let Some(last) = all.iter().map(|key| key.job).max() {
        submit::above(app.store.write(), last).await?;
    }
    let open = rows::open(app.store.read()).await?;
    let open: BTreeSet<AttemptKey> = open
        .iter()
        .filter_map(|row| Some(row.attempt_key(row.open()?.number)))
        .collect();
    let closed: Vec<AttemptKey> = all.into_iter().filter(|key| !open.contains(key)).collect();
    let local = local.clone();
    let root = app.jobs.settings().root.clone();
    let strays = tokio::task::spawn_blocking(move || {
        let not_gone = |key: &AttemptKey| {
            begin::unstage(&root, *key);
            // One that has not ended stays, and is no row's: it is let end.
            !matches!(local.forget(*key), Ok(true))
        };
        closed.into_iter().filter(not_gone).collect::<Vec<_>>()
    });
    Ok(strays.await.unwrap_or_default())
}

/// One look; how long to the next.
async fn look(app: &App, memory: &mut Memory) -> Result<Duration, JobsError> {
    memory.count_failed();
    let now = app.clock.now();
    tracked::end_all(app).await?;
    let all = rows::open(app.store.read()).await?;
    let computes = computes::all(app, app.store.read()).await?;
    let runs_here = here(app, memory, &all, now).await?;
    strays(app, memory).await;
    charge(memory, &all, &computes, app, now);
    let started = deal(app, memory, &all, &computes, now).await?;
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

/// Attempts on this machine: whether there are any.
async fn here(
    app: &App,
    memory: &mut Memory,
    all: &[JobRow],
    now: WallTime,
) -> Result<bool, JobsError> {
    let open: Vec<(&JobRow, AttemptKey)> = all
        .iter()
        .filter_map(|row| Some((row, row.open()?)))
        .filter(|(_, one)| one.compute.as_str() == super::LOCAL)
        .map(|(row, one)| (row, row.attempt_key(one.number)))
        .filter(|(_, key)| !memory.busy.has(*key))
        .collect();
    if open.is_empty() {
        memory.logs.clear();
        return Ok(all.iter().any(|row| {
            row.open()
                .is_some_and(|one| one.compute.as_str() == super::LOCAL)
        }));
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
            if rows::reached(app.store.write(), key, phase, now).await? {
                app.changes.send(&row.workspace, Change::Job { id: row.id });
            }
            if row.cancelled {
                machine(local, move |local| local.cancel(key)).await;
            }
        }
        Observed::Unclaimed if row.cancelled => {
            machine(local, move |local| local.cancel(key)).await;
        }
        Observed::Unclaimed => begin(app, memory, local, row, key),
        Observed::Lost(_) => machine(local, move |local| local.settle(key)).await,
        Observed::Ended(exit) => keep_all(app, memory, local, row, key, *exit),
    }
    Ok(())
}

/// Does something short on the machine. What fails is done again at the next look.
async fn machine(local: &Local, work: impl FnOnce(&Local) -> std::io::Result<()> + Send + 'static) {
    let local = local.clone();
    let done = tokio::task::spawn_blocking(move || work(&local)).await;
    if let Ok(Err(err)) = done {
        tracing::warn!(%err, "an attempt on this machine");
    }
}

/// Begins an attempt, in a task of its own.
fn begin(app: &App, memory: &Memory, local: &Local, row: &JobRow, key: AttemptKey) {
    if !memory.may_try(key) {
        return;
    }
    let Some(held) = memory.busy.take(key) else {
        return;
    };
    let gpus = row.open().map(|one| one.gpus.clone()).unwrap_or_default();
    let last_try = memory.tries(key) + 1 >= TRIES;
    let failed = Arc::clone(&memory.failed);
    let (app, local, row) = (app.clone(), local.clone(), row.clone());
    tokio::spawn(async move {
        let begun = begin::begin(&app, &local, &row, key.number, &gpus).await;
        let noted = match begun {
            Ok(()) => Ok(()),
            Err(NotBegun::Later(text)) if !last_try => {
                failed
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(key);
                trouble(&app, &row, key, &text).await
            }
            // The row alone keeps it from being started: no look asks the machine for one that has ended.
            Err(NotBegun::Never(text) | NotBegun::Later(text)) => {
                begin::unstage(&app.jobs.settings().root, key);
                let end = End::bare(Ended::NotStarted(text), app.clock.now());
                over(
                    &app,
                    &row.workspace,
                    key,
                    keep::finish(&app, key, &end).await,
                )
            }
        };
        if let Err(err) = noted {
            tracing::error!(error = chain(&err), attempt = %key, "an attempt did not begin");
        }
        drop(held);
        app.jobs.notify();
    });
}

/// Keeps what an attempt made, in a task of its own.
fn keep_all(app: &App, memory: &Memory, local: &Local, row: &JobRow, key: AttemptKey, exit: Exit) {
    if !memory.may_try(key) {
        return;
    }
    let Some(held) = memory.busy.take(key) else {
        return;
    };
    let last_try = memory.tries(key) + 1 >= TRIES;
    let failed = Arc::clone(&memory.failed);
    let (app, local, workspace) = (app.clone(), local.clone(), row.workspace.clone());
    tokio::spawn(async move {
        let kept = match keep::keep(&app, &local, &workspace, key, &exit).await {
            Err(err) if last_try => {
                let mut end = End::bare(exit.ended.clone(), exit.at);
                end.core_millis = exit.core_millis;
                end.peak_memory = exit.peak_memory;
                end.left_out = true;
                end.trouble = format!("what it made could not be kept: {}", chain(&err));
                keep::finish(&app, key, &end).await
            }
            kept => kept,
        };
        match over(&app, &workspace, key, kept) {
            Ok(()) => {
                let root = app.jobs.settings().root.clone();
                machine(&local, move |local| {
                    begin::unstage(&root, key);
                    local.forget(key).map(drop)
                })
                .await;
            }
            Err(err) => {
                tracing::warn!(error = chain(&err), attempt = %key, "what a job made is not kept yet");
                failed
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(key);
            }
        }
        drop(held);
        app.jobs.notify();
    });
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

/// Notes what keeps an attempt from going on.
pub(super) async fn trouble(
    app: &App,
    row: &JobRow,
    key: AttemptKey,
    text: &str,
) -> Result<(), JobsError> {
    if rows::troubled(app.store.write(), key, text).await? {
        if !text.is_empty() {
            tracing::warn!(attempt = %key, text, "an attempt does not go on");
        }
        app.changes.send(&row.workspace, Change::Job { id: row.id });
    }
    Ok(())
}

/// Lets end what runs on the machine for a job that no row knows.
async fn strays(app: &App, memory: &mut Memory) {
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

/// Whoever runs something pays for the time since the last look.
fn charge(memory: &mut Memory, all: &[JobRow], computes: &[Compute], app: &App, now: WallTime) {
    if let Some((since, paid)) = memory.charged.take() {
        let ms = now.0.saturating_sub(since.0).clamp(0, 60_000);
        let time = Duration::from_millis(ms.unsigned_abs());
        for (owner, share) in &paid {
            memory.usage.charge(now, owner, *share, time);
        }
    }
    let scheduled: Vec<_> = computes.iter().map(|one| one.scheduled(app)).collect();
    let running = all.iter().filter(|row| row.open().is_some());
    let paid = running.map(|row| (owner(row), schedule::share(&scheduled, row.needs)));
    memory.charged = Some((now, paid.collect()));
}

fn owner(row: &JobRow) -> Owner {
    Owner {
        workspace: row.workspace.clone(),
        person: row.person.clone(),
    }
}

/// Gives each in its turn to a compute; how many were.
async fn deal(
    app: &App,
    memory: &Memory,
    all: &[JobRow],
    computes: &[Compute],
    now: WallTime,
) -> Result<usize, JobsError> {
    let mut waits = BTreeMap::new();
    let usable: Vec<&Compute> = computes
        .iter()
        .filter(|one| !(one.settings.paused || one.is_local() && app.jobs.local().is_err()))
        .collect();
    let (mut waiting, mut placed) = (Vec::new(), Vec::new());
    for row in all {
        if let Some(open) = row.open() {
            placed.push(Placed {
                key: row.attempt_key(open.number),
                owner: owner(row),
                needs: row.needs,
                on: open.compute.clone(),
                gpus: open.gpus.clone(),
            });
            continue;
        }
        match row.life().next(now) {
            Next::Schedule { attempt } => {
                let Some(on) = usable.iter().find(|one| one.name == row.compute) else {
                    waits.insert(row.id, unusable(app, computes, &row.compute));
                    continue;
                };
                let since = row.attempts.last().and_then(|one| one.ended.as_ref());
                waiting.push(Waiting {
                    key: row.attempt_key(attempt),
                    owner: owner(row),
                    needs: row.needs,
                    priority: row.priority,
                    since: since.map_or(row.created, |(_, at)| *at),
                    on: Some(on.name.clone()),
                });
            }
            Next::Wait { until } => {
                let seconds = until.0.saturating_sub(now.0).max(0) / 1000 + 1;
                let text =
                    format!("its last attempt ended badly; the next one begins in {seconds} s");
                waits.insert(row.id, text);
            }
            Next::Observe { .. } | Next::Cancel { .. } => {}
            // It is over, or the hub was killed before that was written.
            Next::Nothing => {
                rows::settle(app.store.write(), row.id, now).await?;
                app.changes.send(&row.workspace, Change::Job { id: row.id });
            }
        }
    }
    let names: BTreeMap<JobId, &JobRow> = all.iter().map(|row| (row.id, row)).collect();
    let view = View {
        computes: usable.iter().map(|one| one.scheduled(app)).collect(),
        waiting,
        placed,
        usage: memory.usage.clone(),
    };
    let wanted = view.waiting.len();
    let plan = if wanted == 0 && view.placed.is_empty() && usable.iter().all(|one| !one.is_local())
    {
        schedule::Plan::default()
    } else {
        let planned =
            tokio::task::spawn_blocking(move || schedule::plan(&view, &Rules::default(), now));
        match planned.await {
            Ok(plan) => plan,
            Err(err) => {
                tracing::error!(%err, "no plan was made");
                schedule::Plan::default()
            }
        }
    };
    let given = give_all(app, &names, &plan, now).await?;
    for (name, wanted) in &plan.wanted {
        app.jobs.know(name, |known| known.wanted = *wanted);
    }
    for (name, units) in &plan.scale {
        tracing::info!(compute = %name, units, "slots for jobs");
        app.jobs.know(name, |known| known.units = *units);
    }
    for (key, why) in &plan.waits {
        let on = names.get(&key.job).map(|row| &row.compute);
        waits.insert(key.job, told(why, on));
    }
    let all_workspaces: BTreeSet<&WorkspaceId> = all.iter().map(|row| &row.workspace).collect();
    if app.jobs.set_waits(waits) || !plan.scale.is_empty() {
        for workspace in all_workspaces {
            app.changes.send(workspace, Change::Computes);
        }
    }
    Ok(given)
}

async fn give_all(
    app: &App,
    names: &BTreeMap<JobId, &JobRow>,
    plan: &schedule::Plan,
    now: WallTime,
) -> Result<usize, JobsError> {
    if plan.starts.is_empty() {
        return Ok(0);
    }
    let txn = SQL.begin(&app.store).await?;
    let mut given = Vec::new();
    for start in &plan.starts {
        if rows::give(&txn, start.key, &start.on, &start.gpus, now).await? {
            given.push(start);
        }
    }
    SQL.commit(txn).await?;
    for start in &given {
        if let Some(row) = names.get(&start.key.job) {
            app.changes.send(&row.workspace, Change::Job { id: row.id });
            tracing::info!(attempt = %start.key, compute = %start.on, workspace = %row.workspace, "a job begins");
        }
    }
    Ok(given.len())
}

/// Why a compute starts nothing.
fn unusable(app: &App, computes: &[Compute], name: &ComputeName) -> String {
    match computes.iter().find(|one| one.name == *name) {
        None => format!("there is no compute `{name}` any more"),
        Some(one) if one.settings.paused => format!("`{name}` is paused"),
        Some(_) => match app.jobs.local() {
            Err(why) => format!("`{name}` runs nothing: {why}"),
            Ok(_) => format!("`{name}` runs nothing"),
        },
    }
}

fn told(why: &Why, on: Option<&ComputeName>) -> String {
    let on = on.map_or("the compute", ComputeName::as_str);
    match why {
        Why::Busy => format!("no room on `{on}` now"),
        Why::KeptFor(name) => format!("waited long enough: `{name}` is kept free for it"),
        Why::Kept(other) => format!(
            "`{on}` is kept free for job {}, which waits for longer",
            other.job
        ),
        Why::TooLarge => format!("`{on}` could never hold it: it asks for more than there is"),
    }
}

async fn write_usage(app: &App, usage: &Usage) -> Result<(), StoreError> {
    let text = rows::to_json(usage);
    let sql = "INSERT INTO job_book (id, last, usage) VALUES (1, 0, $1) \
               ON CONFLICT (id) DO UPDATE SET usage = excluded.usage";
    SQL.exec(app.store.write(), sql, [text.into()])
        .await
        .map(drop)
}
