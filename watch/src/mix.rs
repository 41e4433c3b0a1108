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
    if by_class.len() < 2 || by_class.len() != layout.classes() {
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
