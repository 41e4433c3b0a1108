//! Runs: begun, changed, deleted, brought back; and a run with all that hangs on it.

use std::{collections::HashMap, str::FromStr};

use sea_orm::{ConnectionTrait, QueryResult};
use tern_protocol::{id::WorkspaceId, rest::Change};

use super::{
    Point, Stage, Texts, TrackingError, bounds, experiment,
    input::{self, Inputs},
    random,
    sql::{SQL, Sql, insert},
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    store::StoreError,
};

/// Tag that holds a run's name.
pub const NAME_TAG: &str = "mlflow.runName";

/// Tag that names the run that a run is a part of.
pub const PARENT_TAG: &str = "mlflow.parentRunId";

/// Tag that says whose a run is.
const USER_TAG: &str = "mlflow.user";

/// Runs whose params, tags and metrics are read at once.
const AT_ONCE: usize = 1_000;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It runs.
    Running,
    /// It will.
    Scheduled,
    /// It reached its end.
    Finished,
    /// It did not.
    Failed,
    /// It was ended.
    Killed,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Running,
        Self::Scheduled,
        Self::Finished,
        Self::Failed,
        Self::Killed,
    ];

    /// As it is stored, and as MLflow says it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Scheduled => "SCHEDULED",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
        }
    }
}

impl FromStr for Status {
    type Err = TrackingError;

    fn from_str(text: &str) -> Result<Self, TrackingError> {
        let found = Self::ALL.into_iter().find(|status| status.word() == text);
        found.ok_or_else(|| {
            let text = bounds::shown(text);
            TrackingError::Invalid(format!("Invalid value {text} for parameter 'status'."))
        })
    }
}

/// What a run is, without what it logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// What its rows are found by.
    pub(super) row: i64,
    /// 32 hex digits.
    pub run_id: String,
    /// Its experiment.
    pub experiment: i64,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub user_id: String,
    /// Where it stands.
    pub status: Status,
    /// When it began, in milliseconds since 1970, as the client says.
    pub start_time: i64,
    /// When it ended.
    pub end_time: Option<i64>,
    /// Whether it is there.
    pub stage: Stage,
    /// Where its artifacts lie.
    pub artifact_uri: String,
}

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// What it is.
    pub info: Info,
    /// What it was given.
    pub params: Texts,
    /// What is said of it.
    pub tags: Texts,
    /// The latest value of each of its metrics, by name.
    pub metrics: Vec<Point>,
    /// What it used and made.
    pub inputs: Inputs,
}

impl Run {
    /// One that has logged nothing.
    pub(super) fn without(info: Info) -> Self {
        Self {
            info,
            params: Texts::new(),
            tags: Texts::new(),
            metrics: Vec::new(),
            inputs: Inputs::default(),
        }
    }
}

/// A run to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewRun {
    /// In which experiment.
    pub experiment: i64,
    /// Its name; one is made up for a run without.
    pub name: String,
    /// Whose it is.
    pub user_id: String,
    /// When it began.
    pub start_time: Option<i64>,
    /// What is said of it.
    pub tags: Texts,
}

/// The columns of a run, in the order of [`read`].
pub(super) const COLUMNS: &str = "r.id, r.run_id, r.experiment, r.name, r.user_id, r.status, r.start_time, \
                                  r.end_time, r.stage, r.artifact_uri";

pub(super) fn read(row: &QueryResult) -> Result<Info, StoreError> {
    let word: String = SQL.at(row, 5)?;
    let status = word.parse().map_err(|_| StoreError::Value {
        what: "status of a run",
        value: word,
    })?;
    let stage: String = SQL.at(row, 8)?;
    Ok(Info {
        row: SQL.at(row, 0)?,
        run_id: SQL.at(row, 1)?,
        experiment: SQL.at(row, 2)?,
        name: SQL.at(row, 3)?,
        user_id: SQL.at(row, 4)?,
        status,
        start_time: SQL.at(row, 6)?,
        end_time: SQL.at(row, 7)?,
        stage: Stage::of(&stage),
        artifact_uri: SQL.at(row, 9)?,
    })
}

