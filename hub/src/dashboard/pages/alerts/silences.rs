//! `/alerts/silences`: what nobody is told of for a while.

use maud::{Markup, html};
use tern_protocol::rest::SilenceView;

use super::{Tab, detail::form_of_silence, page as around};
use crate::{
    access::role::Permission,
    dashboard::{
        form::{Ask, Reason},
        format,
        icon::Icon,
        layout::Frame,
        parts,
    },
};

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, silences: &[SilenceView]) -> Markup {
    let holds = silences
        .iter()
        .filter(|one| one.from <= frame.now && frame.now < one.until)
        .count() as u64;
    let below = html! { span #count data-live { b { (format::count(holds)) } " in force" } };
    let content = html! {
        @if frame.may(Permission::Operate) {
            details.card {
                summary { "Begin a silence" }
                (form_of_silence(frame, ""))
            }
        }
        div #silences.card.flush data-live {
            @if silences.is_empty() {
                (parts::empty(&html! { "No silence. One holds notices of alerts back while somebody works on a site, or for what is known." }))
            } @else { (table(frame, silences)) }
        }
        @if frame.may(Permission::Operate) {
            (Ask {
                id: "end",
                question: "End",
                text: "What it held back is told from now on.",
                act: "End silence",
                done: "Ended.",
                reason: Reason::None,
                show: None,
            }.draw())
        }
    };
    around(frame, Tab::Silences, &below, &content)
}

fn table(frame: Frame, silences: &[SilenceView]) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "Matches" }
                th scope="col" { "State" }
                th scope="col" { "Until" }
                th.end scope="col" { "Holds back" }
                th scope="col" { "By" }
                th scope="col" { "Why" }
                th.end scope="col" { span.spoken { "Actions" } }
            } }
            tbody {
                @for one in silences {
                    tr data-key=(one.id) {
                        th scope="row" { @for matcher in &one.matchers { span.chip { (matcher) } " " } }
                        td data-name="State" {
                            @if one.until <= frame.now { (parts::badge("off", Icon::Slash, "over")) }
                            @else if one.from > frame.now { (parts::badge("busy", Icon::Forward, "to come")) }
                            @else { (parts::badge("ok", Icon::Pause, "holds")) }
                        }
                        td data-name="Until" { (parts::until(one.until)) }
                        td.end data-name="Holds back" { (format::count(one.alerts)) }
                        td data-name="By" { span.text { (one.by) } }
                        td data-name="Why" { span.text { (one.comment) } }
                        td.end data-name="" {
                            @if one.until > frame.now && frame.may(Permission::Operate) {
                                button.small type="button" data-ask="end" data-method="DELETE" data-what={ "silence " (one.id) }
                                    data-send=(frame.scope.api(&format!("/alerts/silences/{}", one.id)))
                                    aria-label={ "End silence " (one.id) } { "End …" }
                            }
                        }
                    }
                }
            }
        }
    }
}
