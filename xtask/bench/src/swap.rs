//! What a swap costs whoever asks: failed requests, the longest silence, and how fast a model that fails gives
//! way to the one before it.
//!
//! Clients ask without a pause over connections that are kept alive while versions follow each other. The
//! silence around a swap is compared with the silences of the same clients when nothing is swapped, in the
//! same run: a busy machine makes both longer.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    Binaries,
    parts::{Agent, Hub, KeepAlive, SLOT, Security, infer_path, infer_request, tern, wait_for},
    report::{Figure, Report, median},
};

/// Versions that follow the first one.
const SWAPS: u32 = 10;

/// Versions that fail and give way.
const FAILURES: u32 = 5;

/// Clients that ask all the while.
const CLIENTS: usize = 2;

/// Around the first answer of a version: in this time the swap happened.
const AROUND: Duration = Duration::from_millis(250);

/// Hidden units of the models: 1 MiB each.
const HIDDEN: usize = 3_495;

/// Pixels of an image.
const PIXELS: usize = 64;

/// What a pixel is never: the scores of an overflowing model become infinities by it, and those what is not a
/// number, so that the engine refuses its own answer.
const POISON: f32 = 1e38;

/// How long a version may take until it serves.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn run(binaries: &Binaries, report: &Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let hub = Hub::start(binaries, folder.path(), Security::InsecureLoopback)?;
    let more = "[activation]\ntrial = \"5s\"\n";
    let agent = Agent::start_with(binaries, &hub, folder.path(), more)?;
    report.progress("versions are published");
    for version in 1..=1 + SWAPS + FAILURES {
        publish(binaries, &hub, folder.path(), version)?;
    }
    release(binaries, &hub, 1)?;
    serves(&agent, 1)?;
    let input = crate::footprint::input_name(&folder.path().join("v1"))?;

    report.progress("versions follow each other under load");
    let stop = Arc::new(AtomicBool::new(false));
    let failed = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| client(&agent, &input, &stop, &failed))
        .collect::<Result<_>>()?;
    for version in 2..=1 + SWAPS {
        release(binaries, &hub, version)?;
        serves(&agent, version)?;
    }
    stop.store(true, Ordering::Relaxed);
    let answers: Vec<_> = clients
        .into_iter()
        .map(|client| client.join().ok().context("a client ended badly"))
        .collect::<Result<_>>()?;
    let asked: usize = answers.iter().map(Vec::len).sum();
    Figure {
        bench: "swap",
        figure: "failed_requests",
        value: failed.load(Ordering::Relaxed) as f64,
        unit: "requests",
        goal: "0",
        detail: json!({"swaps": SWAPS, "answered": asked, "clients": CLIENTS}),
    }
    .print();
    silences(&answers)?;

    report.progress("versions fail and give way");
    let good = 1 + SWAPS;
    wait_for("the last version is confirmed", PATIENCE, || {
        serving(&agent)?["confirmed"].as_bool()?.then_some(())
    })?;
    let mut times = Vec::new();
    for version in good + 1..=good + FAILURES {
        release(binaries, &hub, version)?;
        serves(&agent, version)?;
        times.push(swap_back(&agent, &input, good)?);
    }
    let all = times.clone();
    Figure {
        bench: "swap",
        figure: "swap_back_ms",
        value: median(&mut times),
        unit: "ms",
        goal: "< 1000",
        detail: json!({"all_ms": all, "from": "the third failed answer", "to": "an answer of the version before"}),
    }
    .print();
    Ok(())
}

fn publish(binaries: &Binaries, hub: &Hub, folder: &Path, version: u32) -> Result<()> {
    let package = folder.join(format!("v{version}"));
    let write = if version > 1 + SWAPS {
        tern_models::package::overflowing
    } else {
        tern_models::package::random
    };
    write(&package, u64::from(version), HIDDEN)?;
    let package = package.to_str().context("a path in UTF-8")?;
    tern(binaries, hub, &["model", "publish", SLOT, package])
}

fn release(binaries: &Binaries, hub: &Hub, version: u32) -> Result<()> {
    let what = format!("{SLOT}@{version}");
    tern(binaries, hub, &["rollout", "start", &what, "--slot", SLOT])
}

