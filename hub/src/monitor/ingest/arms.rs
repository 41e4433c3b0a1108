//! Which part devices had in rollouts when they predicted what they now tell of.
//!
//! Asked of the rollouts that are held in memory, before anything is written: who looks at those may be waiting for the
//! connection that writes. Of a truth that comes when its rollout is over its capture still knows
//! ([`super::super::rows::write_labels`]).

use tern_protocol::{
    id::{ModelName, ModelVersion, SlotName},
    rest::Part,
    time::{Instant, WallTime},
};

use super::prepare::{Prepared, Ready, ReadyBody};
use crate::{app::App, monitor::repair::Timeline, rollout::Seat};

/// What a prediction was made by, and when.
struct Made {
    /// Which entry of the batch tells of it.
    entry: usize,
    slot: SlotName,
    model: ModelName,
    version: ModelVersion,
    at: Instant,
}

/// Notes the part of each capture and truth of a batch.
pub(super) async fn note(app: &App, batch: &mut Prepared, timeline: &Timeline) {
    let entries = batch.entries.iter().enumerate();
    let made: Vec<Made> = entries.filter_map(|(at, entry)| made(at, entry)).collect();
    if made.is_empty() {
        return;
    }
    let seats = made.iter().map(|made| Seat {
        device: &batch.device,
        slot: &made.slot,
        model: &made.model,
        version: made.version,
        opened: WallTime(timeline.wall(made.at)),
    });
    let parts = app.engines.parts(&batch.workspace, seats).await;
    for (made, part) in made.iter().zip(parts) {
        batch.entries[made.entry].arm = match part {
            Some(part @ (Part::Treatment | Part::Control)) => part.word(),
            Some(Part::Last | Part::Ignored) | None => "",
        };
    }
}

fn made(entry: usize, of: &Ready) -> Option<Made> {
    Some(match &of.body {
        ReadyBody::Capture(capture) => Made {
            entry,
            slot: capture.slot.parse().ok()?,
            model: capture.model.parse().ok()?,
            version: u32::try_from(capture.version)
                .ok()
                .and_then(ModelVersion::new)?,
            at: of.at,
        },
        ReadyBody::Label(label) => Made {
            entry,
            slot: label.slot.clone(),
            model: label.model.clone(),
            version: label.version,
            at: label.predicted_at,
        },
        ReadyBody::Number(label) => Made {
            entry,
            slot: label.slot.clone(),
            model: label.model.clone(),
            version: label.version,
            at: label.predicted_at,
        },
        _ => return None,
    })
}
