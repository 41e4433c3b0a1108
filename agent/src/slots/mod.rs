//! What serves, shared by the threads that answer requests and the one that decides.
//!
//! Called by `serve` (which only reads and counts) and `node` (which swaps). Must never break: a
//! request that began with a model ends with it; a swap waits for nobody and nobody waits for it.

pub mod bundle;
mod said;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use tern_protocol::{
    id::SlotName,
    manifest::Manifest,
    reported::Serving,
    time::{Instant, Uptime},
    window::Window,
};

use crate::{
    clock,
    engine::Model,
    shadow::Shadow,
    state::slot::Kept,
    telemetry::{Bins, Meter},
};

/// Failures of the engine in a row that end a trial: one may be the input's fault.
pub const TRIAL_FAILURES: u32 = 3;

/// So many failures of the engine in a trial, and such a share of all requests, end it too.
const TRIAL_ERRORS: u64 = 10;
/// See [`TRIAL_ERRORS`].
const TRIAL_ERROR_PERCENT: u64 = 10;

/// A model that answers faster than this runs in the thread that serves; a slower one elsewhere,
/// so that it does not hold up other requests. Handing a run over costs some 20 µs, which is
/// little against this.
const QUICK_MICROS: f64 = 2_000.0;

/// Whether a load begins a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// It served before.
    None,
    /// It is new.
    For(Duration),
}

/// A model that serves, or served, or is about to.
#[derive(Debug)]
pub struct Loaded {
    /// Its slot.
    pub slot: SlotName,
    /// Its version and bundle.
    pub kept: Kept,
    /// Facts about it.
    pub manifest: Manifest,
    /// The model itself.
    pub model: Model,
    /// When it was loaded.
    pub since: Instant,
    /// Largest difference from the golden outputs.
    pub golden_difference: f32,
    trial_until: AtomicU64,
    micros: f64,
    last_asked: AtomicU64,
    bins: Arc<Bins>,
    meter: Mutex<Meter>,
    inferences: AtomicU64,
    errors: AtomicU64,
    failures_in_a_row: AtomicU32,
}

impl Loaded {
    #[allow(
        clippy::too_many_arguments,
        reason = "`bundle::load` makes it, and nobody else"
    )]
    fn new(
        slot: SlotName,
        kept: Kept,
        manifest: Manifest,
        model: Model,
        bins: Bins,
        since: Instant,
        trial_until: Uptime,
        golden_difference: f32,
        micros: f64,
    ) -> Self {
        let cpu = clock::of_process();
        let bins = Arc::new(bins);
        let meter = Meter::new(since, manifest.classes.len(), Arc::clone(&bins), cpu).into();
        Self {
            slot,
            kept,
            manifest,
            model,
            since,
            golden_difference,
            trial_until: AtomicU64::new(trial_until.0),
            micros,
            last_asked: AtomicU64::new(since.uptime.0),
            bins,
            meter,
            inferences: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            failures_in_a_row: AtomicU32::new(0),
        }
    }

    /// For tests: without a reference, and never on trial.
    #[cfg(test)]
    pub(crate) fn of(kept: Kept, manifest: Manifest, model: Model, clock: &clock::Clock) -> Self {
        let slot = "reader".parse().expect("a name");
        let (since, trial) = (clock.now(), Uptime(0));
        Self::new(
            slot,
            kept,
            manifest,
            model,
            Bins::default(),
            since,
            trial,
            0.0,
            1.0,
        )
    }

    /// Whether it is so fast that it runs where it is asked.
    pub fn is_quick(&self) -> bool {
        self.micros < QUICK_MICROS
    }

    /// How long a golden sample took, in microseconds.
    pub fn micros(&self) -> f64 {
        self.micros
    }

    /// Somebody asked.
    pub fn asked(&self, now: Uptime) {
        self.last_asked.store(now.0, Ordering::Relaxed);
    }

    /// How long nobody asked.
    pub fn idle(&self, now: Uptime) -> Duration {
        now.since(Uptime(self.last_asked.load(Ordering::Relaxed)))
    }

    /// What its bundle gives to count on.
    pub fn bins(&self) -> &Arc<Bins> {
        &self.bins
    }

    /// The counters of its open window.
    pub fn meter(&self) -> MutexGuard<'_, Meter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This many rows were answered.
    pub fn answered(&self, rows: u64) {
        self.inferences.fetch_add(rows, Ordering::Relaxed);
        self.failures_in_a_row.store(0, Ordering::Relaxed);
    }

    /// The engine failed. Says whether that was once too often in its trial.
    pub fn failed(&self, now: Uptime) -> bool {
        self.errors.fetch_add(1, Ordering::Relaxed);
        self.meter().error();
        let row = self.failures_in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        let errors = self.errors.load(Ordering::Relaxed);
        let all = errors + self.inferences.load(Ordering::Relaxed);
        // Here and there one, but too many in all.
        let often = errors >= TRIAL_ERRORS && errors * 100 >= all * TRIAL_ERROR_PERCENT;
        !self.is_proven(now) && (row >= TRIAL_FAILURES || often)
    }

    /// Whether its trial is over.
    pub fn is_proven(&self, now: Uptime) -> bool {
        now >= Uptime(self.trial_until.load(Ordering::Relaxed))
    }

    /// Its trial begins now, not when it was loaded.
    pub fn begin_trial(&self, until: Uptime) {
        self.trial_until.store(until.0, Ordering::Relaxed);
    }

    /// Closes its window; `None` if nothing happened in it.
    pub fn close_window(&self, now: Instant) -> Option<Window> {
        let cpu = clock::of_process();
        self.meter().close(&self.slot, &self.kept.version, now, cpu)
    }

    /// The proof that it serves.
    pub fn proof(&self, now: Uptime) -> Serving {
        Serving {
            version: self.kept.version.clone(),
            weights: self.model.weights(),
            since: self.since,
            inferences: self.inferences.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            golden_difference: self.golden_difference,
            confirmed: self.is_proven(now),
        }
    }
}

