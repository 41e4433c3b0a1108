//! Chance: what is drawn for a device whenever it is asked again, and what is drawn once.

use rand::{Rng as _, rngs::StdRng};

/// Up to this expected number a binomial is drawn exactly; above it the normal distribution is nearer than what is
/// drawn is later rounded to.
const EXACT: f64 = 30.0;

/// A number between 0 and 1 that depends on these only: the finaliser of `SplitMix64` over a counter, as G. Steele,
/// D. Lea and C. Flood describe it ("Fast splittable pseudorandom number generators", OOPSLA 2014). So that what a
/// device is like need not be stored, and does not depend on who asked first.
pub(super) fn uniform(seed: u64, device: u32, what: u32) -> f64 {
    let counter = (u64::from(device) << 32 | u64::from(what)).wrapping_add(1);
    let mixed = |seed: u64| {
        let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        seed ^ (seed >> 31)
    };
    let hash = mixed(mixed(seed).wrapping_add(counter.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    crate::draw::fraction(hash)
}

/// How many of `n` succeed, each with chance `p`.
pub(super) fn binomial(rng: &mut StdRng, n: u64, p: f64) -> u64 {
    if p > 0.5 {
        return n - binomial(rng, n, 1.0 - p);
    }
    let mean = n as f64 * p;
    if mean <= 0.0 {
        return 0;
    }
    if mean > EXACT {
        let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
        // Box and Muller, 1958.
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        let drawn = mean + (mean * (1.0 - p)).sqrt() * normal;
        return drawn.round().clamp(0.0, n as f64) as u64;
    }
    // From no success upwards until the chance is used up.
    let odds = p / (1.0 - p);
    let mut left: f64 = rng.random();
    let mut chance = (1.0 - p).powf(n as f64);
    let mut drawn = 0;
    while left > chance && drawn < n {
        left -= chance;
        drawn += 1;
        chance *= odds * (n - drawn + 1) as f64 / drawn as f64;
    }
    drawn
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn binomials_have_their_mean_and_variance() {
        let mut rng = StdRng::seed_from_u64(1);
        for (n, p) in [(20, 0.02), (20, 0.9), (1_000, 0.01), (5_120, 0.3), (7, 0.0)] {
            let drawn: Vec<f64> = (0..20_000)
                .map(|_| binomial(&mut rng, n, p) as f64)
                .collect();
            let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
            let squares = drawn.iter().map(|one| (one - mean).powi(2));
            let variance = squares.sum::<f64>() / drawn.len() as f64;
            let (expected, wide) = (n as f64 * p, n as f64 * p * (1.0 - p));
            let off = (wide / 20_000.0).sqrt();
            assert!((mean - expected).abs() <= 4.0 * off, "{n} {p}: {mean}");
            assert!(
                (variance - wide).abs() <= 0.06 * wide + 1e-9,
                "{n} {p}: {variance}"
            );
        }
    }

    #[test]
    fn what_a_device_is_like_is_spread_evenly() {
        let drawn = (0..1_000_u32).map(|device| uniform(7, device, 3));
        let mean = drawn.sum::<f64>() / 1_000.0;
        assert!((mean - 0.5).abs() < 0.04, "{mean}");
        assert!((uniform(7, 5, 3) - uniform(7, 5, 3)).abs() < 1e-12);
        assert!((uniform(7, 5, 3) - uniform(8, 5, 3)).abs() > 1e-9);
    }
}
