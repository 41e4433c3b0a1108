//! A job is asked for.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, Value};
use tern_protocol::{
    id::{JobId, UserName, WorkspaceId},
    rest::{Change, JobAsked, JobProject, JobState},
};

use super::{
    ACTIVE, JobsError, LOCAL, SQL, asked,
    computes::{self, Compute},
    problem, rows,
};
use crate::{
    access::{
        audit::{self, Actor, Deed},
        principal::Principal,
    },
    app::App,
    blobs::BlobError,
    captures::seal::Opened,
    store::{StoreError, raw::number},
};

/// Longest key by which whoever asks knows a job again, in bytes.
const KEY: usize = 200;

/// Random bytes of a mark.
const MARK: usize = 4;

/// Who asks for a job: for the audit log, and whose turn it is then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// As the audit log has it.
    pub actor: Actor,
    /// Among whom turns are dealt.
    pub person: UserName,
}

impl By {
    /// The hub itself, by a rule of its own.
    pub fn hub() -> Self {
        Self {
            actor: Actor::hub(),
            person: "hub".parse().expect("`hub` is a name"),
        }
    }
}

impl From<&Principal> for By {
    fn from(principal: &Principal) -> Self {
        let person = principal.user().cloned();
        Self {
            actor: Actor::from(principal),
            // Somebody on the machine, without a login.
            person: person.unwrap_or_else(|| "machine".parse().expect("`machine` is a name")),
        }
    }
}

/// What is wrong with a job; nothing is stored.
pub async fn check(app: &App, workspace: &WorkspaceId, asked: &JobAsked) -> Result<(), JobsError> {
    let on = asked.compute.clone();
    let on = on.unwrap_or_else(|| LOCAL.parse().expect("`local` is a name"));
    let compute: Compute = computes::find(app, app.store.read(), &on).await?;
    asked::understand(app, workspace, asked, &compute)
        .await
        .map(drop)
}

/// Stores a job. The same `key` in the same workspace gives the job that has it already, whatever is asked for.
pub async fn submit(
    app: &App,
    workspace: &WorkspaceId,
    by: &By,
    asked: &JobAsked,
    key: Option<&str>,
) -> Result<JobId, JobsError> {
    store(app, workspace, by, asked, key, None).await
}

pub(super) async fn store(
    app: &App,
    workspace: &WorkspaceId,
    by: &By,
    asked: &JobAsked,
    key: Option<&str>,
    again_of: Option<JobId>,
) -> Result<JobId, JobsError> {
    if key.is_some_and(|key| key.is_empty() || key.len() > KEY || key.chars().any(char::is_control))
    {
        let text = format!("a key has 1 to {KEY} bytes and no control characters");
        return Err(JobsError::Wrong(vec![problem("key", text)]));
    }
    if let Some(known) = with_key(app.store.read(), workspace, key).await? {
        return Ok(known);
    }
    let on = asked.compute.clone();
    let on = on.unwrap_or_else(|| LOCAL.parse().expect("`local` is a name"));
    let compute: Compute = computes::find(app, app.store.read(), &on).await?;
    let understood = asked::understand(app, workspace, asked, &compute).await?;
    let mark = mark()?;
    let secrets = asked::secrets(&understood.spec);
    let now = app.clock.now();

    let txn = SQL.begin(&app.store).await?;
    if let Some(known) = with_key(&txn, workspace, key).await? {
        return Ok(known);
    }
    let active = "SELECT COUNT(*) AS n FROM job WHERE workspace = $1 AND ended IS NULL";
    let active = SQL.row(&txn, active, [workspace.as_str().into()]).await?;
    let active = active.map_or(Ok(0), |row| SQL.count(&row, "n"))?;
    if active >= ACTIVE {
        let text = format!(
            "{active} jobs of this workspace are not over; that is as many as there may be"
        );
        return Err(JobsError::State(text));
    }
    let project = match &asked.project {
        Some(JobProject::Archive { archive }) => {
            // Garbage is collected by whoever else writes: what is there now stays, as this row names it.
            if app.blobs.claim(*archive).await?.is_none() {
                return Err(BlobError::Missing(*archive).into());
            }
            archive.to_string()
        }
        _ => String::new(),
    };
    let id = next(&txn).await?;
    let sealed = sealed(app, id, &secrets)?;
    let spec = &understood.spec;
    let sql = "INSERT INTO job (id, workspace, key, name, person, actor, state, last, created, ended, cancelled, compute, \
               priority, cpu_millis, memory, gpus, retry_most, retry_wait, core_millis, asked, spec, secrets, project, \
               mark, again_of) VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, $8, NULL, FALSE, $9, $10, $11, $12, $13, $14, \
               $15, 0, $16, $17, $18, $19, $20, $21)";
    let values: [Value; 21] = [
        number(id.0),
        workspace.as_str().into(),
        key.map(ToOwned::to_owned).into(),
        understood.name.as_str().into(),
        by.person.as_str().into(),
        by.actor.name.as_str().into(),
        JobState::Queued.word().into(),
        now.0.into(),
        understood.compute.as_str().into(),
        i64::from(spec.priority).into(),
        i64::from(spec.resources.cpu_millis).into(),
        number(spec.resources.memory),
        i64::from(spec.resources.gpus).into(),
        i64::from(spec.retries.most).into(),
        number(spec.retries.wait),
        rows::to_json(&asked.without_secrets()).into(),
        // Its own words leave secrets out.
        rows::to_json(spec).into(),
        sealed.into(),
        project.into(),
        mark.into(),
        again_of.map(|id| id.0 as i64).into(),
    ];
    SQL.exec(&txn, sql, values).await?;
    let deed = Deed::new("job.submit", format!("job {id}"))
        .within(workspace)
        .after(&asked.without_secrets())
        .detail(format!("{} on {}", understood.name, understood.compute));
    audit::record(&txn, &app.clock, &by.actor, deed).await?;
    SQL.commit(txn).await?;
    app.changes.send(workspace, Change::Job { id });
    app.jobs.notify();
    Ok(id)
}

