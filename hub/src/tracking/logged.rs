//! Logged models: what a run made, before anybody registers it.

use std::{collections::HashMap, str::FromStr};

use sea_orm::{ConnectionTrait, QueryResult};
use tern_protocol::id::WorkspaceId;

use super::{
    Point, Texts, TrackingError, bounds, experiment, random, run,
    sql::{SQL, Sql, insert},
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    store::StoreError,
};

/// Params of one request.
const PARAMS: usize = 100;

/// Where a logged model stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Its files are on their way.
    Pending,
    /// All of it is there.
    Ready,
    /// Its files did not come.
    Failed,
}

impl Status {
    const ALL: [Self; 3] = [Self::Pending, Self::Ready, Self::Failed];

    /// As MLflow says it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "LOGGED_MODEL_PENDING",
            Self::Ready => "LOGGED_MODEL_READY",
            Self::Failed => "LOGGED_MODEL_UPLOAD_FAILED",
        }
    }

    /// As filters say it.
    const fn short(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Ready => "READY",
            Self::Failed => "FAILED",
        }
    }
}

impl FromStr for Status {
    type Err = TrackingError;

    fn from_str(text: &str) -> Result<Self, TrackingError> {
        let found = Self::ALL.into_iter().find(|status| {
            text.eq_ignore_ascii_case(status.word()) || text.eq_ignore_ascii_case(status.short())
        });
        found.ok_or_else(|| {
            let text = bounds::shown(text);
            TrackingError::Invalid(format!("Invalid value {text} for parameter 'status'."))
        })
    }
}

/// A value that was measured of a logged model.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The value.
    pub point: Point,
    /// By which run.
    pub run_id: String,
    /// On which data set; empty for none.
    pub dataset_name: String,
    /// Its digest.
    pub dataset_digest: String,
}

/// A logged model.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    pub(super) row: i64,
    /// `m-` and 32 hex digits.
    pub model_id: String,
    /// Its experiment.
    pub experiment: i64,
    /// Its name.
    pub name: String,
    /// Where its files lie.
    pub artifact_uri: String,
    /// Where it stands.
    pub status: Status,
    /// What it is for.
    pub model_type: String,
    /// Which run made it; empty for none.
    pub source_run: String,
    /// When it was made.
    pub created: i64,
    /// When it was changed last.
    pub updated: i64,
    /// What it was made with.
    pub params: Texts,
    /// What is said of it.
    pub tags: Texts,
    /// What was measured of it, the latest of each metric, run and data set.
    pub metrics: Vec<Measured>,
}

/// A logged model to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewLogged {
    /// In which experiment.
    pub experiment: i64,
    /// Its name; one is made up for a model without.
    pub name: String,
    /// What it is for.
    pub model_type: String,
    /// Which run makes it.
    pub source_run: String,
    /// What it is made with.
    pub params: Texts,
    /// What is said of it.
    pub tags: Texts,
}

pub(super) const COLUMNS: &str = "m.id, m.model_id, m.experiment, m.name, m.artifact_uri, m.status, \
                                  m.model_type, m.source_run, m.created, m.updated";

pub(super) fn read(row: &QueryResult) -> Result<Logged, StoreError> {
    let word: String = SQL.column(row, "status")?;
    let status = word.parse().map_err(|_| StoreError::Value {
        what: "status of a logged model",
        value: word,
    })?;
    Ok(Logged {
        row: SQL.column(row, "id")?,
        model_id: SQL.column(row, "model_id")?,
        experiment: SQL.column(row, "experiment")?,
        name: SQL.column(row, "name")?,
        artifact_uri: SQL.column(row, "artifact_uri")?,
        status,
        model_type: SQL.column(row, "model_type")?,
        source_run: SQL.column(row, "source_run")?,
        created: SQL.column(row, "created")?,
        updated: SQL.column(row, "updated")?,
        params: Texts::new(),
        tags: Texts::new(),
        metrics: Vec::new(),
    })
}

