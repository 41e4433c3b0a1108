//! The reference profile: what a model was trained on, on bins that devices count on too.

use tern_protocol::{
    profile::{FeatureReference, Image, Reference},
    steps::Channels,
};
use tern_stats::{
    histogram::{self, Edges},
    signal::{Measured, Signal},
};

use crate::{
    data::{CLASSES, Sample},
    image::{INK, PIXELS, SIDE},
    train::Evaluation,
};

/// Bins of a pixel, of equal width: two grey values each. Quantiles would do nothing for the many
/// pixels at the rim that are nearly always paper.
const BINS: usize = 8;

/// Bins of a signal, of about as many images each.
const SIGNAL_BINS: usize = 10;

/// What is measured of each image as a whole.
const SIGNALS: [Signal; 7] = [
    Signal::Brightness,
    Signal::Contrast,
    Signal::Sharpness,
    Signal::Projection(0),
    Signal::Projection(1),
    Signal::Projection(2),
    Signal::Projection(3),
];

/// How the pixels lie.
const IMAGE: Image = Image {
    height: SIDE as u32,
    width: SIDE as u32,
    channels: 1,
    order: Channels::First,
};

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
        margin: validation.margin.clone(),
        signals: signals(samples),
        image: Some(IMAGE),
        values: None,
    }
}

fn signals(samples: &[Sample]) -> Vec<FeatureReference> {
    let of = |signal: &Signal| {
        let values = samples
            .iter()
            .map(|sample| Measured::new(&sample.image.0, Some(IMAGE)).signal(*signal));
        let values: Vec<f32> = values.collect();
        let edges = Edges::spanning(&values, SIGNAL_BINS)?;
        let digits = samples.iter().map(|sample| usize::from(sample.digit));
        Some(histogram::reference_by_class(
            signal.to_string(),
            &edges,
            CLASSES,
            digits.zip(values.iter().copied()),
        ))
    };
    SIGNALS.iter().filter_map(of).collect()
}
