//! Experiments and runs.

use std::time::Duration;

use tern_protocol::{
    rest::{BestRun, ExperimentView, MetricCurve, RunCandidate, RunView},
    time::WallTime,
};

use super::{
    Look, Tone,
    table::{Cell, Table},
    words::{ago, bytes, count, duration},
};

/// Metrics and params that a row of a list shows.
const SHOWN: usize = 4;

/// Letters of a param in a list.
const LETTERS: usize = 24;

/// `tern experiment list`.
pub(crate) fn experiments(all: &[ExperimentView], now: WallTime, look: Look) -> String {
    let mut table = Table::new(look, &["ID", "NAME", "RUNS", "RUNNING", "LAST RUN"]);
    for one in all {
        table.row([
            one.id.to_string().into(),
            one.name.as_str().into(),
            Cell::number(count(one.runs)),
            Cell::number(count(one.running)),
            one.last_run
                .map_or_else(|| "–".into(), |at| ago(at, now))
                .into(),
        ]);
    }
    table.text()
}

/// `tern run list`.
pub(crate) fn runs(all: &[RunView], now: WallTime, look: Look) -> String {
    let headings = [
        "RUN", "NAME", "STATUS", "STARTED", "TOOK", "METRICS", "PARAMS",
    ];
    let mut table = Table::new(look, &headings);
    for one in all {
        table.row([
            one.run.as_str().into(),
            one.name.as_str().into(),
            status(one),
            ago(one.started, now).into(),
            took(one).into(),
            few(one
                .metrics
                .iter()
                .map(|(key, value)| format!("{key} {}", figure(*value))))
            .into(),
            few(one
                .params
                .iter()
                .map(|(key, value)| format!("{key}={}", short(value))))
            .into(),
        ]);
    }
    table.text()
}

fn few(all: impl ExactSizeIterator<Item = String>) -> String {
    let more = all.len().saturating_sub(SHOWN);
    let mut text = all.take(SHOWN).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// As much of a param as a list has room for; `tern run show` has all of it.
fn short(value: &str) -> String {
    if value.chars().count() <= LETTERS {
        return value.into();
    }
    value.chars().take(LETTERS - 1).chain(['…']).collect()
}

fn status(one: &RunView) -> Cell {
    let word = one.status.to_lowercase();
    match one.status.as_str() {
        "FINISHED" => Cell::toned(&word, Tone::Good),
        "RUNNING" | "SCHEDULED" => Cell::toned(&word, Tone::Busy),
        _ => Cell::toned(&word, Tone::Bad),
    }
}

fn took(one: &RunView) -> String {
    let Some(ended) = one.ended else {
        return "–".into();
    };
    let ms = ended.0.saturating_sub(one.started.0).max(0).unsigned_abs();
    duration(Duration::from_millis(ms))
}

/// A value of a metric; one that is no number is said so.
fn figure(value: Option<f64>) -> String {
    match value {
        None => "not a number".into(),
        Some(value) if value == 0.0 || (1e-3..1e6).contains(&value.abs()) => {
            let text = format!("{value:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Some(value) => format!("{value:.3e}"),
    }
}

/// `tern run show`.
pub(crate) fn run(one: &RunView, now: WallTime, look: Look) -> String {
    let mut facts = Table::new(look, &["FACT", "VALUE"]);
    facts.row(["run".into(), one.run.as_str().into()]);
    facts.row(["name".into(), one.name.as_str().into()]);
    facts.row(["experiment".into(), one.experiment.to_string().into()]);
    facts.row(["status".into(), status(one)]);
    facts.row(["user".into(), one.user.as_str().into()]);
    facts.row(["started".into(), ago(one.started, now).into()]);
    facts.row(["took".into(), took(one).into()]);
    if let Some(parent) = &one.parent {
        facts.row(["part of".into(), parent.as_str().into()]);
    }
    facts.row(["files".into(), one.artifact_uri.as_str().into()]);
    for model in &one.models {
        let name = format!("{} version {}", model.name, model.version);
        facts.row(["model".into(), format!("{name}: {}", model.message).into()]);
    }
    let mut text = facts.text();
    let mut pairs = |title: &str, all: Vec<(String, String)>| {
        if all.is_empty() {
            return;
        }
        let mut table = Table::new(look, &[title, "VALUE"]);
        for (key, value) in all {
            table.row([key.into(), value.into()]);
        }
        text.push('\n');
        text.push_str(&table.text());
    };
    let metrics = one.metrics.iter();
    pairs(
        "METRIC",
        metrics
            .map(|(key, value)| (key.clone(), figure(*value)))
            .collect(),
    );
    pairs("PARAM", one.params.clone().into_iter().collect());
    let tags = one.tags.clone().into_iter();
    pairs(
        "TAG",
        tags.filter(|(key, _)| !key.starts_with("mlflow."))
            .collect(),
    );
    text
}

/// `tern run show --metric`.
pub(crate) fn curve(of: &MetricCurve, look: Look) -> String {
    let mut table = Table::new(look, &["STEP", "VALUE"]);
    for point in &of.points {
        table.row([
            Cell::number(point.step.to_string()),
            Cell::number(figure(Some(point.value))),
        ]);
    }
    table.text()
}

/// `tern run best`.
pub(crate) fn best(found: &BestRun, look: Look) -> String {
    let headings = [
        "",
        "RUN",
        "NAME",
        found.metric.as_str(),
        "MODEL",
        "SIZE",
        "LATENCY",
        "P95",
    ];
    let mut table = Table::new(look, &headings);
    let mut row = |mark: &str, one: &RunCandidate| {
        let cost = one.measured.as_ref();
        let ms = |ms: Option<f64>| {
            Cell::number(ms.map_or_else(|| "–".into(), |ms| format!("{ms:.3} ms")))
        };
        table.row([
            mark.into(),
            one.run.as_str().into(),
            one.name.as_str().into(),
            Cell::number(figure(Some(one.value))),
            cost.map_or_else(
                || "–".into(),
                |cost| format!("{} v{}", cost.version.model, cost.version.version),
            )
            .into(),
            Cell::number(cost.map_or_else(|| "–".into(), |cost| bytes(cost.size))),
            ms(cost.map(|cost| cost.latency_ms)),
            ms(cost.and_then(|cost| cost.p95_ms)),
        ]);
    };
    if let Some(one) = &found.best {
        row("best", one);
    }
    for one in &found.front {
        if found.best.as_ref().is_none_or(|best| best.run != one.run) {
            row("front", one);
        }
    }
    let said = format!(
        "{} runs have {}; {} have no model that vetting measured, {} do not keep to the constraints\n",
        count(found.considered),
        found.metric,
        count(found.unmeasured),
        count(found.excluded),
    );
    format!("{}\n{said}", table.text())
}

/// Why there is no best.
pub(crate) fn no_best(found: &BestRun) -> String {
    if found.considered == 0 {
        return format!("no run that is asked for has the metric `{}`", found.metric);
    }
    "no run keeps to the constraints; only a run whose ONNX model was registered has been measured: \
     `mlflow.onnx.log_model(..., registered_model_name=NAME)`"
        .into()
}
