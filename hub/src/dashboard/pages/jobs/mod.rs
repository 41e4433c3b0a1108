//! Jobs, what they say and make, and where they run.

pub(in crate::dashboard) mod computes;
pub(in crate::dashboard) mod detail;
pub(in crate::dashboard) mod list;

use maud::{Markup, html};
use tern_protocol::{
    rest::{JobResources, JobState, JobView},
    time::WallTime,
};

use crate::dashboard::{format, icon::Icon, parts};

/// What a job is, as a badge.
fn state(state: JobState) -> Markup {
    match state {
        JobState::Queued => parts::badge("off", Icon::Dot, "queued"),
        JobState::Preparing => parts::badge("busy", Icon::Arrows, "preparing"),
        JobState::Running => parts::badge("busy", Icon::Arrows, "running"),
        JobState::Succeeded => parts::badge("ok", Icon::Check, "succeeded"),
        JobState::Failed => parts::badge("bad", Icon::Cross, "failed"),
        JobState::Cancelled => parts::badge("off", Icon::Slash, "cancelled"),
    }
}

/// Why it waits, or how it ended if that was not well.
fn note(job: &JobView) -> Option<&str> {
    let ended = job.ended.as_ref().map(|end| end.text.as_str());
    job.waits
        .as_deref()
        .or_else(|| ended.filter(|_| job.state != JobState::Succeeded))
}

/// Processor time.
fn cost(core_millis: u64) -> Markup {
    html! {
        @if core_millis == 0 { (format::NOTHING) }
        @else { (format!("{:.1}", core_millis as f64 / 1000.0)) " core-s" }
    }
}

/// How long it took, or takes until now.
fn took(job: &JobView, now: WallTime) -> Markup {
    let ended = job.finished.unwrap_or(now);
    let ms = job
        .started
        .map(|started| ended.0.saturating_sub(started.0).max(0));
    html! { (ms.map_or_else(|| format::NOTHING.into(), |ms| format::microseconds(ms as f64 * 1e3))) }
}

/// A time that somebody set, in the largest unit that it is whole in.
fn span(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let whole = units
        .into_iter()
        .find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    whole.map_or_else(
        || format!("{seconds} s"),
        |(unit, name)| format!("{} {name}", seconds / unit),
    )
}

/// Cores, memory, graphics processors.
fn resources(of: JobResources) -> Markup {
    html! {
        (f64::from(of.cpu_millis) / 1000.0) @if of.cpu_millis == 1000 { " core" } @else { " cores" }
        @if of.memory > 0 { ", " (format::bytes(of.memory)) }
        @if of.gpus > 0 { ", " (of.gpus) " GPU" }
    }
}
