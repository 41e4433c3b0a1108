//! Seeds from seeds. Called wherever something must be the same again on any machine, with any
//! version of any crate.

use tern_stats::chance::{Chance, STEP};

/// A number that looks random and depends on both: the one with this number, from 0, of the sequence that follows
/// from the seed.
pub fn mix(seed: u64, number: u64) -> u64 {
    Chance::new(seed.wrapping_add(number.wrapping_mul(STEP))).bits()
}

/// The numbers below `len` in an order that depends on the seed alone.
pub fn order(seed: u64, len: usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..len).collect();
    numbers.sort_by_cached_key(|number| mix(seed, *number as u64));
    numbers
}

/// A number from −1 to 1 that depends on the seed alone.
pub fn signed_unit(seed: u64) -> f32 {
    // 24 bits: as many as an f32 holds exactly.
    let bits = mix(seed, 0) >> 40;
    bits as f32 / (1_u32 << 23) as f32 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_on_every_machine() {
        // First three outputs of SplitMix64 with seed 1234567, as in its reference code.
        let outputs = [0, 1, 2].map(|number| mix(1_234_567, number));
        let reference: [u64; 3] = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(outputs, reference);
        assert_eq!(order(7, 5).len(), 5);
        assert_ne!(order(7, 50), order(8, 50));
        assert!((0..1000).all(|seed| signed_unit(seed).abs() <= 1.0));
    }
}