/// Begins one.
pub async fn create(
    app: &App,
    workspace: &WorkspaceId,
    mut new: NewRun,
) -> Result<Run, TrackingError> {
    bounds::length("user_id", &new.user_id, bounds::NAME)?;
    for (key, value) in &new.tags {
        bounds::pair("tag", key, value, bounds::TAG)?;
    }
    let tagged = new.tags.get(NAME_TAG).cloned().unwrap_or_default();
    if !new.name.is_empty() && !tagged.is_empty() && new.name != tagged {
        return Err(TrackingError::Invalid(format!(
            "Both 'run_name' argument and '{NAME_TAG}' tag are specified, but with different values \
             (run_name={}, {NAME_TAG}={}).",
            bounds::shown(&new.name),
            bounds::shown(&tagged)
        )));
    }
    let name = match (new.name.is_empty(), tagged.is_empty()) {
        (false, _) => new.name.clone(),
        (true, false) => tagged,
        (true, true) => random::name()?,
    };
    bounds::length("run_name", &name, bounds::TAG)?;
    new.tags.insert(NAME_TAG.into(), name.clone());
    let run_id = random::id()?;
    let txn = SQL.begin(&app.store).await?;
    let experiment = experiment::active(&txn, workspace, new.experiment).await?;
    let artifact_uri = format!(
        "{}/{run_id}/artifacts",
        experiment.artifact_location.trim_end_matches('/')
    );
    if new.user_id.is_empty() {
        new.user_id = new.tags.get(USER_TAG).cloned().unwrap_or_default();
    }
    let start_time = new.start_time.unwrap_or(app.clock.now().0);
    let sql = "INSERT INTO tracking_run (run_id, workspace, experiment, name, user_id, status, start_time, \
               end_time, stage, deleted_with, artifact_uri) \
               VALUES ($1, $2, $3, $4, $5, 'RUNNING', $6, NULL, 'active', FALSE, $7) RETURNING id";
    let values = [
        run_id.as_str().into(),
        workspace.as_str().into(),
        new.experiment.into(),
        name.as_str().into(),
        new.user_id.as_str().into(),
        start_time.into(),
        artifact_uri.as_str().into(),
    ];
    let made = SQL.row(&txn, sql, values).await?;
    let id: i64 = made.map_or(Ok(0), |row| SQL.column(&row, "id"))?;
    write_tags(&txn, id, &new.tags).await?;
    SQL.commit(txn).await?;
    app.changes.send(
        workspace,
        Change::Runs {
            experiment: new.experiment,
        },
    );
    let info = Info {
        row: id,
        run_id,
        experiment: new.experiment,
        name,
        user_id: new.user_id,
        status: Status::Running,
        start_time,
        end_time: None,
        stage: Stage::Active,
        artifact_uri,
    };
    Ok(Run {
        tags: new.tags,
        ..Run::without(info)
    })
}

pub(super) async fn write_tags(
    txn: &impl ConnectionTrait,
    run: i64,
    tags: &Texts,
) -> Result<(), StoreError> {
    let all = tags.iter().map(|(key, value)| {
        let (key, value) = (key.as_str().into(), value.as_str().into());
        [run.into(), key, value]
    });
    let into = "tracking_tag (run, key, value)";
    let then = "ON CONFLICT (run, key) DO UPDATE SET value = excluded.value";
    insert(txn, into, all.collect(), then).await?;
    Ok(())
}

/// What a run is.
pub async fn info(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    run_id: &str,
) -> Result<Info, TrackingError> {
    bounds::required("run_id", run_id)?;
    let sql =
        format!("SELECT {COLUMNS} FROM tracking_run r WHERE r.run_id = $1 AND r.workspace = $2");
    let found = SQL
        .row(db, &sql, [run_id.into(), workspace.as_str().into()])
        .await?;
    let found = found.ok_or_else(|| {
        TrackingError::NotFound(format!("Run with id={} not found", bounds::shown(run_id)))
    })?;
    Ok(read(&found)?)
}

/// The newest run of an experiment that has this tag, if it is there.
pub async fn tagged(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    experiment: i64,
    key: &str,
    value: &str,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT r.run_id FROM tracking_run r JOIN tracking_tag t ON t.run = r.id AND t.key = $3 \
               WHERE r.workspace = $1 AND r.experiment = $2 AND t.value = $4 AND r.stage = 'active' \
               ORDER BY r.id DESC LIMIT 1";
    let values = [
        workspace.as_str().into(),
        experiment.into(),
        key.into(),
        value.into(),
    ];
    let found = SQL.row(db, sql, values).await?;
    found.map(|row| SQL.column(&row, "run_id")).transpose()
}

/// As [`info`], if it is there; for what is written into it.
pub(super) async fn active(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    run_id: &str,
) -> Result<Info, TrackingError> {
    let info = info(db, workspace, run_id).await?;
    if info.stage == Stage::Active {
        return Ok(info);
    }
    Err(TrackingError::Invalid(format!(
        "The run {run_id} must be in the 'active' state. Current state is deleted."
    )))
}

/// A run with all that hangs on it.
pub async fn get(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    run_id: &str,
) -> Result<Run, TrackingError> {
    let info = info(db, workspace, run_id).await?;
    let mut all = with_data(db, vec![info]).await?;
    Ok(all.remove(0))
}

