//! `/access/identities`: keys that speak, spoke, or wanted to speak for devices, and their certificates.

use maud::{Markup, html};
use tern_protocol::rest::{IdentityState, IdentityView, Page};

use crate::{
    access::role::Permission,
    dashboard::{
        form::{self, Ask, Reason},
        format,
        layout::Frame,
        pages::access::{self, Desk},
        parts,
        scope::query,
    },
};

/// All states, as they are asked for.
pub(in crate::dashboard) const STATES: [(IdentityState, &str); 5] = [
    (IdentityState::Pending, "pending"),
    (IdentityState::Active, "active"),
    (IdentityState::Superseded, "superseded"),
    (IdentityState::Rejected, "rejected"),
    (IdentityState::Revoked, "revoked"),
];

/// What the list is narrowed to.
#[derive(Debug, Clone, Default)]
pub(in crate::dashboard) struct Filter {
    /// Identities in this state.
    pub(in crate::dashboard) state: Option<IdentityState>,
    /// Identities of this device.
    pub(in crate::dashboard) device: Option<String>,
}

impl Filter {
    fn state(&self) -> Option<&'static str> {
        let mut states = STATES.into_iter();
        states.find_map(|(state, word)| (self.state == Some(state)).then_some(word))
    }
}

/// The page.
pub(in crate::dashboard) fn page(
    frame: Frame,
    filter: &Filter,
    identities: &Page<IdentityView>,
) -> Markup {
    let path = frame.scope.page(Desk::Identities.path());
    let any = filter.state.is_some() || filter.device.is_some();
    let below = html! {
        span #count data-live { b { (format::count(identities.items.len() as u64)) } @if any { " match" } @else { " shown" } }
    };
    let content = html! {
        form.filter method="get" action=(path) data-filter {
            label { "State"
                select name="state" {
                    option value="" { "all" }
                    @for (state, word) in STATES { option value=(word) selected[filter.state == Some(state)] { (word) } }
                }
            }
            label { "Device"
                input name="device" value=[filter.device.as_deref()] autocomplete="off" spellcheck="false";
            }
            button type="submit" { "Filter" }
            @if any { a href=(path) { "Show all" } }
        }
        (form::answer("answer"))
        div #identities.card.flush data-live {
            @if identities.items.is_empty() {
                @if any { (parts::empty(&html! { "No identity matches. Loosen the filter above." })) }
                @else { (parts::empty(&html! { "No device has joined yet. Make an invitation, and run the command that it shows on the device." })) }
            } @else { (table(frame, &identities.items)) }
        }
        @if let Some(next) = &identities.next {
            nav.turn aria-label="Pages of the list" {
                a href={ (path) (query(&[("state", filter.state()), ("device", filter.device.as_deref()), ("after", Some(next))])) } { "Next page" }
            }
        }
        @if frame.may(Permission::Operate) { (revocation()) }
    };
    access::page(frame, Desk::Identities, &below, &content)
}

/// The question before an identity is revoked.
pub(in crate::dashboard) fn revocation() -> Markup {
    Ask {
        id: "revoke",
        question: "Revoke",
        text: "Its connection is cut within two seconds, and its key never gets in again. The device goes on \
               answering requests with the model that it has, and counts; to report again it has to be joined anew.",
        act: "Revoke",
        done: "Revoked.",
        reason: Reason::Taken,
        show: None,
    }
    .draw()
}

/// The button that asks.
pub(in crate::dashboard) fn revoke(frame: Frame, identity: &IdentityView) -> Markup {
    html! {
        @if identity.state == IdentityState::Active && frame.may(Permission::Operate) {
            button.danger.small type="button" data-ask="revoke" data-what=(identity.device)
                data-send=(frame.scope.api(&format!("/identities/{}/revoke", identity.id)))
                aria-label={ "Revoke identity " (identity.id) " of " (identity.device) } { "Revoke …" }
        }
    }
}

fn table(frame: Frame, identities: &[IdentityView]) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "Device" }
                th scope="col" { "State" }
                th scope="col" { "Certificate" }
                th scope="col" { "Expires" }
                th scope="col" { "Key" }
                th scope="col" { "Joined" }
                th.end scope="col" { span.spoken { "Actions" } }
            } }
            tbody {
                @for identity in identities {
                    tr data-key=(identity.id) {
                        th scope="row" { (parts::device(frame.scope, &identity.device)) }
                        td data-name="State" { div {
                            (access::state(identity.state))
                            @if !identity.reason.is_empty() { span.text.dim { (identity.reason) } }
                        } }
                        td data-name="Certificate" { (access::certificate(identity, frame.now)) }
                        td data-name="Expires" {
                            @match &identity.certificate {
                                Some(certificate) => { (parts::until(certificate.not_after)) }
                                None => { span.dim { (format::NOTHING) } }
                            }
                        }
                        td data-name="Key" { code title=(identity.key) { (identity.key.short()) } }
                        td data-name="Joined" { (parts::ago(identity.joined_at)) }
                        td.end data-name="" { (revoke(frame, identity)) }
                    }
                }
            }
        }
    }
}
