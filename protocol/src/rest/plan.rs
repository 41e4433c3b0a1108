//! The plan of a rollout that decides by evidence: who gets a version when, what is asked of it there, and what
//! follows from the answers. Written by people as YAML or JSON, sent as JSON.
//!
//! Must never break: what is displayed parses to what it was; a plan that [`Plan::problems`] finds nothing wrong with
//! can be carried out.

mod calendar;
mod check;
mod gate;
mod quantity;

use alloc::{collections::BTreeMap, vec::Vec};
use serde::{Deserialize, Serialize};

pub use self::{
    calendar::{Calendar, Clock, Day, OpenHours},
    check::{GATES_MAX, PlanProblem, STAGES_MAX},
    gate::{Bound, Budgeted, Certainty, Gate, MetricGate, Unheard, Unit, WebhookGate},
    quantity::{Bytes, QuantityError, Share, Size, Span},
};
use crate::{
    id::{ModelName, ModelVersion, SlotName},
    rest::Selector,
};

/// A plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Plan {
    /// The slot to fill.
    pub slot: SlotName,
    /// With which model.
    pub model: ModelName,
    /// With which version of it; a template leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<ModelVersion>,
    /// Which devices: an expression such as `site in (harbour, hill) and not label.fragile`; all of the workspace by
    /// default.
    #[serde(
        default,
        deserialize_with = "selection",
        skip_serializing_if = "is_everything"
    )]
    pub selector: Selector,
    /// Devices that stay on what they have until the last stage has passed, so that what happens to all devices is
    /// not blamed on the version: a share of the selected ones, or a number.
    #[serde(default = "tenth")]
    pub control: Size,
    /// The stages, in order; each is larger than the one before. Those of the control are in none.
    pub stages: Vec<StagePlan>,
    /// What is asked of the version in every stage.
    #[serde(default = "usual_gates")]
    pub gates: Vec<Gate>,
    /// The chance, at most, that a version that does no harm is stopped, over all gates, stages and looks.
    #[serde(default = "twentieth")]
    pub false_stops: Share,
    /// How fast devices are moved.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pace: Pace,
    /// When devices may be moved; always by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<Calendar>,
    /// How often a device that refused the version is asked again, by the reason that it gave.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retry: Retry,
    /// A device that has begun to fetch and neither serves for good nor refuses after this long is *lost*, which
    /// counts as a failure.
    #[serde(default = "day")]
    pub deadline: Span,
    /// What becomes of devices that match only after the rollout was started.
    #[serde(default)]
    pub late: Late,
    /// Which of two rollouts has a device that both select: the one with the larger number, else the newer.
    #[serde(default)]
    pub precedence: u32,
    /// What follows from verdicts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on: Consequences,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StagePlan {
    /// Devices that have the version from this stage on: a share of those selected that are not control, or a number.
    pub to: Size,
    /// How long as many devices as `minimum` asks for must have served it before the stage can pass.
    #[serde(default = "half_an_hour")]
    pub soak: Span,
    /// The least that must be known before the stage can pass.
    #[serde(default)]
    pub minimum: Minimum,
    /// If the stage has not passed by then, a person is asked.
    #[serde(default = "week")]
    pub cap: Span,
    /// Whether a person has to agree before the stage after this one, however good the evidence.
    #[serde(default, skip_serializing_if = "is_default")]
    pub approval: bool,
    /// Whether devices only run the version beside what serves: nothing of it reaches a user. `to` says how many.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shadow: bool,
    /// Share of one processor that a shadow may take; inputs that it has no time for are passed over.
    #[serde(default = "twentieth", skip_serializing_if = "is_twentieth")]
    pub shadow_cpu: Share,
}

/// The least that must be known of the devices that a stage added. What is not given is half of those devices, and
/// one closed window of each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Minimum {
    /// Devices that serve the version for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<u64>,
    /// Windows that they closed. Known of each device is how often it doubled: 1, 2, 4 … of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub windows: Option<u64>,
    /// Inferences in those windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inferences: Option<u64>,
}

/// How fast devices are moved.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Pace {
    /// Devices a minute; as fast as it goes if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<u32>,
    /// Grows with success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub growth: Option<Growth>,
    /// Bytes that the devices moved in any 24 hours may have to fetch, if each fetches the whole version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_day: Option<Bytes>,
}

/// A pace that is multiplied by `factor` whenever `every` more devices serve the version for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Growth {
    /// By how much, more than 1 and at most 10.
    pub factor: f64,
    /// Devices.
    pub every: u32,
    /// Devices a minute at most.
    pub max: u32,
}

/// How often a device is asked again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Retry {
    /// Times, by the reason of the refusal; not at all for those that are not named.
    pub times: BTreeMap<Refusal, u32>,
    /// How long after a refusal. Until then the device is wanted to be what it was.
    pub after: Span,
}

