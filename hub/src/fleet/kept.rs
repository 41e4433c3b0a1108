//! Facts of devices that are kept between two looks of the rollouts, and read again of devices that changed.
//!
//! Called by the driver of rollouts. Must never break: a device that was announced before a look is read in it, and all
//! are read now and then, so that what nobody announced is late but not lost.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use tern_protocol::id::{DeviceId, SlotName, WorkspaceId};

use super::facts::{self, DeviceFacts};
use crate::{app::App, changes::Touched, store::StoreError};

/// Time after which all devices of a slot are read again: at 100,000 devices about a second of work.
pub const ALL: Duration = Duration::from_mins(1);

/// Devices read in one statement.
const CHUNK: usize = 500;

/// Facts of the devices of slots in which rollouts move, some hundred bytes for each.
#[derive(Debug)]
pub struct Kept {
    workspaces: HashMap<WorkspaceId, HashMap<SlotName, Slot>>,
    all: Duration,
}

/// Devices that have one slot, in the order of their ids.
#[derive(Debug)]
struct Slot {
    facts: Vec<DeviceFacts>,
    /// When all of them were read.
    read: Instant,
    /// Devices that were then not as they had been, and nobody had announced it.
    unannounced: Vec<DeviceId>,
}

impl Kept {
    /// Nothing is known yet; after `all`, all devices of a slot are read again.
    pub fn new(all: Duration) -> Self {
        Self {
            workspaces: HashMap::new(),
            all,
        }
    }

    /// Reads what changed in these slots of a workspace, and forgets its others. After an error the next call reads
    /// all.
    pub async fn refresh(
        &mut self,
        app: &App,
        workspace: &WorkspaceId,
        slots: impl Iterator<Item = &SlotName>,
    ) -> Result<(), StoreError> {
        let mut before = self.workspaces.remove(workspace).unwrap_or_default();
        // Taken before anything is read: what changes meanwhile is announced again.
        let touched = app.changes.take_touched(workspace);
        let mut after = HashMap::new();
        for slot in slots {
            let kept = before.remove(slot);
            let read = self.read(app, workspace, slot, kept, &touched).await?;
            after.insert(slot.clone(), read);
        }
        if !after.is_empty() {
            self.workspaces.insert(workspace.clone(), after);
        }
        Ok(())
    }

    /// The devices that have a slot, in the order of their ids, as they were at the last refreshing.
    pub fn facts(&self, workspace: &WorkspaceId, slot: &SlotName) -> &[DeviceFacts] {
        let slots = self.workspaces.get(workspace);
        let slot = slots.and_then(|slots| slots.get(slot));
        slot.map_or(&[], |slot| &slot.facts)
    }

    async fn read(
        &self,
        app: &App,
        workspace: &WorkspaceId,
        slot: &SlotName,
        kept: Option<Slot>,
        touched: &Touched,
    ) -> Result<Slot, StoreError> {
        let db = app.store.read();
        if let Some(kept) = &kept {
            kept.say_unannounced(workspace, slot, touched);
        }
        if let Some(mut kept) = kept {
            if let Touched::Some(devices) = touched
                && kept.read.elapsed() < self.all
            {
                let devices: Vec<&DeviceId> = devices.iter().collect();
                for devices in devices.chunks(CHUNK) {
                    let read = facts::facts_of(db, workspace, slot, devices).await?;
                    kept.replace(devices, read);
                }
                kept.unannounced.clear();
                return Ok(kept);
            }
            let mut slot = Slot::read(app, workspace, slot).await?;
            let differing = differing(&kept.facts, &slot.facts);
            let unannounced = differing.filter(|device| !touched.contains(device));
            slot.unannounced = unannounced.cloned().collect();
            return Ok(slot);
        }
        Slot::read(app, workspace, slot).await
    }
}

impl Slot {
    /// Reads all of it.
    async fn read(app: &App, workspace: &WorkspaceId, slot: &SlotName) -> Result<Self, StoreError> {
        let read = Instant::now();
        let mut facts = facts::facts(app.store.read(), workspace, slot).await?;
        // A database may sort as its language does.
        facts.sort_unstable_by(|a, b| a.device.cmp(&b.device));
        Ok(Self {
            facts,
            read,
            unannounced: Vec::new(),
        })
    }

    /// Puts what was read of some devices in the place of what was known of them.
    fn replace(&mut self, devices: &[&DeviceId], read: Vec<DeviceFacts>) {
        let facts = &mut self.facts;
        let there: BTreeSet<DeviceId> = read.iter().map(|facts| facts.device.clone()).collect();
        let gone = |device: &&&DeviceId| !there.contains(**device);
        let gone: BTreeSet<&DeviceId> = devices.iter().filter(gone).copied().collect();
        let mut new = Vec::new();
        for fresh in read {
            match facts.binary_search_by(|known| known.device.cmp(&fresh.device)) {
                Ok(place) => facts[place] = fresh,
                Err(_) => new.push(fresh),
            }
        }
        if !new.is_empty() {
            facts.append(&mut new);
            facts.sort_unstable_by(|a, b| a.device.cmp(&b.device));
        }
        if !gone.is_empty() {
            facts.retain(|known| !gone.contains(&known.device));
        }
    }

    /// Says that devices had changed and nobody announced it, neither before all were read nor since: rollouts were
    /// late by as long as all are read seldom.
    fn say_unannounced(&self, workspace: &WorkspaceId, slot: &SlotName, touched: &Touched) {
        let mut silent = self.unannounced.iter();
        if let Some(device) = silent.find(|device| !touched.contains(device)) {
            let devices = self.unannounced.len();
            tracing::warn!(%workspace, %slot, %device, devices, "devices changed and nobody announced it");
        }
    }
}

/// Devices whose facts are not those that were known; to be heard of again is no difference. Both in the order of ids.
fn differing<'a>(
    known: &'a [DeviceFacts],
    read: &'a [DeviceFacts],
) -> impl Iterator<Item = &'a DeviceId> {
    let differs = |now: &&DeviceFacts| {
        let Ok(place) = known.binary_search_by(|then| then.device.cmp(&now.device)) else {
            return true;
        };
        let then = DeviceFacts {
            last_seen: now.last_seen,
            ..known[place].clone()
        };
        then != **now
    };
    read.iter().filter(differs).map(|facts| &facts.device)
}

#[cfg(test)]
mod tests;
