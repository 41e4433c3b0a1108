//! `/datasets/{dataset}`: one version: what is in it, what it was made from, what came of it.

use std::collections::BTreeMap;

use maud::{Markup, html};
use tern_protocol::rest::{
    ColumnStatistics, DatasetDetail, DatasetInput, DatasetManifest, DatasetRow, DatasetView,
    InputView, LineageOf, NoInput, NumberStatistics, SplitCounts,
};

use super::{how, link, path, state, table};
use crate::dashboard::{
    bar::{self, Empties, Part},
    format,
    layout::{self, Frame, Room},
    pages::lineage,
    parts,
    scope::Scope,
};

/// Columns that are drawn.
const COLUMNS: usize = 48;

/// Classes and sites that are listed.
const LISTED: usize = 60;

/// A histogram in its own units.
const WIDTH: u64 = 160;
const HEIGHT: f64 = 36.0;

/// What the page shows.
pub(in crate::dashboard) struct Shown<'a> {
    /// The version.
    pub(in crate::dashboard) detail: &'a DatasetDetail,
    /// All versions of its name, the newest first.
    pub(in crate::dashboard) versions: &'a [DatasetView],
    /// The version that it began with.
    pub(in crate::dashboard) base: Option<&'a DatasetView>,
    /// Some rows, with how they are drawn.
    pub(in crate::dashboard) rows: &'a [(DatasetRow, InputView)],
}

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, shown: &Shown) -> Markup {
    let (scope, view) = (frame.scope, &shown.detail.dataset);
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" { a href=(scope.page("/datasets")) { "Datasets" } " / " (view.name) }
        (layout::heading(&html! { (view.name) span.dim { "@" (view.number) } }, &html! {
            span #state data-live { (state(view)) " " (how(view)) " by " (view.by) " " (parts::ago(view.at)) }
        }, &html! {}))
        div #troubles data-live { (troubles(view)) }
        div.grid.two #facts data-live {
            section.card { h2 { "Rows" } (splits(view)) }
            (origin(scope, shown))
        }
        @if let Some(manifest) = &shown.detail.manifest {
            @if !shown.rows.is_empty() { (thumbs(scope, shown.rows)) }
            div.grid.two #counts data-live {
                (counts("Classes", "Class", &manifest.statistics.classes))
                (counts("Sites", "Site", &manifest.statistics.sites))
            }
            (columns(manifest))
            (prepared(manifest))
        }
        section aria-labelledby="versions-title" {
            h2.apart #versions-title { "Versions of " (view.name) }
            div #versions.card.flush data-live { (table(scope, shown.versions, "Version")) }
        }
    };
    layout::page(frame, Room::Datasets, &view.title(), &main)
}

fn troubles(view: &DatasetView) -> Markup {
    html! {
        @if let Some(withdrawn) = &view.withdrawn {
            div.card { p { b { "Withdrawn " (parts::ago(withdrawn.at)) ": " } (withdrawn.reason)
                ". Its files are deleted; it can no longer be built on or trained on." } }
        } @else if let Some(reason) = &view.reason {
            div.card { p.text { b { "Building it failed: " } (reason) } }
        } @else if let Some(why) = view.untrainable.as_ref().filter(|_| view.rows.is_some()) {
            div.card { p.text { b { "It cannot be trained on: " } (why) "." } }
        }
    }
}

fn splits(view: &DatasetView) -> Markup {
    let Some(rows) = &view.rows else {
        return parts::empty(&html! { "None yet." });
    };
    let part = |tone, name: &str, count| Part {
        tone,
        name: name.into(),
        label: html! { (name) },
        count,
    };
    let parts = [
        part(parts::series_tone(0), "training", rows.splits.train),
        part(parts::series_tone(1), "held out", rows.splits.held_out),
        part(
            parts::series_tone(2),
            "kept out, to compare models on",
            rows.splits.kept_out,
        ),
    ];
    html! {
        (bar::with_legend("Rows", &parts, Empties::Named))
        dl.facts {
            (parts::fact("Size", &html! { (format::bytes(view.bytes)) }))
            @if let Some(digest) = &view.digest {
                (parts::fact("Digest", &html! { code { (digest.to_string()) } }))
            }
            (parts::fact("Download", &html! { code { "tern dataset get " (view.title()) " --to DIR" } }))
        }
    }
}

