//! `tern-hub vet`: the process in which a model is loaded and run. It reads an order and two files
//! from standard input, limits itself, and writes one line of JSON to standard output.

use std::io::{self, BufRead as _, Read, Write as _};

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use nix::sys::resource::{Resource, setrlimit};
use tern_agent::engine::measure::{self, Comparison, MeasureError, go_first, measure};
use tern_protocol::{codec, limits, rest::Finding};

use super::{Compared, Limits, Order, Verdict, too_large};
use crate::registry::{facts::finding, publish::ONNX};

/// Longest order, in bytes: facts of a model fit a manifest.
const ORDER: u64 = 4 * limits::MANIFEST as u64;

/// Seconds of the processor beyond the wall clock, before the system itself ends the process: the
/// parent is to end it first.
const CPU_GRACE_S: u64 = 5;

/// Vets what standard input holds.
pub fn run() -> anyhow::Result<()> {
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    let read = (&mut input).take(ORDER).read_until(b'\n', &mut line);
    read.context("reading the order")?;
    let order: Order = serde_json::from_slice(&line).context("reading the order")?;
    ensure!(
        order.onnx_bytes <= ONNX && order.golden_bytes <= limits::PROFILE as u64,
        "the files are larger than any may be"
    );
    limit(order.limits).context("limiting this process")?;
    let onnx = exactly(&mut input, order.onnx_bytes)?;
    let golden = exactly(&mut input, order.golden_bytes)?;
    let found = match &order.compare {
        None if order.say => measure::said(&onnx, &golden, &order.interface).map(Verdict::Said),
        None => measure(&onnx, &golden, &order.interface).map(Verdict::Measured),
        Some(compare) => {
            let bounded =
                compare.before_bytes <= ONNX && compare.labelled_bytes <= limits::PROFILE as u64;
            ensure!(bounded, "the files are larger than any may be");
            let before = exactly(&mut input, compare.before_bytes)?;
            let labelled = exactly(&mut input, compare.labelled_bytes)?;
            let (truths, interface) = (&compare.truths, &order.interface);
            measure::compare([&before, &onnx], &golden, &labelled, truths, interface)
                .map(|compared| Verdict::Compared(Box::new(told(&compared))))
        }
    };
    let verdict = found.unwrap_or_else(|err| Verdict::Refused(refusal(&err, order.limits)));
    let mut line = serde_json::to_vec(&verdict).context("writing the verdict")?;
    line.push(b'\n');
    // Begins a line of its own, whatever was printed before.
    let mut out = io::stdout().lock();
    let written = out.write_all(b"\n").and_then(|()| out.write_all(&line));
    written
        .and_then(|()| out.flush())
        .context("writing the verdict")
}

fn told(compared: &Comparison) -> Compared {
    // JSON has no word for what is no number; such a difference is as bad as can be.
    let difference = compared.largest_difference.min(f32::MAX);
    Compared {
        golden: STANDARD.encode(codec::encode(&compared.golden)),
        same_class: compared.same_class,
        largest_difference: difference,
        mean_difference: compared.mean_difference.min(f64::MAX),
        labelled: compared.labelled,
        right_before: compared.right_before,
        right_after: compared.right_after,
    }
}

fn exactly(input: &mut impl Read, bytes: u64) -> anyhow::Result<Vec<u8>> {
    let mut file = vec![0; usize::try_from(bytes).context("a file is too large")?];
    input
        .read_exact(&mut file)
        .context("reading a file of the model")?;
    Ok(file)
}

/// From here on the system ends this process, not its machine: no more memory, no endless loop, no
/// file, no core.
fn limit(limits: Limits) -> anyhow::Result<()> {
    let memory = address_space().saturating_add(limits.memory);
    let cpu = limits.time.as_secs().saturating_add(CPU_GRACE_S);
    go_first();
    for (resource, most) in [
        (Resource::RLIMIT_AS, memory),
        (Resource::RLIMIT_CPU, cpu),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_CORE, 0),
    ] {
        setrlimit(resource, most, most)?;
    }
    Ok(())
}

/// Bytes of address space that this process has now; 0 where the system does not say.
fn address_space() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    kib.map_or(0, |kib: u64| kib.saturating_mul(1024))
}

fn refusal(err: &MeasureError, limits: Limits) -> Finding {
    // tract checks what it allocates for tensors by an assertion, which the engine catches; other
    // allocations end the process, and the parent reads its last words.
    if with_causes(err).contains("failed to allocate") {
        return too_large(limits);
    }
    match err {
        MeasureError::Load(err) => {
            finding(err.check(), err.subject(), with_causes(err), err.remedy())
        }
        MeasureError::Golden(_) => finding(
            "golden",
            "golden",
            with_causes(err),
            "write it with the trainer that comes with Tern, or with the same CBOR keys",
        ),
        MeasureError::Samples(_) => finding(
            "golden",
            "golden samples",
            with_causes(err),
            "make the golden samples with the exported ONNX file itself (not with the training \
             code), or allow a larger tolerance if the difference is rounding",
        ),
        MeasureError::Run(_) => finding(
            "golden",
            "golden samples",
            with_causes(err),
            "export the model again",
        ),
        MeasureError::Score { .. } => finding(
            "classes",
            "golden samples",
            with_causes(err),
            "put the step `softmax` before `argmax`, or give probabilities to `threshold`: classes \
             and confidences are counted from them; or name no classes",
        ),
    }
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
