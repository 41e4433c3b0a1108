//! What moved, as cards: what, where, since when, how sure that is, why, and what to do.

use maud::{Markup, html};
use tern_protocol::rest::{Detector, FindingEnd, FindingPlace, FindingView};

use crate::{
    access::role::Permission,
    dashboard::{form, format, icon::Icon, layout::Frame, parts},
};

/// The cards. `none` is said if there is nothing.
pub(in crate::dashboard) fn cards(frame: &Frame, all: &[FindingView], none: &Markup) -> Markup {
    html! {
        div #findings data-live {
            @if all.is_empty() { div.card { (parts::empty(none)) } }
            @for one in all { (card(frame, one)) }
        }
        (form::answer("finding-answer"))
    }
}

fn card(frame: &Frame, one: &FindingView) -> Markup {
    let scope = frame.scope;
    html! {
        article.card.finding #{ "finding-" (one.id) } data-key=(one.id) {
            div.row {
                span { (state(one)) " " b { (one.kind.word()) } " drift at " (places(frame, one)) }
                span.dim { "since " (parts::ago(one.since)) ", finding " (one.id) }
            }
            p { (one.text) }
            p.advice { (one.advice) }
            dl.facts {
                (parts::fact("Attributed to", &html! { (one.attribution.word())
                    @if let Some(version) = one.version { " " (parts::version(scope, &one.model, version)) } }))
                (parts::fact("Affected", &html! { (format::count(one.devices)) " of " (format::count(one.of_devices)) " devices" }))
                (parts::fact("Based on", &html! { (format::count(one.samples)) " inferences" }))
                (parts::fact("Found", &html! { (parts::ago(one.opened)) span.dim { " " (match one.detector {
                    Detector::Drift => "against what is usual there",
                    Detector::Departure => "against what the version was trained on",
                }) } }))
                @if let Some(by) = one.explained_by { (parts::fact("Explained by", &html! { "finding " (by) })) }
                @if let Some(by) = &one.accepted_by { (parts::fact("Accepted by", &html! { (by) })) }
            }
            @if one.closed.is_none() && one.accepted_by.is_none() && frame.may(Permission::Operate) {
                div.buttons { button.small type="button" data-post=(scope.api(&format!("/findings/{}/accept", one.id)))
                    data-done={ "Finding " (one.id) " is accepted: it is the new normal." } data-answer="finding-answer" {
                    "Accept as the new normal"
                } }
            }
        }
    }
}

fn state(one: &FindingView) -> Markup {
    match (one.closed, one.end, &one.accepted_by) {
        (None, _, None) => parts::badge("bad", Icon::Cross, "open"),
        (None, _, Some(_)) => parts::badge("busy", Icon::Arrows, "being accepted"),
        (Some(_), Some(FindingEnd::Accepted), _) => parts::badge("off", Icon::Check, "accepted"),
        (Some(_), Some(FindingEnd::Explained), _) => {
            parts::badge("off", Icon::Forward, "explained")
        }
        (Some(_), Some(FindingEnd::Silent), _) => parts::badge("off", Icon::Slash, "silent"),
        (Some(_), Some(FindingEnd::Recovered) | None, _) => {
            parts::badge("ok", Icon::Check, "recovered")
        }
    }
}

fn places(frame: &Frame, one: &FindingView) -> Markup {
    html! {
        @for (index, place) in one.places.iter().enumerate() {
            @if index > 0 { ", " }
            @match place {
                FindingPlace::Fleet => { "all sites" }
                FindingPlace::Version(version) => { "devices with " (parts::version(frame.scope, &one.model, *version)) }
                FindingPlace::Site(site) => { (parts::site(frame.scope, site)) }
                FindingPlace::Device(device) => { (parts::device(frame.scope, device)) }
            }
        }
    }
}
