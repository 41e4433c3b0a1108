use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::*;
use crate::betting::above;

const ALPHA: f64 = 0.05;
const PATHS: u64 = 2_000;

/// How many of these seeded paths are ever stopped, of two groups with these chances, looked at after every ten
/// values of each.
fn stopped(paths: u64, looks: u64, treated: f64, control: f64, margin: f64) -> (u64, f64) {
    let (mut stopped, mut delays) = (0, 0);
    for seed in 0..paths {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut t, mut c) = (Levels::default(), Levels::default());
        let look = (1..=looks).find(|_| {
            for _ in 0..10 {
                t.add(f64::from(u8::from(rng.random_bool(treated))));
                c.add(f64::from(u8::from(rng.random_bool(control))));
            }
            larger(&t, &c, margin) >= -ALPHA.ln()
        });
        if let Some(look) = look {
            stopped += 1;
            delays += 10 * look;
        }
    }
    (stopped, delays as f64 / stopped.max(1) as f64)
}

#[test]
fn what_is_no_worse_is_hardly_ever_stopped_however_often_one_looks() {
    for (treated, control, margin) in [(0.02, 0.02, 0.0), (0.5, 0.5, 0.0), (0.12, 0.1, 0.02)] {
        let (stopped, _) = stopped(PATHS, 30, treated, control, margin);
        assert!(
            stopped as f64 <= ALPHA * PATHS as f64,
            "{stopped} of {PATHS} at {treated}"
        );
    }
}

#[test]
fn what_is_worse_is_stopped_soon() {
    let (all, delay) = stopped(100, 100, 0.3, 0.05, 0.01);
    assert_eq!(all, 100);
    assert!(delay < 150.0, "{delay}");
}

#[test]
fn the_difference_contains_what_is_and_narrows() {
    let mut widths = Vec::new();
    for times in [1, 10, 100] {
        let (mut t, mut c) = (Levels::default(), Levels::default());
        t.add_many(0, 80 * times);
        t.add_many(1000, 20 * times);
        c.add_many(0, 90 * times);
        c.add_many(1000, 10 * times);
        let found = difference(&t, &c, ALPHA).expect("both have values");
        assert!((found.mean - 0.1).abs() < 1e-12);
        assert!(found.low < 0.1 && 0.1 < found.high, "{found:?}");
        widths.push(found.high - found.low);
        assert_eq!(difference(&t, &Levels::default(), ALPHA), None);
    }
    assert!(widths[0] > widths[1] && widths[1] > widths[2], "{widths:?}");
    assert!(widths[2] < 0.05, "{widths:?}");
}

#[test]
fn both_ways_cannot_be_refuted_at_once() {
    let (mut t, mut c) = (Levels::default(), Levels::default());
    t.add_many(100, 400);
    c.add_many(100, 400);
    t.add_many(900, 40);
    c.add_many(900, 20);
    for margin in [-0.1, 0.0, 0.1] {
        let (more, less) = (larger(&t, &c, margin), not_larger(&t, &c, margin));
        assert!(more.min(less) <= 0.0, "{margin}: {more} {less}");
    }
    assert!(not_larger(&t, &c, 0.3) > 3.0 && larger(&t, &c, -0.3) > 3.0);
}

#[test]
fn the_least_of_a_convex_function_is_found_also_at_an_end_and_never_overstated() {
    let near = |function: fn(f64) -> (f64, f64), low: f64, expected: f64| {
        let at = |x: f64| {
            let (value, slope) = function(x);
            At { value, slope }
        };
        for guesses in [[0.0, 1.0], [0.29, 0.31], [-3.0, 7.0]] {
            let found = least(at, low, 1.0, guesses);
            assert!(
                found <= expected + 1e-12 && found > expected - 2.0 * CLOSE,
                "{found} {expected}"
            );
        }
    };
    near(|x| ((x - 0.3) * (x - 0.3), 2.0 * (x - 0.3)), 0.0, 0.0);
    near(
        |x| (1e4 * (x - 0.3).powi(4), 4e4 * (x - 0.3).powi(3)),
        0.0,
        0.0,
    );
    near(|x| ((x - 0.3).abs(), (x - 0.3).signum()), 0.0, 0.0);
    near(|x| (x, 1.0), 0.25, 0.25);
    near(|x| (1.0 - x, -1.0), 0.0, 0.0);
    near(|x| (x + 0.01 / x, 1.0 - 0.01 / (x * x)), 0.0, 0.2);
}

#[test]
fn what_is_found_is_the_least_of_both_bets() {
    let (mut t, mut c) = (Levels::default(), Levels::default());
    for level in 0..300 {
        t.add_many(level, u64::from(400 - level));
        c.add_many(level / 2, u64::from(300 - level));
    }
    for margin in [-0.2, 0.0, 0.01, 0.9] {
        let mirrored = c.mirrored();
        let won = |c: f64| above(&t, c + margin) + above(&mirrored, 1.0 - c);
        let places = (0..=20_000).map(|k| f64::from(k) / 20_000.0);
        let by_hand = places
            .filter(|c| c + margin >= 0.0)
            .map(won)
            .fold(f64::INFINITY, f64::min);
        let found = larger(&t, &c, margin);
        assert!(
            found <= by_hand + 1e-9 && (found - by_hand).abs() < 0.01 + 1e-4 * by_hand.abs(),
            "{margin}: {found} {by_hand}"
        );
    }
}
