//! What the hub wants of devices: written here, sent by `link`.

pub mod shadow;

use std::collections::BTreeSet;

use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DatabaseTransaction, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use tern_protocol::{
    desired::{Desired, DesiredShadow, DesiredSlot},
    id::{DeviceId, ModelName, Revision, SlotName, WorkspaceId},
    limits,
    time::WallTime,
};

use super::{
    apply::Rows,
    facts::{self, Assigned},
    intake,
    rows::{device, event, slot},
    shadows::{self, AssignedShadow},
    timeline::{
        self,
        news::{kind, row},
    },
};
use crate::{
    captures::orders::Orders,
    deltas::{self, Offers},
    store::{Doing as _, Store, StoreError, parsed},
};

/// Devices whose desired states are read at once, when all are sent again.
const PAGE: u64 = 500;

/// Slots of one workspace in which something is wanted, at most: a device is told of all its slots in one
/// retained message (`limits::RETAINED`), some 200 bytes each.
pub const SLOTS_WANTED: usize = 256;

/// What to want in one slot of one device. `None` takes back what was wanted: the device keeps what
/// it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The device.
    pub device: DeviceId,
    /// What to want.
    pub wanted: Option<Assigned>,
    /// Why.
    pub cause: Cause,
}

/// Why something is wanted from now on: what the device's timeline tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// When that was decided.
    pub at: WallTime,
    /// Who started the rollout, as in the audit log.
    pub actor: Option<String>,
    /// What came before it; empty for the usual: a rollout moves the device.
    pub text: String,
}

/// A device that has to be told what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tell {
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// Which device.
    pub device: DeviceId,
    /// What it should be.
    pub desired: Desired,
}

/// What an assignment did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The device.
    pub device: DeviceId,
    /// What was wanted before.
    pub before: Option<Assigned>,
    /// What the device has to be told, once the transaction is committed.
    pub desired: Desired,
}

/// Writes what is wanted in `slot` of these devices, each with the next revision. Devices that are
/// not known are left out of the answer.
pub async fn assign(
    txn: &DatabaseTransaction,
    workspace: &WorkspaceId,
    slot: &SlotName,
    assignments: &[Assignment],
) -> Result<Vec<Done>, StoreError> {
    let ids: Vec<&DeviceId> = assignments
        .iter()
        .map(|assignment| &assignment.device)
        .collect();
    let mut known = intake::load(txn, workspace, &ids).await?;
    let wanted = assignments.iter().filter_map(|a| a.wanted.as_ref());
    let models = wanted.map(|wanted| &wanted.target.model);
    let beside = beside(txn, workspace, known.values(), models).await?;
    let (mut done, mut devices, mut slots) = (Vec::new(), Vec::new(), Vec::new());
    let mut news = Vec::with_capacity(assignments.len());
    for Assignment {
        device,
        wanted,
        cause,
    } in assignments
    {
        let Some(mut rows) = known.remove(device.as_str()) else {
            continue;
        };
        let index = slot_index(&mut rows, slot);
        let before = facts::assigned(&rows.slots[index])?;
        facts::assign(&mut rows.slots[index], wanted.as_ref());
        rows.device.desired_revision = rows.device.desired_revision.saturating_add(1);
        rows.judge();
        news.push(told(&rows.device, &rows.slots[index], cause));
        done.push(Done {
            device: device.clone(),
            before,
            desired: desired_of(&rows, &beside)?,
        });
        slots.push(rows.slots.swap_remove(index));
        devices.push(rows.device);
    }
    intake::save_devices(txn, devices).await?;
    intake::save_slots(txn, slots).await?;
    timeline::record(txn, news).await?;
    Ok(done)
}

/// What the device's timeline says of it.
fn told(device: &device::Model, slot: &slot::Model, cause: &Cause) -> event::Model {
    let kind = match slot.assigned_bundle {
        Some(_) => kind::ASSIGNED,
        None => kind::UNASSIGNED,
    };
    event::Model {
        slot: Some(slot.slot.clone()),
        model: slot.assigned_model.clone(),
        version: slot.assigned_version,
        rollout: slot.assigned_rollout,
        actor: cause.actor.clone(),
        text: cause.text.clone(),
        ..row(&device.workspace, &device.id, cause.at, kind)
    }
}

fn slot_index(rows: &mut Rows, slot: &SlotName) -> usize {
    let known = rows.slots.iter().position(|row| row.slot == slot.as_str());
    known.unwrap_or_else(|| {
        rows.slots.push(slot::Model {
            workspace: rows.device.workspace.clone(),
            device: rows.device.id.clone(),
            slot: slot.to_string(),
            ..Default::default()
        });
        rows.slots.len() - 1
    })
}

