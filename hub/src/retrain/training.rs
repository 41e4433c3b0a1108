//! Trainings of rounds: jobs, made of what is kept under a name.
//!
//! Must never break: a training takes no more core-seconds than the round set aside for it.

use tern_protocol::{
    id::{JobId, TrainingName},
    rest::{JobAsked, JobState, JobView},
};
use tern_retrain::{
    Key, Work,
    action::TrainOrder,
    fact::{Again, Failure, Trained},
};

use super::{
    act::NotBegun,
    challenger,
    desk::Of,
    sql::outside,
    trainings,
    work::{self, Ended, again},
};
use crate::{
    app::App,
    jobs::{self, By, JobsError},
    store::{StoreError, chain},
    tracking::TrackingError,
};

/// Where a trainer leaves the package of its model, below its working directory.
pub(super) const PACKAGE: &str = "model";

/// Begins a training.
pub(super) async fn begin(
    app: &App,
    of: &Of,
    key: Key,
    order: &TrainOrder,
) -> Result<(), NotBegun> {
    let (workspace, model) = of;
    let kept = trainings::asked(app, app.store.read(), workspace, &order.training).await?;
    let kept = kept.unwrap_or_else(|| Err(no_training(&order.training)));
    let kept = kept.map_err(|why| NotBegun::Refused(why, Again::IsUseless))?;
    let asked = job(kept, of, key, order);
    let name = outside(model, key);
    let begun = jobs::submit(app, workspace, &By::hub(), &asked, Some(&name)).await;
    let id = begun.map_err(|err| match err {
        JobsError::Store(err) => NotBegun::Store(err),
        err @ (JobsError::State(_) | JobsError::Random | JobsError::Blob(_)) => {
            NotBegun::Refused(chain(&err), Again::MayHelp)
        }
        err => NotBegun::Refused(chain(&err), Again::IsUseless),
    })?;
    work::known_as(app.store.write(), workspace, model, key, id.0, None).await?;
    Ok(())
}

fn no_training(name: &TrainingName) -> String {
    format!("there is no training `{name}`; write it with `tern retrain training set {name} FILE`")
}

/// The job of a training: what is kept, of this dataset, and no longer than what was set aside lasts.
fn job(kept: JobAsked, (_, model): &Of, key: Key, order: &TrainOrder) -> JobAsked {
    let cores = u64::from(kept.resources.cpu_millis).max(1);
    let lasts = order.core_seconds.saturating_mul(1_000) / cores;
    let mut artifacts = kept.artifacts;
    let package = format!("{PACKAGE}/**");
    if !artifacts.contains(&package) {
        artifacts.push(package);
    }
    JobAsked {
        name: Some(format!("{model}, round {} of retraining", key.round)),
        dataset: Some(order.dataset.to_string()),
        time_limit: kept.time_limit.min(lasts).max(1),
        // The round tries again by its own rule, and counts what each try took.
        retries: tern_protocol::rest::JobRetries {
            most: 0,
            ..kept.retries
        },
        artifacts,
        experiment: Some(kept.experiment.unwrap_or_else(|| model.to_string())),
        ..kept
    }
}

