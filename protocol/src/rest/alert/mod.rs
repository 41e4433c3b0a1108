//! Alerts: rules as people write them, what became of them, and what a person can say about one.
//!
//! Rules are written as YAML or JSON and sent as JSON. Must never break: what is displayed parses to what it was; a
//! rule that [`AlertRule::problems`] finds nothing wrong with can be looked at.

mod act;
mod check;
mod level;
mod rule;
#[cfg(test)]
mod tests;
mod view;

pub use self::{
    act::{Acknowledge, Matcher, MatcherError, NewSilence, SilenceView},
    check::{RuleProblem, WINDOW_MAX},
    level::{Level, LevelError},
    rule::{
        AlertCondition, AlertGroup, AlertRule, AlertSeverity, FindingCondition, Judged,
        MetricCondition, RuleFile, SilenceCondition, Together,
    },
    view::{
        Acknowledged, AlertDetail, AlertEvent, AlertEventKind, AlertFacts, AlertRuleView,
        AlertState, AlertView, Measured, RuleCheck, RuleOrigin, RuleText, RulesApplied, WouldAlert,
    },
};
