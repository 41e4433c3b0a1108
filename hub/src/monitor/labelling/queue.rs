//! Which captures a person is asked about next.

use std::collections::{HashMap, HashSet};

use sea_orm::{
    ConnectionTrait as _, DatabaseTransaction, FromQueryResult, TransactionTrait as _, Value,
};
use tern_protocol::{
    id::{ModelName, WorkspaceId},
    rest::{CaptureView, Chosen, Item, Items, NextItems, Queue, SaidBy, VersionRef},
};

use super::{
    LEASE, Labeller, LabellingError,
    say::truth,
    settle::Truth,
    shown::shown,
    stand::labellers,
    value::{Candidate, LOT, Place, lot, most_valuable, spread, uncertainty},
    view::choices,
};
use crate::{
    app::App,
    monitor::{
        captures,
        rows::{self, Predicted, class_name, number_text},
        sql::Select,
    },
    registry, retrain,
    store::{Doing as _, StoreError, raw},
};

const DOING: &str = "choosing captures to label";

/// Captures that one person may have at once.
const TAKE: usize = 16;

/// Captures that one page may hold: others are asked about again.
const HOLDING: usize = 100;

/// The newest captures of a model among which is chosen.
pub(super) const NEWEST: i64 = 50_000;

/// Captures without a truth among which is chosen.
const WAITING: i64 = 2_000;

/// The least sure of these whose inputs are compared.
const COMPARED: usize = 300;

/// Captures that people labelled last, with which they are compared.
const LABELLED: i64 = 150;

/// Bytes of inputs that are read to compare them: large ones are compared with fewer.
const BYTES: usize = 8 * 1024 * 1024;

/// A capture without a truth.
#[derive(Debug, Clone, FromQueryResult)]
struct Waiting {
    device: String,
    boot: i64,
    number: i64,
    site: String,
    model: String,
    version: i64,
    class: i64,
    confidence: f64,
    predicted: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    said: i64,
}

impl Waiting {
    fn key(&self) -> Predicted {
        (self.device.clone(), self.boot, self.number)
    }
}

/// An input to compare.
#[derive(FromQueryResult)]
struct Input {
    device: String,
    boot: i64,
    number: i64,
    input: Vec<u8>,
}

/// Gives captures to label and lends them to whoever asks.
pub async fn next(
    app: &App,
    workspace: &WorkspaceId,
    labeller: &Labeller,
    model: &ModelName,
    request: &NextItems,
) -> Result<Items, LabellingError> {
    let take = usize::from(request.take).clamp(1, TAKE);
    let holding: HashSet<Predicted> = request
        .holding
        .iter()
        .take(HOLDING)
        .map(|held| rows::predicted(&held.device, held.prediction))
        .collect();
    let chosen = match request.queue {
        Queue::Open => {
            let asks = Asks {
                holding: &holding,
                take,
                without_input: request.without_input,
            };
            open(app, workspace, labeller, model, &asks).await?
        }
        Queue::Disagreed => disagreed(app, workspace, labeller, model, &holding, take).await?,
    };
    if chosen.is_empty() {
        return Ok(Items { items: Vec::new() });
    }
    let txn = app.store.write().begin().await.doing(DOING)?;
    let lent = lend(app, &txn, workspace, labeller, chosen).await?;
    txn.commit().await.doing(DOING)?;
    Ok(Items {
        items: items(app, workspace, model, &lent).await?,
    })
}

/// What a capture that is chosen is called, and why it was.
pub(super) type Pick = (Predicted, Chosen);

/// What is asked of the open queue.
struct Asks<'a> {
    /// What is on the screen already.
    holding: &'a HashSet<Predicted>,
    take: usize,
    /// Whether captures of which only a summary was kept are wanted, too.
    without_input: bool,
}

async fn open(
    app: &App,
    workspace: &WorkspaceId,
    labeller: &Labeller,
    model: &ModelName,
    asks: &Asks<'_>,
) -> Result<Vec<Pick>, LabellingError> {
    let Asks { holding, take, .. } = *asks;
    let needed = labellers(app.store.read(), workspace, model).await?;
    let mut waiting = waiting(app, workspace, labeller, model, asks.without_input).await?;
    waiting.retain(|one| one.said < i64::from(needed.max(1)) && !holding.contains(&one.key()));
    // What one person has labelled comes first: half a label is none.
    let (half, fresh): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|one| one.said > 0);
    let (mut in_lot, by_value): (Vec<_>, Vec<_>) =
        fresh.into_iter().partition(|one| lot(&one.key()).1);
    in_lot.sort_by_key(|one| lot(&one.key()).0);
    let mut picks: Vec<Pick> = half.iter().take(take).map(pick).collect();
    let mut lots = in_lot.iter().map(pick);
    let left = take - picks.len();
    let (first, rest) = where_they_lack(app, workspace, model, by_value).await?;
    let mut values = valuable(app, workspace, model, &first, holding, left).await?;
    let more = left - values.len();
    values.extend(valuable(app, workspace, model, &rest, holding, more).await?);
    let mut values = values.into_iter();
    // One by lot among so many that one person is asked about; if one kind runs out, the other goes on.
    let asked = said_by(app, workspace, labeller, model).await? + holding.len() as u64;
    for turn in (asked..).take(left) {
        let one = if turn % LOT == LOT - 1 {
            lots.next().or_else(|| values.next())
        } else {
            values.next().or_else(|| lots.next())
        };
        picks.extend(one);
    }
    Ok(picks)
}

