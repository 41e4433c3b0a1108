//! Takes in what devices say of themselves, many in one transaction.
//!
//! Fed by `link`; started by `serve`. Must never break: messages of one device are applied in the
//! order in which they came; a message that could not be stored is tried again, not dropped (the
//! queue before it fills, and the broker holds the rest).

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bytes::Bytes;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, DatabaseTransaction, EntityTrait,
    IntoActiveModel as _, QueryFilter as _, Set, TransactionTrait as _, sea_query::OnConflict,
};
use tern_protocol::{
    id::{DeviceId, ModelName, ModelVersion, SlotName, WorkspaceId},
    reported::{Link, Reported},
    rest::{Change, Stage},
    time::WallTime,
};
use tokio::sync::mpsc;

use super::{
    anchor::{self, Heard},
    apply::Rows,
    assign::{self, Tell},
    facts,
    revoked::Reasons,
    rows::{device, label, slot},
    shadows, stage,
    timeline::{self, news::news},
};
use crate::{
    app::App,
    store::{Doing as _, StoreError, chain, parsed},
};

/// Messages that wait for the database. A thousand devices that reconnect at once send two each.
const QUEUE: usize = 4_096;

/// Most messages in one transaction, and longest wait for more of them: people watch a rollout live,
/// so what a device says is on their screen within a blink.
const BATCH: usize = 512;
/// See [`BATCH`].
const GATHER: Duration = Duration::from_millis(50);

/// Wait before a failed transaction is tried again. The usual cause is a full disk.
const RETRY: Duration = Duration::from_millis(500);

/// Whether a message was just sent, or kept by the broker from earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Just sent: the device is alive.
    Live,
    /// Kept from earlier: it says what was, not that the device is alive.
    Retained,
}

/// What a device said.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// Whether it is connected.
    Link {
        /// The message.
        link: Link,
        /// How fresh it is.
        freshness: Freshness,
    },
    /// What it is.
    State {
        /// The message.
        reported: Box<Reported>,
        /// The bytes that it was read from: they are what is stored, with all that a newer agent
        /// says in them.
        bytes: Bytes,
        /// How fresh it is.
        freshness: Freshness,
    },
    /// Something else, which shows that it is alive.
    Something,
}

/// A message of a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// Which device.
    pub device: DeviceId,
    /// When the hub received it.
    pub received: WallTime,
    /// What it said.
    pub said: Said,
}

/// Where messages are handed in.
pub fn queue() -> (mpsc::Sender<Message>, mpsc::Receiver<Message>) {
    mpsc::channel(QUEUE)
}

/// Stores messages until the queue is closed and empty.
pub async fn run(app: App, mut queue: mpsc::Receiver<Message>, tell: mpsc::Sender<Tell>) {
    let mut batch = Vec::with_capacity(BATCH);
    let started = app.clock.now();
    while gather(&mut queue, &mut batch).await {
        let by_workspace = group(std::mem::take(&mut batch));
        for (workspace, messages) in by_workspace {
            let outcome = loop {
                match store(&app, &workspace, &messages, started).await {
                    Ok(outcome) => break outcome,
                    Err(err) => {
                        tracing::error!(%workspace, error = chain(&err), "device states wait");
                        tokio::time::sleep(RETRY).await;
                    }
                }
            };
            app.counters.fleet_commits.one();
            if !outcome.changed.is_empty() {
                app.wake.notify();
            }
            for (device, slot, of) in outcome.stored {
                app.ledger.stored(&workspace, &device, &slot, of);
            }
            for device in outcome.changed {
                app.changes.send(&workspace, Change::Device { device });
            }
            for device in outcome.resend {
                tell_again(&app, &workspace, device, &tell).await;
            }
        }
    }
}

/// Sends what a device should be once more.
async fn tell_again(
    app: &App,
    workspace: &WorkspaceId,
    device: DeviceId,
    tell: &mpsc::Sender<Tell>,
) {
    match assign::desired(app.store.read(), workspace, &device).await {
        Ok(Some(desired)) => {
            let workspace = workspace.clone();
            // Closed only when the hub stops; its next start sends all desired states again.
            let _ = tell
                .send(Tell {
                    workspace,
                    device,
                    desired,
                })
                .await;
        }
        Ok(None) => {}
        Err(err) => {
            tracing::error!(%workspace, %device, error = chain(&err), "desired state not sent");
        }
    }
}

/// Fills `batch`; false when the queue is closed and empty.
async fn gather(queue: &mut mpsc::Receiver<Message>, batch: &mut Vec<Message>) -> bool {
    if queue.recv_many(batch, BATCH).await == 0 {
        return false;
    }
    let deadline = tokio::time::Instant::now() + GATHER;
    while batch.len() < BATCH {
        let room = BATCH - batch.len();
        match tokio::time::timeout_at(deadline, queue.recv_many(batch, room)).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => break,
        }
    }
    true
}

/// A version of a model.
type Version = (ModelName, ModelVersion);

