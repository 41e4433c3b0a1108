//! What a rollout decided, and on what evidence.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::time::WallTime;

/// What is known of one claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Verdict {
    /// There is as much evidence as was asked for, and it is within what is allowed.
    Pass,
    /// It is not known yet.
    Inconclusive,
    /// More harm than is allowed is proven.
    Fail,
}

impl Verdict {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "fail",
        }
    }
}

/// A mean or a difference of means, with the interval that contains the truth at all times at once with a chance of
/// 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Between {
    /// The estimate.
    pub mean: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What a gate says of the version, with its numbers. All shares are from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GateVerdict {
    /// The gate.
    pub gate: String,
    /// What it is compared with.
    pub against: Against,
    /// How much is allowed: at all, or more than the control.
    pub allowed: f64,
    /// The verdict.
    pub verdict: Verdict,
    /// It and its reason as a sentence.
    pub sentence: String,
    /// Devices with the version of which something is known.
    pub treated: u64,
    /// Devices of the control that they are compared with.
    pub control: u64,
    /// Mean over devices with the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub treated_mean: Option<f64>,
    /// Mean over devices of the control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_mean: Option<f64>,
    /// The mean, or by how much it is more than the control's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<Between>,
    /// Evidence for harm, corrected for the number of claims: the natural logarithm of an e-value.
    pub harm: f64,
    /// Evidence against harm, as natural logarithm.
    pub safe: f64,
    /// The chance that there would ever be as much evidence for harm were there none, at most; corrected likewise.
    pub p: f64,
}

/// What a mean is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Against {
    /// The control.
    Control,
    /// A fixed limit.
    Limit,
    /// Nothing: others decide.
    Others,
}

/// Something that a rollout or a person decided about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Decision {
    /// 1, 2, 3 …
    pub number: u32,
    /// When.
    pub at: WallTime,
    /// In which stage, from 1; 0 before the first.
    pub stage: u32,
    /// What.
    pub what: Deed,
    /// Who, if it was a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// It and its reason as a sentence.
    pub sentence: String,
    /// Devices by where they were.
    pub devices: DecidedOn,
    /// What the gates said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateVerdict>,
}

/// Devices when something was decided. Each counts once, by its final outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DecidedOn {
    /// Selected.
    pub selected: u64,
    /// Kept as control.
    pub control: u64,
    /// Admitted: to have the version.
    pub admitted: u64,
    /// Of those: serving it for good.
    pub confirmed: u64,
    /// Of those: refused it, or fell back.
    pub failed: u64,
    /// Of those: began to fetch and were not heard of in time.
    pub lost: u64,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Deed {
    /// The rollout began.
    Start,
    /// The next stage began.
    Advance,
    /// A person was asked.
    Ask,
    /// A person agreed that the next stage begins.
    Approve,
    /// Harm was proven: no more devices are moved.
    Hold,
    /// Harm was proven, or nothing in time: moved devices go back.
    Stop,
    /// All stages passed: the control gets the version as well.
    Release,
    /// Every device that was to have the version has come to an end.
    Complete,
    /// A person paused it.
    Pause,
    /// A person let it go on.
    Resume,
    /// A person ended it.
    Abort,
}

impl Deed {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Advance => "advance",
            Self::Ask => "ask",
            Self::Approve => "approve",
            Self::Hold => "hold",
            Self::Stop => "stop",
            Self::Release => "release",
            Self::Complete => "complete",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Abort => "abort",
        }
    }
}
