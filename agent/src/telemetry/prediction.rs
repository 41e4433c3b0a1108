//! What a model said of one input.

use tern_protocol::capture::PredictedNumber;

/// What a classifier said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Index of the likeliest class.
    pub class: u32,
    /// Its probability as the model says.
    pub confidence: f32,
    /// By how much that is more than the probability of the next one; 0 at least.
    pub margin: f32,
}

/// What a model said of one input, as far as a truth can be compared with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Said {
    /// A class.
    Class(Prediction),
    /// A finite number.
    Number {
        /// It.
        value: f32,
        /// The ends of the interval that was predicted with it, of a model that predicts one.
        interval: Option<(f32, f32)>,
    },
    /// Neither.
    Nothing,
}

impl Said {
    /// The class.
    pub fn class(&self) -> Option<Prediction> {
        match self {
            Self::Class(prediction) => Some(*prediction),
            Self::Number { .. } | Self::Nothing => None,
        }
    }

    /// The number. An end of its interval that is no number is not told.
    pub fn number(&self) -> Option<PredictedNumber> {
        let Self::Number { value, interval } = *self else {
            return None;
        };
        let interval = interval.filter(|(low, high)| low.is_finite() && high.is_finite());
        Some(PredictedNumber {
            value: value.into(),
            low: interval.map(|(low, _)| low.into()),
            high: interval.map(|(_, high)| high.into()),
        })
    }
}

impl Prediction {
    /// The likeliest class; `None` if there is none or a probability is not a number.
    pub fn from_probabilities(probabilities: &[f32]) -> Option<Self> {
        let mut best: Option<(u32, f32)> = None;
        let mut next = 0.0_f32;
        for (class, confidence) in (0..).zip(probabilities.iter().copied()) {
            if !confidence.is_finite() {
                return None;
            }
            match best {
                Some((_, most)) if confidence <= most => next = next.max(confidence),
                _ => {
                    next = best.map_or(next, |(_, most)| most);
                    best = Some((class, confidence));
                }
            }
        }
        best.map(|(class, confidence)| Self {
            class,
            confidence,
            margin: (confidence - next).max(0.0),
        })
    }

    /// One score decided by a threshold: class 1 from the threshold up, class 0 below; `None` if it
    /// is not a number. The confidence is that in the class that was chosen.
    pub fn from_score(score: f32, threshold: f32) -> Option<Self> {
        let above = score >= threshold;
        let confidence = if above { score } else { 1.0 - score };
        score.is_finite().then_some(Self {
            class: above.into(),
            confidence,
            margin: (2.0 * confidence - 1.0).max(0.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_score_stands_for_two_classes() {
        let said = |score| Prediction::from_score(score, 0.3).map(|p| (p.class, p.confidence));
        assert_eq!(said(0.4), Some((1, 0.4)));
        assert_eq!(said(0.25), Some((0, 0.75)));
        assert_eq!(said(f32::NAN), None);
    }

    #[test]
    fn probabilities_that_are_no_numbers_are_no_prediction() {
        assert_eq!(Prediction::from_probabilities(&[]), None);
        assert_eq!(Prediction::from_probabilities(&[0.5, f32::NAN]), None);
        let tie = Prediction::from_probabilities(&[0.5, 0.5]);
        assert_eq!(tie.map(|p| (p.class, p.margin)), Some((0, 0.0)));
    }

    #[test]
    fn a_margin_is_to_the_next_class_wherever_it_stands() {
        for probabilities in [[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]] {
            let margin = Prediction::from_probabilities(&probabilities).map(|said| said.margin);
            assert!(
                margin.is_some_and(|margin| (margin - 0.5).abs() < 1e-6),
                "{margin:?}"
            );
        }
        let unsure = Prediction::from_score(0.4, 0.3).map(|said| said.margin);
        assert_eq!(unsure, Some(0.0), "the other class is the likelier one");
    }
}
