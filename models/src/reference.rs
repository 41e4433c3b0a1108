//! The reference profile: what a model was trained on, on bins that devices count on too.

use tern_protocol::profile::Reference;
use tern_stats::histogram::{self, Edges};

use crate::{
    data::{CLASSES, Sample},
    image::{INK, PIXELS, SIDE},
    train::Evaluation,
};

/// Bins of a pixel, of equal width: two grey values each. Quantiles would do nothing for the many
/// pixels at the rim that are nearly always paper.
const BINS: usize = 8;

/// The profile of a model that was trained on `samples` and measured on the validation part.
pub fn reference(samples: &[Sample], validation: &Evaluation) -> Reference {
    let edges = Edges::uniform(0.0, INK, BINS).expect("8 bins from 0 to 16 rise");
    let features = (0..PIXELS).map(|pixel| {
        let name = format!("row {} column {}", pixel / SIDE, pixel % SIDE);
        let values = samples.iter().map(|sample| sample.image.0[pixel]);
        histogram::reference(name, &edges, values)
    });
    let mut classes = vec![0; CLASSES];
    for sample in samples {
        classes[usize::from(sample.digit)] += 1;
    }
    Reference {
        features: features.collect(),
        classes,
        confidence: validation.confidence.clone(),
        confidence_right: validation.confidence_right.clone(),
    }
}
