//! `/retraining`: the models that are trained anew, and how that stands.

use maud::{Markup, html};
use tern_protocol::rest::RetrainView;

use super::{Tab, page as around};
use crate::dashboard::{format, icon::Icon, layout::Frame, parts};

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, found: &[RetrainView]) -> Markup {
    let open = found.iter().filter(|one| one.round.is_some()).count() as u64;
    let below = html! {
        span #count data-live { b { (format::count(found.len() as u64)) } (if found.len() == 1 { " model, " } else { " models, " })
            b { (format::count(open)) } (if open == 1 { " round is open" } else { " rounds are open" }) }
    };
    let content = html! { div #rounds.card.flush data-live { (list(frame, found)) } };
    around(frame, Tab::Rounds, &below, &content)
}

fn list(frame: Frame, found: &[RetrainView]) -> Markup {
    html! {
        @if found.is_empty() {
            (parts::empty(&html! { "No model has a retraining policy. Write one under " a href=(frame.scope.page("/retraining/policies")) { "Policies" } "." }))
        } @else {
            table.cards {
                thead { tr {
                    th scope="col" { "Model" }
                    th scope="col" { "Policy" }
                    th.end scope="col" { "Round" }
                    th scope="col" { "Stage" }
                    th scope="col" { "Waits for" }
                } }
                tbody {
                    @for one in found {
                        tr data-key=(one.model) {
                            th scope="row" { a href=(frame.scope.page(&format!("/retraining/{}", one.model))) { (one.model) } }
                            td data-name="Policy" { @match &one.policy { Some(policy) => { (policy.mode) }, None => { span.dim { "none" } } } }
                            td.end data-name="Round" { (one.round.as_ref().map_or(one.rounds, |round| round.number)) }
                            td data-name="Stage" { div {
                                @match &one.round {
                                    Some(round) => { (parts::badge("busy", Icon::Arrows, round.stage.words())) " " (parts::ago(round.since)) }
                                    None => { span.dim { "no open round" } }
                                }
                            } }
                            td data-name="Waits for" { span.text { (one.waits) } }
                        }
                    }
                }
            }
        }
    }
}
