//! What running a model costs: the one place where it is measured, for hub and device.
//!
//! Called in a process of its own, which does nothing else: its memory is then the model's. Must
//! never break: what is measured here reproduced its golden samples, steps included.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tern_protocol::{codec, limits, manifest::Golden, tensor::Tensor};

use super::{
    Answered, Interface, LoadError, Model, RunError,
    golden::{self, GoldenError},
};
use crate::telemetry::Prediction;

/// Most runs for measuring latency; their median stands still long before.
const RUNS: usize = 101;

/// Longest time for measuring latency.
const RUNS_TIME: Duration = Duration::from_millis(500);

/// By how much a score may leave 0 to 1 and still be taken for a probability: rounding.
const ROUNDING: f32 = 1e-3;

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Operators of the graph, sorted.
    pub operators: Vec<String>,
    /// Golden samples reproduced.
    pub golden_samples: u64,
    /// Largest absolute difference from a golden output.
    pub golden_difference: f32,
    /// Median latency of one sample, in microseconds.
    pub latency_us: f64,
    /// The latency that 95 of 100 samples keep to, in microseconds.
    #[serde(default)]
    pub p95_us: f64,
    /// Time to load and optimise, in microseconds.
    pub load_us: f64,
    /// Largest resident memory of this process so far, in bytes. `None` where the system does not
    /// say.
    pub peak_rss: Option<u64>,
}

