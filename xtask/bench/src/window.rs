//! What telemetry costs a device: time of an inference, bytes of a window.

use std::{sync::Arc, time::Instant as Timer};

use anyhow::{Context, Result, ensure};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use tern_agent::telemetry::{Bins, Inference, Meter, Prediction, Took};
use tern_protocol::{
    codec,
    digest::Digest,
    id::{BootId, ModelVersion},
    profile::{FeatureReference, Image, Reference},
    reported::SlotVersion,
    steps::Channels,
    time::{Instant, Uptime},
    window::Window,
};

use crate::report::{Figure, Report};

/// Inferences that are timed.
const INFERENCES: usize = 200_000;

/// Inferences of a window whose bytes are counted: fifty a second for a minute.
const IN_A_WINDOW: usize = 3_000;

/// Windows a day at the usual minute.
const A_DAY: usize = 24 * 60;

/// A model, as far as telemetry knows it.
struct Kind {
    name: &'static str,
    features: usize,
    /// Side of a square image, if it is one.
    side: u32,
    classes: usize,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "digits: 64 features of 8 bins, 7 signals, 10 classes",
        features: 64,
        side: 8,
        classes: 10,
    },
    Kind {
        name: "table: 20 features of 8 bins, a number as answer",
        features: 20,
        side: 0,
        classes: 0,
    },
    Kind {
        name: "camera: 224 × 224 pixels, 7 signals, 1,000 classes",
        features: 0,
        side: 224,
        classes: 1_000,
    },
];

pub(crate) fn run(report: &Report) -> Result<()> {
    let (mut times, mut sizes) = (Vec::new(), Vec::new());
    for kind in &KINDS {
        report.progress(kind.name);
        let (nanoseconds, signals) = time(kind)?;
        times.push(json!({"model": kind.name, "ns": nanoseconds, "of_which_signals_ns": signals}));
        let window = window(kind, IN_A_WINDOW)?;
        ensure!(
            window.inferences == IN_A_WINDOW as u64,
            "inferences are lost"
        );
        let bytes = codec::encode(&window).len();
        let quiet = codec::encode(&self::window(kind, 1)?).len();
        sizes.push(json!({"model": kind.name, "bytes": bytes, "bytes_of_one_inference": quiet, "bytes_a_day": bytes * A_DAY}));
    }
    Figure {
        bench: "window",
        figure: "ns_per_inference",
        value: times[0]["ns"].as_f64().context("a number")?,
        unit: "ns",
        goal: "< 20000",
        detail: json!({"inferences": INFERENCES, "all": times}),
    }
    .print();
    Figure {
        bench: "window",
        figure: "bytes_per_window",
        value: sizes[0]["bytes"].as_f64().context("a number")?,
        unit: "B",
        goal: "",
        detail: json!({"inferences": IN_A_WINDOW, "all": sizes}),
    }
    .print();
    Ok(())
}

fn histogram(name: String) -> FeatureReference {
    FeatureReference {
        name,
        edges: (0..=8_u8).map(|edge| f32::from(edge) * 0.125).collect(),
        counts: vec![100; 8],
        missing: 0,
        by_class: Vec::new(),
    }
}

fn bins(kind: &Kind) -> Result<Arc<Bins>> {
    let names = ["brightness", "contrast", "sharpness"].map(String::from);
    let names = names
        .into_iter()
        .chain((0..4).map(|n| format!("projection-{n}")));
    let reference = Reference {
        features: (0..kind.features)
            .map(|n| histogram(format!("feature {n}")))
            .collect(),
        signals: if kind.side > 0 {
            names.map(histogram).collect()
        } else {
            Vec::new()
        },
        image: (kind.side > 0).then_some(Image {
            height: kind.side,
            width: kind.side,
            channels: 1,
            order: Channels::First,
        }),
        ..Reference::default()
    };
    Ok(Arc::new(Bins::new(&reference)?))
}

fn at(minutes: u64) -> Instant {
    Instant {
        boot: BootId(1),
        uptime: Uptime(minutes * 60_000),
    }
}

fn elements(kind: &Kind) -> usize {
    kind.features.max((kind.side * kind.side) as usize)
}

/// Inferences with a spread of everything.
fn play(kind: &Kind, meter: &mut Meter, bins: &Bins, inferences: usize) {
    let mut rng = StdRng::seed_from_u64(7);
    let inputs: Vec<Vec<f32>> = (0..16)
        .map(|_| (0..elements(kind)).map(|_| rng.random()).collect())
        .collect();
    for number in 0..inferences {
        let input = &inputs[number % inputs.len()];
        let slower: f64 = rng.random();
        let took = Took {
            queue: 3.0 * slower,
            pre: 40.0 + 10.0 * slower,
            infer: 120.0 * (1.0 + slower * slower),
        };
        let prediction = (kind.classes > 0).then(|| Prediction {
            class: rng.random_range(0..kind.classes as u32),
            confidence: rng.random(),
            margin: rng.random(),
        });
        meter.inference(&Inference {
            took,
            prediction,
            value: (kind.classes == 0).then(|| 100.0 * rng.random::<f32>() - 20.0),
            features: &input[..kind.features],
            signals: &bins.places(input),
            taps: &[],
        });
        meter.sent(1, 25.0 + 5.0 * slower);
    }
}

/// Nanoseconds that telemetry takes of an inference, and what of it goes into signals.
fn time(kind: &Kind) -> Result<(f64, f64)> {
    let bins = bins(kind)?;
    // An image has a thousand times the elements.
    let inferences = INFERENCES / elements(kind).div_ceil(64);
    let mut meter = Meter::new(
        at(0),
        kind.classes,
        Arc::clone(&bins),
        std::time::Duration::ZERO,
    );
    play(kind, &mut meter, &bins, inferences / 10);
    let timer = Timer::now();
    play(kind, &mut meter, &bins, inferences);
    let all = timer.elapsed().as_secs_f64() * 1e9 / inferences as f64;
    let input = vec![0.5; elements(kind)];
    let timer = Timer::now();
    for _ in 0..inferences {
        std::hint::black_box(bins.places(std::hint::black_box(&input)));
    }
    let signals = timer.elapsed().as_secs_f64() * 1e9 / inferences as f64;
    Ok((all, signals))
}

fn window(kind: &Kind, inferences: usize) -> Result<Window> {
    let bins = bins(kind)?;
    let mut meter = Meter::new(
        at(0),
        kind.classes,
        Arc::clone(&bins),
        std::time::Duration::ZERO,
    );
    meter.resident(12 << 20);
    meter.warmed(481);
    play(kind, &mut meter, &bins, inferences);
    let version = SlotVersion {
        model: "digits".parse()?,
        version: ModelVersion::FIRST,
        bundle: Digest::of(b"bundle"),
    };
    let cpu = std::time::Duration::from_millis(700);
    let closed = meter.close(&"reader".parse()?, &version, at(1), cpu);
    closed.context("something happened in it")
}
