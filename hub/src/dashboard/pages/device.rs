//! `/devices/{device}`: one device, and how far each slot got.

use maud::{Markup, html};
use tern_protocol::{
    id::SlotName,
    reported::{Phase, ShadowPhase},
    rest::{
        Chart, DeviceView, Doubt, IdentityView, Page, ProgressView, QuarantineView, ServingView,
        ShadowView, SlotView, TimelineEntry,
    },
};

use crate::{
    access::role::Permission,
    dashboard::{
        chart::{self, Figure, Shape},
        form, format,
        icon::Icon,
        layout::{self, Frame, Room},
        pages::access::{self, identities},
        parts,
        range::Range,
        scope::{Scope, query},
        timeline,
    },
};

/// The charts of a device.
pub(in crate::dashboard) struct Charts {
    /// Inferences a second.
    pub(in crate::dashboard) traffic: Chart,
    /// Latency quantiles.
    pub(in crate::dashboard) latency: Chart,
    /// Shares of the classes.
    pub(in crate::dashboard) prediction: Chart,
    /// Mean confidence.
    pub(in crate::dashboard) confidence: Chart,
}

/// A page of the device's timeline.
pub(in crate::dashboard) struct Story {
    /// Of this slot alone.
    pub(in crate::dashboard) slot: Option<SlotName>,
    /// Whether it begins with what is newest.
    pub(in crate::dashboard) newest: bool,
    /// The entries.
    pub(in crate::dashboard) entries: Page<TimelineEntry>,
}

/// The page.
pub(in crate::dashboard) fn page(
    frame: Frame,
    device: &DeviceView,
    speaks: Option<&IdentityView>,
    quarantined: &[QuarantineView],
    story: &Story,
    charts: &Charts,
    range: Range,
) -> Markup {
    let scope = frame.scope;
    let path = scope.page(&format!("/devices/{}", device.id));
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" { a href=(scope.page("/devices")) { "Devices" } }
        (layout::heading(&html! { (device.id) }, &health(device), &html! {}))
        section aria-labelledby="slots-title" {
            h2.apart #slots-title { "Slots" }
            div #slots data-live {
                @if device.slots.is_empty() {
                    div.card { (parts::empty(&html! { "This device has reported no slots. They stand in its configuration under " code { "[[slots]]" } "." })) }
                }
                @for slot in &device.slots { (self::slot(scope, slot)) }
            }
        }
        (self::story(scope, device, story))
        div.grid.two {
            section.card aria-labelledby="about-title" {
                h2 #about-title { "About" }
                div #about data-live { (about(scope, device)) }
            }
            section.card aria-labelledby="outbox-title" {
                h2 #outbox-title { "Telemetry" }
                div #outbox data-live { (outbox(device, quarantined)) }
            }
        }
        (identity(frame, device, speaks))
        section aria-labelledby="charts-title" {
            div.apart.row { h2 #charts-title { "Trends" } (range.choice(&path)) }
            div.grid.two { (figures(scope, &device.id, charts)) }
        }
    };
    layout::page(frame, Room::Devices, device.id.as_str(), &main)
}

/// What happened here and why, chapter by chapter.
fn story(scope: &Scope, device: &DeviceView, story: &Story) -> Markup {
    let address = |slot: Option<&str>, after: Option<&str>| {
        let asked = query(&[("slot", slot), ("after", after)]);
        scope.page(&format!("/devices/{}{asked}#timeline-title", device.id))
    };
    let slot = story.slot.as_ref().map(SlotName::as_str);
    html! {
        section.card aria-labelledby="timeline-title" {
            div.row.apart {
                h2 #timeline-title { "Timeline" }
                @if device.slots.len() > 1 {
                    nav.segments aria-label="Slot of the timeline" {
                        a href=(address(None, None)) aria-current=[slot.is_none().then_some("true")] { "All slots" }
                        @for known in &device.slots {
                            @let name = known.slot.as_str();
                            a href=(address(Some(name), None)) aria-current=[(slot == Some(name)).then_some("true")] { (name) }
                        }
                    }
                }
            }
            div #timeline data-live { (timeline::draw(scope, &story.entries.items)) }
            nav.turn #turn data-live aria-label="Pages of the timeline" {
                @if !story.newest { a href=(address(slot, None)) { "Newest" } }
                @if let Some(next) = &story.entries.next { a href=(address(slot, Some(next))) { "Older" } }
            }
        }
    }
}

