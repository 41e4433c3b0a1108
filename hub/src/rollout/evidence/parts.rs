//! What part a device had in a rollout, for whoever sums up windows by it.

use tern_protocol::{
    id::{DeviceId, ModelName, ModelVersion, SlotName, WorkspaceId},
    rest::Part,
    time::WallTime,
};

use super::{Engines, Running, observe};

/// What is asked about: a device with what served in a slot from a moment on.
#[derive(Debug, Clone, Copy)]
pub struct Seat<'a> {
    /// The device.
    pub device: &'a DeviceId,
    /// The slot.
    pub slot: &'a SlotName,
    /// The model that served.
    pub model: &'a ModelName,
    /// Its version.
    pub version: ModelVersion,
    /// Since when.
    pub opened: WallTime,
}

impl Engines {
    /// The part of each in a rollout that is held in memory: treatment if it served the version, control if it is
    /// watched beside those and did not.
    pub async fn parts<'a>(
        &self,
        workspace: &WorkspaceId,
        seats: impl Iterator<Item = Seat<'a>>,
    ) -> Vec<Option<Part>> {
        let engines = self.lock().await;
        let running: Vec<&Running> = engines
            .iter()
            .filter(|((of, _), _)| of == workspace)
            .map(|(_, running)| running)
            .collect();
        let part = |seat: Seat<'_>| running.iter().find_map(|running| part(running, seat));
        seats.map(part).collect()
    }
}

fn part(running: &Running, seat: Seat<'_>) -> Option<Part> {
    let engine = &running.engine;
    let plan = &engine.setup().plan;
    if plan.slot != *seat.slot {
        return None;
    }
    let index = engine.index(seat.device)?;
    let since = engine.watched(index)?;
    let ours = plan.model == *seat.model && plan.version == Some(seat.version);
    if observe::is_control(engine, index) {
        (!ours && seat.opened >= since).then_some(Part::Control)
    } else {
        ours.then_some(Part::Treatment)
    }
}
