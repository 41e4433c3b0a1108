//! Seeded noise, so that a failure happens again.

use rand::{Rng, SeedableRng, rngs::StdRng};

/// A source of noise.
pub struct Noise(StdRng);

impl Noise {
    /// The source with this seed.
    pub fn seeded(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// Whether something happens that has this chance.
    pub fn happens(&mut self, chance: f64) -> bool {
        self.0.random_bool(chance)
    }

    /// A number that is at most this far from the middle.
    pub fn around(&mut self, middle: f64, far: f64) -> f64 {
        middle + self.0.random_range(-far..=far)
    }

    /// `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill(&mut bytes[..]);
        bytes
    }

    /// 1 to `max` bytes.
    pub fn payload(&mut self, max: usize) -> Vec<u8> {
        let len = self.0.random_range(1..=max);
        self.bytes(len)
    }
}
