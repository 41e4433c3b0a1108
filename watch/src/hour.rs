//! What the engine is told: what each device did in one hour.

use minicbor::{Decode, Encode};
use tern_protocol::{id::ModelVersion, window::FeatureCounts};

/// Hours since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Hour(#[n(0)] pub u32);

impl Hour {
    /// Days since 1970-01-01 UTC.
    pub const fn day(self) -> u32 {
        self.0 / 24
    }

    /// The hour before.
    pub(crate) const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// Hour of the day, 0 to 23, in UTC: what comes daily comes at the same one, wherever it is.
    pub const fn of_day(self) -> usize {
        (self.0 % 24) as usize
    }

    /// The first hour of a day.
    pub const fn first(day: u32) -> Self {
        Self(day.saturating_mul(24))
    }
}

/// A device, by a number that the caller keeps for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Device(#[n(0)] pub u32);

/// A site, by a number that the caller keeps for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Site(#[n(0)] pub u32);

/// What one device did in one hour with one version: merged windows.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct DeviceHour {
    /// The device.
    #[n(0)]
    pub device: Device,
    /// Where it was.
    #[n(1)]
    pub site: Site,
    /// What served.
    #[n(2)]
    pub version: ModelVersion,
    /// Inferences answered.
    #[n(3)]
    pub inferences: u64,
    /// Requests that got an error.
    #[n(4)]
    pub errors: u64,
    /// Predictions of each class; empty unless a classifier.
    #[n(5)]
    pub classes: Vec<u64>,
    /// Predictions by confidence; empty unless a classifier.
    #[n(6)]
    pub confidence: Vec<u64>,
    /// One histogram a feature on the bins of the version's reference.
    #[n(7)]
    pub features: Vec<FeatureCounts>,
    /// Of each feature, values that were the same as so many before that the sensor must be stuck; empty if devices do
    /// not say.
    #[n(8)]
    #[cbor(default)]
    pub stuck: Vec<u64>,
}

impl DeviceHour {
    /// Adds what the same device did with the same version in the same hour. Order never matters: whole numbers are
    /// added, and rows of other lengths become as long as the longer.
    pub fn merge(&mut self, other: &Self) {
        self.inferences = self.inferences.saturating_add(other.inferences);
        self.errors = self.errors.saturating_add(other.errors);
        add(&mut self.classes, &other.classes);
        add(&mut self.confidence, &other.confidence);
        add(&mut self.stuck, &other.stuck);
        let longer = self.features.len().max(other.features.len());
        self.features.resize_with(longer, FeatureCounts::default);
        for (own, other) in self.features.iter_mut().zip(&other.features) {
            add(&mut own.0, &other.0);
        }
    }
}

fn add(own: &mut Vec<u64>, other: &[u64]) {
    own.resize(own.len().max(other.len()), 0);
    for (own, other) in own.iter_mut().zip(other) {
        *own = own.saturating_add(*other);
    }
}
