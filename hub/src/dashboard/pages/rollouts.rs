//! `/rollouts`: what was started and how it stands.

use maud::{Markup, html};
use tern_protocol::rest::{Freeze, RolloutState, RolloutView, Selector};

use crate::{
    access::role::Permission,
    dashboard::{
        bar, format,
        layout::{self, Frame, Room},
        parts,
        scope::Scope,
    },
};

/// The page.
pub(in crate::dashboard) fn page(
    frame: Frame,
    rollouts: &[RolloutView],
    frozen: Option<&Freeze>,
) -> Markup {
    let main = html! {
        (layout::heading(&html! { "Rollouts" }, &html! {
            span #shown data-live { b { (format::count(rollouts.len() as u64)) } (if rollouts.len() == 1 { " rollout" } else { " rollouts, newest first" }) }
        }, &html! {}))
        @if frame.may(Permission::Operate) {
            section.card data-steer=(frame.scope.api("")) aria-label="Freeze" {
                div #freeze data-live { (freeze(frozen)) }
                p.answer #answer role="status" aria-live="polite" {}
            }
            (confirmation())
        } @else if frozen.is_some() { div #freeze.card data-live { (freeze(frozen)) } }
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

/// Whether anything is moved at all, and the button that changes that.
fn freeze(frozen: Option<&Freeze>) -> Markup {
    html! {
        @match frozen {
            Some(frozen) => {
                p.text {
                    b { "Frozen" } ": no device is moved until somebody thaws it. "
                    (frozen.by) " froze it " (parts::ago(frozen.since))
                    @if !frozen.reason.is_empty() { ": " (frozen.reason) }
                }
                div.buttons { button type="button" data-do="thaw" { "Thaw" } }
            }
            None => {
                div.row {
                    span.dim { "In an emergency: stop all rollouts of this workspace while you find out what is wrong." }
                    button.danger type="button" data-ask="freeze" { "Freeze all rollouts …" }
                }
            }
        }
    }
}

/// Outside of everything that is live, so that it is never replaced while it is open.
fn confirmation() -> Markup {
    html! {
        dialog #confirm aria-labelledby="confirm-title" {
            form method="dialog" {
                h2 #confirm-title { "Freeze all rollouts?" }
                p { "No device of this workspace changes its version, not even back, until somebody thaws it. Devices keep serving, and evidence is still gathered." }
                label for="reason" { "Why, for those who find it frozen" }
                input #reason name="reason" type="text" maxlength="500" autocomplete="off";
                div.buttons {
                    button type="submit" value="cancel" { "Cancel" }
                    button.danger type="submit" value="freeze" { "Freeze" }
                }
            }
        }
    }
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
                    @if matches!(rollout.state, RolloutState::Waiting | RolloutState::Stopped) { p.why { (rollout.reason) } }
                    div.row.dim {
                        span {
                            b { (format::count(rollout.counts.serving)) } " of "
                            (format::count(rollout.counts.targeted)) " serving, "
                            (format::count(rollout.counts.stages.confirmed)) " confirmed"
                            @if rollout.counts.failed > 0 { ", " span.bad { (format::count(rollout.counts.failed)) " failed" } }
                            @match rollout.stage {
                                Some(stage) => { ", stage " (stage.number) " of " (stage.of) ", " (selected(&rollout.selector)) }
                                None => { ", " (rollout.percent) " % of " (selected(&rollout.selector)) }
                            }
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
    html! { (rollout.model) " " b { "v" (rollout.version) } " → slot " (rollout.slot) }
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
