//! What a camera sees, frame by frame.
//!
//! Called by `camera`, by the export of data and by tests. Must never break: the same images, seed,
//! strengths and frame number give the same picture and the same truth.

use crate::{
    corruption::{Corruption, apply},
    data::{CLASSES, Sample},
    seed,
};

/// Which of the field's images a camera meets.
///
/// A model that was retrained on captures has seen those images. To measure it honestly, show
/// `early` images while captures are collected and `late` ones afterwards: no image is in both, and
/// because the halves follow the file's order, hardly any writer either.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    serde::Serialize,
    serde::Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Images {
    /// All of them.
    #[default]
    All,
    /// The first half.
    Early,
    /// The second half.
    Late,
}

impl Images {
    /// Those of a part.
    pub fn of(self, part: &[Sample]) -> &[Sample] {
        let (early, late) = part.split_at(part.len() / 2);
        match self {
            Self::All => part,
            Self::Early => early,
            Self::Late => late,
        }
    }
}

/// An endless walk over images in an order of its own.
#[derive(Debug, Clone)]
pub struct Walk {
    samples: Vec<Sample>,
    /// Where the images of each digit are.
    digits: [Vec<usize>; CLASSES],
    order: Vec<usize>,
    seed: u64,
}

impl Walk {
    /// A walk over `samples`; `None` unless each digit is among them, for a stuck wheel shows the
    /// next one.
    pub fn new(samples: &[Sample], seed: u64) -> Option<Self> {
        let mut digits: [Vec<usize>; CLASSES] = Default::default();
        for (at, sample) in samples.iter().enumerate() {
            digits[usize::from(sample.digit)].push(at);
        }
        let whole = digits.iter().all(|images| !images.is_empty());
        whole.then(|| Self {
            samples: samples.to_vec(),
            digits,
            order: seed::order(seed, samples.len()),
            seed,
        })
    }

    /// The frame of this number: the picture as seen, and the digit it really shows.
    pub fn frame(&self, number: u64, strengths: &Corruption) -> Sample {
        let frame = seed::mix(self.seed, number);
        let place = number % self.order.len() as u64;
        let sample = self.samples[self.order[place as usize]];
        let nexts = &self.digits[(usize::from(sample.digit) + 1) % CLASSES];
        let next = nexts[(frame % nexts.len() as u64) as usize];
        Sample {
            image: apply(&sample.image, &self.samples[next].image, strengths, frame),
            digit: sample.digit,
        }
    }

    /// The first `count` frames.
    pub fn frames(&self, count: usize, strengths: &Corruption) -> Vec<Sample> {
        (0..count as u64)
            .map(|number| self.frame(number, strengths))
            .collect()
    }

    /// Images until it begins again.
    pub fn round(&self) -> usize {
        self.order.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{self, Part};

    #[test]
    fn every_image_once_a_round_and_each_seed_its_own_order() {
        let field = data::load().unwrap().part(Part::Field);
        let walk = Walk::new(&field, 7).unwrap();
        let mut seen = walk.frames(walk.round(), &Corruption::NONE);
        assert_eq!(seen[0], walk.frame(walk.round() as u64, &Corruption::NONE));
        let other = Walk::new(&field, 8).unwrap();
        assert_ne!(seen[..20], other.frames(20, &Corruption::NONE)[..]);
        let pixels = |sample: &Sample| sample.image.0.map(f32::to_bits);
        let mut all = field.clone();
        seen.sort_by_key(pixels);
        all.sort_by_key(pixels);
        assert_eq!(seen, all);
        let fog = Corruption {
            fog: 0.5,
            ..Corruption::NONE
        };
        assert_ne!(walk.frame(0, &fog), walk.frame(walk.round() as u64, &fog));
    }

    #[test]
    fn early_and_late_images_never_mix() {
        let field = data::load().unwrap().part(Part::Field);
        let (early, late) = (Images::Early.of(&field), Images::Late.of(&field));
        assert_eq!(early.len() + late.len(), Images::All.of(&field).len());
        assert!(early.iter().all(|sample| !late.contains(sample)));
        for half in [early, late] {
            assert!(Walk::new(half, 1).is_some());
        }
        assert!(Walk::new(&field[..3], 1).is_none());
    }
}
