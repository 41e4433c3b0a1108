use alloc::{boxed::Box, collections::BTreeMap, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    id::{DeviceId, ModelName, ModelVersion, RolloutId, SiteName, SlotName},
    rest::{DecidedOn, Decision, Expression, GateVerdict, Plan, PlanProblem, Stage, Stages},
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
    /// Share of them; of a rollout with a plan, always 100.
    pub percent: u8,
    /// Its plan, if it decides by evidence; left out in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Box<Plan>>,
    /// Which of two rollouts has a device that both select: the one with the larger number, else the newer.
    #[serde(default)]
    pub precedence: u32,
    /// Its stage, from 1, and how many there are; absent without a plan, and before it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageOf>,
    /// What is known and was decided; absent without a plan, left out in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<EvidenceView>>,
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
    /// It has a plan, and needs a person: to approve the next stage, or to say what to do.
    Waiting,
    /// Every device of its share has come to an end, good or bad.
    Complete,
    /// A person ended it.
    Aborted,
    /// Evidence of harm ended it.
    Stopped,
    /// A newer rollout of the same slot took all its devices.
    Superseded,
}

impl RolloutState {
    /// Whether it will never act again.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Aborted | Self::Stopped | Self::Superseded)
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
    /// Its part in a rollout with a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// The stage, from 1, that admitted it, or in which it waits to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admitted: Option<u32>,
}

/// What part a device has in a rollout with a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Part {
    /// It gets the version in one of the stages.
    Treatment,
    /// It keeps what it has until the last stage has passed.
    Control,
    /// It came late, and gets the version once the last stage has passed.
    Last,
    /// It came late, and is left alone.
    Ignored,
}

impl Part {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Treatment => "treatment",
            Self::Control => "control",
            Self::Last => "last",
            Self::Ignored => "ignored",
        }
    }
}

/// A stage among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StageOf {
    /// Which, from 1.
    pub number: u32,
    /// Of how many.
    pub of: u32,
}

/// What a rollout knows and decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EvidenceView {
    /// When its stage began; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<WallTime>,
    /// Devices by where they are.
    pub devices: DecidedOn,
    /// Devices whose turn it is, and which pace, calendar or budget let wait.
    pub waiting: u64,
    /// What the stage as a whole still lacks, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacking: Option<String>,
    /// What each gate says now.
    pub gates: Vec<GateVerdict>,
    /// How evidence grew, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looks: Vec<Look>,
    /// What was decided, the oldest first.
    pub decisions: Vec<Decision>,
}

/// What the gates said at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Look {
    /// When.
    pub at: WallTime,
    /// In which stage, from 1.
    pub stage: u32,
    /// What.
    pub gates: Vec<GateVerdict>,
}

/// `POST /plans/check`: what would come of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PlanCheck {
    /// What is wrong with it; a rollout can be started only of a plan with none.
    pub problems: Vec<PlanProblem>,
    /// What may not be as it was meant.
    pub warnings: Vec<String>,
    /// Devices that match the selector and have the slot now.
    pub selected: u64,
    /// Devices that would be kept as control.
    pub control: u64,
    /// Devices that would have the version from each stage on.
    pub stages: Vec<u64>,
}

/// `POST /rollouts/{id}/replay`: whether what was decided follows from what is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Replay {
    /// Batches of evidence that were read.
    pub batches: u64,
    /// Events in them.
    pub events: u64,
    /// Whether every decision came out again, byte for byte.
    pub same: bool,
    /// The first decision that did not, as it is stored and as it came out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Box<ReplayDifference>>,
    /// The decisions as they came out.
    pub decisions: Vec<Decision>,
}

/// A decision that came out otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ReplayDifference {
    /// As it is stored; absent if none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<Decision>,
    /// As it came out; absent if none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computed: Option<Decision>,
}

/// Nothing is moved in a workspace until a person thaws it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Freeze {
    /// Since when.
    pub since: WallTime,
    /// By whom.
    pub by: String,
    /// Why; empty if nobody said.
    pub reason: String,
}

/// `POST /freeze`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewFreeze {
    /// Why.
    pub reason: String,
}

/// A plan that is kept for a model, to start rollouts of its versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PlanTemplate {
    /// Its name.
    pub name: String,
    /// The plan, without a version.
    pub plan: Plan,
    /// When it was last written.
    pub updated: WallTime,
    /// By whom.
    pub by: String,
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
