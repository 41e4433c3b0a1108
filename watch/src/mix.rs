//! Whether inputs moved only because other classes came.
//!
//! If the share of each class changes and each class looks as it did, the mean rank of every feature moves along one
//! direction: the sum over classes of the change of its share times where that class lies. Predicted shares stand for
//! true ones; a model that errs makes them move by less, in proportion, so only the direction is compared. In the
//! manner of Z. Lipton, Y.-X. Wang and A. Smola, "Detecting and correcting for label shift with black box predictors",
//! ICML 2018, turned round: they assume it, this asks.

use crate::column::{Column, Layout};

/// The share of what inputs moved by that the mix has to explain.
const EXPLAINED: f64 = 0.75;

/// By how much predicted shares may differ from true ones, as a factor on what the mix explains.
const FACTOR: std::ops::RangeInclusive<f64> = 0.6..=2.5;

/// Whether deviations by column are what another mix of classes makes. No if classes are not known by themselves, or
/// predictions did not move.
pub(crate) fn explains(layout: &Layout, deviations: &[f64], matters: f64) -> bool {
    let by_class = layout.by_class();
    if by_class.len() < 2 {
        return false;
    }
    let of = |wanted: Column| {
        layout
            .columns()
            .iter()
            .position(|one| *one == wanted)
            .map_or(f64::NAN, |at| deviations[at])
    };
    let shares: Vec<f64> = (0..by_class.len())
        .map(|class| of(Column::Class(class as u16)))
        .collect();
    let moved = 0.5 * shares.iter().map(|share| share.abs()).sum::<f64>();
    if moved.is_nan() || moved < matters {
        return false;
    }
    let (mut seen_square, mut expected_square, mut both) = (0.0, 0.0, 0.0);
    let features = by_class.iter().map(Vec::len).min().unwrap_or(0);
    for feature in 0..features {
        let (mut location, mut spread, mut known) = (0.0, 0.0, true);
        for (class, share) in by_class.iter().zip(&shares) {
            match class[feature] {
                Some(place) => {
                    location += share * place.location;
                    spread += share * place.spread;
                }
                None => known = false,
            }
        }
        let seen = [
            of(Column::Location(feature as u16)),
            of(Column::Spread(feature as u16)),
        ];
        for (seen, expected) in seen.into_iter().zip([location, spread]) {
            if known && seen.is_finite() {
                seen_square += seen * seen;
                expected_square += expected * expected;
                both += seen * expected;
            }
        }
    }
    if seen_square <= 0.0 || expected_square <= 0.0 {
        return false;
    }
    let factor = both / expected_square;
    let explained = both * both / (seen_square * expected_square);
    FACTOR.contains(&factor) && explained >= EXPLAINED
}

#[cfg(test)]
mod tests {
    use tern_protocol::{
        id::ModelVersion,
        profile::{FeatureReference, Reference},
    };

    use super::*;
    use crate::{column::Model, settings::Settings};

    /// Two classes: the first has small values of one feature, the second large ones; the other feature is of neither.
    fn layout(known: bool) -> Layout {
        let feature = |name: &str, by_class: [[u64; 4]; 2]| FeatureReference {
            name: name.into(),
            edges: vec![0.0, 1.0, 2.0, 3.0, 4.0],
            counts: (0..4)
                .map(|bin| by_class[0][bin] + by_class[1][bin])
                .collect(),
            missing: 0,
            by_class: by_class
                .iter()
                .filter(|_| known)
                .map(|counts| counts.to_vec())
                .collect(),
        };
        let reference = Reference {
            features: vec![
                feature("a", [[40, 10, 0, 0], [0, 0, 10, 40]]),
                feature("b", [[25; 4]; 2]),
            ],
            classes: vec![50, 50],
            ..Reference::default()
        };
        let model = Model {
            versions: vec![(ModelVersion::FIRST, reference)],
        };
        Layout::new(&model, &Settings::default()).unwrap()
    }

    #[test]
    fn another_mix_moves_inputs_along_what_tells_classes_apart() {
        let of = |location_a: f64, location_b: f64, share: f64| {
            [
                location_a, 0.0, 0.0, location_b, 0.0, 0.0, -share, share, 0.0, 0.0,
            ]
        };
        let layout = layout(true);
        assert!(explains(&layout, &of(0.1, 0.0, 0.2), 0.05));
        // Another feature moved, or this one the wrong way, or predictions did not.
        assert!(!explains(&layout, &of(0.0, 0.1, 0.2), 0.05));
        assert!(!explains(&layout, &of(-0.1, 0.0, 0.2), 0.05));
        assert!(!explains(&layout, &of(0.1, 0.0, 0.01), 0.05));
        assert!(!explains(&layout, &[f64::NAN; 10], 0.05));
    }

    #[test]
    fn without_classes_by_themselves_nothing_is_explained() {
        assert!(!explains(
            &layout(false),
            &[0.1, 0.0, 0.0, 0.0, 0.0, 0.0, -0.2, 0.2, 0.0, 0.0],
            0.05
        ));
    }
}
