//! Deltas of model files: how much of the whole file travels, and how fast it is made again, against
//! zstd's patches and bsdiff on the same files.
//!
//! The files are of networks that were really trained further: the reference model by its own trainer,
//! and a convolution network of the size of MobileNet. What each delta makes is compared with the file.

mod convnet;
mod peers;

use std::{
    io::Cursor,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tern_models::{
    corruption::Corruption,
    data::{self, Part},
    frames::{Images, Walk},
    onnx,
    train::{self, Config},
};
use tern_protocol::blob::BlobRef;

use self::{convnet::Convnet, peers::Peers};
use crate::report::{Figure, Report};

/// How long a delta is applied again and again to measure its speed.
const MEASURE: Duration = Duration::from_secs(2);

/// How much a nudged weight changes, at most.
const NUDGE: f32 = 1e-3;

/// How the reference model is trained further: a tenth of the step that it was trained with.
const FURTHER: Config = Config {
    seed: 2,
    epochs: 10,
    learning_rate: 5e-4,
    hidden: 96,
};

/// The frames from a foggy field that it learns from then.
const FRAMES: usize = 300;

/// Two files, the second of which follows on the first.
struct Pair {
    figure: &'static str,
    goal: &'static str,
    network: &'static str,
    base: Vec<u8>,
    new: Vec<u8>,
    /// What else there is to say.
    facts: Value,
}

pub(crate) fn run(report: &Report) -> Result<()> {
    let folder = tempfile::tempdir().context("a temporary directory")?;
    let peers = Peers::find(folder.path())?;
    report.progress("training the reference model, then further");
    let reference = reference()?;
    report.progress("training a convolution network, then further");
    let mut pairs = vec![reference];
    pairs.extend(convnets(report)?);
    for pair in &pairs {
        report.progress(&format!("{}, {}", pair.figure, pair.network));
        measure(pair, &peers)?;
    }
    Ok(())
}

/// The reference model, trained further on a foggy field.
fn reference() -> Result<Pair> {
    let data = data::load()?;
    let (base, validation) = (data.part(Part::Train), data.part(Part::Validation));
    let first = train::train(&Config::default(), &base, &[], &validation, |_| ())?;
    let walk = Walk::new(Images::Early.of(&data.part(Part::Field)), 1);
    let fog = Corruption {
        fog: 0.6,
        ..Corruption::NONE
    };
    let foggy = walk
        .context("the field shows every digit")?
        .frames(FRAMES, &fog);
    let start = first.mlp.clone();
    let further = train::go_on(start, &FURTHER, &base, &foggy, &validation, |_| ())?;
    let right = |trained: &train::Trained| train::evaluate(&trained.mlp, &foggy);
    Ok(Pair {
        figure: "fine_tuned_over_full",
        goal: "<= 0.75",
        network: "reference",
        base: onnx::write_mlp(&first.mlp),
        new: onnx::write_mlp(&further.mlp),
        facts: json!({
            "right_in_fog_before": right(&first)?.accuracy,
            "right_in_fog_after": right(&further)?.accuracy,
            "epochs": FURTHER.epochs,
        }),
    })
}

/// A convolution network and what becomes of it.
fn convnets(report: &Report) -> Result<Vec<Pair>> {
    let mut network = Convnet::new(1)?;
    let learnt = network.train(convnet::FIRST)?;
    let base = network.onnx("trained")?;
    convnet::loads(&base)?;
    report.progress("all of its weights");
    let mut tuned = network.copy()?;
    let relearnt = tuned.train(convnet::FURTHER)?;
    report.progress("its last layer");
    let mut last = network.copy()?;
    let last_learnt = last.train(convnet::LAST)?;
    let nudged = network.copy()?;
    nudged.nudge(NUDGE)?;
    let pair = |figure, goal, new, facts| Pair {
        figure,
        goal,
        network: "convolution",
        base: base.clone(),
        new,
        facts,
    };
    let facts = |before: f32, after: f32| json!({"loss_before": before, "loss_after": after});
    Ok(vec![
        pair(
            "fine_tuned_over_full",
            "<= 0.75",
            tuned.onnx("trained")?,
            facts(relearnt.before, relearnt.after),
        ),
        pair(
            "last_layer_over_full",
            "<= 0.03",
            last.onnx("trained")?,
            facts(last_learnt.before, last_learnt.after),
        ),
        pair(
            "nudged_over_full",
            "",
            nudged.onnx("trained")?,
            json!({"by_at_most": NUDGE}),
        ),
        pair(
            "metadata_over_full",
            "",
            network.onnx("trained, and described anew")?,
            facts(learnt.before, learnt.after),
        ),
    ])
}

fn measure(pair: &Pair, peers: &Peers) -> Result<()> {
    let start = Instant::now();
    let delta = tern_delta::encode(&pair.base, &pair.new)?;
    let took = start.elapsed();
    let full = pair.new.len() as f64;
    let share = |bytes: usize| bytes as f64 / full;
    let sizes = peers.sizes(&pair.base, &pair.new)?;
    let mut detail = json!({
        "network": pair.network,
        "file_bytes": pair.new.len(),
        "delta_bytes": delta.len(),
        "encode_ms": took.as_millis() as u64,
        "zstd_19_over_full": share(sizes.zstd),
        "zstd_patch_over_full": share(sizes.zstd_patch),
        "bsdiff_over_full": share(sizes.bsdiff),
    });
    if let (Value::Object(detail), Value::Object(facts)) = (&mut detail, pair.facts.clone()) {
        detail.extend(facts);
    }
    let decode = decode(pair, &delta)?;
    Figure {
        bench: "delta",
        figure: pair.figure,
        value: share(delta.len()),
        unit: "ratio",
        goal: pair.goal,
        detail,
    }
    .print();
    if pair.figure == "fine_tuned_over_full" {
        Figure {
            bench: "delta",
            figure: "decode_mib_per_s",
            value: decode,
            unit: "MiB/s",
            goal: "",
            detail: json!({"network": pair.network, "file_bytes": pair.new.len()}),
        }
        .print();
    }
    Ok(())
}

/// How fast a delta is applied, hashing included, in MiB of the new file a second.
fn decode(pair: &Pair, delta: &[u8]) -> Result<f64> {
    let wanted = BlobRef::of(&pair.new);
    let mut out = Vec::with_capacity(pair.new.len());
    let mut times = 0_u32;
    let start = Instant::now();
    while start.elapsed() < MEASURE {
        out.clear();
        tern_delta::apply(Cursor::new(&pair.base), delta, wanted, &mut out)?;
        times += 1;
    }
    let took = start.elapsed().as_secs_f64();
    ensure!(out == pair.new, "a delta made another file");
    Ok(pair.new.len() as f64 * f64::from(times) / took / f64::from(1 << 20))
}
