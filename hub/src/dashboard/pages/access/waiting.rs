//! `/access`: devices that joined and wait until somebody accepts them, beside what they replace.

use maud::{Markup, html};
use tern_protocol::rest::IdentityView;

use crate::{
    access::role::Permission,
    dashboard::{
        form::{self, Ask, Reason},
        format,
        layout::Frame,
        pages::access::{self, Desk},
        parts,
    },
};

/// A device that waits, and the identity that accepting it would end.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::dashboard) struct Waiting {
    /// Who waits.
    pub(in crate::dashboard) pending: IdentityView,
    /// Who speaks for the same device until now.
    pub(in crate::dashboard) active: Option<IdentityView>,
}

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, waiting: &[Waiting]) -> Markup {
    let below = html! {
        span #count data-live { b { (format::count(waiting.len() as u64)) } " waiting" }
    };
    let content = html! {
        (form::answer("answer"))
        div #waiting.stack data-live {
            @if waiting.is_empty() {
                div.card { (parts::empty(&html! {
                    "Nobody waits. Devices wait here if their invitation asks for approval, or if a new key "
                    "turns up for a device that is known already."
                })) }
            }
            @for one in waiting { (card(frame, one)) }
        }
        @if frame.may(Permission::Operate) {
            (Ask {
                id: "reject",
                question: "Reject",
                text: "Its key never gets in. To try again, the device has to be joined with a new key.",
                act: "Reject",
                done: "Rejected.",
                reason: Reason::Taken,
                show: None,
            }.draw())
            (Ask {
                id: "replace",
                question: "Replace the identity of",
                text: "The key that speaks for this device now is cut off at once, and the new one takes its place.",
                act: "Replace",
                done: "Accepted; the former identity is superseded.",
                reason: Reason::Taken,
                show: None,
            }.draw())
        }
    };
    access::page(frame, Desk::Waiting, &below, &content)
}

fn card(frame: Frame, one: &Waiting) -> Markup {
    let pending = &one.pending;
    let call = |verb: &str| {
        frame
            .scope
            .api(&format!("/identities/{}/{verb}", pending.id))
    };
    html! {
        article.card data-key=(pending.id) aria-label={ "Device " (pending.device) } {
            div.row.apart {
                h2 { (parts::device(frame.scope, &pending.device)) }
                @if frame.may(Permission::Operate) {
                    div.buttons {
                        @if one.active.is_some() {
                            button type="button" data-ask="replace" data-send=(call("accept")) data-what=(pending.device) { "Accept …" }
                        } @else {
                            button type="button" data-post=(call("accept")) data-done={ "Accepted " (pending.device) "." } { "Accept" }
                        }
                        button.danger type="button" data-ask="reject" data-send=(call("reject")) data-what=(pending.device) { "Reject …" }
                    }
                }
            }
            @if !pending.reason.is_empty() { p.apart.text { (pending.reason) } }
            div.grid.two.beside {
                div { h3 { "Asks to join " (access::state(pending.state)) } (facts(pending, one.active.as_ref())) }
                @match &one.active {
                    Some(active) => div { h3 { "Speaks now " (access::state(active.state)) } (facts(active, Some(pending))) },
                    None => div { h3 { "Speaks now" } (parts::empty(&html! { "Nobody: this device is new." })) },
                }
            }
        }
    }
}

/// What is known of an identity; what differs from `other` is marked.
fn facts(identity: &IdentityView, other: Option<&IdentityView>) -> Markup {
    let hardware = |of: &IdentityView| of.hardware_id.clone();
    let differs = |same: bool| html! { @if !same { " " span.differs { "differs" } } };
    let same = |of: fn(&IdentityView, &IdentityView) -> bool| {
        other.is_none_or(|other| of(identity, other))
    };
    html! {
        dl.facts {
            (parts::fact("Key", &html! { code title=(identity.key) { (identity.key.short()) } (differs(same(|a, b| a.key == b.key))) }))
            (parts::fact("Hardware", &html! {
                @match hardware(identity) { Some(id) => { code { (id) } } None => { span.dim { "not told" } } }
                (differs(same(|a, b| a.hardware_id == b.hardware_id)))
            }))
            (parts::fact("Bound to", &html! {
                (access::bound(identity.site.as_ref(), &identity.labels))
                (differs(same(|a, b| a.site == b.site && a.labels == b.labels)))
            }))
            (parts::fact("Joined", &html! { (parts::ago(identity.joined_at)) span.dim { " from " (identity.joined_from) } }))
            (parts::fact("Invitation", &html! { (identity.invitation) (differs(same(|a, b| a.invitation == b.invitation))) }))
        }
    }
}
