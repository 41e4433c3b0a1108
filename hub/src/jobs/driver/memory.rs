//! What is remembered between looks, and what a hub that starts finds on the machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tern_compute::{
    job::AttemptKey,
    local::Local,
    schedule::{Owner, Usage},
};
use tern_protocol::time::WallTime;
use tokio::time::Instant;

use super::super::{SQL, begin, rows, submit};
use crate::{app::App, store::StoreError};

/// How often an attempt is begun, or what it made kept, before it is given up.
const TRIES: u32 = 20;

/// Longest pause between two such tries.
const PAUSE: Duration = Duration::from_secs(30);

/// What is remembered between looks. A hub that starts again does without it.
pub(super) struct Memory {
    pub(super) usage: Usage,
    pub(super) charged: Option<(WallTime, Vec<(Owner, f64)>)>,
    pub(super) written: Instant,
    pub(super) logs: BTreeMap<AttemptKey, u64>,
    pub(super) logs_at: Instant,
    pub(super) kept_at: Option<Instant>,
    /// Attempts on the machine that no row knows: of a database that was restored.
    pub(super) strays: Vec<AttemptKey>,
    pub(super) busy: Busy,
    pub(super) tries: BTreeMap<AttemptKey, (u32, Instant)>,
    failed: Failed,
}

/// Attempts for which a task runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Busy(Arc<Mutex<BTreeSet<AttemptKey>>>);

impl Busy {
    pub(super) fn has(&self, key: AttemptKey) -> bool {
        let busy = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        busy.contains(&key)
    }

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

/// Attempts whose tasks failed since the last look.
#[derive(Debug, Clone, Default)]
struct Failed(Arc<Mutex<Vec<AttemptKey>>>);

impl Failed {
    fn all(&self) -> MutexGuard<'_, Vec<AttemptKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one task that runs for an attempt, as long as this is held.
pub(super) struct Task {
    held: Held,
    failed: Failed,
    /// Whether it is not tried again when this fails.
    pub(super) is_last_try: bool,
}

impl Task {
    /// It is tried again, after a pause.
    pub(super) fn failed(&self) {
        self.failed.all().push(self.held.1);
    }
}

impl Memory {
    pub(super) async fn of(app: &App) -> Result<Self, StoreError> {
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
            failed: Failed::default(),
        })
    }

    /// A task for an attempt, unless one runs, or it is too early to try again what failed.
    pub(super) fn task(&self, key: AttemptKey) -> Option<Task> {
        let (tries, until) = match self.tries.get(&key) {
            Some((tries, until)) => (*tries, Some(*until)),
            None => (0, None),
        };
        if until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        Some(Task {
            held: self.busy.take(key)?,
            failed: self.failed.clone(),
            is_last_try: tries + 1 >= TRIES,
        })
    }

    /// Counts those that failed since the last look.
    pub(super) fn count_failed(&mut self) {
        let failed = std::mem::take(&mut *self.failed.all());
        for key in failed {
            let (tries, until) = self.tries.entry(key).or_insert((0, Instant::now()));
            *tries += 1;
            *until = Instant::now() + (Duration::from_millis(500) * *tries).min(PAUSE);
        }
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
