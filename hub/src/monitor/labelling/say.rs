//! What people say, and the labels that follow.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, TransactionTrait as _, Value};
use tern_protocol::{
    id::{ModelName, WorkspaceId},
    rest::{Change, Chosen, LabelSource, Queue, Said, Say},
};

use super::{
    Labeller, LabellingError, queue,
    settle::{Settled, Truth, Verdict, settle},
    stand::labellers,
    value::lot,
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    monitor::{
        labels::{class_named, number_named},
        overview::Tally,
        rows::{self, CAPTURED, Captured, LabelRow, Predicted},
    },
    registry,
    store::{Doing as _, StoreError, raw},
};

const DOING: &str = "storing what a person said";

/// One capture in the statements of this module.
const ONE: &str = "workspace = $1 AND device = $2 AND boot = $3 AND number = $4";

/// Stores what somebody said about a capture, over what they said before.
pub async fn say(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    labeller: &Labeller,
    model: &ModelName,
    said: &Say,
) -> Result<Said, LabellingError> {
    let key = rows::predicted(&said.device, said.prediction);
    let classes = registry::classes(app.store.read(), workspace, Some(model)).await?;
    let txn = app.store.write().begin().await.doing(DOING)?;
    let capture = capture(&txn, workspace, &key).await?;
    let capture = capture.filter(|capture| capture.model == model.as_str());
    let capture = capture.ok_or_else(|| LabellingError::NoCapture {
        device: said.device.clone(),
        prediction: said.prediction,
        model: model.clone(),
    })?;
    let of = rows::version_ref(&capture.model, capture.version)?;
    let names = classes.get(&of).map(Vec::as_slice).unwrap_or_default();
    let truth = said.truth.as_deref().map(|text| {
        let cut = || text.chars().take(80).collect();
        if capture.predicted.is_some() {
            let number = number_named(text).map(Truth::Number);
            return number.ok_or_else(|| LabellingError::NotANumber {
                truth: cut(),
                model: model.clone(),
            });
        }
        let class = class_named(names, text).map(Truth::Class);
        class.ok_or_else(|| LabellingError::NotAClass {
            truth: cut(),
            model: model.clone(),
            version: capture.version,
        })
    });
    let truth = truth.transpose()?;
    let decides = said.queue == Queue::Disagreed;
    may(app, &txn, workspace, labeller, model, &key, decides).await?;

    let own = format!("DELETE FROM verdict WHERE {ONE} AND labeller = $5 AND decides = $6");
    let mut values = of_one(workspace, &key);
    values.extend([labeller.as_str().into(), i64::from(decides).into()]);
    raw::exec(&txn, DOING, &own, values).await?;
    let insert = "INSERT INTO verdict (workspace, device, boot, number, labeller, decides, model, truth, \
        truth_number, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let (class, number) = match truth {
        Some(Truth::Class(class)) => (Some(class), None),
        // What is no skip has a class.
        Some(Truth::Number(number)) => (Some(0), Some(number)),
        None => (None, None),
    };
    let mut values = of_one(workspace, &key);
    values.extend([
        labeller.as_str().into(),
        i64::from(decides).into(),
        model.as_str().into(),
        class.into(),
        number.into(),
        app.clock.now().0.into(),
    ]);
    raw::exec(&txn, DOING, insert, values).await?;
    let lease = format!("DELETE FROM lease WHERE {ONE}");
    raw::exec(&txn, DOING, &lease, of_one(workspace, &key)).await?;

    let settled = follow(app, &txn, workspace, model, capture).await?;
    // Not what was said: the log is for good, and a truth about a person goes when they ask for it.
    let what = truth.map_or("skipped", |_| "labelled");
    let deed = Deed::new("label.say", subject(model, &key))
        .within(workspace)
        .detail(what);
    audit::record(&txn, &app.clock, by, deed).await?;
    txn.commit().await.doing(DOING)?;
    announce(app, workspace);
    Ok(Said {
        standing: settled.standing(),
        item: None,
    })
}

/// Takes back what somebody said last, and asks them again unless somebody else is being asked.
pub async fn undo(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    labeller: &Labeller,
    model: &ModelName,
) -> Result<Said, LabellingError> {
    const LAST: &str = "SELECT id, device, boot, number, decides FROM verdict WHERE workspace = $1 AND model = $2 \
        AND labeller = $3 ORDER BY id DESC LIMIT 1";
    let txn = app.store.write().begin().await.doing(DOING)?;
    let values = [
        workspace.as_str().into(),
        model.as_str().into(),
        labeller.as_str().into(),
    ];
    let last = raw::row(&txn, DOING, LAST, values).await?;
    let last = last.ok_or_else(|| LabellingError::NothingToUndo(model.clone()))?;
    let id: i64 = last.try_get_by_index(0).doing(DOING)?;
    let decides: i64 = last.try_get_by_index(4).doing(DOING)?;
    let key: Predicted = (
        last.try_get_by_index(1).doing(DOING)?,
        last.try_get_by_index(2).doing(DOING)?,
        last.try_get_by_index(3).doing(DOING)?,
    );
    raw::exec(
        &txn,
        DOING,
        "DELETE FROM verdict WHERE id = $1",
        [id.into()],
    )
    .await?;
    // A capture may have been removed since; then there is no label that could follow either.
    let settled = match capture(&txn, workspace, &key).await? {
        Some(capture) => follow(app, &txn, workspace, model, capture).await?,
        None => Settled::Open,
    };
    let deed = Deed::new("label.undo", subject(model, &key)).within(workspace);
    audit::record(&txn, &app.clock, by, deed).await?;
    let chosen = if decides > 0 {
        Chosen::Disagreement
    } else if lot(&key).1 {
        Chosen::Lot
    } else {
        Chosen::Value
    };
    // Somebody else may have it on the screen by now: then it is theirs.
    let lent = queue::lend(app, &txn, workspace, labeller, vec![(key, chosen)]).await?;
    txn.commit().await.doing(DOING)?;
    announce(app, workspace);
    let mut items = queue::items(app, workspace, model, &lent).await?;
    Ok(Said {
        standing: settled.standing(),
        item: items.pop(),
    })
}

