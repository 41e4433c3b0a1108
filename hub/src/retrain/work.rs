//! What rounds ordered of other domains, and what came of it: one row a key.
//!
//! A row is made in the transaction that stores the state which orders it, so that whatever runs under a key can be
//! found and stopped, also when its round is long over. That it was ordered does not say that it was begun: whether it
//! was is asked of the domain.

use minicbor::{Decode, Encode};
use sea_orm::{ConnectionTrait, QueryResult};
use tern_protocol::{
    id::{ModelName, WorkspaceId},
    rest::RoundWork,
    time::WallTime,
};
use tern_retrain::{
    Act, Action, Key, Work,
    fact::{Again, Failure},
};

use super::sql::{SQL, cbor, key, of, under};
use crate::store::StoreError;

/// Rounds whose rows are kept.
const ROUNDS: u32 = 200;

/// Longest reason that is kept, in characters.
const REASON: usize = 1_000;

/// How work stands, as far as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It is to be done; whether it was begun its domain knows.
    Ordered,
    Done,
    Failed,
    Stopped,
}

impl State {
    const ALL: [Self; 4] = [Self::Ordered, Self::Done, Self::Failed, Self::Stopped];

    const fn word(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// A piece of work.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) at: WallTime,
    pub(super) state: State,
    /// Whether nothing runs under the key any more.
    pub(super) over: bool,
    /// Of the dataset, job, version or rollout.
    pub(super) number: Option<u64>,
    body: Option<Vec<u8>>,
    pub(super) core_seconds: Option<u64>,
    pub(super) failure: Failure,
}

/// How work ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ended {
    /// It is done, and this is what it gave, as CBOR.
    Done(Option<u64>, Option<Vec<u8>>),
    Failed(Failure),
    Stopped,
}

impl Ended {
    /// Done, with what it gave.
    pub(super) fn gave<T: Encode<()>>(number: Option<u64>, what: &T) -> Self {
        Self::Done(number, Some(tern_protocol::codec::encode(what)))
    }

    /// It failed for this reason.
    pub(super) fn failed(reason: impl Into<String>, again: Again) -> Self {
        let reason: String = reason.into();
        Self::Failed(Failure {
            reason: reason.chars().take(REASON).collect(),
            again,
        })
    }
}

/// Whether it is tried again, by whether that may help.
pub(super) const fn again(may_help: bool) -> Again {
    if may_help {
        Again::MayHelp
    } else {
        Again::IsUseless
    }
}

impl Row {
    /// What it gave, if it is done.
    pub(super) fn gave<T: for<'b> Decode<'b, ()>>(
        &self,
        what: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let body = self.body.as_ref().filter(|_| self.state == State::Done);
        body.map(|body| cbor(what, body)).transpose()
    }

    /// How it stands, if it is known here: what it gave if it is done; none if it is only ordered.
    pub(super) fn settled<T>(&self, done: Option<T>) -> Option<Work<T>> {
        match self.state {
            State::Ordered => None,
            State::Done => done.map(Work::Done),
            State::Failed => Some(Work::Failed(self.failure.clone())),
            State::Stopped => Some(Work::Stopped),
        }
    }

    /// As it is shown; `running` says whether it runs now.
    pub(super) fn view(&self, running: bool) -> RoundWork {
        let state = match self.state {
            // What came of it its domain knows.
            State::Ordered if self.over => "done",
            State::Ordered if running => "running",
            state => state.word(),
        };
        RoundWork {
            step: self.key.step.word().into(),
            attempt: self.key.attempt,
            at: self.at,
            state: state.into(),
            number: self.number,
            reason: self.failure.reason.clone(),
        }
    }
}

fn read(row: &QueryResult) -> Result<Row, StoreError> {
    let word: String = SQL.column(row, "state")?;
    let state = State::ALL.into_iter().find(|one| one.word() == word);
    let number = |name| {
        let number: Option<i64> = SQL.column(row, name)?;
        Ok::<_, StoreError>(number.map(i64::cast_unsigned))
    };
    Ok(Row {
        key: key(row)?,
        at: WallTime(SQL.column(row, "at")?),
        state: state.ok_or(StoreError::Value {
            what: "state of work",
            value: word,
        })?,
        over: SQL.column(row, "settled")?,
        number: number("number")?,
        body: SQL.column(row, "body")?,
        core_seconds: number("core_seconds")?,
        failure: Failure {
            reason: SQL.column(row, "reason")?,
            again: again(SQL.column(row, "again")?),
        },
    })
}

