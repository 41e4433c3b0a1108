//! ↑ `up/log` and ↓ `down/ack`: a device's outbox on its way to the hub.
//!
//! QoS 1 ends at the broker, so a device drops an entry only when the hub says that it is stored.
//! The entries of an outbox form a chain: each [`Batch`] names the entry it follows, the hub takes
//! a batch only when it has that one, and answers with the last it has. So nothing is lost, nothing
//! counts twice, and the hub keeps one number a device.

use alloc::{boxed::Box, string::String, vec::Vec};

use minicbor::{Decode, Decoder, Encode, Encoder, data::Type, decode, encode};

use crate::{
    capture::{PredictedNumber, Reasons, Summary},
    digest::Digest,
    id::{ModelName, ModelVersion, OutboxId, PredictionId, Sequence, SlotName},
    shadow::ShadowWindow,
    tensor::Tensor,
    time::{Instant, WallTime},
    window::Window,
};

/// ↑ Some entries of the outbox, in order, without gaps between them.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Batch {
    /// Which life of the device's outbox.
    #[n(0)]
    pub outbox: OutboxId,
    /// Highest sequence that the hub has acknowledged to this outbox. A hub that was restored from
    /// an old copy learns from it that what came before is gone.
    #[n(1)]
    pub acked: Sequence,
    /// The entry before the first of these: the hub must have it before it takes these.
    #[n(2)]
    pub after: Sequence,
    /// The moment of sending: with the hub's clock it gives the wall time of every entry of this
    /// boot.
    #[n(3)]
    pub now: Instant,
    /// The entries, sequences strictly rising (not always by one: merged and dropped entries leave
    /// holes).
    #[n(4)]
    pub entries: Vec<Entry>,
}

/// One entry of an outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its place.
    pub sequence: Sequence,
    /// When it was written.
    pub at: Instant,
    /// The device's own wall clock then; a hint for entries of earlier boots.
    pub wall: Option<WallTime>,
    /// What it says.
    pub body: Body,
}

/// What an entry says. Boxed, so that a batch of many empty entries does not take far more memory
/// than its bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Telemetry.
    Window(Box<Window>),
    /// Something happened.
    Event(Box<Event>),
    /// An input with its prediction.
    Capture(Box<Capture>),
    /// The truth about a prediction.
    Label(Box<Label>),
    /// What a version beside the one that serves made of the same inputs.
    Shadow(Box<ShadowWindow>),
    /// The true number about a prediction of a model that is no classifier.
    Number(Box<NumberLabel>),
    /// A kind that a newer agent knows and this reader does not. It is acknowledged and counted,
    /// so that an old hub does not stop a newer device's outbox.
    Unknown,
}

// Keys of an entry's map. A body is the value of its kind's key.
const SEQUENCE: u32 = 0;
const AT: u32 = 1;
const WALL: u32 = 2;
const WINDOW: u32 = 3;
const EVENT: u32 = 4;
const CAPTURE: u32 = 5;
const LABEL: u32 = 6;
const SHADOW: u32 = 7;
const NUMBER: u32 = 10;

impl<C> Encode<C> for Entry {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        let body = u64::from(self.body != Body::Unknown);
        e.map(2 + u64::from(self.wall.is_some()) + body)?;
        e.u32(SEQUENCE)?.encode_with(self.sequence, ctx)?;
        e.u32(AT)?.encode_with(self.at, ctx)?;
        if let Some(wall) = self.wall {
            e.u32(WALL)?.encode_with(wall, ctx)?;
        }
        match &self.body {
            Body::Window(window) => e.u32(WINDOW)?.encode_with(window, ctx)?.ok(),
            Body::Event(event) => e.u32(EVENT)?.encode_with(event, ctx)?.ok(),
            Body::Capture(capture) => e.u32(CAPTURE)?.encode_with(capture, ctx)?.ok(),
            Body::Label(label) => e.u32(LABEL)?.encode_with(label, ctx)?.ok(),
            Body::Shadow(window) => e.u32(SHADOW)?.encode_with(window, ctx)?.ok(),
            Body::Number(label) => e.u32(NUMBER)?.encode_with(label, ctx)?.ok(),
            Body::Unknown => Ok(()),
        }
    }
}

