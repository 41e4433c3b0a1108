//! The MLflow run of an attempt: made before its command begins, so that an unmodified script logs into it, and ended
//! when the attempt has ended.
//!
//! Must never break: an attempt has one run, also if the hub is killed while it is made: it is looked for by its tag
//! before another is made.

use tern_compute::job::{AttemptKey, Ended};
use tern_protocol::{
    id::WorkspaceId,
    rest::{JobAsked, JobProject, JobRun},
};

use super::{JobsError, SQL, rows};
use crate::{
    access::audit::Actor,
    app::App,
    store::raw::number,
    tracking::{
        Texts, TrackingError, experiment,
        run::{self, NewRun, Status, Update},
    },
};

/// The experiment of jobs that name none.
const EXPERIMENT: &str = "jobs";

/// The tag by which the run of an attempt is found.
const ATTEMPT: &str = "tern.attempt";

/// Whose run it is to be.
pub(super) struct Of<'a> {
    pub(super) workspace: &'a WorkspaceId,
    pub(super) key: AttemptKey,
    pub(super) name: &'a str,
    pub(super) person: &'a str,
    /// Drawn for the job: with it a number names nothing that was there before.
    pub(super) mark: &'a str,
    pub(super) asked: &'a JobAsked,
}

/// The run of an attempt, which is made if there is none.
pub(super) async fn begin(app: &App, of: &Of<'_>) -> Result<JobRun, JobsError> {
    app.tracking.begin(app, of.workspace).await?;
    let experiment = experiment(app, of).await?;
    let tag = format!("{}-{}", of.mark, of.key);
    let known = run::tagged(app.store.read(), of.workspace, experiment, ATTEMPT, &tag).await?;
    let made = if let Some(run) = known {
        run
    } else {
        let mut new = NewRun {
            experiment,
            name: of.name.to_owned(),
            user_id: of.person.to_owned(),
            ..NewRun::default()
        };
        let mut set = |key: &str, value: String| new.tags.insert(key.to_owned(), value);
        set("tern.job", of.key.job.to_string());
        set(ATTEMPT, tag);
        set("mlflow.user", of.person.to_owned());
        if let Some(dataset) = &of.asked.dataset {
            set("tern.dataset", dataset.clone());
        }
        match &of.asked.project {
            Some(JobProject::Archive { archive }) => {
                set("tern.code", format!("sha256:{archive}"));
                set("mlflow.source.type", "PROJECT".into());
            }
            Some(JobProject::At(place)) => {
                set("mlflow.source.name", place.clone());
                set("mlflow.source.type", "PROJECT".into());
            }
            None => {
                set("mlflow.source.type", "JOB".into());
            }
        }
        if let Some(entry) = &of.asked.entry {
            set("mlflow.project.entryPoint", entry.point.clone());
        }
        run::create(app, of.workspace, new).await?.info.run_id
    };
    let sql = "UPDATE job_attempt SET run = $3, experiment = $4, run_open = TRUE \
               WHERE job = $1 AND number = $2 AND ended IS NULL";
    let values = [
        number(of.key.job.0),
        i64::from(of.key.number).into(),
        made.as_str().into(),
        experiment.into(),
    ];
    SQL.exec(app.store.write(), sql, values).await?;
    Ok(JobRun {
        experiment,
        run: made,
    })
}

/// The experiment that the job names, or `jobs`; made if there is none.
async fn experiment(app: &App, of: &Of<'_>) -> Result<i64, TrackingError> {
    let name = of.asked.experiment.as_deref().unwrap_or(EXPERIMENT).trim();
    let db = app.store.read();
    match experiment::get_by_name(db, of.workspace, name).await {
        Ok(found) => Ok(found.id),
        Err(TrackingError::NotFound(_)) => {
            let (by, tags) = (Actor::hub(), Texts::new());
            match experiment::create(app, &by, of.workspace, name, "", &tags).await {
                // Two attempts at once: the other was first.
                Err(TrackingError::Exists(_)) => {
                    Ok(experiment::get_by_name(db, of.workspace, name).await?.id)
                }
                made => made,
            }
        }
        Err(err) => Err(err),
    }
}

/// Ends the runs of attempts that have ended; how many there were.
pub(super) async fn end_all(app: &App) -> Result<usize, JobsError> {
    let sql = "SELECT a.job, a.number, a.run, a.ended, j.workspace FROM job_attempt a JOIN job j ON j.id = a.job \
               WHERE a.run_open AND a.ended IS NOT NULL LIMIT 100";
    let found = SQL.rows(app.store.read(), sql, []).await?;
    for row in &found {
        let run: String = SQL.column(row, "run")?;
        let workspace: String = SQL.column(row, "workspace")?;
        let workspace: WorkspaceId = crate::store::parsed("workspace id", &workspace)?;
        let ended: Ended = rows::json(&SQL.column::<String>(row, "ended")?)?;
        match end(app, &workspace, &run, &ended).await {
            // Somebody deleted it.
            Ok(()) | Err(TrackingError::NotFound(_) | TrackingError::Invalid(_)) => {}
            Err(err) => return Err(err.into()),
        }
        let sql = "UPDATE job_attempt SET run_open = FALSE WHERE job = $1 AND number = $2";
        let values = [
            SQL.column::<i64>(row, "job")?.into(),
            SQL.column::<i64>(row, "number")?.into(),
        ];
        SQL.exec(app.store.write(), sql, values).await?;
    }
    Ok(found.len())
}

async fn end(
    app: &App,
    workspace: &WorkspaceId,
    id: &str,
    ended: &Ended,
) -> Result<(), TrackingError> {
    let info = run::info(app.store.read(), workspace, id).await?;
    let status = match ended {
        ended if ended.is_success() => Status::Finished,
        Ended::Cancelled => Status::Killed,
        _ => Status::Failed,
    };
    // A script that said itself how it ended stands, unless its command says worse.
    if info.status != Status::Running && (status == Status::Finished || info.status == status) {
        return Ok(());
    }
    let update = Update {
        status: Some(status),
        end_time: Some(app.clock.now().0),
        name: None,
    };
    run::update(app, workspace, id, update).await.map(drop)
}
