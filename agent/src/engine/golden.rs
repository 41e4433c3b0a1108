//! A model is what reproduces its golden samples.

use tern_protocol::manifest::Golden;

use super::{Model, RunError};

/// Why a model is not the one that its golden samples describe.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GoldenError {
    /// There are no samples, so nothing can be proven.
    #[error("there are no golden samples")]
    Empty,
    /// A sample could not be run.
    #[error("golden sample {sample}")]
    Run {
        /// Which, from 0.
        sample: usize,
        /// Why not.
        #[source]
        err: RunError,
    },
    /// A sample's outputs have another number, type or shape.
    #[error("golden sample {sample}: output {output} has another type or shape than recorded")]
    Form {
        /// Which sample, from 0.
        sample: usize,
        /// Which output, from 0.
        output: usize,
    },
    /// An element differs too much.
    #[error(
        "golden sample {sample}: output {output} differs by {difference}, allowed is {tolerance}"
    )]
    Difference {
        /// Which sample, from 0.
        sample: usize,
        /// Which output, from 0.
        output: usize,
        /// By how much the worst element of it differs; infinite if one of both is not a number.
        difference: f32,
        /// How much is allowed.
        tolerance: f32,
    },
}

/// Runs all samples; gives the largest difference of any output element.
pub fn check(model: &Model, golden: &Golden) -> Result<f32, GoldenError> {
    if golden.samples.is_empty() {
        return Err(GoldenError::Empty);
    }
    let mut largest = 0f32;
    for (sample, expected) in golden.samples.iter().enumerate() {
        let outputs = model
            .run(&expected.inputs)
            .map_err(|err| GoldenError::Run { sample, err })?;
        if outputs.len() != expected.outputs.len() {
            let output = outputs.len().min(expected.outputs.len());
            return Err(GoldenError::Form { sample, output });
        }
        for (output, (found, expected)) in outputs.iter().zip(&expected.outputs).enumerate() {
            let form = GoldenError::Form { sample, output };
            if (found.dtype, &found.shape) != (expected.dtype, &expected.shape) {
                return Err(form);
            }
            let (Some(found), Some(expected)) = (found.to_f32(), expected.to_f32()) else {
                return Err(form);
            };
            let pairs = found.iter().zip(&expected);
            let difference = pairs.map(|(a, b)| difference(*a, *b)).fold(0f32, f32::max);
            if difference > golden.tolerance || golden.tolerance.is_nan() {
                return Err(GoldenError::Difference {
                    sample,
                    output,
                    difference,
                    tolerance: golden.tolerance,
                });
            }
            largest = largest.max(difference);
        }
    }
    Ok(largest)
}

/// Equal values, infinities among them, do not differ; two NaN are the same answer.
pub(super) fn difference(a: f32, b: f32) -> f32 {
    let same = a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
    match (a - b).abs() {
        _ if same => 0.0,
        difference if difference.is_nan() => f32::INFINITY,
        difference => difference,
    }
}
