//! Alerts and rules as they are shown.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::str::FromStr;
use serde::{Deserialize, Serialize};

use super::{AlertRule, AlertSeverity, RuleProblem};
use crate::{
    id::{AlertId, RuleName, SilenceId},
    time::WallTime,
};

/// How an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum AlertState {
    /// It goes on.
    Firing,
    /// It does not last for long enough yet.
    Pending,
    /// It is over.
    Resolved,
}

impl AlertState {
    /// All of them, the worst first.
    pub const ALL: [Self; 3] = [Self::Firing, Self::Pending, Self::Resolved];

    /// The state as one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Pending => "pending",
            Self::Resolved => "resolved",
        }
    }
}

impl FromStr for AlertState {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|one| one.word() == text);
        found.ok_or("a state is firing, pending or resolved")
    }
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Measured {
    /// The value.
    pub value: f64,
    /// Its unit, as that of charts: `ratio`, `us`, `1/s`.
    pub unit: String,
    /// What it is compared with.
    pub level: f64,
    /// Lower end of the 95 % interval, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end of the 95 % interval, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Requests, labels or devices that it stands on.
    pub n: u64,
}

/// What an alert stands on, as of the last look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AlertFacts {
    /// Where it is, and what the rule says of it: `rule`, `severity`, `workspace`, and `model`, `site`, `version`,
    /// `kind`, `attribution` where they are known.
    pub labels: BTreeMap<String, String>,
    /// What is the matter, in a line.
    pub summary: String,
    /// What that stands on.
    pub evidence: String,
    /// What to do.
    pub action: String,
    /// What was measured, if something was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// Devices that it is about.
    pub devices: u64,
    /// Of so many.
    pub of_devices: u64,
    /// The finding that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<i64>,
}

/// Somebody knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Acknowledged {
    /// Who.
    pub by: String,
    /// Since when.
    pub at: WallTime,
    /// What they said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AlertView {
    /// Its number in the hub.
    pub id: AlertId,
    /// By which rule.
    pub rule: RuleName,
    /// How much of a person's time it is worth.
    pub severity: AlertSeverity,
    /// How it stands.
    pub state: AlertState,
    /// What it stands on.
    #[serde(flatten)]
    pub facts: AlertFacts,
    /// Since when it is so.
    pub since: WallTime,
    /// Since when it is an alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired: Option<WallTime>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<WallTime>,
    /// Why it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// When receivers were last told that it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<WallTime>,
    /// Who knows of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledged>,
    /// The silence that holds it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silenced_by: Option<SilenceId>,
}

/// What happened to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum AlertEventKind {
    /// It began, and has to last.
    Pending,
    /// It is an alert.
    Firing,
    /// Receivers were told.
    Told,
    /// Somebody knows of it.
    Acknowledged,
    /// It is over.
    Resolved,
}

impl AlertEventKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Firing,
        Self::Told,
        Self::Acknowledged,
        Self::Resolved,
    ];

    /// The kind as one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Told => "told",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }
}

/// Something that happened to an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AlertEvent {
    /// When.
    pub at: WallTime,
    /// What.
    pub what: AlertEventKind,
    /// More about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// An alert with its history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AlertDetail {
    /// The alert.
    #[serde(flatten)]
    pub alert: AlertView,
    /// What happened to it, the oldest first.
    pub history: Vec<AlertEvent>,
}

/// Where a rule comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum RuleOrigin {
    /// Every workspace has it.
    Default,
    /// Every workspace has one of this name, and here it was changed or turned off.
    Changed,
    /// It was made here.
    Own,
}

impl RuleOrigin {
    /// The origin as one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Changed => "changed",
            Self::Own => "own",
        }
    }
}

/// A rule of a workspace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AlertRuleView {
    /// The rule, with all that it leaves to defaults.
    pub rule: AlertRule,
    /// Where it comes from.
    pub origin: RuleOrigin,
    /// Alerts by it that fire.
    pub firing: u64,
    /// Alerts by it that are pending.
    pub pending: u64,
    /// When it was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<WallTime>,
    /// Who changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// A file of rules as text, YAML or JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RuleText {
    /// The file.
    pub text: String,
    /// Whether rules of the workspace that are not in it go, so that the file says all; those that every workspace has
    /// are as they come then.
    #[serde(default)]
    pub prune: bool,
}

/// What would be an alert now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WouldAlert {
    /// By which rule.
    pub rule: RuleName,
    /// What it would say; nothing if all is well.
    pub summaries: Vec<String>,
}

/// What is wrong with a file of rules, and what it would say now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RuleCheck {
    /// All that is wrong; nothing if it can be applied.
    pub problems: Vec<RuleProblem>,
    /// Each rule with what it would say now; empty if something is wrong.
    pub now: Vec<WouldAlert>,
}

/// What a file of rules changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RulesApplied {
    /// Rules that are as the file says now.
    pub written: Vec<RuleName>,
    /// Rules that were so before.
    pub unchanged: Vec<RuleName>,
    /// Rules that went.
    pub removed: Vec<RuleName>,
}
