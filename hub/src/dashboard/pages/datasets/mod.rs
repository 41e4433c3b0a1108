//! What models are trained on: datasets, and a version with its statistics and where it comes from.

pub(in crate::dashboard) mod list;
pub(in crate::dashboard) mod one;

use maud::{Markup, html};
use tern_protocol::rest::{DatasetState, DatasetView};

use crate::dashboard::{format, icon::Icon, parts, scope::Scope};

/// Where a version stands, as a badge.
fn state(view: &DatasetView) -> Markup {
    if view.withdrawn.is_some() {
        return parts::badge("bad", Icon::Slash, "withdrawn");
    }
    match view.state {
        DatasetState::Running => parts::badge("busy", Icon::Arrows, "being made"),
        DatasetState::Done => parts::badge("ok", Icon::Check, "done"),
        DatasetState::Failed => parts::badge("bad", Icon::Cross, "failed"),
        DatasetState::Stopped => parts::badge("off", Icon::Slash, "stopped"),
        DatasetState::Removed => parts::badge("off", Icon::Dot, "removed"),
    }
}

/// A version by its name, with the way there.
fn link(scope: &Scope, view: &DatasetView) -> Markup {
    html! { a href=(path(scope, view)) { (view.name) span.dim { "@" (view.number) } } }
}

fn path(scope: &Scope, view: &DatasetView) -> String {
    scope.page(&format!("/datasets/{}", view.title()))
}

/// How many rows it has of what.
fn rows(view: &DatasetView) -> [String; 3] {
    match &view.rows {
        Some(rows) => [
            rows.splits.train,
            rows.splits.held_out,
            rows.splits.kept_out,
        ]
        .map(format::count),
        None => [format::NOTHING; 3].map(str::to_owned),
    }
}

/// Versions, one a row.
fn table(scope: &Scope, all: &[DatasetView], heading: &str) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th scope="col" { (heading) }
                th scope="col" { "State" }
                th.end scope="col" { "To train on" }
                th.end scope="col" { "Held out" }
                th.end scope="col" { "Kept out" }
                th scope="col" { "Made" }
            } }
            tbody { @for one in all {
                @let [train, held_out, kept_out] = rows(one);
                tr data-key=(one.id) {
                    th scope="row" { (link(scope, one)) }
                    td data-name="State" { (state(one)) }
                    td.end data-name="To train on" { (train) }
                    td.end data-name="Held out" { (held_out) }
                    td.end data-name="Kept out" { (kept_out) }
                    td data-name="Made" { (how(one)) " by " (one.by) " " (parts::ago(one.at)) }
                }
            } }
        }
    }
}

/// How it is made, as one word.
fn how(view: &DatasetView) -> &'static str {
    match view.how.as_str() {
        "build" => "of captures",
        "import" => "of files",
        _ => "prepared",
    }
}
