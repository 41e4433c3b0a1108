//! Turns a batch into rows as far as that needs no database. Pure, and the dear part of ingest.

use sea_orm::Value;
use tern_protocol::{
    capture::{MeasuredSignal, PredictedNumber, Summary},
    codec,
    digest::Digest,
    id::{DeviceId, NAME_MAX, OutboxId, PredictionId, Sequence, WorkspaceId},
    limits,
    log::{Body, Capture, Entry, Event, Label, NumberLabel},
    profile::{FEATURES, SIGNALS},
    shadow::ShadowWindow,
    time::{Instant, WallTime},
    window::Window,
};

use super::Incoming;
use crate::{
    captures::seal::{INPUT, Keys, SUMMARY, Whose},
    monitor::accept::Claim,
};

/// Most inferences or errors of one window that are believed: 2^40 is one a microsecond for twelve
/// days. It keeps the sums of honest windows from overflowing because of a broken one.
const COUNT_MAX: u64 = 1 << 40;

/// A batch, ready to be judged.
pub(super) struct Prepared {
    pub(super) workspace: WorkspaceId,
    pub(super) device: DeviceId,
    pub(super) outbox: OutboxId,
    pub(super) claim: Claim,
    pub(super) now: Instant,
    pub(super) received: WallTime,
    pub(super) entries: Vec<Ready>,
}

/// An entry, ready to become a row.
pub(super) struct Ready {
    pub(super) sequence: Sequence,
    pub(super) at: Instant,
    pub(super) wall: Option<WallTime>,
    pub(super) body: ReadyBody,
    /// Of a capture or a truth: the part that its device had in a rollout when it predicted; empty if none.
    pub(super) arm: &'static str,
}

/// What an entry becomes.
pub(super) enum ReadyBody {
    Window(Box<ReadyWindow>),
    Capture(Box<ReadyCapture>),
    Label(Box<Label>),
    Number(Box<NumberLabel>),
    Event(Box<Event>),
    Shadow(Box<ReadyShadow>),
    /// A newer agent's kind, or values that no agent of ours writes: acknowledged, counted, not
    /// stored, so that one bad entry does not stop an outbox for ever.
    Unknown,
}

pub(super) struct ReadyWindow {
    pub(super) slot: String,
    pub(super) model: String,
    pub(super) version: i64,
    pub(super) opened: Instant,
    pub(super) closed: Instant,
    pub(super) inferences: u64,
    pub(super) errors: u64,
    /// The window as CBOR, as the device wrote it.
    pub(super) body: Vec<u8>,
    /// The window itself, if it has metrics to be looked at.
    pub(super) told: Option<Box<Window>>,
}

pub(super) struct ReadyShadow {
    pub(super) slot: String,
    pub(super) model: String,
    pub(super) version: i64,
    pub(super) live_version: i64,
    pub(super) opened: Instant,
    pub(super) closed: Instant,
    pub(super) compared: u64,
    pub(super) agreed: u64,
    pub(super) errors: u64,
    pub(super) skipped: u64,
    /// The window as CBOR, as the device wrote it.
    pub(super) body: Vec<u8>,
}

pub(super) struct ReadyCapture {
    pub(super) prediction: PredictionId,
    pub(super) reasons: u32,
    pub(super) request: Option<u64>,
    pub(super) subject: Option<Digest>,
    pub(super) slot: String,
    pub(super) model: String,
    pub(super) version: i64,
    pub(super) class: u32,
    pub(super) confidence: f32,
    pub(super) probability: f32,
    /// What was predicted, of a model that is no classifier.
    pub(super) number: Option<PredictedNumber>,
    /// The input as CBOR, encrypted if the hub has a key.
    pub(super) input: Vec<u8>,
    /// The same of what stands for the input.
    pub(super) summary: Option<Vec<u8>>,
}

/// Prepares a batch, with inputs sealed by `keys`; `None` if its sequences do not rise.
pub(super) fn prepare(incoming: Incoming, keys: &Keys) -> Option<Prepared> {
    let claim = Claim::of(&incoming.batch)?;
    let (workspace, device) = (&incoming.workspace, &incoming.device);
    let sealer = Sealer {
        keys,
        workspace,
        device,
    };
    let entries = incoming.batch.entries.into_iter();
    let entries = entries.map(|entry| ready(entry, &sealer)).collect();
    Some(Prepared {
        workspace: incoming.workspace,
        device: incoming.device,
        outbox: incoming.batch.outbox,
        claim,
        now: incoming.batch.now,
        received: incoming.received,
        entries,
    })
}

/// Encrypts what a device sends, if the hub has a key.
struct Sealer<'a> {
    keys: &'a Keys,
    workspace: &'a WorkspaceId,
    device: &'a DeviceId,
}

