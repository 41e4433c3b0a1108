//! Seeded randomness for jitter and sampling; not for secrets.

use std::time::Duration;

/// `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA
/// 2014): 64 bits of state, good enough to draw samples, and no crate.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The same seed gives the same draws.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Seeded by the system, so that devices that start together do not act together.
    pub fn from_system() -> Result<Self, getrandom::Error> {
        getrandom::u64().map(Self)
    }

    /// Another source, whose draws have nothing to do with those of this one.
    #[must_use]
    pub fn split(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to but not 1, evenly.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with this probability.
    pub fn hits(&mut self, probability: f32) -> bool {
        self.unit() < f64::from(probability)
    }

    /// Between half of `wait` and all of it.
    pub fn jitter(&mut self, wait: Duration) -> Duration {
        wait.mul_f64(0.5 + self.unit() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_even() {
        let mut chance = Chance::seeded(1);
        let hits = (0..10_000).filter(|_| chance.hits(0.25)).count();
        assert!((2300..2700).contains(&hits), "{hits} of 10000");
        assert!(!chance.hits(0.0) && chance.hits(1.0));
    }
}
