//! Datasets of rounds, made by `datasets`.

use tern_protocol::{
    id::{DatasetId, DatasetName},
    rest::{DatasetBuild, DatasetLabel, DatasetPick, DatasetState},
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
    work::{self, Ended},
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

const fn again(may_help: bool) -> Again {
    if may_help {
        Again::MayHelp
    } else {
        Again::IsUseless
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
        DatasetState::Done => match made(app, of, view.id).await? {
            Ok(made) => {
                // Nothing runs any more; what it gave is read where it is.
                if !row.over {
                    work::settle(app.store.write(), workspace, model, key, view.id.0).await?;
                }
                Work::Done(made)
            }
            Err(why) => failed(why, Again::MayHelp),
        },
    };
    Ok(Some(work))
}

fn failed<T>(reason: String, again: Again) -> Work<T> {
    Work::Failed(Failure { reason, again })
}

async fn end(app: &App, (workspace, model): &Of, key: Key, ended: &Ended) -> Result<(), StoreError> {
    work::end(app.store.write(), workspace, model, key, ended).await
}

/// What a dataset holds to train on, or why that cannot be read.
async fn made(
    app: &App,
    (workspace, _): &Of,
    id: DatasetId,
) -> Result<Result<Dataset, String>, StoreError> {
    let detail = match datasets::one(app, workspace, &DatasetPick::Id(id)).await {
        Ok(detail) => detail,
        Err(DatasetError::Store(err)) => return Err(err),
        Err(err) => return Ok(Err(err.causes())),
    };
    let Some(manifest) = detail.manifest else {
        return Ok(Err("it was withdrawn".into()));
    };
    let rows = match manifest.label {
        DatasetLabel::Classes { .. } => {
            let classes = manifest.statistics.classes.iter();
            Rows::Classes(
                classes
                    .map(|(class, counts)| (class.clone(), counts.train))
                    .collect(),
            )
        }
        DatasetLabel::Number => {
            let numbers = manifest.statistics.numbers.as_ref();
            let numbers = numbers.and_then(|of| of.number.as_ref());
            let same = numbers.is_some_and(|of| of.min.to_bits() == of.max.to_bits());
            Rows::Numbers {
                rows: manifest.splits.train.rows,
                different: if same { 1 } else { 2 },
            }
        }
    };
    Ok(Ok(Dataset {
        id: id.0,
        rows,
        kept_out: manifest.splits.kept_out.rows,
    }))
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
