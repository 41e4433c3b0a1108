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
        DatasetState::Running => parts::badge("busy", Icon::Arrows, "building"),
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
                th.end scope="col" { "Training rows" }
                th.end scope="col" { "Held-out rows" }
                th.end scope="col" { "Kept-out rows" }
                th scope="col" { "Created" }
            } }
            tbody { @for one in all {
                @let [train, held_out, kept_out] = rows(one);
                tr data-key=(one.id) {
                    th scope="row" { (link(scope, one)) }
                    td data-name="State" { (state(one)) }
                    td.end data-name="Training rows" { (train) }
                    td.end data-name="Held-out rows" { (held_out) }
                    td.end data-name="Kept-out rows" { (kept_out) }
                    td data-name="Created" { span.text { (how(one)) " by " (one.by) " " (parts::ago(one.at)) } }
                }
            } }
        }
    }
}

/// How it is made, in a few words.
fn how(view: &DatasetView) -> &'static str {
    match view.how.as_str() {
        "build" => "built from captures",
        "import" => "imported from files",
        _ => "prepared",
    }
}
