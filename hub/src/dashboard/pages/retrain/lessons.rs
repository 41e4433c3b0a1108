//! `/retraining/lessons`: what rounds taught, above all challengers that were rejected, and why.

use maud::{Markup, html};
use tern_protocol::rest::LessonView;

use super::{Tab, outcome, page as around};
use crate::dashboard::{format, layout::Frame, parts};

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, found: &[LessonView]) -> Markup {
    let below = html! {
        span #count data-live { b { (format::count(found.len() as u64)) } (if found.len() == 1 { " round has ended" } else { " rounds have ended" }) }
    };
    let content = html! { div #lessons.card.flush data-live { (table(frame, found)) } };
    around(frame, Tab::Lessons, &below, &content)
}

/// The lessons, the latest first.
pub(super) fn table(frame: Frame, found: &[LessonView]) -> Markup {
    html! {
        @if found.is_empty() { (parts::empty(&html! { "No round of retraining has ended yet." })) }
        @else {
            table.cards {
                thead { tr {
                    th scope="col" { "Round" }
                    th scope="col" { "Ended" }
                    th scope="col" { "Outcome" }
                    th scope="col" { "Reason" }
                    th scope="col" { "Comparison" }
                    th.end scope="col" { "Core-seconds" }
                } }
                tbody {
                    @for one in found {
                        tr data-key={ (one.model) "-" (one.round) } {
                            th scope="row" { a href=(frame.scope.page(&format!("/retraining/{}", one.model))) { (one.model) } " " (one.round) }
                            td data-name="Ended" { (parts::ago(one.ended)) }
                            td data-name="Outcome" { div {
                                (outcome(one.outcome))
                                @if let Some(version) = one.version { " " a href=(frame.scope.page(&format!("/models/{}#v{version}", one.model))) { "v" (version) } }
                                p.small.dim.text { (one.text) }
                            } }
                            td data-name="Reason" { div { @for line in &one.evidence { p.small.text.clamp { (line) } } } }
                            td data-name="Comparison" {
                                @if one.comparison.is_empty() { span.dim { "none" } }
                                @else { details { summary.text { (one.comparison[0]) }
                                    @for line in &one.comparison[1..] { p.small.text { (line) } } } }
                            }
                            td.end data-name="Core-seconds" {
                                @match one.core_seconds { Some(took) => { (format::count(took)) }, None => { span.dim { "none" } } }
                            }
                        }
                    }
                }
            }
        }
    }
}
