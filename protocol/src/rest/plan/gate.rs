//! What is asked of a version.

use alloc::{format, string::String, vec, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::id::MetricName;

use super::quantity::{Bytes, Share, Span};

/// A rule on evidence. Each device that has the version is compared with the control, or with a fixed limit, by what
/// it did since it has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Gate {
    /// Devices that refuse the version, fall back from it, or are lost. Has a limit only, since the control is not
    /// asked to change; also judged for each platform by itself.
    ServeFailure(Bound),
    /// Unit that got an error instead of an answer.
    Errors(Bound),
    /// Inferences that took longer than the budget.
    Latency(Budgeted<Span>),
    /// Predictions that turned out wrong, where the truth comes.
    Accuracy(Bound),
    /// Certainty that the version lacks: 1 minus the mean confidence of its predictions.
    Confidence(Bound),
    /// How far the mix of predicted classes is from what the fleet predicted before the rollout, as total variation
    /// distance.
    Mix(Bound),
    /// Devices that are not heard of for a while, after they were heard of once since they have the version.
    Silence(Unheard),
    /// Devices that start again.
    Restarts(Unheard),
    /// Windows in which the agent used more memory than the budget.
    Memory(Budgeted<Bytes>),
    /// Windows in which the agent used a larger share of one core than the budget.
    Cpu(Budgeted<Share>),
    /// Inputs on which a shadow answers otherwise than what serves. In shadow stages only; has a limit only.
    Disagreement(Bound),
    /// The mean of a metric that the bundles declare.
    Metric(MetricGate),
    /// Asks somebody else's program before a stage can pass.
    Webhook(WebhookGate),
}

/// What is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Bound {
    /// So much more than the control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<Share>,
    /// So much at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Share>,
    /// How sure one must be that it is not more.
    #[serde(skip_serializing_if = "is_estimate")]
    pub certainty: Certainty,
}

/// What is allowed of something that has a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Budgeted<T> {
    /// What is over it counts.
    pub budget: T,
    /// So much more than the control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<Share>,
    /// So much at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Share>,
    /// How sure one must be that it is not more.
    #[serde(default, skip_serializing_if = "is_estimate")]
    pub certainty: Certainty,
}

/// What is allowed of something that happens in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Unheard {
    /// Of silence: how long without a word counts. Of restarts: the time that is looked at. Each device is looked at
    /// after once, twice, four times … this long.
    #[serde(default = "quarter_of_an_hour")]
    pub after: Span,
    /// So much more than the control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<Share>,
    /// So much at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Share>,
    /// How sure one must be that it is not more.
    #[serde(default, skip_serializing_if = "is_estimate")]
    pub certainty: Certainty,
}

/// What is allowed of a metric that the bundles declare: of a counter what an inference adds to it, of others the mean of
/// their values. What a window says of it is taken for 0 at `best` and for 100 % at `worst`, and for no less and no more
/// beside them; shares are of the way from the one to the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MetricGate {
    /// Which metric.
    pub name: MetricName,
    /// The value that is as good as can be.
    pub best: f64,
    /// The value that is as bad as can be; above `best` if less is better, below it if more is.
    pub worst: f64,
    /// So much more than the control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<Share>,
    /// So much at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Share>,
    /// How sure one must be that it is not more.
    #[serde(default, skip_serializing_if = "is_estimate")]
    pub certainty: Certainty,
}

impl MetricGate {
    /// Whether there is a way from best to worst.
    pub fn is_a_way(&self) -> bool {
        let way = self.worst - self.best;
        self.best.is_finite() && self.worst.is_finite() && way.is_finite() && way != 0.0
    }

    /// How far a value is on the way from best to worst, 0 to 1.
    pub fn place(&self, value: f64) -> f64 {
        ((value - self.best) / (self.worst - self.best)).clamp(0.0, 1.0)
    }
}

/// How sure one must be that there is no harm before a gate passes. That there *is* harm must always be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Certainty {
    /// The minimum of evidence is there, and what it estimates is within what is allowed.
    #[default]
    Estimate,
    /// More harm than is allowed is refuted, at a chance of error of 5 %. Takes many devices: to refute a margin of 5 %
    /// a hundred or more.
    Proven,
}

