//! What is wrong with a rule, all of it at once and in words.

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};
use core::fmt;
use serde::{Deserialize, Serialize};

use super::{
    AlertCondition, AlertGroup, AlertRule, Judged, Level, MetricCondition, SilenceCondition,
};
use crate::rest::{Metric, Share, Span};

/// Longest time over which a metric is taken: a day. A look reads what lies in it.
pub const WINDOW_MAX: Span = Span::minutes(24 * 60);

/// Shortest time between two notices of the same.
const REPEAT_MIN: Span = Span::millis(1_000);

/// Longest time of a rule: a month.
const TIME_MAX: Span = Span::minutes(31 * 24 * 60);

/// Labels of a rule, at most.
const LABELS: usize = 16;

/// Longest label or value, in bytes.
const LABEL_MAX: usize = 128;

/// Longest suggestion, in bytes.
const ACTION_MAX: usize = 1_000;

/// Labels that say where an alert is, which a rule cannot set.
const OURS: [&str; 10] = [
    "alertname",
    "rule",
    "severity",
    "workspace",
    "model",
    "site",
    "version",
    "slot",
    "kind",
    "attribution",
];

/// Something that is wrong with rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RuleProblem {
    /// The line of the file, from 1; absent where there is no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Where, as a path: `rules[0].when.metric.above`; empty if the file cannot be read at all.
    pub at: String,
    /// What, and what to write instead.
    pub text: String,
}

impl fmt::Display for RuleProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.at.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        f.write_str(&self.text)
    }
}

struct Found(Vec<RuleProblem>);

impl Found {
    fn add(&mut self, at: &str, text: impl Into<String>) {
        self.0.push(RuleProblem {
            line: None,
            at: at.to_string(),
            text: text.into(),
        });
    }
}

impl AlertRule {
    /// All that is wrong with it; nothing if it can be looked at.
    pub fn problems(&self) -> Vec<RuleProblem> {
        let mut found = Found(Vec::new());
        for (at, span) in [
            ("for", self.lasting),
            ("resolve-after", self.resolve_after),
            ("cool-down", self.cool_down),
            ("gather", self.gather),
        ] {
            if span > TIME_MAX {
                found.add(at, format!("write at most {TIME_MAX}"));
            }
        }
        if let Some(repeat) = self.repeat {
            if repeat < REPEAT_MIN || repeat > TIME_MAX {
                found.add(
                    "repeat",
                    format!("write {REPEAT_MIN} to {TIME_MAX}, or leave it out for never"),
                );
            }
            if repeat < self.cool_down {
                found.add(
                    "repeat",
                    format!(
                        "is shorter than the cool-down ({}), which nothing breaks",
                        self.cool_down
                    ),
                );
            }
        }
        self.labels_are_right(&mut found);
        if self.action.len() > ACTION_MAX {
            found.add("action", format!("write at most {ACTION_MAX} bytes"));
        }
        match &self.when {
            AlertCondition::Finding(of) => {
                if of.min_share.is_some_and(|share| share == Share::percent(0)) {
                    found.add("when.finding.min-share", "is always reached; leave it out");
                }
            }
            AlertCondition::Metric(of) => metric_is_right(of, &mut found),
            AlertCondition::Silence(of) => silence_is_right(of, &mut found),
        }
        found.0
    }

    fn labels_are_right(&self, found: &mut Found) {
        if self.labels.len() > LABELS {
            found.add("labels", format!("write at most {LABELS}"));
        }
        for (name, value) in &self.labels {
            let at = format!("labels.{name}");
            // As Prometheus names labels, since Alertmanager gets them.
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !begins || !name.chars().all(plain) || name.len() > LABEL_MAX {
                found.add(
                    &at,
                    "a label is letters, digits and underscores, and begins with no digit",
                );
            } else if OURS.contains(&name.as_str()) {
                found.add(&at, "says where an alert is, and is set by what is found");
            }
            if value.is_empty() || value.len() > LABEL_MAX || value.chars().any(char::is_control) {
                found.add(
                    &at,
                    format!("its value is one line of 1 to {LABEL_MAX} bytes"),
                );
            }
        }
    }
}