pub(super) fn announce(app: &App, workspace: &WorkspaceId) {
    let at = app.clock.now();
    app.changes.send(workspace, Change::Telemetry { at });
}

fn subject(model: &ModelName, (device, boot, number): &Predicted) -> String {
    let prediction = rows::prediction(*boot, *number);
    format!("prediction {prediction} of {device} by {model}")
}

fn of_one(workspace: &WorkspaceId, (device, boot, number): &Predicted) -> Vec<Value> {
    vec![
        workspace.as_str().into(),
        device.as_str().into(),
        (*boot).into(),
        (*number).into(),
    ]
}

async fn capture(
    txn: &DatabaseTransaction,
    workspace: &WorkspaceId,
    key: &Predicted,
) -> Result<Option<Captured>, StoreError> {
    let asked = std::slice::from_ref(key);
    let of = |row: &Captured| (row.device.clone(), row.boot, row.number);
    let mut found = rows::of_predictions(txn, workspace, CAPTURED, asked, of, DOING).await?;
    Ok(found.remove(key))
}

async fn label(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    key: &Predicted,
) -> Result<Option<LabelRow>, StoreError> {
    let asked = std::slice::from_ref(key);
    let of = |row: &LabelRow| (row.device.clone(), row.boot, row.number);
    let select = "SELECT * FROM label";
    let mut found = rows::of_predictions(db, workspace, select, asked, of, DOING).await?;
    Ok(found.remove(key))
}

/// Verdicts about a capture in the order in which they came, each with who said it.
async fn verdicts(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    key: &Predicted,
) -> Result<Vec<(String, Verdict)>, StoreError> {
    let select = format!(
        "SELECT labeller, truth, truth_number, decides FROM verdict WHERE {ONE} ORDER BY id"
    );
    let rows = raw::rows(db, DOING, &select, of_one(workspace, key)).await?;
    rows.iter()
        .map(|row| Ok((row.try_get_by_index(0).doing(DOING)?, verdict(row, 1)?)))
        .collect()
}

/// Truth and decision, which begin at a column.
fn verdict(row: &QueryResult, from: usize) -> Result<Verdict, StoreError> {
    let decides: i64 = row.try_get_by_index(from + 2).doing(DOING)?;
    Ok(Verdict {
        truth: truth(row, from)?,
        decides: decides > 0,
    })
}

/// Class and number of a verdict, which begin at a column, as a truth.
pub(super) fn truth(row: &QueryResult, from: usize) -> Result<Option<Truth>, StoreError> {
    let class: Option<i64> = row.try_get_by_index(from).doing(DOING)?;
    let number: Option<f64> = row.try_get_by_index(from + 1).doing(DOING)?;
    Ok(number.map(Truth::Number).or(class.map(Truth::Class)))
}

/// Refuses what somebody else is at, and what needs nobody any more.
async fn may(
    app: &App,
    txn: &DatabaseTransaction,
    workspace: &WorkspaceId,
    labeller: &Labeller,
    model: &ModelName,
    key: &Predicted,
    decides: bool,
) -> Result<(), LabellingError> {
    let lent = format!("SELECT 1 FROM lease WHERE {ONE} AND labeller <> $5 AND until > $6");
    let mut values = of_one(workspace, key);
    values.extend([labeller.as_str().into(), app.clock.now().0.into()]);
    if raw::row(txn, DOING, &lent, values).await?.is_some() {
        return Err(LabellingError::Lent);
    }
    let verdicts = verdicts(txn, workspace, key).await?;
    let own = verdicts
        .iter()
        .any(|(of, verdict)| of == labeller.as_str() && verdict.decides == decides);
    let label = label(txn, workspace, key).await?;
    let foreign = label
        .as_ref()
        .is_some_and(|label| label.source != LabelSource::Person.word());
    if foreign || label.is_some() && !own {
        return Err(LabellingError::Known);
    }
    let plain: Vec<Verdict> = verdicts.iter().map(|(_, verdict)| *verdict).collect();
    let needed = labellers(txn, workspace, model).await?;
    match (decides, settle(&plain, needed)) {
        (true, Settled::Disagreed) => Ok(()),
        (true, Settled::Truth(_)) if own => Ok(()),
        (true, _) => Err(LabellingError::NotDisagreed),
        (false, Settled::Disagreed) if !own => Err(LabellingError::Full),
        (false, _) => Ok(()),
    }
}

