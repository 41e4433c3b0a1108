//! The outbox: notices that wait, arrived or were given up, a row for each receiver.

use sea_orm::{ConnectionTrait, QueryResult};
use tern_protocol::{
    id::{SubscriptionId, WorkspaceId},
    rest::{NoticeKind, NotificationState, NotificationView, Page},
    time::WallTime,
};

use super::{
    Notice, alertmanager, fresh_name,
    message::{self, Message},
    retry,
    sql::{SQL, number},
    subscription::{Way, stored_kinds, stored_way},
};
use crate::{
    access::reach::Reach,
    app::App,
    store::{Doing as _, Store, StoreError, parsed},
};

/// Notices of a workspace that may wait. A day of retries of 30 receivers stays far below; beyond it a
/// receiver has been dead for long or something notifies without end.
pub(super) const WAITING_MOST: u64 = 1_000;

/// Notices of a workspace that are over and still shown, besides [`KEPT_MS`].
const OVER_MOST: u64 = 10_000;

/// How long notices are kept once they are over, in milliseconds: 30 days.
const KEPT_MS: i64 = 30 * 86_400_000;

/// Longest error that is kept, in characters.
const ERROR: usize = 300;

/// Notices on a page at most.
const PAGE_MAX: u64 = 1_000;

/// Writes a notice for each subscription of the workspace that wants it; how many were written. `db` is the
/// transaction of whatever the notice is about.
///
/// The same key again writes nothing. If more than 1,000 notices of the workspace wait, the oldest of the
/// subscription with the most of them are dropped: a receiver that is dead does not fill the database, nor
/// take the room of the others. [`super::Courier::wake`] after the commit makes it go at once.
pub async fn enqueue<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    notice: &Notice,
) -> Result<u64, StoreError> {
    // An Alertmanager is told what stands, not what happened.
    let sql = "SELECT id, notices FROM notify_subscription \
               WHERE workspace = $1 AND kind <> 'alertmanager' ORDER BY id";
    let mut written = 0;
    for row in SQL.rows(db, sql, [workspace.as_str().into()]).await? {
        if stored_kinds(&SQL.column::<String>(&row, "notices")?)?.contains(&notice.kind) {
            let id = SubscriptionId(SQL.count(&row, "id")?);
            written += enqueue_for(db, workspace, id, notice).await?;
        }
    }
    Ok(written)
}

/// The same for one subscription, whatever it wants.
pub(super) async fn enqueue_for<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    subscription: SubscriptionId,
    notice: &Notice,
) -> Result<u64, StoreError> {
    let name = fresh_name();
    let name = name.map_err(|err| sea_orm::DbErr::Custom(err.to_string()));
    let name = name.doing("naming a notice")?;
    let written = SQL.exec(
        db,
        "INSERT INTO notification (name, workspace, subscription, same, kind, subject, text, path, at, \
         state, attempts, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'waiting', 0, $9) \
         ON CONFLICT (subscription, same) DO NOTHING",
        [
            name.into(),
            workspace.as_str().into(),
            number(subscription.0),
            notice.key.as_str().into(),
            notice.kind.word().into(),
            message::subject(&notice.subject).into(),
            message::text(&notice.text).into(),
            notice.link_path.as_str().into(),
            notice.at.0.into(),
        ],
    );
    let written = written.await?;
    if written > 0 {
        drop_excess(db, workspace).await?;
    }
    Ok(written)
}

/// Drops what is too much, of whoever has the most of it.
async fn drop_excess<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
) -> Result<(), StoreError> {
    let sql = "SELECT subscription, COUNT(*) AS waiting FROM notification \
               WHERE workspace = $1 AND state = 'waiting' GROUP BY subscription \
               ORDER BY waiting DESC, subscription";
    let waiting = SQL.rows(db, sql, [workspace.as_str().into()]).await?;
    let mut all = 0;
    for row in &waiting {
        all += SQL.count(row, "waiting")?;
    }
    let (excess, Some(most)) = (all.saturating_sub(WAITING_MOST), waiting.first()) else {
        return Ok(());
    };
    if excess == 0 {
        return Ok(());
    }
    let subscription: i64 = SQL.column(most, "subscription")?;
    let sql = "DELETE FROM notification WHERE id IN (SELECT id FROM notification \
               WHERE subscription = $1 AND state = 'waiting' ORDER BY id LIMIT $2)";
    let dropped = SQL
        .exec(db, sql, [subscription.into(), number(excess)])
        .await?;
    let sql = "UPDATE notify_subscription SET dropped = dropped + $1 WHERE id = $2";
    SQL.exec(db, sql, [number(dropped), subscription.into()])
        .await?;
    Ok(())
}

/// A notice whose time has come.
#[derive(Debug, Clone)]
pub(super) struct Due {
    pub(super) id: i64,
    pub(super) subscription: SubscriptionId,
    pub(super) way: Way,
    pub(super) message: Message,
    /// Attempts so far.
    pub(super) attempts: u32,
}

