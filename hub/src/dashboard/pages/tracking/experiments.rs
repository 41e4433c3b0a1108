//! `/experiments`: what was tried.

use maud::{Markup, html};
use tern_protocol::rest::ExperimentView;

use crate::dashboard::{
    format,
    icon::Icon,
    layout::{self, Frame, Room},
    parts,
};

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, all: &[ExperimentView]) -> Markup {
    let main = html! {
        (layout::heading(&html! { "Experiments" }, &html! {
            span #shown data-live { b { (format::count(all.len() as u64)) } (if all.len() == 1 { " experiment" } else { " experiments" }) }
        }, &html! {}))
        div #experiments.card.flush data-live {
            table.cards {
                thead { tr {
                    th scope="col" { "Experiment" }
                    th.end scope="col" { "Runs" }
                    th scope="col" { "Active" }
                    th.end scope="col" { "Last run" }
                } }
                tbody { @for one in all { (row(frame, one)) } }
            }
            @if all.iter().all(|one| one.runs == 0) { (how(frame)) }
        }
    };
    layout::page(frame, Room::Experiments, "Experiments", &main)
}

/// How the first run gets here.
fn how(frame: Frame) -> Markup {
    parts::empty(&html! {
        "No runs yet. Train with the MLflow client: set " code { "MLFLOW_TRACKING_URI" } " to the address of this hub, "
        code { "MLFLOW_TRACKING_TOKEN" } " to a token of workspace " (frame.scope.workspace()) " ("
        code { "tern token create training --role scientist" } "), and call "
        code { "mlflow.autolog()" } "."
    })
}

fn row(frame: Frame, one: &ExperimentView) -> Markup {
    html! {
        tr data-key=(one.id) {
            th scope="row" { a href=(frame.scope.page(&format!("/experiments/{}", one.id))) { (one.name) } }
            td.end data-name="Runs" { (format::count(one.runs)) }
            td data-name="Active" {
                @if one.running > 0 {
                    (parts::badge("busy", Icon::Arrows, &format!("{} running", one.running)))
                }
            }
            td.end data-name="Last run" {
                @if let Some(at) = one.last_run { (parts::ago(at)) } @else { span.dim { (format::NOTHING) } }
            }
        }
    }
}
