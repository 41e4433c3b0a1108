//! Experiments: made, named, deleted, brought back.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, QueryResult};
use tern_protocol::{id::WorkspaceId, rest::Change};

use super::{
    Stage, Texts, TrackingError, bounds,
    sql::{SQL, Sql, insert},
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    store::StoreError,
};

/// Experiments of a workspace, the deleted among them.
const MOST: i64 = 100_000;

/// The columns of an experiment, in the order of [`read`].
pub(super) const COLUMNS: &str = "e.id, e.name, e.artifact_location, e.stage, e.created, e.updated";

/// An experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Experiment {
    /// Counts within the workspace.
    pub id: i64,
    /// No other of the workspace has it, not even a deleted one.
    pub name: String,
    /// Where artifacts of its runs lie.
    pub artifact_location: String,
    /// Whether it is there.
    pub stage: Stage,
    /// When it was made, in milliseconds since 1970.
    pub created: i64,
    /// When it was changed last.
    pub updated: i64,
    /// Its tags.
    pub tags: Texts,
}

/// The number of an experiment, as clients write it.
pub fn number(text: &str) -> Result<i64, TrackingError> {
    bounds::required("experiment_id", text)?;
    let id = text.parse().ok().filter(|id: &i64| *id >= 0);
    id.ok_or_else(|| missing(&bounds::shown(text)))
}

fn missing(id: &str) -> TrackingError {
    TrackingError::NotFound(format!("No Experiment with id={id} exists"))
}

/// Makes experiment 0, unless it is there.
pub(super) async fn make_default(app: &App, workspace: &WorkspaceId) -> Result<(), TrackingError> {
    let there = "SELECT 1 AS one FROM tracking_experiment WHERE workspace = $1 AND id = 0";
    let there = SQL
        .row(app.store.read(), there, [workspace.as_str().into()])
        .await?;
    if there.is_some() {
        return Ok(());
    }
    let now = app.clock.now().0;
    let sql = "INSERT INTO tracking_experiment (workspace, id, name, artifact_location, stage, created, updated) \
               VALUES ($1, 0, 'Default', 'mlflow-artifacts:/0', 'active', $2, $2) ON CONFLICT DO NOTHING";
    let values = [workspace.as_str().into(), now.into()];
    SQL.exec(app.store.write(), sql, values).await?;
    Ok(())
}

/// Makes one; its number.
pub async fn create(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    name: &str,
    location: &str,
    tags: &Texts,
) -> Result<i64, TrackingError> {
    bounds::experiment_name(name)?;
    bounds::length("artifact_location", location, bounds::URI)?;
    artifact_location(location)?;
    for (key, value) in tags {
        bounds::pair("tag", key, value, bounds::EXPERIMENT_TAG)?;
    }
    let txn = SQL.begin(&app.store).await?;
    free(&txn, workspace, name).await?;
    let last = "SELECT COALESCE(MAX(id), 0) AS last FROM tracking_experiment WHERE workspace = $1";
    let last = SQL.row(&txn, last, [workspace.as_str().into()]).await?;
    let last: i64 = last.map_or(Ok(0), |row| SQL.column(&row, "last"))?;
    if last >= MOST {
        let text = format!("a workspace has at most {MOST} experiments");
        return Err(TrackingError::Invalid(text));
    }
    let (id, now) = (last + 1, app.clock.now().0);
    let location = match location {
        "" => format!("mlflow-artifacts:/{id}"),
        location => location.to_owned(),
    };
    let sql = "INSERT INTO tracking_experiment (workspace, id, name, artifact_location, stage, created, updated) \
               VALUES ($1, $2, $3, $4, 'active', $5, $5)";
    let values = [
        workspace.as_str().into(),
        id.into(),
        name.into(),
        location.as_str().into(),
        now.into(),
    ];
    SQL.exec(&txn, sql, values).await?;
    write_tags(&txn, workspace, id, tags).await?;
    let deed = Deed::new("experiment.create", format!("experiment {id}"))
        .within(workspace)
        .detail(name);
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    app.changes.send(workspace, Change::Experiments);
    Ok(id)
}

/// Where artifacts may lie: with the hub, or at a place that clients reach by themselves.
fn artifact_location(location: &str) -> Result<(), TrackingError> {
    let wrong = |why: &str| {
        let location = bounds::shown(location);
        Err(TrackingError::Invalid(format!(
            "Invalid artifact location {location}: {why}"
        )))
    };
    if location.starts_with("runs:") || location.starts_with("models:") {
        return wrong("it cannot be a runs:/ or models:/ URI.");
    }
    if location.contains(['?', '#']) || location.chars().any(char::is_control) {
        return wrong("it cannot have a query, a fragment or control characters.");
    }
    if location.split(['/', '\\']).any(|part| part == "..") {
        return wrong("it cannot lead upwards.");
    }
    if let Some(path) = super::artifact::path_of(location) {
        super::artifact::check(path)?;
    }
    Ok(())
}