/// Makes, changes or removes the label of a capture as what was said about it demands.
async fn follow(
    app: &App,
    txn: &DatabaseTransaction,
    workspace: &WorkspaceId,
    model: &ModelName,
    capture: Captured,
) -> Result<Settled, StoreError> {
    const FEWER: &str = "UPDATE tally SET labels = labels - 1 WHERE workspace = $1 AND labels > 0";
    let key = (capture.device.clone(), capture.boot, capture.number);
    let plain: Vec<Verdict> = verdicts(txn, workspace, &key)
        .await?
        .into_iter()
        .map(|(_, verdict)| verdict)
        .collect();
    let needed = labellers(txn, workspace, model).await?;
    let settled = settle(&plain, needed);
    let stored = label(txn, workspace, &key).await?;
    if let Some(stored) = &stored
        && stored.source != LabelSource::Person.word()
    {
        return Ok(settled);
    }
    match (settled, stored) {
        (Settled::Truth(truth), Some(stored)) if says(&stored, truth) => {}
        (Settled::Truth(truth), _) => {
            let row = person_label(app, capture, truth);
            write(app, txn, workspace, &[row]).await?;
        }
        (_, Some(_)) => {
            let gone = format!("DELETE FROM label WHERE {ONE}");
            raw::exec(txn, DOING, &gone, of_one(workspace, &key)).await?;
            raw::exec(txn, DOING, FEWER, [workspace.as_str().into()]).await?;
        }
        (_, None) => {}
    }
    Ok(settled)
}

/// Whether a label says this already.
fn says(label: &LabelRow, truth: Truth) -> bool {
    match truth {
        Truth::Class(class) => label.truth == class,
        Truth::Number(number) => label.truth_number.map(f64::to_bits) == Some(number.to_bits()),
    }
}

/// The label that people made.
fn person_label(app: &App, capture: Captured, truth: Truth) -> LabelRow {
    let in_lot = lot(&(capture.device.clone(), capture.boot, capture.number)).1;
    let mut row = capture.label(LabelSource::Person, app.clock.now());
    match truth {
        Truth::Class(class) => row.truth = class,
        Truth::Number(number) => row.truth_number = Some(number),
    }
    if !in_lot {
        // It was chosen by what the model said of it: nobody knows what it stands for.
        row.probability = 0.0;
    }
    row
}

async fn write(
    app: &App,
    txn: &DatabaseTransaction,
    workspace: &WorkspaceId,
    labels: &[LabelRow],
) -> Result<(), StoreError> {
    let labels = rows::write_labels(txn, workspace, labels).await?;
    let added = Tally {
        labels,
        ..Tally::default()
    };
    added.add_to(txn, workspace).await?;
    app.counters.labels.add(labels);
    Ok(())
}

/// Makes the labels that follow from all that was said about a model's captures without a label; how many these are.
pub(super) async fn follow_all(
    app: &App,
    txn: &DatabaseTransaction,
    workspace: &WorkspaceId,
    model: &ModelName,
) -> Result<usize, StoreError> {
    const SELECT: &str = "SELECT device, boot, number, truth, truth_number, decides FROM verdict v \
        WHERE v.workspace = $1 AND v.model = $2 \
        AND NOT EXISTS (SELECT 1 FROM label o WHERE o.workspace = v.workspace AND o.device = v.device \
          AND o.boot = v.boot AND o.number = v.number) ORDER BY v.id";
    let values = [workspace.as_str().into(), model.as_str().into()];
    let mut said: BTreeMap<Predicted, Vec<Verdict>> = BTreeMap::new();
    for row in raw::rows(txn, DOING, SELECT, values).await? {
        let key: Predicted = (
            row.try_get_by_index(0).doing(DOING)?,
            row.try_get_by_index(1).doing(DOING)?,
            row.try_get_by_index(2).doing(DOING)?,
        );
        said.entry(key).or_default().push(verdict(&row, 3)?);
    }
    let needed = labellers(txn, workspace, model).await?;
    let settled: BTreeMap<Predicted, Truth> = said
        .into_iter()
        .filter_map(|(key, verdicts)| match settle(&verdicts, needed) {
            Settled::Truth(truth) => Some((key, truth)),
            Settled::Open | Settled::Half | Settled::Disagreed => None,
        })
        .collect();
    let asked: Vec<Predicted> = settled.keys().cloned().collect();
    let of = |row: &Captured| (row.device.clone(), row.boot, row.number);
    let captures = rows::of_predictions(txn, workspace, CAPTURED, &asked, of, DOING).await?;
    let label = |(key, capture)| Some(person_label(app, capture, *settled.get(&key)?));
    let labels: Vec<LabelRow> = captures.into_iter().filter_map(label).collect();
    write(app, txn, workspace, &labels).await?;
    Ok(labels.len())
}
