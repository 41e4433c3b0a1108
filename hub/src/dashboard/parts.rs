//! What several pages are made of: badges, links, times, empty states, events.

use maud::{Markup, html};
use tern_protocol::{
    id::{DeviceId, ModelName, ModelVersion, SiteName},
    rest::{
        EventView, Health, RolloutCounts, RolloutDeviceState, RolloutState, Stage, Stages,
        VersionRef, VersionView,
    },
    time::WallTime,
};

use super::{bar::Part, format, icon::Icon, scope::Scope};

/// How long ago; the browser keeps it up to date and shows the moment on hover.
pub(super) fn ago(at: WallTime) -> Markup {
    html! { time.ago datetime=(format::iso(at)) { (format::utc(at)) } }
}

/// In how long, or how long ago if it has passed; otherwise as [`ago`].
pub(super) fn until(at: WallTime) -> Markup {
    html! { time.ago.until datetime=(format::iso(at)) { (format::utc(at)) } }
}

/// A word with an icon and a colour; the word alone says it all.
pub(super) fn badge(tone: &str, icon: Icon, word: &str) -> Markup {
    html! { span.badge.(tone) { (icon.draw()) (word) } }
}

/// Health in one word.
pub(super) fn health_word(health: Health) -> &'static str {
    match health {
        Health::Healthy => "healthy",
        Health::Updating => "updating",
        Health::Failing => "failing",
        Health::Offline => "offline",
    }
}

/// Colour class of a health.
pub(super) fn health_tone(health: Health) -> &'static str {
    match health {
        Health::Healthy => "ok",
        Health::Updating => "busy",
        Health::Failing => "bad",
        Health::Offline => "off",
    }
}

/// All healths, best first.
pub(super) const HEALTHS: [Health; 4] = [
    Health::Healthy,
    Health::Updating,
    Health::Failing,
    Health::Offline,
];

/// Health as a badge.
pub(super) fn health(health: Health) -> Markup {
    let icon = match health {
        Health::Healthy => Icon::Check,
        Health::Updating => Icon::Arrows,
        Health::Failing => Icon::Cross,
        Health::Offline => Icon::Slash,
    };
    badge(health_tone(health), icon, health_word(health))
}

/// State of a rollout as a badge.
pub(super) fn rollout_state(state: RolloutState) -> Markup {
    match state {
        RolloutState::Running => badge("busy", Icon::Arrows, "running"),
        RolloutState::Paused => badge("warn", Icon::Pause, "paused"),
        RolloutState::Complete => badge("ok", Icon::Check, "complete"),
        RolloutState::Waiting => badge("warn", Icon::Pause, "waiting for a person"),
        RolloutState::Stopped => badge("bad", Icon::Cross, "stopped"),
        RolloutState::Aborted => badge("bad", Icon::Cross, "aborted"),
        RolloutState::Superseded => badge("off", Icon::Forward, "superseded"),
    }
}

/// State of a device in a rollout as a badge.
pub(super) fn rollout_device_state(state: RolloutDeviceState) -> Markup {
    match state {
        RolloutDeviceState::Waiting => badge("off", Icon::Dot, "waiting"),
        RolloutDeviceState::Assigned => badge("off", Icon::Dot, "assigned"),
        RolloutDeviceState::InProgress => badge("busy", Icon::Arrows, "in progress"),
        RolloutDeviceState::Serving => badge("ok", Icon::Check, "serving"),
        RolloutDeviceState::Failed => badge("bad", Icon::Cross, "failed"),
    }
}

/// What keeps devices from loading a version, if something does.
pub(super) fn signature(version: &VersionView) -> Markup {
    html! {
        @match (&version.revoked, version.signed) {
            (Some(revoked), _) => { " " span title=(revoked.reason) { (badge("bad", Icon::Cross, "revoked")) } }
            (None, false) => { " " (badge("warn", Icon::Pause, "not signed yet")) }
            (None, true) => {}
        }
        @if !version.lacks.is_empty() {
            " " span title=(lacks(version)) { (badge("bad", Icon::Cross, "damaged")) }
        }
    }
}

/// What the hub lacks of a version.
fn lacks(version: &VersionView) -> String {
    let parts: Vec<_> = version.lacks.iter().map(|part| part.word()).collect();
    format!(
        "The hub lacks {}; publish the same files again.",
        parts.join(", ")
    )
}

/// Yes or no with a colour.
pub(super) fn verdict(good: bool, yes: &str, no: &str) -> Markup {
    if good {
        badge("ok", Icon::Check, yes)
    } else {
        badge("bad", Icon::Cross, no)
    }
}

