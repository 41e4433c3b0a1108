//! In which order captures are asked about. Pure.
//!
//! Two things are wanted of labels, and they want different captures. Training gains most by those of which the model was
//! unsure and which are like nothing that is labelled: *value*, uncertainty times diversity. Accuracy wants captures that
//! nobody chose. So the predictions are split once and for all by a hash of their names: one in [`LOT`] is in the *lot*,
//! where captures are asked about in the order of their hashes, which have nothing to do with what is in them; what is
//! labelled of it is a fair sample of what was captured, whenever people stop. All others are asked about by value, and no
//! estimate counts them.

use tern_protocol::digest::Digest;
use tern_stats::signal::{Measured, Signal};

use crate::monitor::rows::Predicted;

/// One prediction in so many is in the lot, and one in so many that are asked about.
pub(super) const LOT: u64 = 4;

/// Directions onto which inputs are projected to see how far apart they are.
const DIRECTIONS: usize = 8;

/// How far apart two unrelated inputs are in the mean: each direction is near a standard normal.
const UNRELATED: f64 = 4.0;

/// The place of a prediction in the order by lot, and whether it is in the lot.
pub(super) fn lot((device, boot, number): &Predicted) -> (u64, bool) {
    let digest = Digest::of(format!("{device}/{boot}-{number}").as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_bytes()[..8]);
    let hash = u64::from_be_bytes(first);
    // The order has to be free of what decides about the lot.
    (hash / LOT, hash.is_multiple_of(LOT))
}

/// How unsure a model was that has so many classes: 0 if sure, 1 if it might as well have guessed.
pub(super) fn uncertainty(confidence: f64, classes: usize) -> f64 {
    let guess = 1.0 / classes.max(2) as f64;
    ((1.0 - confidence) / (1.0 - guess)).clamp(0.0, 1.0)
}

/// How unsure a model was that answers numbers: how wide the interval is that it predicts, as a share of that and of the
/// number; 1 of one that predicts no interval, so that what is unlike what is labelled comes first.
pub(super) fn spread(predicted: f64, ends: Option<(f64, f64)>) -> f64 {
    let share = ends.map_or(1.0, |(low, high)| {
        let width = (high - low).abs();
        width / (width + predicted.abs())
    });
    if share.is_finite() { share } else { 1.0 }
}

/// Where an input lies in a small space in which what looks alike is near.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place([f32; DIRECTIONS]);

impl Place {
    /// Of an input's values; `None` of one that holds no numbers.
    pub(super) fn of(values: &[f32]) -> Option<Self> {
        let mut measured = Measured::new(values, None);
        let mut place = [0.0; DIRECTIONS];
        for (direction, along) in (0..).zip(&mut place) {
            *along = measured.signal(Signal::Projection(direction));
        }
        place
            .iter()
            .all(|along| along.is_finite())
            .then_some(Self(place))
    }

    fn distance(&self, other: &Self) -> f64 {
        let squares = self.0.iter().zip(&other.0);
        let squares = squares.map(|(a, b)| f64::from(a - b).powi(2));
        squares.sum::<f64>().sqrt()
    }
}

/// A capture that may be asked about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// See [`uncertainty`].
    pub(super) uncertainty: f64,
    /// Where its input lies; what lies nowhere is like nothing else.
    pub(super) place: Option<Place>,
}

