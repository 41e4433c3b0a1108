//! Datasets of rounds, made by `datasets`.

use tern_protocol::{
    id::{DatasetId, DatasetName},
    rest::{DatasetBuild, DatasetPick, DatasetRows, DatasetState},
};
use tern_retrain::{
    Key, Work,
    action::DatasetOrder,
    fact::{Again, Dataset, Failure, Rows},
};

use super::{
    act::NotBegun,
    desk::Of,
    sql::outside,
    work::{self, Ended, again},
};
use crate::{
    access::audit::Actor,
    app::App,
    datasets::{self, DatasetError},
    store::StoreError,
};

/// Begins a version of the dataset that the champion was trained on: its held-out part is the same for all of a name. A
/// champion of which nobody said what it was trained on begins with captures alone.
pub(super) async fn begin(
    app: &App,
    of: &Of,
    key: Key,
    order: &DatasetOrder,
) -> Result<(), NotBegun> {
    let (workspace, model) = of;
    let db = app.store.read();
    let base = datasets::trained::of(db, workspace, model, order.base).await?;
    let name = match base {
        Some(base) => {
            let found = datasets::find(app, workspace, &DatasetPick::Id(base)).await;
            found.map_err(not_begun)?.view.name
        }
        None => model
            .as_str()
            .parse::<DatasetName>()
            .map_err(|err| NotBegun::Refused(err.to_string(), Again::IsUseless))?,
    };
    let build = DatasetBuild {
        base: base.map(DatasetPick::Id),
        until: Some(order.until),
        without: order.without.clone(),
        keep_out: order.keep_out,
        ..DatasetBuild::of(model.clone())
    };
    let by = Actor::hub();
    let name_of_key = outside(model, key);
    let begun = datasets::build(app, &by, workspace, &name, &build, Some(&name_of_key)).await;
    let id = begun.map_err(not_begun)?;
    work::known_as(app.store.write(), workspace, model, key, id.0, None).await?;
    Ok(())
}

fn not_begun(err: DatasetError) -> NotBegun {
    match err {
        DatasetError::Store(err) => NotBegun::Store(err),
        err => {
            let again = again(err.may_help_again());
            NotBegun::Refused(err.causes(), again)
        }
    }
}

/// How a dataset stands; nothing if it was not begun.
pub(super) async fn stands(
    app: &App,
    of: &Of,
    row: &work::Row,
) -> Result<Option<Work<Dataset>>, StoreError> {
    let (workspace, model) = of;
    if let Some(settled) = row.settled(None) {
        return Ok(Some(settled));
    }
    let key = row.key;
    let found = datasets::by_key(app, workspace, &outside(model, key)).await;
    let view = match found {
        Ok(None) => return Ok(None),
        Ok(Some(view)) => view,
        Err(DatasetError::Store(err)) => return Err(err),
        Err(err) => return Ok(Some(failed(err.causes(), Again::MayHelp))),
    };
    let work = match view.state {
        DatasetState::Running => return Ok(Some(Work::Running)),
        DatasetState::Stopped => {
            end(app, of, key, &Ended::Stopped).await?;
            return Ok(Some(Work::Stopped));
        }
        DatasetState::Failed => {
            let reason = view.reason.clone().unwrap_or_default();
            let again = again(view.again);
            end(app, of, key, &Ended::failed(reason.clone(), again)).await?;
            return Ok(Some(failed(reason, again)));
        }
        DatasetState::Removed => failed("its files were removed".into(), Again::MayHelp),
        DatasetState::Done => match (view.withdrawn, view.rows) {
            (None, Some(rows)) => {
                // Nothing runs any more; what it gave is read where it is.
                if !row.over {
                    work::settle(app.store.write(), workspace, model, key, view.id.0).await?;
                }
                Work::Done(made(view.id, rows))
            }
            (withdrawn, _) => {
                let why = withdrawn.map_or_else(String::new, |one| format!(": {}", one.reason));
                failed(format!("it was withdrawn{why}"), Again::MayHelp)
            }
        },
    };
    Ok(Some(work))
}

/// What a dataset holds to train on.
fn made(id: DatasetId, rows: DatasetRows) -> Dataset {
    Dataset {
        id: id.0,
        rows: match rows.different {
            Some(different) => Rows::Numbers {
                rows: rows.splits.train,
                different,
            },
            None => Rows::Classes(rows.classes),
        },
        kept_out: rows.splits.kept_out,
    }
}

fn failed<T>(reason: String, again: Again) -> Work<T> {
    Work::Failed(Failure { reason, again })
}

async fn end(
    app: &App,
    (workspace, model): &Of,
    key: Key,
    ended: &Ended,
) -> Result<(), StoreError> {
    work::end(app.store.write(), workspace, model, key, ended).await
}

/// Stops the making of a dataset.
pub(super) async fn stop(app: &App, of: &Of, key: Key) -> Result<(), StoreError> {
    let (workspace, model) = of;
    let name = outside(model, key);
    match datasets::stop_by_key(app, &Actor::hub(), workspace, &name).await {
        Ok(()) => Ok(()),
        Err(DatasetError::Store(err)) => Err(err),
        Err(err) => {
            tracing::warn!(error = err.causes(), %workspace, %model, %key, "the making of a dataset was not stopped");
            Ok(())
        }
    }
}
