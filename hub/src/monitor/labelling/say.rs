//! What people say, and the labels that follow.

use sea_orm::{ConnectionTrait, DatabaseTransaction, TransactionTrait as _, Value};
use tern_protocol::{
    id::{ModelName, WorkspaceId},
    rest::{Change, Chosen, LabelSource, Queue, Said, Say},
};

use super::{
    LEASE, Labeller, LabellingError, queue,
    settle::{Settled, Verdict, settle},
    stand::labellers,
    value::lot,
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    monitor::{
        labels::class_named,
        overview::Tally,
        rows::{self, CAPTURED, Captured, LabelRow, Predicted, class_name},
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
    let truth = said.truth.as_deref().map(|truth| {
        class_named(names, truth).ok_or_else(|| LabellingError::NotAClass {
            truth: truth.chars().take(80).collect(),
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
    let insert = "INSERT INTO verdict (workspace, device, boot, number, labeller, decides, model, truth, at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let mut values = of_one(workspace, &key);
    values.extend([
        labeller.as_str().into(),
        i64::from(decides).into(),
        model.as_str().into(),
        truth.into(),
        app.clock.now().0.into(),
    ]);
    raw::exec(&txn, DOING, insert, values).await?;
    let lease = format!("DELETE FROM lease WHERE {ONE}");
    raw::exec(&txn, DOING, &lease, of_one(workspace, &key)).await?;

    let settled = follow(app, &txn, workspace, model, capture).await?;
    let what = truth.map_or_else(
        || "skipped".to_owned(),
        |truth| format!("is {}", class_name(Some(&names.to_vec()), truth)),
    );
    let deed = Deed::new("label.say", subject(model, &key))
        .within(workspace)
        .after(said)
        .detail(what);
    audit::record(&txn, &app.clock, by, deed).await?;
    txn.commit().await.doing(DOING)?;
    announce(app, workspace);
    Ok(Said {
        standing: settled.standing(),
        item: None,
    })
}

/// Takes back what somebody said last, and asks them again.
pub async fn undo(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    labeller: &Labeller,
    model: &ModelName,
) -> Result<Said, LabellingError> {
    const LAST: &str = "SELECT id, device, boot, number, decides FROM verdict WHERE workspace = $1 AND model = $2 \
        AND labeller = $3 ORDER BY id DESC LIMIT 1";
    const LEND: &str = "INSERT INTO lease (workspace, device, boot, number, labeller, until) \
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace, device, boot, number) DO NOTHING";
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
    let mut values = of_one(workspace, &key);
    values.extend([
        labeller.as_str().into(),
        app.clock.now().0.saturating_add(LEASE).into(),
    ]);
    raw::exec(&txn, DOING, LEND, values).await?;
    // A capture may have been removed since; then there is no label that could follow either.
    let settled = match capture(&txn, workspace, &key).await? {
        Some(capture) => follow(app, &txn, workspace, model, capture).await?,
        None => Settled::Open,
    };
    let deed = Deed::new("label.undo", subject(model, &key)).within(workspace);
    audit::record(&txn, &app.clock, by, deed).await?;
    txn.commit().await.doing(DOING)?;
    announce(app, workspace);
    let chosen = if decides > 0 {
        Chosen::Disagreement
    } else if lot(&key).1 {
        Chosen::Lot
    } else {
        Chosen::Value
    };
    let mut items = queue::items(app, workspace, model, &[(key, chosen)]).await?;
    Ok(Said {
        standing: settled.standing(),
        item: items.pop(),
    })
}

fn announce(app: &App, workspace: &WorkspaceId) {
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
    let select = format!("SELECT labeller, truth, decides FROM verdict WHERE {ONE} ORDER BY id");
    let rows = raw::rows(db, DOING, &select, of_one(workspace, key)).await?;
    rows.iter()
        .map(|row| {
            let decides: i64 = row.try_get_by_index(2).doing(DOING)?;
            let verdict = Verdict {
                truth: row.try_get_by_index(1).doing(DOING)?,
                decides: decides > 0,
            };
            Ok((row.try_get_by_index(0).doing(DOING)?, verdict))
        })
        .collect()
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
        (Settled::Truth(truth), Some(stored)) if stored.truth == truth => {}
        (Settled::Truth(truth), _) => {
            let mut row = capture.label(LabelSource::Person, app.clock.now());
            row.truth = truth;
            if !lot(&key).1 {
                // It was chosen by what the model said of it: nobody knows what it stands for.
                row.probability = 0.0;
            }
            let labels = rows::write_labels(txn, workspace, &[row]).await?;
            let added = Tally {
                labels,
                ..Tally::default()
            };
            added.add_to(txn, workspace).await?;
            app.counters.labels.add(labels);
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
