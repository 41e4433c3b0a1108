//! Why inputs were captured, what operators ask for, and what was deleted.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    capture::{MeasuredSignal, Reasons, Summary},
    digest::Digest,
    id::{DeviceId, ModelName, PredictionId, SiteName, SlotName},
    reported::CaptureLimits,
    time::WallTime,
};

/// Why an input was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum CaptureReason {
    /// The model was unsure.
    Unsure,
    /// By chance alone.
    Random,
    /// The input is not like those of training.
    Drifted,
    /// A version that runs beside what serves said something else.
    Disagreed,
    /// An operator asked for inputs of the device.
    Requested,
    /// Whoever asked for the prediction asked for the capture.
    Asked,
}

impl CaptureReason {
    const ALL: [(Self, Reasons, &'static str); 6] = [
        (Self::Unsure, Reasons::UNSURE, "unsure"),
        (Self::Random, Reasons::RANDOM, "random"),
        (Self::Drifted, Reasons::DRIFTED, "drifted"),
        (Self::Disagreed, Reasons::DISAGREED, "disagreed"),
        (Self::Requested, Reasons::REQUESTED, "requested"),
        (Self::Asked, Reasons::ASKED, "asked"),
    ];

    /// Those that are known among these.
    pub fn among(reasons: Reasons) -> Vec<Self> {
        let known = Self::ALL.iter().filter(|(_, bit, _)| reasons.has(*bit));
        known.map(|(reason, ..)| *reason).collect()
    }

    /// As JSON has it.
    pub fn word(self) -> &'static str {
        let named = Self::ALL.iter().find(|(reason, ..)| *reason == self);
        named.map_or("", |(.., word)| word)
    }
}

/// What stands for an input that is not kept itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CaptureSummary {
    /// The place of each feature among the bins of the reference profile: 0 under, then each bin, then over, then
    /// missing.
    pub places: Vec<u8>,
    /// What was measured of the input as a whole.
    pub signals: Vec<MeasuredSignal>,
    /// The output that the model calls `embedding`, if it has one.
    pub embedding: Vec<f32>,
}

impl From<Summary> for CaptureSummary {
    fn from(summary: Summary) -> Self {
        Self {
            places: summary.places,
            signals: summary.signals,
            embedding: summary.embedding,
        }
    }
}

/// Why a capture has no input to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum NoInput {
    /// The device keeps summaries only.
    NotKept,
    /// It is encrypted, and the hub was started without its key.
    Encrypted,
    /// It is encrypted, and its key does not open it: it is damaged.
    Damaged,
}

/// `POST /capture-requests`: asks devices for some of their next inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewCaptureRequest {
    /// Only this device.
    #[serde(default)]
    pub device: Option<DeviceId>,
    /// Only devices at this site.
    #[serde(default)]
    pub site: Option<SiteName>,
    /// Only inputs of this model.
    #[serde(default)]
    pub model: Option<ModelName>,
    /// Only inputs of this slot.
    #[serde(default)]
    pub slot: Option<SlotName>,
    /// How many of each device, 1 to 10,000.
    pub count: u32,
    /// For how long they are asked, in seconds: a minute to 30 days.
    pub within_s: u64,
}

/// How a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum CaptureRequestState {
    /// Devices are asked.
    Open,
    /// Its time is over, or it was taken back.
    Over,
}

/// A request for captures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CaptureRequestView {
    /// Its number.
    pub id: u64,
    /// Only this device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// Only devices at this site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteName>,
    /// Only inputs of this model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
    /// Only inputs of this slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<SlotName>,
    /// How many of each device.
    pub count: u32,
    /// When it was made.
    pub at: WallTime,
    /// Until when devices are asked.
    pub until: WallTime,
    /// Who made it, as in the audit log.
    pub by: String,
    /// How it stands.
    pub state: CaptureRequestState,
    /// Captures that came for it.
    pub came: u64,
    /// Devices that they came from.
    pub devices: u64,
}

