//! Seeded randomness for jitter and sampling; not for secrets.

use std::time::Duration;

use tern_stats::chance;

/// 64 bits of state, good enough to draw samples.
#[derive(Debug, Clone)]
pub struct Chance(chance::Chance);

impl Chance {
    /// The same seed gives the same draws.
    pub fn seeded(seed: u64) -> Self {
        Self(chance::Chance::new(seed))
    }

    /// Seeded by the system, so that devices that start together do not act together.
    pub fn from_system() -> Result<Self, getrandom::Error> {
        getrandom::u64().map(Self::seeded)
    }

    /// Another source, whose draws have nothing to do with those of this one.
    #[must_use]
    pub fn split(&mut self) -> Self {
        Self::seeded(self.0.bits())
    }

    /// From 0 up to but not 1, evenly.
    pub fn unit(&mut self) -> f64 {
        self.0.uniform()
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
