//! Which version of a model was trained on which version of a dataset.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, Value};
use tern_protocol::{
    id::{DatasetId, ModelName, ModelVersion, WorkspaceId},
    rest::{DatasetPick, DatasetState, TrainedOn, VersionRef},
    steps::PreStep,
};

use super::{
    DatasetError, Found, SQL, look,
    stored::{self, key},
};
use crate::{
    app::App,
    monitor::rows::version_ref,
    store::{StoreError, parsed},
};

/// The version of a dataset that somebody says a model was trained on.
pub async fn meant(
    app: &App,
    workspace: &WorkspaceId,
    pick: &DatasetPick,
) -> Result<Found, DatasetError> {
    let found = stored::pick(app.store.read(), workspace, pick).await?;
    // What was withdrawn or removed since may well have been trained on before.
    match found.view.state {
        DatasetState::Done | DatasetState::Removed => Ok(found),
        DatasetState::Running | DatasetState::Failed | DatasetState::Stopped => Err(
            DatasetError::Conflict(format!("{} has no rows", found.view.title())),
        ),
    }
}

/// The steps that devices have to do to inputs, by what a version was trained on; nothing if none are known.
pub async fn steps(app: &App, found: &Found) -> Result<Vec<PreStep>, DatasetError> {
    if look::usable(found).is_err() {
        return Ok(Vec::new());
    }
    let prepared = look::manifest(app, found).await?.prepared;
    Ok(prepared.map(|prepared| prepared.pre).unwrap_or_default())
}

/// Notes on which a version was trained, in the transaction that writes the version; over what was noted before.
pub async fn note(
    txn: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    version: ModelVersion,
    dataset: DatasetId,
) -> Result<(), StoreError> {
    let upsert = "INSERT INTO version_dataset (workspace, model, version, dataset) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (workspace, model, version) DO UPDATE SET dataset = excluded.dataset";
    let values: [Value; 4] = [
        workspace.as_str().into(),
        model.as_str().into(),
        i64::from(version.get()).into(),
        key(dataset).into(),
    ];
    SQL.exec(txn, upsert, values).await.map(drop)
}

/// What a version was trained on, if somebody said.
pub async fn of(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    version: ModelVersion,
) -> Result<Option<DatasetId>, StoreError> {
    let select =
        "SELECT dataset FROM version_dataset WHERE workspace = $1 AND model = $2 AND version = $3";
    let values: [Value; 3] = [
        workspace.as_str().into(),
        model.as_str().into(),
        i64::from(version.get()).into(),
    ];
    let row = SQL.row(db, select, values).await?;
    let id = row.map(|row| SQL.at::<i64>(&row, 0)).transpose()?;
    Ok(id.map(|id| DatasetId(id.cast_unsigned())))
}

/// What each version was trained on: of all models, or of one.
pub(crate) async fn all(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: Option<&ModelName>,
) -> Result<BTreeMap<VersionRef, TrainedOn>, StoreError> {
    let select = "SELECT v.model, v.version, d.id, d.name, d.number FROM version_dataset v \
        JOIN dataset d ON d.id = v.dataset WHERE v.workspace = $1 AND ($2 = '' OR v.model = $2)";
    let values = [
        Value::from(workspace.as_str()),
        model.map_or("", ModelName::as_str).into(),
    ];
    let rows = SQL.rows(db, select, values).await?;
    rows.iter()
        .map(|row| {
            let of = version_ref(&SQL.at::<String>(row, 0)?, SQL.at(row, 1)?)?;
            let on = TrainedOn {
                id: DatasetId(SQL.at::<i64>(row, 2)?.cast_unsigned()),
                name: parsed("dataset name", &SQL.at::<String>(row, 3)?)?,
                number: u32::try_from(SQL.at::<i64>(row, 4)?).unwrap_or(u32::MAX),
            };
            Ok((of, on))
        })
        .collect()
}

/// What was trained on a version, the newest first.
pub(super) async fn on(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    dataset: DatasetId,
) -> Result<Vec<VersionRef>, StoreError> {
    let select = "SELECT model, version FROM version_dataset WHERE workspace = $1 AND dataset = $2 \
        ORDER BY model, version DESC LIMIT 500";
    let values = [workspace.as_str().into(), key(dataset).into()];
    let rows = SQL.rows(db, select, values).await?;
    rows.iter()
        .map(|row| version_ref(&SQL.at::<String>(row, 0)?, SQL.at(row, 1)?))
        .collect()
}
