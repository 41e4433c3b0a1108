//! Which devices are known, so that their number is bounded before anything of theirs is stored.

use std::collections::HashMap;

use tern_protocol::{
    id::{DeviceId, WorkspaceId},
    time::WallTime,
};

use crate::{
    fleet::{self, DEVICES_MAX},
    store::{Store, StoreError},
};

/// How often the fleet is told that a device which only sends telemetry is alive, in milliseconds.
/// It costs a row; pages show when a device was last heard of to about this.
const TELL_EVERY: i64 = 10_000;

/// The known devices of each workspace, with the time when the fleet was last told of them.
#[derive(Debug, Default)]
pub(super) struct Roster(HashMap<WorkspaceId, HashMap<DeviceId, WallTime>>);

/// What to do with a message of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Handle it.
    Known,
    /// Handle it, and tell the fleet that the device is alive.
    Due,
    /// There is no such workspace.
    NoWorkspace,
    /// The workspace has as many devices as it may have.
    Full,
}

impl Roster {
    pub(super) async fn load(store: &Store) -> Result<Self, StoreError> {
        let mut roster = Self::default();
        roster.add_new(store).await?;
        Ok(roster)
    }

    /// Takes in the workspaces that were made since.
    pub(super) async fn add_new(&mut self, store: &Store) -> Result<(), StoreError> {
        for workspace in fleet::workspaces(store).await? {
            if self.0.contains_key(&workspace) {
                continue;
            }
            let ids = fleet::device_ids(store, &workspace).await?;
            let devices = ids.into_iter().map(|id| (id, WallTime(0))).collect();
            self.0.insert(workspace, devices);
        }
        Ok(())
    }

    pub(super) fn workspaces(&self) -> impl Iterator<Item = &WorkspaceId> {
        self.0.keys()
    }

    pub(super) fn admit(
        &mut self,
        workspace: &WorkspaceId,
        device: &DeviceId,
        now: WallTime,
    ) -> Admission {
        let Some(devices) = self.0.get_mut(workspace) else {
            return Admission::NoWorkspace;
        };
        let Some(told) = devices.get_mut(device) else {
            if devices.len() >= DEVICES_MAX {
                return Admission::Full;
            }
            devices.insert(device.clone(), now);
            return Admission::Due;
        };
        if (0..TELL_EVERY).contains(&now.0.saturating_sub(told.0)) {
            return Admission::Known;
        }
        *told = now;
        Admission::Due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_told_of_now_and_then() {
        let workspace: WorkspaceId = "default".parse().expect("a name");
        let device: DeviceId = "a".parse().expect("a name");
        let mut roster = Roster(HashMap::from([(workspace.clone(), HashMap::new())]));
        let mut admit = |ms| roster.admit(&workspace, &device, WallTime(ms));
        assert_eq!(admit(1_000), Admission::Due);
        assert_eq!(admit(2_000), Admission::Known);
        assert_eq!(admit(11_000), Admission::Due);
        assert_eq!(
            admit(500),
            Admission::Due,
            "a clock that was set back does not silence it"
        );
        let other: WorkspaceId = "other".parse().expect("a name");
        assert_eq!(
            roster.admit(&other, &device, WallTime(0)),
            Admission::NoWorkspace
        );
    }
}
