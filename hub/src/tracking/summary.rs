//! Experiments and runs as the REST API and the dashboard show them.

use std::collections::HashMap;

use tern_protocol::{
    id::WorkspaceId,
    rest::{ExperimentView, MetricCurve, MetricPoint, Page, RunModel, RunView, VersionRef},
    time::WallTime,
};

use super::{
    Stages, TrackingError, experiment, history,
    page::Window,
    run::{self, PARENT_TAG, Run},
    search,
    sql::{SQL, Sql},
};
use crate::{
    app::App,
    store::{Store, StoreError, parsed},
};

/// Experiments in a list.
const EXPERIMENTS: i64 = 1_000;

/// Runs on a page, unless asked otherwise, and at most.
const RUNS: (i64, i64) = (100, 1_000);

/// Experiments that are there, the newest first.
pub async fn experiments(
    app: &App,
    workspace: &WorkspaceId,
) -> Result<Vec<ExperimentView>, TrackingError> {
    app.tracking.begin(app, workspace).await?;
    let store = &app.store;
    let window = Window::new(None, EXPERIMENTS, EXPERIMENTS, "")?;
    let found = search::experiments(store, workspace, "", Stages::Active, &[], window).await?;
    let sql = "SELECT experiment, COUNT(*) AS runs, MAX(start_time) AS last, \
               COUNT(CASE WHEN status = 'RUNNING' THEN 1 END) AS running FROM tracking_run \
               WHERE workspace = $1 AND stage = 'active' GROUP BY experiment";
    let mut counts: HashMap<i64, (i64, i64, Option<i64>)> = HashMap::new();
    for row in SQL
        .rows(store.read(), sql, [workspace.as_str().into()])
        .await?
    {
        let (runs, running): (i64, i64) = (SQL.column(&row, "runs")?, SQL.column(&row, "running")?);
        let last: Option<i64> = SQL.column(&row, "last")?;
        counts.insert(SQL.column(&row, "experiment")?, (runs, running, last));
    }
    let view = |one: experiment::Experiment| {
        let (runs, running, last) = counts.get(&one.id).copied().unwrap_or_default();
        ExperimentView {
            id: one.id,
            name: one.name,
            created: WallTime(one.created),
            runs: runs.max(0).unsigned_abs(),
            running: running.max(0).unsigned_abs(),
            last_run: last.map(WallTime),
            tags: one.tags.into_iter().collect(),
        }
    };
    Ok(found.items.into_iter().map(view).collect())
}

/// One experiment, by its number or its name.
pub async fn experiment(
    app: &App,
    workspace: &WorkspaceId,
    named: &str,
) -> Result<experiment::Experiment, TrackingError> {
    app.tracking.begin(app, workspace).await?;
    let db = app.store.read();
    match named.parse() {
        Ok(id) => experiment::get(db, workspace, id).await,
        Err(_) => experiment::get_by_name(db, workspace, named).await,
    }
}

/// Which runs to show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunQuery {
    /// MLflow's filter.
    pub filter: String,
    /// One of MLflow's orders.
    pub order_by: Option<String>,
    /// Whether the deleted are shown instead of those that are there.
    pub deleted: bool,
    /// The `next` of the page before.
    pub after: String,
    /// How many.
    pub limit: Option<u64>,
}

/// Runs of an experiment.
pub async fn runs(
    store: &Store,
    workspace: &WorkspaceId,
    experiment: i64,
    query: &RunQuery,
) -> Result<Page<RunView>, TrackingError> {
    let limit = query
        .limit
        .map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
    let window = Window::new(limit, RUNS.0, RUNS.1, &query.after)?;
    let asked = search::Asked {
        experiments: vec![experiment],
        filter: query.filter.clone(),
        stages: if query.deleted {
            Stages::Deleted
        } else {
            Stages::Active
        },
        order_by: query.order_by.clone().into_iter().collect(),
    };
    let found = search::runs(store, workspace, &asked, window).await?;
    Ok(Page {
        items: views(store, workspace, found.items).await?,
        next: found.next,
    })
}

/// One run.
pub async fn run(
    store: &Store,
    workspace: &WorkspaceId,
    run_id: &str,
) -> Result<RunView, TrackingError> {
    let found = run::get(store.read(), workspace, run_id).await?;
    let mut views = views(store, workspace, vec![found]).await?;
    Ok(views.remove(0))
}

/// A metric of a run as a curve.
pub async fn curve(
    store: &Store,
    workspace: &WorkspaceId,
    run_id: &str,
    metric: &str,
) -> Result<MetricCurve, TrackingError> {
    let points = history::curve(store, workspace, run_id, metric).await?;
    let point = |point: super::Point| MetricPoint {
        step: point.step,
        at: WallTime(point.at),
        value: point.value,
    };
    Ok(MetricCurve {
        metric: metric.to_owned(),
        points: points.into_iter().map(point).collect(),
    })
}

async fn views(
    store: &Store,
    workspace: &WorkspaceId,
    runs: Vec<Run>,
) -> Result<Vec<RunView>, StoreError> {
    let mut models: HashMap<String, Vec<RunModel>> = HashMap::new();
    for some in runs.chunks(1_000) {
        let mut sql = Sql::default();
        sql.push(
            "SELECT run_id, model, version, status_message, tern_model, tern_version FROM tracking_version \
             WHERE workspace = ",
        )
        .bind(workspace.as_str())
        .push(" AND run_id IN ")
        .list(some.iter().map(|run| run.info.run_id.as_str()))
        .push(" ORDER BY model, version");
        for row in SQL.rows(store.read(), &sql.text, sql.values).await? {
            let name: Option<String> = SQL.column(&row, "tern_model")?;
            let number: Option<i64> = SQL.column(&row, "tern_version")?;
            let deployable = match name.zip(number) {
                None => None,
                Some((name, number)) => Some(VersionRef {
                    model: parsed("model name", &name)?,
                    version: parsed("version", &number.to_string())?,
                }),
            };
            let run: String = SQL.column(&row, "run_id")?;
            models.entry(run).or_default().push(RunModel {
                name: SQL.column(&row, "model")?,
                version: SQL.column(&row, "version")?,
                deployable,
                message: SQL.column(&row, "status_message")?,
            });
        }
    }
    let view = |run: Run| {
        let parent = run.tags.get(PARENT_TAG).cloned();
        let metrics = run.metrics.into_iter();
        RunView {
            models: models.remove(&run.info.run_id).unwrap_or_default(),
            run: run.info.run_id,
            experiment: run.info.experiment,
            name: run.info.name,
            user: run.info.user_id,
            status: run.info.status.word().into(),
            started: WallTime(run.info.start_time),
            ended: run.info.end_time.map(WallTime),
            parent,
            params: run.params,
            metrics: metrics
                .map(|point| (point.key, (!point.value.is_nan()).then_some(point.value)))
                .collect(),
            tags: run.tags,
            artifact_uri: run.info.artifact_uri,
        }
    };
    Ok(runs.into_iter().map(view).collect())
}
