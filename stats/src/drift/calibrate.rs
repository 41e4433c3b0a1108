//! What a distance is by chance alone: thresholds that come from the model's own reference.
//!
//! A rule such as "PSI above 0.2" is blind to how many values there are and to how much devices of this fleet differ.
//! Here the reference is drawn from again and again, as many values as there will be, and the distance of each draw is
//! noted. With the histograms of many devices, whole devices are drawn (a block bootstrap: B. Efron, "Bootstrap
//! methods: another look at the jackknife", Annals of Statistics 7(1), 1979), so that what devices differ by is in the
//! threshold.

use super::distance::{CountsError, Distance, distance, total};
use crate::chance::{Chance, cumulative};

/// Values drawn at most for one distance. What is beyond follows from how distances shrink: PSI with n, the others
/// with its root.
const DRAWN_MAX: u64 = 2_000;

/// Draws at most; more change the third digit of a threshold.
pub const DRAWS_MAX: u32 = 20_000;

/// Distances that chance alone makes, from the smallest.
#[derive(Debug, Clone, PartialEq)]
pub struct Null(Vec<f64>);

impl Null {
    /// The distance that chance alone reaches with a chance of at most `alpha`; the largest one seen if there were too
    /// few draws to say.
    pub fn threshold(&self, alpha: f64) -> f64 {
        let last = self.0.len() - 1;
        let above = (alpha.clamp(0.0, 1.0) * (last + 2) as f64).floor() as usize;
        self.0[(last + 1).saturating_sub(above.max(1)).min(last)]
    }

    /// The chance that chance alone makes a distance as large; never 0, as B. Phipson and G. Smyth, "Permutation
    /// p-values should never be zero", 2010.
    pub fn p(&self, distance: f64) -> f64 {
        let below = self.0.partition_point(|one| *one < distance);
        (self.0.len() - below + 1) as f64 / (self.0.len() + 1) as f64
    }
}

/// What the distance of `n` independent values from the reference is by chance.
pub fn by_value(
    kind: Distance,
    reference: &[u64],
    n: u64,
    draws: u32,
    seed: u64,
) -> Result<Null, CountsError> {
    distance(kind, reference, reference)?;
    if n == 0 {
        return Err(CountsError::Empty);
    }
    let drawn = n.min(DRAWN_MAX);
    let (sums, mut chance) = (cumulative(reference), Chance::new(seed));
    let (whole, n) = (total(reference) as f64, n as f64);
    // What is beyond the values drawn, and that the reference was drawn once too: it is as far from the truth as its
    // own size makes it.
    let drawn_as = drawn as f64;
    let shrunk = match kind {
        Distance::Psi => drawn_as / n * (1.0 + n / whole),
        Distance::JensenShannon | Distance::KolmogorovSmirnov => {
            (drawn_as / n * (1.0 + n / whole)).sqrt()
        }
        // Taken over both rows already.
        Distance::CramersV => ((whole + drawn_as) / (whole + n)).sqrt(),
    };
    let mut counts = vec![0; reference.len()];
    let mut one = || {
        counts.fill(0);
        chance.multinomial(&sums, drawn, &mut counts);
        distance(kind, reference, &counts).map(|found| found * shrunk)
    };
    sorted((0..draws.clamp(1, DRAWS_MAX)).map(|_| one()).collect())
}

/// What the distance of `devices` devices from all of them together is by chance, when devices are drawn from those
/// known. `known` are the histograms of single devices while all was well.
pub fn by_device(
    kind: Distance,
    known: &[&[u64]],
    devices: usize,
    draws: u32,
    seed: u64,
) -> Result<Null, CountsError> {
    let first = known.first().ok_or(CountsError::Empty)?;
    let mut all = vec![0_u64; first.len()];
    for device in known {
        distance(kind, first, device).or_else(|err| match err {
            CountsError::Empty => Ok(0.0),
            other => Err(other),
        })?;
        add(&mut all, device);
    }
    distance(kind, &all, &all)?;
    let mut chance = Chance::new(seed);
    let mut found = Vec::new();
    for _ in 0..draws.clamp(1, DRAWS_MAX) {
        let mut counts = vec![0; all.len()];
        for _ in 0..devices.max(1) {
            add(&mut counts, known[chance.below(known.len())]);
        }
        // Of devices that were silent nothing is said.
        found.push(distance(kind, &all, &counts).or(Ok(0.0)));
    }
    sorted(found)
}

fn add(sums: &mut [u64], counts: &[u64]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum = sum.saturating_add(*count);
    }
}

fn sorted(found: Vec<Result<f64, CountsError>>) -> Result<Null, CountsError> {
    let mut found = found.into_iter().collect::<Result<Vec<_>, _>>()?;
    found.sort_by(f64::total_cmp);
    Ok(Null(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_reached_as_often_as_it_says() {
        let reference = [500, 1500, 3000, 3000, 1500, 500];
        for kind in [
            Distance::Psi,
            Distance::JensenShannon,
            Distance::KolmogorovSmirnov,
            Distance::CramersV,
        ] {
            let threshold = by_value(kind, &reference, 300, 2_000, 1)
                .unwrap()
                .threshold(0.05);
            let (sums, mut chance) = (cumulative(&reference), Chance::new(99));
            let over = (0..2_000).filter(|_| {
                let mut counts = [0; 6];
                chance.multinomial(&sums, 300, &mut counts);
                distance(kind, &reference, &counts).unwrap() > threshold
            });
            let share = over.count() as f64 / 2_000.0;
            assert!((0.025..0.08).contains(&share), "{kind:?} {share}");
        }
    }

    #[test]
    fn more_values_lower_it_and_devices_that_differ_raise_it() {
        let reference = [100, 200, 300, 400];
        let of = |n| {
            by_value(Distance::Psi, &reference, n, 500, 1)
                .unwrap()
                .threshold(0.01)
        };
        assert!(of(100) > of(1_000) && of(1_000) > of(100_000));
        let devices: [&[u64]; 3] = [&[90, 5, 3, 2], &[10, 20, 30, 40], &[1, 9, 10, 80]];
        let by_device = by_device(Distance::Psi, &devices, 3, 500, 1).unwrap();
        assert!(by_device.threshold(0.05) > 3.0 * of(300));
        assert!(by_device.p(0.0) > 0.99 && by_device.p(99.0) < 0.01);
    }

    #[test]
    fn nothing_is_an_error() {
        assert!(by_value(Distance::Psi, &[0, 0], 10, 10, 1).is_err());
        assert!(by_value(Distance::Psi, &[1, 1], 0, 10, 1).is_err());
        assert!(by_device(Distance::Psi, &[], 10, 10, 1).is_err());
        assert!(by_device(Distance::Psi, &[&[1, 2], &[1]], 10, 10, 1).is_err());
        let one = by_value(Distance::Psi, &[1, 1], 5, 0, 1).unwrap();
        assert!(one.threshold(f64::NAN) >= 0.0 && one.threshold(1.0) >= 0.0);
    }
}
