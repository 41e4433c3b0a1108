//! A rule: what it looks at, when that is an alert, and how people hear of it.

use alloc::{
    collections::BTreeMap,
    string::{String, ToString as _},
    vec::Vec,
};
use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};

use super::Level;
use crate::{
    id::{MetricName, ModelName, ModelVersion, RuleName, SiteName},
    rest::{Attribution, FindingKind, Metric, Share, Span},
};

/// A file of rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RuleFile {
    /// The rules.
    pub rules: Vec<AlertRule>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AlertRule {
    /// Its name; one of the same name takes its place.
    pub name: RuleName,
    /// Whether it is looked at; `false` turns it off, also one that every workspace has.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enabled: bool,
    /// How much of a person's time it is worth.
    #[serde(default)]
    pub severity: AlertSeverity,
    /// What is looked at.
    pub when: AlertCondition,
    /// How long that has to hold before it is an alert; meanwhile it is pending.
    #[serde(default, rename = "for")]
    pub lasting: Span,
    /// How long all has to be well again before it is over.
    #[serde(default)]
    pub resolve_after: Span,
    /// After somebody was told of something, how long they are not told of the same again, whatever comes and goes.
    #[serde(default = "hour")]
    pub cool_down: Span,
    /// While it goes on and nobody acknowledged it, it is told again after this long; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Span>,
    /// What is told in one notice.
    #[serde(default)]
    pub together: Together,
    /// How long a notice waits for others that it tells together.
    #[serde(default = "ten_seconds")]
    pub gather: Span,
    /// Labels besides those that say where it is: `team: vision`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What to do about it; what the evidence suggests if empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub action: String,
}

/// How much of a person's time an alert is worth.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum AlertSeverity {
    /// Now.
    Page,
    /// This week.
    #[default]
    Ticket,
    /// None, until somebody looks.
    Info,
}

impl AlertSeverity {
    /// All of them, the worst first.
    pub const ALL: [Self; 3] = [Self::Page, Self::Ticket, Self::Info];

    /// The severity as one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
            Self::Info => "info",
        }
    }
}

impl FromStr for AlertSeverity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|one| one.word() == text);
        found.ok_or_else(|| "a severity is page, ticket or info".to_string())
    }
}

impl fmt::Display for AlertSeverity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What is told in one notice.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Together {
    /// All alerts of one rule.
    #[default]
    Rule,
    /// All alerts at one site, of all rules that say so.
    Site,
    /// Each by itself.
    None,
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum AlertCondition {
    /// Something was found to have moved; each finding is an alert.
    Finding(FindingCondition),
    /// A quantity is beyond a level.
    Metric(MetricCondition),
    /// Devices are not heard of.
    Silence(SilenceCondition),
}

/// Which findings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FindingCondition {
    /// What moved: one of these; anything if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<FindingKind>,
    /// Why: one of these; whatever the reason if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributions: Vec<Attribution>,
    /// Of this model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
    /// Only if it is about at least this share of the devices that have the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_share: Option<Share>,
}

/// What is measured, and what it is compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MetricCondition {
    /// The quantity.
    pub of: Metric,
    /// Of `custom`: which metric of the bundle's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<MetricName>,
    /// Of latency, which quantile: p50, p90 (the default) or p99. Of predictions, the class. Of `custom`: a quantile of
    /// a histogram (p90 by default), or mean (the default), least or most of a gauge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Of this model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
    /// Of this version of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<ModelVersion>,
    /// At this site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteName>,
    /// What is judged by itself.
    #[serde(default)]
    pub group_by: AlertGroup,
    /// Over how long it is taken.
    #[serde(default = "quarter_of_an_hour")]
    pub window: Span,
    /// More than this is an alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<Level>,
    /// Less than this is an alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<Level>,
    /// It is over only when this is reached again, so that what lies near the level does not come and go; the level
    /// itself if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear: Option<Level>,
    /// Requests or labels that it takes to judge; traffic is judged by any, and by none.
    #[serde(default = "hundred")]
    pub minimum: u64,
    /// What has to be beyond the level.
    #[serde(default)]
    pub by: Judged,
}

/// What has to be beyond a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Judged {
    /// The estimate.
    #[default]
    Estimate,
    /// The whole 95 % interval. Known of errors, where it says how much devices differ, and of accuracy.
    Interval,
}

/// What is judged by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum AlertGroup {
    /// All together.
    #[default]
    None,
    /// Each site.
    Site,
    /// Each version of each model.
    Version,
    /// Each model.
    Model,
}

/// Whose silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SilenceCondition {
    /// Of devices at this site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteName>,
    /// `site`: each by itself; `none`: the workspace.
    #[serde(default)]
    pub group_by: AlertGroup,
    /// A device that is not connected and was not heard of for so long is silent.
    #[serde(default = "ten_minutes")]
    pub after: Span,
    /// An alert if more than this share of the devices is silent.
    #[serde(default = "half")]
    pub above: Share,
    /// Devices that there have to be.
    #[serde(default = "one")]
    pub minimum: u64,
}

const fn yes() -> bool {
    true
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde asks for"
)]
const fn is_yes(enabled: &bool) -> bool {
    *enabled
}

const fn hour() -> Span {
    Span::minutes(60)
}

const fn ten_minutes() -> Span {
    Span::minutes(10)
}

const fn ten_seconds() -> Span {
    Span::millis(10_000)
}

const fn quarter_of_an_hour() -> Span {
    Span::minutes(15)
}

const fn hundred() -> u64 {
    100
}

const fn one() -> u64 {
    1
}

const fn half() -> Share {
    Share::percent(50)
}