impl Sealer<'_> {
    /// `None` if the system gives no randomness.
    fn seal(
        &self,
        prediction: PredictionId,
        part: &'static str,
        bytes: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let whose = Whose {
            workspace: self.workspace,
            device: self.device,
            prediction,
            part,
        };
        let sealed = self.keys.seal(&whose, bytes);
        sealed
            .inspect_err(|err| tracing::error!("{err}; it is left out"))
            .ok()
    }
}

fn ready(entry: Entry, sealer: &Sealer<'_>) -> Ready {
    let body = match entry.body {
        Body::Window(window) => ReadyBody::Window(Box::new(ready_window(window))),
        Body::Capture(capture) => ready_capture(&capture, sealer),
        Body::Label(label) => ReadyBody::Label(label),
        Body::Number(label) => ready_number(label),
        Body::Event(event) => ReadyBody::Event(event),
        Body::Shadow(window) => ready_shadow(&window),
        Body::Unknown => ReadyBody::Unknown,
    };
    Ready {
        sequence: entry.sequence,
        at: entry.at,
        wall: entry.wall,
        body,
        arm: "",
    }
}

fn ready_window(window: Box<Window>) -> ReadyWindow {
    ReadyWindow {
        slot: window.slot.to_string(),
        model: window.model.to_string(),
        version: window.version.get().into(),
        opened: window.opened,
        closed: window.closed,
        inferences: window.inferences.min(COUNT_MAX),
        errors: window.errors.min(COUNT_MAX),
        body: codec::encode(&*window),
        told: (!window.metrics.is_empty()).then_some(window),
    }
}

fn ready_shadow(window: &ShadowWindow) -> ReadyBody {
    if window.agreed > window.compared {
        return ReadyBody::Unknown;
    }
    ReadyBody::Shadow(Box::new(ReadyShadow {
        slot: window.slot.to_string(),
        model: window.model.to_string(),
        version: window.version.get().into(),
        live_version: window.live_version.get().into(),
        opened: window.opened,
        closed: window.closed,
        compared: window.compared.min(COUNT_MAX),
        agreed: window.agreed.min(COUNT_MAX),
        errors: window.errors.min(COUNT_MAX),
        skipped: window.skipped.min(COUNT_MAX),
        body: codec::encode(window),
    }))
}

fn ready_capture(capture: &Capture, sealer: &Sealer<'_>) -> ReadyBody {
    let share = |value: f32| (0.0..=1.0).contains(&value);
    // What was not drawn says why it was kept.
    let drawn = capture.probability > 0.0 || !capture.reasons.is_none();
    let usable = capture.input.is_whole()
        && capture.input.data.len() <= limits::CAPTURE_INPUT
        && share(capture.confidence)
        && share(capture.probability)
        && drawn
        && capture
            .number
            .as_ref()
            .is_none_or(PredictedNumber::is_finite)
        && capture.summary.as_ref().is_none_or(is_bounded);
    if !usable {
        return ReadyBody::Unknown;
    }
    let id = capture.prediction;
    let Some(input) = sealer.seal(id, INPUT, codec::encode(&capture.input)) else {
        return ReadyBody::Unknown;
    };
    let summary = capture.summary.as_ref().map(codec::encode);
    let summary = summary.and_then(|summary| sealer.seal(id, SUMMARY, summary));
    ReadyBody::Capture(Box::new(ReadyCapture {
        prediction: id,
        reasons: capture.reasons.0,
        request: capture.request,
        subject: capture.subject,
        slot: capture.slot.to_string(),
        model: capture.model.to_string(),
        version: capture.version.get().into(),
        class: capture.class,
        confidence: capture.confidence,
        probability: capture.probability,
        number: capture.number,
        input,
        summary,
    }))
}

fn ready_number(label: Box<NumberLabel>) -> ReadyBody {
    let ends = [label.low, label.high];
    let numbers = [label.predicted, label.truth].into_iter();
    let finite = numbers
        .chain(ends.into_iter().flatten())
        .all(f64::is_finite);
    if finite {
        ReadyBody::Number(label)
    } else {
        ReadyBody::Unknown
    }
}

fn is_bounded(summary: &Summary) -> bool {
    let named = |signal: &MeasuredSignal| signal.name.len() <= NAME_MAX;
    summary.places.len() <= FEATURES
        && summary.signals.len() <= SIGNALS
        && summary.signals.iter().all(named)
        && summary.embedding.len() <= limits::EMBEDDING
}

/// A 64-bit number as the database keeps it: the same bits, signed.
pub(super) fn bits(number: u64) -> Value {
    number.cast_signed().into()
}
