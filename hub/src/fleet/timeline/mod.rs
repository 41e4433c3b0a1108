//! The story of each device: what it told in its events, and what the hub saw and did itself.
//!
//! Both are rows of the table `event`. Those that the hub writes come from [`news`] (a device's rows
//! before and after a message), from assignments, revocations and deliveries. [`story`] puts them into
//! words.
//!
//! Must never break:
//! - what is kept of one device is bounded, so that none that restarts all the time takes the place of
//!   the others' stories;
//! - entries are in the order of the time at which they happened, by the hub's clock, however late a
//!   device could tell.

pub(super) mod news;
mod story;

use std::str::FromStr;

use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _,
    IntoActiveModel as _, NotSet, QueryFilter as _, QueryOrder as _, QuerySelect as _, Statement,
};
use tern_protocol::{
    id::{DeviceId, ModelName, ModelVersion, RolloutId, SlotName, WorkspaceId},
    rest::{Page, TimelineEntry},
    time::WallTime,
};

use self::news::kind;
pub(crate) use self::story::length;
use super::{
    events,
    rows::{device, event},
};
use crate::store::{Doing as _, Store, StoreError, parsed};

/// Entries kept of one device; older ones are forgotten. An update makes about eight.
pub const KEPT: i64 = 500;

/// Of those, absences: a device on a bad link must not lose the story of its models to them.
const AWAY_KEPT: i64 = 50;

/// Entries on one page if nobody says how many, and at most.
const PAGE: u64 = 50;
/// See [`PAGE`].
const PAGE_MAX: u64 = 500;

/// Rows in one statement, well under SQLite's 32,766 bound values.
const ROWS: usize = 500;

/// Stores what the hub saw or did.
pub(super) async fn record<C: ConnectionTrait>(
    db: &C,
    news: Vec<event::Model>,
) -> Result<(), StoreError> {
    let mut about: Vec<(String, String)> = Vec::new();
    let mut absent = Vec::new();
    for news in &news {
        let device = (news.workspace.clone(), news.device.clone());
        if news.kind == kind::AWAY {
            absent.push(device.clone());
        }
        if about.last() != Some(&device) {
            about.push(device);
        }
    }
    for news in news.chunks(ROWS) {
        let rows = news.iter().cloned().map(|row| event::ActiveModel {
            id: NotSet,
            ..row.into_active_model().reset_all()
        });
        let insert = event::Entity::insert_many(rows).exec(db).await;
        let last = insert.doing("storing what happened")?.last_insert_id;
        events::forget_beyond(db, last, news.len()).await?;
    }
    for (workspace, device) in absent {
        bound_absences(db, &workspace, &device).await?;
    }
    for (workspace, device) in about {
        bound(db, &workspace, &device).await?;
    }
    Ok(())
}

/// When a device had a version whole by its own word, if it has told yet.
pub async fn verified<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    device: &DeviceId,
    slot: &SlotName,
    (model, version): (&ModelName, ModelVersion),
) -> Result<Option<WallTime>, StoreError> {
    let found = event::Entity::find()
        .filter(event::Column::Workspace.eq(workspace.as_str()))
        .filter(event::Column::Device.eq(device.as_str()))
        .filter(event::Column::Kind.eq("verified"))
        .filter(event::Column::Slot.eq(slot.as_str()))
        .filter(event::Column::Model.eq(model.as_str()))
        .filter(event::Column::Version.eq(i64::from(version.get())))
        .order_by_desc(event::Column::Id)
        .one(db)
        .await
        .doing("looking for when a version was verified")?;
    Ok(found.map(|row| WallTime(row.at)))
}

/// A version came whole to a device: how, at `at`.
pub async fn fetched<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    device: &DeviceId,
    slot: &SlotName,
    (model, version): (&ModelName, ModelVersion),
    (at, text): (WallTime, String),
) -> Result<(), StoreError> {
    let entry = event::Model {
        slot: Some(slot.to_string()),
        model: Some(model.to_string()),
        version: Some(i64::from(version.get())),
        text,
        ..news::row(workspace.as_str(), device.as_str(), at, kind::FETCHED)
    };
    record(db, vec![entry]).await
}

/// Forgets what is too much of one device.
pub(super) async fn bound<C: ConnectionTrait>(
    db: &C,
    workspace: &str,
    device: &str,
) -> Result<(), StoreError> {
    let delete = Statement::from_sql_and_values(
        db.get_database_backend(),
        "DELETE FROM event WHERE workspace = $1 AND device = $2 AND id <= (SELECT id FROM event \
         WHERE workspace = $1 AND device = $2 ORDER BY id DESC LIMIT 1 OFFSET $3)",
        [workspace.into(), device.into(), KEPT.into()],
    );
    db.execute_raw(delete)
        .await
        .doing("forgetting old entries of a timeline")?;
    Ok(())
}

