//! Which inputs are kept for people to label: unsure ones, and a few others at random.
//!
//! Called for every prediction of a classifier. Must never break: the probability that goes with a
//! capture is the one with which it was drawn, since accuracy estimates divide by it.

use crate::{chance::Chance, config};

/// Decides by drawing.
#[derive(Debug)]
pub struct Policy {
    settings: config::Captures,
    chance: Chance,
}

impl Policy {
    /// As set by a person, drawing from `chance`.
    pub fn new(settings: config::Captures, chance: Chance) -> Self {
        Self { settings, chance }
    }

    /// Draws for one prediction: the probability of the draw if it hit.
    pub fn draw(&mut self, confidence: f32) -> Option<f32> {
        let settings = &self.settings;
        let probability = if confidence < settings.unsure_below {
            settings.unsure_share
        } else {
            settings.random_share
        };
        let hit = settings.enabled && self.chance.hits(probability);
        hit.then_some(probability)
    }

    /// Most captures of one slot in one window.
    pub fn per_window(&self) -> u32 {
        self.settings.per_window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(settings: config::Captures, confidence: f32) -> (usize, Option<f32>) {
        let mut policy = Policy::new(settings, Chance::seeded(5));
        let draws: Vec<_> = (0..10_000)
            .filter_map(|_| policy.draw(confidence))
            .collect();
        (draws.len(), draws.first().copied())
    }

    #[test]
    fn captures_are_as_frequent_as_their_probability_says() {
        let settings = config::Captures {
            unsure_share: 0.5,
            random_share: 0.02,
            ..config::Captures::default()
        };
        let (unsure, probability) = drawn(settings.clone(), 0.69);
        assert!(
            (4_800..5_200).contains(&unsure) && probability == Some(0.5),
            "{unsure}"
        );
        let (other, probability) = drawn(settings.clone(), 0.7);
        assert!(
            (150..250).contains(&other) && probability == Some(0.02),
            "{other}"
        );
        let off = config::Captures {
            enabled: false,
            ..settings
        };
        assert_eq!(drawn(off, 0.1).0, 0);
    }
}
