//! Vetting: does the engine that devices run take this model, and does it compute what its
//! publisher saw? Blocking; `publish` gives it a thread and a time limit.
//!
//! The checks run from cheap to dear and stop at the first step that finds something: what comes
//! after could only be confused by it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tern_agent::engine::{self, Model};
use tern_protocol::{
    codec, limits,
    manifest::Golden,
    rest::{Finding, NewVersion, Vetting},
};

use super::facts::{self, finding};

/// Most runs for measuring latency; their median stands still long before.
const RUNS: usize = 101;

/// Longest time for measuring latency.
const RUNS_TIME: Duration = Duration::from_millis(500);

/// The files and facts of a model that wants to become a version.
pub(super) struct Candidate {
    pub(super) onnx: Bytes,
    pub(super) golden: Bytes,
    pub(super) reference: Option<Bytes>,
    pub(super) facts: NewVersion,
}

/// Vets a model; what was measured, or why it is refused.
pub(super) fn vet(candidate: &Candidate) -> Result<Vetting, Vec<Finding>> {
    let golden: Golden = read("golden", &candidate.golden)?;
    let reference = candidate
        .reference
        .as_ref()
        .map(|bytes| read("reference", bytes))
        .transpose()?;
    let findings = facts::check(&candidate.facts, &golden, reference.as_ref());
    if !findings.is_empty() {
        return Err(findings);
    }

    let started = Instant::now();
    let loaded = Model::load(
        &candidate.onnx,
        &candidate.facts.inputs,
        &candidate.facts.outputs,
    );
    let model = loaded.map_err(|err| {
        vec![finding(
            err.check(),
            err.subject(),
            with_causes(&err),
            err.remedy(),
        )]
    })?;
    let load = started.elapsed();

    let difference = engine::golden::check(&model, &golden).map_err(|err| {
        vec![finding(
            "golden",
            "golden samples",
            with_causes(&err),
            "make the golden samples with the exported ONNX file itself (not with the training \
             code), or allow a larger tolerance if the difference is rounding",
        )]
    })?;
    Ok(Vetting {
        operators: model.operators(),
        golden_samples: golden.samples.len() as u64,
        golden_difference: difference,
        latency_us: median_latency(&model, &golden).map_err(|finding| vec![finding])?,
        load_ms: load.as_secs_f64() * 1e3,
    })
}

/// Reads a CBOR file of a package.
fn read<T: for<'b> minicbor::Decode<'b, ()>>(check: &str, bytes: &[u8]) -> Result<T, Vec<Finding>> {
    codec::decode_within(bytes, limits::PROFILE).map_err(|err| {
        vec![finding(
            check,
            check,
            format!("the file cannot be read: {err}"),
            "write it with the trainer that comes with Tern, or with the same CBOR keys",
        )]
    })
}

/// Median time of one sample, in microseconds.
fn median_latency(model: &Model, golden: &Golden) -> Result<f64, Finding> {
    let mut times = Vec::with_capacity(RUNS);
    let started = Instant::now();
    for sample in golden.samples.iter().cycle().take(RUNS) {
        let run = Instant::now();
        model.run(&sample.inputs).map_err(|err| {
            finding(
                "golden",
                "golden samples",
                with_causes(&err),
                "export the model again",
            )
        })?;
        times.push(run.elapsed().as_secs_f64() * 1e6);
        if started.elapsed() > RUNS_TIME {
            break;
        }
    }
    times.sort_unstable_by(f64::total_cmp);
    Ok(times.get(times.len() / 2).copied().unwrap_or(0.0))
}

/// An error with its causes in one line; the engine's own words are in the last of them.
fn with_causes(err: &dyn std::error::Error) -> String {
    let mut text = err.to_string();
    let mut cause = err.source();
    while let Some(err) = cause {
        let line = err.to_string();
        if !text.contains(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
        cause = err.source();
    }
    // Engines quote whole graphs; a person reads a few lines.
    text.chars().take(2000).collect()
}