/// Where it comes from, and what came of it.
fn origin(scope: &Scope, shown: &Shown) -> Markup {
    let detail = shown.detail;
    let made = detail.manifest.as_ref().map(|manifest| &manifest.made_from);
    html! {
        section.card aria-labelledby="origin-title" {
            h2 #origin-title { "Origin and use" }
            dl.facts {
                @if let Some(base) = shown.base { (parts::fact("Based on", &link(scope, base))) }
                @if let Some(model) = &detail.dataset.model {
                    (parts::fact("Captures of", &html! { a href=(scope.page(&format!("/models/{model}"))) { (model) } }))
                }
                @if let Some(made) = made {
                    (parts::fact("Made from", &html! {
                        (format::count(made.captures)) " captures, " (format::count(made.base_rows)) " rows of the version that it is based on"
                    }))
                    @if made.moved > 0 { (parts::fact("Moved", &html! {
                        (format::count(made.moved)) " rows, to the split that they have in earlier versions"
                    })) }
                    @if !made.as_called.is_empty() { (parts::fact("Not features", &html! {
                        @for (at, column) in made.as_called.iter().enumerate() { @if at > 0 { ", " } code { (column) } }
                        ", read as what their names say"
                    })) }
                    @for (why, rows) in &made.left_out {
                        (parts::fact("Left out", &html! { (format::count(*rows)) " " (why) }))
                    }
                }
                (parts::fact("Versions based on it", &html! {
                    @if detail.children.is_empty() { span.dim { "nothing yet" } }
                    @for (at, child) in detail.children.iter().enumerate() {
                        @if at > 0 { ", " }
                        a href=(path(scope, child)) { (child.title()) }
                    }
                }))
                (lineage::fact(scope, &LineageOf::Dataset(
                    detail.dataset.name.to_string(), u64::from(detail.dataset.number),
                )))
                (parts::fact("Models trained on it", &html! {
                    @if detail.trained.is_empty() { span.dim { "nothing yet" } }
                    @for (at, of) in detail.trained.iter().enumerate() {
                        @if at > 0 { ", " }
                        (parts::version_ref(scope, of))
                    }
                }))
            }
        }
    }
}

/// Drawn by `captures.js`, as captures are.
fn thumbs(scope: &Scope, rows: &[(DatasetRow, InputView)]) -> Markup {
    html! {
        section aria-labelledby="rows-title" {
            h2.apart #rows-title { "Sample of the training rows" }
            div.thumbs { @for (row, view) in rows {
                figure.card.thumb {
                    div.drawn data-thumb=(json(&(&row.values, None::<NoInput>))) data-view=(json(view)) {
                        noscript { "Drawing needs scripts." }
                    }
                    figcaption.small {
                        b.text { (row.label) } " " span.dim { (row.source) }
                        br;
                        @if let Ok(device) = row.device.parse() { (parts::device(scope, &device)) " " }
                        code { (row.id) }
                    }
                }
            } }
        }
    }
}

fn counts(title: &str, heading: &str, of: &BTreeMap<String, SplitCounts>) -> Markup {
    html! {
        section.card.flush {
            h2.inset { (title) }
            @if of.is_empty() { (parts::empty(&html! { "None: the labels are numbers." })) } @else { table {
                thead { tr {
                    th scope="col" { (heading) }
                    th.end scope="col" { "Training" } th.end scope="col" { "Held out" } th.end scope="col" { "Kept out" }
                } }
                tbody { @for (name, rows) in of.iter().take(LISTED) { tr data-key=(name) {
                    th scope="row" { @if name.is_empty() { span.dim { "unknown" } } @else { (name) } }
                    td.end { (format::count(rows.train)) }
                    td.end { (format::count(rows.held_out)) }
                    td.end { (format::count(rows.kept_out)) }
                } } }
            } }
            @if of.len() > LISTED { p.small.dim.inset { "and " (of.len() - LISTED) " more" } }
        }
    }
}

