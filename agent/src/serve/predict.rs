//! From a request's tensors to an answer: runs the model and counts what happened.
//!
//! Called by every kind of input. Must never break: each row that was answered is counted once,
//! with the model that answered it, also while models are swapped.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tern_protocol::{
    id::{BootId, PredictionId},
    tensor::Tensor,
};
use tokio::sync::{Notify, mpsc};
use tracing::{Instrument as _, field};

use super::recent::{FeedbackError, Recent, Truth};
use crate::{
    SPANS,
    capture::{Captures, Row, Wishes},
    clock::{Clock, Stopwatch},
    engine::RunError,
    node::Input,
    shadow,
    slots::{Loaded, Slot, Slots},
    telemetry::{Inference, Prediction, Said, TellError, Took},
};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// The slot has no model yet.
    #[error("the slot `{0}` has no model yet")]
    Empty(String),
    /// The request does not fit the model.
    #[error(transparent)]
    Request(RunError),
    /// The engine failed.
    #[error(transparent)]
    Engine(RunError),
    /// A classifier gave something that is not a probability.
    #[error("a probability is not a number")]
    NotANumber,
}

/// What a model said.
#[derive(Debug)]
pub struct Answer {
    /// Which model.
    pub loaded: Arc<Loaded>,
    /// Its outputs, in the graph's order.
    pub outputs: Vec<Tensor>,
    /// One id a row.
    pub predictions: Vec<PredictionId>,
}

impl Answer {
    /// Counts that it became bytes, in so many microseconds.
    pub fn sent(&self, micros: f64) {
        let rows = self.predictions.len();
        let mut meter = self.loaded.meter();
        meter.sent(rows as u64, micros / rows.max(1) as f64);
    }
}

/// What is counted of an answer.
struct Counted<'a> {
    predictions: &'a [Option<Prediction>],
    values: &'a [f32],
    /// What a truth can be compared with, row by row.
    said: &'a [Said],
    taps: &'a [f32],
    took: Took,
}

/// What all inputs share.
#[derive(Debug)]
pub struct Predictor {
    slots: Arc<Slots>,
    clock: Clock,
    recent: Mutex<Recent>,
    captures: Arc<Captures>,
    inputs: mpsc::Sender<Input>,
    wake: Arc<Notify>,
    inferences: AtomicU64,
    errors: AtomicU64,
    metrics_refused: AtomicU64,
}

