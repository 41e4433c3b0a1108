//! Removes telemetry that is too old, and captured inputs where that is set.
//!
//! Must never break: a window goes only after it was rolled up.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, Value};
use tern_protocol::{id::WorkspaceId, time::WallTime};
use tokio_util::sync::CancellationToken;

use super::{level::Level, write};
use crate::{
    app::App,
    config::Retention,
    fleet,
    monitor::sql::Select,
    store::{Doing as _, StoreError},
};

const DOING: &str = "removing old telemetry";

/// Between two looks for what is too old.
const EVERY: Duration = Duration::from_mins(10);

/// Rows removed in one statement: a few hundredths of a second in which nobody else writes.
const CHUNK: i64 = 5_000;

/// Removes what is too old, unless that was done a moment ago.
pub(super) async fn now_and_then(
    app: &App,
    retention: &Retention,
    cleaned: &mut Option<Instant>,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    if cleaned.is_some_and(|at| at.elapsed() < EVERY) {
        return Ok(());
    }
    for workspace in fleet::workspaces(&app.store).await? {
        let gone = remove(app, &workspace, retention, stop).await?;
        if gone > 0 {
            tracing::info!(%workspace, rows = gone, "removed old telemetry");
        }
    }
    *cleaned = Some(Instant::now());
    Ok(())
}

/// Removes what is too old of a workspace; how many rows that were.
pub async fn remove(
    app: &App,
    workspace: &WorkspaceId,
    retention: &Retention,
    stop: &CancellationToken,
) -> Result<u64, StoreError> {
    let now = app.clock.now();
    let from = |kept: Duration| before(now, kept);
    let last = write::position(app.store.read(), workspace).await?;
    let windows = [from(retention.windows), last.into()];
    let mut gone = chunks(
        app,
        workspace,
        "telemetry_window",
        "id",
        "closed < ? AND id <= ?",
        &windows,
        stop,
    )
    .await?;
    let shadows = [from(retention.windows)];
    gone += chunks(
        app,
        workspace,
        "shadow_window",
        "id",
        "closed < ?",
        &shadows,
        stop,
    )
    .await?;
    let kept = [retention.minutes, retention.hours, retention.days];
    for (level, kept) in Level::ALL.into_iter().zip(kept) {
        let of = [level.number().into(), from(kept)];
        let key = "(level, start, slot, model, version, site, arm)";
        gone += chunks(
            app,
            workspace,
            "rollup",
            key,
            "level = ? AND start < ?",
            &of,
            stop,
        )
        .await?;
    }
    let devices = [from(retention.devices)];
    let key = "(device, start, slot, model, version)";
    gone += chunks(
        app,
        workspace,
        "device_day",
        key,
        "start < ?",
        &devices,
        stop,
    )
    .await?;
    if let Some(kept) = retention.captures_of(workspace) {
        let captures = [from(kept)];
        let old = chunks(app, workspace, "capture", "id", "at < ?", &captures, stop).await?;
        if old > 0 {
            forget_subjects(app, workspace).await?;
        }
        gone += old;
    }
    Ok(gone)
}

/// Removes whose predictions were of which neither an input nor a truth is there any more.
async fn forget_subjects(app: &App, workspace: &WorkspaceId) -> Result<(), StoreError> {
    let of = |table: &str| {
        format!(
            "NOT EXISTS (SELECT 1 FROM {table} x WHERE x.workspace = prediction_subject.workspace \
             AND x.device = prediction_subject.device AND x.boot = prediction_subject.boot \
             AND x.number = prediction_subject.number)"
        )
    };
    let delete = format!(
        "DELETE FROM prediction_subject WHERE workspace = $1 AND {} AND {}",
        of("capture"),
        of("label")
    );
    let values = [workspace.as_str().into()];
    let gone = crate::store::raw::exec(app.store.write(), DOING, &delete, values);
    gone.await.map(drop)
}

fn before(now: WallTime, kept: Duration) -> Value {
    let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
    now.0.saturating_sub(kept).into()
}

/// Removes the rows of a workspace for which a condition holds, some at a time.
async fn chunks(
    app: &App,
    workspace: &WorkspaceId,
    table: &str,
    key: &str,
    condition: &str,
    values: &[Value],
    stop: &CancellationToken,
) -> Result<u64, StoreError> {
    let columns = key.trim_matches(['(', ')']);
    let delete = || {
        let begin = format!(
            "DELETE FROM {table} WHERE workspace = $1 AND {key} IN \
             (SELECT {columns} FROM {table} WHERE workspace = $1 AND "
        );
        Select::new(begin, [Value::from(workspace.as_str())])
            .push(condition, values.iter().cloned())
            .push(" LIMIT ?)", [CHUNK.into()])
            .done(app.store.backend())
    };
    let mut gone = 0;
    loop {
        let done = app.store.write().execute_raw(delete()).await.doing(DOING)?;
        let removed = done.rows_affected();
        gone += removed;
        if removed < CHUNK as u64 || stop.is_cancelled() {
            return Ok(gone);
        }
        tokio::task::yield_now().await;
    }
}
