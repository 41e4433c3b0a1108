//! What is wanted beside what serves.

use sea_orm::DatabaseTransaction;
use tern_protocol::{
    desired::Desired,
    id::{DeviceId, SlotName, WorkspaceId},
};

use super::{Cause, beside, desired_of, slot_index};
use crate::{
    fleet::{
        intake,
        revoked::Reasons,
        rows::{device, event, slot},
        shadows::{self, AssignedShadow, ShadowAssignment},
        timeline::{
            self,
            news::{kind, row},
        },
    },
    store::StoreError,
};

/// What an assignment of a shadow did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowDone {
    /// The device.
    pub device: DeviceId,
    /// What was wanted before.
    pub before: Option<AssignedShadow>,
    /// What is wanted now; nothing if what was asked for is revoked.
    pub now: Option<AssignedShadow>,
    /// What the device has to be told, once the transaction is committed.
    pub desired: Desired,
}

/// Writes what is wanted beside what serves in `slot` of these devices, each with the next revision.
/// Devices that are not known are left out of the answer. A version that is revoked is not wanted,
/// whoever asks: for it nothing is.
pub async fn assign_shadow(
    txn: &DatabaseTransaction,
    workspace: &WorkspaceId,
    slot: &SlotName,
    assignments: &[ShadowAssignment],
) -> Result<Vec<ShadowDone>, StoreError> {
    let ids: Vec<&DeviceId> = assignments.iter().map(|a| &a.device).collect();
    let mut known = intake::load(txn, workspace, &ids).await?;
    let reasons = Reasons::read(txn, workspace).await?;
    let models = assignments.iter().filter_map(|a| a.wanted.as_ref());
    let models = models.map(|wanted| &wanted.target.model);
    let beside = beside(txn, workspace, known.values(), models).await?;
    let (mut done, mut devices, mut slots) = (Vec::new(), Vec::new(), Vec::new());
    let mut news = Vec::with_capacity(assignments.len());
    for assignment in assignments {
        let Some(mut rows) = known.remove(assignment.device.as_str()) else {
            continue;
        };
        let wanted = assignment.wanted.as_ref();
        let now = wanted.filter(|wanted| !reasons.concern(&wanted.target));
        let index = slot_index(&mut rows, slot);
        let before = shadows::assigned(&rows.slots[index])?;
        let was = rows.slots[index].clone();
        shadows::assign(&mut rows.slots[index], now);
        rows.device.desired_revision = rows.device.desired_revision.saturating_add(1);
        rows.judge();
        let is = &rows.slots[index];
        news.extend(told(&rows.device, &was, is, &assignment.cause));
        done.push(ShadowDone {
            device: assignment.device.clone(),
            before,
            now: now.cloned(),
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

/// What the device's timeline says of it; nothing if the version is the same, or there was and is none.
pub(in crate::fleet) fn told(
    device: &device::Model,
    was: &slot::Model,
    is: &slot::Model,
    cause: &Cause,
) -> Option<event::Model> {
    if was.shadow_bundle == is.shadow_bundle {
        return None;
    }
    let (kind, of) = match is.shadow_bundle {
        Some(_) => (kind::SHADOW_ASSIGNED, is),
        None => (kind::SHADOW_UNASSIGNED, was),
    };
    Some(event::Model {
        slot: Some(is.slot.clone()),
        model: of.shadow_model.clone(),
        version: of.shadow_version,
        rollout: of.shadow_rollout,
        actor: cause.actor.clone(),
        text: cause.text.clone(),
        ..row(&device.workspace, &device.id, cause.at, kind)
    })
}