/// `POST /capture-deletions`: deletes captures and truths, everywhere. Exactly one of `device` (with or without
/// `predictions`) and `subject`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewCaptureDeletion {
    /// All that this device has told until now, or only `predictions` of it.
    #[serde(default)]
    pub device: Option<DeviceId>,
    /// Only these, at most 100.
    #[serde(default)]
    pub predictions: Vec<PredictionId>,
    /// All of this subject, and nothing more of it from now on: the hash that `tern capture delete --subject`
    /// makes of a name.
    #[serde(default)]
    pub subject: Option<Digest>,
    /// Why, for the audit log: at most 200 bytes, and nothing that names a person.
    #[serde(default)]
    pub reason: String,
}

/// `GET /captures/kept`: what is kept of captures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CapturesKept {
    /// All of them.
    pub all: KeptCount,
    /// Whether there are older ones that were not counted.
    pub more: bool,
    /// By version of a model, the most first.
    pub versions: Vec<KeptOf>,
    /// By site, the most first.
    pub sites: Vec<KeptOf>,
    /// By why they were kept, the most first; one that was kept for two reasons counts with both.
    pub reasons: Vec<KeptOf>,
    /// By day (UTC), the newest first, at most 31.
    pub days: Vec<KeptDay>,
    /// Devices that captured most in the last 24 hours, at most 20.
    pub devices: Vec<KeptDevice>,
}

/// How many captures, and how much of the database they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct KeptCount {
    /// Captures.
    pub captures: u64,
    /// Bytes of inputs and summaries, as they are stored.
    pub bytes: u64,
    /// Those with a truth.
    pub labelled: u64,
    /// Those of which only a summary is kept.
    pub without_input: u64,
}

/// Captures that have something in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct KeptOf {
    /// What: `digit-reader v2`, a site, a reason.
    pub name: String,
    /// How many.
    pub kept: KeptCount,
}

/// Captures of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct KeptDay {
    /// When it begins.
    pub from: WallTime,
    /// How many.
    pub kept: KeptCount,
}

/// Captures of one device in the last 24 hours, beside what it may spend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct KeptDevice {
    /// The device.
    pub device: DeviceId,
    /// How many came.
    pub kept: KeptCount,
    /// Its budget; absent if it has none, or does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<CaptureLimits>,
}

/// What was deleted. Its JSON is what the audit log holds the digest of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DeletionReceipt {
    /// Its number.
    pub id: u64,
    /// When.
    pub at: WallTime,
    /// Who, as in the audit log.
    pub by: String,
    /// Of which device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// Only these predictions; all of the device if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predictions: Vec<PredictionId>,
    /// Of which subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
    /// Why.
    pub reason: String,
    /// Captures that the hub had.
    pub captures: u64,
    /// Truths that the hub had.
    pub labels: u64,
    /// SHA-256 over a line each, in order: of a capture its device, prediction and the SHA-256 of its input as it was
    /// stored, of a truth its device, prediction and class, or number.
    pub digest: Digest,
    /// Versions of datasets that held some of it, and were withdrawn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub datasets: Vec<String>,
}

/// Whether what a receipt says holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DeletionProof {
    /// The entry of the audit log.
    pub entry: u64,
    /// Its hash, over this entry and all before it.
    pub hash: Digest,
    /// Whether the entry is of this receipt, and it and all entries after it are as they were written.
    pub whole: bool,
    /// What is wrong, if anything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
    /// Captures and truths that the hub has of what was deleted: 0.
    pub left: u64,
    /// Devices that have to forget it too.
    pub devices: u64,
    /// Of these, those that said that they did.
    pub confirmed: u64,
    /// Of these, those whose agent is too old to be told.
    pub too_old: u64,
}

/// A deletion, and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DeletionView {
    /// What was deleted.
    pub receipt: DeletionReceipt,
    /// Whether that holds; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<DeletionProof>,
}