impl Predictor {
    /// Runs what `slots` hold; offers inputs to `captures`, sends labels to `inputs`; wakes the node when a model
    /// fails its trial. Predictions are numbered within `numbers`, which no other start of this agent has.
    pub fn new(
        slots: Arc<Slots>,
        clock: Clock,
        numbers: BootId,
        captures: Arc<Captures>,
        inputs: mpsc::Sender<Input>,
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            slots,
            clock,
            recent: Recent::new(numbers).into(),
            captures,
            inputs,
            wake,
            inferences: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            metrics_refused: AtomicU64::new(0),
        }
    }

    /// Which inputs are kept.
    pub fn captures(&self) -> &Captures {
        &self.captures
    }

    /// Requests with values of metrics that were refused since the agent started.
    pub fn metrics_refused(&self) -> u64 {
        self.metrics_refused.load(Ordering::Relaxed)
    }

    /// Counts values of the bundle's own metrics for what serves in a slot.
    pub fn tell(&self, loaded: &Loaded, values: &BTreeMap<String, f64>) -> Result<(), TellError> {
        let told = loaded.meter().tell(values);
        if told.is_err() {
            self.metrics_refused.fetch_add(1, Ordering::Relaxed);
        }
        told
    }

    /// What made a prediction, if it still serves.
    pub fn author(&self, id: PredictionId) -> Result<Arc<Loaded>, FeedbackError> {
        let (slot, version) = lock(&self.recent).author(id)?;
        let serving = self.slots.get(slot.as_str()).and_then(Slot::serving);
        let serving = serving.filter(|loaded| loaded.kept.version == version);
        serving.ok_or(FeedbackError::Gone(id))
    }

    /// The slots.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Time.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Rows answered and requests that failed in the engine, since the agent started.
    pub fn counts(&self) -> (u64, u64) {
        let inferences = self.inferences.load(Ordering::Relaxed);
        (inferences, self.errors.load(Ordering::Relaxed))
    }

    /// Runs what serves in a slot. `came`: made when the bytes of the request were there.
    pub async fn predict(
        &self,
        slot: &Slot,
        loaded: Arc<Loaded>,
        inputs: Vec<Tensor>,
        wishes: Wishes,
        came: Stopwatch,
    ) -> Result<Answer, PredictError> {
        let version = &loaded.kept.version;
        let span = tracing::info_span!(
            target: SPANS, "predict", tern.slot = %slot.name(), tern.model = %version.model,
            tern.model_version = %version.version, otel.status_code = field::Empty,
        );
        let answered = self.answer(slot, loaded, inputs, wishes, came);
        let answered = answered.instrument(span.clone()).await;
        if answered.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        answered
    }

    async fn answer(
        &self,
        slot: &Slot,
        loaded: Arc<Loaded>,
        inputs: Vec<Tensor>,
        wishes: Wishes,
        came: Stopwatch,
    ) -> Result<Answer, PredictError> {
        let pre = came.micros();
        let watch = self.clock.stopwatch();
        let (inputs, result, queue) = if loaded.is_quick() {
            let result = loaded.model.answer(&inputs);
            (inputs, result, 0.0)
        } else {
            let model = Arc::clone(&loaded);
            let run = tokio::task::spawn_blocking(move || {
                let queue = watch.micros();
                let result = model.model.answer(&inputs);
                (inputs, result, queue)
            });
            // `run` catches panics itself; a task that is gone means that the agent ends.
            run.await.map_err(|err| {
                PredictError::Engine(RunError::Panic {
                    text: err.to_string(),
                })
            })?
        };
        let micros = watch.micros();
        let answered = match result {
            Ok(answered) => answered,
            Err(err) if err.is_callers() => return Err(PredictError::Request(err)),
            Err(err) => {
                self.failed(slot, &loaded);
                return Err(PredictError::Engine(err));
            }
        };
        let Some(said) = loaded.said(&answered) else {
            self.failed(slot, &loaded);
            return Err(PredictError::NotANumber);
        };
        let rows = said.len().max(1) as f64;
        let took = Took {
            // Each row waits for all that is before it.
            queue,
            pre: pre / rows,
            infer: (micros - queue).max(0.0) / rows,
        };
        let values = loaded.values(&answered, said.len());
        let intervals = loaded.intervals(&answered, said.len());
        let numbers = Numbers {
            values: &values,
            intervals: &intervals,
        };
        let rows_of = said.iter().enumerate();
        let each: Vec<Said> = rows_of
            .map(|(row, said)| numbers.said(row, *said))
            .collect();
        let counted = Counted {
            predictions: &said,
            values: &values,
            said: &each,
            taps: &answered.taps,
            took,
        };
        let asked = Asked {
            inputs: &inputs,
            outputs: &answered.outputs,
            wishes,
        };
        let (predictions, kept) = self.count(&loaded, &asked, &counted);
        if let Some(shadow) = slot.shadow() {
            shadow.offer(shadow::Answered {
                live: &loaded,
                inputs,
                said: &each,
                outputs: &answered.outputs,
                micros: micros / rows,
                ids: &predictions,
                kept: &kept,
                subject: wishes.subject,
            });
        }
        Ok(Answer {
            loaded,
            outputs: answered.outputs,
            predictions,
        })
    }

    fn failed(&self, slot: &Slot, loaded: &Arc<Loaded>) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        if loaded.failed(self.clock.uptime()) {
            slot.report_failing(loaded);
            self.wake.notify_one();
        }
    }

    /// Counts what was answered; gives each row its id, and says whether its input is kept.
    fn count(
        &self,
        loaded: &Loaded,
        asked: &Asked<'_>,
        of: &Counted<'_>,
    ) -> (Vec<PredictionId>, Vec<bool>) {
        let Counted {
            predictions,
            values,
            said,
            taps,
            took,
        } = *of;
        let rows = predictions.len();
        let now = self.clock.now();
        self.inferences.fetch_add(rows as u64, Ordering::Relaxed);
        loaded.answered(rows as u64);
        loaded.asked(now.uptime);
        let bins = loaded.bins();
        let features = asked.inputs.first().filter(|_| bins.want_values());
        let features = features.and_then(Tensor::to_f32).unwrap_or_default();
        let width = features.len().checked_div(rows).unwrap_or_default();
        let of_row = |row: usize| &features[row * width..(row + 1) * width];
        // Measured before anybody else has to wait for the counters.
        let signals: Vec<_> = (0..rows).map(|row| bins.places(of_row(row))).collect();
        let untypical = self.captures.wants_untypical();
        let embedding = loaded.embedding(asked.outputs);
        let tapped = taps.len().checked_div(rows).unwrap_or_default();
        let mut ids = Vec::with_capacity(rows);
        let mut meter = loaded.meter();
        for (row, prediction) in predictions.iter().enumerate() {
            meter.inference(&Inference {
                took,
                prediction: *prediction,
                value: values.get(row).copied(),
                features: of_row(row),
                signals: &signals[row],
                taps: &taps[row * tapped..(row + 1) * tapped],
            });
            ids.push(lock(&self.recent).push(loaded, said[row], now));
        }
        drop(meter);
        let version = &loaded.kept.version;
        let keep = |(row, said): (usize, &Said)| {
            if *said == Said::Nothing {
                return false;
            }
            let untypical = untypical.then(|| bins.untypical(of_row(row), &signals[row]));
            let row = Row {
                id: ids[row],
                slot: &loaded.slot,
                model: &version.model,
                version: version.version,
                bins,
                inputs: asked.inputs,
                row,
                rows,
                said: *said,
                embedding,
                subject: asked.wishes.subject,
            };
            self.captures
                .answered(&row, untypical.flatten(), &asked.wishes)
        };
        let kept = said.iter().enumerate().map(keep).collect();
        (ids, kept)
    }

    /// Takes the truth about a prediction.
    pub fn truth(
        &self,
        id: PredictionId,
        truth: &str,
        subject: Option<&str>,
    ) -> Result<Truth, FeedbackError> {
        let mut truth = lock(&self.recent).truth(id, truth)?;
        let subject = subject.map(|name| self.captures.subject(name));
        match &mut truth {
            Truth::Class(label) => label.subject = subject,
            Truth::Number(label) => label.subject = subject,
        }
        Ok(truth)
    }

    /// Sends a truth on its way; false if it is not taken now.
    pub fn send_truth(&self, truth: Truth) -> bool {
        let input = match truth {
            Truth::Class(label) => Input::Label(label.into()),
            Truth::Number(label) => Input::Number(label.into()),
        };
        self.inputs.try_send(input).is_ok()
    }
}

/// What a model that is no classifier answered, row by row.
#[derive(Clone, Copy)]
struct Numbers<'a> {
    values: &'a [f32],
    /// Ends of intervals that were predicted with them; empty if the model predicts none.
    intervals: &'a [(f32, f32)],
}

impl Numbers<'_> {
    /// What of a row a truth can be compared with.
    fn said(&self, row: usize, prediction: Option<Prediction>) -> Said {
        let value = self.values.get(row).filter(|value| value.is_finite());
        match (prediction, value) {
            (Some(prediction), _) => Said::Class(prediction),
            (None, Some(value)) => Said::Number {
                value: *value,
                interval: self.intervals.get(row).copied(),
            },
            (None, None) => Said::Nothing,
        }
    }
}

/// What was asked, and what came out.
struct Asked<'a> {
    inputs: &'a [Tensor],
    outputs: &'a [Tensor],
    wishes: Wishes,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