/// The `take` most valuable of the candidates, by place in the list: one after the other, each far from what is `known`
/// and from those before it. Of the same value the less sure one, then the first.
pub(super) fn most_valuable(candidates: &[Candidate], known: &[Place], take: usize) -> Vec<usize> {
    let far = |place: Option<Place>, other: &Place| {
        place.map_or(1.0, |place| (place.distance(other) / UNRELATED).min(1.0))
    };
    let mut diversity: Vec<f64> = candidates
        .iter()
        .map(|one| {
            known
                .iter()
                .map(|other| far(one.place, other))
                .fold(1.0, f64::min)
        })
        .collect();
    let mut taken = Vec::new();
    while taken.len() < take.min(candidates.len()) {
        let value = |at: usize| {
            (
                candidates[at].uncertainty * diversity[at],
                candidates[at].uncertainty,
            )
        };
        let left = (0..candidates.len()).filter(|at| !taken.contains(at));
        let best = left.reduce(|best, at| {
            let ((a, b), (c, d)) = (value(best), value(at));
            if c.total_cmp(&a).then(d.total_cmp(&b)).is_gt() {
                at
            } else {
                best
            }
        });
        let Some(best) = best else { break };
        taken.push(best);
        if let Some(place) = candidates[best].place {
            for (diversity, one) in diversity.iter_mut().zip(candidates) {
                *diversity = diversity.min(far(one.place, &place));
            }
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn striped(period: usize) -> Vec<f32> {
        (0..64)
            .map(|at| if at % period == 0 { 1.0 } else { 0.0 })
            .collect()
    }

    fn candidate(uncertainty: f64, values: &[f32]) -> Candidate {
        Candidate {
            uncertainty,
            place: Place::of(values),
        }
    }

    #[test]
    fn what_is_like_what_is_known_is_worth_less() {
        let (known, other) = (striped(2), striped(7));
        let all = [
            candidate(0.9, &known),
            candidate(0.5, &other),
            candidate(0.8, &other),
        ];
        let known = [Place::of(&known).expect("numbers")];
        // The unsure one is labelled already as far as one can see; of two alike the less sure one comes first, and the
        // other then is worth as little.
        assert_eq!(most_valuable(&all, &known, 3), [2, 0, 1]);
        assert_eq!(most_valuable(&all, &[], 2), [0, 2]);
        assert_eq!(most_valuable(&[], &known, 3), Vec::<usize>::new());
    }

    #[test]
    fn sure_is_zero_and_a_guess_is_one() {
        for (confidence, classes, expected) in [
            (1.0, 10, 0.0),
            (0.1, 10, 1.0),
            (0.5, 2, 1.0),
            (0.75, 2, 0.5),
            (0.0, 2, 1.0),
            (0.5, 0, 1.0),
        ] {
            assert!((uncertainty(confidence, classes) - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn a_wide_interval_is_unsure() {
        for (predicted, ends, expected) in [
            (10.0, None, 1.0),
            (10.0, Some((10.0, 10.0)), 0.0),
            (-10.0, Some((-15.0, -5.0)), 0.5),
            (0.0, Some((0.0, 0.0)), 1.0),
            (1.0, Some((f64::MIN, f64::MAX)), 1.0),
        ] {
            assert!(
                (spread(predicted, ends) - expected).abs() < 1e-9,
                "{predicted} {ends:?}"
            );
        }
    }

    #[test]
    fn one_in_four_is_in_the_lot_whatever_its_name() {
        let all = (0..8_000).map(|number| lot(&("meter-01".to_owned(), 3, number)));
        let drawn = all.filter(|(_, drawn)| *drawn).count();
        assert!((1_850..2_150).contains(&drawn), "{drawn}");
        let one = ("meter-01".to_owned(), 3, 77);
        assert_eq!(lot(&one), lot(&one));
    }

    proptest! {
        #[test]
        fn each_is_taken_once_and_none_that_is_not_there(
            unsure in prop::collection::vec(0.0f64..1.0, 0..20), take in 0usize..25,
        ) {
            let all: Vec<Candidate> = unsure.iter().enumerate()
                .map(|(at, unsure)| candidate(*unsure, &striped(2 + at % 5))).collect();
            let mut taken = most_valuable(&all, &[], take);
            prop_assert_eq!(taken.len(), take.min(all.len()));
            if let Some(first) = taken.first() {
                // Nothing is known yet: the least sure one.
                prop_assert!(unsure.iter().all(|other| *other <= unsure[*first]));
            }
            taken.sort_unstable();
            taken.dedup();
            prop_assert_eq!(taken.len(), take.min(all.len()));
        }
    }
}
