//! Alerts as they are asked for: listed, shown, counted.

use std::fmt::Write as _;

use sea_orm::ConnectionTrait;
use tern_protocol::{
    id::{AlertId, ModelName, RuleName, SiteName, WorkspaceId},
    rest::{AlertDetail, AlertSeverity, AlertState, AlertView, Page, SilenceView},
    time::WallTime,
};

use super::{
    AlertError, rows, silences,
    sql::{SQL, number},
};
use crate::{
    app::App,
    store::{Store, StoreError},
};

/// Alerts on one page if nobody says how many.
const PAGE: u64 = 100;

/// Alerts on one page at most.
const PAGE_MAX: u64 = 1_000;

/// Alerts that the overview names, at most.
const NAMED: u64 = 5;

/// Which alerts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlertQuery {
    /// In this state; all that are not over if absent and `over` is not set.
    pub state: Option<AlertState>,
    /// Those that are over too, where no state is asked for.
    pub over: bool,
    /// By this rule.
    pub rule: Option<RuleName>,
    /// Of this severity.
    pub severity: Option<AlertSeverity>,
    /// Of this model.
    pub model: Option<ModelName>,
    /// At this site.
    pub site: Option<SiteName>,
    /// After the page that ended here ([`Page::next`]).
    pub after: Option<u64>,
    /// At most so many; 100 if not said, never more than 1,000.
    pub limit: Option<u64>,
}

/// A page of alerts, the newest first.
pub async fn alerts(
    app: &App,
    workspace: &WorkspaceId,
    wanted: &AlertQuery,
) -> Result<Page<AlertView>, StoreError> {
    let limit = wanted.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let states: &[AlertState] = match wanted.state {
        Some(AlertState::Firing) => &[AlertState::Firing],
        Some(AlertState::Pending) => &[AlertState::Pending],
        Some(AlertState::Resolved) => &[AlertState::Resolved],
        None if wanted.over => &AlertState::ALL,
        None => &[AlertState::Firing, AlertState::Pending],
    };
    let words: Vec<String> = states
        .iter()
        .map(|state| format!("'{}'", state.word()))
        .collect();
    let mut sql = format!(
        "SELECT * FROM alert WHERE workspace = $1 AND state IN ({})",
        words.join(", ")
    );
    let mut values = vec![workspace.as_str().into()];
    let text = [
        ("rule", wanted.rule.as_ref().map(RuleName::as_str)),
        ("severity", wanted.severity.map(AlertSeverity::word)),
        ("model", wanted.model.as_ref().map(ModelName::as_str)),
        ("site", wanted.site.as_ref().map(SiteName::as_str)),
    ];
    // Writing to a String cannot fail.
    for (name, value) in text {
        if let Some(value) = value {
            values.push(value.into());
            let _ = write!(sql, " AND {name} = ${}", values.len());
        }
    }
    values.push(number(wanted.after.unwrap_or(u64::MAX)));
    let _ = write!(sql, " AND id < ${}", values.len());
    values.push(number(limit + 1));
    let _ = write!(sql, " ORDER BY id DESC LIMIT ${}", values.len());
    let db = app.store.read();
    let found = SQL.rows(db, &sql, values).await?;
    let now = app.clock.now();
    let held_back = silences::read(db, workspace, now).await?;
    let each = found.iter().take(limit as usize).map(|row| {
        let mut view = rows::view(row)?;
        view.silenced_by = silence_of(&view, &held_back, now);
        Ok(view)
    });
    let items: Vec<AlertView> = each.collect::<Result<_, StoreError>>()?;
    let more = found.len() as u64 > limit;
    let next = items
        .last()
        .filter(|_| more)
        .map(|last| last.id.to_string());
    Ok(Page { items, next })
}

fn silence_of(
    view: &AlertView,
    held_back: &[SilenceView],
    now: WallTime,
) -> Option<tern_protocol::id::SilenceId> {
    if view.state == AlertState::Resolved {
        return None;
    }
    let holds = held_back
        .iter()
        .find(|one| one.holds(&view.facts.labels, now));
    holds.map(|one| one.id)
}

/// One of a workspace.
pub(super) async fn find(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    id: AlertId,
    now: WallTime,
) -> Result<AlertView, AlertError> {
    let sql = "SELECT * FROM alert WHERE workspace = $1 AND id = $2";
    let found = SQL
        .rows(db, sql, [workspace.as_str().into(), number(id.0)])
        .await?;
    let Some(row) = found.first() else {
        return Err(AlertError::NotFound(format!(
            "there is no alert {id}; `tern alert list` shows those there are"
        )));
    };
    let mut view = rows::view(row)?;
    let held_back = silences::read(db, workspace, now).await?;
    view.silenced_by = silence_of(&view, &held_back, now);
    Ok(view)
}

/// One with its history.
pub async fn alert(
    app: &App,
    workspace: &WorkspaceId,
    id: AlertId,
) -> Result<AlertDetail, AlertError> {
    let db = app.store.read();
    let alert = find(db, workspace, id, app.clock.now()).await?;
    let history = rows::history(db, id).await?;
    Ok(AlertDetail { alert, history })
}

/// Alerts of one state and severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// The state.
    pub state: AlertState,
    /// The severity.
    pub severity: AlertSeverity,
    /// How many.
    pub alerts: u64,
}

/// Alerts of a workspace that are not over, by state and severity; each is there, also with none.
pub async fn counts(store: &Store, workspace: &WorkspaceId) -> Result<Vec<Counted>, StoreError> {
    let sql = "SELECT state, severity, COUNT(*) AS alerts FROM alert \
               WHERE workspace = $1 AND state IN ('pending', 'firing') GROUP BY state, severity";
    let found = SQL
        .rows(store.read(), sql, [workspace.as_str().into()])
        .await?;
    let mut all = Vec::new();
    for state in [AlertState::Firing, AlertState::Pending] {
        for severity in AlertSeverity::ALL {
            let mut alerts = 0;
            for row in &found {
                let same = SQL.column::<String>(row, "state")? == state.word()
                    && SQL.column::<String>(row, "severity")? == severity.word();
                if same {
                    alerts = SQL.count(row, "alerts")?;
                }
            }
            all.push(Counted {
                state,
                severity,
                alerts,
            });
        }
    }
    Ok(all)
}

/// Alerts that fire and are worth a person's time now, the newest first, without those that somebody knows of or that a
/// silence holds back; a few of them, and how many more there are.
pub async fn paging(
    app: &App,
    workspace: &WorkspaceId,
) -> Result<(Vec<AlertView>, u64), StoreError> {
    let wanted = AlertQuery {
        state: Some(AlertState::Firing),
        severity: Some(AlertSeverity::Page),
        limit: Some(PAGE_MAX),
        ..AlertQuery::default()
    };
    let mut page = alerts(app, workspace, &wanted).await?.items;
    page.retain(|one| one.acknowledged.is_none() && one.silenced_by.is_none());
    let more = (page.len() as u64).saturating_sub(NAMED);
    page.truncate(NAMED as usize);
    Ok((page, more))
}
