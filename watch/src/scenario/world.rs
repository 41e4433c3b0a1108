//! What sites and devices of a simulated fleet are like, and what the model they serve says.

use tern_protocol::id::ModelVersion;
use tern_stats::{confidence, histogram::Edges};

use super::noise::Noise;
use crate::hour::{Device, DeviceHour, Site};

/// Features and classes of the simulated model.
pub(super) const FEATURES: usize = 8;
pub(super) const CLASSES: usize = 3;

/// The version that all begin with, and the one that comes.
pub(super) const FIRST: ModelVersion = ModelVersion::FIRST;
pub(super) const SECOND: ModelVersion = FIRST.next();

/// Where the features of each class lie, in standard deviations.
pub(super) const MEANS: [[f32; FEATURES]; CLASSES] = [
    [0.0, 0.5, -0.6, 0.0, 0.3, 0.0, -0.5, 0.2],
    [0.9, -0.5, 0.3, 0.2, -0.3, 0.0, 0.6, 0.0],
    [-0.6, 0.3, 0.9, -0.3, 0.0, 0.0, 0.4, -0.3],
];

/// The usual share of each class, and what it becomes in another mix.
pub(super) const SHARES: [f32; CLASSES] = [0.5, 0.3, 0.2];
pub(super) const OTHER: [f32; CLASSES] = [0.2, 0.35, 0.45];

/// By how much weather moves each feature, in standard deviations.
pub(super) const WEATHER: [f32; FEATURES] = [0.30, 0.20, 0.12, 0.0, 0.10, 0.0, 0.15, 0.05];

/// What is left of weather after an hour: 0.7 after a day.
pub(super) const STAYS: f32 = 0.985;

/// What days and weekends do to each feature.
pub(super) const DAILY: [f32; FEATURES] = [0.35, 0.0, 0.15, 0.30, 0.0, 0.05, 0.0, 0.20];
pub(super) const WEEKEND: [f32; FEATURES] = [0.0, 0.25, 0.0, 0.10, 0.15, 0.0, 0.0, 0.0];

pub(super) struct Simulated {
    pub(super) device: Device,
    pub(super) site: Site,
    pub(super) offsets: [f32; FEATURES],
    pub(super) scale: f32,
    /// Requests in an hour at noon.
    pub(super) traffic: f32,
    pub(super) offline_until: u32,
    pub(super) noise: Noise,
    pub(super) lot: f32,
}

pub(super) struct Weather {
    pub(super) common: f32,
    pub(super) own: [f32; FEATURES],
    pub(super) closes: bool,
    pub(super) noise: Noise,
}

impl Weather {
    pub(super) fn new(seed: u64, site: u64) -> Self {
        let mut noise = Noise::of(seed, site, 1);
        let own = std::array::from_fn(|_| noise.normal());
        Self {
            common: noise.normal(),
            own,
            closes: noise.uniform() < 0.25,
            noise,
        }
    }

    pub(super) fn step(&mut self) {
        let fresh = (1.0 - STAYS * STAYS).sqrt();
        self.common = STAYS * self.common + fresh * self.noise.normal();
        for own in &mut self.own {
            *own = STAYS * *own + fresh * self.noise.normal();
        }
    }
}

impl Simulated {
    pub(super) fn new(device: Device, site: Site, seed: u64) -> Self {
        let mut noise = Noise::of(seed, u64::from(device.0), 5);
        let offsets = std::array::from_fn(|_| 0.25 * noise.normal());
        // One in seven answers a few requests an hour.
        let traffic = if noise.uniform() < 0.15 {
            4.0
        } else {
            50.0 * (0.6 * noise.normal()).exp()
        };
        Self {
            device,
            site,
            offsets,
            scale: 1.0 + 0.08 * noise.normal(),
            traffic: traffic.clamp(2.0, 150.0),
            offline_until: 0,
            lot: noise.uniform(),
            noise,
        }
    }
}

/// A class by lot.
pub(super) fn pick(shares: &[f32; CLASSES], lot: f32) -> usize {
    let whole: f32 = shares.iter().sum();
    let mut left = lot * whole;
    for (class, share) in shares.iter().enumerate() {
        left -= share;
        if left < 0.0 {
            return class;
        }
    }
    CLASSES - 1
}

/// What the model says: linear discriminants, which are the right ones for these classes. A bad version takes `wrong`
/// too much off the third feature.
pub(super) fn answer(row: &[f32; FEATURES], wrong: f32, counted: &mut DeviceHour, edges: &[Edges]) {
    let mut scores = [0.0; CLASSES];
    for (class, score) in scores.iter_mut().enumerate() {
        *score = SHARES[class].ln();
        for (at, value) in row.iter().enumerate() {
            let value = if value.is_nan() { 0.0 } else { *value };
            let value = if at == 2 { value - wrong } else { value };
            *score += MEANS[class][at] * (value - 0.5 * MEANS[class][at]);
        }
    }
    let best = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = scores.iter().map(|score| (score - best).exp()).sum();
    let class = scores.iter().position(|score| *score >= best).unwrap_or(0);
    counted.classes[class] += 1;
    confidence::count(&mut counted.confidence, sum.recip());
    for ((edges, counts), value) in edges.iter().zip(&mut counted.features).zip(row) {
        edges.count(counts, *value);
    }
}
