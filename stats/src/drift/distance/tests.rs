use proptest::prelude::*;

use super::*;
use crate::chance::{Chance, cumulative};

const ALL: [Distance; 4] = [
    Distance::Psi,
    Distance::JensenShannon,
    Distance::KolmogorovSmirnov,
    Distance::CramersV,
];

#[test]
fn nothing_moved_is_nothing_and_all_moved_is_all() {
    for kind in ALL {
        assert!(
            distance(kind, &[10, 20, 30], &[10, 20, 30]).unwrap() < 1e-9,
            "{kind:?}"
        );
        if kind != Distance::Psi {
            let apart = distance(kind, &[50, 0], &[0, 50]).unwrap();
            assert!((apart - 1.0).abs() < 1e-9, "{kind:?} {apart}");
        }
    }
}

#[test]
fn of_no_values_nothing_is_said() {
    for kind in ALL {
        assert_eq!(distance(kind, &[0, 0], &[1, 2]), Err(CountsError::Empty));
        assert_eq!(distance(kind, &[1, 2], &[0, 0]), Err(CountsError::Empty));
        assert_eq!(distance(kind, &[1], &[1]), Err(CountsError::Bins));
        assert_eq!(
            measure(kind, &[1, 2], &[1, 2, 3], 1.0),
            Err(CountsError::Lengths {
                reference: 2,
                current: 3
            })
        );
    }
}

/// Ninety-five in a hundred intervals hold the distance of the true shares.
#[test]
fn intervals_hold_the_truth() {
    let (p, q) = ([10_u64, 20, 40, 20, 10], [5_u64, 15, 40, 25, 15]);
    let truth = |kind| distance(kind, &p.map(|n| n * 100_000), &q.map(|n| n * 100_000)).unwrap();
    for (kind, least) in ALL.into_iter().zip([0.93, 0.93, 0.97, 0.93]) {
        let (mut chance, mut held) = (Chance::new(4), 0);
        for _ in 0..600 {
            let (mut a, mut b) = ([0; 5], [0; 5]);
            chance.multinomial(&cumulative(&p), 1_500, &mut a);
            chance.multinomial(&cumulative(&q), 700, &mut b);
            let effect = measure(kind, &a, &b, 1.0).unwrap();
            // V depends on how many values each row has; the truth has as many in both.
            let truth = if kind == Distance::CramersV {
                distance(kind, &p.map(|n| n * 150_000), &q.map(|n| n * 70_000)).unwrap()
            } else {
                truth(kind)
            };
            held += i32::from((effect.low..=effect.high).contains(&truth));
        }
        assert!(f64::from(held) / 600.0 > least, "{kind:?} {held}");
    }
}

/// What a sample of the same distribution shows is not taken for a distance.
#[test]
fn chance_alone_has_a_lower_end_of_zero() {
    let p = [10_u64, 20, 40, 20, 10];
    for kind in ALL {
        let (mut chance, mut over) = (Chance::new(8), 0);
        for _ in 0..400 {
            let (mut a, mut b) = ([0; 5], [0; 5]);
            chance.multinomial(&cumulative(&p), 2_000, &mut a);
            chance.multinomial(&cumulative(&p), 100, &mut b);
            over += i32::from(measure(kind, &a, &b, 1.0).unwrap().low > 0.0);
        }
        assert!(over <= 32, "{kind:?} {over}");
    }
}

proptest! {
    #[test]
    fn an_effect_lies_in_its_interval_and_fewer_values_widen_it(
        rows in prop::collection::vec((0_u64..5_000, 0_u64..5_000), 2..20),
        design in prop_oneof![Just(f64::NAN), 0.0_f64..50.0],
    ) {
        let (a, b): (Vec<u64>, Vec<u64>) = rows.into_iter().unzip();
        for kind in ALL {
            let Ok(effect) = measure(kind, &a, &b, design) else {
                prop_assert!(total(&a) == 0 || total(&b) == 0);
                continue;
            };
            prop_assert!(effect.low >= 0.0 && effect.low <= effect.value && effect.value <= effect.high);
            prop_assert!(effect.high.is_finite());
            let fewer = measure(kind, &a, &b, design.max(1.0) + 40.0).unwrap();
            prop_assert!(fewer.low <= effect.low + 1e-9, "{kind:?}");
        }
    }

    #[test]
    fn symmetric_ones_are(rows in prop::collection::vec((1_u64..500, 1_u64..500), 2..12)) {
        let (a, b): (Vec<u64>, Vec<u64>) = rows.into_iter().unzip();
        for kind in ALL {
            let (there, back) = (distance(kind, &a, &b).unwrap(), distance(kind, &b, &a).unwrap());
            prop_assert!((there - back).abs() < 1e-9);
        }
    }
}