/// Makes one, whose files come next.
pub async fn create(
    app: &App,
    workspace: &WorkspaceId,
    new: NewLogged,
) -> Result<Logged, TrackingError> {
    let name = match new.name.as_str() {
        "" => random::name()?,
        name => name.to_owned(),
    };
    bounds::logged_name(&name)?;
    bounds::length("model_type", &new.model_type, bounds::NAME)?;
    check(&new.params, &new.tags)?;
    let model_id = format!("m-{}", random::id()?);
    let txn = SQL.begin(&app.store).await?;
    let experiment = experiment::active(&txn, workspace, new.experiment).await?;
    if !new.source_run.is_empty() {
        run::info(&txn, workspace, &new.source_run).await?;
    }
    let location = experiment.artifact_location;
    let artifact_uri = format!(
        "{}/models/{model_id}/artifacts",
        location.trim_end_matches('/')
    );
    let now = app.clock.now().0;
    let sql = "INSERT INTO tracking_logged (model_id, workspace, experiment, name, artifact_uri, status, \
               model_type, source_run, stage, created, updated) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'active', $9, $9) RETURNING id";
    let values = [
        model_id.as_str().into(),
        workspace.as_str().into(),
        new.experiment.into(),
        name.as_str().into(),
        artifact_uri.into(),
        Status::Pending.word().into(),
        new.model_type.as_str().into(),
        new.source_run.as_str().into(),
        now.into(),
    ];
    let made = SQL.row(&txn, sql, values).await?;
    let id: i64 = made.map_or(Ok(0), |row| SQL.column(&row, "id"))?;
    write(&txn, "tracking_logged_param", id, &new.params).await?;
    write(&txn, "tracking_logged_tag", id, &new.tags).await?;
    SQL.commit(txn).await?;
    get(app.store.read(), workspace, &model_id).await
}

fn check(params: &Texts, tags: &Texts) -> Result<(), TrackingError> {
    if params.len() > PARAMS * 10 || tags.len() > PARAMS * 10 {
        let text = format!("a logged model has at most {} params and tags", PARAMS * 10);
        return Err(TrackingError::Invalid(text));
    }
    for (key, value) in params {
        bounds::pair("param", key, value, bounds::PARAM)?;
    }
    for (key, value) in tags {
        bounds::pair("tag", key, value, bounds::TAG)?;
    }
    Ok(())
}

async fn write(
    txn: &impl ConnectionTrait,
    table: &str,
    model: i64,
    texts: &Texts,
) -> Result<(), StoreError> {
    let all = texts.iter().map(|(key, value)| {
        let (key, value) = (key.as_str().into(), value.as_str().into());
        [model.into(), key, value]
    });
    let into = format!("{table} (model, key, value)");
    let then = "ON CONFLICT (model, key) DO UPDATE SET value = excluded.value";
    insert(txn, &into, all.collect(), then).await?;
    Ok(())
}

/// The row of one that is there.
pub(super) async fn row_of(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model_id: &str,
) -> Result<i64, TrackingError> {
    bounds::required("model_id", model_id)?;
    let sql = "SELECT id FROM tracking_logged WHERE model_id = $1 AND workspace = $2 AND stage = 'active'";
    let found = SQL
        .row(db, sql, [model_id.into(), workspace.as_str().into()])
        .await?;
    let found = found.ok_or_else(|| {
        TrackingError::NotFound(format!(
            "Logged model with ID {} not found.",
            bounds::shown(model_id)
        ))
    })?;
    Ok(SQL.column(&found, "id")?)
}

/// One, by its id.
pub async fn get(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model_id: &str,
) -> Result<Logged, TrackingError> {
    let id = row_of(db, workspace, model_id).await?;
    let sql = format!("SELECT {COLUMNS} FROM tracking_logged m WHERE m.id = $1");
    let found = SQL.rows(db, &sql, [id.into()]).await?;
    let models: Result<Vec<_>, _> = found.iter().map(read).collect();
    let mut models = with_data(db, models?).await?;
    models.pop().ok_or_else(|| {
        let text = format!(
            "Logged model with ID {} not found.",
            bounds::shown(model_id)
        );
        TrackingError::NotFound(text)
    })
}

