//! A candidate beside what serves: it runs on some of the same inputs, and what it says is compared and
//! counted. Nobody gets its answers.
//!
//! Called by `serve`, which offers what was answered, and by `node`, which starts and ends it. Must never
//! break:
//! - an answer waits for nothing here: whatever does not fit now is passed over and counted as such;
//! - what runs here takes no more of a processor than its share ([`bucket`]), and comes after everything
//!   else on the device;
//! - of what was answered while it runs, each row is counted exactly once;
//! - nothing of it is in the counts of what serves.

pub mod answer;
pub mod bucket;
pub mod tally;

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError,
        atomic::{AtomicU16, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tern_protocol::{
    digest::Digest,
    id::PredictionId,
    reported::SlotVersion,
    shadow::{ShadowWindow, TOLERANCE},
    tensor::Tensor,
    time::Instant,
};

use self::{
    answer::{Answer, alike, same_classes},
    bucket::Bucket,
    tally::{Comparison, Tally},
};
use crate::{
    capture::{Captures, Row},
    clock::{self, Clock},
    slots::Loaded,
    telemetry::{Bins, Prediction, Said},
};

/// Requests that wait for the candidate, at most: enough for a burst, little to hold in memory.
const QUEUE: usize = 8;

/// Bytes of them, at most: their inputs, and outputs of what is no classifier.
const QUEUE_BYTES: usize = 4 << 20;

/// Versions that may serve beside one candidate between two closings of windows. Rows of more than that
/// are not counted; a slot that swaps so often has other troubles.
const PAIRS: usize = 8;

/// The thread's nice value: the largest there is (setpriority(2)).
const NICE: i32 = 19;

/// Counts since the shadow began to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counts {
    /// Rows that both answered.
    pub compared: u64,
    /// Of these, those with the same answer.
    pub agreed: u64,
    /// Rows that the candidate did not answer.
    pub errors: u64,
    /// Rows that it did not see.
    pub skipped: u64,
}

/// What was answered to one request.
#[derive(Debug)]
pub struct Answered<'a> {
    /// By which version.
    pub live: &'a Loaded,
    /// What it was asked.
    pub inputs: Vec<Tensor>,
    /// What it said of each row.
    pub said: &'a [Said],
    /// Its outputs.
    pub outputs: &'a [Tensor],
    /// What a row took, in microseconds.
    pub micros: f64,
    /// The id of each row.
    pub ids: &'a [PredictionId],
    /// Whether the input of each row is kept already.
    pub kept: &'a [bool],
    /// Whose inputs they are.
    pub subject: Option<Digest>,
}

/// A candidate that runs.
#[derive(Debug)]
pub struct Shadow {
    candidate: Loaded,
    clock: Clock,
    work: Mutex<Work>,
    woken: Condvar,
    /// Beside the bucket that goes by it, so that whoever asks waits for nobody.
    permille: AtomicU16,
    /// Rows that were passed over while `work` was in use; whoever has it next counts them.
    passed_over: AtomicU64,
    compared: AtomicU64,
    agreed: AtomicU64,
    errors: AtomicU64,
    skipped: AtomicU64,
    /// Where inputs go on which the versions differ.
    captures: OnceLock<Arc<Captures>>,
}

/// What the threads share.
#[derive(Debug)]
struct Work {
    bucket: Bucket,
    queue: VecDeque<Job>,
    bytes: usize,
    pairs: Vec<Pair>,
    /// What is being run: of which pair, and how many rows.
    running: Option<(Arc<Live>, usize)>,
    ended: bool,
}

/// A version that serves, as it is compared with. Held instead of the model itself, which may leave
/// memory meanwhile.
#[derive(Debug)]
struct Live {
    version: SlotVersion,
    classes: Vec<Option<u32>>,
    bins: Arc<Bins>,
}

#[derive(Debug)]
struct Pair {
    live: Arc<Live>,
    tally: Tally,
}

#[derive(Debug)]
struct Job {
    live: Arc<Live>,
    inputs: Vec<Tensor>,
    said: Answer,
    rows: usize,
    micros: f64,
    /// The rows whose inputs are not kept yet.
    unkept: Vec<Unkept>,
    subject: Option<Digest>,
}