/// Those of which a round of retraining lacks labels, and the others.
async fn where_they_lack(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
    waiting: Vec<Waiting>,
) -> Result<(Vec<Waiting>, Vec<Waiting>), StoreError> {
    let wanted = retrain::wanted(app, workspace, model).await?;
    if wanted.is_empty() {
        return Ok((Vec::new(), waiting));
    }
    let classes = registry::classes(app.store.read(), workspace, Some(model)).await?;
    let mut parts = (Vec::new(), Vec::new());
    for one in waiting {
        let of = rows::version_ref(&one.model, one.version)?;
        let class = match one.predicted {
            Some(_) => String::new(),
            None => class_name(classes.get(&of), one.class),
        };
        if wanted.holds(&one.site, &class) {
            parts.0.push(one);
        } else {
            parts.1.push(one);
        }
    }
    Ok(parts)
}

/// How much somebody has said about captures of a model, skips included.
async fn said_by(
    app: &App,
    workspace: &WorkspaceId,
    labeller: &Labeller,
    model: &ModelName,
) -> Result<u64, StoreError> {
    const SELECT: &str =
        "SELECT COUNT(*) FROM verdict WHERE workspace = $1 AND model = $2 AND labeller = $3";
    let values = [
        workspace.as_str().into(),
        model.as_str().into(),
        labeller.as_str().into(),
    ];
    let row = raw::row(app.store.read(), DOING, SELECT, values).await?;
    let said: Option<i64> = row
        .map(|row| row.try_get_by_index(0))
        .transpose()
        .doing(DOING)?;
    Ok(said.unwrap_or(0).max(0).unsigned_abs())
}

fn pick(one: &Waiting) -> Pick {
    let key = one.key();
    let chosen = if lot(&key).1 {
        Chosen::Lot
    } else {
        Chosen::Value
    };
    (key, chosen)
}

/// Captures without a truth about which whoever asks has said nothing, and that are on nobody else's screen; the newest
/// first.
async fn waiting(
    app: &App,
    workspace: &WorkspaceId,
    labeller: &Labeller,
    model: &ModelName,
    without_input: bool,
) -> Result<Vec<Waiting>, StoreError> {
    const SAME: &str = "o.workspace = c.workspace AND o.device = c.device AND o.boot = c.boot AND o.number = c.number";
    let kept = if without_input {
        ""
    } else {
        "AND c.summary IS NULL"
    };
    let select = Select::new(
        format!(
            "SELECT c.device, c.boot, c.number, c.site, c.model, c.version, c.class, c.confidence, c.predicted, c.low, c.high, \
             (SELECT COUNT(*) FROM verdict o WHERE {SAME} AND o.truth IS NOT NULL) AS said \
             FROM (SELECT * FROM capture WHERE workspace = $1 AND model = $2 ORDER BY id DESC LIMIT {NEWEST}) AS c \
             WHERE NOT EXISTS (SELECT 1 FROM label o WHERE {SAME}) \
             AND NOT EXISTS (SELECT 1 FROM verdict o WHERE {SAME} AND o.labeller = $3) \
             AND NOT EXISTS (SELECT 1 FROM lease o WHERE {SAME} AND o.labeller <> $4 AND o.until > $5) {kept} \
             ORDER BY c.id DESC LIMIT {WAITING}"
        ),
        [
            Value::from(workspace.as_str()),
            model.as_str().into(),
            labeller.as_str().into(),
            labeller.as_str().into(),
            app.clock.now().0.into(),
        ],
    );
    let rows = app
        .store
        .read()
        .query_all_raw(select.done(app.store.backend()))
        .await
        .doing(DOING)?;
    rows.iter()
        .map(|row| Waiting::from_query_result(row, "").doing(DOING))
        .collect()
}