fn health(device: &DeviceView) -> Markup {
    html! {
        span #health data-live {
            (parts::health(device.health))
            @if !device.health_reason.is_empty() { " " (device.health_reason) "," }
            span.dim { " last seen " (parts::ago(device.last_seen)) }
        }
    }
}

fn about(scope: &Scope, device: &DeviceView) -> Markup {
    let size = |size: Option<u64>| size.map_or_else(|| format::NOTHING.into(), format::bytes);
    let platform = &device.platform;
    html! {
        dl.facts {
            (parts::fact("Site", &parts::site(scope, &device.site)))
            (parts::fact("Labels", &html! {
                @if device.labels.is_empty() { span.dim { "none" } }
                @for (key, value) in &device.labels { span.chip data-key=(key) { (key) "=" b { (value) } } }
            }))
            (parts::fact("Platform", &html! {
                (told(&platform.os)) " " (platform.arch)
                @if platform.cpus > 0 { ", " (platform.cpus) " processors" }
            }))
            (parts::fact("Agent", &html! { (told(&device.agent)) }))
            (parts::fact("Agent's memory", &html! { (size(device.resources.agent_rss)) span.dim { " of " (size(device.resources.memory)) } }))
            (parts::fact("Free disk", &html! { (size(device.resources.disk_free)) }))
            (parts::fact("First seen", &parts::ago(device.first_seen)))
        }
    }
}

/// The key that speaks for the device, and its certificate.
fn identity(frame: Frame, device: &DeviceView, speaks: Option<&IdentityView>) -> Markup {
    let all = frame
        .scope
        .page(&format!("/access/identities?device={}", device.id));
    html! {
        section.card aria-labelledby="identity-title" {
            div.row.apart {
                h2 #identity-title { "Identity" }
                a.small href=(all) { "All its identities" }
            }
            (form::answer("answer"))
            div #identity data-live {
                @match speaks {
                    None => (parts::empty(&html! { "No key speaks for this device: it never joined, or its identity has ended." })),
                    Some(speaks) => {
                        dl.facts.pairs {
                            (parts::fact("State", &html! { (access::state(speaks.state)) " " (identities::revoke(frame, speaks)) }))
                            (parts::fact("Certificate", &access::certificate(speaks, frame.now)))
                            (parts::fact("Key", &html! { code title=(speaks.key) { (speaks.key.short()) } }))
                            @if let Some(certificate) = &speaks.certificate {
                                (parts::fact("Expires", &parts::until(certificate.not_after)))
                                (parts::fact("Issued", &parts::ago(certificate.not_before)))
                                (parts::fact("Authority", &html! { code { (certificate.authority) } }))
                                (parts::fact("Serial", &html! { code { (certificate.serial) } }))
                            }
                            (parts::fact("Joined", &html! { (parts::ago(speaks.joined_at)) span.dim { " from " (speaks.joined_from) } }))
                            @if let Some(hardware) = &speaks.hardware_id { (parts::fact("Hardware", &html! { code { (hardware) } })) }
                        }
                    }
                }
            }
        }
        @if frame.may(Permission::Operate) { (identities::revocation()) }
    }
}

/// What a device said, or a dash if it said nothing.
fn told(text: &str) -> &str {
    if text.is_empty() {
        format::NOTHING
    } else {
        text
    }
}

fn outbox(device: &DeviceView, quarantined: &[QuarantineView]) -> Markup {
    let outbox = &device.outbox;
    html! {
        dl.facts {
            (parts::fact("Inferences counted", &html! { (format::count(device.inferences)) }))
            (parts::fact("Windows stored", &html! { (format::count(device.windows)) }))
            @if !quarantined.is_empty() { (parts::fact("In quarantine", &html! {
                @for of in quarantined {
                    div.warn-text {
                        (format::count(of.windows)) " windows, " (format::count(of.inferences)) " inferences, "
                        (why(of.doubt)) span.dim { ", up to " (parts::ago(of.latest)) }
                    }
                }
                small.dim { "They count, and no chart draws them." }
            })) }
            (parts::fact("Waiting in outbox", &html! { (format::count(outbox.entries)) span.dim { " entries, " (format::bytes(outbox.bytes)) } }))
            (parts::fact("Merged under pressure", &html! { (format::count(outbox.merged)) span.dim { " windows" } }))
            (parts::fact("Dropped under pressure", &html! { (format::count(outbox.dropped)) span.dim { " captures" } }))
            (parts::fact("Desired state", &html! {
                @if device.reported_revision >= device.desired_revision {
                    "acted on " span.dim { "revision " (device.desired_revision) }
                } @else {
                    "behind " span.dim { "wanted revision " (device.desired_revision) ", acted on " (device.reported_revision) }
                }
            }))
            (parts::fact("Signed metadata", &trust(device)))
            @if let Some(deltas) = device.deltas { (parts::fact("Deltas", &html! {
                (format::count(deltas.applied)) " applied, " (format::bytes(deltas.bytes_saved)) " did not travel"
                @if deltas.failed > 0 { ", " (format::count(deltas.failed)) " of no use" }
                span.dim { " since its start" }
            })) }
            (parts::fact("Unreadable messages", &html! { (format::count(device.malformed)) span.dim { " since its start" } }))
        }
    }
}

