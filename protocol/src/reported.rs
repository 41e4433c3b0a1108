//! ↑ `up/state` and `up/link`, retained: what a device is.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use minicbor::{Decode, Encode};

use crate::{
    digest::Digest,
    id::{BootId, ModelName, ModelVersion, Revision, SiteName, SlotName},
    time::{Instant, WallTime},
};

/// ↑ `up/link`: whether the device is connected. The last will says offline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Link {
    /// Connected.
    #[n(0)]
    pub online: bool,
    /// Of which boot.
    #[n(1)]
    pub boot: BootId,
}

/// ↑ `up/state`: what a device says of itself.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Reported {
    /// Version of the agent.
    #[n(0)]
    pub agent: String,
    /// When this was said; its boot is the current one.
    #[n(1)]
    pub now: Instant,
    /// The device's own wall clock; a hint.
    #[n(2)]
    pub wall: Option<WallTime>,
    /// Where it is.
    #[n(3)]
    pub site: SiteName,
    /// What it is, as key and value.
    #[n(4)]
    #[cbor(default)]
    pub labels: BTreeMap<String, String>,
    /// What it runs on.
    #[n(5)]
    pub platform: Platform,
    /// What it has left.
    #[n(6)]
    pub resources: Resources,
    /// The desired revision that this answers: the highest that the device acted on.
    #[n(7)]
    pub answers: Revision,
    /// Its slots.
    #[n(8)]
    #[cbor(default)]
    pub slots: Vec<SlotReport>,
    /// Its outbox.
    #[n(9)]
    pub outbox: OutboxReport,
    /// MQTT messages that it could not read, since boot.
    #[n(10)]
    #[cbor(default)]
    pub malformed: u64,
    /// Which signed metadata it goes by.
    #[n(11)]
    pub trust: Option<Trust>,
    /// What came of deltas since the agent started; none if there were none.
    #[n(12)]
    pub deltas: Option<Deltas>,
    /// The last of [`crate::desired::Desired::erasures`] that it did; 0: none yet. None of an agent that knows
    /// no erasures.
    #[n(13)]
    pub erased: Option<u64>,
    /// What it may capture in any 24 hours; none of a device without a budget.
    #[n(14)]
    pub captures: Option<CaptureLimits>,
}

/// The most that a device captures in any 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CaptureLimits {
    /// So many.
    #[n(0)]
    pub per_day: Option<u32>,
    /// So many bytes of inputs.
    #[n(1)]
    pub bytes_per_day: Option<u64>,
}

/// What came of deltas, since the agent started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Deltas {
    /// Files that were made by one.
    #[n(0)]
    pub applied: u64,
    /// Bytes that did not travel for it: the length of those files less that of their deltas.
    #[n(1)]
    pub bytes_saved: u64,
    /// Deltas that were of no use; the whole file was fetched.
    #[n(2)]
    pub failed: u64,
}

/// The signed metadata that a device goes by.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Trust {
    /// Version of the root; 0: it has none yet.
    #[n(0)]
    pub root: u64,
    /// Version of the targets; 0: it has none yet.
    #[n(1)]
    pub targets: u64,
    /// When the first of the metadata expires. Expired ones count until newer ones come.
    #[n(2)]
    pub expires: Option<WallTime>,
    /// Why the newest that it was offered are refused.
    #[n(3)]
    pub problem: Option<String>,
}

/// Hardware and system.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Platform {
    /// Operating system, as Rust names it: `linux`.
    #[n(0)]
    pub os: String,
    /// Architecture, as Rust names it: `x86_64`, `aarch64`.
    #[n(1)]
    pub arch: String,
    /// Processors that the agent may use.
    #[n(2)]
    pub cpus: u32,
}

/// Memory and disk, in bytes. `None` where the system does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Resources {
    /// Resident memory of the agent.
    #[n(0)]
    pub agent_rss: Option<u64>,
    /// Memory of the device.
    #[n(1)]
    pub memory: Option<u64>,
    /// Free space where the agent keeps its data.
    #[n(2)]
    pub disk_free: Option<u64>,
}

/// State of one slot.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct SlotReport {
    /// Which slot.
    #[n(0)]
    pub slot: SlotName,
    /// What answers requests now. `None`: the slot is empty.
    #[n(1)]
    pub serving: Option<Serving>,
    /// What would answer after a swap back.
    #[n(2)]
    pub previous: Option<SlotVersion>,
    /// What is on its way.
    #[n(3)]
    pub progress: Option<Progress>,
    /// What was refused last and why; stays until desired names another bundle.
    #[n(4)]
    pub rejected: Option<Rejected>,
    /// What runs beside what serves, or is to, or was refused as such.
    #[n(5)]
    pub shadow: Option<ShadowReport>,
}

/// How far a version got that is to run beside what serves.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ShadowReport {
    /// Which.
    #[n(0)]
    pub version: SlotVersion,
    /// How far.
    #[n(1)]
    pub phase: ShadowPhase,
    /// Why it was refused, for programs; none unless it was.
    #[n(2)]
    pub reason: Option<RejectReason>,
    /// What happened, for people; empty unless it was refused.
    #[n(3)]
    #[cbor(default, skip_if = "String::is_empty")]
    pub text: String,
}

