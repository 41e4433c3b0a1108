//! What has to be assigned, so that devices have what the engine says. Pure.

use std::collections::HashMap;

use tern_protocol::{
    id::DeviceId,
    rest::{Part, RolloutCounts, RolloutDeviceState},
};
use tern_rollout::{Engine, Place, Wanted, engine::Arm, event::Index};

use super::observe::Seen;
use crate::fleet::shadows::AssignedShadow;
use crate::rollout::{
    plan::{Before, Candidate, Rollout},
    step::{Action, Membership, place, stage},
};

/// What to do for each device.
pub(in crate::rollout) fn actions(
    engine: &Engine,
    rollout: &Rollout,
    seen: &[Seen<'_>],
    before: &HashMap<String, Before>,
) -> Vec<Action> {
    let mut actions = Vec::new();
    for one in seen {
        let Some(index) = one.index else {
            continue;
        };
        let assigned = one.facts.assigned.as_ref();
        let ours = assigned.is_some_and(|assigned| assigned.rollout == rollout.id);
        match engine.wanted(index) {
            Wanted::Version if !ours => actions.push(Action::Assign(one.facts.device.clone())),
            Wanted::Before if ours => {
                if let Some(Before(had)) = before.get(one.facts.device.as_str()) {
                    actions.push(Action::GiveBack(one.facts.device.clone(), had.clone()));
                }
            }
            Wanted::Version | Wanted::Before | Wanted::Shadow | Wanted::AsItIs => {}
        }
    }
    actions
}

/// What to want, or to want no more, beside what serves.
pub(in crate::rollout) fn shadows(
    engine: &Engine,
    rollout: &Rollout,
    seen: &[Seen<'_>],
) -> Vec<(DeviceId, Option<AssignedShadow>)> {
    let plan = &engine.setup().plan;
    let mut shadows = Vec::new();
    for one in seen {
        let index = one.index;
        let wanted = index.map_or(Wanted::AsItIs, |index| engine.wanted(index));
        let is = one.facts.shadow.wanted.as_ref();
        let ours = is.is_some_and(|is| is.rollout == rollout.id);
        match (wanted, index) {
            (Wanted::Shadow, Some(index)) if !ours => {
                let stage = engine.stage_of(index).unwrap_or(0);
                let cpu = plan.stages[stage].shadow_cpu.millionths() / 1_000;
                let shadow = AssignedShadow {
                    target: rollout.target.clone(),
                    rollout: rollout.id,
                    cpu_permille: u16::try_from(cpu).unwrap_or(1_000),
                };
                shadows.push((one.facts.device.clone(), Some(shadow)));
            }
            (Wanted::Shadow, _) => {}
            _ if ours => shadows.push((one.facts.device.clone(), None)),
            _ => {}
        }
    }
    shadows
}

/// Devices by where they are.
pub(in crate::rollout) fn counts(
    engine: &Engine,
    rollout: &Rollout,
    seen: &[Seen<'_>],
) -> RolloutCounts {
    let mut counts = RolloutCounts {
        selected: engine.counts().selected,
        ..RolloutCounts::default()
    };
    for one in seen {
        let Some(index) = one.index.filter(|index| engine.is_in(*index)) else {
            continue;
        };
        if membership(engine, index) != Membership::InShare {
            continue;
        }
        counts.targeted += 1;
        let candidate = Candidate {
            facts: one.facts,
            before: None,
            claimed: false,
        };
        if let Some(stage) = stage(rollout, &candidate) {
            counts.stages.add(stage);
        }
        match place(rollout, &candidate, Membership::InShare).state {
            RolloutDeviceState::Waiting => {}
            RolloutDeviceState::Assigned => counts.assigned += 1,
            RolloutDeviceState::InProgress => counts.in_progress += 1,
            RolloutDeviceState::Serving => counts.serving += 1,
            RolloutDeviceState::Failed => counts.failed += 1,
        }
    }
    counts
}

/// Whether it is a device's turn.
pub(in crate::rollout) fn membership(engine: &Engine, index: Index) -> Membership {
    match engine.place(index) {
        None => Membership::Outside,
        Some(Place::Outside | Place::Pending) => Membership::Waiting,
        Some(_) => Membership::InShare,
    }
}

/// What part a device has.
pub(in crate::rollout) fn part(engine: &Engine, index: Index) -> Option<Part> {
    engine.arm(index).map(|arm| match arm {
        Arm::Treatment => Part::Treatment,
        Arm::Control => Part::Control,
        Arm::Last => Part::Last,
        Arm::Ignored => Part::Ignored,
    })
}
