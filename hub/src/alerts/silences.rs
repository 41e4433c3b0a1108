//! Silences: nobody is told of what matches, for a while.

use std::time::Duration;

use sea_orm::{ConnectionTrait, QueryResult};
use tern_protocol::{
    id::{SilenceId, WorkspaceId},
    rest::{Change, NewSilence, SilenceView},
    time::WallTime,
};

use super::{
    AlertError, rows as alerts,
    sql::{SQL, json, number, to_json},
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    store::StoreError,
};

/// Silences of a workspace that are not over, at most: each is asked of each alert.
const MOST: usize = 200;

/// Matchers of one silence, at most.
const MATCHERS: usize = 16;

/// Longest silence: what nobody wants to hear of for longer is a rule to turn off.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// How long one that is over is still listed.
const SHOWN_MS: i64 = 7 * 86_400_000;

/// How long one that is over is kept.
const KEPT_MS: i64 = 90 * 86_400_000;

/// Longest comment, in bytes.
const COMMENT: usize = 1_000;

/// What a person says about why, as it is kept: one line.
pub(super) fn comment(text: &str) -> Result<String, AlertError> {
    let text = text.trim();
    if text.len() > COMMENT || text.chars().any(char::is_control) {
        return Err(AlertError::Impossible(format!(
            "`comment` is one line of at most {COMMENT} bytes"
        )));
    }
    Ok(text.to_owned())
}

/// Those that hold now or will; those that are over lately too if `over`.
pub(super) async fn read(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    since: WallTime,
) -> Result<Vec<SilenceView>, StoreError> {
    let sql = "SELECT id, matchers, begins, until, actor, comment FROM alert_silence \
               WHERE workspace = $1 AND until > $2 ORDER BY id DESC LIMIT 1000";
    let found = SQL
        .rows(db, sql, [workspace.as_str().into(), since.0.into()])
        .await?;
    found.iter().map(view).collect()
}

fn view(row: &QueryResult) -> Result<SilenceView, StoreError> {
    Ok(SilenceView {
        id: SilenceId(SQL.count(row, "id")?),
        matchers: json(
            "matchers of a silence",
            &SQL.column::<String>(row, "matchers")?,
        )?,
        from: WallTime(SQL.column(row, "begins")?),
        until: WallTime(SQL.column(row, "until")?),
        by: SQL.column(row, "actor")?,
        comment: SQL.column(row, "comment")?,
        alerts: 0,
    })
}

/// Those of a workspace that are not over for long, the newest first.
pub async fn silences(app: &App, workspace: &WorkspaceId) -> Result<Vec<SilenceView>, StoreError> {
    let now = app.clock.now();
    let db = app.store.read();
    let mut all = read(db, workspace, WallTime(now.0.saturating_sub(SHOWN_MS))).await?;
    let live = alerts::live(db, workspace).await?;
    for one in &mut all {
        let held = live
            .iter()
            .filter(|alert| one.holds(&alert.facts.labels, now));
        one.alerts = held.count() as u64;
    }
    Ok(all)
}

/// Makes one.
pub async fn silence(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    new: NewSilence,
) -> Result<SilenceView, AlertError> {
    let impossible = |text: String| Err(AlertError::Impossible(text));
    if new.matchers.is_empty() || new.matchers.len() > MATCHERS {
        return impossible(format!(
            "`matchers` has 1 to {MATCHERS}: a silence of everything is a rule to turn off"
        ));
    }
    let lasting = new.lasting.duration();
    if lasting < Duration::from_secs(1) || lasting > LONGEST {
        return impossible("`lasting` is 1s to 366d".into());
    }
    let comment = comment(&new.comment)?;
    let now = app.clock.now();
    let from = new.from.unwrap_or(now);
    let far = i64::try_from(LONGEST.as_millis()).unwrap_or(i64::MAX);
    if from.0 < now.0.saturating_sub(far) || from.0 > now.0.saturating_add(far) {
        return impossible("`from` is within a year".into());
    }
    let until = WallTime(
        from.0
            .saturating_add(i64::try_from(lasting.as_millis()).unwrap_or(far)),
    );
    let txn = SQL.begin(&app.store).await?;
    if read(&txn, workspace, now).await?.len() >= MOST {
        return Err(AlertError::TooMany(format!(
            "a workspace has at most {MOST} silences; end some"
        )));
    }
    let sql = "INSERT INTO alert_silence (workspace, matchers, begins, until, actor, comment) \
               VALUES ($1, $2, $3, $4, $5, $6) RETURNING id";
    let values = [
        workspace.as_str().into(),
        to_json(&new.matchers).into(),
        from.0.into(),
        until.0.into(),
        by.name.as_str().into(),
        comment.as_str().into(),
    ];
    let made = SQL.rows(&txn, sql, values).await?;
    let id = made
        .first()
        .map(|row| SQL.count(row, "id"))
        .transpose()?
        .unwrap_or_default();
    let sql = "DELETE FROM alert_silence WHERE workspace = $1 AND until < $2";
    let old = now.0.saturating_sub(KEPT_MS);
    SQL.exec(&txn, sql, [workspace.as_str().into(), old.into()])
        .await?;
    let view = SilenceView {
        id: SilenceId(id),
        matchers: new.matchers,
        from,
        until,
        by: by.name.clone(),
        comment,
        alerts: 0,
    };
    let matchers: Vec<_> = view.matchers.iter().map(ToString::to_string).collect();
    let deed = Deed::new("alert.silence", format!("silence {id}"))
        .within(workspace)
        .after(&view)
        .detail(format!(
            "{} for {}: {}",
            matchers.join(", "),
            new.lasting,
            view.comment
        ));
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    app.alerting.notify();
    app.changes.send(workspace, Change::Alerts);
    Ok(view)
}

/// Ends one before its time.
pub async fn end(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    id: SilenceId,
) -> Result<(), AlertError> {
    let now = app.clock.now();
    let txn = SQL.begin(&app.store).await?;
    let known = read(&txn, workspace, now).await?;
    let Some(before) = known.into_iter().find(|one| one.id == id) else {
        return Err(AlertError::NotFound(format!(
            "no silence {id} holds; `tern alert silence list` shows those that do"
        )));
    };
    let sql = "UPDATE alert_silence SET until = $1 WHERE id = $2";
    SQL.exec(&txn, sql, [now.0.into(), number(id.0)]).await?;
    let deed = Deed::new("alert.silence-end", format!("silence {id}"))
        .within(workspace)
        .before(&before);
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    app.alerting.notify();
    app.changes.send(workspace, Change::Alerts);
    Ok(())
}