/// The job of a workspace that has this key.
pub(super) async fn with_key(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    key: Option<&str>,
) -> Result<Option<JobId>, StoreError> {
    let Some(key) = key else { return Ok(None) };
    let sql = "SELECT id FROM job WHERE workspace = $1 AND key = $2";
    let row = SQL
        .row(db, sql, [workspace.as_str().into(), key.into()])
        .await?;
    row.map(|row| Ok(JobId(SQL.count(&row, "id")?))).transpose()
}

/// A number that no job ever had.
async fn next(txn: &impl ConnectionTrait) -> Result<JobId, StoreError> {
    let sql = "INSERT INTO job_book (id, last, usage) VALUES (1, 1, '') \
               ON CONFLICT (id) DO UPDATE SET last = job_book.last + 1 RETURNING last";
    let row = SQL.row(txn, sql, []).await?;
    Ok(JobId(row.map_or(Ok(1), |row| SQL.count(&row, "last"))?))
}

/// Numbers up to this are never given to a job: there are files of them.
pub(super) async fn above(db: &impl ConnectionTrait, last: JobId) -> Result<(), StoreError> {
    let sql = "INSERT INTO job_book (id, last, usage) VALUES (1, $1, '') ON CONFLICT (id) DO UPDATE SET \
               last = CASE WHEN job_book.last < excluded.last THEN excluded.last ELSE job_book.last END";
    SQL.exec(db, sql, [number(last.0)]).await.map(drop)
}

fn mark() -> Result<String, JobsError> {
    use std::fmt::Write as _;
    let mut bytes = [0; MARK];
    getrandom::fill(&mut bytes).map_err(|_| JobsError::Random)?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

fn bound(id: JobId) -> Vec<u8> {
    format!("tern-job-secrets-1\n{id}").into_bytes()
}

/// Secrets as they are stored.
fn sealed(
    app: &App,
    id: JobId,
    secrets: &BTreeMap<String, String>,
) -> Result<Option<Vec<u8>>, JobsError> {
    if secrets.is_empty() {
        return Ok(None);
    }
    let text = rows::to_json(secrets).into_bytes();
    let sealed = app.captures.keys.seal_bound(bound(id), text);
    Ok(Some(sealed.map_err(|_| JobsError::Random)?))
}

/// Secrets as they were given.
pub(super) fn opened(
    app: &App,
    id: JobId,
    stored: Option<Vec<u8>>,
) -> Result<BTreeMap<String, String>, String> {
    let Some(stored) = stored else {
        return Ok(BTreeMap::new());
    };
    match app.captures.keys.open_bound(bound(id), stored) {
        Opened::Bytes(text) => {
            serde_json::from_slice(&text).map_err(|_| "its secrets cannot be read".to_owned())
        }
        Opened::NoKey => {
            Err("its secrets are encrypted, and the hub was started without the key".to_owned())
        }
        Opened::Damaged => Err("its secrets are damaged".to_owned()),
    }
}