/// Work of a round, in the order in which it was ordered.
pub(super) async fn of_round(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    round: u32,
) -> Result<Vec<Row>, StoreError> {
    let sql = "SELECT * FROM retrain_work WHERE workspace = $1 AND model = $2 AND round = $3 \
               ORDER BY at, attempt";
    let [workspace, model] = of(workspace, model);
    let rows = SQL.rows(db, sql, [workspace, model, i64::from(round).into()]);
    rows.await?.iter().map(read).collect()
}

/// Work of this round, and whatever of the rounds before may still run.
pub(super) async fn that_matters(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    round: u32,
) -> Result<Vec<Row>, StoreError> {
    let sql = "SELECT * FROM retrain_work WHERE workspace = $1 AND model = $2 \
               AND (round = $3 OR NOT settled) ORDER BY at, attempt";
    let [workspace, model] = of(workspace, model);
    let rows = SQL.rows(db, sql, [workspace, model, i64::from(round).into()]);
    rows.await?.iter().map(read).collect()
}

/// Whether an action is work of another domain.
pub(super) const fn is_work(act: &Act) -> bool {
    matches!(
        act,
        Act::Build(_) | Act::Train(_) | Act::Compare(_) | Act::Register(_) | Act::RollOut(_)
    )
}

/// Notes what is ordered; what is noted already stays as it is.
pub(super) async fn order(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    actions: &[Action],
    now: WallTime,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO retrain_work (workspace, model, round, step, attempt, at, state, settled, reason, again) \
               VALUES ($1, $2, $3, $4, $5, $6, 'ordered', FALSE, '', FALSE) \
               ON CONFLICT (workspace, model, round, step, attempt) DO NOTHING";
    for action in actions.iter().filter(|action| is_work(&action.act)) {
        let values = under(workspace, model, action.key, [now.0.into()]);
        SQL.exec(db, sql, values).await?;
    }
    Ok(())
}

/// Forgets work of rounds that were long ago.
pub(super) async fn forget(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    round: u32,
) -> Result<(), StoreError> {
    let sql =
        "DELETE FROM retrain_work WHERE workspace = $1 AND model = $2 AND round <= $3 AND settled";
    let [workspace, model] = of(workspace, model);
    let last = i64::from(round.saturating_sub(ROUNDS));
    SQL.exec(db, sql, [workspace, model, last.into()])
        .await
        .map(drop)
}

/// Notes how work ended.
pub(super) async fn end(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    key: Key,
    ended: &Ended,
) -> Result<(), StoreError> {
    let sql = "UPDATE retrain_work SET state = $6, settled = TRUE, number = COALESCE($7, number), body = $8, \
               reason = $9, again = $10 \
               WHERE workspace = $1 AND model = $2 AND round = $3 AND step = $4 AND attempt = $5";
    let (state, number, body, reason, again) = match ended {
        Ended::Done(number, body) => (State::Done, *number, body.clone(), "", false),
        Ended::Failed(failure) => (
            State::Failed,
            None,
            None,
            failure.reason.as_str(),
            failure.again == Again::MayHelp,
        ),
        Ended::Stopped => (State::Stopped, None, None, "", false),
    };
    let how = [
        state.word().into(),
        number.map(u64::cast_signed).into(),
        body.into(),
        reason.into(),
        again.into(),
    ];
    let values = under(workspace, model, key, how);
    SQL.exec(db, sql, values).await.map(drop)
}

/// Notes what work is called in its domain, and what it took so far.
pub(super) async fn known_as(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    key: Key,
    number: u64,
    core_seconds: Option<u64>,
) -> Result<(), StoreError> {
    let sql = "UPDATE retrain_work SET number = $6, core_seconds = COALESCE($7, core_seconds) \
               WHERE workspace = $1 AND model = $2 AND round = $3 AND step = $4 AND attempt = $5";
    let known = [
        crate::store::raw::number(number),
        core_seconds.map(u64::cast_signed).into(),
    ];
    let values = under(workspace, model, key, known);
    SQL.exec(db, sql, values).await.map(drop)
}

/// Notes that nothing runs under a key any more, without an end of its own: what came of it its domain knows.
pub(super) async fn settle(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    key: Key,
    number: u64,
) -> Result<(), StoreError> {
    let sql = "UPDATE retrain_work SET settled = TRUE, number = $6 \
               WHERE workspace = $1 AND model = $2 AND round = $3 AND step = $4 AND attempt = $5";
    let values = under(workspace, model, key, [crate::store::raw::number(number)]);
    SQL.exec(db, sql, values).await.map(drop)
}