/// The most valuable of them, beside what was labelled last and what is on the screen.
async fn valuable(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
    waiting: &[Waiting],
    holding: &HashSet<Predicted>,
    take: usize,
) -> Result<Vec<Pick>, StoreError> {
    let classes = registry::classes(app.store.read(), workspace, Some(model)).await?;
    let mut unsure: Vec<(f64, &Waiting)> = Vec::with_capacity(waiting.len());
    for one in waiting {
        let unsure_by = if let Some(predicted) = one.predicted {
            spread(predicted, one.low.zip(one.high))
        } else {
            let of = rows::version_ref(&one.model, one.version)?;
            uncertainty(one.confidence, classes.get(&of).map_or(0, Vec::len))
        };
        unsure.push((unsure_by, one));
    }
    unsure.sort_by(|a, b| b.0.total_cmp(&a.0));
    unsure.truncate(COMPARED);
    let known: Vec<Predicted> = labelled_last(app, workspace, model)
        .await?
        .into_iter()
        .chain(holding.iter().cloned())
        .collect();
    let mut asked = known.clone();
    asked.extend(unsure.iter().map(|(_, one)| one.key()));
    let places = places(app, workspace, &asked).await?;
    let candidates: Vec<Candidate> = unsure
        .iter()
        .map(|(uncertainty, one)| Candidate {
            uncertainty: *uncertainty,
            place: places.get(&one.key()).copied(),
        })
        .collect();
    let known: Vec<Place> = known
        .iter()
        .filter_map(|key| places.get(key).copied())
        .collect();
    let best = most_valuable(&candidates, &known, take).into_iter();
    Ok(best.map(|at| pick(unsure[at].1)).collect())
}

/// Captures that people labelled last.
async fn labelled_last(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
) -> Result<Vec<Predicted>, StoreError> {
    let select = format!(
        "SELECT device, boot, number FROM verdict WHERE workspace = $1 AND model = $2 AND truth IS NOT NULL \
         ORDER BY id DESC LIMIT {LABELLED}"
    );
    let values = [workspace.as_str().into(), model.as_str().into()];
    let rows = raw::rows(app.store.read(), DOING, &select, values).await?;
    rows.iter()
        .map(|row| {
            Ok((
                row.try_get_by_index(0).doing(DOING)?,
                row.try_get_by_index(1).doing(DOING)?,
                row.try_get_by_index(2).doing(DOING)?,
            ))
        })
        .collect()
}

/// Where inputs lie; of more than [`BYTES`] of them only the first.
async fn places(
    app: &App,
    workspace: &WorkspaceId,
    asked: &[Predicted],
) -> Result<HashMap<Predicted, Place>, StoreError> {
    let mut places = HashMap::new();
    let mut bytes = 0;
    for asked in asked.chunks(32) {
        if bytes > BYTES {
            break;
        }
        let inputs = rows::of_predictions(
            app.store.read(),
            workspace,
            "SELECT device, boot, number, input FROM capture",
            asked,
            |row: &Input| (row.device.clone(), row.boot, row.number),
            DOING,
        )
        .await?;
        for (key, row) in inputs {
            bytes += row.input.len();
            // An input that cannot be read lies nowhere.
            let values = captures::values(app, workspace, &key, row.input);
            if let Some(place) = values.as_deref().and_then(Place::of) {
                places.insert(key, place);
            }
        }
        // Projecting is arithmetic without a pause: others get their turn.
        tokio::task::yield_now().await;
    }
    Ok(places)
}

/// Captures about which two people said different things, the oldest first; of one that was removed since nobody can
/// decide.
async fn disagreed(
    app: &App,
    workspace: &WorkspaceId,
    labeller: &Labeller,
    model: &ModelName,
    holding: &HashSet<Predicted>,
    take: usize,
) -> Result<Vec<Pick>, LabellingError> {
    let select = format!(
        "SELECT v.device, v.boot, v.number FROM verdict v WHERE v.workspace = $1 AND v.model = $2 \
         AND v.truth IS NOT NULL AND v.decides = 0 \
         AND EXISTS (SELECT 1 FROM capture o WHERE o.workspace = v.workspace AND o.device = v.device \
           AND o.boot = v.boot AND o.number = v.number) \
         AND NOT EXISTS (SELECT 1 FROM label o WHERE o.workspace = v.workspace AND o.device = v.device \
           AND o.boot = v.boot AND o.number = v.number) \
         AND NOT EXISTS (SELECT 1 FROM lease o WHERE o.workspace = v.workspace AND o.device = v.device \
           AND o.boot = v.boot AND o.number = v.number AND o.labeller <> $3 AND o.until > $4) \
         GROUP BY v.device, v.boot, v.number HAVING COUNT(*) >= 2 ORDER BY MIN(v.id) LIMIT {}",
        take + holding.len()
    );
    let values = [
        workspace.as_str().into(),
        model.as_str().into(),
        labeller.as_str().into(),
        app.clock.now().0.into(),
    ];
    let rows = raw::rows(app.store.read(), DOING, &select, values).await?;
    let mut picks = Vec::new();
    for row in rows {
        let key: Predicted = (
            row.try_get_by_index(0).doing(DOING)?,
            row.try_get_by_index(1).doing(DOING)?,
            row.try_get_by_index(2).doing(DOING)?,
        );
        if !holding.contains(&key) && picks.len() < take {
            picks.push((key, Chosen::Disagreement));
        }
    }
    Ok(picks)
}