impl<'b, C> Decode<'b, C> for Entry {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, decode::Error> {
        let start = d.position();
        let keys = d.map()?;
        let (mut sequence, mut at, mut wall, mut body) = (None, None, None, Body::Unknown);
        let mut read = 0;
        loop {
            match keys {
                Some(keys) if read == keys => break,
                None if d.datatype()? == Type::Break => {
                    d.skip()?;
                    break;
                }
                _ => read += 1,
            }
            match d.u32()? {
                SEQUENCE => sequence = Some(d.decode_with(ctx)?),
                AT => at = Some(d.decode_with(ctx)?),
                WALL => wall = d.decode_with(ctx)?,
                WINDOW => body = Body::Window(d.decode_with(ctx)?),
                EVENT => body = Body::Event(d.decode_with(ctx)?),
                CAPTURE => body = Body::Capture(d.decode_with(ctx)?),
                LABEL => body = Body::Label(d.decode_with(ctx)?),
                SHADOW => body = Body::Shadow(d.decode_with(ctx)?),
                NUMBER => body = Body::Number(d.decode_with(ctx)?),
                _ => d.skip()?,
            }
        }
        let missing = |key: u32| decode::Error::missing_value(key.into()).at(start);
        Ok(Self {
            sequence: sequence.ok_or_else(|| missing(SEQUENCE))?,
            at: at.ok_or_else(|| missing(AT))?,
            wall,
            body,
        })
    }
}

/// Something that happened on a device.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Event {
    /// What.
    #[n(0)]
    pub kind: EventKind,
    /// In which slot.
    #[n(1)]
    pub slot: Option<SlotName>,
    /// With which model.
    #[n(2)]
    pub model: Option<ModelName>,
    /// With which version of it.
    #[n(3)]
    pub version: Option<ModelVersion>,
    /// Details for people, at most a few hundred bytes.
    #[n(4)]
    #[cbor(default)]
    pub text: String,
}

/// Kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// The agent started.
    Started,
    /// A bundle is being fetched.
    Fetching,
    /// A bundle arrived whole and its digests hold.
    Verified,
    /// A bundle reproduced its golden samples.
    Vetted,
    /// A bundle serves.
    Serving,
    /// A bundle was refused; the text says why. What served before serves on.
    Rejected,
    /// The bundle that served failed; the one before it serves again.
    SwappedBack,
    /// The bundle that serves passed its trial.
    Confirmed,
    /// Newer signed metadata are trusted from now on, or were refused; the text says which and why.
    Metadata,
    /// A file was made of one that was there and a delta; the text says what that saved.
    DeltaApplied,
    /// A delta was of no use, so that the whole file is fetched; the text says why.
    DeltaFailed,
    /// Captures were dropped to keep the outbox within its bounds.
    CapturesDropped,
    /// The device's disk became full, or there is room again; the text says how much.
    Disk,
    /// Something that the device keeps was damaged on its disk; the text says what, and what became of it.
    Damage,
    /// A version began or ceased to run beside what serves, or was refused as such; the text says which and
    /// why.
    Shadow,
    /// A kind that this reader does not know.
    Unknown(u32),
}

/// The number and name of each kind.
const EVENT_KINDS: [(EventKind, u32, &str); 15] = [
    (EventKind::Started, 0, "started"),
    (EventKind::Fetching, 1, "fetching"),
    (EventKind::Verified, 2, "verified"),
    (EventKind::Vetted, 3, "vetted"),
    (EventKind::Serving, 4, "serving"),
    (EventKind::Rejected, 5, "rejected"),
    (EventKind::SwappedBack, 6, "swapped-back"),
    (EventKind::CapturesDropped, 7, "captures-dropped"),
    (EventKind::Confirmed, 8, "confirmed"),
    (EventKind::Metadata, 9, "metadata"),
    (EventKind::DeltaApplied, 10, "delta-applied"),
    (EventKind::DeltaFailed, 11, "delta-failed"),
    (EventKind::Disk, 12, "disk"),
    (EventKind::Damage, 13, "damage"),
    (EventKind::Shadow, 14, "shadow"),
];

impl EventKind {
    /// Its number on the wire.
    pub fn number(self) -> u32 {
        match (self, EVENT_KINDS.iter().find(|(kind, ..)| *kind == self)) {
            (Self::Unknown(number), _) => number,
            (_, Some((_, number, _))) => *number,
            (_, None) => u32::MAX,
        }
    }

