//! Experiments and runs, and which run is best. Programs that train speak MLflow's protocol ([`super::mlflow`]); this
//! is for whoever looks at what came of it.

use axum::{Json as Answer, extract::State};
use serde::Deserialize;
use tern_protocol::rest::{
    BestRun, Constraints, Direction, ExperimentView, MetricCurve, Page, RunView,
};
use utoipa::IntoParams;

use super::{
    extract::{Path, Query, Workspace},
    pages,
    problem::ApiError,
};
use crate::{
    app::App,
    tracking::{
        best::{self, Question},
        summary::{self, RunQuery},
    },
};

/// An experiment in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ExperimentPath {
    /// Its number or its name.
    experiment: String,
}

/// A run in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct RunPath {
    /// Its id.
    run: String,
}

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RunsQuery {
    /// MLflow's filter, as `metrics.acc > 0.9 and params.depth = '3'`.
    #[serde(default)]
    filter: String,
    /// One of MLflow's orders, as `metrics.acc DESC`; the newest first by default.
    order_by: Option<String>,
    /// `true`: those that were deleted.
    #[serde(default)]
    deleted: bool,
    /// The `next` of the page before.
    #[serde(default)]
    after: String,
    /// Runs on the page, at most 1,000; 100 by default.
    limit: Option<u64>,
}

/// Which metric.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CurveQuery {
    /// Its name.
    metric: String,
}

/// Which run is best.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BestQuery {
    /// By which metric.
    metric: String,
    /// Which end of it is good; the highest by default.
    #[serde(default)]
    #[param(inline)]
    direction: Direction,
    /// Only of those that this filter takes.
    #[serde(default)]
    filter: String,
    /// What its model may cost, as `size < 200 kB and p95_ms < 5`: `size`, `latency_ms`, `p95_ms` and `memory` as
    /// vetting measured them.
    #[serde(default, rename = "where")]
    #[param(value_type = String, required = false)]
    constraints: Constraints,
}

/// List experiments.
#[utoipa::path(
    get, path = "/experiments", tag = "runs",
    responses((status = 200, description = "The newest first", body = pages::ExperimentPage)),
)]
pub(super) async fn list_experiments(
    State(app): State<App>,
    Workspace(workspace): Workspace,
) -> Result<Answer<Page<ExperimentView>>, ApiError> {
    let items = summary::experiments(&app, &workspace).await?;
    Ok(Answer(Page { items, next: None }))
}

/// List runs of an experiment.
#[utoipa::path(
    get, path = "/experiments/{experiment}/runs", tag = "runs", params(ExperimentPath, RunsQuery),
    responses((status = 200, description = "Runs, page by page", body = pages::RunPage)),
)]
pub(super) async fn list_runs(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(ExperimentPath { experiment }): Path<ExperimentPath>,
    Query(query): Query<RunsQuery>,
) -> Result<Answer<Page<RunView>>, ApiError> {
    let of = summary::experiment(&app, &workspace, &experiment).await?;
    let query = RunQuery {
        filter: query.filter,
        order_by: query.order_by,
        deleted: query.deleted,
        after: query.after,
        limit: query.limit,
    };
    let found = summary::runs(&app.store, &workspace, of.id, &query).await?;
    Ok(Answer(found))
}

/// Find the best run of an experiment: by a metric, among those whose model devices can afford, and with all between
/// which there is to choose.
#[utoipa::path(
    get, path = "/experiments/{experiment}/best", tag = "runs", params(ExperimentPath, BestQuery),
    responses((status = 200, description = "The best run, and the front", body = BestRun)),
)]
pub(super) async fn best_run(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(ExperimentPath { experiment }): Path<ExperimentPath>,
    Query(query): Query<BestQuery>,
) -> Result<Answer<BestRun>, ApiError> {
    let of = summary::experiment(&app, &workspace, &experiment).await?;
    let question = Question {
        experiment: of.id,
        metric: query.metric,
        direction: query.direction,
        filter: query.filter,
        constraints: query.constraints,
    };
    Ok(Answer(best::best(&app.store, &workspace, question).await?))
}

/// Show a run.
#[utoipa::path(
    get, path = "/runs/{run}", tag = "runs", params(RunPath),
    responses((status = 200, description = "The run", body = RunView)),
)]
pub(super) async fn show_run(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(RunPath { run }): Path<RunPath>,
) -> Result<Answer<RunView>, ApiError> {
    Ok(Answer(summary::run(&app.store, &workspace, &run).await?))
}

/// Show the values of a metric of a run, by step.
#[utoipa::path(
    get, path = "/runs/{run}/curve", tag = "runs", params(RunPath, CurveQuery),
    responses((status = 200, description = "The curve", body = MetricCurve)),
)]
pub(super) async fn show_curve(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(RunPath { run }): Path<RunPath>,
    Query(CurveQuery { metric }): Query<CurveQuery>,
) -> Result<Answer<MetricCurve>, ApiError> {
    let curve = summary::curve(&app.store, &workspace, &run, &metric).await?;
    Ok(Answer(curve))
}