impl Default for Retry {
    /// What may pass by itself is tried again: bytes that were damaged, room that lacked.
    fn default() -> Self {
        Self {
            times: [(Refusal::DigestMismatch, 2), (Refusal::NoSpace, 2)].into(),
            after: Span::minutes(30),
        }
    }
}

/// Why a device refused a version, as a plan names it: the words that devices report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[allow(missing_docs, reason = "explained at `RejectReason`")]
pub enum Refusal {
    DigestMismatch,
    BadManifest,
    NoSpace,
    NotLoadable,
    GoldenMismatch,
    FailedServing,
    AgentTooOld,
    Unsigned,
    Revoked,
    Exhausting,
}

impl Refusal {
    /// All.
    pub const ALL: [Self; 10] = [
        Self::DigestMismatch,
        Self::BadManifest,
        Self::NoSpace,
        Self::NotLoadable,
        Self::GoldenMismatch,
        Self::FailedServing,
        Self::AgentTooOld,
        Self::Unsigned,
        Self::Revoked,
        Self::Exhausting,
    ];

    /// The refusal with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::DigestMismatch => "digest-mismatch",
            Self::BadManifest => "bad-manifest",
            Self::NoSpace => "no-space",
            Self::NotLoadable => "not-loadable",
            Self::GoldenMismatch => "golden-mismatch",
            Self::FailedServing => "failed-serving",
            Self::AgentTooOld => "agent-too-old",
            Self::Unsigned => "unsigned",
            Self::Revoked => "revoked",
            Self::Exhausting => "exhausting",
        }
    }
}

impl From<crate::reported::RejectReason> for Refusal {
    fn from(reason: crate::reported::RejectReason) -> Self {
        use crate::reported::RejectReason as R;
        match reason {
            R::DigestMismatch => Self::DigestMismatch,
            R::BadManifest => Self::BadManifest,
            R::NoSpace => Self::NoSpace,
            R::NotLoadable => Self::NotLoadable,
            R::GoldenMismatch => Self::GoldenMismatch,
            R::FailedServing => Self::FailedServing,
            R::AgentTooOld => Self::AgentTooOld,
            R::Unsigned => Self::Unsigned,
            R::Revoked => Self::Revoked,
            R::Exhausting => Self::Exhausting,
        }
    }
}

/// What becomes of devices that match only after the rollout was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Late {
    /// Each takes the place that a stable hash of it and the rollout gives it: in a stage or in the control.
    #[default]
    Join,
    /// They are moved once the last stage has passed.
    Last,
    /// They are left alone.
    Ignore,
}

/// What follows from verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Consequences {
    /// All gates of a stage pass.
    pub pass: OnPass,
    /// A gate fails: harm is proven.
    pub fail: OnFail,
    /// A stage's cap is reached, and it is not known whether the version does harm. No choice leads to the next
    /// stage by itself.
    pub inconclusive: OnInconclusive,
}

/// What follows when all gates of a stage pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum OnPass {
    /// The next stage begins.
    #[default]
    Advance,
    /// A person is asked first, after each stage.
    Ask,
}

/// What follows when a gate fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum OnFail {
    /// The rollout ends, and devices that it moved go back to what they had.
    #[default]
    RollBack,
    /// No more devices are moved, and a person is asked.
    Hold,
}

/// What follows when a stage's cap is reached without proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum OnInconclusive {
    /// A person is asked; evidence that comes later still decides.
    #[default]
    Ask,
    /// The rollout ends, and devices that it moved go back to what they had.
    RollBack,
}

const fn tenth() -> Size {
    Size::Share(Share::percent(10))
}

const fn twentieth() -> Share {
    Share::percent(5)
}

const fn half_an_hour() -> Span {
    Span::minutes(30)
}

const fn day() -> Span {
    Span::minutes(24 * 60)
}

const fn week() -> Span {
    Span::minutes(7 * 24 * 60)
}

/// What is asked of every version unless a plan says otherwise: nothing that needs to know the model.
fn usual_gates() -> Vec<Gate> {
    Gate::usual()
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde asks for"
)]
fn is_twentieth(share: &Share) -> bool {
    *share == twentieth()
}

fn is_everything(selector: &Selector) -> bool {
    is_default(selector)
}

/// A selector as it is written for people, or as an object.
fn selection<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Selector, D::Error> {
    struct Either;
    impl<'de> serde::de::Visitor<'de> for Either {
        type Value = Selector;

        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("an expression such as `site in (a, b)`, or a selector")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Selector, E> {
            Ok(Selector {
                expression: Some(text.parse().map_err(E::custom)?),
                ..Selector::default()
            })
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Selector, A::Error> {
            Selector::deserialize(serde::de::value::MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_any(Either)
}

#[cfg(test)]
mod tests;