    /// The kind with this number.
    pub fn from_number(number: u32) -> Self {
        let known = EVENT_KINDS.iter().find(|(_, n, _)| *n == number);
        known.map_or(Self::Unknown(number), |(kind, ..)| *kind)
    }
}

impl core::fmt::Display for EventKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match EVENT_KINDS.iter().find(|(kind, ..)| kind == self) {
            Some((_, _, name)) => f.write_str(name),
            None => write!(f, "unknown-{}", self.number()),
        }
    }
}

impl<C> Encode<C> for EventKind {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.u32(self.number())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for EventKind {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        d.u32().map(Self::from_number)
    }
}

/// A stored input with its prediction.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Capture {
    /// Which prediction.
    #[n(0)]
    pub prediction: PredictionId,
    /// In which slot.
    #[n(1)]
    pub slot: SlotName,
    /// By which model.
    #[n(2)]
    pub model: ModelName,
    /// By which version.
    #[n(3)]
    pub version: ModelVersion,
    /// The first input, a batch of one. Without elements if only [`Self::summary`] is kept of it.
    #[n(4)]
    pub input: Tensor,
    /// Index of the predicted class; 0 of a model that is no classifier.
    #[n(5)]
    pub class: u32,
    /// Its probability as the model says, 0 to 1; 0 of a model that is no classifier.
    #[n(6)]
    pub confidence: f32,
    /// The probability with which this input was drawn, over 0 up to 1: accuracy estimates
    /// weigh by its inverse (Horvitz and Thompson, 1952). 0: it was not drawn but asked for, or kept
    /// because of what it turned out to be, so no estimate may count it; a hub that does not know such
    /// captures leaves them out.
    #[n(7)]
    pub probability: f32,
    /// Why it was captured; none of an agent that does not say.
    #[n(8)]
    #[cbor(default, skip_if = "Reasons::is_none")]
    pub reasons: Reasons,
    /// For which request of an operator.
    #[n(9)]
    pub request: Option<u64>,
    /// Whose input it is: what [`crate::capture::subject`] gives.
    #[n(10)]
    pub subject: Option<Digest>,
    /// What stands for an input that is not kept itself.
    #[n(11)]
    pub summary: Option<Summary>,
    /// What was predicted, of a model that is no classifier.
    #[n(12)]
    pub number: Option<PredictedNumber>,
}

/// The truth about a prediction, as the device was told.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Label {
    /// Which prediction.
    #[n(0)]
    pub prediction: PredictionId,
    /// In which slot.
    #[n(1)]
    pub slot: SlotName,
    /// By which model.
    #[n(2)]
    pub model: ModelName,
    /// By which version.
    #[n(3)]
    pub version: ModelVersion,
    /// Index of the class that was predicted.
    #[n(4)]
    pub class: u32,
    /// Its probability as the model said, 0 to 1.
    #[n(5)]
    pub confidence: f32,
    /// Index of the right class.
    #[n(6)]
    pub truth: u32,
    /// When the prediction was made.
    #[n(7)]
    pub predicted_at: Instant,
    /// Whose input it was: what [`crate::capture::subject`] gives.
    #[n(8)]
    pub subject: Option<Digest>,
}

/// The true number about a prediction of a model that is no classifier, as the device was told.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct NumberLabel {
    /// Which prediction.
    #[n(0)]
    pub prediction: PredictionId,
    /// In which slot.
    #[n(1)]
    pub slot: SlotName,
    /// By which model.
    #[n(2)]
    pub model: ModelName,
    /// By which version.
    #[n(3)]
    pub version: ModelVersion,
    /// What was predicted: the first element of the first output.
    #[n(4)]
    pub predicted: f64,
    /// What was true.
    #[n(5)]
    pub truth: f64,
    /// Lower end of the interval that was predicted with it, of a model that has one ([`crate::quantile`]).
    #[n(6)]
    pub low: Option<f64>,
    /// Its upper end.
    #[n(7)]
    pub high: Option<f64>,
    /// When the prediction was made.
    #[n(8)]
    pub predicted_at: Instant,
    /// Whose input it was: what [`crate::capture::subject`] gives.
    #[n(9)]
    pub subject: Option<Digest>,
}

/// ↓ What the hub has stored.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ack {
    /// Of which life of the outbox.
    #[n(0)]
    pub outbox: OutboxId,
    /// All entries up to and including this one are durable at the hub.
    #[n(1)]
    pub stored: Sequence,
}