/// Steps of a version that is to run beside what serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "rest", serde(rename_all = "kebab-case"))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ShadowPhase {
    /// Chunks are being fetched, or wait for what is to serve.
    #[n(0)]
    Fetching,
    /// All bytes are here and their digests hold.
    #[n(1)]
    Verified,
    /// The golden samples were reproduced.
    #[n(2)]
    Vetted,
    /// It runs on some of the inputs.
    #[n(3)]
    Running,
    /// It was refused, or failed. What serves is not touched by that.
    #[n(4)]
    Rejected,
    /// It is not in the signed metadata that the device has; newer ones are awaited.
    #[n(5)]
    Unsigned,
}

impl core::fmt::Display for ShadowPhase {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Fetching => "fetching",
            Self::Verified => "verified",
            Self::Vetted => "vetted",
            Self::Running => "running",
            Self::Rejected => "rejected",
            Self::Unsigned => "unsigned",
        })
    }
}

/// A version by its bundle.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SlotVersion {
    /// The model.
    #[n(0)]
    pub model: ModelName,
    /// Its version.
    #[n(1)]
    pub version: ModelVersion,
    /// Its bundle.
    #[n(2)]
    pub bundle: Digest,
}

/// Proof of serving.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Serving {
    /// What serves.
    #[n(0)]
    pub version: SlotVersion,
    /// Digest of the ONNX bytes that were loaded, computed from them when they were loaded.
    #[n(1)]
    pub weights: Digest,
    /// When it was loaded.
    #[n(2)]
    pub since: Instant,
    /// Inferences answered since then.
    #[n(3)]
    pub inferences: u64,
    /// Requests that got an error instead, since then.
    #[n(4)]
    #[cbor(default)]
    pub errors: u64,
    /// Largest absolute difference from the golden outputs when it was loaded.
    #[n(5)]
    pub golden_difference: f32,
    /// Whether its trial is over: it served long enough without failing.
    #[n(6)]
    #[cbor(default, skip_if = "core::ops::Not::not")]
    pub confirmed: bool,
}

/// A bundle on its way into a slot.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Progress {
    /// What is coming.
    #[n(0)]
    pub version: SlotVersion,
    /// How far.
    #[n(1)]
    pub phase: Phase,
    /// Bytes here so far.
    #[n(2)]
    #[cbor(default)]
    pub bytes: u64,
    /// Bytes in all, once the manifest is here.
    #[n(3)]
    #[cbor(default)]
    pub bytes_total: u64,
}

/// Steps of a bundle on its way into a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "rest", serde(rename_all = "kebab-case"))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Phase {
    /// Chunks are being fetched.
    #[n(0)]
    Fetching,
    /// All bytes are here and their digests hold.
    #[n(1)]
    Verified,
    /// The golden samples were reproduced.
    #[n(2)]
    Vetted,
    /// It is not in the signed metadata that the device has; newer ones are awaited.
    #[n(3)]
    Unsigned,
    /// It may serve, and waits for its activation window.
    #[n(4)]
    Waiting,
}

/// A bundle that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Rejected {
    /// What was refused.
    #[n(0)]
    pub version: SlotVersion,
    /// The error's name, for programs.
    #[n(1)]
    pub reason: RejectReason,
    /// What happened, for people.
    #[n(2)]
    pub text: String,
}

/// Why a bundle was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "rest", serde(rename_all = "kebab-case"))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum RejectReason {
    /// The bytes that came are not those that the digest names.
    #[n(0)]
    DigestMismatch,
    /// The manifest cannot be read or contradicts the desired state.
    #[n(1)]
    BadManifest,
    /// Not enough disk.
    #[n(2)]
    NoSpace,
    /// The engine cannot load or optimise it.
    #[n(3)]
    NotLoadable,
    /// It does not reproduce its golden samples.
    #[n(4)]
    GoldenMismatch,
    /// It failed while it served, and was swapped back.
    #[n(5)]
    FailedServing,
    /// The manifest asks for a newer agent.
    #[n(6)]
    AgentTooOld,
    /// The signed metadata do not list it, or list another bundle under its name.
    #[n(7)]
    Unsigned,
    /// The signed metadata say that it must not be loaded any more.
    #[n(8)]
    Revoked,
    /// Vetting it took more memory or time than a device gives, or ended its process.
    #[n(9)]
    Exhausting,
}

impl core::fmt::Display for RejectReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::DigestMismatch => "digest-mismatch",
            Self::BadManifest => "bad-manifest",
            Self::NoSpace => "no-space",
            Self::NotLoadable => "not-loadable",
            Self::GoldenMismatch => "golden-mismatch",
            Self::FailedServing => "failed-serving",
            Self::Unsigned => "unsigned",
            Self::Revoked => "revoked",
            Self::Exhausting => "exhausting",
            Self::AgentTooOld => "agent-too-old",
        })
    }
}

/// State of the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
#[cfg_attr(feature = "rest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OutboxReport {
    /// Entries waiting for the hub.
    #[n(0)]
    pub entries: u64,
    /// Their bytes.
    #[n(1)]
    pub bytes: u64,
    /// Windows that were merged into others under pressure, ever.
    #[n(2)]
    #[cbor(default)]
    pub merged: u64,
    /// Captures that were dropped under pressure, ever.
    #[n(3)]
    #[cbor(default)]
    pub dropped: u64,
}