type ByDevice = BTreeMap<DeviceId, Vec<Message>>;

fn group(batch: Vec<Message>) -> BTreeMap<WorkspaceId, ByDevice> {
    let mut groups: BTreeMap<WorkspaceId, ByDevice> = BTreeMap::new();
    for message in batch {
        let devices = groups.entry(message.workspace.clone()).or_default();
        devices
            .entry(message.device.clone())
            .or_default()
            .push(message);
    }
    groups
}

/// What a transaction did.
struct Outcome {
    changed: Vec<DeviceId>,
    resend: Vec<DeviceId>,
    /// Who has all of the version that is wanted in a slot, and had not before.
    stored: Vec<(DeviceId, SlotName, Version)>,
}

async fn store(
    app: &App,
    workspace: &WorkspaceId,
    messages: &ByDevice,
    started: WallTime,
) -> Result<Outcome, StoreError> {
    let txn = app
        .store
        .write()
        .begin()
        .await
        .doing("beginning to store device states")?;
    let ids: Vec<&DeviceId> = messages.keys().collect();
    let mut known = load(&txn, workspace, &ids).await?;
    let mut outcome = Outcome {
        changed: Vec::new(),
        resend: Vec::new(),
        stored: Vec::new(),
    };
    let reasons = Reasons::read(&txn, workspace).await?;
    let (mut rows, mut slots, mut heard) = (Vec::new(), Vec::new(), Vec::new());
    let mut happened = Vec::new();
    for (id, messages) in messages {
        let first = messages
            .first()
            .map_or(WallTime(0), |message| message.received);
        let before = known.remove(id.as_str());
        let mut after = before
            .clone()
            .unwrap_or_else(|| Rows::new(workspace, id, first));
        let bound = app.registry.bound(workspace, id);
        for message in messages {
            after.apply(&message.said, message.received);
            heard.extend(heard_in(message));
        }
        if let Some(bound) = &bound {
            after.bind(bound)?;
        }
        reasons.mark(&mut after);
        happened.extend(reasons.take_back(&mut after, first));
        for (slot, of) in newly_stored(before.as_ref(), &after)? {
            outcome.stored.push((id.clone(), slot, of));
        }
        happened.extend(news(before.as_ref(), &after, first, started));
        if before
            .as_ref()
            .is_none_or(|before| visibly_differ(before, &after))
        {
            outcome.changed.push(id.clone());
        }
        let old = before.as_ref().map(|rows| &rows.device);
        if old.is_none_or(|old| old.labels != after.device.labels) {
            store_labels(&txn, &after.device).await?;
        }
        if old.is_some_and(|old| old.boot != after.device.boot) {
            let boot = u32::try_from(after.device.boot).unwrap_or_default();
            anchor::forget_old(
                &txn,
                workspace,
                id.as_str(),
                tern_protocol::id::BootId(boot),
            )
            .await?;
        }
        let asked = old.map_or(0, |old| old.desired_revision);
        if after.device.desired_revision != asked {
            outcome.resend.push(id.clone());
        }
        let was = before.map(|rows| rows.slots).unwrap_or_default();
        slots.extend(after.slots.into_iter().filter(|row| !was.contains(row)));
        rows.push(after.device);
    }
    save_devices(&txn, rows).await?;
    save_slots(&txn, slots).await?;
    timeline::record(&txn, happened).await?;
    anchor::learn_anchors(&txn, workspace, &last_of_each_boot(heard)).await?;
    txn.commit().await.doing("committing device states")?;
    Ok(outcome)
}

/// Slots whose wanted version is on the device whole, and was not before.
fn newly_stored(
    before: Option<&Rows>,
    after: &Rows,
) -> Result<Vec<(SlotName, Version)>, StoreError> {
    let has = |slot: &slot::Model| stage::stage(slot) >= Some(Stage::Stored);
    let mut stored = Vec::new();
    for slot in &after.slots {
        let old = before.and_then(|before| before.slots.iter().find(|old| old.slot == slot.slot));
        let had = old.is_some_and(|old| has(old) && old.assigned_bundle == slot.assigned_bundle);
        if has(slot)
            && !had
            && let Some(assigned) = facts::assigned(slot)?
        {
            let of = (assigned.target.model, assigned.target.version);
            stored.push((parsed("slot name", &slot.slot)?, of));
        }
        let had = old
            .is_some_and(|old| shadows::is_stored(old) && old.shadow_bundle == slot.shadow_bundle);
        if shadows::is_stored(slot)
            && !had
            && let Some(shadow) = shadows::assigned(slot)?
        {
            let of = (shadow.target.model, shadow.target.version);
            stored.push((parsed("slot name", &slot.slot)?, of));
        }
    }
    Ok(stored)
}

/// One statement may touch a row of the table only once, so of several messages of one boot the
/// best anchor is kept here.
fn last_of_each_boot(heard: Vec<Heard>) -> Vec<Heard> {
    let mut kept: HashMap<(DeviceId, u32), Heard> = HashMap::new();
    for heard in heard {
        kept.insert((heard.device.clone(), heard.now.boot.0), heard);
    }
    kept.into_values().collect()
}

