//! What is new of the devices of a rollout. Pure.

use tern_protocol::{
    id::RolloutId,
    reported::ShadowPhase,
    rest::{Refusal, Stage},
    time::WallTime,
};
use tern_rollout::{
    Engine, Place,
    engine::Arm,
    event::{Event, Index, Joined, Reason, Why},
};

use crate::fleet::facts::{DeviceFacts, Target};

/// A device as a rollout looks at it.
#[derive(Debug, Clone, Copy)]
pub(in crate::rollout) struct Seen<'a> {
    /// The device and its slot.
    pub(in crate::rollout) facts: &'a DeviceFacts,
    /// Whether it matches the selector.
    pub(in crate::rollout) selected: bool,
    /// Whether a rollout that outranks this one has it.
    pub(in crate::rollout) taken: bool,
    /// Where the engine has it, if it ever joined: asked once a look.
    pub(in crate::rollout) index: Option<Index>,
}

/// Events that say what the engine does not know yet.
pub(super) fn observe(
    engine: &Engine,
    id: RolloutId,
    target: &Target,
    seen: &[Seen<'_>],
) -> Vec<Event> {
    let mut events = Vec::new();
    let mut here = 0;
    for one in seen {
        let index = one.index;
        let is_in = index.is_some_and(|index| engine.is_in(index));
        if one.selected && !one.taken {
            here += 1;
            if !is_in {
                events.push(joined(one.facts));
            }
            if let Some(index) = index {
                moved(engine, index, id, target, one.facts, &mut events);
            }
        } else if let Some(index) = index
            && is_in
        {
            let why = if one.taken {
                Why::Taken
            } else {
                Why::Unselected
            };
            events.push(Event::Left(index, why));
        }
    }
    let joining = events
        .iter()
        .filter(|event| matches!(event, Event::Joined(_)));
    let leaving = events
        .iter()
        .filter(|event| matches!(event, Event::Left(..)));
    let known = engine.counts().selected + joining.count() as u64 - leaving.count() as u64;
    if known > here {
        gone(engine, seen, &mut events);
    }
    events
}

/// Devices that are not in the fleet any more.
fn gone(engine: &Engine, seen: &[Seen<'_>], events: &mut Vec<Event>) {
    let mut there = vec![false; engine.len()];
    for one in seen {
        if let Some(index) = one.index {
            there[index.0 as usize] = true;
        }
    }
    for (index, there) in there.into_iter().enumerate() {
        let index = Index(index as u32);
        if !there && engine.is_in(index) {
            events.push(Event::Left(index, Why::Unselected));
        }
    }
}

fn joined(facts: &DeviceFacts) -> Event {
    let platform = match facts.platform.as_str() {
        "" => "unknown",
        platform => platform,
    };
    Event::Joined(Box::new(Joined {
        device: facts.device.clone(),
        site: facts.site.clone(),
        platform: platform.to_owned(),
        zone: facts.labels.get("zone").cloned(),
    }))
}

/// How far a device came.
fn moved(
    engine: &Engine,
    index: Index,
    id: RolloutId,
    target: &Target,
    facts: &DeviceFacts,
    events: &mut Vec<Event>,
) {
    let Some(place) = engine.place(index) else {
        return;
    };
    if !place.is_admitted() {
        return;
    }
    if engine.is_shadowed(index) {
        return shadowed(index, place, id, facts, events);
    }
    let assigned = facts.assigned.as_ref();
    let ours = assigned.is_some_and(|assigned| assigned.rollout == id);
    if !ours || place == Place::Waiting {
        return;
    }
    let bundle = target.bundle.digest;
    if let Some(serving) = facts.serving.filter(|serving| serving.bundle == bundle) {
        let event = if serving.weights != target.weights {
            // It answers requests with something that nobody published.
            Event::Refused(index, Reason(Refusal::DigestMismatch))
        } else if facts.stage == Some(Stage::Confirmed) {
            Event::Confirmed(index)
        } else {
            Event::Serving(index)
        };
        let known = match event {
            Event::Confirmed(_) => place == Place::Confirmed,
            Event::Serving(_) => matches!(place, Place::Serving | Place::Confirmed | Place::Lost),
            _ => matches!(place, Place::Failed(_)),
        };
        if !known {
            events.push(event);
        }
        return;
    }
    let refused = facts.refused.as_ref();
    let refused = refused.filter(|refused| refused.bundle == bundle && facts.answered);
    if let Some(refused) = refused {
        if !matches!(place, Place::Failed(_)) {
            let reason = refused.reason.unwrap_or(Refusal::NotLoadable);
            events.push(Event::Refused(index, Reason(reason)));
        }
        return;
    }
    let underway = facts
        .underway
        .is_some_and(|underway| underway.bundle == bundle);
    if place == Place::Admitted && (underway || facts.answered) {
        events.push(Event::Heard(index));
    }
}

/// How far a device came that is to run the version beside what serves.
fn shadowed(
    index: Index,
    place: Place,
    id: RolloutId,
    facts: &DeviceFacts,
    events: &mut Vec<Event>,
) {
    let wanted = facts.shadow.wanted.as_ref();
    let ours = wanted.is_some_and(|wanted| wanted.rollout == id);
    let Some(reported) = facts.shadow.reported.as_ref().filter(|_| ours) else {
        return;
    };
    match reported.phase {
        ShadowPhase::Running if place != Place::Confirmed => events.push(Event::Confirmed(index)),
        ShadowPhase::Rejected if !matches!(place, Place::Failed(_) | Place::Waiting) => {
            let word = reported.text.split(": ").next().unwrap_or_default();
            let reason = Refusal::from_word(word).unwrap_or(Refusal::NotLoadable);
            events.push(Event::Refused(index, Reason(reason)));
        }
        ShadowPhase::Fetching
        | ShadowPhase::Verified
        | ShadowPhase::Vetted
        | ShadowPhase::Unsigned
            if place == Place::Admitted =>
        {
            events.push(Event::Heard(index));
        }
        _ => {}
    }
}

/// Those of the control that were heard of since they are listened for.
pub(super) fn listened(
    engine: &Engine,
    of: impl Fn(Index) -> Option<(bool, WallTime)>,
) -> Vec<Event> {
    let heard = engine
        .listened()
        .filter(|(index, since)| of(*index).is_some_and(|(online, last)| online || last >= *since));
    heard.map(|(index, _)| Event::Heard(index)).collect()
}

/// Whether a device is one of the control that keeps what it has.
pub(super) fn is_control(engine: &Engine, index: Index) -> bool {
    engine.arm(index) == Some(Arm::Control) && !engine.place(index).is_some_and(Place::is_admitted)
}
