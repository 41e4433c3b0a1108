//! What a run used and made: data sets, logged models.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use tern_protocol::id::WorkspaceId;

use super::{
    Texts, TrackingError, bounds, logged,
    run::{self, Run},
    sql::{SQL, Sql, insert},
};
use crate::{app::App, store::StoreError};

/// Tag of a data set that says what it was used for.
const CONTEXT: &str = "mlflow.data.context";

/// Data sets that one run uses at most.
const MOST: usize = 10_000;

/// A data set that a run used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// Short digest of what is in it.
    pub digest: String,
    /// Of which kind its source is.
    pub source_type: String,
    /// Where it is from.
    pub source: String,
    /// What is in it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub schema: String,
    /// How much.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub profile: String,
    /// What is said of it.
    pub tags: Texts,
}

/// What a run used and made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inputs {
    /// Data sets that it used.
    pub datasets: Vec<Dataset>,
    /// Logged models that it used.
    pub models: Vec<String>,
    /// Logged models that it made, and at which step.
    pub outputs: Vec<(String, i64)>,
}

/// Notes what a run used.
pub async fn log_inputs(
    app: &App,
    workspace: &WorkspaceId,
    run_id: &str,
    datasets: &[Dataset],
    models: &[String],
) -> Result<(), TrackingError> {
    if datasets.len() > bounds::DATASETS || models.len() > bounds::DATASETS {
        return Err(TrackingError::Invalid(format!(
            "a request names at most {} data sets and models",
            bounds::DATASETS
        )));
    }
    for one in datasets {
        bounds::dataset(&one.name, &one.digest, &one.source, &one.schema)?;
        for (key, value) in &one.tags {
            bounds::length("dataset tag key", key, 255)?;
            bounds::length("dataset tag value", value, bounds::NAME)?;
        }
    }
    let txn = SQL.begin(&app.store).await?;
    let info = run::active(&txn, workspace, run_id).await?;
    let mut before = vec![Run::without(info.clone())];
    read_into(&txn, &mut before, &HashMap::from([(info.row, 0)])).await?;
    if before[0].inputs.datasets.len() + datasets.len() > MOST {
        let text = format!("a run uses at most {MOST} data sets");
        return Err(TrackingError::Invalid(text));
    }
    let all = datasets.iter().map(|one| {
        let context = one.tags.get(CONTEXT).map_or("", String::as_str);
        let body = serde_json::to_string(one).expect("texts are always JSON");
        [
            info.row.into(),
            one.name.as_str().into(),
            one.digest.as_str().into(),
            context.into(),
            body.into(),
        ]
    });
    let into = "tracking_input (run, name, digest, context, body)";
    let then = "ON CONFLICT (run, name, digest) DO UPDATE SET context = excluded.context, body = excluded.body";
    // Of one that is there twice the last counts, and a statement may change a row only once.
    let mut last: HashMap<(&str, &str), [sea_orm::Value; 5]> = HashMap::new();
    for (one, row) in datasets.iter().zip(all) {
        last.insert((&one.name, &one.digest), row);
    }
    insert(&txn, into, last.into_values().collect(), then).await?;
    write_models(
        &txn,
        workspace,
        info.row,
        "in",
        models.iter().map(|id| (id, 0)),
    )
    .await?;
    Ok(SQL.commit(txn).await?)
}

/// Notes which logged models a run made.
pub async fn log_outputs(
    app: &App,
    workspace: &WorkspaceId,
    run_id: &str,
    models: &[(String, i64)],
) -> Result<(), TrackingError> {
    let txn = SQL.begin(&app.store).await?;
    let info = run::active(&txn, workspace, run_id).await?;
    let all = models.iter().map(|(id, step)| (id, *step));
    write_models(&txn, workspace, info.row, "out", all).await?;
    SQL.commit(txn).await?;
    run::changed(app, workspace, &info);
    Ok(())
}

async fn write_models(
    txn: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    run: i64,
    direction: &str,
    models: impl Iterator<Item = (&String, i64)>,
) -> Result<(), TrackingError> {
    for (model, step) in models {
        logged::row_of(txn, workspace, model).await?;
        let row = [
            run.into(),
            direction.into(),
            model.as_str().into(),
            step.into(),
        ];
        let into = "tracking_run_model (run, direction, model_id, step)";
        let then = "ON CONFLICT (run, direction, model_id) DO UPDATE SET step = excluded.step";
        insert(txn, into, vec![row], then).await?;
    }
    Ok(())
}

/// Adds what runs used and made to them; `places` says which run has which row.
pub(super) async fn read_into(
    db: &impl ConnectionTrait,
    runs: &mut [Run],
    places: &HashMap<i64, usize>,
) -> Result<(), StoreError> {
    let mut sql = Sql::default();
    sql.push("SELECT run, body FROM tracking_input WHERE run IN ")
        .list(places.keys().copied())
        .push(" ORDER BY run, name, digest");
    for row in SQL.rows(db, &sql.text, sql.values).await? {
        let body: String = SQL.at(&row, 1)?;
        let read = serde_json::from_str(&body).map_err(|_| StoreError::Value {
            what: "data set",
            value: body.chars().take(80).collect(),
        })?;
        if let Some(place) = places.get(&SQL.at(&row, 0)?) {
            runs[*place].inputs.datasets.push(read);
        }
    }
    let mut sql = Sql::default();
    sql.push("SELECT run, direction, model_id, step FROM tracking_run_model WHERE run IN ")
        .list(places.keys().copied())
        .push(" ORDER BY run, step, model_id");
    for row in SQL.rows(db, &sql.text, sql.values).await? {
        let direction: String = SQL.at(&row, 1)?;
        if let Some(place) = places.get(&SQL.at(&row, 0)?) {
            let inputs = &mut runs[*place].inputs;
            if direction == "in" {
                inputs.models.push(SQL.at(&row, 2)?);
            } else {
                inputs.outputs.push((SQL.at(&row, 2)?, SQL.at(&row, 3)?));
            }
        }
    }
    Ok(())
}
