//! `/rollouts/{id}`: one rollout, device by device, and the buttons that steer it.
//!
//! The buttons call the REST API from `rollout.js`; what it answers, problems included, is shown
//! beside them.

use maud::{Markup, html};
use tern_protocol::rest::{LineageOf, RolloutDevice, RolloutState, RolloutView};

use crate::{
    access::role::Permission,
    dashboard::{
        bar::{self, Empties},
        format,
        layout::{self, Frame, Room},
        pages::{evidence, lineage, rollouts},
        parts,
        scope::Scope,
    },
};

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, rollout: &RolloutView) -> Markup {
    let scope = frame.scope;
    let below = html! {
        span #state data-live {
            (parts::rollout_state(rollout.state)) " "
            @if !rollout.reason.is_empty() { (rollout.reason) " " }
        }
    };
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" { a href=(scope.page("/rollouts")) { "Rollouts" } " / " (rollout.id) }
        (layout::heading(&rollouts::name(rollout), &below, &html! {}))
        div.grid.wide-narrow {
            section.card aria-labelledby="progress-title" {
                h2 #progress-title { "Progress" }
                div #progress data-live {
                    (bar::with_legend("Devices of this rollout", &parts::rollout_parts(&rollout.counts), Empties::Named))
                    (parts::stages(&rollout.counts.stages))
                    dl.facts {
                        (lineage::fact(frame.scope, &LineageOf::Rollout(u64::from(rollout.id.0))))
                        (parts::fact("For", &html! {
                            @if rollout.plan.is_none() { (rollout.percent) " % of " }
                            (rollouts::selected(&rollout.selector))
                        }))
                        @if let Some(stage) = rollout.stage { (parts::fact("Stage", &html! { (stage.number) " of " (stage.of) })) }
                        @if rollout.precedence > 0 { (parts::fact("Precedence", &html! { (rollout.precedence) })) }
                        (parts::fact("Devices", &html! { (format::count(rollout.counts.targeted)) span.dim { " of " (format::count(rollout.counts.selected)) " selected" } }))
                        @for warning in &rollout.warnings { (parts::fact("Warning", &html! { (warning) })) }
                        (parts::fact("Started", &html! {
                            (parts::ago(rollout.created))
                            @if let Some(actor) = &rollout.actor { span.dim { " by " (actor) } }
                        }))
                        (parts::fact("Last change", &parts::ago(rollout.updated)))
                    }
                }
            }
            @if frame.may(Permission::Operate) { section.card aria-labelledby="steer-title" data-steer=(scope.api(&format!("/rollouts/{}", rollout.id))) {
                h2 #steer-title { "Actions" }
                div #steer data-live { (steer(rollout)) }
                p.answer #answer role="status" aria-live="polite" {}
            } }
        }
        @if frame.may(Permission::Operate) { (confirmation()) (approval(rollout)) }
        (evidence::rooms(scope, rollout))
        section aria-labelledby="devices-title" {
            h2.apart #devices-title { "Devices" }
            div #devices.card.flush data-live {
                @if rollout.devices.is_empty() {
                    (parts::empty(&html! { "No device matches yet. Devices that match later join by themselves." }))
                } @else { (devices(scope, &rollout.devices)) }
            }
        }
    };
    let title = format!(
        "{} v{}, rollout {}",
        rollout.model, rollout.version, rollout.id
    );
    layout::page(frame, Room::Rollouts, &title, &main)
}

fn steer(rollout: &RolloutView) -> Markup {
    if rollout.state.is_over() {
        return html! { p.dim { "This rollout has ended. Start another one to move its devices again." } };
    }
    let wider = rollout.percent < 100;
    html! {
        div.buttons {
            @if rollout.state == RolloutState::Paused {
                button type="button" data-do="resume" { "Resume" }
            } @else {
                button type="button" data-do="pause" disabled[rollout.state != RolloutState::Running] { "Pause" }
            }
            @if rollout.plan.is_some() && rollout.state != RolloutState::Complete {
                button type="button" data-ask="approve" { "Approve next stage …" }
            }
            button.danger type="button" data-ask="abort" { "Abort …" }
        }
        @if rollout.plan.is_none() { form.widen data-widen {
            label for="percent" { "Share of the selected devices, in percent" }
            input #percent name="percent" type="number" inputmode="numeric" min=(rollout.percent) max="100"
                value="100" required disabled[!wider];
            button type="submit" disabled[!wider] { "Widen" }
        } }
    }
}

/// What a person is told before the next stage begins by their word.
fn approval(rollout: &RolloutView) -> Markup {
    html! {
        dialog #approve aria-labelledby="approve-title" {
            form method="dialog" {
                h2 #approve-title { "Begin the next stage?" }
                p { (rollout.reason) }
                p { "More devices get the version, whatever the evidence says by now. Harm that is proven still stops it." }
                div.buttons {
                    button type="submit" value="cancel" { "Not yet" }
                    button type="submit" value="approve" { "Approve" }
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
                h2 #confirm-title { "Abort this rollout?" }
                p { "No further device is moved, and it cannot be resumed." }
                fieldset {
                    legend { "Devices that were moved" }
                    label.choice { input type="radio" name="moved" value="back" checked; " go back to the version they had" }
                    label.choice { input type="radio" name="moved" value="stay"; " stay on the new version" }
                }
                div.buttons {
                    button type="submit" value="cancel" { "Keep it" }
                    button.danger type="submit" value="abort" { "Abort rollout" }
                }
            }
        }
    }
}

fn devices(scope: &Scope, devices: &[RolloutDevice]) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "Device" }
                th scope="col" { "Site" }
                th scope="col" { "State" }
                th scope="col" { "Stage reached" }
                th scope="col" { "Download" }
                th.end scope="col" { "Previous version" }
                th scope="col" { "Reason" }
            } }
            tbody {
                @for device in devices {
                    tr data-key=(device.device) {
                        th scope="row" { (parts::device(scope, &device.device)) }
                        td data-name="Site" { (device.site) }
                        td data-name="State" { (parts::rollout_device_state(device.state)) }
                        td data-name="Stage reached" {
                            @match device.stage { Some(stage) => { (parts::stage(stage)) } None => { span.dim { (format::NOTHING) } } }
                        }
                        td data-name="Download" { (progress(device)) }
                        td.end data-name="Previous version" {
                            @match device.before {
                                Some(version) => { "v" (version) }
                                None => { span.dim { "nothing" } }
                            }
                        }
                        td data-name="Reason" { span.text {
                            @if device.reason.is_empty() { span.dim { (format::NOTHING) } } @else { (device.reason) }
                        } }
                    }
                }
            }
        }
    }
}

fn progress(device: &RolloutDevice) -> Markup {
    html! {
        @if let Some(share) = device.progress.filter(|share| share.is_finite()) {
            @let percent = (share.clamp(0.0, 1.0) * 100.0).floor();
            span.gauge { progress max="100" value=(percent) aria-label="Bytes on the device" {} (percent) " %" }
        } @else { span.dim { (format::NOTHING) } }
    }
}
