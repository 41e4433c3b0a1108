//! `/experiments/{experiment}`: its runs as a list that can be sorted, beside each other, and the best of them.

use std::collections::BTreeMap;

use maud::{Markup, html};
use tern_protocol::rest::{BestRun, Direction, Page, RunCandidate, RunView};

use super::{figure, status, took};
use crate::dashboard::{
    curve::{self, Axis},
    format,
    layout::{self, Frame, Room},
    parts,
    scope::query,
};

/// Columns of metrics, and of params.
const COLUMNS: usize = 6;

/// Axes of the comparison.
const AXES: usize = 8;

/// What the page is asked for.
#[derive(Debug, Clone, Default)]
pub(in crate::dashboard) struct Asked {
    /// MLflow's filter.
    pub(in crate::dashboard) filter: Option<String>,
    /// MLflow's order.
    pub(in crate::dashboard) order: Option<String>,
    /// After the page that ended with this.
    pub(in crate::dashboard) after: Option<String>,
    /// The metric by which the best run is asked for.
    pub(in crate::dashboard) metric: Option<String>,
    /// Whether less is better.
    pub(in crate::dashboard) min: bool,
    /// What the model of the best run may cost.
    pub(in crate::dashboard) constraints: Option<String>,
}

impl Asked {
    fn query(&self, order: Option<&str>, after: Option<&str>) -> String {
        query(&[
            ("filter", self.filter.as_deref()),
            ("order", order),
            ("after", after),
            ("metric", self.metric.as_deref()),
            ("min", self.min.then_some("yes")),
            ("where", self.constraints.as_deref()),
        ])
    }
}

/// What the page shows.
pub(in crate::dashboard) struct Shown<'a> {
    /// Number of the experiment.
    pub(in crate::dashboard) id: i64,
    /// Its name.
    pub(in crate::dashboard) name: &'a str,
    /// Its runs, or why there are none.
    pub(in crate::dashboard) runs: &'a Result<Page<RunView>, String>,
    /// The best of them, if somebody asked, or why there is none.
    pub(in crate::dashboard) best: &'a Option<Result<BestRun, String>>,
}

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, asked: &Asked, shown: &Shown) -> Markup {
    let none = Page {
        items: Vec::new(),
        next: None,
    };
    let runs = shown.runs.as_ref().unwrap_or(&none);
    let part = runs.next.is_some() || asked.after.is_some();
    let main = html! {
        (layout::heading(&html! { (shown.name) }, &html! {
            span #shown data-live {
                b { (format::count(runs.items.len() as u64)) } (match (part, runs.items.len()) { (true, _) => " runs on this page", (_, 1) => " run", _ => " runs" })
            }
        }, &html! { a href=(frame.scope.page("/experiments")) { "All experiments" } }))
        (form(frame, asked, shown.id))
        @if let Err(why) = shown.runs { p.alarm role="alert" { (why) } }
        div #runs.card.flush data-live {
            @if runs.items.is_empty() {
                (parts::empty(&html! { @if asked.filter.is_some() { "No run matches the filter." } @else { "No runs yet. Log one with the MLflow client: " code { "mlflow.set_experiment(\"" (shown.name) "\")" } "." } }))
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Runs" { (table(frame, asked, shown.id, &runs.items)) }
            }
        }
        @if let Some(next) = &runs.next {
            p { a href={ (address(frame, shown.id)) (asked.query(asked.order.as_deref(), Some(next))) } { "Next runs" } }
        }
        (beside(&runs.items))
        (best(frame, asked, shown))
    };
    layout::page(frame, Room::Experiments, shown.name, &main)
}

fn address(frame: Frame, id: i64) -> String {
    frame.scope.page(&format!("/experiments/{id}"))
}

fn form(frame: Frame, asked: &Asked, id: i64) -> Markup {
    html! {
        form.filter method="get" action=(address(frame, id)) {
            label { "Filter"
                input name="filter" size="40" placeholder="metrics.acc > 0.9 and params.depth = '3'"
                    value=[asked.filter.as_deref()] autocomplete="off" spellcheck="false";
            }
            @if let Some(order) = &asked.order { input type="hidden" name="order" value=(order); }
            button type="submit" { "Filter" }
            @if asked.filter.is_some() { a href=(address(frame, id)) { "Show all" } }
        }
    }
}

