use alloc::{collections::BTreeMap, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    id::{DeviceId, ModelName, ModelVersion, Revision, SiteName, SlotName},
    reported::{
        Deltas, OutboxReport, Phase, Platform, RejectReason, Resources, ShadowPhase, Trust,
    },
    rest::Stage,
    time::WallTime,
};

/// A device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DeviceView {
    /// Its id.
    pub id: DeviceId,
    /// Where it is.
    pub site: SiteName,
    /// What it is.
    pub labels: BTreeMap<String, String>,
    /// Connected.
    pub online: bool,
    /// One word for a person.
    pub health: Health,
    /// Why it is not healthy; empty if it is.
    pub health_reason: String,
    /// When it was first heard of.
    pub first_seen: WallTime,
    /// When it was last heard of.
    pub last_seen: WallTime,
    /// Version of its agent.
    pub agent: String,
    /// What it runs on.
    pub platform: Platform,
    /// What it has left.
    pub resources: Resources,
    /// The revision that the hub wants.
    pub desired_revision: Revision,
    /// The revision that the device acted on.
    pub reported_revision: Revision,
    /// Its slots.
    pub slots: Vec<SlotView>,
    /// Its outbox.
    pub outbox: OutboxReport,
    /// Inferences that the hub has counted from its windows, ever.
    pub inferences: u64,
    /// Windows stored from it, ever.
    pub windows: u64,
    /// MQTT messages that it could not read, since its boot.
    pub malformed: u64,
    /// Which signed metadata it goes by; none if it has not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// What came of deltas since its agent started; none if there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deltas: Option<Deltas>,
}

/// Health of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Health {
    /// Connected and serving what it should.
    Healthy,
    /// Connected and on its way to what it should serve.
    Updating,
    /// Connected, and it refused what it should serve, serves nothing at all, or serves what is revoked
    /// with nothing to take its place.
    Failing,
    /// Not connected.
    Offline,
}

/// A slot of a device: what was assigned, stored, loaded and proven, apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SlotView {
    /// Its name.
    pub slot: SlotName,
    /// What the hub wants there.
    pub assigned: Option<VersionRef>,
    /// How far that got; absent if nothing is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// What answers requests, as the device proves it.
    pub serving: Option<ServingView>,
    /// What would answer after a swap back.
    pub previous: Option<VersionRef>,
    /// What is on its way.
    pub progress: Option<ProgressView>,
    /// What it refused, and why.
    pub rejected: Option<RejectedView>,
    /// What runs beside what serves, or is to; absent if there is nothing of the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowView>,
}

/// A version that runs beside what serves, on some of the same inputs; nobody gets its answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ShadowView {
    /// The model.
    pub model: ModelName,
    /// Its version.
    pub version: ModelVersion,
    /// Share of one processor that it may take, in thousandths; absent if the hub does not want it any
    /// more and the device has not let it go yet.
    pub cpu_permille: Option<u16>,
    /// How far the device got with it; absent until it has said so.
    pub phase: Option<ShadowPhase>,
    /// Why it was refused, for programs; absent unless it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<RejectReason>,
    /// What happened, for people; empty unless it was refused.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// A model's version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct VersionRef {
    /// The model.
    pub model: ModelName,
    /// Its version.
    pub version: ModelVersion,
}

/// Proof of serving.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ServingView {
    /// The model.
    pub model: ModelName,
    /// Its version.
    pub version: ModelVersion,
    /// Digest of the ONNX bytes that were loaded.
    pub weights: Digest,
    /// Whether that is the digest that was published for this version.
    pub proven: bool,
    /// When it was loaded, as far as the hub can tell.
    pub since: Option<WallTime>,
    /// Inferences answered since then.
    pub inferences: u64,
    /// Requests that got an error, since then.
    pub errors: u64,
    /// Largest absolute difference from the golden outputs when it was loaded.
    pub golden_difference: f32,
    /// Whether its trial is over.
    pub confirmed: bool,
    /// Why the version is revoked, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
}

/// A bundle on its way into a slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ProgressView {
    /// The model.
    pub model: ModelName,
    /// Its version.
    pub version: ModelVersion,
    /// How far.
    pub phase: Phase,
    /// Bytes on the device.
    pub bytes: u64,
    /// Bytes in all; 0 before the manifest is there.
    pub bytes_total: u64,
}

/// A refused bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RejectedView {
    /// The model.
    pub model: ModelName,
    /// Its version.
    pub version: ModelVersion,
    /// Why, for programs.
    pub reason: RejectReason,
    /// Why, for people.
    pub text: String,
}

/// Something that happened on a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EventView {
    /// When, repaired by the hub's clock.
    pub at: WallTime,
    /// On which device.
    pub device: DeviceId,
    /// What: `started`, `fetching`, `verified`, `vetted`, `serving`, `rejected`, `swapped-back` …
    pub kind: String,
    /// In which slot.
    pub slot: Option<SlotName>,
    /// With which version.
    pub version: Option<VersionRef>,
    /// Details.
    pub text: String,
}
