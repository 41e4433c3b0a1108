//! The table of alerts: what is live, and how it changes.

use sea_orm::{ConnectionTrait, QueryResult, Value};
use tern_protocol::{
    digest::Digest,
    id::{AlertId, RuleName, WorkspaceId},
    rest::{
        Acknowledged, AlertCondition, AlertEvent, AlertEventKind, AlertFacts, AlertRule,
        AlertSeverity, AlertState, AlertView,
    },
    time::WallTime,
};

use super::{
    machine::{Held, Phase},
    round::Key,
    sql::{SQL, json, number, to_json},
};
use crate::store::{StoreError, parsed};

/// How long what is over is kept: a quarter of a year.
const KEPT_MS: i64 = 90 * 86_400_000;

/// Alerts of a workspace that are over and kept, at most.
const OVER_MOST: u64 = 10_000;

/// An alert that is not over.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Live {
    pub(super) id: AlertId,
    pub(super) rule: RuleName,
    pub(super) group: String,
    pub(super) state: AlertState,
    /// Of what its rule asked when it began.
    pub(super) condition: String,
    pub(super) held: Held,
    pub(super) facts: AlertFacts,
    pub(super) acknowledged: Option<Acknowledged>,
    pub(super) written: WallTime,
}

impl Live {
    pub(super) fn key(&self) -> Key {
        Key {
            rule: self.rule.clone(),
            group: self.group.clone(),
        }
    }
}

/// What a rule asks, in short: an alert is over if that changes.
pub(super) fn condition(when: &AlertCondition) -> String {
    let mut text = Digest::of(to_json(when).as_bytes()).to_string();
    text.truncate(16);
    text
}

/// All alerts of a workspace that are not over, the oldest first.
pub(super) async fn live(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
) -> Result<Vec<Live>, StoreError> {
    let sql =
        "SELECT * FROM alert WHERE workspace = $1 AND state IN ('pending', 'firing') ORDER BY id";
    let found = SQL.rows(db, sql, [workspace.as_str().into()]).await?;
    found.iter().map(read_live).collect()
}

fn read_live(row: &QueryResult) -> Result<Live, StoreError> {
    let view = view(row)?;
    let phase = match (view.state, view.fired) {
        (AlertState::Firing, Some(fired)) => Phase::Firing(fired),
        _ => Phase::Pending,
    };
    Ok(Live {
        id: view.id,
        rule: view.rule,
        group: SQL.column(row, "grp")?,
        state: view.state,
        condition: SQL.column(row, "condition")?,
        held: Held {
            phase,
            since: view.since,
            well: SQL.time(row, "well")?,
            unknown: SQL.time(row, "unknown")?,
            told: view.told,
            said: SQL.column(row, "said")?,
        },
        facts: view.facts,
        acknowledged: view.acknowledged,
        written: WallTime(SQL.column(row, "written")?),
    })
}

/// An alert as it is shown, but for silences.
pub(super) fn view(row: &QueryResult) -> Result<AlertView, StoreError> {
    let word: String = SQL.column(row, "state")?;
    let state = word.parse().map_err(|_| StoreError::Value {
        what: "state of an alert",
        value: word,
    })?;
    let word: String = SQL.column(row, "severity")?;
    let severity: AlertSeverity = word.parse().map_err(|_| StoreError::Value {
        what: "severity of an alert",
        value: word,
    })?;
    let by: Option<String> = SQL.column(row, "acked_by")?;
    let at = SQL.time(row, "acked_at")?;
    let comment: Option<String> = SQL.column(row, "ack_comment")?;
    Ok(AlertView {
        id: AlertId(SQL.count(row, "id")?),
        rule: parsed("name of a rule", &SQL.column::<String>(row, "rule")?)?,
        severity,
        state,
        facts: json("facts of an alert", &SQL.column::<String>(row, "body")?)?,
        since: WallTime(SQL.column(row, "since")?),
        fired: SQL.time(row, "fired")?,
        resolved: SQL.time(row, "resolved")?,
        end: SQL.column(row, "ended")?,
        told: SQL.time(row, "told")?,
        acknowledged: by.zip(at).map(|(by, at)| Acknowledged {
            by,
            at,
            comment: comment.unwrap_or_default(),
        }),
        silenced_by: None,
    })
}

/// When somebody was last told of the groups of a workspace, as far as that may still count.
pub(super) async fn last_told(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    since: WallTime,
) -> Result<Vec<(Key, WallTime)>, StoreError> {
    let sql = "SELECT rule, grp, MAX(told) AS told FROM alert \
               WHERE workspace = $1 AND told > $2 GROUP BY rule, grp";
    let found = SQL
        .rows(db, sql, [workspace.as_str().into(), since.0.into()])
        .await?;
    let each = found.iter().map(|row| {
        let key = Key {
            rule: parsed("name of a rule", &SQL.column::<String>(row, "rule")?)?,
            group: SQL.column(row, "grp")?,
        };
        Ok((key, WallTime(SQL.column(row, "told")?)))
    });
    each.collect()
}

fn times(held: &Held) -> [Value; 6] {
    let fired = match held.phase {
        Phase::Pending => None,
        Phase::Firing(fired) => Some(fired.0),
    };
    let at = |time: Option<WallTime>| Value::from(time.map(|time| time.0));
    [
        fired.into(),
        at(held.well),
        at(held.unknown),
        at(held.told),
        held.said.into(),
        held.since.0.into(),
    ]
}

