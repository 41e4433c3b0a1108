//! Chance of a simulated fleet.

use tern_stats::chance::Chance;

/// Normal random numbers, two at a time.
#[derive(Debug, Clone)]
pub(super) struct Noise {
    chance: Chance,
    kept: Option<f32>,
}

impl Noise {
    /// What belongs to one thing of a fleet: the same for the same seed and the same thing, whoever asks first.
    pub(super) fn of(seed: u64, thing: u64, what: u64) -> Self {
        let mut mixed =
            Chance::new(seed ^ thing.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ what.rotate_left(40));
        Self {
            chance: Chance::new(mixed.bits()),
            kept: None,
        }
    }

    pub(super) fn uniform(&mut self) -> f32 {
        self.chance.uniform() as f32
    }

    /// The polar method: G. Marsaglia and T. Bray, SIAM Review 6(3), 1964.
    pub(super) fn normal(&mut self) -> f32 {
        if let Some(kept) = self.kept.take() {
            return kept;
        }
        loop {
            let (a, b) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = a * a + b * b;
            if square > 0.0 && square < 1.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.kept = Some(b * factor);
                return a * factor;
            }
        }
    }
}