/// Fails if a name is taken, also by one that was deleted.
async fn free(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    name: &str,
) -> Result<(), TrackingError> {
    let taken = "SELECT stage FROM tracking_experiment WHERE workspace = $1 AND name = $2";
    let taken = SQL
        .row(db, taken, [workspace.as_str().into(), name.into()])
        .await?;
    let Some(taken) = taken else { return Ok(()) };
    let stage: String = SQL.column(&taken, "stage")?;
    let name = bounds::shown(name);
    Err(TrackingError::Exists(match Stage::of(&stage) {
        Stage::Active => format!("Experiment {name} already exists."),
        Stage::Deleted => format!(
            "Experiment {name} already exists in deleted state. You can restore the experiment."
        ),
    }))
}

/// One, by its number.
pub async fn get(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    id: i64,
) -> Result<Experiment, TrackingError> {
    let sql =
        format!("SELECT {COLUMNS} FROM tracking_experiment e WHERE e.workspace = $1 AND e.id = $2");
    let found = SQL
        .row(db, &sql, [workspace.as_str().into(), id.into()])
        .await?;
    let found = found.ok_or_else(|| missing(&id.to_string()))?;
    let mut all = with_tags(db, workspace, vec![read(&found)?]).await?;
    Ok(all.remove(0))
}

/// As [`get`], if it is there; for what is written into it.
pub(super) async fn active(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    id: i64,
) -> Result<Experiment, TrackingError> {
    let found = get(db, workspace, id).await?;
    if found.stage == Stage::Active {
        return Ok(found);
    }
    Err(TrackingError::Invalid(format!(
        "The experiment {id} must be in the 'active' state. Current state is deleted."
    )))
}

/// One, by its name.
pub async fn get_by_name(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    name: &str,
) -> Result<Experiment, TrackingError> {
    bounds::required("experiment_name", name)?;
    let sql = format!(
        "SELECT {COLUMNS} FROM tracking_experiment e WHERE e.workspace = $1 AND e.name = $2"
    );
    let found = SQL
        .row(db, &sql, [workspace.as_str().into(), name.into()])
        .await?;
    let found = found.ok_or_else(|| {
        TrackingError::NotFound(format!(
            "Could not find experiment with name {}",
            bounds::shown(name)
        ))
    })?;
    let mut all = with_tags(db, workspace, vec![read(&found)?]).await?;
    Ok(all.remove(0))
}

/// Without its tags.
pub(super) fn read(row: &QueryResult) -> Result<Experiment, StoreError> {
    let stage: String = SQL.column(row, "stage")?;
    Ok(Experiment {
        id: SQL.column(row, "id")?,
        name: SQL.column(row, "name")?,
        artifact_location: SQL.column(row, "artifact_location")?,
        stage: Stage::of(&stage),
        created: SQL.column(row, "created")?,
        updated: SQL.column(row, "updated")?,
        tags: Texts::new(),
    })
}

pub(super) async fn with_tags(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    mut experiments: Vec<Experiment>,
) -> Result<Vec<Experiment>, StoreError> {
    for some in experiments.chunks_mut(1_000) {
        let mut sql = Sql::default();
        sql.push("SELECT experiment, key, value FROM tracking_experiment_tag WHERE workspace = ")
            .bind(workspace.as_str())
            .push(" AND experiment IN ")
            .list(some.iter().map(|one| one.id));
        let places: BTreeMap<i64, usize> =
            some.iter().enumerate().map(|(i, e)| (e.id, i)).collect();
        for row in SQL.rows(db, &sql.text, sql.values).await? {
            let id: i64 = SQL.column(&row, "experiment")?;
            if let Some(place) = places.get(&id) {
                let tags = &mut some[*place].tags;
                tags.insert(SQL.column(&row, "key")?, SQL.column(&row, "value")?);
            }
        }
    }
    Ok(experiments)
}

