//! Jobs as people and programs are shown them.

use std::fmt::Write as _;

use sea_orm::{ConnectionTrait, Value};
use tern_compute::job::Ended;
use tern_protocol::{
    blob::BlobRef,
    digest::Digest,
    id::{JobId, WorkspaceId},
    rest::{JobArtifact, JobAsked, JobAttemptView, JobDetail, JobEnd, JobState, JobView, Page},
};

use super::{
    JobsError, SQL,
    rows::{self, AttemptRow, JobRow},
    submit,
};
use crate::{
    app::App,
    store::{StoreError, parsed, raw::number},
};

/// Jobs on a page, unless asked otherwise, and at most.
const PAGE: u64 = 100;
const PAGE_MAX: u64 = 1_000;

/// Artifacts that are listed.
const LISTED: i64 = 20_000;

/// Which jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobsQuery {
    /// Only those in this state.
    pub state: Option<JobState>,
    /// Only those that are not over.
    pub open: bool,
    /// Only those that are over.
    pub over: bool,
    /// Only those of this person.
    pub person: Option<String>,
    /// Only those on this compute.
    pub compute: Option<String>,
    /// Older than this one.
    pub before: Option<JobId>,
    /// On one page.
    pub limit: Option<u64>,
}

/// How an attempt ended, in the words of the API.
pub(super) fn end(of: &Ended) -> JobEnd {
    let (kind, code) = match of {
        Ended::Exited(0) => ("success", Some(0)),
        Ended::Exited(code) => ("exit-code", Some(*code)),
        Ended::Signalled(signal) => ("signal", Some(*signal)),
        Ended::OutOfMemory(_) => ("out-of-memory", None),
        Ended::TimeLimit => ("time-limit", None),
        Ended::Cancelled => ("cancelled", None),
        Ended::Interrupted => ("interrupted", None),
        Ended::Environment(_) => ("environment", None),
        Ended::NotStarted(_) => ("not-started", None),
        Ended::Lost(_) => ("lost", None),
    };
    JobEnd {
        kind: kind.into(),
        text: of.to_string(),
        code,
        may_go_better: of.may_go_better(),
    }
}

fn view(app: &App, row: &JobRow) -> JobView {
    let last = row.attempts.last();
    let trouble = row.open().map(|one| one.trouble.clone());
    let trouble = trouble.filter(|text| !text.is_empty());
    let waits = (row.state == JobState::Queued)
        .then(|| app.jobs.waits(row.id))
        .flatten();
    JobView {
        id: row.id,
        name: row.name.clone(),
        by: row.actor.clone(),
        state: row.state,
        ended: row.last.as_ref().map(end),
        waits: trouble.or(waits),
        compute: row.compute.clone(),
        priority: row.priority,
        cancelled: row.cancelled,
        created: row.created,
        started: last.map(|one| one.given),
        finished: row.ended,
        attempts: u32::try_from(row.attempts.len()).unwrap_or(u32::MAX),
        core_millis: row.core_millis,
        run: last.and_then(|one| one.run.clone()),
        key: row.key.clone(),
        again_of: row.again_of,
    }
}

fn attempt_view(of: &AttemptRow) -> JobAttemptView {
    JobAttemptView {
        number: of.number,
        compute: of.compute.clone(),
        given: of.given,
        phase: rows::phase_word(of.phase).into(),
        ended: of.ended.as_ref().map(|(ended, _)| end(ended)),
        finished: of.ended.as_ref().map(|(_, at)| *at),
        core_millis: of.core_millis,
        peak_memory: of.peak_memory,
        log_bytes: of.log_bytes,
        run: of.run.clone(),
        artifacts_left_out: of.left_out && of.ended.is_some(),
        trouble: of.trouble.clone(),
    }
}

