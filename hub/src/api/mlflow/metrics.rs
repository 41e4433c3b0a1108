//! What runs log, and the history of it.

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::json;

use super::{
    Answer, Caller,
    error::MlflowError,
    experiments::list,
    extract::{Asked, run_id},
    wire::{self, Double, Metric, Pair},
};
use crate::{
    app::App,
    tracking::{self, About, Batch, Point, history, page::Window},
};

/// Runs whose histories are asked for at once.
const RUNS: usize = 100;

/// A value of a metric.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Logged {
    run_id: String,
    run_uuid: String,
    key: String,
    value: Option<Double>,
    #[serde(deserialize_with = "wire::int")]
    timestamp: Option<i64>,
    #[serde(deserialize_with = "wire::int")]
    step: Option<i64>,
    model_id: String,
    dataset_name: String,
    dataset_digest: String,
}

impl Logged {
    /// The value, and which logged model it is about.
    fn read(self) -> Result<(Point, Option<About>), MlflowError> {
        let missing = |name: &str| {
            MlflowError::invalid(format!("Missing value for required parameter '{name}'."))
        };
        let Double(value) = self.value.ok_or_else(|| missing("value"))?;
        let point = Point {
            key: self.key,
            value,
            at: self.timestamp.ok_or_else(|| missing("timestamp"))?,
            step: self.step.unwrap_or(0),
        };
        let about = (!self.model_id.is_empty()).then_some(About {
            model_id: self.model_id,
            dataset_name: self.dataset_name,
            dataset_digest: self.dataset_digest,
        });
        Ok((point, about))
    }
}

pub(super) async fn log_metric(
    State(app): State<App>,
    caller: Caller,
    Asked(logged): Asked<Logged>,
) -> Answer {
    let id = run_id(&logged.run_id, &logged.run_uuid)?.to_owned();
    let (point, about) = logged.read()?;
    let batch = Batch {
        metrics: vec![point],
        ..Batch::default()
    };
    write(&app, &caller, &id, batch, vec![about]).await
}

/// Logs a batch; of each of its metrics, which logged model it is about.
async fn write(
    app: &App,
    caller: &Caller,
    run_id: &str,
    batch: Batch,
    about: Vec<Option<About>>,
) -> Answer {
    let points = batch.metrics.iter().cloned();
    let about: Vec<(About, Point)> = about
        .into_iter()
        .zip(points)
        .filter_map(|(about, point)| Some((about?, point)))
        .collect();
    tracking::log(app, &caller.workspace, run_id, batch).await?;
    tracking::log_about_model(app, &caller.workspace, run_id, &about).await?;
    Ok(Json(json!({})))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Param {
    run_id: String,
    run_uuid: String,
    key: String,
    value: String,
}

pub(super) async fn log_param(
    State(app): State<App>,
    caller: Caller,
    Asked(param): Asked<Param>,
) -> Answer {
    let id = run_id(&param.run_id, &param.run_uuid)?.to_owned();
    let batch = Batch {
        params: vec![(param.key, param.value)],
        ..Batch::default()
    };
    write(&app, &caller, &id, batch, Vec::new()).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LogBatch {
    run_id: String,
    metrics: Vec<Logged>,
    params: Vec<Pair>,
    tags: Vec<Pair>,
}

pub(super) async fn log_batch(
    State(app): State<App>,
    caller: Caller,
    Asked(of): Asked<LogBatch>,
) -> Answer {
    let id = run_id(&of.run_id, "")?.to_owned();
    let read: Result<Vec<_>, _> = of.metrics.into_iter().map(Logged::read).collect();
    let (metrics, about) = read?.into_iter().unzip();
    let texts = |pairs: Vec<Pair>| {
        pairs
            .into_iter()
            .map(|pair| (pair.key, pair.value))
            .collect()
    };
    let batch = Batch {
        metrics,
        params: texts(of.params),
        tags: texts(of.tags),
    };
    write(&app, &caller, &id, batch, about).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Of {
    run_id: String,
    run_uuid: String,
    metric_key: String,
    #[serde(deserialize_with = "wire::int")]
    max_results: Option<i64>,
    page_token: String,
}

pub(super) async fn history(
    State(app): State<App>,
    caller: Caller,
    Asked(of): Asked<Of>,
) -> Answer {
    let id = run_id(&of.run_id, &of.run_uuid)?;
    let window = Window::new(of.max_results, history::MOST, history::MOST, &of.page_token)?;
    let found = history::history(&app.store, &caller.workspace, id, &of.metric_key, window).await?;
    let all: Vec<Metric> = found.items.iter().map(Metric::from).collect();
    Ok(list("metrics", &all, found.next))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OfMany {
    run_ids: Vec<String>,
    metric_key: String,
    #[serde(deserialize_with = "wire::int")]
    start_step: Option<i64>,
    #[serde(deserialize_with = "wire::int")]
    end_step: Option<i64>,
    #[serde(deserialize_with = "wire::int")]
    max_results: Option<i64>,
}

/// The same metric of several runs, thinned.
pub(super) async fn history_of_many(
    State(app): State<App>,
    caller: Caller,
    Asked(of): Asked<OfMany>,
) -> Answer {
    if of.run_ids.is_empty() || of.run_ids.len() > RUNS {
        let text = format!("'run_ids' names 1 to {RUNS} runs");
        return Err(MlflowError::invalid(text));
    }
    let most = of.max_results.unwrap_or(2_500).clamp(1, 2_500) as usize;
    let mut all = Vec::new();
    for id in &of.run_ids {
        let points = history::curve(&app.store, &caller.workspace, id, &of.metric_key).await?;
        let within = points.iter().filter(|point| {
            of.start_step.is_none_or(|step| point.step >= step)
                && of.end_step.is_none_or(|step| point.step <= step)
        });
        all.extend(
            within
                .take(most)
                .map(|point| Metric::from(point).of_run(id)),
        );
    }
    Ok(list("metrics", &all, None))
}