/// How a training stands, and what it took so far; nothing if it was not begun.
pub(super) async fn stands(
    app: &App,
    of: &Of,
    row: &work::Row,
) -> Result<(Option<Work<Trained>>, Option<u64>), StoreError> {
    let (workspace, model) = of;
    let done: Option<Trained> = row.gave("training")?;
    if let Some(settled) = row.settled(done) {
        return Ok((Some(settled), row.core_seconds));
    }
    let key = row.key;
    let found = jobs::by_key(app, workspace, &outside(model, key)).await;
    let view = match found {
        Ok(None) => return Ok((None, None)),
        Ok(Some(view)) => view,
        Err(JobsError::Store(err)) => return Err(err),
        Err(err) => {
            let failure = Failure {
                reason: chain(&err),
                again: Again::MayHelp,
            };
            return Ok((Some(Work::Failed(failure)), None));
        }
    };
    let took = view.core_millis.div_ceil(1_000);
    let ended = match view.state {
        JobState::Queued | JobState::Preparing | JobState::Running => {
            return Ok((Some(Work::Running), Some(took)));
        }
        JobState::Cancelled => Ended::Stopped,
        JobState::Failed => failed(&view),
        JobState::Succeeded => match taken(app, of, &view).await? {
            Ok(trained) => Ended::gave(Some(view.id.0), &trained),
            Err((why, again)) => Ended::failed(why, again),
        },
    };
    let db = app.store.write();
    work::known_as(db, workspace, model, key, view.id.0, Some(took)).await?;
    work::end(db, workspace, model, key, &ended).await?;
    let work = match ended {
        Ended::Done(_, body) => {
            let trained = body.map(|body| super::sql::cbor("training", &body));
            trained.transpose()?.map(Work::Done)
        }
        Ended::Failed(failure) => Some(Work::Failed(failure)),
        Ended::Stopped => Some(Work::Stopped),
    };
    Ok((work, Some(took)))
}

fn failed(view: &JobView) -> Ended {
    let (text, may_help) = match &view.ended {
        Some(ended) => (ended.text.clone(), ended.may_go_better),
        None => ("it failed".to_owned(), false),
    };
    let id: JobId = view.id;
    Ended::failed(
        format!("job {id}: {text}; `tern job log {id}` shows what it said"),
        again(may_help),
    )
}

/// Takes the package that a training left, or says why there is none.
async fn taken(
    app: &App,
    of: &Of,
    view: &JobView,
) -> Result<Result<Trained, (String, Again)>, StoreError> {
    let onnx = match challenger::take(app, of, view.id).await? {
        Ok(onnx) => onnx,
        Err(refused) => return Ok(Err(refused)),
    };
    let run = view.run.as_ref().map(|run| run.run.clone());
    Ok(Ok(Trained {
        run: run.unwrap_or_else(|| format!("job {}", view.id)),
        bundle: onnx.to_string(),
    }))
}

/// Stops a training.
pub(super) async fn stop(app: &App, of: &Of, key: Key) -> Result<(), StoreError> {
    let (workspace, model) = of;
    let found = match jobs::by_key(app, workspace, &outside(model, key)).await {
        Ok(found) => found,
        Err(JobsError::Store(err)) => return Err(err),
        Err(err) => {
            tracing::warn!(error = chain(&err), %workspace, %model, %key, "a training was not stopped");
            return Ok(());
        }
    };
    let Some(view) = found else { return Ok(()) };
    match jobs::cancel(app, workspace, &By::hub(), view.id).await {
        Ok(()) => Ok(()),
        Err(JobsError::Store(err) | JobsError::Tracking(TrackingError::Store(err))) => Err(err),
        Err(err) => {
            tracing::warn!(error = chain(&err), %workspace, %model, %key, "a training was not stopped");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use tern_retrain::Step;

    use super::*;

    #[test]
    fn a_training_lasts_no_longer_than_what_was_set_aside() {
        let of: Of = (
            "default".parse().expect("a name"),
            "digits".parse().expect("a name"),
        );
        let key = Key {
            round: 3,
            step: Step::Train,
            attempt: 1,
        };
        let order = TrainOrder {
            training: "usual".parse().expect("a name"),
            dataset: 7,
            core_seconds: 600,
        };
        let mut kept = JobAsked::of(["train"]);
        kept.resources.cpu_millis = 2_000;
        kept.retries.most = 5;
        let asked = job(kept.clone(), &of, key, &order);
        assert_eq!((asked.time_limit, asked.retries.most), (300, 0));
        assert_eq!(asked.dataset.as_deref(), Some("7"));
        assert_eq!(asked.artifacts, ["model/**"]);
        assert_eq!(asked.experiment.as_deref(), Some("digits"));
        kept.time_limit = 60;
        kept.experiment = Some("mine".into());
        let asked = job(kept, &of, key, &order);
        assert_eq!(asked.time_limit, 60);
        assert_eq!(asked.experiment.as_deref(), Some("mine"));
    }
}
