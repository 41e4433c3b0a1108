//! `/proposals`: what rounds ask people.

use maud::{Markup, html};
use tern_protocol::rest::{ProposalKind, ProposalState, ProposalView};

use super::{Tab, page as around, state};
use crate::dashboard::{format, layout::Frame, parts};

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, found: &[ProposalView], all: bool) -> Markup {
    let open = found.iter().filter(|one| one.state == ProposalState::Open);
    let below = html! {
        span #count data-live { b { (format::count(open.count() as u64)) } " wait for an answer" }
    };
    let content = html! {
        p.small {
            @if all { a href=(frame.scope.page("/proposals")) { "Only those that wait for an answer" } }
            @else { a href=(frame.scope.page("/proposals?all=1")) { "Also those that are over" } }
        }
        div #proposals.card.flush data-live { (list(frame, found)) }
    };
    around(frame, Tab::Proposals, &below, &content)
}

fn list(frame: Frame, found: &[ProposalView]) -> Markup {
    html! {
        @if found.is_empty() {
            (parts::empty(&html! { "Nothing waits for an answer. A model is trained anew by its policy; see " a href=(frame.scope.page("/retraining/policies")) { "Policies" } "." }))
        } @else {
            table.cards {
                thead { tr {
                    th scope="col" { "Question" }
                    th scope="col" { "Model" }
                    th.end scope="col" { "Round" }
                    th scope="col" { "Stands" }
                    th scope="col" { "Because" }
                    th scope="col" { "Since" }
                } }
                tbody {
                    @for one in found {
                        tr data-key=(one.id) {
                            th scope="row" { a href=(frame.scope.page(&format!("/proposals/{}", one.id))) { (about(one.kind)) } }
                            td data-name="Model" { a href=(frame.scope.page(&format!("/retraining/{}", one.model))) { (one.model) } }
                            td.end data-name="Round" { (one.round) }
                            td data-name="Stands" { (state(one.state)) }
                            td data-name="Because" { span.text { (because(one)) } }
                            td data-name="Since" { (parts::ago(one.at)) }
                        }
                    }
                }
            }
        }
    }
}

fn about(kind: ProposalKind) -> &'static str {
    match kind {
        ProposalKind::Training => "Train it anew?",
        ProposalKind::Unclear => "Is the new one better?",
        ProposalKind::Registration => "Register the new one?",
        ProposalKind::Rollout => "Roll the new one out?",
    }
}

fn because(one: &ProposalView) -> &str {
    let evidence = one.facts.as_ref().and_then(|facts| facts.evidence.first());
    evidence
        .or_else(|| one.sentences.first())
        .map_or("", String::as_str)
}
