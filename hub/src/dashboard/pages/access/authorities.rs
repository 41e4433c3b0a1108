//! `/access/authorities`: the hub's certificate authorities, for those who run it.

use maud::{Markup, html};
use tern_protocol::rest::{AuthorityView, Page};

use crate::dashboard::{
    format,
    icon::Icon,
    layout::Frame,
    pages::access::{self, Desk},
    parts,
};

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, authorities: &Page<AuthorityView>) -> Markup {
    let below = html! { "Who vouches for devices and for this hub" };
    let content = html! {
        div #authorities.card.flush data-live {
            @if authorities.items.is_empty() { (parts::empty(&html! { "No authority. The hub makes one when it starts." })) }
            @else { (table(frame, &authorities.items)) }
        }
        section.card aria-labelledby="change-title" {
            h2 #change-title { "To change them" }
            p { "Keys of authorities are handled on the hub's machine only:" }
            dl.facts.commands {
                (parts::fact("A new authority", &html! { code { "tern-hub ca rotate --data DIR" } }))
                (parts::fact("One from outside", &html! { code { "tern-hub ca import --data DIR" } }))
                (parts::fact("Trust one no more", &html! { code { "tern-hub ca retire --data DIR ID" } }))
            }
        }
    };
    access::page(frame, Desk::Authorities, &below, &content)
}

fn table(frame: Frame, authorities: &[AuthorityView]) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "Id" }
                th scope="col" { "State" }
                th scope="col" { "For" }
                th.end scope="col" { "Active identities" }
                th scope="col" { "Expires" }
                th scope="col" { "SHA-256 of its certificate" }
            } }
            tbody {
                @for one in authorities {
                    tr data-key=(one.id) {
                        th scope="row" { code { (one.id) } }
                        td data-name="State" {
                            @if one.not_after <= frame.now { (parts::badge("bad", Icon::Cross, "expired")) }
                            @else if one.issues { (parts::badge("ok", Icon::Check, "issues")) }
                            @else { (parts::badge("off", Icon::Forward, "trusted")) }
                        }
                        td data-name="For" {
                            @match &one.workspace { Some(workspace) => { "workspace " (workspace) } None => { "every workspace" } }
                        }
                        td.end data-name="Active identities" { (format::count(one.identities)) }
                        td data-name="Expires" { (parts::until(one.not_after)) }
                        td data-name="SHA-256" { code.digest { (one.fingerprint) } }
                    }
                }
            }
        }
    }
}
