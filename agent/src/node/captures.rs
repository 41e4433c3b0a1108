//! Captures on their way to the outbox, what is asked for, and what has to be forgotten.
//!
//! Must never break:
//! - with a blur hook no capture is written that did not come out of it;
//! - what a deletion names is gone from the outbox, and from what is still on its way there, before the device says
//!   that it is; it is done once, also if the power goes in the middle.

use std::{collections::VecDeque, time::Duration};

use tern_protocol::{
    capture::Erasure,
    digest::Digest,
    id::PredictionId,
    log::{Body, Capture, Entry, Label, NumberLabel},
    time::{Uptime, WallTime},
};

use super::{Done, Node, NodeError};
use crate::{
    capture::blur::{BlurError, blur},
    room::Level,
};

/// Where [`crate::capture::policy::Memory`] is in the store.
const KEY: &str = "captures";

/// Captures that wait for the program that blurs, at most: 64 KiB each.
const WAITING: usize = 8;

/// How often it is looked for captures that are too old.
const LOOK: Duration = Duration::from_mins(1);

/// What the node keeps of captures besides the outbox.
#[derive(Debug, Default)]
pub(super) struct CaptureState {
    /// Those that wait for the program that blurs.
    waiting: VecDeque<Box<Capture>>,
    /// Whether it runs.
    blurring: bool,
    /// Predictions of this start up to this number were forgotten as a whole.
    forgotten_up_to: u64,
    /// Single ones that were forgotten in this start.
    forgotten: Vec<PredictionId>,
    looked: Option<Uptime>,
}

impl Node {
    /// Goes on where an earlier start ended.
    pub(super) fn remember_captures(&mut self) -> Result<(), NodeError> {
        self.captures.restore(self.store.fact(KEY)?);
        self.captures.ask(&self.desired.requests);
        self.forget()
    }

    /// An input is to be kept.
    pub(super) fn take_capture(&mut self, capture: Box<Capture>) -> Result<(), NodeError> {
        if self.space.level > Level::Enough {
            self.facts.captures_refused += 1;
            return Ok(());
        }
        let is_input = !capture.input.data.is_empty();
        if self.config.captures.blur.is_empty() || !is_input {
            return self.write_capture(capture);
        }
        if self.capturing.waiting.len() >= WAITING {
            self.captures.skip();
        } else {
            self.capturing.waiting.push_back(capture);
            self.blur_next();
        }
        Ok(())
    }

    fn blur_next(&mut self) {
        if self.capturing.blurring {
            return;
        }
        let Some(mut capture) = self.capturing.waiting.pop_front() else {
            return;
        };
        self.capturing.blurring = true;
        let settings = &self.config.captures;
        let (command, patience) = (settings.blur.clone(), settings.blur_timeout.0);
        self.job(move || {
            let blurred = blur(&command, patience, &capture.input);
            Done::Blurred(blurred.map(|input| {
                capture.input = input;
                capture
            }))
        });
    }

    /// The program that blurs has ended.
    pub(super) fn blurred(
        &mut self,
        result: Result<Box<Capture>, BlurError>,
    ) -> Result<(), NodeError> {
        self.capturing.blurring = false;
        match result {
            Ok(capture) => self.write_capture(capture)?,
            Err(err) => {
                self.captures.skip();
                tracing::warn!(
                    "an input is not kept, since the blur hook failed: {}",
                    crate::chain(&err)
                );
            }
        }
        self.blur_next();
        Ok(())
    }

    fn write_capture(&mut self, capture: Box<Capture>) -> Result<(), NodeError> {
        if self.is_forgotten(capture.prediction, capture.subject.as_ref()) {
            return Ok(());
        }
        self.write(Body::Capture(capture))?;
        self.facts.captures_made += 1;
        // Flushed with the entry: whichever a power cut takes, it takes both.
        self.store.set_fact(KEY, &self.captures.memory())?;
        Ok(())
    }