/// What is next: at most one notice of each subscription, the longest due first, whether it is due yet or
/// not; at most `most`.
pub(super) async fn next(
    store: &Store,
    reach: &Reach,
    now: WallTime,
    most: u64,
) -> Result<Vec<(WallTime, Due)>, StoreError> {
    // One a subscription: all that waits for a dead receiver must not stand before what others get. What is
    // due later than any wait was written by a clock that ran ahead.
    let sql = "SELECT n.id AS row, n.name AS notice_name, n.workspace, n.subscription, n.kind AS about, \
                 n.subject, n.text, n.path, n.at, n.attempts, n.due, s.kind, s.url, s.secret, s.plain, \
                 s.addresses \
               FROM (SELECT w.*, CASE WHEN w.due_at > $1 THEN 0 ELSE w.due_at END AS due, \
                   ROW_NUMBER() OVER (PARTITION BY w.subscription ORDER BY w.due_at, w.id) AS place \
                 FROM notification w WHERE w.state = 'waiting') n \
               JOIN notify_subscription s ON s.id = n.subscription \
               WHERE n.place = 1 ORDER BY n.due, n.id LIMIT $2";
    let values = [retry::latest(now).0.into(), number(most)];
    let found = SQL.rows(store.read(), sql, values).await?;
    let due = found.iter().map(|row| {
        let workspace = workspace(row)?;
        let path: String = SQL.column(row, "path")?;
        let due = Due {
            id: SQL.column(row, "row")?,
            subscription: SubscriptionId(SQL.count(row, "subscription")?),
            way: stored_way(row)?,
            attempts: attempts(row)?,
            message: Message {
                name: SQL.column(row, "notice_name")?,
                kind: kind(row, "about")?,
                subject: SQL.column(row, "subject")?,
                text: SQL.column(row, "text")?,
                link: message::link(reach, &workspace, &path),
                at: WallTime(SQL.column(row, "at")?),
                workspace,
            },
        };
        Ok((WallTime(SQL.column(row, "due")?), due))
    });
    due.collect()
}

fn workspace(row: &QueryResult) -> Result<WorkspaceId, StoreError> {
    parsed("workspace id", &SQL.column::<String>(row, "workspace")?)
}

fn kind(row: &QueryResult, name: &str) -> Result<NoticeKind, StoreError> {
    parsed("kind of notice", &SQL.column::<String>(row, name)?)
}

fn attempts(row: &QueryResult) -> Result<u32, StoreError> {
    Ok(u32::try_from(SQL.count(row, "attempts")?).unwrap_or(u32::MAX))
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    /// It arrived.
    Sent(WallTime),
    /// It is tried again then.
    Again(WallTime, String),
    /// It is given up.
    Failed(WallTime, String),
}

