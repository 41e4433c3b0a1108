//! Rows of jobs and their attempts, read and written.
//!
//! Called by every part of `jobs` that reads or changes one. What follows from attempts is worked out by
//! [`tern_compute::job::Job`] and written by [`settle`] in the transaction that changed an attempt.

use sea_orm::{ConnectionTrait, QueryResult, Value};
use serde::de::DeserializeOwned;
use tern_compute::job::{
    Attempt, AttemptKey, Ended, Job as Life, JobState as LifeState, Phase, Resources, Retries,
};
use tern_protocol::{
    digest::Digest,
    id::{ComputeName, JobId, UserName, WorkspaceId},
    rest::{JobRun, JobState},
    time::WallTime,
};

use super::SQL;
pub(super) use crate::store::to_json;
use crate::store::{self, StoreError, parsed, raw::number};

/// An attempt.
#[derive(Debug, Clone)]
pub(super) struct AttemptRow {
    pub(super) number: u32,
    pub(super) compute: ComputeName,
    pub(super) given: WallTime,
    /// When its command began, as far as somebody saw it.
    pub(super) running: Option<WallTime>,
    pub(super) phase: Phase,
    /// Whether an engine elsewhere is known to have it.
    pub(super) taken: bool,
    pub(super) gpus: Vec<u32>,
    pub(super) ended: Option<(Ended, WallTime)>,
    pub(super) core_millis: u64,
    pub(super) peak_memory: u64,
    pub(super) log: Option<Digest>,
    pub(super) log_bytes: u64,
    pub(super) log_head: u64,
    /// Whether artifacts are missing; of one elsewhere that has not ended, whether it has not said that all are there.
    pub(super) left_out: bool,
    pub(super) trouble: String,
    pub(super) run: Option<JobRun>,
}

/// A job with its attempts, without its documents.
#[derive(Debug, Clone)]
pub(super) struct JobRow {
    pub(super) id: JobId,
    pub(super) workspace: WorkspaceId,
    pub(super) key: Option<String>,
    pub(super) name: String,
    pub(super) person: UserName,
    pub(super) actor: String,
    pub(super) state: JobState,
    pub(super) last: Option<Ended>,
    pub(super) created: WallTime,
    pub(super) ended: Option<WallTime>,
    pub(super) cancelled: bool,
    pub(super) compute: ComputeName,
    pub(super) priority: u8,
    pub(super) needs: Resources,
    pub(super) retries: Retries,
    pub(super) core_millis: u64,
    pub(super) mark: String,
    pub(super) again_of: Option<JobId>,
    pub(super) attempts: Vec<AttemptRow>,
}

impl JobRow {
    /// What follows from it.
    pub(super) fn life(&self) -> Life {
        let attempts = self.attempts.iter().map(|one| Attempt {
            number: one.number,
            given: one.given,
            phase: one.phase,
            ended: one.ended.clone(),
            core_millis: one.core_millis,
        });
        Life {
            retries: self.retries,
            attempts: attempts.collect(),
            cancelled: self.cancelled,
        }
    }

    /// The attempt that has not ended.
    pub(super) fn open(&self) -> Option<&AttemptRow> {
        self.attempts.last().filter(|one| one.ended.is_none())
    }

    /// What names an attempt of it.
    pub(super) fn attempt_key(&self, number: u32) -> AttemptKey {
        AttemptKey {
            job: self.id,
            number,
        }
    }
}

const JOB: &str = "j.id, j.workspace, j.key, j.name, j.person, j.actor, j.state, j.last, j.created, j.ended, \
                   j.cancelled, j.compute, j.priority, j.cpu_millis, j.memory, j.gpus, j.retry_most, j.retry_wait, \
                   j.core_millis, j.mark, j.again_of";

const ATTEMPT: &str = "a.job, a.number, a.compute, a.given, a.running, a.phase, a.taken, a.gpus, a.ended, a.ended_at, \
                       a.core_millis, a.peak_memory, a.log, a.log_bytes, a.log_head, a.left_out, a.trouble, a.run, \
                       a.experiment";

/// Jobs that a condition on `j` takes, in an order, with their attempts.
pub(super) async fn select(
    db: &impl ConnectionTrait,
    condition: &str,
    rest: &str,
    values: Vec<Value>,
) -> Result<Vec<JobRow>, StoreError> {
    let sql = format!("SELECT {JOB} FROM job j WHERE {condition} {rest}");
    let found = SQL.rows(db, &sql, values.clone()).await?;
    let mut jobs: Vec<JobRow> = found.iter().map(job).collect::<Result<_, _>>()?;
    let sql = format!(
        "SELECT {ATTEMPT} FROM job_attempt a WHERE a.job IN (SELECT j.id FROM job j WHERE {condition} {rest}) \
         ORDER BY a.job, a.number"
    );
    for row in &SQL.rows(db, &sql, values).await? {
        let id = JobId(SQL.at::<i64>(row, 0)?.unsigned_abs());
        // A job that came between the two reads is read next time.
        if let Some(of) = jobs.iter_mut().find(|one| one.id == id) {
            of.attempts.push(attempt(row)?);
        }
    }
    Ok(jobs)
}

