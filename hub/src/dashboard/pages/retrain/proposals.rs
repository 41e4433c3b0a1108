//! `/proposals`: what rounds ask people.

use maud::{Markup, html};
use tern_protocol::rest::{ProposalKind, ProposalState, ProposalView};

use super::{Tab, page as around, state};
use crate::dashboard::{format, layout::Frame, parts};

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, found: &[ProposalView], all: bool) -> Markup {
    let open = found.iter().filter(|one| one.state == ProposalState::Open);
    let open = open.count() as u64;
    let below = html! {
        span #count data-live { b { (format::count(open)) } (if open == 1 { " proposal waits for an answer" } else { " proposals wait for an answer" }) }
    };
    let content = html! {
        p.small {
            @if all { a href=(frame.scope.page("/proposals")) { "Show open proposals only" } }
            @else { a href=(frame.scope.page("/proposals?all=1")) { "Show closed proposals too" } }
        }
        div #proposals.card.flush data-live { (list(frame, found)) }
    };
    around(frame, Tab::Proposals, &below, &content)
}

fn list(frame: Frame, found: &[ProposalView]) -> Markup {
    html! {
        @if found.is_empty() {
            (parts::empty(&html! { "No proposal waits for an answer. When a model is retrained is set by its policy: see " a href=(frame.scope.page("/retraining/policies")) { "Policies" } "." }))
        } @else {
            table.cards {
                thead { tr {
                    th scope="col" { "Question" }
                    th scope="col" { "Model" }
                    th.end scope="col" { "Round" }
                    th scope="col" { "State" }
                    th scope="col" { "Reason" }
                    th scope="col" { "Since" }
                } }
                tbody {
                    @for one in found {
                        tr data-key=(one.id) {
                            th scope="row" { a href=(frame.scope.page(&format!("/proposals/{}", one.id))) { (about(one.kind)) } }
                            td data-name="Model" { a href=(frame.scope.page(&format!("/retraining/{}", one.model))) { (one.model) } }
                            td.end data-name="Round" { (one.round) }
                            td data-name="State" { (state(one.state)) }
                            td data-name="Reason" { span.text.clamp { (because(one)) } }
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
        ProposalKind::Training => "Retrain the model?",
        ProposalKind::Unclear => "Is the new model better?",
        ProposalKind::Registration => "Register the new model?",
        ProposalKind::Rollout => "Roll out the new model?",
    }
}

fn because(one: &ProposalView) -> &str {
    let evidence = one.facts.as_ref().and_then(|facts| facts.evidence.first());
    evidence
        .or_else(|| one.sentences.first())
        .map_or("", String::as_str)
}