/// What desired states hold besides what rows of devices say.
struct Beside {
    offers: Offers,
    orders: Orders,
}

/// The deltas that these devices may be offered, and what is asked of them.
async fn beside<'a>(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    rows: impl IntoIterator<Item = &'a Rows>,
    more: impl IntoIterator<Item = &'a ModelName>,
) -> Result<Beside, StoreError> {
    let mut models: BTreeSet<ModelName> = BTreeSet::new();
    models.extend(more.into_iter().cloned());
    let mut erased: Option<i64> = None;
    for rows in rows {
        for row in &rows.slots {
            models.extend(facts::assigned(row)?.map(|assigned| assigned.target.model));
            models.extend(shadows::assigned(row)?.map(|shadow| shadow.target.model));
        }
        erased = match (erased, rows.device.erased) {
            (Some(least), Some(of)) => Some(least.min(of)),
            (least, of) => least.or(of),
        };
    }
    Ok(Beside {
        offers: deltas::offers(db, workspace, &models).await?,
        orders: Orders::read(db, workspace, erased).await?,
    })
}

fn desired_of(rows: &Rows, Beside { offers, orders }: &Beside) -> Result<Desired, StoreError> {
    let (mut slots, mut shadows) = (Vec::new(), Vec::new());
    for row in &rows.slots {
        let serves = row.serving_weights.as_deref().map(facts::digest);
        let serves = serves.transpose()?;
        if let Some(Assigned { target, .. }) = facts::assigned(row)? {
            slots.push((wanted(row, target)?, serves));
        }
        if let Some(shadow) = shadows::assigned(row)? {
            let AssignedShadow {
                target,
                cpu_permille,
                ..
            } = shadow;
            shadows.push((wanted(row, target)?, serves, cpu_permille));
        }
    }
    slots.sort_by(|(a, _), (b, _)| a.slot.cmp(&b.slot));
    shadows.sort_by(|(a, ..), (b, ..)| a.slot.cmp(&b.slot));
    // A device has fewer slots than that; the message must not grow, whatever is asked for.
    shadows.truncate(limits::SHADOWS);
    let count = slots.len();
    let beside = shadows.iter();
    slots.extend(beside.map(|(wanted, serves, _)| (wanted.clone(), *serves)));
    // What is to serve is offered first what room there is.
    offers.add(&mut slots);
    let mut beside = slots.split_off(count).into_iter();
    let beside = shadows.into_iter().filter_map(|(_, _, cpu_permille)| {
        let (wanted, _) = beside.next()?;
        Some(DesiredShadow {
            slot: wanted.slot,
            model: wanted.model,
            version: wanted.version,
            bundle: wanted.bundle,
            offers: wanted.offers,
            cpu_permille,
        })
    });
    let device = &rows.device;
    let (requests, erasures) = orders.of(&device.id, &device.site, device.erased);
    Ok(Desired {
        revision: Revision(device.desired_revision.max(0).unsigned_abs()),
        shadows: beside.collect(),
        slots: slots.into_iter().map(|(slot, _)| slot).collect(),
        requests,
        erasures,
    })
}

fn wanted(row: &slot::Model, target: facts::Target) -> Result<DesiredSlot, StoreError> {
    Ok(DesiredSlot {
        slot: parsed("slot name", &row.slot)?,
        model: target.model,
        version: target.version,
        bundle: target.bundle,
        offers: Vec::new(),
    })
}

/// What a device should be, if the hub ever wanted anything of it.
pub async fn desired<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    id: &DeviceId,
) -> Result<Option<Desired>, StoreError> {
    let mut rows = intake::load(db, workspace, &[id]).await?;
    match rows.remove(id.as_str()) {
        Some(rows) if rows.device.desired_revision > 0 => {
            let beside = beside(db, workspace, [&rows], []).await?;
            desired_of(&rows, &beside).map(Some)
        }
        _ => Ok(None),
    }
}

/// Gives these devices the next revision of what they should be, although nothing else is wanted in any slot: what is
/// told besides has changed. Devices that are not known are left out of the answer.
pub async fn tell_again(
    txn: &DatabaseTransaction,
    workspace: &WorkspaceId,
    devices: &[DeviceId],
) -> Result<Vec<(DeviceId, Desired)>, StoreError> {
    let ids: Vec<&DeviceId> = devices.iter().collect();
    let mut known = intake::load(txn, workspace, &ids).await?;
    let beside = beside(txn, workspace, known.values(), []).await?;
    let (mut told, mut rows) = (Vec::new(), Vec::new());
    for device in devices {
        let Some(mut of) = known.remove(device.as_str()) else {
            continue;
        };
        of.device.desired_revision = of.device.desired_revision.saturating_add(1);
        told.push((device.clone(), desired_of(&of, &beside)?));
        rows.push(of.device);
    }
    intake::save_devices(txn, rows).await?;
    Ok(told)
}

