//! `/models`: what can be rolled out.

use maud::{Markup, html};
use tern_protocol::rest::ModelView;

use crate::dashboard::{
    attention, format,
    layout::{self, Frame, Room},
    pages::model::Keys,
    parts,
};

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, models: &[ModelView], keys: Keys) -> Markup {
    let main = html! {
        (layout::heading(&html! { "Models" }, &html! {
            span #shown data-live { b { (format::count(models.len() as u64)) } " in all" }
        }, &html! {}))
        @if keys == Keys::Development { (attention::development()) }
        div #models.card.flush data-live {
            @if models.is_empty() {
                (parts::empty(&html! {
                    "No models yet. Train and publish one: "
                    code { "tern-models train --out package" } " and then "
                    code { "tern model publish NAME package" }
                }))
            } @else {
                table.cards {
                    thead { tr {
                        th scope="col" { "Model" }
                        th.end scope="col" { "Versions" }
                        th scope="col" { "Newest" }
                        th.end scope="col" { "Validation accuracy" }
                        th.end scope="col" { "Devices serving" }
                        th.end scope="col" { "Published" }
                    } }
                    tbody {
                        @for model in models { (row(frame, model)) }
                    }
                }
            }
        }
    };
    layout::page(frame, Room::Models, "Models", &main)
}

fn row(frame: Frame, model: &ModelView) -> Markup {
    let newest = model.versions.first();
    let serving = model
        .versions
        .iter()
        .map(|version| version.devices_serving)
        .sum();
    html! {
        tr data-key=(model.name) {
            th scope="row" { a href=(frame.scope.page(&format!("/models/{}", model.name))) { (model.name) } }
            td.end data-name="Versions" { (format::count(model.versions.len() as u64)) }
            td data-name="Newest" {
                @if let Some(newest) = newest {
                    div { b { "v" (newest.version) } span.dim.text { " " (newest.note) } }
                } @else { span.dim { "none" } }
            }
            td.end data-name="Validation accuracy" {
                (newest.and_then(|newest| newest.validation_accuracy).map_or_else(|| format::NOTHING.into(), format::percent))
            }
            td.end data-name="Devices serving" { (format::count(serving)) }
            td.end data-name="Published" { (parts::ago(newest.map_or(model.created, |newest| newest.created))) }
        }
    }
}