/// Why a model is refused.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The golden samples cannot be read.
    #[error("the golden samples cannot be read")]
    Golden(#[from] codec::DecodeError),
    /// The engine does not take it.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It does not compute what its publisher saw.
    #[error(transparent)]
    Samples(#[from] GoldenError),
    /// It ran once and then did not.
    #[error("a golden sample ran once and then did not")]
    Run(#[from] RunError),
    /// Scores that are decided on are no probabilities.
    #[error("golden sample {sample}: a score of {score} is no probability")]
    Score {
        /// Which sample, from 0.
        sample: usize,
        /// The score.
        score: f32,
    },
}

/// Loads a model from the bytes of its parts, reproduces its golden samples, and says what that cost
/// this process.
pub fn measure(
    onnx: &[u8],
    golden: &[u8],
    interface: &Interface,
) -> Result<Measurement, MeasureError> {
    let golden: Golden = codec::decode_within(golden, limits::PROFILE)?;
    let started = Instant::now();
    let model = Model::load_as(onnx, interface)?;
    let load = started.elapsed();
    let golden_difference = golden::check(&model, &golden)?;
    for (sample, of) in golden.samples.iter().enumerate() {
        let scores = model.answer(&of.inputs)?.scores;
        let scores = scores.as_ref().and_then(Tensor::to_f32).unwrap_or_default();
        let probability = |score: &f32| (-ROUNDING..=1.0 + ROUNDING).contains(score);
        if let Some(score) = scores.into_iter().find(|score| !probability(score)) {
            return Err(MeasureError::Score { sample, score });
        }
    }
    let times = latencies(&model, &golden)?;
    Ok(Measurement {
        operators: model.operators(),
        golden_samples: golden.samples.len() as u64,
        golden_difference,
        latency_us: quantile(&times, 50),
        p95_us: quantile(&times, 95),
        load_us: micros(load),
        peak_rss: peak_rss(),
    })
}

/// How two forms of a model differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The golden samples with what the second form answers.
    pub golden: Golden,
    /// Of these, how many have the same class by both; `None` unless a classifier.
    pub same_class: Option<u64>,
    /// Largest absolute difference of an output element on them; infinite if one is not a number.
    pub largest_difference: f32,
    /// Mean absolute difference of an output element on them.
    pub mean_difference: f64,
    /// Inputs whose class is known.
    pub labelled: u64,
    /// Share of these that the first form gets right; `None` without any.
    pub right_before: Option<f64>,
    /// Share of these that the second form gets right; `None` without any.
    pub right_after: Option<f64>,
}

/// Runs two forms of a model on golden samples, and on inputs whose classes are known.
pub fn compare(
    forms: [&[u8]; 2],
    golden: &[u8],
    labelled: &[u8],
    truths: &[usize],
    interface: &Interface,
) -> Result<Comparison, MeasureError> {
    let mut golden: Golden = codec::decode_within(golden, limits::PROFILE)?;
    let labelled: Golden = codec::decode_within(labelled, limits::PROFILE)?;
    let [before, after] = forms;
    let before = Model::load_as(before, interface)?;
    let after = Model::load_as(after, interface)?;
    let classifies = interface.classes > 0;
    let (mut largest, mut sum, mut count, mut same) = (0_f32, 0.0_f64, 0_u64, 0);
    for sample in &mut golden.samples {
        let (was, is) = (
            before.answer(&sample.inputs)?,
            after.answer(&sample.inputs)?,
        );
        same += u64::from(class(&was) == class(&is));
        for (was, is) in was.outputs.iter().zip(&is.outputs) {
            let (was, is) = (was.to_f32(), is.to_f32());
            for (was, is) in was.iter().flatten().zip(is.iter().flatten()) {
                let difference = golden::difference(*was, *is);
                largest = largest.max(difference);
                sum += f64::from(difference);
                count += 1;
            }
        }
        sample.outputs = is.outputs;
    }
    let mut right = [0_u64; 2];
    for (sample, truth) in labelled.samples.iter().zip(truths) {
        for (right, model) in right.iter_mut().zip([&before, &after]) {
            *right += u64::from(class(&model.answer(&sample.inputs)?) == Some(*truth));
        }
    }
    let known = labelled.samples.len().min(truths.len()) as u64;
    let share = |right: u64| (known > 0).then(|| right as f64 / known as f64);
    Ok(Comparison {
        golden,
        same_class: classifies.then_some(same),
        largest_difference: largest,
        mean_difference: sum / count.max(1) as f64,
        labelled: known,
        right_before: share(right[0]),
        right_after: share(right[1]),
    })
}

/// What a model says of each of some inputs (golden samples without outputs), as far as a truth can be compared with it:
/// a class by its number, or a number; nothing where it says neither. As a device would say it.
pub fn said(
    onnx: &[u8],
    inputs: &[u8],
    interface: &Interface,
) -> Result<Vec<Option<f64>>, MeasureError> {
    let inputs: Golden = codec::decode_within(inputs, limits::PROFILE)?;
    let model = Model::load_as(onnx, interface)?;
    let each = inputs.samples.iter().map(|sample| {
        let answered = model.answer(&sample.inputs)?;
        Ok(truth_like(&model, &answered, interface.classes))
    });
    each.collect()
}

fn truth_like(model: &Model, answered: &Answered, classes: usize) -> Option<f64> {
    let first = answered.outputs.first()?;
    if classes == 0 {
        let value = first.to_f32()?.first().copied()?;
        return value.is_finite().then_some(value.into());
    }
    let scores = answered.scores.as_ref().unwrap_or(first).to_f32()?;
    let prediction = match model.threshold() {
        // Two sides of one score.
        Some(threshold) if classes != scores.len() => {
            Prediction::from_score(*scores.first()?, threshold)
        }
        _ => Prediction::from_probabilities(scores.get(..classes)?),
    };
    prediction.map(|prediction| prediction.class.into())
}

/// Which score of the first row is the largest.
fn class(answered: &Answered) -> Option<usize> {
    let scores = answered.scores.as_ref().or(answered.outputs.first())?;
    let scores = scores.to_f32()?;
    let best = scores
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(b.1))?;
    Some(best.0)
}

/// Latencies of single samples in microseconds, sorted.
fn latencies(model: &Model, golden: &Golden) -> Result<Vec<f64>, RunError> {
    let mut times = Vec::with_capacity(RUNS);
    let started = Instant::now();
    for sample in golden.samples.iter().cycle().take(RUNS) {
        let run = Instant::now();
        model.run(&sample.inputs)?;
        times.push(micros(run.elapsed()));
        if started.elapsed() > RUNS_TIME {
            break;
        }
    }
    times.sort_unstable_by(f64::total_cmp);
    Ok(times)
}

/// What so many of 100 sorted times keep to; 0 of none.
fn quantile(times: &[f64], percent: usize) -> f64 {
    times
        .get(times.len() * percent / 100)
        .copied()
        .unwrap_or(0.0)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Makes this process the first that the system ends when memory runs out: whoever vets a model, and not
/// whoever serves one. Without effect where the system has no such thing.
pub fn go_first() {
    // The highest score that there is (proc(5)).
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

/// Largest resident memory that this process ever had, in bytes, as Linux says it.
pub fn peak_rss() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    kib.checked_mul(1024)
}
