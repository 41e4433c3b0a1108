//! `/rollouts`: what was started and how it stands.

use maud::{Markup, html};
use tern_protocol::rest::{RolloutView, Selector};

use crate::dashboard::{
    bar, format,
    layout::{self, Frame, Room},
    parts,
    scope::Scope,
};

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, rollouts: &[RolloutView]) -> Markup {
    let main = html! {
        (layout::heading(&html! { "Rollouts" }, &html! {
            span #shown data-live { b { (format::count(rollouts.len() as u64)) } ", newest first" }
        }, &html! {}))
        div #rollouts.card data-live {
            @if rollouts.is_empty() {
                (parts::empty(&html! {
                    "No rollouts yet. Start one: "
                    code { "tern rollout start MODEL@VERSION --slot SLOT --percent 25" }
                }))
            } @else {
                (list(frame.scope, rollouts))
            }
        }
    };
    layout::page(frame, Room::Rollouts, "Rollouts", &main)
}

/// Rollouts as a list with their progress.
pub(in crate::dashboard) fn list(scope: &Scope, rollouts: &[RolloutView]) -> Markup {
    html! {
        ol.rollouts {
            @for rollout in rollouts {
                li data-key=(rollout.id) {
                    div.row {
                        a.name href=(scope.page(&format!("/rollouts/{}", rollout.id))) { (name(rollout)) }
                        (parts::rollout_state(rollout.state))
                    }
                    (bar::alone("Devices", &parts::rollout_parts(&rollout.counts)))
                    div.row.dim {
                        span {
                            b { (format::count(rollout.counts.serving)) } " of "
                            (format::count(rollout.counts.targeted)) " serving, "
                            (format::count(rollout.counts.stages.confirmed)) " confirmed"
                            @if rollout.counts.failed > 0 { ", " span.bad { (format::count(rollout.counts.failed)) " failed" } }
                            ", " (rollout.percent) " % of " (selected(&rollout.selector))
                        }
                        (parts::ago(rollout.updated))
                    }
                }
            }
        }
    }
}

/// What a rollout does, in a line.
pub(in crate::dashboard) fn name(rollout: &RolloutView) -> Markup {
    html! { (rollout.model) " " b { "v" (rollout.version) } " into " (rollout.slot) }
}

/// Whom a rollout is for.
pub(in crate::dashboard) fn selected(selector: &Selector) -> Markup {
    let Selector {
        sites,
        labels,
        devices,
        expression,
    } = selector;
    html! {
        @if *selector == Selector::default() { "all devices" } @else {
            "devices"
            @if !sites.is_empty() { " at " (some(sites)) }
            @if !labels.is_empty() {
                " with "
                @for (index, (key, value)) in labels.iter().enumerate() {
                    @if index > 0 { ", " }
                    (key) "=" (value)
                }
            }
            @if !devices.is_empty() { " named " (some(devices)) }
            @if let Some(expression) = expression { " of which " code { (expression) } }
        }
    }
}

/// Names shown of a long list.
const NAMES: usize = 5;

fn some<T: std::fmt::Display>(names: &[T]) -> Markup {
    html! {
        @for (index, name) in names.iter().take(NAMES).enumerate() {
            @if index > 0 { ", " }
            (name)
        }
        @if names.len() > NAMES { " and " (names.len() - NAMES) " more" }
    }
}