fn why(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::NoClock => "of starts that the hub never heard of, by a clock that was not set",
        Doubt::Future => "later than they can have been",
        Doubt::Impossible => "with times that cannot be",
    }
}

/// Which signed metadata the device goes by.
fn trust(device: &DeviceView) -> Markup {
    html! {
        @match &device.trust {
            Some(trust) if trust.root > 0 => {
                "root " (trust.root) ", targets " (trust.targets)
                @if let Some(expires) = trust.expires { span.dim { " until " (parts::until(expires)) } }
            }
            _ => { span.dim { "none yet" } }
        }
        @if let Some(problem) = device.trust.as_ref().and_then(|trust| trust.problem.as_ref()) {
            p.bad.text { "newer ones are refused: " (problem) }
        }
    }
}

/// A slot: what was assigned, what is stored, loaded, serving and confirmed, apart, because an update may
/// stop between any two.
fn slot(scope: &Scope, slot: &SlotView) -> Markup {
    html! {
        article.card.slot data-key=(slot.slot) aria-label={ "Slot " (slot.slot) } {
            h3 { (slot.slot) }
            ol.stages {
                li.(if slot.assigned.is_some() { "done" } else { "none" }) {
                    span.step { "Assigned" }
                    @match &slot.assigned {
                        Some(of) => { (parts::version_ref(scope, of)) small { "wanted by the hub" } }
                        None => { span.dim { "nothing" } small { "no rollout picked it" } }
                    }
                }
                (stored(scope, slot))
                (loaded(scope, slot))
                (serving(slot))
                (confirmed(slot))
            }
            @if let Some(rejected) = &slot.rejected {
                div.alarm role="note" {
                    p { b { "Refused " (parts::version(scope, &rejected.model, rejected.version)) ": " (rejected.reason) } }
                    p.text { (rejected.text) }
                }
            }
            @if let Some(reason) = slot.serving.as_ref().and_then(|serving| serving.revoked.as_ref()) {
                div.alarm role="note" {
                    p { b { "What serves is revoked" } }
                    p.text { (reason) }
                }
            }
            @if let Some(previous) = &slot.previous {
                p.dim.small { "Would swap back to " (parts::version_ref(scope, previous)) }
            }
            @if let Some(shadow) = &slot.shadow { (self::shadow(scope, shadow)) }
        }
    }
}

/// What runs beside what serves.
fn shadow(scope: &Scope, shadow: &ShadowView) -> Markup {
    let of = parts::version(scope, &shadow.model, shadow.version);
    let phase = match shadow.phase {
        None => "wanted by the hub".into(),
        Some(ShadowPhase::Running) => {
            "runs on some of the same inputs, nobody gets its answers".into()
        }
        Some(phase) => phase.to_string(),
    };
    html! {
        @if let Some(reason) = shadow.reason {
            div.alarm role="note" {
                p { b { "Refused as shadow: " (of) ": " (reason) } }
                p.text { (shadow.text) }
            }
        } @else {
            p.dim.small {
                "Shadow " (of) ": " (phase)
                @match shadow.cpu_permille {
                    Some(permille) => {
                        ", up to " (permille.min(1000) / 10) "." (permille.min(1000) % 10) " % of a processor"
                    }
                    None => { ", not wanted any more" }
                }
            }
        }
    }
}

fn stored(scope: &Scope, slot: &SlotView) -> Markup {
    let here = |of: &ServingView| {
        slot.assigned
            .as_ref()
            .is_none_or(|want| want.model == of.model && want.version == of.version)
    };
    html! {
        @match (&slot.progress, &slot.serving) {
            (Some(progress), _) => { (coming(scope, progress)) }
            (None, Some(serving)) if here(serving) => {
                li.done { span.step { "Stored" } (parts::version(scope, &serving.model, serving.version)) small { "digests hold" } }
            }
            (None, _) if slot.rejected.is_some() => {
                li.failed { span.step { "Stored" } span.bad { "refused" } small { "see below" } }
            }
            _ => { li.none { span.step { "Stored" } span.dim { "nothing new" } small { "waits for the device" } } }
        }
    }
}