fn columns(manifest: &DatasetManifest) -> Markup {
    let statistics = &manifest.statistics;
    let all = statistics.numbers.iter().chain(&statistics.columns);
    let what = match &manifest.input {
        DatasetInput::Tensor(form) => {
            let shape: Vec<String> = form.shape.iter().map(ToString::to_string).collect();
            format!(
                "{} tensor of {}; statistics over all its elements",
                form.dtype,
                shape.join("×")
            )
        }
        DatasetInput::Table { columns } => format!("{} columns", columns.len()),
    };
    html! {
        section aria-labelledby="columns-title" {
            h2.apart #columns-title { "Column statistics" }
            div #columns.card.flush data-live {
                table.cards {
                    caption.small.dim { (what) }
                    thead { tr {
                        th scope="col" { "Column" } th scope="col" { "Distribution" }
                        th.end scope="col" { "Minimum" } th.end scope="col" { "Median" } th.end scope="col" { "Maximum" }
                        th.end scope="col" { "Mean" } th.end scope="col" { "Missing" }
                    } }
                    tbody { @for column in all.take(COLUMNS) { (row(column)) } }
                }
                @if statistics.columns.len() > COLUMNS {
                    p.small.dim.inset { "and " (statistics.columns.len() - COLUMNS) " more columns, in dataset.json" }
                }
            }
        }
    }
}

fn row(column: &ColumnStatistics) -> Markup {
    let number = column.number.as_ref();
    let shown = |value: Option<f64>| value.map_or_else(|| format::NOTHING.into(), figure);
    let share = column.missing as f64 / (column.missing + column.count).max(1) as f64;
    html! {
        tr data-key=(column.name) {
            th scope="row" { (column.name) }
            td data-name="Distribution" {
                @if let Some(number) = number { (histogram(&column.name, number)) }
                @for one in column.categories.iter().take(4) { span.small { (one.name) " " span.dim { (format::count(one.rows)) } " " } }
                @if column.categories.len() > 4 { span.small.dim { "and " (column.categories.len() - 4) " more" } }
            }
            td.end data-name="Minimum" { (shown(number.map(|of| of.min))) }
            td.end data-name="Median" { (shown(number.and_then(|of| of.quantiles.get(2).copied()))) }
            td.end data-name="Maximum" { (shown(number.map(|of| of.max))) }
            td.end data-name="Mean" { (shown(number.map(|of| of.mean))) }
            td.end data-name="Missing" { @if column.missing == 0 { span.dim { "none" } } @else { (format::percent(share)) } }
        }
    }
}

/// Shares of values between least and most, as bars.
fn histogram(name: &str, of: &NumberStatistics) -> Markup {
    let most = of.bins.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let width = WIDTH / of.bins.len().max(1) as u64;
    let label = format!(
        "{name}: from {} to {}, the middle half from {} to {}",
        figure(of.min),
        figure(of.max),
        figure(of.quantiles.get(1).copied().unwrap_or(of.min)),
        figure(of.quantiles.get(3).copied().unwrap_or(of.max)),
    );
    html! {
        svg.histogram.(parts::series_tone(0)) role="img" aria-label=(label) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" {
            @for (at, share) in of.bins.iter().enumerate() {
                // What is not nothing is seen.
                @let height = if *share > 0.0 { (share / most * HEIGHT).max(1.0) } else { 0.0 };
                rect x=(at as u64 * width) width=(width - 1) y=(format!("{:.1}", HEIGHT - height)) height=(format!("{height:.1}")) {}
            }
        }
    }
}

fn figure(value: f64) -> String {
    if value != 0.0 && !(1e-3..1e6).contains(&value.abs()) {
        return format!("{value:.2e}");
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn prepared(manifest: &DatasetManifest) -> Markup {
    let Some(prepared) = &manifest.prepared else {
        return html! {};
    };
    html! {
        section aria-labelledby="prepared-title" {
            h2.apart #prepared-title { "How it was prepared" }
            div.card {
                ol { @for step in &prepared.done { li {
                    (step.text) " "
                    @if step.on_device { span.dim { "— also on devices" } } @else { span.dim { "— in training only" } }
                    @if step.rows_before != step.rows_after {
                        span.dim { "; " (format::count(step.rows_before)) " rows before, " (format::count(step.rows_after)) " after" }
                    }
                } } }
                p.small.dim { "Preprocessing on devices (" code { "pre" } " of the bundle): "
                    @for (at, step) in prepared.pre.iter().enumerate() { @if at > 0 { ", " } code { (step.to_string()) } }
                    @if prepared.pre.is_empty() { "nothing" }
                }
            }
        }
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("REST types are always JSON")
}