/// One slot.
#[derive(Debug)]
pub struct Slot {
    name: SlotName,
    serving: RwLock<Option<Arc<Loaded>>>,
    shadow: RwLock<Option<Arc<Shadow>>>,
    failing: AtomicBool,
}

impl Slot {
    /// Its name.
    pub fn name(&self) -> &SlotName {
        &self.name
    }

    /// What serves now.
    pub fn serving(&self) -> Option<Arc<Loaded>> {
        self.serving
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts another model, or none, in the place of what serves; gives what served.
    pub fn swap(&self, next: Option<Arc<Loaded>>) -> Option<Arc<Loaded>> {
        self.failing.store(false, Ordering::Release);
        let mut serving = self.serving.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut serving, next)
    }

    /// What runs beside it.
    pub fn shadow(&self) -> Option<Arc<Shadow>> {
        self.shadow
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts another candidate, or none, in the place of what runs beside what serves; ends and gives what
    /// ran.
    pub fn set_shadow(&self, next: Option<Arc<Shadow>>) -> Option<Arc<Shadow>> {
        let mut shadow = self.shadow.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *shadow, next);
        drop(shadow);
        if let Some(old) = &old {
            old.end();
        }
        old
    }

    /// What serves failed its trial. Ignored if it does not serve any more.
    pub fn report_failing(&self, failed: &Arc<Loaded>) {
        let serving = self.serving.read().unwrap_or_else(PoisonError::into_inner);
        if serving.as_ref().is_some_and(|s| Arc::ptr_eq(s, failed)) {
            self.failing.store(true, Ordering::Release);
        }
    }

    /// Whether what serves failed its trial.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }
}

/// The slots of the device, all empty at first. Which there are never changes.
#[derive(Debug)]
pub struct Slots(BTreeMap<SlotName, Slot>);

impl Slots {
    /// Slots with these names.
    pub fn new(names: impl Iterator<Item = SlotName>) -> Self {
        let slot = |name: SlotName| {
            let slot = Slot {
                name: name.clone(),
                serving: RwLock::new(None),
                shadow: RwLock::new(None),
                failing: AtomicBool::new(false),
            };
            (name, slot)
        };
        Self(names.map(slot).collect())
    }

    /// The slot with this name.
    pub fn get(&self, name: &str) -> Option<&Slot> {
        let name: SlotName = name.parse().ok()?;
        self.0.get(&name)
    }

    /// All slots, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.0.values()
    }
}
