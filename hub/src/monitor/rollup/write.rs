//! Roll-ups in the database.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{ConnectionTrait, Value};
use tern_protocol::{codec, id::WorkspaceId, limits, window::Window};

use super::{
    gather::{Arm, DeviceDay, Gathered, Group, Merged},
    level::Level,
};
use crate::{
    monitor::sql::{Bulk, Select, places},
    store::{Doing as _, StoreError, raw},
};

const DOING: &str = "rolling up windows";

/// Site of the roll-ups over all sites. No site has this name.
pub const ALL_SITES: &str = "*";

/// Rows that are read in one query.
const ASKED: usize = 250;

/// A merged body may be larger than a window as it travels: it has the bins of many.
const BODY: usize = 8 * limits::PAYLOAD;

const ROLLUP: Bulk = Bulk {
    table: "rollup",
    columns: &[
        "workspace",
        "level",
        "start",
        "slot",
        "model",
        "version",
        "site",
        "arm",
        "windows",
        "inferences",
        "errors",
        "body",
    ],
    conflict: "ON CONFLICT (workspace, level, start, slot, model, version, site, arm) DO UPDATE SET \
        windows = excluded.windows, inferences = excluded.inferences, errors = excluded.errors, \
        body = excluded.body",
};

const DEVICE_DAY: Bulk = Bulk {
    table: "device_day",
    columns: &[
        "workspace",
        "device",
        "start",
        "slot",
        "model",
        "version",
        "windows",
        "inferences",
        "errors",
        "body",
    ],
    conflict: "ON CONFLICT (workspace, device, start, slot, model, version) DO UPDATE SET \
        windows = excluded.windows, inferences = excluded.inferences, errors = excluded.errors, \
        body = excluded.body",
};

/// The last window that was rolled up.
pub(super) async fn position(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
) -> Result<i64, StoreError> {
    const SELECT: &str = "SELECT last FROM rollup_position WHERE workspace = $1";
    let row = raw::row(db, DOING, SELECT, [workspace.as_str().into()]).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0).doing(DOING))
}

/// Notes the last window that was rolled up.
pub(super) async fn moved(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    last: i64,
) -> Result<(), StoreError> {
    const UPSERT: &str = "INSERT INTO rollup_position (workspace, last) VALUES ($1, $2) \
        ON CONFLICT (workspace) DO UPDATE SET last = excluded.last";
    let values = [workspace.as_str().into(), last.into()];
    raw::exec(db, DOING, UPSERT, values).await.map(|_| ())
}

/// Adds what was gathered to what is stored; how many windows could not be merged.
pub(super) async fn store(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    gathered: Gathered,
) -> Result<u64, StoreError> {
    let (rows, devices) = gathered.rows();
    let keys = |(level, start, group): &(Level, i64, Group)| group_key(*level, *start, group);
    let rows = with_stored(db, workspace, &ROLLUP, 7, rows, keys).await?;
    // Each window is in one day of one site.
    let day =
        |(level, _, group): &(Level, i64, Group)| *level == Level::Day && group.site.is_some();
    let refused = rows.iter().filter(|row| day(&row.0)).map(|row| row.2).sum();
    let rows = rows.into_iter().flat_map(|row| row.1).collect();
    ROLLUP.insert(db, rows, DOING).await?;
    let devices = with_stored(db, workspace, &DEVICE_DAY, 5, devices, device_key).await?;
    let devices = devices.into_iter().flat_map(|row| row.1).collect();
    DEVICE_DAY.insert(db, devices, DOING).await?;
    Ok(refused)
}

fn group_key(level: Level, start: i64, group: &Group) -> Vec<Value> {
    let site = group.site.as_ref().map_or(ALL_SITES, |site| site.as_str());
    vec![
        level.number().into(),
        start.into(),
        group.slot.as_str().into(),
        group.model.as_str().into(),
        i64::from(group.version.get()).into(),
        site.into(),
        Arm::word(group.arm).into(),
    ]
}

