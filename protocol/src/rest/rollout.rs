use alloc::{collections::BTreeMap, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    id::{DeviceId, ModelName, ModelVersion, RolloutId, SiteName, SlotName},
    rest::{Expression, Stage, Stages},
    time::WallTime,
};

/// `POST /rollouts`: start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewRollout {
    /// The slot to fill.
    pub slot: SlotName,
    /// With which model.
    pub model: ModelName,
    /// With which version of it.
    pub version: ModelVersion,
    /// Which devices; all of the workspace by default.
    #[serde(default)]
    pub selector: Selector,
    /// Share of the selected devices to move, 1 to 100; the same devices stay in as it grows.
    #[serde(default = "all")]
    pub percent: u8,
}

fn all() -> u8 {
    100
}

/// Which devices: all that match every part.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Selector {
    /// At one of these sites; empty: at any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<SiteName>,
    /// With all these labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// One of these; empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceId>,
    /// Of which this holds: `site in (harbour, hill) and not label.fragile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<Expression>,
}

/// `POST /rollouts/{id}/widen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Widen {
    /// New share, 1 to 100, not under the old one.
    pub percent: u8,
}

/// `POST /rollouts/{id}/abort`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Abort {
    /// What becomes of devices that were moved.
    #[serde(default)]
    pub moved: Moved,
}

/// What an abort does with devices that were moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Moved {
    /// They go back to what they had before.
    #[default]
    Back,
    /// They stay where they are.
    Stay,
}

/// A rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RolloutView {
    /// Its id.
    pub id: RolloutId,
    /// The slot it fills.
    pub slot: SlotName,
    /// The model.
    pub model: ModelName,
    /// The version.
    pub version: ModelVersion,
    /// Which devices.
    pub selector: Selector,
    /// Share of them.
    pub percent: u8,
    /// How it stands.
    pub state: RolloutState,
    /// One sentence for a person.
    pub reason: String,
    /// When it was started.
    pub created: WallTime,
    /// Who started it, as in the audit log; absent if it is older than that was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// When it last changed.
    pub updated: WallTime,
    /// Devices by where they are.
    pub counts: RolloutCounts,
    /// What stands in the way on some of its devices, for people; left out in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Each device; left out in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<RolloutDevice>,
}

/// How a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum RolloutState {
    /// It assigns its version to devices.
    Running,
    /// It assigns nothing more until resumed.
    Paused,
    /// Every device of its share has come to an end, good or bad.
    Complete,
    /// A person ended it.
    Aborted,
    /// A newer rollout of the same slot took all its devices.
    Superseded,
}

impl RolloutState {
    /// Whether it will never act again.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Aborted | Self::Superseded)
    }
}

/// Devices of a rollout by where they are. Each device counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RolloutCounts {
    /// Selected by the selector.
    pub selected: u64,
    /// In the share now.
    pub targeted: u64,
    /// Assigned, and not heard of since.
    pub assigned: u64,
    /// Fetching, verifying, vetting.
    pub in_progress: u64,
    /// Proven to serve the version.
    pub serving: u64,
    /// Refused it.
    pub failed: u64,
    /// The same devices by how far its version got on them.
    #[serde(default)]
    pub stages: Stages,
}

/// A device in a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RolloutDevice {
    /// The device.
    pub device: DeviceId,
    /// Its site.
    pub site: SiteName,
    /// Where it is.
    pub state: RolloutDeviceState,
    /// How far the version got on it; absent before it is assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Share of the bytes that it has, 0 to 1, while in progress.
    pub progress: Option<f64>,
    /// Why it failed; empty if it did not.
    pub reason: String,
    /// The version that it had before.
    pub before: Option<ModelVersion>,
}

/// Where a device of a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum RolloutDeviceState {
    /// Selected, not in the share.
    Waiting,
    /// The hub wants it there; the device has not answered.
    Assigned,
    /// Fetching, verifying, vetting.
    InProgress,
    /// Proven to serve the version.
    Serving,
    /// Refused it.
    Failed,
}
