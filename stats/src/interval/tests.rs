use proptest::prelude::*;

use super::*;

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 5e-4
}

#[test]
fn known_answers() {
    // R: binom::binom.wilson(8, 10) gives 0.4901625 to 0.9433178, (0, 10) 0 to 0.2775328.
    let eight = wilson(8, 10, Z_95).unwrap();
    assert!(
        near(eight.low, 0.490_162) && near(eight.high, 0.943_318),
        "{eight:?}"
    );
    let none = wilson(0, 10, Z_95).unwrap();
    assert!(none.low == 0.0 && near(none.high, 0.277_533), "{none:?}");
    assert_eq!(wilson(0, 0, Z_95), None);
    assert_eq!(hajek([]), None);
}

#[test]
fn equal_probabilities_give_the_plain_share() {
    for probability in [1.0, 0.01] {
        let found = hajek((0..40).map(|i| (i % 4 != 0, probability))).unwrap();
        let plain = wilson(30, 40, Z_95).unwrap();
        assert!(
            near(found.mean, plain.mean) && near(found.low, plain.low),
            "{found:?}"
        );
        assert_eq!(found.n, 40);
    }
}

#[test]
fn weights_undo_the_choice_of_what_was_captured() {
    // 1,000 answers, 100 unsure ones with 60 right, 900 sure ones with 891 right and 1 in 10 kept.
    let unsure = (0..100).map(|i| (i < 60, 1.0));
    let sure = (0..90).map(|i| (i != 0, 0.1));
    let found = hajek(unsure.chain(sure)).unwrap();
    assert!(near(found.mean, 0.95), "{found:?}");
    assert!(found.low < 0.93 && found.high > 0.96, "{found:?}");
}

#[test]
fn a_few_heavy_samples_that_agree_do_not_make_it_sure() {
    let heavy = (0..5).map(|_| (true, 0.01));
    let light = (0..50).map(|i| (i % 2 == 0, 1.0));
    let found = hajek(heavy.chain(light)).unwrap();
    assert!(found.mean > 0.94 && found.low < 0.62, "{found:?}");
}

#[test]
fn probabilities_from_outside_are_bounded() {
    let bad = [f64::NAN, 0.0, -1.0, f64::NEG_INFINITY];
    assert_eq!(hajek(bad.map(|p| (true, p))), None);
    let one_liar = [(false, 1e-300)].into_iter();
    let found = hajek(one_liar.chain((0..99).map(|_| (true, 0.01)))).unwrap();
    assert!(found.high > 0.8 && found.mean > 0.49, "{found:?}");
}

/// A generator of the test's own, so that it needs no crate and always tells the same story.
fn unit(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[test]
fn the_interval_covers_the_truth_as_often_as_it_says() {
    let mut state = 7;
    for (keep, answers) in [(0.01, 4_000), (0.1, 1_000), (1.0, 200)] {
        let mut covered = 0;
        let rounds = 400;
        for _ in 0..rounds {
            let mut sums = Weighted::default();
            for _ in 0..answers {
                // One answer in ten is unsure and right 6 times in 10, the others 97 in 100.
                let unsure = unit(&mut state) < 0.1;
                let right = unit(&mut state) < if unsure { 0.6 } else { 0.97 };
                let probability = if unsure { 1.0 } else { keep };
                if unit(&mut state) < probability {
                    sums.add(right, probability);
                }
            }
            let truth = 0.1 * 0.6 + 0.9 * 0.97;
            let found = sums.estimate(Z_95).unwrap();
            covered += u32::from(found.low <= truth && truth <= found.high);
        }
        assert!(
            covered * 100 >= rounds * 93,
            "{covered} of {rounds} with {keep}"
        );
    }
}

proptest! {
    #[test]
    fn a_share_lies_in_its_interval_and_merging_is_adding(
        samples in prop::collection::vec((any::<bool>(), 1e-3_f64..=1.0), 1..80),
        cut: prop::sample::Index,
    ) {
        let found = hajek(samples.iter().copied()).unwrap();
        prop_assert!(0.0 <= found.low && found.low <= found.mean);
        prop_assert!(found.mean <= found.high && found.high <= 1.0);
        let (left, right) = samples.split_at(cut.index(samples.len()));
        let mut sums = Weighted::default();
        for part in [left, right] {
            let mut other = Weighted::default();
            for (right, probability) in part {
                other.add(*right, *probability);
            }
            sums.merge(&other);
        }
        let merged = sums.estimate(Z_95).unwrap();
        prop_assert!((merged.low - found.low).abs() < 1e-9);
        prop_assert_eq!(merged.n, samples.len() as u64);
    }

    #[test]
    fn wilson_is_never_beside_its_share(right: u64, n: u64, z in 0.1_f64..6.0) {
        if let Some(found) = wilson(right, n, z) {
            prop_assert!(0.0 <= found.low && found.low <= found.mean);
            prop_assert!(found.mean <= found.high && found.high <= 1.0);
        }
    }
}

/// Sums of devices, each with hits and all.
fn clusters(devices: &[(u64, u64)]) -> Clusters {
    let mut sums = Clusters::default();
    for (hits, all) in devices {
        let (h, a) = (*hits as f64, *all as f64);
        sums.clusters += 1;
        sums.hits += hits;
        sums.all += all;
        sums.hits_squared += h * h;
        sums.hits_by_all += h * a;
        sums.all_squared += a * a;
    }
    sums
}

#[test]
fn one_bad_device_says_less_than_many_that_are_a_little_bad() {
    let one = clusters(&[(100, 100), (0, 100), (0, 100), (0, 100), (0, 100)]).share();
    let all = clusters(&[(20, 100); 5]).share();
    let (one, all) = (one.expect("requests"), all.expect("requests"));
    assert!((one.mean - 0.2).abs() < 1e-12 && (all.mean - 0.2).abs() < 1e-12);
    assert!(one.low < 0.05 && one.high > 0.5, "{one:?}");
    assert!(all.low > 0.1 && all.high < 0.3, "{all:?}");
    assert_eq!(one.n, 500);
    assert_eq!(clusters(&[]).share(), None);
    assert_eq!(clusters(&[(3, 10)]).share(), wilson(3, 10, Z_95));
}

#[test]
fn intervals_over_devices_hold_what_they_promise() {
    // Devices that differ for good: each fails half or nothing of 40 requests, one in five does.
    let mut seed = 7_u64;
    let mut draw = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as f64 / f64::from(1_u32 << 31)
    };
    let mut holds = 0;
    for _ in 0..2_000 {
        let devices: Vec<_> = (0..30)
            .map(|_| (if draw() < 0.2 { 20 } else { 0 }, 40))
            .collect();
        let share = clusters(&devices).share().expect("requests");
        holds += u32::from(share.low <= 0.1 && 0.1 <= share.high);
    }
    assert!(holds > 1_860, "{holds} of 2000");
}

proptest! {
    #[test]
    fn a_share_of_clusters_lies_in_its_interval(devices in prop::collection::vec((0u64..1_000, 0u64..1_000), 0..20)) {
        let devices: Vec<_> = devices.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
        if let Some(share) = clusters(&devices).share() {
            prop_assert!(0.0 <= share.low && share.low <= share.mean);
            prop_assert!(share.mean <= share.high && share.high <= 1.0);
        }
    }
}
