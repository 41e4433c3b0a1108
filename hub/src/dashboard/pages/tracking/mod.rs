//! What was tried: experiments, their runs, and a run with its curves.

pub(in crate::dashboard) mod experiment;
pub(in crate::dashboard) mod experiments;
pub(in crate::dashboard) mod run;

use maud::{Markup, html};
use tern_protocol::rest::RunView;

use crate::dashboard::{format, icon::Icon, parts};

/// Where a run stands, as a badge.
fn status(run: &RunView) -> Markup {
    match run.status.as_str() {
        "RUNNING" => parts::badge("busy", Icon::Arrows, "running"),
        "SCHEDULED" => parts::badge("off", Icon::Dot, "scheduled"),
        "FINISHED" => parts::badge("ok", Icon::Check, "finished"),
        "KILLED" => parts::badge("bad", Icon::Slash, "killed"),
        _ => parts::badge("bad", Icon::Cross, "failed"),
    }
}

/// A value of a metric in few digits; one that is no number is said so.
fn figure(value: Option<f64>) -> String {
    match value {
        None => "not a number".into(),
        Some(value) if value == 0.0 || (1e-3..1e6).contains(&value.abs()) => {
            let text = format!("{value:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Some(value) => format!("{value:.3e}"),
    }
}

/// How long a run took, if it ended.
fn took(run: &RunView) -> Markup {
    let ms = run
        .ended
        .map(|ended| ended.0.saturating_sub(run.started.0).max(0));
    html! { (ms.map_or_else(|| format::NOTHING.into(), |ms| format::microseconds(ms as f64 * 1e3))) }
}