/// Lends captures to somebody; those that somebody else was lent meanwhile are left out.
pub(super) async fn lend(
    app: &App,
    txn: &DatabaseTransaction,
    workspace: &WorkspaceId,
    labeller: &Labeller,
    chosen: Vec<Pick>,
) -> Result<Vec<Pick>, StoreError> {
    const OLD: &str = "DELETE FROM lease WHERE workspace = $1 AND until <= $2";
    const LEND: &str = "INSERT INTO lease (workspace, device, boot, number, labeller, until) \
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace, device, boot, number) DO UPDATE SET \
        labeller = excluded.labeller, until = excluded.until \
        WHERE lease.labeller = excluded.labeller OR lease.until <= $7";
    let now = app.clock.now().0;
    raw::exec(txn, DOING, OLD, [workspace.as_str().into(), now.into()]).await?;
    let mut lent = Vec::with_capacity(chosen.len());
    for (key, why) in chosen {
        let (device, boot, number) = &key;
        let values = [
            workspace.as_str().into(),
            device.as_str().into(),
            (*boot).into(),
            (*number).into(),
            labeller.as_str().into(),
            now.saturating_add(LEASE).into(),
            now.into(),
        ];
        if raw::exec(txn, DOING, LEND, values).await? > 0 {
            lent.push((key, why));
        }
    }
    Ok(lent)
}

/// Captures as they are shown.
pub(super) async fn items(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
    chosen: &[Pick],
) -> Result<Vec<Item>, LabellingError> {
    let keys: Vec<Predicted> = chosen.iter().map(|(key, _)| key.clone()).collect();
    let mut found = captures::some(app, workspace, model, &keys).await?;
    let classes = registry::classes(app.store.read(), workspace, Some(model)).await?;
    let found = chosen
        .iter()
        .filter_map(|(key, chosen)| Some((found.remove(key)?, *chosen)));
    let found: Vec<_> = found.collect();
    let views = shown(app, workspace, found.iter().map(|(capture, _)| capture)).await?;
    let mut items = Vec::with_capacity(found.len());
    for ((capture, chosen), view) in found.into_iter().zip(views) {
        let of = VersionRef {
            model: capture.model.clone(),
            version: capture.version,
        };
        let names = classes.get(&of).map(Vec::as_slice).unwrap_or_default();
        let mut item = Item {
            view,
            classes: choices(names),
            chosen,
            said: Vec::new(),
            capture,
        };
        if chosen == Chosen::Disagreement {
            item.said = said(app, workspace, &item).await?;
        }
        items.push(item);
    }
    Ok(items)
}

/// What people said about a capture.
async fn said(app: &App, workspace: &WorkspaceId, item: &Item) -> Result<Vec<SaidBy>, StoreError> {
    const SELECT: &str = "SELECT labeller, truth, truth_number FROM verdict WHERE workspace = $1 AND device = $2 \
        AND boot = $3 AND number = $4 AND truth IS NOT NULL AND decides = 0 ORDER BY id";
    let CaptureView {
        device, prediction, ..
    } = &item.capture;
    let (device, boot, number) = rows::predicted(device, *prediction);
    let values = [
        workspace.as_str().into(),
        device.into(),
        boot.into(),
        number.into(),
    ];
    let names: Vec<String> = item
        .classes
        .iter()
        .map(|choice| choice.class.clone())
        .collect();
    let rows = raw::rows(app.store.read(), DOING, SELECT, values).await?;
    rows.iter()
        .map(|row| {
            let truth = match truth(row, 1)? {
                Some(Truth::Class(class)) => class_name(Some(&names), class),
                Some(Truth::Number(number)) => number_text(number),
                None => String::new(),
            };
            Ok(SaidBy {
                labeller: row.try_get_by_index(0).doing(DOING)?,
                truth,
            })
        })
        .collect()
}
