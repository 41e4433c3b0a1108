//! Truths that people bring, for predictions whose inputs were captured.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{FromQueryResult, TransactionTrait as _};
use tern_protocol::{
    id::WorkspaceId,
    rest::{Change, LabelImport, LabelImportResult, LabelRefused, NewLabel, VersionRef},
};

use super::{
    overview::Tally,
    rows::{self, LabelRow, Predicted},
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    registry,
    store::{Doing as _, StoreError},
};

/// Labels in one request: 10,000 are a transaction of a fraction of a second.
pub const LABELS: usize = 10_000;

/// Why no label was stored.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// More labels than one request may bring.
    #[error("{0} labels in one request, the limit is {LABELS}; send them in several")]
    TooMany(usize),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a label needs to know of the capture it is about.
#[derive(Debug, Clone, FromQueryResult)]
struct Captured {
    device: String,
    boot: i64,
    number: i64,
    site: String,
    slot: String,
    model: String,
    version: i64,
    at: i64,
    class: i64,
    probability: f64,
}

impl Captured {
    fn label(self) -> LabelRow {
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
        }
    }
}

/// Stores labels. Each stands alone: a refused one holds nothing up.
pub async fn import(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    request: LabelImport,
) -> Result<LabelImportResult, ImportError> {
    if request.labels.len() > LABELS {
        return Err(ImportError::TooMany(request.labels.len()));
    }
    let classes = registry::classes(app.store.read(), workspace, None).await?;
    // From here on nobody else changes labels, so that what is counted as new is new.
    let txn = app
        .store
        .write()
        .begin()
        .await
        .doing("beginning to store labels")?;
    let asked: Vec<Predicted> = request
        .labels
        .iter()
        .map(|label| rows::predicted(&label.device, label.prediction))
        .collect();
    let mut known: HashMap<Predicted, LabelRow> = rows::of_predictions(
        &txn,
        workspace,
        "SELECT * FROM label",
        &asked,
        |row: &LabelRow| (row.device.clone(), row.boot, row.number),
        "reading labels",
    )
    .await?;
    let captured: HashMap<Predicted, Captured> = rows::of_predictions(
        &txn,
        workspace,
        "SELECT device, boot, number, site, slot, model, version, at, class, probability FROM capture",
        &asked,
        |row: &Captured| (row.device.clone(), row.boot, row.number),
        "reading captures",
    )
    .await?;

    let mut result = LabelImportResult::default();
    let mut written: BTreeMap<Predicted, LabelRow> = BTreeMap::new();
    for (index, (label, key)) in request.labels.iter().zip(asked).enumerate() {
        let about = known.get(&key).cloned();
        let about = about.or_else(|| captured.get(&key).cloned().map(Captured::label));
        match judge(label, about, &classes) {
            Err(reason) => result.refused.push(LabelRefused {
                index: index as u64,
                reason,
            }),
            Ok(row) => {
                match known.get(&key).map(|before| before.truth == row.truth) {
                    None => result.added += 1,
                    Some(false) => result.changed += 1,
                    Some(true) => {
                        result.unchanged += 1;
                        continue;
                    }
                }
                known.insert(key.clone(), row.clone());
                written.insert(key, row);
            }
        }
    }
    if written.is_empty() {
        return Ok(result);
    }
    let rows: Vec<LabelRow> = written.into_values().collect();
    let added = rows::write_labels(&txn, workspace, &rows).await?;
    Tally {
        labels: added,
        ..Tally::default()
    }
    .add_to(&txn, workspace)
    .await?;
    let deed = Deed::new("label.import", format!("{} labels", rows.len()))
        .within(workspace)
        .after(&request)
        .detail(format!("{} new, {} changed", result.added, result.changed));
    audit::record(&txn, &app.clock, by, deed).await?;
    txn.commit().await.doing("committing labels")?;
    app.counters.labels.add(added);
    app.changes.send(
        workspace,
        Change::Telemetry {
            at: app.clock.now(),
        },
    );
    Ok(result)
}

/// The row that a label becomes, or why it is refused and what to do.
fn judge(
    label: &NewLabel,
    about: Option<LabelRow>,
    classes: &BTreeMap<VersionRef, Vec<String>>,
) -> Result<LabelRow, String> {
    let Some(mut row) = about else {
        return Err(format!(
            "there is no capture of prediction {} of {}; only captured predictions can be labelled",
            label.prediction, label.device
        ));
    };
    let of = rows::version_ref(&row.model, row.version).map_err(|err| err.to_string())?;
    let names = classes.get(&of).map(Vec::as_slice).unwrap_or_default();
    // A model without names of classes has them by number.
    let by_number = || label.truth.parse::<u32>().ok().filter(|_| names.is_empty());
    let by_name = names.iter().position(|name| *name == label.truth);
    let truth = by_name
        .map(|place| place as i64)
        .or_else(|| by_number().map(i64::from));
    row.truth = truth.ok_or_else(|| {
        let shown: Vec<_> = names
            .iter()
            .take(12)
            .map(|name| format!("`{name}`"))
            .collect();
        let more = if names.len() > shown.len() {
            " …"
        } else {
            ""
        };
        let truth: String = label.truth.chars().take(80).collect();
        format!(
            "`{truth}` is not a class of {} v{}; it has {}{more}",
            of.model,
            of.version,
            shown.join(", ")
        )
    })?;
    Ok(row)
}
