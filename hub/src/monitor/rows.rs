//! Rows that more than one part of the monitor reads or writes.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use tern_protocol::{
    id::{BootId, DeviceId, ModelName, ModelVersion, PredictionId, WorkspaceId},
    rest::{LabelSource, VersionRef},
    time::WallTime,
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
    "confidence",
    "predicted",
    "truth_number",
    "low",
    "high",
    "source",
    "labelled_at",
    "arm",
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
    conflict: "ON CONFLICT (workspace, device, boot, number) DO UPDATE SET truth = excluded.truth, \
        truth_number = excluded.truth_number, source = excluded.source, labelled_at = excluded.labelled_at",
};

/// Gives labels that came last the part that is known of their captures.
const ARM_OF_CAPTURE: &str = "UPDATE label SET arm = COALESCE((SELECT c.arm FROM capture c \
    WHERE c.workspace = label.workspace AND c.device = label.device AND c.boot = label.boot \
    AND c.number = label.number), '') WHERE workspace = $1 AND place > $2 AND arm = ''";

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
    /// How likely it was that it is asked about; 0 of one that was chosen by what the model said, which no estimate
    /// counts.
    pub(super) probability: f64,
    /// How sure the model was; nothing of labels that came before this was kept, and whose input is not captured.
    pub(super) confidence: Option<f64>,
    /// What was predicted, of a model that is no classifier; class and truth mean nothing then.
    pub(super) predicted: Option<f64>,
    /// What was true, of such a model.
    pub(super) truth_number: Option<f64>,
    /// Lower end of what was predicted with it, if anything.
    pub(super) low: Option<f64>,
    /// Upper end.
    pub(super) high: Option<f64>,
    /// Where the truth came from ([`tern_protocol::rest::LabelSource::word`]).
    pub(super) source: String,
    /// When it came; 0 of labels that came before this was kept.
    pub(super) labelled_at: i64,
    /// The part that its device had in a rollout when it predicted ([`tern_protocol::rest::Part::word`]); empty if it
    /// had none, or nobody knows.
    pub(super) arm: String,
}

impl LabelRow {
    fn values(&self, workspace: &WorkspaceId, place: i64) -> [Value; 21] {
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
            self.confidence.into(),
            self.predicted.into(),
            self.truth_number.into(),
            self.low.into(),
            self.high.into(),
            self.source.as_str().into(),
            self.labelled_at.into(),
            self.arm.as_str().into(),
        ]
    }
}

/// What a label needs to know of the capture it is about.
#[derive(Debug, Clone, FromQueryResult)]
pub(super) struct Captured {
    pub(super) device: String,
    pub(super) boot: i64,
    pub(super) number: i64,
    pub(super) site: String,
    pub(super) slot: String,
    pub(super) model: String,
    pub(super) version: i64,
    pub(super) at: i64,
    pub(super) class: i64,
    pub(super) confidence: f64,
    pub(super) probability: f64,
    /// What was predicted, of a model that is no classifier; class and confidence mean nothing then.
    pub(super) predicted: Option<f64>,
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
    pub(super) arm: String,
}

/// Reads what [`Captured`] holds, before ` WHERE`.
pub(super) const CAPTURED: &str = "SELECT device, boot, number, site, slot, model, version, at, class, confidence, \
     probability, predicted, low, high, arm FROM capture";

impl Captured {
    /// The label that it becomes, with what was predicted for the truth.
    pub(super) fn label(self, source: LabelSource, at: WallTime) -> LabelRow {
        LabelRow {
            device: self.device,
            boot: self.boot,
            number: self.number,
            site: self.site,
            slot: self.slot,
            model: self.model,
            version: self.version,
            predicted_at: self.at,
            class: self.class,
            truth: self.class,
            probability: self.probability,
            confidence: self.predicted.is_none().then_some(self.confidence),
            predicted: self.predicted,
            truth_number: self.predicted,
            low: self.low,
            high: self.high,
            source: source.word().into(),
            labelled_at: at.0,
            arm: self.arm,
        }
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
    if labels.iter().any(|label| label.arm.is_empty()) {
        // A truth may come when the rollout is long over; a capture came while it went on.
        let values = [Value::from(workspace.as_str()), last.into()];
        raw::exec(txn, "storing parts of labels", ARM_OF_CAPTURE, values).await?;
    }
    Ok(added)
}

/// A prediction of a device.
pub(crate) type Predicted = (String, i64, i64);

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
pub(crate) async fn of_predictions<T: FromQueryResult>(
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
pub(crate) fn version_ref(model: &str, version: i64) -> Result<VersionRef, StoreError> {
    let number = u32::try_from(version).ok().and_then(ModelVersion::new);
    Ok(VersionRef {
        model: parsed::<ModelName>("model name", model)?,
        version: number.ok_or_else(|| StoreError::Value {
            what: "version",
            value: version.to_string(),
        })?,
    })
}

/// A number for people, as short as says which one it is: devices tell what they predicted with seven digits.
pub(super) fn number_text(number: f64) -> String {
    let short = number as f32;
    if f64::from(short).to_bits() == number.to_bits() {
        short.to_string()
    } else {
        number.to_string()
    }
}

/// A class for people: its name, or its number if the version names none.
pub(crate) fn class_name(names: Option<&Vec<String>>, class: i64) -> String {
    let name = usize::try_from(class)
        .ok()
        .and_then(|class| names?.get(class));
    name.cloned().unwrap_or_else(|| class.to_string())
}
