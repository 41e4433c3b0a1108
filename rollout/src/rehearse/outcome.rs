//! What came of one simulated rollout.

use tern_protocol::rest::Effect;

use super::{
    device::{Has, NEVER},
    world::World,
};

/// How a rollout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Every device that could came to an end.
    Complete,
    /// Harm was proven.
    Stopped,
    /// It asks a person, who does not answer.
    Asking,
    /// Nothing was proven in time, and the plan says to end then.
    RanOut,
    /// The run ended before it did.
    Unfinished,
}

/// What came of one simulated rollout. Times are milliseconds since its start.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// When.
    pub at_ms: u64,
    /// In which stage, from 1.
    pub stage: u32,
    /// The last decision, or the one that stopped it, as a sentence.
    pub sentence: String,
    /// How often a person was asked.
    pub asked: u32,
    /// Devices that were to have the version.
    pub touched: u64,
    /// Devices that served it for good at the end.
    pub confirmed: u64,
    /// Devices that refused the version because of what it is, or served it while it did harm.
    pub harmed: u64,
    /// Hours that devices served it while it did harm, until they were back or the run ended.
    pub harmed_hours: f64,
    /// Bytes that devices fetched.
    pub bytes: u64,
    /// Whether it was stopped although the version does no harm.
    pub false_stop: bool,
    /// Whether it was stopped, and the version does harm.
    pub true_stop: bool,
    /// When the version first harmed a device.
    pub first_harm_ms: Option<u64>,
    /// From then to the stop.
    pub harm_to_stop_ms: Option<u64>,
    /// After a stop: devices that served the version then and went back, and when the last one had. Those that are
    /// not heard of any more are none of them.
    pub back: u64,
    /// When the last of them was back.
    pub back_ms: Option<u64>,
    /// After a stop: devices that served the version then and are never back.
    pub never_back: u64,
    /// How far it was: when, and the share of devices that served the version for good.
    pub progress: Vec<(u64, f64)>,
}

/// What is known of how it ended.
pub(super) struct Ending {
    pub(super) end: End,
    pub(super) stage: u32,
    pub(super) sentence: Option<String>,
    pub(super) asked: u32,
    pub(super) touched: u64,
    pub(super) confirmed: u64,
    pub(super) goes_back: bool,
}

impl Outcome {
    pub(super) fn of(world: &mut World, effect: &Effect, ending: Ending) -> Self {
        let now = world.now;
        let since = |at: i64| (at - super::world::MORNING).max(0).unsigned_abs();
        let (mut harmed, mut hours, mut bytes) = (world.refused, 0.0, 0);
        let (mut back, mut last, mut never_back) = (0, None, 0);
        for index in 0..world.devices.len() as u32 {
            let (has, harm) = {
                let device = &world.devices[index as usize];
                bytes += u64::from(device.fetched);
                (device.has, device.harm)
            };
            let is_harmed = harm != NEVER && harm <= now;
            harmed += u64::from(is_harmed);
            let until = if !ending.goes_back {
                now
            } else if has != Has::Version {
                continue;
            } else if let Some(at) = world.back(index) {
                back += 1;
                last = last.max(Some(since(at)));
                at
            } else {
                never_back += 1;
                now
            };
            if is_harmed {
                hours += (until - harm) as f64 / 3_600_000.0;
            }
        }
        let stopped = ending.end == End::Stopped;
        let first = (world.first_harm <= now).then(|| since(world.first_harm));
        let mut progress = std::mem::take(&mut world.progress);
        let done = ending.confirmed as f64 / world.devices.len().max(1) as f64;
        progress.push((world.passed(), done));
        Self {
            end: ending.end,
            at_ms: world.passed(),
            stage: ending.stage,
            sentence: ending.sentence.unwrap_or_default(),
            asked: ending.asked,
            touched: ending.touched,
            confirmed: ending.confirmed,
            harmed,
            harmed_hours: hours,
            bytes: bytes * world.bytes(),
            false_stop: stopped && !effect.is_harm(),
            true_stop: stopped && effect.is_harm(),
            first_harm_ms: first,
            harm_to_stop_ms: first
                .filter(|_| stopped)
                .map(|first| world.passed() - first),
            back,
            back_ms: last,
            never_back,
            progress,
        }
    }
}