/// The names that most runs have, in alphabetical order.
fn usual<'a>(names: impl Iterator<Item = &'a String>, most: usize) -> Vec<&'a str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let mut names: Vec<(&str, usize)> = counts.into_iter().collect();
    names.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut names: Vec<&str> = names.into_iter().take(most).map(|(name, _)| name).collect();
    names.sort_unstable();
    names
}

fn table(frame: Frame, asked: &Asked, id: i64, runs: &[RunView]) -> Markup {
    let metrics = usual(runs.iter().flat_map(|run| run.metrics.keys()), COLUMNS);
    let params = usual(runs.iter().flat_map(|run| run.params.keys()), COLUMNS);
    html! {
        table.runs {
            thead { tr {
                (heading(frame, asked, id, "attributes.run_name", "Run", false))
                th scope="col" { "Status" }
                (heading(frame, asked, id, "attributes.start_time", "Started", true))
                th.end scope="col" { "Duration" }
                @for metric in &metrics { (heading(frame, asked, id, &format!("metrics.`{metric}`"), metric, true)) }
                @for param in &params { (heading(frame, asked, id, &format!("params.`{param}`"), param, false)) }
            } }
            tbody {
                @for run in runs {
                    tr data-key=(run.run) {
                        th scope="row" {
                            a href=(frame.scope.page(&format!("/runs/{}", run.run))) { (run.name) }
                            @if run.parent.is_some() { small.dim { "nested run" } }
                            @for model in &run.models {
                                @if let Some(of) = &model.deployable { small { (parts::version_ref(frame.scope, of)) } }
                            }
                        }
                        td { (status(run)) }
                        td.end { (parts::ago(run.started)) }
                        td.end { (took(run)) }
                        @for metric in &metrics {
                            td.end { (run.metrics.get(*metric).map_or_else(|| format::NOTHING.into(), |value| figure(*value))) }
                        }
                        @for param in &params { td { span.short { (run.params.get(*param).map_or(format::NOTHING, |value| short(value))) } } }
                    }
                }
            }
        }
    }
}

/// As much of a param as a column has room for.
fn short(text: &str) -> &str {
    let end = text.char_indices().nth(40).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// A heading that sorts: the way it does not stand now.
fn heading(frame: Frame, asked: &Asked, id: i64, key: &str, name: &str, end: bool) -> Markup {
    let now = asked
        .order
        .as_deref()
        .unwrap_or("attributes.start_time DESC");
    let (down, up) = (format!("{key} DESC"), format!("{key} ASC"));
    let sorted = match now {
        now if now == down => Some("descending"),
        now if now == up => Some("ascending"),
        _ => None,
    };
    let next = if sorted == Some("descending") {
        &up
    } else {
        &down
    };
    html! {
        th scope="col" class=[end.then_some("end")] aria-sort=[sorted] {
            a href={ (address(frame, id)) (asked.query(Some(next), None)) } {
                (name)
                @match sorted { Some("ascending") => " ↑", Some(_) => " ↓", None => "" }
            }
        }
    }
}

/// Runs beside each other: what was set, and what came of it.
fn beside(runs: &[RunView]) -> Markup {
    let number = |text: &String| text.parse::<f64>().ok().filter(|value| value.is_finite());
    let params = runs.iter().flat_map(|run| run.params.iter());
    let params = usual(
        params
            .filter(|(_, value)| number(value).is_some())
            .map(|(key, _)| key),
        AXES / 2,
    );
    let metrics = usual(
        runs.iter().flat_map(|run| run.metrics.keys()),
        AXES - params.len(),
    );
    let of_params = params.iter().map(|name| Axis {
        name: (*name).to_owned(),
        values: runs
            .iter()
            .map(|run| run.params.get(*name).and_then(number))
            .collect(),
    });
    let of_metrics = metrics.iter().map(|name| Axis {
        name: (*name).to_owned(),
        values: runs
            .iter()
            .map(|run| run.metrics.get(*name).copied().flatten())
            .collect(),
    });
    let axes: Vec<Axis> = of_params.chain(of_metrics).collect();
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    html! {
        section #beside.card data-live {
            h2 { "Compare runs" }
            @if runs.len() < 2 || axes.len() < 2 {
                (parts::empty(&html! { "Two runs with at least two numeric parameters or metrics are needed." }))
            } @else {
                p.small.dim { "Parallel coordinates: each line is a run of the list above, the first of the list in blue. Parameters are on the left, metrics on the right; a line has a gap where a run lacks a value." }
                (curve::beside(&axes, &names))
            }
        }
    }
}

