//! Windows that came since the last look.

use sea_orm::{ConnectionTrait, QueryResult, Statement};
use tern_protocol::{
    codec,
    id::{SlotName, WorkspaceId},
    window::Window,
};

use crate::store::{Doing as _, StoreError};

const DOING: &str = "reading windows for a rollout";

/// Windows read at once: some megabytes, and a few hundredths of a second.
pub(super) const WINDOWS: usize = 5_000;

/// Windows from before a rollout that say what is usual for its devices, at most.
const USUAL: i64 = 100_000;

/// Windows of the last day that say what was predicted before a rollout, at most.
const BEFORE: i64 = 20_000;

const DAY: i64 = 86_400_000;

/// A window as it is stored.
pub(super) struct Stored {
    /// Its device.
    pub(super) device: String,
    /// The model that served.
    pub(super) model: String,
    /// Its version.
    pub(super) version: i64,
    /// When it was opened, in milliseconds since 1970.
    pub(super) opened: i64,
    pub(super) inferences: u64,
    pub(super) errors: u64,
    /// All of it, if that was asked for and can be read.
    pub(super) body: Option<Window>,
}

/// The newest window of all in a table of windows.
pub(super) async fn last(
    db: &impl ConnectionTrait,
    table: &'static str,
) -> Result<i64, StoreError> {
    let select = Statement::from_string(
        db.get_database_backend(),
        format!("SELECT COALESCE(MAX(id), 0) FROM {table}"),
    );
    let row = db.query_one_raw(select).await.doing(DOING)?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0).doing(DOING))
}

/// Windows of a slot that were stored after `cursor`, in order, and the place up to which that is all of them. Those
/// whose time is not believed are left out: nobody knows what they are to be compared with.
pub(super) async fn after(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    slot: &SlotName,
    cursor: i64,
    bodies: bool,
) -> Result<(Vec<Stored>, i64), StoreError> {
    let select = Statement::from_sql_and_values(
        db.get_database_backend(),
        format!(
            "SELECT {} FROM telemetry_window WHERE workspace = $2 AND id > $1 ORDER BY id LIMIT {WINDOWS}",
            columns(bodies)
        ),
        [cursor.into(), workspace.as_str().into()],
    );
    let rows = db.query_all_raw(select).await.doing(DOING)?;
    let mut up_to = cursor;
    for row in &rows {
        up_to = up_to.max(row.try_get_by_index(0).doing(DOING)?);
    }
    Ok((believed(&rows, slot)?, up_to))
}

/// The newest windows of a slot up to `upto`, the newest first: some hundred of each device of a small fleet, one of
/// each of a large one.
pub(super) async fn before(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    slot: &SlotName,
    upto: i64,
    bodies: bool,
) -> Result<Vec<Stored>, StoreError> {
    let select = Statement::from_sql_and_values(
        db.get_database_backend(),
        format!(
            "SELECT {} FROM telemetry_window WHERE workspace = $2 AND id <= $1 ORDER BY id DESC LIMIT {USUAL}",
            columns(bodies)
        ),
        [upto.into(), workspace.as_str().into()],
    );
    let rows = db.query_all_raw(select).await.doing(DOING)?;
    believed(&rows, slot)
}

fn columns(bodies: bool) -> String {
    let body = if bodies { "body" } else { "NULL" };
    format!("id, device, model, version, opened, inferences, errors, {body}, slot, quarantine")
}

/// Those of a slot whose time is believed.
fn believed(rows: &[QueryResult], slot: &SlotName) -> Result<Vec<Stored>, StoreError> {
    let mut windows = Vec::with_capacity(rows.len());
    for row in rows {
        let into: String = row.try_get_by_index(8).doing(DOING)?;
        let doubt: Option<String> = row.try_get_by_index(9).doing(DOING)?;
        if into == slot.as_str() && doubt.is_none() {
            windows.push(stored(row)?);
        }
    }
    Ok(windows)
}

fn stored(row: &QueryResult) -> Result<Stored, StoreError> {
    let number = |column: usize| row.try_get_by_index::<i64>(column).doing(DOING);
    let body: Option<Vec<u8>> = row.try_get_by_index(7).doing(DOING)?;
    Ok(Stored {
        device: row.try_get_by_index(1).doing(DOING)?,
        model: row.try_get_by_index(2).doing(DOING)?,
        version: number(3)?,
        opened: number(4)?,
        inferences: number(5)?.max(0).unsigned_abs(),
        errors: number(6)?.max(0).unsigned_abs(),
        body: body.and_then(|bytes| codec::decode(&bytes).ok()),
    })
}

/// What the slot predicted in the day before now, by class.
pub(super) async fn mix(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    slot: &SlotName,
    now: i64,
) -> Result<Vec<u64>, StoreError> {
    let select = Statement::from_sql_and_values(
        db.get_database_backend(),
        format!(
            "SELECT body FROM telemetry_window WHERE workspace = $1 AND closed > $2 AND slot = $3 \
             AND quarantine IS NULL ORDER BY closed DESC LIMIT {BEFORE}"
        ),
        [
            workspace.as_str().into(),
            now.saturating_sub(DAY).into(),
            slot.as_str().into(),
        ],
    );
    let mut mix: Vec<u64> = Vec::new();
    for row in db.query_all_raw(select).await.doing(DOING)? {
        let body: Vec<u8> = row.try_get_by_index(0).doing(DOING)?;
        let Ok(window) = codec::decode::<Window>(&body) else {
            continue;
        };
        let classes = window.classes.len().max(mix.len());
        mix.resize(classes, 0);
        for (sum, more) in mix.iter_mut().zip(&window.classes) {
            *sum = sum.saturating_add(*more);
        }
    }
    Ok(mix)
}