/// Devices of a rollout by where they are, as parts of a bar. What has not begun is the rest.
pub(super) fn rollout_parts(counts: &RolloutCounts) -> Vec<Part> {
    let part = |tone, name: &str, count| Part {
        tone,
        name: name.into(),
        label: html! { (name) },
        count,
    };
    vec![
        part("ok", "serving", counts.serving),
        part("busy", "in progress", counts.in_progress),
        part("soft", "assigned", counts.assigned),
        part("bad", "failed", counts.failed),
        part(
            "rest",
            "waiting",
            counts.selected.saturating_sub(counts.targeted),
        ),
    ]
}

/// How far something got, from all that want it to those that it is confirmed on.
pub(super) fn stages(stages: &Stages) -> Markup {
    let steps = [
        ("assigned", "soft", stages.assigned),
        ("stored", "busy", stages.stored),
        ("loaded", "busy", stages.loaded),
        ("serving", "ok", stages.serving),
        ("confirmed", "ok", stages.confirmed),
    ];
    html! {
        dl.funnel {
            @for (name, tone, count) in steps {
                div.(tone) data-key=(name) { dt { (name) } dd { (format::count(count)) } }
            }
        }
    }
}

/// How far the wanted version got in a slot, in one word.
pub(super) fn stage(stage: Stage) -> Markup {
    let (tone, icon) = match stage {
        Stage::Assigned => ("off", Icon::Dot),
        Stage::Fetching | Stage::Stored | Stage::Loaded => ("busy", Icon::Arrows),
        Stage::Serving | Stage::Confirmed => ("ok", Icon::Check),
    };
    badge(tone, icon, stage.word())
}

/// A device's name, linked.
pub(super) fn device(scope: &Scope, id: &DeviceId) -> Markup {
    html! { a href=(scope.page(&format!("/devices/{id}"))) { (id) } }
}

/// A site's name, linked to its devices.
pub(super) fn site(scope: &Scope, site: &SiteName) -> Markup {
    html! { a href=(scope.page(&format!("/devices?site={site}"))) { (site) } }
}

/// A model's version, linked to the model.
pub(super) fn version(scope: &Scope, model: &ModelName, version: ModelVersion) -> Markup {
    html! {
        a.version href=(scope.page(&format!("/models/{model}#v{version}"))) {
            (model) " " b { "v" (version) }
        }
    }
}

/// As [`version`].
pub(super) fn version_ref(scope: &Scope, of: &VersionRef) -> Markup {
    version(scope, &of.model, of.version)
}

/// Which colour a version has, wherever it is drawn. Neighbours differ; the ninth is like the
/// first.
pub(super) fn version_tone(version: ModelVersion) -> &'static str {
    series_tone(version.get() as usize - 1)
}

/// Colours of series in charts.
const SERIES_TONES: [&str; 8] = ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"];

/// Colour class of the series at `index`.
pub(super) fn series_tone(index: usize) -> &'static str {
    SERIES_TONES[index % SERIES_TONES.len()]
}

/// A name and what it stands for.
pub(super) fn fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// Says quietly what will make something appear here.
pub(super) fn empty(text: &Markup) -> Markup {
    html! { p.empty { (text) } }
}

/// A workspace without devices: how the first one gets there, with and without a login.
pub(super) fn no_devices() -> Markup {
    empty(&html! {
        "No devices yet. A device appears on its first contact: "
        code { "tern-agent run --config agent.toml" }
        ". On a hub with a login it joins first, with a token of " code { "tern device invite" } "."
    })
}

/// Events of a fleet, newest first.
pub(super) fn events(scope: &Scope, events: &[EventView]) -> Markup {
    if events.is_empty() {
        return empty(
            &html! { "Nothing has happened yet. Events appear when devices start and models move." },
        );
    }
    html! {
        ol.events {
            @for event in events {
                li data-key={ (event.at.0) "/" (event.device) "/" (event.kind) } {
                    (ago(event.at))
                    span.what {
                        (device(scope, &event.device)) " "
                        span.kind.(event_tone(&event.kind)) { (event.kind) }
                        @if let Some(of) = &event.version { " " (version_ref(scope, of)) }
                        @if let Some(slot) = &event.slot { span.dim { " in " (slot) } }
                        @if !event.text.is_empty() { span.dim.text { " · " (event.text) } }
                    }
                }
            }
        }
    }
}

/// Events that a person may have to act on stand out.
fn event_tone(kind: &str) -> &'static str {
    match kind {
        "rejected" | "swapped-back" | "malformed" => "bad",
        "serving" => "ok",
        _ => "plain",
    }
}