/// A row whose input is not kept yet.
#[derive(Debug, Clone, Copy)]
struct Unkept {
    row: usize,
    id: PredictionId,
    said: Said,
}

impl Job {
    fn bytes(&self) -> usize {
        let inputs: usize = self.inputs.iter().map(|tensor| tensor.data.len()).sum();
        inputs + self.said.bytes() + self.unkept.len() * size_of::<Unkept>()
    }
}

impl Shadow {
    /// Runs a candidate in a thread of its own from now on, with this share of a processor, in
    /// thousandths, until [`Self::end`].
    pub fn start(candidate: Loaded, permille: u16, clock: Clock) -> io::Result<Arc<Self>> {
        let shadow = Arc::new(Self {
            candidate,
            work: Mutex::new(Work {
                bucket: Bucket::new(permille, clock.elapsed()),
                queue: VecDeque::new(),
                bytes: 0,
                pairs: Vec::new(),
                running: None,
                ended: false,
            }),
            clock,
            woken: Condvar::new(),
            permille: AtomicU16::new(permille),
            passed_over: AtomicU64::new(0),
            compared: AtomicU64::new(0),
            agreed: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            captures: OnceLock::new(),
        });
        let runs = Arc::clone(&shadow);
        let thread = thread::Builder::new().name("shadow".into());
        thread.spawn(move || runs.run())?;
        Ok(shadow)
    }

    /// From now on inputs on which the versions differ are offered to `captures`.
    pub fn keep_differences(&self, captures: Arc<Captures>) {
        // Told once, by who starts it.
        let _ = self.captures.set(captures);
    }

    /// Which version it is.
    pub fn version(&self) -> &SlotVersion {
        &self.candidate.kept.version
    }

    /// Its share of a processor, in thousandths.
    pub fn permille(&self) -> u16 {
        self.permille.load(Ordering::Relaxed)
    }

    /// Gives it another share.
    pub fn pace(&self, permille: u16) {
        let now = self.clock.elapsed();
        self.permille.store(permille, Ordering::Relaxed);
        self.work().bucket.pace(permille, now);
        self.woken.notify_one();
    }