/// Adds what hangs on runs.
pub(super) async fn with_data(
    db: &impl ConnectionTrait,
    infos: Vec<Info>,
) -> Result<Vec<Run>, TrackingError> {
    let mut runs: Vec<Run> = infos.into_iter().map(Run::without).collect();
    for some in runs.chunks_mut(AT_ONCE) {
        let places: HashMap<i64, usize> = some
            .iter()
            .enumerate()
            .map(|(i, run)| (run.info.row, i))
            .collect();
        let of = |select: &str, order: &str| {
            let mut sql = Sql::default();
            sql.push(select).push(" WHERE run IN ");
            sql.list(some.iter().map(|run| run.info.row)).push(order);
            sql
        };
        let params = of("SELECT run, key, value FROM tracking_param", "");
        let tags = of("SELECT run, key, value FROM tracking_tag", "");
        let latest = of(
            "SELECT run, key, value, nan, at, step FROM tracking_latest",
            " ORDER BY run, key",
        );
        for row in SQL.rows(db, &params.text, params.values).await? {
            if let Some(place) = places.get(&SQL.at(&row, 0)?) {
                some[*place]
                    .params
                    .insert(SQL.at(&row, 1)?, SQL.at(&row, 2)?);
            }
        }
        for row in SQL.rows(db, &tags.text, tags.values).await? {
            if let Some(place) = places.get(&SQL.at(&row, 0)?) {
                some[*place].tags.insert(SQL.at(&row, 1)?, SQL.at(&row, 2)?);
            }
        }
        for row in SQL.rows(db, &latest.text, latest.values).await? {
            if let Some(place) = places.get(&SQL.at(&row, 0)?) {
                let point = Point::read(
                    SQL.at(&row, 1)?,
                    SQL.at(&row, 2)?,
                    SQL.at(&row, 3)?,
                    SQL.at(&row, 4)?,
                    SQL.at(&row, 5)?,
                );
                some[*place].metrics.push(point);
            }
        }
        input::read_into(db, some, &places).await?;
    }
    Ok(runs)
}

/// What changes of a run; nothing stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Update {
    /// Where it stands.
    pub status: Option<Status>,
    /// When it ended.
    pub end_time: Option<i64>,
    /// Its name.
    pub name: Option<String>,
}

/// Changes it.
pub async fn update(
    app: &App,
    workspace: &WorkspaceId,
    run_id: &str,
    update: Update,
) -> Result<Info, TrackingError> {
    let txn = SQL.begin(&app.store).await?;
    let mut info = active(&txn, workspace, run_id).await?;
    if let Some(status) = update.status {
        info.status = status;
    }
    // One that runs again has no end.
    info.end_time = match info.status {
        Status::Running | Status::Scheduled => update.end_time,
        _ => update.end_time.or(info.end_time),
    };
    if let Some(name) = update.name.filter(|name| !name.is_empty()) {
        bounds::length("run_name", &name, bounds::TAG)?;
        let tags = Texts::from([(NAME_TAG.to_owned(), name.clone())]);
        write_tags(&txn, info.row, &tags).await?;
        info.name = name;
    }
    let sql = "UPDATE tracking_run SET status = $2, end_time = $3, name = $4 WHERE id = $1";
    let values = [
        info.row.into(),
        info.status.word().into(),
        info.end_time.into(),
        info.name.as_str().into(),
    ];
    SQL.exec(&txn, sql, values).await?;
    SQL.commit(txn).await?;
    changed(app, workspace, &info);
    Ok(info)
}

/// Says that a run changed, to its own page and to that of its experiment.
pub(super) fn changed(app: &App, workspace: &WorkspaceId, info: &Info) {
    let run = info.run_id.clone();
    app.changes.send(workspace, Change::Run { run });
    let experiment = info.experiment;
    app.changes.send(workspace, Change::Runs { experiment });
}

/// Marks it deleted.
pub async fn delete(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    run_id: &str,
) -> Result<(), TrackingError> {
    turn(app, by, workspace, run_id, Stage::Deleted).await
}

/// Brings it back.
pub async fn restore(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    run_id: &str,
) -> Result<(), TrackingError> {
    turn(app, by, workspace, run_id, Stage::Active).await
}

async fn turn(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    run_id: &str,
    to: Stage,
) -> Result<(), TrackingError> {
    let txn = SQL.begin(&app.store).await?;
    let before = info(&txn, workspace, run_id).await?;
    let sql = "UPDATE tracking_run SET stage = $2, deleted_with = FALSE WHERE id = $1";
    SQL.exec(&txn, sql, [before.row.into(), to.word().into()])
        .await?;
    let action = match to {
        Stage::Active => "run.restore",
        Stage::Deleted => "run.delete",
    };
    let deed = Deed::new(action, format!("run {run_id}"))
        .within(workspace)
        .detail(before.name.as_str());
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    changed(app, workspace, &before);
    Ok(())
}

/// Takes a tag away.
pub async fn delete_tag(
    app: &App,
    workspace: &WorkspaceId,
    run_id: &str,
    key: &str,
) -> Result<(), TrackingError> {
    let txn = SQL.begin(&app.store).await?;
    let info = active(&txn, workspace, run_id).await?;
    let sql = "DELETE FROM tracking_tag WHERE run = $1 AND key = $2";
    if SQL.exec(&txn, sql, [info.row.into(), key.into()]).await? == 0 {
        let key = bounds::shown(key);
        return Err(TrackingError::NotFound(format!(
            "No tag with name {key} in run with id {run_id}"
        )));
    }
    Ok(SQL.commit(txn).await?)
}
