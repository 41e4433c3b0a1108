use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::*;

/// Paths of each property below, as the promise is made: at least 1 − α of so many.
const PATHS: u64 = 2_000;

const ALPHA: f64 = 0.05;

/// Moments of a path at which somebody looks: often at first, then at each twentieth more.
fn looks(length: u64) -> Vec<u64> {
    let mut looks = vec![1];
    while let Some(last) = looks.last().filter(|last| **last < length) {
        looks.push((last + 1 + last / 20).min(length));
    }
    looks
}

/// How many of the paths leave the interval at any look.
fn misses(
    length: u64,
    truth: f64,
    mut path: impl FnMut(&mut StdRng) -> Box<dyn FnMut(&mut StdRng) -> f64>,
) -> u64 {
    let looks = looks(length);
    let wanted = (2.0 / ALPHA).ln();
    let missed = (0..PATHS).filter(|seed| {
        let mut rng = StdRng::seed_from_u64(*seed);
        let mut next = path(&mut rng);
        let mut levels = Levels::default();
        let mut n = 0;
        looks.iter().any(|look| {
            while n < *look {
                levels.add(next(&mut rng));
                n += 1;
            }
            // The interval contains the truth as long as neither bet against it has won enough.
            above(&levels, truth) >= wanted || below(&levels, truth) >= wanted
        })
    });
    missed.count() as u64
}

#[track_caller]
fn assert_covers(missed: u64) {
    assert!(missed as f64 <= ALPHA * PATHS as f64, "{missed} of {PATHS}");
}

#[test]
fn shares_are_covered_while_one_looks_all_the_time() {
    for truth in [0.004, 0.1, 0.5, 0.97] {
        assert_covers(misses(500, truth, |_| {
            Box::new(move |rng| f64::from(u8::from(rng.random_bool(truth))))
        }));
    }
}

#[test]
fn windows_of_correlated_inferences_are_covered_when_a_window_is_the_unit() {
    // Each window has a rate of its own, between 0 and 0.2, and twenty inferences; counted one by one, ten times
    // as many inferences would seem to say as do.
    assert_covers(misses(300, 0.1, |_| {
        Box::new(|rng| {
            let rate = 0.2 * rng.random::<f64>();
            (0..20).filter(|_| rng.random_bool(rate)).count() as f64 / 20.0
        })
    }));
}

#[test]
fn the_interval_is_where_the_bets_have_not_won_enough() {
    let mut levels = Levels::default();
    levels.add_many(100, 300);
    levels.add_many(300, 300);
    let interval = confidence_sequence(&levels, ALPHA).expect("there are values");
    assert!((interval.mean - 0.2).abs() < 1e-12);
    assert!(interval.low < 0.2 && 0.2 < interval.high, "{interval:?}");
    assert!(interval.high - interval.low < 0.06, "{interval:?}");
    let wanted = (2.0 / ALPHA).ln();
    assert!(above(&levels, interval.low - 1e-5) >= wanted);
    assert!(above(&levels, interval.low + 1e-5) < wanted);
    assert!(below(&levels, interval.high + 1e-5) >= wanted);
    assert!(below(&levels, interval.high - 1e-5) < wanted);
    assert_eq!(confidence_sequence(&Levels::default(), ALPHA), None);
}

#[test]
fn what_cannot_be_is_refuted_and_what_was_not_seen_is_not() {
    let mut levels = Levels::default();
    assert!(above(&levels, 0.3).abs() < 1e-12);
    assert!(above(&levels, 0.0).abs() < 1e-12);
    assert!(above(&levels, -0.1).is_infinite());
    levels.add(0.5);
    assert!(above(&levels, 0.0).is_infinite());
    assert!(below(&levels, 1.0).is_infinite());
    levels.add_many(500, 100_000_000);
    assert!(above(&levels, 0.4).is_finite() && above(&levels, 0.6) < 0.0);
}

#[test]
fn evidence_is_convex_and_falls_with_the_mean_that_is_claimed() {
    let mut levels = Levels::default();
    for (level, count) in [(0, 50), (20, 7), (400, 3), (1000, 1)] {
        levels.add_many(level, count);
    }
    let at: Vec<f64> = (1..=100)
        .map(|k| above(&levels, f64::from(k) / 100.0))
        .collect();
    assert!(at.windows(2).all(|pair| pair[0] >= pair[1]));
    assert!(
        at.windows(3)
            .all(|three| three[0] + three[2] >= 2.0 * three[1] - 1e-9)
    );
}
