use proptest::prelude::*;

use super::*;

fn of(values: &[f64]) -> Sketch {
    let mut sketch = Sketch::new();
    for value in values {
        sketch.insert(*value);
    }
    sketch
}

fn merged<'s>(sketches: impl Iterator<Item = &'s Sketch>) -> Sketch {
    let mut all = Sketch::new();
    for sketch in sketches {
        all.merge(sketch);
    }
    all
}

/// Whole numbers, so that the sum is exact too; from one microsecond to far over the span.
fn values() -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![
        4 => (1_u64..100_000).prop_map(|v| v as f64),
        1 => (1_u64..1 << 40).prop_map(|v| v as f64),
        1 => (-5_i64..=0).prop_map(|v| v as f64),
    ];
    prop::collection::vec(value, 0..200)
}

proptest! {
    #[test]
    fn the_order_of_values_and_merges_never_matters(parts in prop::collection::vec(values(), 1..6)) {
        let all: Vec<f64> = parts.iter().flatten().copied().collect();
        let at_once = of(&all);
        let sketches: Vec<Sketch> = parts.iter().map(|part| of(part)).collect();
        let forth = merged(sketches.iter());
        let back = merged(sketches.iter().rev());
        let pairs: Vec<Sketch> = sketches.chunks(2).map(|pair| merged(pair.iter())).collect();
        let nested = merged(pairs.iter());
        prop_assert_eq!(&forth, &at_once);
        prop_assert_eq!(&back, &at_once);
        prop_assert_eq!(&nested, &at_once);
        prop_assert_eq!(at_once.count(), all.len() as u64);
        // Whole numbers below 2^53 add up exactly.
        prop_assert!((at_once.sum() - all.iter().sum::<f64>()).abs() < 0.5);
    }

    #[test]
    fn quantiles_are_within_one_percent(
        mut all in prop::collection::vec(1e-3_f64..1e5, 1..400),
        q in 0.0_f64..=1.0,
    ) {
        let sketch = of(&all);
        all.sort_by(f64::total_cmp);
        let exact = all[(q * (all.len() - 1) as f64).round() as usize];
        let found = sketch.quantile(q).unwrap();
        prop_assert!((found - exact).abs() <= 0.010_001 * exact, "{} for {}", found, exact);
    }

    #[test]
    fn the_wire_gives_back_the_same(all in values()) {
        let sketch = of(&all);
        prop_assert_eq!(Sketch::try_from(&Wire::from(&sketch)), Ok(sketch));
    }

    #[test]
    fn what_the_wire_lets_through_can_be_used(
        zeros: u64,
        bins in prop::collection::vec((any::<i32>(), any::<u64>()), 0..6),
        near in prop::collection::vec((-40_000..40_000_i32, 0..4_u64), 0..6),
        sum: f64, min: f64, max: f64, q: f64,
    ) {
        for bins in [bins, near] {
            let mut bins: Vec<_> =
                bins.into_iter().map(|(index, count)| SketchBin { index, count }).collect();
            bins.sort_by_key(|bin| bin.index);
            let wire = Wire { accuracy: ACCURACY, zeros, bins, sum, min, max };
            if let Ok(mut sketch) = Sketch::try_from(&wire) {
                sketch.merge(&sketch.clone());
                sketch.insert(1.0);
                prop_assert!(sketch.quantile(q).unwrap().is_finite());
                prop_assert!(sketch.bins.len() <= SPAN as usize);
            }
        }
    }
}

#[test]
fn every_number_has_a_bin_and_bins_stay_bounded() {
    let mut sketch = Sketch::new();
    let ends = [
        f64::MIN_POSITIVE * f64::EPSILON,
        1e-300,
        1.0,
        1e300,
        f64::MAX,
    ];
    for value in ends
        .into_iter()
        .chain([f64::NAN, f64::INFINITY, f64::NEG_INFINITY])
    {
        sketch.insert(value);
    }
    assert_eq!(sketch.count(), ends.len() as u64);
    assert_eq!(sketch.quantile(1.0), Some(f64::MAX));
    assert_eq!(sketch.quantile(0.0), Some(ends[0]));
    assert!(ends.iter().all(|value| index(*value).abs() <= INDEX));
    for i in 0..5_000 {
        sketch.insert(GAMMA.powi(i));
    }
    assert!(sketch.bins.len() <= SPAN as usize);
    assert_eq!(sketch.count(), 5_000 + ends.len() as u64);
}

#[test]
fn an_empty_sketch() {
    assert_eq!(Sketch::try_from(&Wire::default()), Ok(Sketch::new()));
    assert_eq!(Sketch::new().quantile(0.5), None);
    assert_eq!((Sketch::new().mean(), Sketch::new().min()), (None, None));
    assert_eq!(of(&[-3.0, 0.0, -1.0]).quantile(0.5), Some(0.0));
}

#[test]
fn wire_data_that_is_wrong_is_named() {
    let good = Wire::from(&of(&[1.0, 2.0, 3.0]));
    let refused = |change: fn(&mut Wire)| {
        let mut wire = good.clone();
        change(&mut wire);
        Sketch::try_from(&wire).unwrap_err()
    };
    assert_eq!(refused(|w| w.accuracy = 20), SketchError::Accuracy(20));
    assert_eq!(refused(|w| w.bins.reverse()), SketchError::Bins);
    assert_eq!(refused(|w| w.bins[0].count = 0), SketchError::Bins);
    assert_eq!(refused(|w| w.bins[2].index = i32::MAX), SketchError::Bins);
    assert_eq!(refused(|w| w.bins[2].index = 1024), SketchError::Span(1025));
    assert_eq!(refused(|w| w.bins[0].count = u64::MAX), SketchError::Count);
    assert!(matches!(
        refused(|w| w.sum = f64::NAN),
        SketchError::Extremes { .. }
    ));
    assert!(matches!(
        refused(|w| w.min = 9.0),
        SketchError::Extremes { .. }
    ));
}