/// All that are not over, the oldest first.
pub(super) async fn open(db: &impl ConnectionTrait) -> Result<Vec<JobRow>, StoreError> {
    let sql = format!("SELECT {JOB} FROM job j WHERE j.ended IS NULL ORDER BY j.id");
    let found = SQL.rows(db, &sql, []).await?;
    let mut jobs: Vec<JobRow> = found.iter().map(job).collect::<Result<_, _>>()?;
    let sql = format!(
        "SELECT {ATTEMPT} FROM job_attempt a JOIN job j ON j.id = a.job WHERE j.ended IS NULL ORDER BY a.job, a.number"
    );
    for row in &SQL.rows(db, &sql, []).await? {
        let id = JobId(SQL.at::<i64>(row, 0)?.unsigned_abs());
        if let Ok(place) = jobs.binary_search_by_key(&id, |one| one.id) {
            jobs[place].attempts.push(attempt(row)?);
        }
    }
    Ok(jobs)
}

/// One job.
pub(super) async fn one(
    db: &impl ConnectionTrait,
    id: JobId,
) -> Result<Option<JobRow>, StoreError> {
    let found = select(db, "j.id = $1", "", vec![number(id.0)]).await?;
    Ok(found.into_iter().next())
}

/// One job of a workspace.
pub(super) async fn of(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    id: JobId,
) -> Result<Option<JobRow>, StoreError> {
    let found = one(db, id).await?;
    Ok(found.filter(|one| one.workspace == *workspace))
}

fn job(row: &QueryResult) -> Result<JobRow, StoreError> {
    let unsigned = |place| Ok::<u64, StoreError>(SQL.at::<i64>(row, place)?.max(0).unsigned_abs());
    let small = |place| Ok::<u32, StoreError>(u32::try_from(unsigned(place)?).unwrap_or(u32::MAX));
    let state: String = SQL.at(row, 6)?;
    let last: Option<String> = SQL.at(row, 7)?;
    Ok(JobRow {
        id: JobId(unsigned(0)?),
        workspace: parsed("workspace id", &SQL.at::<String>(row, 1)?)?,
        key: SQL.at(row, 2)?,
        name: SQL.at(row, 3)?,
        person: parsed("account's name", &SQL.at::<String>(row, 4)?)?,
        actor: SQL.at(row, 5)?,
        state: JobState::of(&state).ok_or(StoreError::Value {
            what: "state of a job",
            value: state,
        })?,
        last: last.as_deref().map(json).transpose()?,
        created: WallTime(SQL.at(row, 8)?),
        ended: SQL.at::<Option<i64>>(row, 9)?.map(WallTime),
        cancelled: SQL.at(row, 10)?,
        compute: parsed("name of a compute", &SQL.at::<String>(row, 11)?)?,
        priority: u8::try_from(unsigned(12)?).unwrap_or(u8::MAX),
        needs: Resources {
            cpu_millis: small(13)?,
            memory: unsigned(14)?,
            gpus: small(15)?,
        },
        retries: Retries {
            most: small(16)?,
            wait: unsigned(17)?,
        },
        core_millis: unsigned(18)?,
        mark: SQL.at(row, 19)?,
        again_of: SQL
            .at::<Option<i64>>(row, 20)?
            .map(|id| JobId(id.max(0).unsigned_abs())),
        attempts: Vec::new(),
    })
}

fn attempt(row: &QueryResult) -> Result<AttemptRow, StoreError> {
    let unsigned = |place| Ok::<u64, StoreError>(SQL.at::<i64>(row, place)?.max(0).unsigned_abs());
    let ended: Option<String> = SQL.at(row, 8)?;
    let at = SQL.at::<Option<i64>>(row, 9)?.map(WallTime);
    let ended = ended.as_deref().map(json::<Ended>).transpose()?;
    let (log, run): (String, String) = (SQL.at(row, 12)?, SQL.at(row, 17)?);
    let gpus: String = SQL.at(row, 7)?;
    Ok(AttemptRow {
        number: u32::try_from(unsigned(1)?).unwrap_or(u32::MAX),
        compute: parsed("name of a compute", &SQL.at::<String>(row, 2)?)?,
        given: WallTime(SQL.at(row, 3)?),
        running: SQL.at::<Option<i64>>(row, 4)?.map(WallTime),
        phase: phase_of(&SQL.at::<String>(row, 5)?)?,
        taken: SQL.at(row, 6)?,
        gpus: gpus.split(',').filter_map(|one| one.parse().ok()).collect(),
        ended: ended.zip(at),
        core_millis: unsigned(10)?,
        peak_memory: unsigned(11)?,
        log: (!log.is_empty())
            .then(|| parsed("digest", &log))
            .transpose()?,
        log_bytes: unsigned(13)?,
        log_head: unsigned(14)?,
        left_out: SQL.at(row, 15)?,
        trouble: SQL.at(row, 16)?,
        run: (!run.is_empty())
            .then(|| {
                let experiment = SQL.at(row, 18)?;
                Ok::<_, StoreError>(JobRun { experiment, run })
            })
            .transpose()?,
    })
}