/// The slots of a workspace in which something is wanted of any device.
pub async fn slots_wanted<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
) -> Result<BTreeSet<String>, StoreError> {
    let names: Vec<String> = slot::Entity::find()
        .select_only()
        .column(slot::Column::Slot)
        .distinct()
        .filter(slot::Column::Workspace.eq(workspace.as_str()))
        .filter(slot::Column::AssignedModel.is_not_null())
        .into_tuple()
        .all(db)
        .await
        .doing("reading slots in which something is wanted")?;
    Ok(names.into_iter().collect())
}

/// A page of what all devices should be, in the order of ids; empty after the last.
pub async fn all_desired(
    store: &Store,
    workspace: &WorkspaceId,
    after: Option<&DeviceId>,
) -> Result<Vec<(DeviceId, Desired)>, StoreError> {
    let after = after.map_or("", |id| id.as_str());
    let ids: Vec<String> = device::Entity::find()
        .select_only()
        .column(device::Column::Id)
        .filter(device::Column::Workspace.eq(workspace.as_str()))
        .filter(device::Column::Id.gt(after))
        .filter(device::Column::DesiredRevision.gt(0))
        .order_by_asc(device::Column::Id)
        .limit(PAGE)
        .into_tuple()
        .all(store.read())
        .await
        .doing("reading desired states")?;
    let ids = ids.iter().map(|id| parsed("device id", id));
    let ids = ids.collect::<Result<Vec<DeviceId>, _>>()?;
    let mut rows = intake::load(store.read(), workspace, &ids.iter().collect::<Vec<_>>()).await?;
    let beside = beside(store.read(), workspace, rows.values(), []).await?;
    let mut all = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some(rows) = rows.remove(id.as_str()) {
            all.push((id, desired_of(&rows, &beside)?));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use tern_protocol::{
        blob::BlobRef,
        capture::{CaptureRequest, Erasure},
        codec,
        desired::Offer,
        digest::Digest,
        id::{ModelVersion, NAME_MAX},
    };

    use super::*;

    #[test]
    fn as_many_slots_as_there_may_be_fit_a_retained_message() {
        let longest = "x".repeat(NAME_MAX);
        let slots = (0..SLOTS_WANTED).map(|_| DesiredSlot {
            slot: longest.parse().expect("a name"),
            model: longest.parse().expect("a name"),
            version: ModelVersion::new(u32::MAX).expect("not zero"),
            bundle: BlobRef {
                digest: Digest::of(b""),
                len: u64::MAX,
            },
            offers: Vec::new(),
        });
        let shadows = (0..limits::SHADOWS).map(|_| DesiredShadow {
            slot: longest.parse().expect("a name"),
            model: longest.parse().expect("a name"),
            version: ModelVersion::new(u32::MAX).expect("not zero"),
            bundle: BlobRef {
                digest: Digest::of(b""),
                len: u64::MAX,
            },
            offers: Vec::new(),
            cpu_permille: u16::MAX,
        });
        let request = CaptureRequest {
            id: u64::MAX,
            slot: Some(longest.parse().expect("a name")),
            model: Some(longest.parse().expect("a name")),
            count: u32::MAX,
            until: WallTime(i64::MAX),
        };
        // As long as they may be in all; a frame around them comes to a few bytes.
        let erasure = Erasure {
            id: u64::MAX,
            predictions: Vec::new(),
            subject: Some(Digest::of(b"somebody")),
        };
        let erasures = limits::ERASURES_BYTES / codec::encode(&erasure).len();
        let mut desired = Desired {
            revision: Revision(u64::MAX),
            shadows: shadows.collect(),
            slots: slots.collect(),
            requests: vec![request; limits::CAPTURE_REQUESTS],
            erasures: vec![erasure; erasures],
        };
        let offer = Offer {
            base: Digest::of(b""),
            delta: desired.slots[0].bundle,
        };
        desired.slots[0].offers = vec![offer; limits::OFFERS];
        let len = codec::encode(&desired).len();
        assert!(len <= limits::RETAINED, "{len} bytes");
    }
}