fn device_key(day: &DeviceDay) -> Vec<Value> {
    vec![
        day.device.as_str().into(),
        day.start.into(),
        day.slot.as_str().into(),
        day.model.as_str().into(),
        i64::from(day.version.get()).into(),
    ]
}

/// Rows with what is stored under the same keys added to them: each with its values for a bulk, and how many windows
/// were refused.
async fn with_stored<K: Ord>(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    bulk: &Bulk,
    key_columns: usize,
    rows: BTreeMap<K, Merged>,
    key: impl Fn(&K) -> Vec<Value>,
) -> Result<Vec<(K, Vec<Value>, u64)>, StoreError> {
    let mut all = Vec::with_capacity(rows.len());
    let mut rows = rows.into_iter();
    loop {
        let some: Vec<(K, Merged)> = rows.by_ref().take(ASKED).collect();
        if some.is_empty() {
            return Ok(all);
        }
        let keys: Vec<Vec<Value>> = some.iter().map(|(of, _)| key(of)).collect();
        let mut stored = stored(db, workspace, bulk, key_columns, &keys).await?;
        for ((of, mut merged), key) in some.into_iter().zip(keys) {
            if let Some(mut before) = stored.remove(&named(&key)) {
                // What is stored stays what it is if the new does not merge with it.
                before.merge(&merged);
                merged = before;
            }
            let mut values = vec![Value::from(workspace.as_str())];
            values.extend(key);
            let count = |number: u64| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
            values.extend([
                count(merged.windows),
                count(merged.body.inferences),
                count(merged.body.errors),
                codec::encode(&merged.body).into(),
            ]);
            all.push((of, values, merged.refused));
        }
    }
}

async fn stored(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    bulk: &Bulk,
    key_columns: usize,
    rows: &[Vec<Value>],
) -> Result<HashMap<String, Merged>, StoreError> {
    let backend = db.get_database_backend();
    let columns = bulk.columns[1..=key_columns].join(", ");
    let place = if backend == sea_orm::DatabaseBackend::Postgres {
        "$1"
    } else {
        "?"
    };
    let mut sql = format!(
        "SELECT {columns}, windows, body FROM {} WHERE workspace = {place} AND ({columns}) IN (VALUES ",
        bulk.table
    );
    places(&mut sql, backend, 2, rows.len(), key_columns);
    sql.push(')');
    let mut values = vec![Value::from(workspace.as_str())];
    values.extend(rows.iter().flatten().cloned());
    let found = db
        .query_all_raw(Select::new(sql, values).done(backend))
        .await
        .doing(DOING)?;
    let mut stored = HashMap::new();
    for row in found {
        let key = rows[0].iter().enumerate().map(|(column, like)| {
            Ok(match like {
                Value::String(_) => row.try_get_by_index::<String>(column)?.into(),
                _ => row.try_get_by_index::<i64>(column)?.into(),
            })
        });
        let key: Vec<Value> = key.collect::<Result<_, sea_orm::DbErr>>().doing(DOING)?;
        let windows: i64 = row.try_get_by_index(key_columns).doing(DOING)?;
        let body: Vec<u8> = row.try_get_by_index(key_columns + 1).doing(DOING)?;
        let body: Window =
            codec::decode_within(&body, BODY).map_err(|source| StoreError::Message {
                what: "roll-up",
                source,
            })?;
        let merged = Merged {
            windows: windows.max(0).unsigned_abs(),
            body,
            refused: 0,
        };
        stored.insert(named(&key), merged);
    }
    Ok(stored)
}

/// A key as one word: names hold no line ends.
fn named(key: &[Value]) -> String {
    let words = key.iter().map(|value| match value {
        Value::String(Some(text)) => text.clone(),
        Value::BigInt(Some(number)) => number.to_string(),
        _ => String::new(),
    });
    words.collect::<Vec<_>>().join("\n")
}
