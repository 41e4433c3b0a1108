//! Truths that people bring, for predictions whose inputs were captured.

use std::collections::{BTreeMap, HashMap};

use sea_orm::TransactionTrait as _;
use tern_protocol::{
    id::WorkspaceId,
    rest::{
        Change, LabelImport, LabelImportResult, LabelRefused, LabelSource, NewLabel, VersionRef,
    },
};

use super::{
    overview::Tally,
    rows::{self, CAPTURED, Captured, LabelRow, Predicted},
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
        CAPTURED,
        &asked,
        |row: &Captured| (row.device.clone(), row.boot, row.number),
        "reading captures",
    )
    .await?;

    let now = app.clock.now();
    let mut result = LabelImportResult::default();
    let mut written: BTreeMap<Predicted, LabelRow> = BTreeMap::new();
    for (index, (label, key)) in request.labels.iter().zip(asked).enumerate() {
        let about = known.get(&key).cloned().or_else(|| {
            let captured = captured.get(&key).cloned();
            captured.map(|captured| captured.label(LabelSource::Import, now))
        });
        match judge(label, about, &classes) {
            Err(reason) => result.refused.push(LabelRefused {
                index: index as u64,
                line: None,
                reason,
            }),
            Ok(mut row) => {
                let before = known.get(&key);
                match before.map(|before| {
                    before.truth == row.truth && before.truth_number == row.truth_number
                }) {
                    None => result.added += 1,
                    Some(false) => result.changed += 1,
                    Some(true) => {
                        result.unchanged += 1;
                        continue;
                    }
                }
                row.source = LabelSource::Import.word().into();
                row.labelled_at = now.0;
                known.insert(key.clone(), row.clone());
                written.insert(key, row);
            }
        }
    }
    if written.is_empty() || request.dry_run {
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
    if row.predicted.is_some() {
        row.truth_number = Some(number_named(&label.truth).ok_or_else(|| {
            format!(
                "`{}` is not a number, and {} v{} answers numbers",
                cut(&label.truth),
                of.model,
                of.version
            )
        })?);
        return Ok(row);
    }
    let names = classes.get(&of).map(Vec::as_slice).unwrap_or_default();
    row.truth = class_named(names, &label.truth).ok_or_else(|| {
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
        let truth = cut(&label.truth);
        format!(
            "`{truth}` is not a class of {} v{}; it has {}{more}",
            of.model,
            of.version,
            shown.join(", ")
        )
    })?;
    Ok(row)
}

/// The class of this name; of a model without names of classes, of this number.
pub(super) fn class_named(names: &[String], truth: &str) -> Option<i64> {
    let by_number = || truth.parse::<u32>().ok().filter(|_| names.is_empty());
    let by_name = names.iter().position(|name| name == truth);
    by_name
        .map(|place| place as i64)
        .or_else(|| by_number().map(i64::from))
}

/// The number that a text says.
pub(super) fn number_named(truth: &str) -> Option<f64> {
    let number = truth.trim().parse().ok();
    number.filter(|number: &f64| number.is_finite())
}

/// A truth as an error shows it.
fn cut(truth: &str) -> String {
    truth.chars().take(80).collect()
}