fn heard_in(message: &Message) -> Option<Heard> {
    match &message.said {
        Said::State {
            reported,
            freshness: Freshness::Live,
            ..
        } => Some(Heard {
            device: message.device.clone(),
            now: reported.now,
            received: message.received,
        }),
        _ => None,
    }
}

/// Whether a page would look different; being heard of again does not count.
fn visibly_differ(before: &Rows, after: &Rows) -> bool {
    let device = device::Model {
        last_seen: before.device.last_seen,
        ..after.device.clone()
    };
    device != before.device || after.slots != before.slots
}

/// Rows of these devices, as far as they are known, by id.
pub(super) async fn load<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    ids: &[&DeviceId],
) -> Result<HashMap<String, Rows>, StoreError> {
    let names = || ids.iter().map(|id| id.as_str());
    let devices = device::Entity::find()
        .filter(device::Column::Workspace.eq(workspace.as_str()))
        .filter(device::Column::Id.is_in(names()))
        .all(db)
        .await
        .doing("reading devices")?;
    let slots = slot::Entity::find()
        .filter(slot::Column::Workspace.eq(workspace.as_str()))
        .filter(slot::Column::Device.is_in(names()))
        .all(db)
        .await
        .doing("reading slots")?;
    let mut rows: HashMap<String, Rows> = devices
        .into_iter()
        .map(|device| {
            let id = device.id.clone();
            let slots = Vec::new();
            (id, Rows { device, slots })
        })
        .collect();
    for slot in slots {
        if let Some(rows) = rows.get_mut(&slot.device) {
            rows.slots.push(slot);
        }
    }
    Ok(rows)
}

/// Writes whole device rows. The caller read them in the same transaction.
pub(super) async fn save_devices(
    txn: &DatabaseTransaction,
    rows: Vec<device::Model>,
) -> Result<(), StoreError> {
    use device::Column;
    if rows.is_empty() {
        return Ok(());
    }
    let on_conflict = OnConflict::columns([Column::Workspace, Column::Id])
        .update_columns([
            Column::Site,
            Column::Labels,
            Column::Platform,
            Column::Online,
            Column::Boot,
            Column::Health,
            Column::HealthReason,
            Column::LastSeen,
            Column::Reported,
            Column::ReportedRevision,
            Column::DesiredRevision,
            Column::Erased,
        ])
        .to_owned();
    let rows = rows
        .into_iter()
        .map(|row| row.into_active_model().reset_all());
    let insert = device::Entity::insert_many(rows).on_conflict(on_conflict);
    insert
        .exec_without_returning(txn)
        .await
        .doing("storing devices")?;
    Ok(())
}

/// Writes whole slot rows. The caller read them in the same transaction.
pub(super) async fn save_slots(
    txn: &DatabaseTransaction,
    rows: Vec<slot::Model>,
) -> Result<(), StoreError> {
    use sea_orm::Iterable as _;
    use slot::Column;
    if rows.is_empty() {
        return Ok(());
    }
    let key = [Column::Workspace, Column::Slot, Column::Device];
    let facts = Column::iter()
        .filter(|column| !matches!(column, Column::Workspace | Column::Slot | Column::Device));
    let on_conflict = OnConflict::columns(key).update_columns(facts).to_owned();
    let rows = rows
        .into_iter()
        .map(|row| row.into_active_model().reset_all());
    let insert = slot::Entity::insert_many(rows).on_conflict(on_conflict);
    insert
        .exec_without_returning(txn)
        .await
        .doing("storing slots")?;
    Ok(())
}

async fn store_labels(txn: &DatabaseTransaction, device: &device::Model) -> Result<(), StoreError> {
    label::Entity::delete_many()
        .filter(label::Column::Workspace.eq(&device.workspace))
        .filter(label::Column::Device.eq(&device.id))
        .exec(txn)
        .await
        .doing("replacing labels")?;
    let labels = facts::labels_from(&device.labels)?;
    if labels.is_empty() {
        return Ok(());
    }
    let rows = labels.into_iter().map(|(key, value)| label::ActiveModel {
        workspace: Set(device.workspace.clone()),
        device: Set(device.id.clone()),
        key: Set(key),
        value: Set(value),
    });
    let insert = label::Entity::insert_many(rows)
        .exec_without_returning(txn)
        .await;
    insert.doing("storing labels")?;
    Ok(())
}

/// At the hub's start nobody is connected: the broker starts empty with it.
pub async fn all_offline(app: &App) -> Result<(), StoreError> {
    let update = sea_orm::Statement::from_string(
        app.store.backend(),
        "UPDATE device SET online = FALSE, health = 'offline', health_reason = 'not connected' \
         WHERE online",
    );
    app.store
        .write()
        .execute_raw(update)
        .await
        .doing("starting with no device connected")?;
    Ok(())
}
