//! Rows that more than one part of the monitor reads or writes.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use tern_protocol::{
    id::{BootId, DeviceId, ModelName, ModelVersion, PredictionId, WorkspaceId},
    rest::VersionRef,
};

use super::sql::{Bulk, Select, places};
use crate::store::{Doing as _, StoreError, parsed, raw};

/// Predictions asked about in one query.
const ASKED: usize = 500;

/// Columns of `label`, in the order of [`LabelRow::values`].
const LABEL: &[&str] = &[
    "workspace",
    "device",
    "boot",
    "number",
    "site",
    "slot",
    "model",
    "version",
    "predicted_at",
    "class",
    "truth",
    "probability",
    "place",
];

const NEW_LABELS: Bulk = Bulk {
    table: "label",
    columns: LABEL,
    conflict: "ON CONFLICT DO NOTHING",
};

/// Only the truth of a known label changes: how its prediction came to be labelled does not.
const CHANGED_LABELS: Bulk = Bulk {
    table: "label",
    columns: LABEL,
    conflict: "ON CONFLICT (workspace, device, boot, number) DO UPDATE SET truth = excluded.truth",
};

/// A row of `label`, without its workspace.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
pub(super) struct LabelRow {
    pub(super) device: String,
    pub(super) boot: i64,
    pub(super) number: i64,
    pub(super) site: String,
    pub(super) slot: String,
    pub(super) model: String,
    pub(super) version: i64,
    pub(super) predicted_at: i64,
    pub(super) class: i64,
    pub(super) truth: i64,
    pub(super) probability: f64,
}

impl LabelRow {
    fn values(&self, workspace: &WorkspaceId, place: i64) -> [Value; 13] {
        [
            workspace.as_str().into(),
            self.device.as_str().into(),
            self.boot.into(),
            self.number.into(),
            self.site.as_str().into(),
            self.slot.as_str().into(),
            self.model.as_str().into(),
            self.version.into(),
            self.predicted_at.into(),
            self.class.into(),
            self.truth.into(),
            self.probability.into(),
            place.into(),
        ]
    }
}

/// The place of the label that came last, by which whoever follows labels goes on; labels that were there before there
/// were places have 0.
pub async fn last_place(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
) -> Result<i64, StoreError> {
    const SELECT: &str = "SELECT COALESCE(MAX(place), 0) FROM label WHERE workspace = $1";
    const DOING: &str = "reading the place of the last label";
    let row = raw::row(db, DOING, SELECT, [workspace.as_str().into()]).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0).doing(DOING))
}

/// Writes labels, over those of the same predictions; gives how many are new.
pub(super) async fn write_labels(
    txn: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    labels: &[LabelRow],
) -> Result<u64, StoreError> {
    // One writer at a time: whoever has read the last place is the next to write.
    let last = last_place(txn, workspace).await?;
    let values = || {
        let places = last + 1..;
        let rows = labels.iter().zip(places);
        rows.flat_map(|(label, place)| label.values(workspace, place))
            .collect::<Vec<_>>()
    };
    let added = NEW_LABELS.insert(txn, values(), "storing labels").await?;
    if added < labels.len() as u64 {
        CHANGED_LABELS
            .insert(txn, values(), "changing labels")
            .await?;
    }
    Ok(added)
}

/// A prediction of a device.
pub(super) type Predicted = (String, i64, i64);

/// The row that a prediction is kept as.
pub(super) fn predicted(device: &DeviceId, prediction: PredictionId) -> Predicted {
    (
        device.to_string(),
        prediction.boot.0.into(),
        prediction.number.cast_signed(),
    )
}

/// The prediction of a row.
pub(crate) fn prediction(boot: i64, number: i64) -> PredictionId {
    PredictionId {
        boot: BootId(u32::try_from(boot).unwrap_or(u32::MAX)),
        number: number.cast_unsigned(),
    }
}

/// Reads rows of `select … FROM table` for these predictions.
pub(super) async fn of_predictions<T: FromQueryResult>(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    select: &str,
    asked: &[Predicted],
    key: impl Fn(&T) -> Predicted,
    doing: &'static str,
) -> Result<HashMap<Predicted, T>, StoreError> {
    let backend = db.get_database_backend();
    let mut found = HashMap::new();
    for asked in asked.chunks(ASKED) {
        let mut values = vec![Value::from(workspace.as_str())];
        for (device, boot, number) in asked {
            values.extend([device.as_str().into(), (*boot).into(), (*number).into()]);
        }
        // Places without numbers throughout: SQLite does not mix them well with numbered ones.
        let mut sql = format!("{select} WHERE workspace = ");
        sql.push_str(if backend == sea_orm::DatabaseBackend::Postgres {
            "$1"
        } else {
            "?"
        });
        sql.push_str(" AND (device, boot, number) IN (VALUES ");
        places(&mut sql, backend, 2, asked.len(), 3);
        sql.push(')');
        let rows = db
            .query_all_raw(Select::new(sql, values).done(backend))
            .await
            .doing(doing)?;
        for row in rows {
            let row = T::from_query_result(&row, "").doing(doing)?;
            found.insert(key(&row), row);
        }
    }
    Ok(found)
}

/// A version from its columns.
pub(super) fn version_ref(model: &str, version: i64) -> Result<VersionRef, StoreError> {
    let number = u32::try_from(version).ok().and_then(ModelVersion::new);
    Ok(VersionRef {
        model: parsed::<ModelName>("model name", model)?,
        version: number.ok_or_else(|| StoreError::Value {
            what: "version",
            value: version.to_string(),
        })?,
    })
}

/// A class for people: its name, or its number if the version names none.
pub(super) fn class_name(names: Option<&Vec<String>>, class: i64) -> String {
    let name = usize::try_from(class)
        .ok()
        .and_then(|class| names?.get(class));
    name.cloned().unwrap_or_else(|| class.to_string())
}