const fn word(held: &Held) -> &'static str {
    match held.phase {
        Phase::Pending => AlertState::Pending.word(),
        Phase::Firing(_) => AlertState::Firing.word(),
    }
}

/// Something begins.
pub(super) async fn insert(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    rule: &AlertRule,
    group: &str,
    held: &Held,
    facts: &AlertFacts,
    now: WallTime,
) -> Result<AlertId, StoreError> {
    let label = |name: &str| facts.labels.get(name).cloned().unwrap_or_default();
    let [fired, well, unknown, told, said, since] = times(held);
    let values = [
        workspace.as_str().into(),
        rule.name.as_str().into(),
        group.into(),
        rule.severity.word().into(),
        label("model").into(),
        label("site").into(),
        word(held).into(),
        condition(&rule.when).into(),
        since,
        fired,
        well,
        unknown,
        told,
        said,
        to_json(facts).into(),
        now.0.into(),
    ];
    let sql = "INSERT INTO alert (workspace, rule, grp, severity, model, site, state, condition, since, fired, \
               well, unknown, told, said, body, written) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) RETURNING id";
    let made = SQL.rows(db, sql, values).await?;
    let id = made.first().map(|row| SQL.count(row, "id")).transpose()?;
    Ok(AlertId(id.unwrap_or_default()))
}

/// It goes on. Whoever acknowledges it writes other columns.
pub(super) async fn update(
    db: &impl ConnectionTrait,
    id: AlertId,
    severity: AlertSeverity,
    held: &Held,
    facts: &AlertFacts,
    now: WallTime,
) -> Result<(), StoreError> {
    let [fired, well, unknown, told, said, since] = times(held);
    let sql = "UPDATE alert SET state = $1, fired = $2, well = $3, unknown = $4, told = $5, said = $6, since = $7, \
               body = $8, written = $9, severity = $10 WHERE id = $11";
    let values = [
        word(held).into(),
        fired,
        well,
        unknown,
        told,
        said,
        since,
        to_json(facts).into(),
        now.0.into(),
        severity.word().into(),
        number(id.0),
    ];
    SQL.exec(db, sql, values).await.map(drop)
}

/// It is over.
pub(super) async fn resolve(
    db: &impl ConnectionTrait,
    id: AlertId,
    why: &str,
    now: WallTime,
) -> Result<(), StoreError> {
    let sql = "UPDATE alert SET state = 'resolved', resolved = $1, ended = $2 WHERE id = $3";
    SQL.exec(db, sql, [now.0.into(), why.into(), number(id.0)])
        .await
        .map(drop)
}

/// It did not last.
pub(super) async fn forget(db: &impl ConnectionTrait, id: AlertId) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM alert_event WHERE alert = $1",
        "DELETE FROM alert WHERE id = $1",
    ] {
        SQL.exec(db, sql, [number(id.0)]).await?;
    }
    Ok(())
}

/// Notes what happened to one.
pub(super) async fn note(
    db: &impl ConnectionTrait,
    id: AlertId,
    what: AlertEventKind,
    text: &str,
    now: WallTime,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO alert_event (alert, at, what, text) VALUES ($1, $2, $3, $4)";
    let values = [number(id.0), now.0.into(), what.word().into(), text.into()];
    SQL.exec(db, sql, values).await.map(drop)
}

/// What happened to one, the oldest first; of very many the newest.
pub(super) async fn history(
    db: &impl ConnectionTrait,
    id: AlertId,
) -> Result<Vec<AlertEvent>, StoreError> {
    let sql = "SELECT at, what, text FROM alert_event WHERE alert = $1 ORDER BY id DESC LIMIT 200";
    let found = SQL.rows(db, sql, [number(id.0)]).await?;
    let each = found.iter().rev().map(|row| {
        let word: String = SQL.column(row, "what")?;
        let mut known = AlertEventKind::ALL.into_iter();
        let what = known.find(|kind| kind.word() == word);
        Ok(AlertEvent {
            at: WallTime(SQL.column(row, "at")?),
            what: what.ok_or(StoreError::Value {
                what: "event of an alert",
                value: word,
            })?,
            text: SQL.column(row, "text")?,
        })
    });
    each.collect()
}

/// Removes what is over for long.
pub(super) async fn sweep(db: &impl ConnectionTrait, now: WallTime) -> Result<(), StoreError> {
    let before = now.0.saturating_sub(KEPT_MS);
    let sql = "DELETE FROM alert WHERE state = 'resolved' AND resolved < $1";
    SQL.exec(db, sql, [before.into()]).await?;
    let sql = "DELETE FROM alert WHERE id IN (SELECT id FROM (SELECT id, \
               ROW_NUMBER() OVER (PARTITION BY workspace ORDER BY id DESC) AS place \
               FROM alert WHERE state = 'resolved') AS done WHERE done.place > $1)";
    SQL.exec(db, sql, [number(OVER_MOST)]).await?;
    let sql = "DELETE FROM alert_event WHERE alert NOT IN (SELECT id FROM alert)";
    SQL.exec(db, sql, []).await.map(drop)
}
