//! Makes confidences mean what they say: of answers given with 90 %, 90 % should be right.
//!
//! Source: C. Guo et al., "On calibration of modern neural networks", ICML 2017: one temperature,
//! fitted to the validation part, does most of it and changes no answer.

use crate::{data::Sample, image::Image, mlp::Mlp};

/// Where the temperature is looked for.
const RANGE: (f32, f32) = (0.25, 8.0);

/// Steps of the search: each takes a third off the range, so the result is good to four digits.
const STEPS: usize = 30;

/// The temperature under which the validation part is most likely.
pub(super) fn fit(mlp: &Mlp, validation: &[Sample]) -> candle_core::Result<f32> {
    let images: Vec<Image> = validation.iter().map(|sample| sample.image).collect();
    let logits = mlp.logits(&images)?;
    let loss = |temperature: f32| -> f64 {
        let rows = logits.iter().zip(validation);
        rows.map(|(row, sample)| surprise(row, sample.digit, temperature))
            .sum()
    };
    // The loss has one minimum in the inverse of the temperature, so thirds close in on it.
    let (mut low, mut high) = RANGE;
    for _ in 0..STEPS {
        let third = (high - low) / 3.0;
        if loss(low + third) < loss(high - third) {
            high -= third;
        } else {
            low += third;
        }
    }
    Ok(f32::midpoint(low, high))
}

/// Minus the log of the probability that the true digit got.
fn surprise(logits: &[f32], digit: u8, temperature: f32) -> f64 {
    let cooled = |logit: f32| f64::from(logit / temperature);
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits
        .iter()
        .map(|logit| (cooled(*logit) - cooled(most)).exp())
        .sum();
    sum.ln() + cooled(most) - cooled(logits[usize::from(digit)])
}
