//! `/runs/{run}`: one run, with its curves while it trains.

use maud::{Markup, html};
use tern_protocol::rest::{LineageOf, MetricCurve, RunView};

use super::{figure, status, took};
use crate::dashboard::{
    curve, format,
    icon::Icon,
    layout::{self, Frame, Room},
    pages::lineage,
    parts,
};

/// A file of a run, or a directory.
#[derive(Debug, Clone)]
pub(in crate::dashboard) struct File {
    /// Its name.
    pub(in crate::dashboard) name: String,
    /// Bytes of a file.
    pub(in crate::dashboard) bytes: Option<u64>,
}

/// What the page shows.
pub(in crate::dashboard) struct Shown<'a> {
    /// The run.
    pub(in crate::dashboard) run: &'a RunView,
    /// Name of its experiment.
    pub(in crate::dashboard) experiment: &'a str,
    /// Its metrics that have more than one value.
    pub(in crate::dashboard) curves: &'a [MetricCurve],
    /// Its files, at the top.
    pub(in crate::dashboard) files: &'a [File],
}

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, shown: &Shown) -> Markup {
    let run = shown.run;
    let experiment = frame
        .scope
        .page(&format!("/experiments/{}", run.experiment));
    let left = run.metrics.len().saturating_sub(shown.curves.len());
    let main = html! {
        (layout::heading(&html! { (run.name) }, &html! {
            span #state data-live { (status(run)) " " (parts::ago(run.started)) ", took " (took(run)) }
        }, &html! { a href=(experiment) { (shown.experiment) } }))
        section.card {
            h2 { "Details" }
            dl.facts {
                (parts::fact("Run ID", &html! { code { (run.run) } }))
                (lineage::fact(frame.scope, &LineageOf::Run(run.run.clone())))
                @if !run.user.is_empty() { (parts::fact("User", &html! { (run.user) })) }
                @if let Some(parent) = &run.parent {
                    (parts::fact("Parent run", &html! { a href=(frame.scope.page(&format!("/runs/{parent}"))) { code { (parent) } } }))
                }
                (parts::fact("Artifact URI", &html! { code { (run.artifact_uri) } }))
            }
        }
        section #models.card data-live {
            h2 { "Registered models" }
            @if run.models.is_empty() {
                (parts::empty(&html! { "None was registered. " code { "mlflow.onnx.log_model(..., registered_model_name=NAME)" } " makes a version that devices can get." }))
            }
            @for model in &run.models {
                p data-key={ (model.name) "/" (model.version) } {
                    b { (model.name) " version " (model.version) } " "
                    @match &model.deployable {
                        Some(of) => { (parts::badge("ok", Icon::Check, "deployable")) " " (parts::version_ref(frame.scope, of)) }
                        None => { (parts::badge("off", Icon::Slash, "registry only")) }
                    }
                    small.dim { " " (model.message) }
                }
            }
        }
        section #curves data-live {
            h2.apart { "Metrics by step" }
            @if run.metrics.is_empty() { div.card { (parts::empty(&html! { "Nothing was logged yet. Curves appear here while the run trains." })) } }
            div.grid.two {
                @for one in shown.curves {
                    figure.chart data-key=(one.metric) {
                        figcaption.row {
                            h3 { (one.metric) }
                            b { (figure(run.metrics.get(&one.metric).copied().flatten())) }
                        }
                        (curve::line(one))
                    }
                }
            }
            @if left > 0 {
                div.card.flush { table {
                    thead { tr { th scope="col" { "Metric" } th.end scope="col" { "Latest" } } }
                    tbody {
                        @for (name, value) in &run.metrics {
                            @if !shown.curves.iter().any(|curve| curve.metric == *name) {
                                tr data-key=(name) { th scope="row" { (name) } td.end { (figure(*value)) } }
                            }
                        }
                    }
                } }
            }
        }
        section #params.card data-live {
            h2 { "Parameters" }
            (pairs(run.params.iter(), "None were logged."))
        }
        section #files.card data-live {
            h2 { "Artifacts" }
            @if shown.files.is_empty() { (parts::empty(&html! { "None yet." })) }
            ul.files { @for file in shown.files {
                li data-key=(file.name) { (file.name) @match file.bytes { Some(bytes) => { span.dim { " " (format::bytes(bytes)) } } None => "/" } }
            } }
        }
        section #tags.card data-live {
            h2 { "Tags" }
            (pairs(run.tags.iter().filter(|(key, _)| !key.starts_with("mlflow.")), "None were set."))
        }
    };
    layout::page(frame, Room::Experiments, &run.name, &main)
}

fn pairs<'a>(all: impl Iterator<Item = (&'a String, &'a String)>, none: &str) -> Markup {
    let all: Vec<_> = all.collect();
    html! {
        @if all.is_empty() { (parts::empty(&html! { (none) })) }
        @else { dl.facts { @for (key, value) in all { (parts::fact(key, &html! { (value) })) } } }
    }
}