/// Jobs of a workspace, the newest first.
pub async fn list(
    app: &App,
    workspace: &WorkspaceId,
    query: &JobsQuery,
) -> Result<Page<JobView>, JobsError> {
    let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let mut condition = "j.workspace = $1 AND j.id < $2".to_owned();
    let mut values: Vec<Value> = vec![
        workspace.as_str().into(),
        query.before.map_or(i64::MAX, |id| id.0 as i64).into(),
    ];
    let mut and = |column: &str, value: Value| {
        values.push(value);
        let place = values.len();
        let _ = write!(condition, " AND j.{column} = ${place}");
    };
    if let Some(state) = query.state {
        and("state", state.word().into());
    }
    if let Some(person) = &query.person {
        and("person", person.as_str().into());
    }
    if let Some(compute) = &query.compute {
        and("compute", compute.as_str().into());
    }
    if query.open {
        condition += " AND j.ended IS NULL";
    }
    if query.over {
        condition += " AND j.ended IS NOT NULL";
    }
    let rest = format!("ORDER BY j.id DESC LIMIT {}", limit + 1);
    let mut found = rows::select(app.store.read(), &condition, &rest, values).await?;
    let more = found.len() as u64 > limit;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(|row| row.id.to_string());
    let items = found.iter().map(|row| view(app, row)).collect();
    Ok(Page { items, next })
}

/// All that is known of a job.
pub async fn one(app: &App, workspace: &WorkspaceId, id: JobId) -> Result<JobDetail, JobsError> {
    let db = app.store.read();
    let row = rows::of(db, workspace, id).await?;
    let row = row.ok_or(JobsError::NoJob(id))?;
    let documents = rows::documents(db, id).await?;
    let documents = documents.ok_or(JobsError::NoJob(id))?;
    let asked: JobAsked = rows::json(&documents.asked)?;
    let spec: tern_compute::job::JobSpec = rows::json(&documents.spec)?;
    Ok(JobDetail {
        view: view(app, &row),
        asked,
        command: spec.command,
        all_attempts: row.attempts.iter().map(attempt_view).collect(),
        artifacts: artifacts(db, id).await?,
    })
}

/// The job of a workspace that has this key.
pub async fn by_key(
    app: &App,
    workspace: &WorkspaceId,
    key: &str,
) -> Result<Option<JobView>, JobsError> {
    let db = app.store.read();
    let Some(id) = submit::with_key(db, workspace, Some(key)).await? else {
        return Ok(None);
    };
    let row = rows::of(db, workspace, id).await?;
    Ok(row.map(|row| view(app, &row)))
}

async fn artifacts(db: &impl ConnectionTrait, id: JobId) -> Result<Vec<JobArtifact>, StoreError> {
    let sql = "SELECT attempt, path, bytes, digest FROM job_artifact WHERE job = $1 ORDER BY attempt, path LIMIT $2";
    let found = SQL.rows(db, sql, [number(id.0), LISTED.into()]).await?;
    let read = |row: &sea_orm::QueryResult| {
        Ok(JobArtifact {
            attempt: u32::try_from(SQL.count(row, "attempt")?).unwrap_or(u32::MAX),
            path: SQL.column(row, "path")?,
            bytes: SQL.count(row, "bytes")?,
            digest: parsed("digest", &SQL.column::<String>(row, "digest")?)?,
        })
    };
    found.iter().map(read).collect()
}

/// An artifact that was kept: its bytes are a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Where it was below the working directory.
    pub path: String,
    /// Its bytes.
    pub blob: BlobRef,
}

/// An artifact of a job, of this attempt or of the last that has it.
pub async fn artifact(
    app: &App,
    workspace: &WorkspaceId,
    id: JobId,
    attempt: Option<u32>,
    path: &str,
) -> Result<Artifact, JobsError> {
    let db = app.store.read();
    let row = rows::of(db, workspace, id).await?;
    row.ok_or(JobsError::NoJob(id))?;
    let sql = "SELECT digest, bytes FROM job_artifact WHERE job = $1 AND path = $2 AND attempt = COALESCE($3, attempt) \
               ORDER BY attempt DESC LIMIT 1";
    let values: [Value; 3] = [number(id.0), path.into(), attempt.map(i64::from).into()];
    let found = SQL.row(db, sql, values).await?;
    let found = found.ok_or_else(|| {
        let shown: String = path.chars().take(200).collect();
        JobsError::NotFound(format!(
            "job {id} has no artifact `{shown}`; `tern job artifacts {id}` shows those that it has"
        ))
    })?;
    let digest: Digest = parsed("digest", &SQL.column::<String>(&found, "digest")?)?;
    Ok(Artifact {
        path: path.into(),
        blob: BlobRef {
            digest,
            len: SQL.count(&found, "bytes")?,
        },
    })
}