fn serving(agent: &Agent) -> Option<Value> {
    Some(agent.status().ok()?["slots"][0]["serving"].clone())
}

fn serves(agent: &Agent, version: u32) -> Result<()> {
    wait_for(&format!("version {version} serves"), PATIENCE, || {
        let serves = serving(agent)?["version"].as_u64()?;
        (serves == u64::from(version)).then_some(())
    })
}

/// When an answer came, and of which version.
type Answer = (Instant, u32);

/// Asks until it is to stop.
fn client(
    agent: &Agent,
    input: &str,
    stop: &Arc<AtomicBool>,
    failed: &Arc<AtomicU64>,
) -> Result<JoinHandle<Vec<Answer>>> {
    let request = infer_request(&[8.0; PIXELS], input);
    let address = agent.address.clone();
    let mut http = KeepAlive::connect(&address, &infer_path(), &request)?;
    let (stop, failed) = (Arc::clone(stop), Arc::clone(failed));
    Ok(thread::spawn(move || {
        let mut answers = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let version = http.call().ok().and_then(version);
            if let Some(version) = version {
                answers.push((Instant::now(), version));
                continue;
            }
            failed.fetch_add(1, Ordering::Relaxed);
            match KeepAlive::connect(&address, &infer_path(), &request) {
                Ok(again) => http = again,
                Err(_) => break,
            }
        }
        answers
    }))
}

/// The version that an answer names.
fn version(body: &[u8]) -> Option<u32> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    answer["model_version"].as_str()?.parse().ok()
}

/// The longest silences of clients around swaps, and otherwise.
fn silences(answers: &[Vec<Answer>]) -> Result<()> {
    let (mut swaps, mut calm) = (Vec::new(), Vec::new());
    for answers in answers {
        let first: Vec<_> = answers
            .windows(2)
            .filter(|pair| pair[0].1 != pair[1].1)
            .map(|pair| pair[1].0)
            .collect();
        ensure!(
            first.len() == SWAPS as usize,
            "a client saw {} swaps of {SWAPS}",
            first.len()
        );
        for at in first {
            swaps.push(longest(answers, at));
            // Half a second earlier nothing was swapped, unless the version before was just that young.
            calm.extend(at.checked_sub(2 * AROUND).map(|at| longest(answers, at)));
        }
    }
    let all = swaps.len();
    let median_swap = median(&mut swaps);
    Figure {
        bench: "swap",
        figure: "gap_us",
        value: median_swap,
        unit: "us",
        goal: "no longer than without a swap",
        detail: json!({
            "without_swap_us": median(&mut calm), "longest_us": swaps.last(),
            "longest_without_swap_us": calm.last(), "samples": all,
            "what": "longest time between two answers of a client within 250 ms of a swap, median",
        }),
    }
    .print();
    Ok(())
}

/// The longest time between two answers around a moment, in microseconds.
fn longest(answers: &[Answer], at: Instant) -> f64 {
    let pairs = answers.windows(2).filter(|pair| {
        let near = pair[1].0.max(at) - pair[1].0.min(at);
        near <= AROUND
    });
    let gaps = pairs.map(|pair| (pair[1].0 - pair[0].0).as_secs_f64() * 1e6);
    gaps.fold(0.0, f64::max)
}

/// Makes what serves fail its trial; milliseconds until the version before it answers.
fn swap_back(agent: &Agent, input: &str, good: u32) -> Result<f64> {
    let poison = infer_request(&[POISON; PIXELS], input);
    let mut bad = KeepAlive::connect(&agent.address, &infer_path(), &poison)?;
    for _ in 0..3 {
        ensure!(bad.call().is_err(), "the poison was answered");
        bad = KeepAlive::connect(&agent.address, &infer_path(), &poison)?;
    }
    let since = Instant::now();
    let request = infer_request(&[8.0; PIXELS], input);
    let mut http = KeepAlive::connect(&agent.address, &infer_path(), &request)?;
    loop {
        let version = version(http.call()?).context("an answer names its version")?;
        if version == good {
            return Ok(since.elapsed().as_secs_f64() * 1e3);
        }
        ensure!(
            since.elapsed() < PATIENCE,
            "version {version} goes on serving"
        );
    }
}
