//! How good a network is, and whether it knows.

use tern_stats::confidence;

use crate::{
    data::Sample,
    image::Image,
    mlp::{Mlp, best},
};

/// Measures on labelled images.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Evaluation {
    /// Images.
    pub images: usize,
    /// Share of right answers, 0 to 1.
    pub accuracy: f64,
    /// Mean distance between confidence and share of right answers, weighted by how many answers
    /// had that confidence (expected calibration error), 0 to 1.
    pub calibration_error: f64,
    /// Answers by confidence, as [`confidence::bin`] counts.
    pub confidence: Vec<u64>,
    /// How many of those were right.
    pub confidence_right: Vec<u64>,
    /// Answers by margin, the probability of the likeliest digit less that of the next one, on the same bins.
    pub margin: Vec<u64>,
}

/// Measures a network; all zero without samples.
pub fn evaluate(mlp: &Mlp, samples: &[Sample]) -> candle_core::Result<Evaluation> {
    let images: Vec<Image> = samples.iter().map(|sample| sample.image).collect();
    let answers = if images.is_empty() {
        Vec::new()
    } else {
        mlp.probabilities(&images)?
    };
    let mut all = confidence::no_counts();
    let mut right = confidence::no_counts();
    let mut margin = confidence::no_counts();
    let mut said = vec![0.0; all.len()];
    for (answer, sample) in answers.iter().zip(samples) {
        let (class, sure) = best(answer);
        confidence::count(&mut all, sure);
        let others = answer
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != class);
        let next = others
            .map(|(_, probability)| *probability)
            .fold(0.0, f32::max);
        confidence::count(&mut margin, sure - next);
        said[confidence::bin(sure)] += f64::from(sure);
        if class == usize::from(sample.digit) {
            confidence::count(&mut right, sure);
        }
    }
    let n = samples.len().max(1) as f64;
    let distances = said
        .iter()
        .zip(&right)
        .map(|(said, right)| (said - *right as f64).abs());
    Ok(Evaluation {
        images: samples.len(),
        accuracy: right.iter().sum::<u64>() as f64 / n,
        calibration_error: distances.sum::<f64>() / n,
        confidence: all,
        confidence_right: right,
        margin,
    })
}