/// Adds what hangs on logged models.
pub(super) async fn with_data(
    db: &impl ConnectionTrait,
    mut models: Vec<Logged>,
) -> Result<Vec<Logged>, StoreError> {
    let places: HashMap<i64, usize> = models.iter().enumerate().map(|(i, m)| (m.row, i)).collect();
    if places.is_empty() {
        return Ok(models);
    }
    let of = |select: &str, order: &str| {
        let mut sql = Sql::default();
        sql.push(select).push(" WHERE model IN ");
        sql.list(places.keys().copied()).push(order);
        sql
    };
    let params = of("SELECT model, key, value FROM tracking_logged_param", "");
    let tags = of("SELECT model, key, value FROM tracking_logged_tag", "");
    for row in SQL.rows(db, &params.text, params.values).await? {
        if let Some(place) = places.get(&SQL.column(&row, "model")?) {
            let params = &mut models[*place].params;
            params.insert(SQL.column(&row, "key")?, SQL.column(&row, "value")?);
        }
    }
    for row in SQL.rows(db, &tags.text, tags.values).await? {
        if let Some(place) = places.get(&SQL.column(&row, "model")?) {
            let tags = &mut models[*place].tags;
            tags.insert(SQL.column(&row, "key")?, SQL.column(&row, "value")?);
        }
    }
    let metrics = of(
        "SELECT model, key, step, at, value, nan, run_id, dataset_name, dataset_digest \
         FROM tracking_logged_metric",
        " ORDER BY model, key, run_id, dataset_name, dataset_digest, step, at, value LIMIT 100000",
    );
    for row in SQL.rows(db, &metrics.text, metrics.values).await? {
        let measured = Measured {
            point: Point::read(
                SQL.column(&row, "key")?,
                SQL.column(&row, "value")?,
                SQL.column(&row, "nan")?,
                SQL.column(&row, "at")?,
                SQL.column(&row, "step")?,
            ),
            run_id: SQL.column(&row, "run_id")?,
            dataset_name: SQL.column(&row, "dataset_name")?,
            dataset_digest: SQL.column(&row, "dataset_digest")?,
        };
        let Some(place) = places.get(&SQL.column(&row, "model")?) else {
            continue;
        };
        let metrics = &mut models[*place].metrics;
        let same = |last: &Measured| {
            let of = |one: &Measured| {
                let set = (one.dataset_name.clone(), one.dataset_digest.clone());
                (one.point.key.clone(), one.run_id.clone(), set)
            };
            of(last) == of(&measured)
        };
        // They come in their order: the latest of the same is the last.
        if metrics.last().is_some_and(same) {
            metrics.pop();
        }
        metrics.push(measured);
    }
    Ok(models)
}

/// Says where it stands.
pub async fn finish(
    app: &App,
    workspace: &WorkspaceId,
    model_id: &str,
    status: Status,
) -> Result<Logged, TrackingError> {
    let txn = SQL.begin(&app.store).await?;
    let id = row_of(&txn, workspace, model_id).await?;
    let sql = "UPDATE tracking_logged SET status = $2, updated = $3 WHERE id = $1";
    let values = [id.into(), status.word().into(), app.clock.now().0.into()];
    SQL.exec(&txn, sql, values).await?;
    SQL.commit(txn).await?;
    get(app.store.read(), workspace, model_id).await
}

/// Adds params and tags.
pub async fn add(
    app: &App,
    workspace: &WorkspaceId,
    model_id: &str,
    params: &Texts,
    tags: &Texts,
) -> Result<(), TrackingError> {
    check(params, tags)?;
    let txn = SQL.begin(&app.store).await?;
    let id = row_of(&txn, workspace, model_id).await?;
    write(&txn, "tracking_logged_param", id, params).await?;
    write(&txn, "tracking_logged_tag", id, tags).await?;
    touch(&txn, id, app.clock.now().0).await?;
    Ok(SQL.commit(txn).await?)
}

/// Takes a tag away.
pub async fn delete_tag(
    app: &App,
    workspace: &WorkspaceId,
    model_id: &str,
    key: &str,
) -> Result<(), TrackingError> {
    let txn = SQL.begin(&app.store).await?;
    let id = row_of(&txn, workspace, model_id).await?;
    let sql = "DELETE FROM tracking_logged_tag WHERE model = $1 AND key = $2";
    if SQL.exec(&txn, sql, [id.into(), key.into()]).await? == 0 {
        let key = bounds::shown(key);
        return Err(TrackingError::NotFound(format!(
            "No tag with key {key} found for model with ID '{model_id}'."
        )));
    }
    touch(&txn, id, app.clock.now().0).await?;
    Ok(SQL.commit(txn).await?)
}

async fn touch(txn: &impl ConnectionTrait, id: i64, now: i64) -> Result<(), StoreError> {
    let sql = "UPDATE tracking_logged SET updated = $2 WHERE id = $1";
    SQL.exec(txn, sql, [id.into(), now.into()]).await.map(drop)
}

/// Marks it deleted; nothing finds it any more.
pub async fn delete(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    model_id: &str,
) -> Result<(), TrackingError> {
    let txn = SQL.begin(&app.store).await?;
    let id = row_of(&txn, workspace, model_id).await?;
    let sql = "UPDATE tracking_logged SET stage = 'deleted', updated = $2 WHERE id = $1";
    SQL.exec(&txn, sql, [id.into(), app.clock.now().0.into()])
        .await?;
    let deed =
        Deed::new("logged-model.delete", format!("logged model {model_id}")).within(workspace);
    audit::record(&txn, &app.clock, by, deed).await?;
    Ok(SQL.commit(txn).await?)
}
