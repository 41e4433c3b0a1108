//! What people do with a job: let it end, do it again.

use tern_protocol::{
    id::{JobId, WorkspaceId},
    rest::{Change, JobAsked, JobRetry, JobVariable},
};

use super::{By, JobsError, SQL, problem, rows, submit};
use crate::{
    access::audit::{self, Deed},
    app::App,
    store::raw::number,
};

/// Wants a job to end. One that is over stays as it is, and so does one that ends before the wish arrives.
pub async fn cancel(
    app: &App,
    workspace: &WorkspaceId,
    by: &By,
    id: JobId,
) -> Result<(), JobsError> {
    let txn = SQL.begin(&app.store).await?;
    let row = rows::of(&txn, workspace, id).await?;
    let row = row.ok_or(JobsError::NoJob(id))?;
    if row.ended.is_some() || row.cancelled {
        return Ok(());
    }
    let sql = "UPDATE job SET cancelled = TRUE WHERE id = $1";
    SQL.exec(&txn, sql, [number(id.0)]).await?;
    // One that waits is over at once.
    rows::settle(&txn, id, app.clock.now()).await?;
    let deed = Deed::new("job.cancel", format!("job {id}"))
        .within(workspace)
        .detail(row.name);
    audit::record(&txn, &app.clock, &by.actor, deed).await?;
    SQL.commit(txn).await?;
    app.changes.send(workspace, Change::Job { id });
    app.jobs.notify();
    Ok(())
}

/// The same once more, as a job of its own. One that is not over is not done again meanwhile.
pub async fn retry(
    app: &App,
    workspace: &WorkspaceId,
    by: &By,
    id: JobId,
    given: &JobRetry,
) -> Result<JobId, JobsError> {
    let db = app.store.read();
    let row = rows::of(db, workspace, id).await?;
    let row = row.ok_or(JobsError::NoJob(id))?;
    if row.ended.is_none() {
        let text = format!("job {id} is {}; cancel it first", row.state.word());
        return Err(JobsError::State(text));
    }
    let documents = rows::documents(db, id).await?;
    let documents = documents.ok_or(JobsError::NoJob(id))?;
    let mut asked: JobAsked = rows::json(&documents.asked)?;
    let mut problems = Vec::new();
    for (name, variable) in &mut asked.variables {
        if let JobVariable::Secret { secret } = variable {
            match given.secrets.get(name) {
                Some(value) => secret.clone_from(value),
                None => problems.push(problem(
                    format!("secrets.{name}"),
                    "secrets are forgotten when a job is over; give it again",
                )),
            }
        }
    }
    for name in given.secrets.keys() {
        if !matches!(asked.variables.get(name), Some(JobVariable::Secret { .. })) {
            let text = "the job has no secret of this name";
            problems.push(problem(format!("secrets.{name}"), text));
        }
    }
    if !problems.is_empty() {
        return Err(JobsError::Wrong(problems));
    }
    submit::store(app, workspace, by, &asked, None, Some(id)).await
}