/// Writes down what became of an attempt. A row that is gone, since its subscription is, stays gone.
pub(super) async fn mark(store: &Store, id: i64, mark: &Mark) -> Result<(), StoreError> {
    let shown = |error: &String| error.chars().take(ERROR).collect::<String>();
    let (state, due, finished, error) = match mark {
        Mark::Sent(at) => ("sent", *at, Some(at.0), None),
        Mark::Again(at, error) => ("waiting", *at, None, Some(shown(error))),
        Mark::Failed(at, error) => ("failed", *at, Some(at.0), Some(shown(error))),
    };
    SQL.exec(
        store.write(),
        "UPDATE notification SET state = $2, attempts = attempts + 1, due_at = $3, finished_at = $4, \
         error = $5 WHERE id = $1 AND state = 'waiting'",
        [
            id.into(),
            state.into(),
            due.0.into(),
            finished.into(),
            error.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Removes what is over for long.
pub(super) async fn sweep(store: &Store, now: WallTime) -> Result<(), StoreError> {
    let sql = "DELETE FROM notification WHERE state <> 'waiting' AND finished_at < $1";
    let before = now.0.saturating_sub(KEPT_MS);
    SQL.exec(store.write(), sql, [before.into()]).await?;
    let sql = "DELETE FROM notification WHERE id IN (SELECT id FROM (SELECT id, \
               ROW_NUMBER() OVER (PARTITION BY workspace ORDER BY id DESC) AS place \
               FROM notification WHERE state <> 'waiting') over WHERE over.place > $1)";
    SQL.exec(store.write(), sql, [number(OVER_MOST)]).await?;
    Ok(())
}

/// How many notices were dropped of each subscription.
pub(super) async fn dropped(store: &Store) -> Result<Vec<(SubscriptionId, u64)>, StoreError> {
    let sql = "SELECT id, dropped FROM notify_subscription WHERE dropped > 0";
    let found = SQL.rows(store.read(), sql, []).await?;
    let each = found.iter().map(|row| {
        Ok((
            SubscriptionId(SQL.count(row, "id")?),
            SQL.count(row, "dropped")?,
        ))
    });
    each.collect()
}

/// A page of a workspace's notices, newest first.
pub async fn notifications(
    app: &App,
    workspace: &WorkspaceId,
    after: Option<u64>,
    limit: Option<u64>,
) -> Result<Page<NotificationView>, StoreError> {
    let limit = limit.unwrap_or(100).clamp(1, PAGE_MAX);
    let sql = "SELECT n.id AS row, n.name AS notice_name, n.workspace, n.subscription, n.kind AS about, \
                 n.subject, n.text, n.path, n.at, n.state, n.attempts, n.due_at, n.finished_at, n.error, \
                 s.kind, s.url, s.secret, s.plain, s.addresses \
               FROM notification n JOIN notify_subscription s ON s.id = n.subscription \
               WHERE n.workspace = $1 AND n.id < $2 ORDER BY n.id DESC LIMIT $3";
    let values = [
        workspace.as_str().into(),
        number(after.unwrap_or(u64::MAX)),
        number(limit + 1),
    ];
    let found = SQL.rows(app.store.read(), sql, values).await?;
    let mut items = Vec::new();
    let mut last = None;
    for row in found.iter().take(limit as usize) {
        last = Some(SQL.column::<i64>(row, "row")?);
        items.push(view(app, row)?);
    }
    let next = last.filter(|_| found.len() as u64 > limit);
    Ok(Page {
        items,
        next: next.map(|id| id.to_string()),
    })
}

fn view(app: &App, row: &QueryResult) -> Result<NotificationView, StoreError> {
    let state: String = SQL.column(row, "state")?;
    let state = match state.as_str() {
        "waiting" => NotificationState::Waiting,
        "sent" => NotificationState::Sent,
        "failed" => NotificationState::Failed,
        _ => {
            return Err(StoreError::Value {
                what: "state of a notice",
                value: state,
            });
        }
    };
    let due: i64 = SQL.column(row, "due_at")?;
    let finished: Option<i64> = SQL.column(row, "finished_at")?;
    let path: String = SQL.column(row, "path")?;
    Ok(NotificationView {
        id: SQL.column(row, "notice_name")?,
        subscription: SubscriptionId(SQL.count(row, "subscription")?),
        target: stored_way(row)?.shown(),
        kind: kind(row, "about")?,
        subject: SQL.column(row, "subject")?,
        text: SQL.column(row, "text")?,
        link: message::link(&app.reach, &workspace(row)?, &path),
        at: WallTime(SQL.column(row, "at")?),
        state,
        attempts: attempts(row)?,
        due_at: (state == NotificationState::Waiting).then_some(WallTime(due)),
        finished_at: finished.map(WallTime),
        error: SQL.column(row, "error")?,
    })
}

/// A receiver that nothing has reached since a notice to it was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// Which.
    pub subscription: SubscriptionId,
    /// Where that is, as far as it may be seen.
    pub target: String,
    /// Notices that were given up.
    pub notices: u64,
}

/// Receivers that notices did not reach. One that was reached since is well again.
pub async fn undelivered(
    store: &Store,
    workspace: &WorkspaceId,
) -> Result<Vec<Undelivered>, StoreError> {
    let sql = "SELECT s.id, s.kind, s.url, s.secret, s.plain, s.addresses, COUNT(*) AS notices \
               FROM notification n JOIN notify_subscription s ON s.id = n.subscription \
               WHERE n.workspace = $1 AND n.state = 'failed' AND n.kind <> 'test' \
                 AND n.finished_at > COALESCE((SELECT MAX(o.finished_at) FROM notification o \
                   WHERE o.subscription = n.subscription AND o.state = 'sent'), 0) \
               GROUP BY s.id, s.kind, s.url, s.secret, s.plain, s.addresses ORDER BY s.id";
    let mut found = SQL
        .rows(store.read(), sql, [workspace.as_str().into()])
        .await?;
    found.extend(alertmanager::unreached(store, workspace).await?);
    let each = found.iter().map(|row| {
        Ok(Undelivered {
            subscription: SubscriptionId(SQL.count(row, "id")?),
            target: stored_way(row)?.shown(),
            notices: SQL.count(row, "notices")?,
        })
    });
    each.collect()
}

/// Writes down a notice that was sent outside of the outbox, under the name that its receiver got.
pub(super) async fn record<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    subscription: SubscriptionId,
    notice: &Notice,
    name: &str,
    mark: &Mark,
) -> Result<(), StoreError> {
    let (state, at, error) = match mark {
        Mark::Sent(at) => ("sent", *at, None),
        Mark::Again(at, error) | Mark::Failed(at, error) => ("failed", *at, Some(error)),
    };
    let error = error.map(|error| error.chars().take(ERROR).collect::<String>());
    SQL.exec(
        db,
        "INSERT INTO notification (name, workspace, subscription, same, kind, subject, text, path, at, \
         state, attempts, due_at, finished_at, error) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, $11, $11, $12)",
        [
            name.into(),
            workspace.as_str().into(),
            number(subscription.0),
            notice.key.as_str().into(),
            notice.kind.word().into(),
            message::subject(&notice.subject).into(),
            message::text(&notice.text).into(),
            notice.link_path.as_str().into(),
            notice.at.0.into(),
            state.into(),
            at.0.into(),
            error.into(),
        ],
    )
    .await?;
    Ok(())
}
