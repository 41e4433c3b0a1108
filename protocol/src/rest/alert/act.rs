//! What a person says about alerts: that they know, that they want to hear no more for a while.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};

use crate::{id::SilenceId, rest::Span, time::WallTime};

/// Somebody knows of an alert: it is not told again until it is over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Acknowledge {
    /// What they say about it.
    #[serde(default)]
    pub comment: String,
}

/// Nobody is told of what matches, for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewSilence {
    /// What an alert has to match, all of it: `rule=errors`, `site=harbour`, `model!=digits`.
    pub matchers: Vec<Matcher>,
    /// From when; now if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<WallTime>,
    /// For how long, at most a year: `2h`.
    pub lasting: Span,
    /// Why.
    #[serde(default)]
    pub comment: String,
}

/// A silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SilenceView {
    /// Its number in the workspace.
    pub id: SilenceId,
    /// What an alert has to match, all of it.
    pub matchers: Vec<Matcher>,
    /// From when.
    pub from: WallTime,
    /// Until when.
    pub until: WallTime,
    /// Who said so.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Alerts that it holds back now.
    pub alerts: u64,
}

impl SilenceView {
    /// Whether it holds at a moment for an alert with these labels.
    pub fn holds(&self, labels: &BTreeMap<String, String>, now: WallTime) -> bool {
        let all = |matcher: &Matcher| matcher.matches(labels);
        self.from <= now && now < self.until && self.matchers.iter().all(all)
    }
}

/// Why a text is no matcher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` matches nothing; write LABEL=VALUE or LABEL!=VALUE, such as rule=errors, site=harbour, version=1*"
)]
pub struct MatcherError(String);

/// What a label has to be, or not to be. A value that ends with `*` stands for all that begin like it; a label that an
/// alert does not have is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Matcher {
    label: String,
    negated: bool,
    value: String,
}

/// Longest matcher, in bytes.
const MATCHER_MAX: usize = 256;

impl Matcher {
    /// Whether labels are so.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.label).map_or("", String::as_str);
        let same = match self.value.strip_suffix('*') {
            Some(start) => value.starts_with(start),
            None => value == self.value,
        };
        same != self.negated
    }
}

impl FromStr for Matcher {
    type Err = MatcherError;

    fn from_str(text: &str) -> Result<Self, MatcherError> {
        let wrong = || MatcherError(text.chars().take(80).collect());
        let (label, value) = text.split_once('=').ok_or_else(wrong)?;
        let (label, negated) = match label.strip_suffix('!') {
            Some(label) => (label, true),
            None => (label, false),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let bad =
            label.is_empty() || !label.chars().all(plain) || value.chars().any(char::is_control);
        if bad || text.len() > MATCHER_MAX {
            return Err(wrong());
        }
        Ok(Self {
            label: label.into(),
            negated,
            value: value.into(),
        })
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = if self.negated { "!=" } else { "=" };
        write!(f, "{}{op}{}", self.label, self.value)
    }
}

crate::id::serde_as_text!(Matcher);
#[cfg(feature = "schema")]
crate::id::schema_as!(Matcher, String);