/// Forgets the oldest absences of one device.
async fn bound_absences<C: ConnectionTrait>(
    db: &C,
    workspace: &str,
    device: &str,
) -> Result<(), StoreError> {
    let delete = Statement::from_sql_and_values(
        db.get_database_backend(),
        "DELETE FROM event WHERE workspace = $1 AND device = $2 AND kind = $3 AND id <= (SELECT id \
         FROM event WHERE workspace = $1 AND device = $2 AND kind = $3 ORDER BY id DESC LIMIT 1 \
         OFFSET $4)",
        [
            workspace.into(),
            device.into(),
            kind::AWAY.into(),
            AWAY_KEPT.into(),
        ],
    );
    db.execute_raw(delete)
        .await
        .doing("forgetting old absences")?;
    Ok(())
}

/// Where a page of a timeline begins: after this entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    at: i64,
    id: i64,
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('.');
        let parsed = parts.and_then(|(at, id)| {
            let (at, id) = (at.parse().ok()?, id.parse().ok()?);
            Some(Self { at, id })
        });
        parsed.ok_or("`after` is the `next` of the page before")
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.at, self.id)
    }
}

/// Which part of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TimelineFilter {
    /// Of this slot, with what concerns the whole device.
    pub slot: Option<SlotName>,
    /// Older than this entry.
    pub after: Option<Cursor>,
    /// At most so many; 50 if not said, never more than 500.
    pub limit: Option<u64>,
}

/// A page of the timeline of a device, newest first. A device that is offline begins it with that.
pub async fn timeline(
    store: &Store,
    workspace: &WorkspaceId,
    id: &DeviceId,
    filter: &TimelineFilter,
) -> Result<Page<TimelineEntry>, StoreError> {
    let limit = filter.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let mut select = event::Entity::find()
        .filter(event::Column::Workspace.eq(workspace.as_str()))
        .filter(event::Column::Device.eq(id.as_str()))
        .order_by_desc(event::Column::At)
        .order_by_desc(event::Column::Id)
        .limit(limit + 1);
    if let Some(slot) = &filter.slot {
        let concerns = Condition::any()
            .add(event::Column::Slot.eq(slot.as_str()))
            .add(event::Column::Slot.is_null());
        select = select.filter(concerns);
    }
    if let Some(Cursor { at, id }) = filter.after {
        let same = Condition::all()
            .add(event::Column::At.eq(at))
            .add(event::Column::Id.lt(id));
        let older = Condition::any().add(event::Column::At.lt(at)).add(same);
        select = select.filter(older);
    }
    let mut rows = select.all(store.read()).await.doing("reading a timeline")?;
    let more = rows.len() as u64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = rows.last().filter(|_| more).map(|last| Cursor {
        at: last.at,
        id: last.id,
    });
    let mut items = Vec::with_capacity(rows.len() + 1);
    if filter.after.is_none() {
        items.extend(offline(store, workspace, id).await?);
    }
    for row in rows {
        items.push(entry(row)?);
    }
    let next = next.map(|next| next.to_string());
    Ok(Page { items, next })
}

/// That a device is offline now: written down only once it is back.
async fn offline(
    store: &Store,
    workspace: &WorkspaceId,
    id: &DeviceId,
) -> Result<Option<TimelineEntry>, StoreError> {
    let key = (workspace.to_string(), id.to_string());
    let row = device::Entity::find_by_id(key).one(store.read()).await;
    let row = row.doing("reading whether a device is offline")?;
    Ok(row.filter(|row| !row.online).map(|row| TimelineEntry {
        id: 0,
        at: WallTime(row.last_seen),
        kind: "offline".into(),
        slot: None,
        version: None,
        rollout: None,
        actor: None,
        since: Some(WallTime(row.last_seen)),
        says: "was heard of for the last time; it is offline".into(),
        text: String::new(),
    }))
}

fn entry(row: event::Model) -> Result<TimelineEntry, StoreError> {
    let says = story::says(&row);
    let rollout = row.rollout.and_then(|id| u32::try_from(id).ok());
    let slot = row.slot.map(|slot| parsed("slot name", &slot));
    Ok(TimelineEntry {
        id: row.id.max(0).unsigned_abs(),
        at: WallTime(row.at),
        kind: row.kind,
        slot: slot.transpose()?,
        version: events::version(row.model.as_deref(), row.version)?,
        rollout: rollout.map(RolloutId),
        actor: row.actor,
        since: row.since.map(WallTime),
        says,
        text: row.text,
    })
}