fn metric_is_right(of: &MetricCondition, found: &mut Found) {
    let at = |field: &str| format!("when.metric.{field}");
    if of.window < Span::millis(1_000) || of.window > WINDOW_MAX {
        found.add(&at("window"), format!("write 1s to {WINDOW_MAX}"));
    }
    match (of.above, of.below) {
        (None, None) => found.add(
            &at("above"),
            "write what is too much (`above`), or too little (`below`)",
        ),
        (Some(_), Some(_)) => found.add(
            &at("below"),
            "write either `above` or `below`; two rules for both",
        ),
        _ => {}
    }
    for (field, level) in [
        ("above", of.above),
        ("below", of.below),
        ("clear", of.clear),
    ] {
        if level.is_some_and(|level| !level.suits(of.of)) {
            let text = match of.of {
                Metric::Latency => "write a time, such as 80ms",
                Metric::Traffic => "write a number of inferences a second, such as 12.5",
                Metric::Custom => {
                    "write a number, in the unit that the bundle says; of a counter, a second"
                }
                _ => "write a share, such as 5%",
            };
            found.add(&at(field), text);
        }
    }
    if of
        .above
        .is_some_and(|level| level == Level::Share(Share::percent(100)))
    {
        found.add(&at("above"), "nothing is above 100%");
    }
    if of.below.is_some_and(|level| level.value() <= 0.0) {
        found.add(&at("below"), "nothing is below zero");
    }
    if let Some(clear) = of.clear {
        let wrong = of.above.is_some_and(|above| clear.value() > above.value())
            || of.below.is_some_and(|below| clear.value() < below.value());
        if wrong {
            found.add(
                &at("clear"),
                "lies on the side of the alert, so it would be over while it goes on",
            );
        }
    }
    if of.minimum == 0 {
        found.add(
            &at("minimum"),
            "write at least 1: nothing is judged by nothing",
        );
    }
    if of.by == Judged::Interval && !matches!(of.of, Metric::Errors | Metric::Accuracy) {
        found.add(
            &at("by"),
            "an interval is known of errors and accuracy; write `estimate`",
        );
    }
    match (of.of, &of.name) {
        (Metric::Custom, None) => found.add(
            &at("name"),
            "write which metric of the bundle's own is meant",
        ),
        (Metric::Custom, Some(_)) if of.model.is_none() => {
            found.add(
                &at("model"),
                "write the model whose bundle declares the metric",
            );
        }
        (Metric::Custom, Some(_)) | (_, None) => {}
        (_, Some(_)) => found.add(
            &at("name"),
            "only metrics of a bundle's own (`of: custom`) have names; leave it out",
        ),
    }
    if of.version.is_some() && of.model.is_none() {
        found.add(
            &at("version"),
            "is a version of which model? Write `model` too",
        );
    }
    match (of.of, of.part.as_deref()) {
        (Metric::Prediction, None) => {
            found.add(&at("part"), "write the class whose share is meant");
        }
        (Metric::Latency, Some(part)) if !matches!(part, "p50" | "p90" | "p99") => {
            found.add(&at("part"), "write p50, p90 or p99");
        }
        (Metric::Custom, Some(part))
            if !matches!(part, "p50" | "p90" | "p99" | "mean" | "least" | "most") =>
        {
            found.add(
                &at("part"),
                "write p50, p90 or p99 of a histogram; mean, least or most of a gauge; nothing of a counter",
            );
        }
        (Metric::Prediction | Metric::Latency | Metric::Custom, _) | (_, None) => {}
        (_, Some(_)) => found.add(
            &at("part"),
            "only latency, predictions and metrics of a bundle's own have parts; leave it out",
        ),
    }
    if of.part.as_ref().is_some_and(|part| part.len() > LABEL_MAX) {
        found.add(&at("part"), format!("write at most {LABEL_MAX} bytes"));
    }
}

fn silence_is_right(of: &SilenceCondition, found: &mut Found) {
    let at = |field: &str| format!("when.silence.{field}");
    if matches!(of.group_by, AlertGroup::Version | AlertGroup::Model) {
        found.add(
            &at("group-by"),
            "silence is of sites or of the workspace: write `site` or `none`",
        );
    }
    if of.above == Share::percent(100) {
        found.add(
            &at("above"),
            "nothing is above 100%; a site that is gone is above 99%",
        );
    }
    if of.after < Span::millis(1_000) || of.after > TIME_MAX {
        found.add(&at("after"), format!("write 1s to {TIME_MAX}"));
    }
    if of.minimum == 0 {
        found.add(&at("minimum"), "write at least 1");
    }
}
