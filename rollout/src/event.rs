//! What the engine is told, in the order in which it is told. Stored as it is: whoever folds the same batches again
//! comes to the same decisions.
//!
//! Encoded as CBOR. A number once given a meaning keeps it.

use minicbor::{Decode, Encode};
use tern_protocol::{
    id::{DeviceId, SiteName},
    rest::{Refusal, Verdict},
    time::WallTime,
};

/// A device by its place in the order in which devices joined, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Index(#[n(0)] pub u32);

/// A gate by its place in the plan, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct GateIndex(#[n(0)] pub u8);

/// Events that came together, and the time at which the engine was asked what follows from them.
#[derive(Debug, Clone, PartialEq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Batch {
    /// The time; never before that of the batch before.
    #[n(0)]
    pub at: WallTime,
    /// The events, in order.
    #[n(1)]
    pub events: Vec<Event>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum Event {
    /// A device matches the selector, and did not before. It gets the next index; one that was away keeps its own.
    #[n(0)]
    Joined(#[n(0)] Box<Joined>),
    /// A device does not match any more, is gone, or another rollout has it.
    #[n(1)]
    Left(#[n(0)] Index, #[n(1)] Why),
    /// A device that is to have the version was heard of since: it has begun to fetch, or serves it already. One of
    /// the control was heard of since its partner was.
    #[n(2)]
    Heard(#[n(0)] Index),
    /// A device serves the version, on trial.
    #[n(3)]
    Serving(#[n(0)] Index),
    /// A device serves the version for good.
    #[n(4)]
    Confirmed(#[n(0)] Index),
    /// A device refused the version, or fell back from it.
    #[n(5)]
    Refused(#[n(0)] Index, #[n(1)] Reason),
    /// The mean of a device over its first 2^`rung` windows, labels or spans of time, in thousandths. More is worse.
    #[n(6)]
    Rung(#[n(0)] Index, #[n(1)] GateIndex, #[n(2)] u8, #[n(3)] u16),
    /// What a device with the version counted so far: windows, and inferences in them.
    #[n(7)]
    Counted(#[n(0)] Index, #[n(1)] u64, #[n(2)] u64),
    /// A person said something.
    #[n(8)]
    Said(#[n(0)] Order, #[n(1)] String),
    /// Another program answered a gate.
    #[n(9)]
    Answered(#[n(0)] GateIndex, #[n(1)] Answer, #[n(2)] String),
    /// What is usual for a device: its mean over windows, labels or spans of time before it was watched, in
    /// thousandths, of the last [`USUAL_WINDOWS`] of them. Told before its first rung of that gate, and
    /// not at all if nothing is known: later it is not listened to, since it could be chosen.
    #[n(10)]
    Usual(#[n(0)] Index, #[n(1)] GateIndex, #[n(2)] u16),
}

/// Windows, labels or spans of time from which one tells what is usual for a device, the last before it was watched: as
/// many as on the highest rung, so that what is usual is not less sure than what it is compared with. Of fewer it tells
/// as well, if there are no more.
pub const USUAL_WINDOWS: u32 = 256;

/// A device as it joins.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Joined {
    /// Which.
    #[n(0)]
    pub device: DeviceId,
    /// Its site.
    #[n(1)]
    pub site: SiteName,
    /// What it is: operating system and processor.
    #[n(2)]
    pub platform: String,
    /// The time zone in its label `zone`.
    #[n(3)]
    pub zone: Option<String>,
}

/// Why a device left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Why {
    /// It does not match the selector, or is gone.
    #[n(0)]
    Unselected,
    /// Another rollout has it.
    #[n(1)]
    Taken,
}

/// What a person may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Order {
    /// Go to the next stage, although a person was to be asked or nothing is proven.
    #[n(0)]
    Approve,
    /// Move no more devices.
    #[n(1)]
    Pause,
    /// Go on.
    #[n(2)]
    Resume,
    /// End; moved devices go back.
    #[n(3)]
    AbortBack,
    /// End; moved devices stay.
    #[n(4)]
    AbortStay,
}

/// Why a device refused, as it lies in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason(pub Refusal);

const REASONS: [Refusal; 10] = [
    Refusal::DigestMismatch,
    Refusal::BadManifest,
    Refusal::NoSpace,
    Refusal::NotLoadable,
    Refusal::GoldenMismatch,
    Refusal::FailedServing,
    Refusal::AgentTooOld,
    Refusal::Unsigned,
    Refusal::Revoked,
    Refusal::Exhausting,
];

/// What another program answered, as it lies in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer(pub Verdict);

const ANSWERS: [Verdict; 3] = [Verdict::Pass, Verdict::Inconclusive, Verdict::Fail];

macro_rules! by_place {
    ($type:ident, $places:ident) => {
        impl<C> Encode<C> for $type {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                let place = $places.iter().position(|one| *one == self.0);
                e.u8(place.unwrap_or_default() as u8)?.ok()
            }
        }
        impl<'b, C> Decode<'b, C> for $type {
            fn decode(
                d: &mut minicbor::Decoder<'b>,
                _: &mut C,
            ) -> Result<Self, minicbor::decode::Error> {
                let place = usize::from(d.u8()?);
                let value = $places.get(place).copied();
                value
                    .map(Self)
                    .ok_or_else(|| minicbor::decode::Error::message("unknown word"))
            }
        }
    };
}

by_place!(Reason, REASONS);
by_place!(Answer, ANSWERS);