/// As it is stored.
pub(super) const fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Given => "given",
        Phase::Preparing => "preparing",
        Phase::Running => "running",
    }
}

fn phase_of(word: &str) -> Result<Phase, StoreError> {
    let all = [Phase::Given, Phase::Preparing, Phase::Running];
    let found = all.into_iter().find(|phase| phase_word(*phase) == word);
    found.ok_or_else(|| StoreError::Value {
        what: "phase of an attempt",
        value: word.into(),
    })
}

/// Something that a column of a job keeps as JSON.
pub(super) fn json<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    store::json("JSON of a job", text)
}

/// The word for what a job is.
pub(super) fn state_of(life: &LifeState) -> JobState {
    match life {
        LifeState::Queued => JobState::Queued,
        LifeState::Preparing => JobState::Preparing,
        LifeState::Running => JobState::Running,
        LifeState::Succeeded => JobState::Succeeded,
        LifeState::Failed(_) => JobState::Failed,
        LifeState::Cancelled => JobState::Cancelled,
    }
}

/// Gives an attempt to a compute, unless it is not the one that is to come. Whether it was given.
pub(super) async fn give(
    txn: &impl ConnectionTrait,
    key: AttemptKey,
    compute: &ComputeName,
    gpus: &[u32],
    now: WallTime,
) -> Result<bool, StoreError> {
    let Some(row) = one(txn, key.job).await? else {
        return Ok(false);
    };
    let mut life = row.life();
    let before = life.attempts.len();
    life.given(key.number, now);
    if row.ended.is_some() || life.attempts.len() == before {
        return Ok(false);
    }
    let gpus: Vec<String> = gpus.iter().map(ToString::to_string).collect();
    let sql = "INSERT INTO job_attempt (job, number, compute, given, running, phase, taken, gpus, ended, ended_at, \
               core_millis, peak_memory, log, log_bytes, log_head, left_out, trouble, token, run, experiment, run_open) \
               VALUES ($1, $2, $3, $4, NULL, 'given', FALSE, $5, NULL, NULL, 0, 0, '', 0, 0, FALSE, '', NULL, '', 0, \
               FALSE)";
    let values = [
        number(key.job.0),
        i64::from(key.number).into(),
        compute.as_str().into(),
        now.0.into(),
        gpus.join(",").into(),
    ];
    SQL.exec(txn, sql, values).await?;
    settle(txn, key.job, now).await?;
    Ok(true)
}

/// An attempt is so far. Whether that is news.
pub(super) async fn reached(
    txn: &impl ConnectionTrait,
    key: AttemptKey,
    phase: Phase,
    now: WallTime,
) -> Result<bool, StoreError> {
    let sql = "UPDATE job_attempt SET phase = $3, running = CASE WHEN $3 = 'running' THEN COALESCE(running, $4) \
               ELSE running END WHERE job = $1 AND number = $2 AND ended IS NULL AND phase <> $3";
    let values = [
        number(key.job.0),
        i64::from(key.number).into(),
        phase_word(phase).into(),
        now.0.into(),
    ];
    let changed = SQL.exec(txn, sql, values).await? > 0;
    if changed {
        settle(txn, key.job, now).await?;
    }
    Ok(changed)
}

/// What is known of an attempt that has ended.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) ended: Ended,
    pub(super) at: WallTime,
    pub(super) core_millis: u64,
    pub(super) peak_memory: u64,
    pub(super) log: Option<KeptLog>,
    pub(super) left_out: bool,
    pub(super) trouble: String,
}

impl End {
    /// Of an attempt of which there is nothing else to be told.
    pub(super) fn bare(ended: Ended, at: WallTime) -> Self {
        Self {
            ended,
            at,
            core_millis: 0,
            peak_memory: 0,
            log: None,
            left_out: false,
            trouble: String::new(),
        }
    }
}

/// What was kept of a log: one blob, of which the first `head` bytes are the beginning of `total`.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeptLog {
    pub(super) digest: Digest,
    pub(super) head: u64,
    pub(super) total: u64,
}