/// A question to somebody else's program: `POST` of the rollout's stage, its gates' verdicts and numbers as JSON. It
/// answers with `{"verdict": "pass" | "fail" | "inconclusive", "reason": "…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WebhookGate {
    /// Where; `https`, or `http` to the hub's own machine.
    pub url: String,
    /// How long after an answer that is not a pass it is asked again.
    #[serde(default = "five_minutes")]
    pub every: Span,
}

/// What a gate counts, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// Devices by how they ended.
    Devices,
    /// What devices did in their windows.
    Windows,
    /// What devices did in time.
    Time,
    /// Predictions whose truth is known.
    Labels,
    /// Answers of somebody else.
    Answers,
}

impl Gate {
    /// What is asked of every version unless a plan says otherwise.
    pub(super) fn usual() -> Vec<Self> {
        let bound = |margin: u32| Bound {
            margin: Some(Share::percent(margin)),
            ..Bound::default()
        };
        let unheard = Unheard {
            after: quarter_of_an_hour(),
            margin: Some(Share::percent(10)),
            limit: None,
            certainty: Certainty::Estimate,
        };
        vec![
            Self::ServeFailure(Bound {
                limit: Some(Share::percent(10)),
                ..Bound::default()
            }),
            Self::Errors(bound(1)),
            Self::Silence(unheard),
            Self::Restarts(unheard),
        ]
    }

    /// Its name, as in a plan.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ServeFailure(_) => "serve-failure",
            Self::Errors(_) => "errors",
            Self::Latency(_) => "latency",
            Self::Accuracy(_) => "accuracy",
            Self::Confidence(_) => "confidence",
            Self::Mix(_) => "mix",
            Self::Silence(_) => "silence",
            Self::Restarts(_) => "restarts",
            Self::Memory(_) => "memory",
            Self::Cpu(_) => "cpu",
            Self::Disagreement(_) => "disagreement",
            Self::Metric(_) => "metric",
            Self::Webhook(_) => "webhook",
        }
    }

    /// As people tell gates of a plan apart: its name, and that of its metric if it is of one.
    pub fn title(&self) -> String {
        match self {
            Self::Metric(of) => format!("metric {}", of.name),
            _ => self.name().into(),
        }
    }

    /// What it allows; nothing for one that others decide.
    pub const fn bound(&self) -> Option<Bound> {
        macro_rules! bound {
            ($from:expr) => {
                Some(Bound {
                    margin: $from.margin,
                    limit: $from.limit,
                    certainty: $from.certainty,
                })
            };
        }
        match self {
            Self::ServeFailure(bound)
            | Self::Errors(bound)
            | Self::Accuracy(bound)
            | Self::Confidence(bound)
            | Self::Mix(bound)
            | Self::Disagreement(bound) => Some(*bound),
            Self::Latency(from) => bound!(from),
            Self::Memory(from) => bound!(from),
            Self::Cpu(from) => bound!(from),
            Self::Metric(from) => bound!(from),
            Self::Silence(from) | Self::Restarts(from) => bound!(from),
            Self::Webhook(_) => None,
        }
    }

    /// Whether it compares with the control.
    pub fn needs_control(&self) -> bool {
        self.bound().is_some_and(|bound| bound.margin.is_some())
    }

    /// What it counts.
    pub const fn counts(&self) -> Unit {
        match self {
            Self::ServeFailure(_) => Unit::Devices,
            Self::Errors(_)
            | Self::Latency(_)
            | Self::Confidence(_)
            | Self::Mix(_)
            | Self::Memory(_)
            | Self::Cpu(_)
            | Self::Metric(_)
            | Self::Disagreement(_) => Unit::Windows,
            Self::Silence(_) | Self::Restarts(_) => Unit::Time,
            Self::Accuracy(_) => Unit::Labels,
            Self::Webhook(_) => Unit::Answers,
        }
    }
}

const fn quarter_of_an_hour() -> Span {
    Span::minutes(15)
}

const fn five_minutes() -> Span {
    Span::minutes(5)
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde asks for"
)]
fn is_estimate(certainty: &Certainty) -> bool {
    *certainty == Certainty::Estimate
}
