use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::*;

const ALPHA: f64 = 0.05;

/// A fleet in which each device has a rate of errors of its own, one window of twenty inferences after the other.
struct Fleet {
    devices: usize,
    windows: u64,
    /// What the new version adds to the rate of a treated device.
    harm: f64,
    /// One in so many treated devices is broken by it; none at 0.
    breaks: u32,
}

impl Fleet {
    /// A device's rates, before and after: most are good, some are bad.
    fn rate(rng: &mut StdRng) -> f64 {
        if rng.random_bool(0.2) {
            0.4 * rng.random::<f64>()
        } else {
            0.02
        }
    }

    fn window(rng: &mut StdRng, rate: f64) -> f64 {
        (0..20).filter(|_| rng.random_bool(rate)).count() as f64 / 20.0
    }

    /// After how many windows it is stopped, by the ladder and by a comparison that takes each window for a unit.
    fn run(&self, seed: u64, margin: f64) -> (Option<u64>, Option<u64>) {
        let mut rng = StdRng::seed_from_u64(seed);
        let treated: Vec<f64> = (0..self.devices)
            .map(|index| {
                let broken = self.breaks > 0 && (index as u32).is_multiple_of(self.breaks);
                if broken {
                    1.0
                } else {
                    (Self::rate(&mut rng) + self.harm).min(1.0)
                }
            })
            .collect();
        let control: Vec<f64> = (0..self.devices).map(|_| Self::rate(&mut rng)).collect();
        let (mut sums_t, mut sums_c) = (vec![0.0; self.devices], vec![0.0; self.devices]);
        let mut ladder = Ladder::new(margin);
        let (mut naive_t, mut naive_c) = (Levels::default(), Levels::default());
        let (mut by_ladder, mut by_windows) = (None, None);
        let wanted = -ALPHA.ln();
        for windows in 1..=self.windows {
            for device in 0..self.devices {
                let (t, c) = (
                    Self::window(&mut rng, treated[device]),
                    Self::window(&mut rng, control[device]),
                );
                naive_t.add(t);
                naive_c.add(c);
                sums_t[device] += t;
                sums_c[device] += c;
                let (t, c) = (
                    sums_t[device] / windows as f64,
                    sums_c[device] / windows as f64,
                );
                ladder.treated(windows, t);
                ladder.control(windows, c);
                ladder.pair(windows, t, c);
                // Each device that reaches a rung is a moment at which one may look; some are enough here.
                let look = device % 4 == 3;
                if look && by_ladder.is_none() && rung(windows).is_some() && ladder.harm() >= wanted
                {
                    by_ladder = Some(windows);
                }
            }
            if by_windows.is_none() && compare::larger(&naive_t, &naive_c, margin) >= wanted {
                by_windows = Some(windows);
            }
        }
        (by_ladder, by_windows)
    }
}

#[test]
fn the_same_few_devices_fool_whoever_counts_windows_and_not_the_ladder() {
    const FLEETS: u64 = 300;
    let fleet = Fleet {
        devices: 12,
        windows: 64,
        harm: 0.0,
        breaks: 0,
    };
    let (mut by_ladder, mut by_windows) = (0, 0);
    for seed in 0..FLEETS {
        let (ladder, windows) = fleet.run(seed, 0.01);
        by_ladder += u64::from(ladder.is_some());
        by_windows += u64::from(windows.is_some());
    }
    println!("{by_ladder} and {by_windows} of {FLEETS}");
    assert!(by_ladder as f64 <= ALPHA * FLEETS as f64, "{by_ladder}");
    // Which is why there is a ladder.
    assert!(by_windows as f64 > ALPHA * FLEETS as f64, "{by_windows}");
}

#[test]
fn harm_is_found_by_few_devices() {
    let found = |fleet: &Fleet| {
        let runs: Vec<_> = (0..40).map(|seed| fleet.run(seed, 0.01).0).collect();
        let stopped: Vec<u64> = runs.into_iter().flatten().collect();
        (
            stopped.len(),
            stopped.iter().sum::<u64>() as f64 / stopped.len().max(1) as f64,
        )
    };
    let all_worse = found(&Fleet {
        devices: 20,
        windows: 16,
        harm: 0.3,
        breaks: 0,
    });
    let some_broken = found(&Fleet {
        devices: 120,
        windows: 16,
        harm: 0.0,
        breaks: 4,
    });
    println!("{all_worse:?} {some_broken:?}");
    assert!(all_worse.0 >= 38, "{all_worse:?}");
    assert!(some_broken.0 >= 38, "{some_broken:?}");
}

#[test]
fn what_is_no_worse_is_found_safe_by_means_alone() {
    let mut ladder = Ladder::new(0.1);
    for _ in 0..100 {
        for windows in [1, 2, 3, 4] {
            ladder.treated(windows, 0.02);
            ladder.control(windows, 0.02);
            ladder.pair(windows, 0.02, 0.02);
        }
    }
    assert_eq!(ladder.devices(), (100, 100));
    assert!(ladder.safe() > 3.0, "{}", ladder.safe());
    assert!(ladder.harm() < 0.0, "{}", ladder.harm());
    // Nine in ten are well, and the mean is worse by more than the margin all the same.
    let mut ladder = Ladder::new(0.05);
    for device in 0..100 {
        let treated = if device % 10 == 0 { 1.0 } else { 0.0 };
        ladder.treated(1, treated);
        ladder.control(1, 0.0);
        ladder.pair(1, treated, 0.0);
    }
    assert!(ladder.safe() < 0.0, "{}", ladder.safe());
}

#[test]
fn merging_agrees_with_telling_one_of_all() {
    let (mut all, mut left, mut right) = (Ladder::new(0.02), Ladder::new(0.02), Ladder::new(0.02));
    for device in 0..40_u64 {
        let part = if device % 3 == 0 {
            &mut left
        } else {
            &mut right
        };
        for windows in 1..=8 {
            let value = (device * windows % 11) as f64 / 11.0;
            for ladder in [&mut all, &mut *part] {
                ladder.treated(windows, value);
                ladder.control(windows, 1.0 - value);
                ladder.pair(windows, value, 1.0 - value);
            }
        }
    }
    let before = left.harm();
    left.settle(true);
    assert_eq!(left.harm().to_bits(), before.to_bits());
    let mut other_way = right.clone();
    other_way.merge(&left);
    left.merge(&right);
    assert_eq!(left, all);
    assert_eq!(other_way.harm().to_bits(), all.harm().to_bits());
    assert_eq!(rung(0), None);
    assert_eq!(
        (rung(1), rung(3), rung(256), rung(512)),
        (Some(0), None, Some(8), None)
    );
}