/// Gives it another name.
pub async fn rename(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    id: i64,
    name: &str,
) -> Result<(), TrackingError> {
    bounds::experiment_name(name)?;
    let txn = SQL.begin(&app.store).await?;
    let before = active(&txn, workspace, id).await?;
    if before.name != name {
        free(&txn, workspace, name).await?;
    }
    let sql =
        "UPDATE tracking_experiment SET name = $3, updated = $4 WHERE workspace = $1 AND id = $2";
    let now = app.clock.now().0;
    let values = [
        workspace.as_str().into(),
        id.into(),
        name.into(),
        now.into(),
    ];
    SQL.exec(&txn, sql, values).await?;
    let deed = Deed::new("experiment.rename", format!("experiment {id}"))
        .within(workspace)
        .detail(format!("{} to {name}", before.name));
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    app.changes.send(workspace, Change::Experiments);
    Ok(())
}

/// Marks it deleted, and its runs with it.
pub async fn delete(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    id: i64,
) -> Result<(), TrackingError> {
    if id == 0 {
        let text = "Cannot delete the default experiment; runs that name no experiment are in it.";
        return Err(TrackingError::Invalid(text.into()));
    }
    turn(app, by, workspace, id, Stage::Deleted).await
}

/// Brings it back, and the runs that went with it.
pub async fn restore(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    id: i64,
) -> Result<(), TrackingError> {
    turn(app, by, workspace, id, Stage::Active).await
}

async fn turn(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    id: i64,
    to: Stage,
) -> Result<(), TrackingError> {
    let txn = SQL.begin(&app.store).await?;
    let before = get(&txn, workspace, id).await?;
    if before.stage == to {
        let state = to.word();
        return Err(TrackingError::NotFound(format!(
            "Experiment {id} is {state} already; only one that is not can be made so"
        )));
    }
    let sql =
        "UPDATE tracking_experiment SET stage = $3, updated = $4 WHERE workspace = $1 AND id = $2";
    let values = [
        workspace.as_str().into(),
        id.into(),
        to.word().into(),
        app.clock.now().0.into(),
    ];
    SQL.exec(&txn, sql, values).await?;
    let (runs, action) = match to {
        Stage::Deleted => (
            "UPDATE tracking_run SET stage = 'deleted', deleted_with = TRUE \
             WHERE workspace = $1 AND experiment = $2 AND stage = 'active'",
            "experiment.delete",
        ),
        Stage::Active => (
            "UPDATE tracking_run SET stage = 'active', deleted_with = FALSE \
             WHERE workspace = $1 AND experiment = $2 AND deleted_with",
            "experiment.restore",
        ),
    };
    let runs = SQL
        .exec(&txn, runs, [workspace.as_str().into(), id.into()])
        .await?;
    let deed = Deed::new(action, format!("experiment {id}"))
        .within(workspace)
        .detail(format!("{}, {runs} runs", before.name));
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    app.changes.send(workspace, Change::Experiments);
    Ok(())
}

/// Sets a tag.
pub async fn set_tag(
    app: &App,
    workspace: &WorkspaceId,
    id: i64,
    key: &str,
    value: &str,
) -> Result<(), TrackingError> {
    bounds::pair("tag", key, value, bounds::EXPERIMENT_TAG)?;
    let txn = SQL.begin(&app.store).await?;
    active(&txn, workspace, id).await?;
    let tags = Texts::from([(key.to_owned(), value.to_owned())]);
    write_tags(&txn, workspace, id, &tags).await?;
    Ok(SQL.commit(txn).await?)
}

/// Takes a tag away.
pub async fn delete_tag(
    app: &App,
    workspace: &WorkspaceId,
    id: i64,
    key: &str,
) -> Result<(), TrackingError> {
    let txn = SQL.begin(&app.store).await?;
    active(&txn, workspace, id).await?;
    let sql =
        "DELETE FROM tracking_experiment_tag WHERE workspace = $1 AND experiment = $2 AND key = $3";
    let values = [workspace.as_str().into(), id.into(), key.into()];
    if SQL.exec(&txn, sql, values).await? == 0 {
        let key = bounds::shown(key);
        return Err(TrackingError::NotFound(format!(
            "No tag with name {key} in experiment with id {id}"
        )));
    }
    Ok(SQL.commit(txn).await?)
}

async fn write_tags(
    txn: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    id: i64,
    tags: &Texts,
) -> Result<(), StoreError> {
    let all = tags.iter().map(|(key, value)| {
        [
            workspace.as_str().into(),
            id.into(),
            key.as_str().into(),
            value.as_str().into(),
        ]
    });
    let into = "tracking_experiment_tag (workspace, experiment, key, value)";
    let then = "ON CONFLICT (workspace, experiment, key) DO UPDATE SET value = excluded.value";
    insert(txn, into, all.collect(), then).await?;
    Ok(())
}
