//! What happened on devices, as they tell it, newest first.

use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Set, Statement,
};
use tern_protocol::{
    id::{DeviceId, WorkspaceId},
    log::Event,
    rest::{EventView, VersionRef},
    time::WallTime,
};

use super::{
    facts,
    rows::event,
    timeline::{self, news::kind},
};
use crate::store::{Doing as _, Store, StoreError, parsed, storable};

/// Events kept by the hub; older ones are forgotten. Telemetry has its own tables: these are for people
/// who look at what happened lately. Of one device there are [`timeline::KEPT`] at most.
const KEPT: i64 = 500_000;

/// How many events come in between two forgettings.
const FORGET_EVERY: i64 = 1_000;

/// Most bytes of an event's text that are kept.
const TEXT_MAX: usize = 1_024;

/// Rows in one statement, well under SQLite's 32,766 bound values.
const ROWS: usize = 500;

/// Stores events of one device, each with its repaired wall time.
pub async fn record_events<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    device: &DeviceId,
    events: &[(WallTime, Event)],
) -> Result<(), StoreError> {
    for events in events.chunks(ROWS) {
        let rows = events.iter().map(|(at, event)| event::ActiveModel {
            workspace: Set(workspace.to_string()),
            device: Set(device.to_string()),
            at: Set(at.0),
            kind: Set(event.kind.to_string()),
            slot: Set(event.slot.as_ref().map(ToString::to_string)),
            model: Set(event.model.as_ref().map(ToString::to_string)),
            version: Set(event.version.map(|version| i64::from(version.get()))),
            text: Set(shortened(&event.text)),
            ..Default::default()
        });
        let insert = event::Entity::insert_many(rows).exec(db).await;
        let last = insert.doing("storing events")?.last_insert_id;
        forget_beyond(db, last, events.len()).await?;
    }
    timeline::bound(db, workspace.as_str(), device.as_str()).await
}

/// Forgets the oldest now and then; `last` is the newest of those that were just added.
pub(super) async fn forget_beyond<C: ConnectionTrait>(
    db: &C,
    last: Option<i64>,
    added: usize,
) -> Result<(), StoreError> {
    match last {
        Some(last) if last % FORGET_EVERY < added as i64 => forget(db, last - KEPT).await,
        _ => Ok(()),
    }
}

async fn forget<C: ConnectionTrait>(db: &C, up_to: i64) -> Result<(), StoreError> {
    let delete = Statement::from_sql_and_values(
        db.get_database_backend(),
        "DELETE FROM event WHERE id <= $1",
        [up_to.into()],
    );
    db.execute_raw(delete)
        .await
        .doing("forgetting old events")?;
    Ok(())
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    storable(&text[..end])
}

/// The newest events of a workspace or of one device, newest first: what devices told, without what the
/// hub adds to their timelines.
pub async fn events(
    store: &Store,
    workspace: &WorkspaceId,
    device: Option<&DeviceId>,
    limit: u64,
) -> Result<Vec<EventView>, StoreError> {
    let mut select = event::Entity::find()
        .filter(event::Column::Workspace.eq(workspace.as_str()))
        .filter(event::Column::Kind.is_not_in(kind::ALL))
        .order_by_desc(event::Column::Id)
        .limit(limit);
    if let Some(device) = device {
        select = select.filter(event::Column::Device.eq(device.as_str()));
    }
    let rows = select.all(store.read()).await.doing("reading events")?;
    rows.into_iter().map(view).collect()
}

fn view(row: event::Model) -> Result<EventView, StoreError> {
    let version = version(row.model.as_deref(), row.version)?;
    Ok(EventView {
        at: WallTime(row.at),
        device: parsed("device id", &row.device)?,
        kind: row.kind,
        slot: row
            .slot
            .map(|slot| parsed("slot name", &slot))
            .transpose()?,
        version,
        text: row.text,
    })
}

/// The version that an event is about.
pub(super) fn version(
    model: Option<&str>,
    number: Option<i64>,
) -> Result<Option<VersionRef>, StoreError> {
    let named = facts::named_version(model, number)?;
    Ok(named.map(|(model, version)| VersionRef { model, version }))
}