fn best(frame: Frame, asked: &Asked, shown: &Shown) -> Markup {
    html! {
        section #best.card data-live {
            h2 { "Best run" }
            form.filter method="get" action={ (address(frame, shown.id)) "#best" } {
                label { "Metric" input name="metric" value=[asked.metric.as_deref()] required autocomplete="off" spellcheck="false"; }
                label { "Goal"
                    select name="min" {
                        option value="" { "highest" }
                        option value="yes" selected[asked.min] { "lowest" }
                    }
                }
                label { "Limits for the model"
                    input name="where" size="30" placeholder="size < 200 kB and p95_ms < 5" value=[asked.constraints.as_deref()]
                        autocomplete="off" spellcheck="false";
                }
                button type="submit" { "Find" }
            }
            @match shown.best {
                None => { p.small.dim { "Finds the run with the best value whose registered ONNX model keeps to the limits, as measured in vetting: " code { "size" } " (bytes, kB, MB …), " code { "latency_ms" } " (median), " code { "p95_ms" } ", " code { "memory" } "." } }
                Some(Err(why)) => { p.alarm role="alert" { (why) } }
                Some(Ok(found)) => { (answer(frame, found)) }
            }
        }
    }
}

fn answer(frame: Frame, found: &BestRun) -> Markup {
    let of = |one: &RunCandidate| found.best.as_ref().is_some_and(|best| best.run == one.run);
    let others = found.front.iter().filter(|one| !of(one));
    let front: Vec<curve::Dot> = found
        .front
        .iter()
        .filter_map(|one| {
            Some(curve::Dot {
                name: one.name.clone(),
                x: one.measured.as_ref()?.latency_ms,
                y: one.value,
                best: of(one),
            })
        })
        .collect();
    html! {
        @if found.best.is_none() {
            p.alarm { "No run keeps to these limits. Only runs that registered an ONNX model were measured." }
        }
        div.scroll tabindex="0" role="region" aria-label="Best runs" {
            table {
                thead { tr {
                    th scope="col" { "Run" }
                    th.end scope="col" { (found.metric) }
                    th scope="col" { "Model" }
                    th.end scope="col" { "Size" }
                    th.end scope="col" { "Median latency" }
                    th.end scope="col" { "p95 latency" }
                    th.end scope="col" { "Peak memory" }
                } }
                tbody {
                    @if let Some(one) = &found.best { (candidate(frame, one, true)) }
                    @for one in others { (candidate(frame, one, false)) }
                }
            }
        }
        @if front.len() > 1 { (curve::dots(&front, "median latency in ms", &found.metric)) }
        p.small.dim {
            (format::count(found.considered)) " runs have " (found.metric) " ("
            @match found.direction { Direction::Max => "higher is better", Direction::Min => "lower is better" }
            "); " (format::count(found.unmeasured)) " have no measured model, "
            (format::count(found.excluded)) " exceed the limits. Listed with the best: the Pareto front, runs that no other beats in "
            (found.metric) ", latency and size at once."
        }
    }
}

fn candidate(frame: Frame, one: &RunCandidate, best: bool) -> Markup {
    let cost = one.measured.as_ref();
    let ms = |ms: Option<f64>| {
        ms.map_or_else(
            || format::NOTHING.into(),
            |ms| format::microseconds(ms * 1e3),
        )
    };
    let bytes = |bytes: Option<u64>| bytes.map_or_else(|| format::NOTHING.into(), format::bytes);
    html! {
        tr data-key=(one.run) {
            th scope="row" {
                a href=(frame.scope.page(&format!("/runs/{}", one.run))) { (one.name) }
                @if best { " " span.badge.ok { "best" } }
            }
            td.end { (figure(Some(one.value))) }
            td { @if let Some(cost) = cost { (parts::version_ref(frame.scope, &cost.version)) } @else { span.dim { (format::NOTHING) } } }
            td.end { (bytes(cost.map(|cost| cost.size))) }
            td.end { (ms(cost.map(|cost| cost.latency_ms))) }
            td.end { (ms(cost.and_then(|cost| cost.p95_ms))) }
            td.end { (bytes(cost.and_then(|cost| cost.memory))) }
        }
    }
}
