//! Figures of labels. Pure.

use std::collections::BTreeMap;

use tern_protocol::{
    quantile,
    rest::{
        CalibrationView, ClassRates, ClassTruth, ConfusionCell, Coverage, Estimated, LabelSource,
        NumberTruth, ReliabilityPoint, SourceCount,
    },
    tensor::TensorSpec,
};
use tern_stats::{
    interval::{Estimate, Z_95},
    truth::{
        calibration::Calibration,
        confusion::{CLASSES_MAX, Confusion},
        regression::Regression,
    },
};

use super::read::{Known, Labels};

/// An estimate as it is told.
pub(in crate::monitor) const fn told(estimate: Estimate) -> Estimated {
    let Estimate { mean, low, high, n } = estimate;
    Estimated {
        value: mean,
        low,
        high,
        n,
    }
}

/// How many came from where.
pub(super) fn sources(labels: &Labels) -> Vec<SourceCount> {
    let mut counts: BTreeMap<LabelSource, u64> = BTreeMap::new();
    for label in labels.counted() {
        *counts.entry(label.source()).or_default() += 1;
    }
    let counts = counts.into_iter();
    counts
        .map(|(source, labels)| SourceCount { source, labels })
        .collect()
}

/// How late they came, in the median.
pub(super) fn delay(labels: &Labels) -> Option<u64> {
    let mut delays: Vec<u64> = labels.counted().filter_map(Known::delay).collect();
    delays.sort_unstable();
    delays.get(delays.len() / 2).copied()
}

/// Of a classifier; `None` without labels.
pub(super) fn classes(labels: &Labels, names: &[String]) -> Option<ClassTruth> {
    let pairs = || labels.counted().filter_map(Known::classes);
    // A version may not name its classes; then they are as many as are seen.
    let seen = pairs().map(|(truth, class)| truth.max(class) + 1).max()?;
    let mut matrix = Confusion::new(seen.max(names.len()).min(CLASSES_MAX)).ok()?;
    let mut calibration = Calibration::default();
    for label in labels.counted() {
        let Some((truth, class)) = label.classes() else {
            continue;
        };
        // What does not fit is a class of no model: a device may report anything.
        if matrix.add(truth, class, label.probability).is_err() {
            continue;
        }
        if let Some(confidence) = label.confidence {
            calibration.add(confidence, truth == class, label.probability);
        }
    }
    let accuracy = told(matrix.accuracy(Z_95)?);
    let name = |class: usize| {
        names
            .get(class)
            .cloned()
            .unwrap_or_else(|| class.to_string())
    };
    let all = || 0..matrix.classes();
    let mut rates = Vec::new();
    let mut confusion = Vec::new();
    for class in all() {
        let of_truth: u64 = all().map(|other| matrix.samples(class, other)).sum();
        let of_prediction: u64 = all().map(|other| matrix.samples(other, class)).sum();
        let whole: f64 = all().map(|other| matrix.weight(class, other)).sum();
        for predicted in all().filter(|other| matrix.samples(class, *other) > 0) {
            let weight = matrix.weight(class, predicted);
            confusion.push(ConfusionCell {
                truth: name(class),
                predicted: name(predicted),
                labels: matrix.samples(class, predicted),
                weight,
                share: weight / whole,
            });
        }
        if of_truth + of_prediction > 0 {
            rates.push(ClassRates {
                class: name(class),
                labels: of_truth,
                predicted: of_prediction,
                precision: matrix.precision(class, Z_95).map(told),
                recall: matrix.recall(class, Z_95).map(told),
                f1: matrix.f1(class, Z_95).map(told),
            });
        }
    }
    let point = |point: tern_stats::truth::calibration::Point| ReliabilityPoint {
        said: point.said,
        right: told(point.right),
    };
    Some(ClassTruth {
        accuracy,
        macro_f1: matrix.macro_f1()?,
        rates,
        confusion,
        calibration: CalibrationView {
            error: calibration.error(),
            by_chance: calibration.error_by_chance(),
            brier: calibration.brier(Z_95).map(told),
            points: calibration.curve(Z_95).into_iter().map(point).collect(),
        },
    })
}

/// Of a model that answers numbers; `None` without labels.
pub(super) fn numbers(labels: &Labels, outputs: &[TensorSpec]) -> Option<NumberTruth> {
    let mut errors = Regression::default();
    let mut any = false;
    for label in labels.counted() {
        let Some((predicted, truth)) = label.numbers() else {
            continue;
        };
        any = true;
        errors.add(truth, predicted, label.probability);
        if let Some((low, high)) = label.low.zip(label.high) {
            errors.add_interval(truth, low, high, label.probability);
        }
    }
    let coverage = errors.coverage(Z_95).map(|held| Coverage {
        promised: quantile::ends(outputs).map(|ends| ends.share),
        held: told(held),
    });
    any.then(|| NumberTruth {
        mae: errors.mae(Z_95).map(told),
        rmse: errors.rmse(Z_95).map(told),
        bias: errors.bias(Z_95).map(told),
        coverage,
    })
}