fn coming(scope: &Scope, progress: &ProgressView) -> Markup {
    let phase = match progress.phase {
        Phase::Fetching => "fetching",
        Phase::Verified => "digests hold, being vetted",
        Phase::Vetted | Phase::Waiting => "digests hold",
        Phase::Unsigned => "waits for signed metadata that list it",
    };
    let total = progress.bytes_total;
    let whole = matches!(
        progress.phase,
        Phase::Verified | Phase::Vetted | Phase::Waiting
    );
    html! {
        li.(if whole { "done" } else { "now" }) {
            span.step { "Stored" }
            (parts::version(scope, &progress.model, progress.version))
            @if !whole {
                progress max=(total.max(1)) value=(progress.bytes.min(total.max(1))) aria-label="Bytes on the device" {}
            }
            small {
                (phase) ", " (format::bytes(progress.bytes))
                @if total > 0 && !whole { " of " (format::bytes(total)) }
            }
        }
    }
}

/// What was vetted and is in memory: the version that comes, or else the one that answers.
fn loaded(scope: &Scope, slot: &SlotView) -> Markup {
    let coming = slot.progress.as_ref().and_then(|progress| {
        let waits = match progress.phase {
            Phase::Vetted => "vetted, about to take over",
            Phase::Waiting => "vetted, waits for its activation window",
            _ => return None,
        };
        Some((progress, waits))
    });
    html! {
        @match (coming, &slot.serving) {
            (Some((progress, waits)), _) => li.now {
                span.step { "Loaded" }
                (parts::version(scope, &progress.model, progress.version))
                small { (waits) }
            },
            (None, Some(serving)) => li.done {
                span.step { "Loaded" }
                (parts::version(scope, &serving.model, serving.version))
                small {
                    "golden samples off by at most " (format::difference(serving.golden_difference))
                    @if let Some(since) = serving.since { ", since " (parts::ago(since)) }
                }
            },
            (None, None) => li.none { span.step { "Loaded" } span.dim { "nothing" } small { "nothing is in memory" } },
        }
    }
}

/// What answers requests, and whether that is what was published.
fn serving(slot: &SlotView) -> Markup {
    html! {
        @match &slot.serving {
            Some(serving) => li.(if serving.proven { "done" } else { "failed" }) {
                span.step { "Serving" }
                (parts::verdict(serving.proven, "digest matches", "digest differs"))
                small {
                    "v" (serving.version) ", weights " code { (serving.weights.short()) } ", "
                    (format::count(serving.inferences)) " inferences"
                    @if serving.errors > 0 { ", " span.bad { (format::count(serving.errors)) " errors" } }
                }
            },
            None => li.none { span.step { "Serving" } span.dim { "nothing" } small { "requests get an error" } },
        }
    }
}

fn confirmed(slot: &SlotView) -> Markup {
    html! {
        @match &slot.serving {
            Some(serving) if serving.confirmed => li.done {
                span.step { "Confirmed" } (parts::verdict(true, "trial passed", "")) small { "v" (serving.version) " stays" }
            },
            Some(serving) => li.now {
                span.step { "Confirmed" } (parts::badge("busy", Icon::Arrows, "on trial"))
                small { "v" (serving.version) " is swapped back at once if it fails" }
            },
            None => li.none { span.step { "Confirmed" } span.dim { "nothing" } small { "nothing is on trial" } },
        }
    }
}

fn figures(scope: &Scope, device: &tern_protocol::id::DeviceId, charts: &Charts) -> Markup {
    const HINT: &str = "Appears when the device has answered requests for one telemetry window.";
    let figure = |id, title, shape, chart| {
        Figure {
            id,
            title,
            hint: HINT,
            shape,
            chart,
            csv: chart::csv(scope, chart, &[("device", Some(device.as_str()))]),
            notes: &[],
        }
        .draw()
    };
    html! {
        (figure("chart-traffic", "Inferences per second", Shape::Lines, &charts.traffic))
        (figure("chart-latency", "Latency", Shape::Lines, &charts.latency))
        (figure("chart-prediction", "Prediction mix", Shape::Stack, &charts.prediction))
        (figure("chart-confidence", "Mean confidence", Shape::Lines, &charts.confidence))
    }
}
