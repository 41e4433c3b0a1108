//! Random numbers that follow from a seed, for resampling: the same seed gives the same thresholds everywhere.
//!
//! Not for secrets, and not for drawing who gets what.

/// What the state grows by with each number: 2^64 over the golden ratio.
pub const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// `SplitMix64`: G. Steele, D. Lea and C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// A sequence that follows from the seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to but not 1.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number below `n`; 0 if `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((self.uniform() * n as f64) as usize).min(n.saturating_sub(1))
    }

    /// Adds `n` draws in proportion to `shares` to `counts`. `cumulative` is the running sum of the shares and may end
    /// at any positive number.
    pub(crate) fn multinomial(&mut self, cumulative: &[f64], n: u64, counts: &mut [u64]) {
        let Some(whole) = cumulative.last().copied() else {
            return;
        };
        for _ in 0..n {
            let at = self.uniform() * whole;
            let place = cumulative.partition_point(|sum| *sum <= at);
            if let Some(count) = counts.get_mut(place.min(cumulative.len() - 1)) {
                *count += 1;
            }
        }
    }
}

/// Running sums of counts.
pub(crate) fn cumulative(counts: &[u64]) -> Vec<f64> {
    let mut sum = 0.0;
    let running = counts.iter().map(|count| {
        sum += *count as f64;
        sum
    });
    running.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_spread_as_they_should_be() {
        let mut chance = Chance::new(3);
        let mut counts = [0; 4];
        chance.multinomial(&cumulative(&[1, 0, 2, 1]), 40_000, &mut counts);
        assert_eq!(counts[1], 0);
        assert!((counts[2] as f64 / 40_000.0 - 0.5).abs() < 0.01);
        assert_eq!(counts.iter().sum::<u64>(), 40_000);
        assert_eq!(chance.below(0), 0);
        assert!((0..1000).all(|_| chance.below(7) < 7));
        chance.multinomial(&[], 4, &mut counts);
    }
}