/// An attempt has ended. Only the first word counts; whether this was it.
pub(super) async fn ended(
    txn: &impl ConnectionTrait,
    key: AttemptKey,
    end: &End,
    now: WallTime,
) -> Result<bool, StoreError> {
    let sql = "UPDATE job_attempt SET ended = $3, ended_at = $4, core_millis = $5, peak_memory = $6, log = $7, \
               log_bytes = $8, log_head = $9, left_out = (left_out OR $10), trouble = $11, token = NULL \
               WHERE job = $1 AND number = $2 AND ended IS NULL";
    let log = end.log.as_ref();
    let values = [
        number(key.job.0),
        i64::from(key.number).into(),
        to_json(&end.ended).into(),
        end.at.0.into(),
        number(end.core_millis),
        number(end.peak_memory),
        log.map(|log| log.digest.to_string())
            .unwrap_or_default()
            .into(),
        number(log.map_or(0, |log| log.total)),
        number(log.map_or(0, |log| log.head)),
        end.left_out.into(),
        end.trouble.as_str().into(),
    ];
    let first = SQL.exec(txn, sql, values).await? > 0;
    if first {
        settle(txn, key.job, now).await?;
    }
    Ok(first)
}

/// What keeps an attempt from going on. Whether that is news.
pub(super) async fn troubled(
    db: &impl ConnectionTrait,
    key: AttemptKey,
    trouble: &str,
) -> Result<bool, StoreError> {
    let sql = "UPDATE job_attempt SET trouble = $3 \
               WHERE job = $1 AND number = $2 AND ended IS NULL AND trouble <> $3";
    let trouble: String = trouble.chars().take(1_000).collect();
    let values = [
        number(key.job.0),
        i64::from(key.number).into(),
        trouble.into(),
    ];
    Ok(SQL.exec(db, sql, values).await? > 0)
}

/// Whether artifacts of an attempt elsewhere are missing, as long as it has not ended.
pub(super) async fn missing(
    db: &impl ConnectionTrait,
    key: AttemptKey,
    missing: bool,
) -> Result<(), StoreError> {
    let sql =
        "UPDATE job_attempt SET left_out = $3 WHERE job = $1 AND number = $2 AND ended IS NULL";
    let values = [
        number(key.job.0),
        i64::from(key.number).into(),
        missing.into(),
    ];
    SQL.exec(db, sql, values).await.map(drop)
}

/// An engine elsewhere has an attempt.
pub(super) async fn taken(db: &impl ConnectionTrait, key: AttemptKey) -> Result<(), StoreError> {
    let sql = "UPDATE job_attempt SET taken = TRUE WHERE job = $1 AND number = $2";
    let values = [number(key.job.0), i64::from(key.number).into()];
    SQL.exec(db, sql, values).await.map(drop)
}

/// Writes what follows from the attempts of a job. When it is over, its secrets go.
pub(super) async fn settle(
    txn: &impl ConnectionTrait,
    id: JobId,
    now: WallTime,
) -> Result<(), StoreError> {
    let Some(row) = one(txn, id).await? else {
        return Ok(());
    };
    let life = row.life();
    let state = state_of(&life.state());
    let last = row.attempts.iter().rev().find_map(|one| one.ended.as_ref());
    let over = match (state.is_over(), row.ended, last) {
        (false, ..) => None,
        (true, Some(before), _) => Some(before),
        (true, None, Some((_, at))) if row.open().is_none() => Some(*at),
        (true, None, _) => Some(now),
    };
    let sql = "UPDATE job SET state = $2, last = $3, ended = $4, core_millis = $5, \
               secrets = CASE WHEN $6 THEN NULL ELSE secrets END WHERE id = $1";
    let values = [
        number(id.0),
        state.word().into(),
        last.map(|(ended, _)| to_json(ended)).into(),
        over.map(|at| at.0).into(),
        number(life.core_millis()),
        over.is_some().into(),
    ];
    SQL.exec(txn, sql, values).await.map(drop)
}

/// The documents of a job: what was asked, what is run, its secrets as they are stored, its archive.
#[derive(Debug)]
pub(super) struct Documents {
    pub(super) asked: String,
    pub(super) spec: String,
    pub(super) secrets: Option<Vec<u8>>,
    pub(super) project: Option<Digest>,
}

pub(super) async fn documents(
    db: &impl ConnectionTrait,
    id: JobId,
) -> Result<Option<Documents>, StoreError> {
    let sql = "SELECT asked, spec, secrets, project FROM job WHERE id = $1";
    let Some(row) = SQL.row(db, sql, [number(id.0)]).await? else {
        return Ok(None);
    };
    let project: String = SQL.at(&row, 3)?;
    Ok(Some(Documents {
        asked: SQL.at(&row, 0)?,
        spec: SQL.at(&row, 1)?,
        secrets: SQL.at(&row, 2)?,
        project: (!project.is_empty())
            .then(|| parsed("digest", &project))
            .transpose()?,
    }))
}
