//! What running a model costs: the one place where it is measured, for hub and device.
//!
//! Called in a process of its own, which does nothing else: its memory is then the model's. Must
//! never break: what is measured here reproduced its golden samples, steps included.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tern_protocol::{codec, limits, manifest::Golden, tensor::Tensor};

use super::{
    Interface, LoadError, Model, RunError,
    golden::{self, GoldenError},
};

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
    Ok(Measurement {
        operators: model.operators(),
        golden_samples: golden.samples.len() as u64,
        golden_difference,
        latency_us: median_latency(&model, &golden)?,
        load_us: micros(load),
        peak_rss: peak_rss(),
    })
}

fn median_latency(model: &Model, golden: &Golden) -> Result<f64, RunError> {
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
    Ok(times.get(times.len() / 2).copied().unwrap_or(0.0))
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
