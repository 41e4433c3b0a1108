//! What was found to have moved: listed, shown, and said to be usual by a person.
//!
//! Called by the API, the dashboard, attention and alerts; written by [`super::drift`], which ends what a person
//! accepted. Must never break: a finding is kept as it was told, also when its model is gone.

use sea_orm::{ConnectionTrait, QueryResult, TransactionTrait as _, Value};
use tern_protocol::{
    id::{ModelName, WorkspaceId},
    rest::{Change, FindingView, Page},
    time::WallTime,
};

use super::sql::Select;
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    store::{Doing as _, Store, StoreError, raw},
};

const DOING: &str = "reading findings";

/// Findings on one page if nobody says how many.
const PAGE: u64 = 100;

/// Findings on one page at most.
const PAGE_MAX: u64 = 1_000;

const SELECT: &str = "SELECT id, closed, accepted, body FROM finding WHERE workspace = $1";

/// Which findings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FindingQuery {
    /// Of this model.
    pub model: Option<ModelName>,
    /// Only those that go on, or only those that ended.
    pub open: Option<bool>,
    /// Only those that went on at this moment or later.
    pub from: Option<WallTime>,
    /// After the page that ended here ([`Page::next`]).
    pub after: Option<i64>,
    /// At most so many; 100 if not said, never more than 1,000.
    pub limit: Option<u64>,
}

/// A page of findings, the newest first.
pub async fn findings(
    store: &Store,
    workspace: &WorkspaceId,
    query: &FindingQuery,
) -> Result<Page<FindingView>, StoreError> {
    let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let select = Select::new(SELECT, [workspace.as_str().into()])
        .filter(
            " AND model = ?",
            query.model.as_ref().map(ModelName::as_str),
        )
        .filter(
            " AND (closed IS NULL OR closed >= ?)",
            query.from.map(|from| from.0),
        )
        .filter(" AND id < ?", query.after);
    let select = match query.open {
        Some(true) => select.push(" AND closed IS NULL", []),
        Some(false) => select.push(" AND closed IS NOT NULL", []),
        None => select,
    };
    let more = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let select = select.push(" ORDER BY id DESC LIMIT ?", [Value::from(more)]);
    let rows = store.read().query_all_raw(select.done(store.backend()));
    let rows = rows.await.doing(DOING)?;
    let mut items: Vec<FindingView> = rows.iter().map(view).collect::<Result<_, _>>()?;
    let more = items.len() as u64 > limit;
    items.truncate(limit as usize);
    let next = items
        .last()
        .filter(|_| more)
        .map(|last| last.id.to_string());
    Ok(Page { items, next })
}

/// One finding.
pub async fn finding(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    id: i64,
) -> Result<Option<FindingView>, StoreError> {
    let sql = format!("{SELECT} AND id = $2");
    let row = raw::row(db, DOING, &sql, [workspace.as_str().into(), id.into()]).await?;
    row.as_ref().map(view).transpose()
}

/// Why a finding was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// There is none with this number.
    #[error("there is no finding {0}; `tern finding list` shows those that there are")]
    NotFound(i64),
    /// It ended.
    #[error("finding {0} is over, nothing has to be accepted")]
    Over(i64),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A person says that what was found is usual from now on. The watch takes it in within seconds, and ends the finding.
pub async fn accept(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    id: i64,
) -> Result<FindingView, AcceptError> {
    const WRITING: &str = "accepting a finding";
    const UPDATE: &str = "UPDATE finding SET accepted = $1 WHERE workspace = $2 AND id = $3";
    let txn = app.store.write().begin().await.doing(WRITING)?;
    let mut found = finding(&txn, workspace, id)
        .await?
        .ok_or(AcceptError::NotFound(id))?;
    if found.closed.is_some() {
        return Err(AcceptError::Over(id));
    }
    if found.accepted_by.is_some() {
        return Ok(found);
    }
    let who = by.name.clone();
    let values = [who.as_str().into(), workspace.as_str().into(), id.into()];
    raw::exec(&txn, WRITING, UPDATE, values).await?;
    let deed = Deed::new("finding.accept", format!("finding {id}"))
        .within(workspace)
        .detail(found.text.clone());
    audit::record(&txn, &app.clock, by, deed).await?;
    txn.commit().await.doing(WRITING)?;
    found.accepted_by = Some(who);
    app.changes.send(
        workspace,
        Change::Telemetry {
            at: app.clock.now(),
        },
    );
    Ok(found)
}

/// The view in a row: id, closed, accepted, body.
pub(super) fn view(row: &QueryResult) -> Result<FindingView, StoreError> {
    let body: String = row.try_get_by_index(3).doing(DOING)?;
    let mut view: FindingView = serde_json::from_str(&body).map_err(|_| StoreError::Value {
        what: "finding",
        value: body.chars().take(80).collect(),
    })?;
    view.id = row.try_get_by_index(0).doing(DOING)?;
    let closed: Option<i64> = row.try_get_by_index(1).doing(DOING)?;
    view.closed = closed.map(WallTime);
    view.accepted_by = row.try_get_by_index(2).doing(DOING)?;
    Ok(view)
}