    /// Counts since it began. Never waits.
    pub fn counts(&self) -> Counts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            compared: read(&self.compared),
            agreed: read(&self.agreed),
            errors: read(&self.errors),
            skipped: read(&self.skipped),
        }
    }

    /// A request was answered: the candidate gets it too, if it may run now and there is room. Never
    /// waits: the thread that runs the candidate comes after all others, so whoever waited for a lock
    /// that it holds would wait for all others.
    pub fn offer(&self, answered: Answered<'_>) {
        let rows = answered.said.len();
        let mut work = match self.work.try_lock() {
            Ok(work) => work,
            Err(TryLockError::Poisoned(work)) => work.into_inner(),
            Err(TryLockError::WouldBlock) => {
                self.skipped.fetch_add(rows as u64, Ordering::Relaxed);
                self.passed_over.fetch_add(rows as u64, Ordering::Relaxed);
                return;
            }
        };
        if work.ended {
            return;
        }
        let Some(live) = self.pair(&mut work, answered.live) else {
            return;
        };
        let is_full = work.queue.len() >= QUEUE || work.bytes >= QUEUE_BYTES;
        if is_full || work.bucket.wait(self.clock.elapsed()).is_some() {
            return self.skip(&mut work, &live, rows);
        }
        let said = if answered.live.manifest.classes.is_empty() {
            Answer::Outputs(answered.outputs.to_vec())
        } else {
            let classes = answered.said.iter().filter_map(Said::class);
            Answer::Classes(classes.map(|prediction| prediction.class).collect())
        };
        let unkept = self.unkept(&answered);
        let job = Job {
            live,
            inputs: answered.inputs,
            said,
            rows,
            micros: answered.micros,
            unkept,
            subject: answered.subject,
        };
        if work.bytes + job.bytes() > QUEUE_BYTES {
            return self.skip(&mut work, &job.live, rows);
        }
        work.bytes += job.bytes();
        work.queue.push_back(job);
        drop(work);
        self.woken.notify_one();
    }

    /// Rows that are worth keeping if the candidate says something else of them.
    fn unkept(&self, answered: &Answered<'_>) -> Vec<Unkept> {
        if self.captures.get().is_none() {
            return Vec::new();
        }
        let rows = answered.said.iter().zip(answered.ids).zip(answered.kept);
        let unkept = rows.enumerate().filter(|(_, (_, kept))| !**kept);
        let unkept = unkept.filter(|(_, ((said, _), _))| **said != Said::Nothing);
        let unkept = unkept.map(|(row, ((said, id), _))| Unkept {
            row,
            id: *id,
            said: *said,
        });
        unkept.collect()
    }

    /// Closes its windows: one for each version that served meanwhile.
    pub fn close(&self, now: Instant) -> Vec<ShadowWindow> {
        let mut work = self.work();
        self.take_passed_over(&mut work);
        let candidate = &self.candidate;
        let tolerance = if candidate.manifest.classes.is_empty() {
            TOLERANCE
        } else {
            0.0
        };
        let windows = work.pairs.iter_mut().filter_map(|pair| {
            let (slot, version) = (&candidate.slot, &candidate.kept.version);
            pair.tally
                .close(slot, version, &pair.live.version, tolerance, now)
        });
        let windows = windows.collect();
        // What still waits or runs is counted when it is done.
        let Work {
            pairs,
            queue,
            running,
            ..
        } = &mut *work;
        let last = pairs.last().map(|pair| Arc::clone(&pair.live));
        pairs.retain(|pair| {
            let is = |live: &Arc<Live>| Arc::ptr_eq(live, &pair.live);
            last.as_ref().is_some_and(is)
                || running.as_ref().is_some_and(|(live, _)| is(live))
                || queue.iter().any(|job| is(&job.live))
        });
        windows
    }

    /// Ends it. What waits and what is being run counts as not seen; the thread ends with its run.
    pub fn end(&self) {
        let mut work = self.work();
        if std::mem::replace(&mut work.ended, true) {
            return;
        }
        work.bytes = 0;
        let waiting = std::mem::take(&mut work.queue);
        let waiting = waiting.into_iter().map(|job| (job.live, job.rows));
        let running = work.running.take();
        for (live, rows) in waiting.chain(running) {
            self.skip(&mut work, &live, rows);
        }
        drop(work);
        self.woken.notify_all();
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open window beside this version; `None` if there are too many.
    fn pair(&self, work: &mut Work, live: &Loaded) -> Option<Arc<Live>> {
        let version = &live.kept.version;
        let known = |pair: &Pair| pair.live.version.bundle == version.bundle;
        if let Some(at) = work.pairs.iter().position(known) {
            // The newest is last, so that what nobody could count is counted with it.
            let newest = work.pairs.len() - 1;
            work.pairs.swap(at, newest);
            self.take_passed_over(work);
            return work.pairs.last().map(|pair| Arc::clone(&pair.live));
        }
        if work.pairs.len() >= PAIRS {
            return None;
        }
        let classes = &self.candidate.manifest.classes;
        let live = Arc::new(Live {
            version: version.clone(),
            classes: same_classes(&live.manifest.classes, classes),
            bins: Arc::clone(live.bins()),
        });
        work.pairs.push(Pair {
            live: Arc::clone(&live),
            tally: Tally::new(self.clock.now(), classes.len()),
        });
        self.take_passed_over(work);
        Some(live)
    }

    fn take_passed_over(&self, work: &mut Work) {
        if let Some(pair) = work.pairs.last_mut() {
            let rows = self.passed_over.swap(0, Ordering::Relaxed);
            pair.tally.skipped(rows);
        }
    }

    fn skip(&self, work: &mut Work, live: &Arc<Live>, rows: usize) {
        self.skipped.fetch_add(rows as u64, Ordering::Relaxed);
        if let Some(tally) = tally_of(work, live) {
            tally.skipped(rows as u64);
        }
    }

    /// The thread's life.
    fn run(&self) {
        // Without it, the share alone bounds what it takes.
        if let Err(err) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!("the priority of a shadow cannot be lowered: {err}");
        }
        while let Some(job) = self.next() {
            let start = clock::of_thread();
            let outcome = self.compare(&job);
            let taken = clock::of_thread().saturating_sub(start);
            if let Some(outcome) = &outcome {
                self.keep(&job, &outcome.differs);
            }
            self.record(&job, outcome, taken);
        }
    }

    /// The next request, once it may run; `None`: it ended.
    fn next(&self) -> Option<Job> {
        let mut work = self.work();
        loop {
            if work.ended {
                return None;
            }
            let wait = if work.queue.is_empty() {
                Some(Duration::MAX)
            } else {
                work.bucket.wait(self.clock.elapsed())
            };
            work = match wait {
                None => break,
                Some(Duration::MAX) => {
                    let woken = self.woken.wait(work);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
                Some(wait) => {
                    let woken = self.woken.wait_timeout(work, wait);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        let job = work.queue.pop_front()?;
        work.bytes -= job.bytes().min(work.bytes);
        work.running = Some((Arc::clone(&job.live), job.rows));
        Some(job)
    }

    /// Runs the candidate; `None` if it does not answer. What a row took is time of the processor: on the
    /// wall it would be what all others left of it.
    fn compare(&self, job: &Job) -> Option<Outcome> {
        let start = clock::of_thread();
        // Errors and panics of the engine alike; see `engine`.
        let answered = self.candidate.model.answer(&job.inputs).ok()?;
        let micros = clock::of_thread().saturating_sub(start).as_secs_f64() * 1e6;
        let predictions = self.candidate.said(&answered)?;
        let said = if self.candidate.manifest.classes.is_empty() {
            Answer::Outputs(answered.outputs)
        } else {
            let classes = predictions.iter().flatten();
            Answer::Classes(classes.map(|prediction| prediction.class).collect())
        };
        let within = |tolerance| alike(&job.said, &said, job.rows, &job.live.classes, tolerance);
        let alike = within(TOLERANCE);
        let beyond = self
            .captures
            .get()
            .map(|captures| captures.disagreed_beyond());
        let kept_by = match beyond {
            Some(beyond) if !job.unkept.is_empty() => within(beyond),
            _ => alike.clone(),
        };
        Some(Outcome {
            differs: kept_by.into_iter().map(|alike| !alike).collect(),
            alike,
            predictions,
            micros: micros / job.rows.max(1) as f64,
        })
    }

    /// Offers the inputs of rows on which the versions differ.
    fn keep(&self, job: &Job, differs: &[bool]) {
        let Some(captures) = self.captures.get() else {
            return;
        };
        let version = &job.live.version;
        for unkept in &job.unkept {
            if differs.get(unkept.row) != Some(&true) {
                continue;
            }
            captures.disagreed(&Row {
                id: unkept.id,
                slot: &self.candidate.slot,
                model: &version.model,
                version: version.version,
                bins: &job.live.bins,
                inputs: &job.inputs,
                row: unkept.row,
                rows: job.rows,
                said: unkept.said,
                embedding: None,
                subject: job.subject,
            });
        }
    }

    fn record(&self, job: &Job, outcome: Option<Outcome>, taken: Duration) {
        let mut work = self.work();
        work.bucket.spend(taken);
        if work.running.take().is_none() {
            // It ended meanwhile, and this was counted as not seen.
            return;
        }
        let rows = job.rows as u64;
        let Some(tally) = tally_of(&mut work, &job.live) else {
            return;
        };
        let Some(outcome) = outcome else {
            tally.failed(rows);
            self.errors.fetch_add(rows, Ordering::Relaxed);
            return;
        };
        let agreed = outcome.alike.iter().filter(|alike| **alike).count();
        let of = Comparison {
            agreed,
            predictions: &outcome.predictions,
            micros: outcome.micros,
            live_micros: job.micros,
        };
        tally.compared(job.rows, &of);
        self.compared.fetch_add(rows, Ordering::Relaxed);
        self.agreed.fetch_add(agreed as u64, Ordering::Relaxed);
    }
}

struct Outcome {
    alike: Vec<bool>,
    /// Which rows differ by so much that their inputs are worth keeping.
    differs: Vec<bool>,
    predictions: Vec<Option<Prediction>>,
    micros: f64,
}

fn tally_of<'a>(work: &'a mut Work, live: &Arc<Live>) -> Option<&'a mut Tally> {
    let is = |pair: &&mut Pair| Arc::ptr_eq(&pair.live, live);
    work.pairs.iter_mut().find(is).map(|pair| &mut pair.tally)
}

#[cfg(test)]
mod tests;