    /// A truth is to be kept.
    pub(super) fn take_label(&mut self, label: Box<Label>) -> Result<(), NodeError> {
        if self.is_forgotten(label.prediction, label.subject.as_ref()) {
            return Ok(());
        }
        self.write(Body::Label(label))
    }

    /// As [`Self::take_label`], of a model that is no classifier.
    pub(super) fn take_number(&mut self, label: Box<NumberLabel>) -> Result<(), NodeError> {
        if self.is_forgotten(label.prediction, label.subject.as_ref()) {
            return Ok(());
        }
        self.write(Body::Number(label))
    }

    /// Whether something that comes only now was to be forgotten before.
    fn is_forgotten(&self, prediction: PredictionId, subject: Option<&Digest>) -> bool {
        let state = &self.capturing;
        prediction.number <= state.forgotten_up_to
            || state.forgotten.contains(&prediction)
            || self.captures.is_forgotten(subject)
    }

    /// Forgets what the hub says has to be, each of it once.
    pub(super) fn forget(&mut self) -> Result<(), NodeError> {
        let done = self.captures.erased();
        let mut due = self.desired.erasures.clone();
        due.retain(|erasure| erasure.id > done);
        due.sort_by_key(|erasure| erasure.id);
        if due.is_empty() {
            return Ok(());
        }
        let gone = self.outbox.forget(|entry| {
            let (prediction, subject) = match &entry.body {
                Body::Capture(capture) => (capture.prediction, capture.subject),
                Body::Label(label) => (label.prediction, label.subject),
                Body::Number(label) => (label.prediction, label.subject),
                _ => return false,
            };
            due.iter()
                .any(|erasure| names(erasure, prediction, subject.as_ref()))
        })?;
        for erasure in &due {
            let newest = self.captures.forget(erasure.id, erasure.subject);
            if erasure.is_all() {
                self.capturing.forgotten_up_to = newest;
            }
            self.capturing.forgotten.extend(&erasure.predictions);
        }
        // One deletion has at most a hundred; older ones are not on their way any more.
        let most = 2 * tern_protocol::limits::ERASED_PREDICTIONS;
        let old = self.capturing.forgotten.len().saturating_sub(most);
        self.capturing.forgotten.drain(..old);
        self.store.set_fact(KEY, &self.captures.memory())?;
        self.store.flush()?;
        tracing::info!(
            deletions = due.len(),
            entries = gone,
            "captures and truths were deleted"
        );
        Ok(())
    }

    /// Drops captures that could not be sent for too long, now and then.
    pub(super) fn drop_old_captures(&mut self) -> Result<(), NodeError> {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        let Some(kept) = self.config.captures.retention else {
            return Ok(());
        };
        let looked = self.capturing.looked;
        if looked.is_some_and(|at| now.uptime.since(at) < LOOK) {
            return Ok(());
        }
        self.capturing.looked = Some(now.uptime);
        let is_old = |entry: &Entry| {
            let age = if entry.at.boot == now.boot {
                Some(now.uptime.since(entry.at.uptime))
            } else {
                wall.zip(entry.wall).map(|(now, then)| between(then, now))
            };
            matches!(entry.body, Body::Capture(_)) && age.is_some_and(|age| age > kept.0)
        };
        let gone = self.outbox.forget(is_old)?;
        if gone > 0 {
            self.facts.captures_expired += gone;
            tracing::info!(
                captures = gone,
                "captures were dropped: they are older than `captures.retention`"
            );
        }
        Ok(())
    }
}

fn between(then: WallTime, now: WallTime) -> Duration {
    Duration::from_millis((now.0 - then.0).max(0).unsigned_abs())
}

/// Whether a deletion is about this prediction.
fn names(erasure: &Erasure, prediction: PredictionId, subject: Option<&Digest>) -> bool {
    erasure.is_all()
        || erasure.predictions.contains(&prediction)
        || (erasure.subject.is_some() && erasure.subject.as_ref() == subject)
}
