//! One message of each kind, every field filled.

use std::collections::BTreeMap;

use tern_protocol::{
    blob::{BlobRef, Chunk, ChunkRange, Want},
    capture::{CaptureRequest, Erasure, MeasuredSignal, PredictedNumber, Reasons, Summary},
    desired::{Desired, DesiredShadow, DesiredSlot, Offer},
    digest::Digest,
    id::{BootId, ModelVersion, OutboxId, PredictionId, Revision, Sequence},
    log::{Ack, Batch, Body, Capture, Entry, Event, EventKind, Label, NumberLabel},
    manifest::{Base, Golden, GoldenSample, Manifest, Measured},
    metadata::{Newest, Roots},
    metric::{MetricCounts, MetricKind, MetricSpec, Range, Reduce, Sum, TensorSource},
    profile::{FeatureReference, Image, Reference},
    reported::{
        CaptureLimits, Deltas, Link, OutboxReport, Phase, Platform, Progress, RejectReason,
        Rejected, Reported, Resources, Serving, ShadowPhase, ShadowReport, SlotReport, SlotVersion,
        Trust,
    },
    shadow::{ShadowWindow, TOLERANCE},
    steps::{Channels, InputSteps, Method, OutputSteps, PostStep, PreStep},
    tensor::{Dtype, Tensor, TensorSpec},
    time::{Instant, Uptime, WallTime},
    window::{FeatureCounts, Parts, Sketch, SketchBin, Values, Window},
};

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

fn at(boot: u32, ms: u64) -> Instant {
    Instant {
        boot: BootId(boot),
        uptime: Uptime(ms),
    }
}

fn version(number: u32) -> ModelVersion {
    ModelVersion::new(number).expect("from 1 up")
}

fn blob(text: &str) -> BlobRef {
    BlobRef::of(text.as_bytes())
}

fn slot_version(number: u32) -> SlotVersion {
    SlotVersion {
        model: name("digit-reader"),
        version: version(number),
        bundle: Digest::of(&[number as u8]),
    }
}

pub fn link() -> Link {
    Link {
        online: true,
        boot: BootId(3),
    }
}

pub fn reported() -> Reported {
    Reported {
        agent: "0.1.0".into(),
        now: at(3, 61_000),
        wall: Some(WallTime(1_790_000_000_000)),
        site: name("harbour"),
        labels: BTreeMap::from([("lens".into(), "plastic".into())]),
        platform: Platform {
            os: "linux".into(),
            arch: "aarch64".into(),
            cpus: 4,
        },
        resources: Resources {
            agent_rss: Some(9_000_000),
            memory: Some(512 << 20),
            disk_free: Some(1 << 30),
        },
        answers: Revision(7),
        slots: vec![SlotReport {
            slot: name("digit-reader"),
            serving: Some(Serving {
                version: slot_version(1),
                weights: Digest::of(b"weights"),
                since: at(3, 1_200),
                inferences: 4_711,
                errors: 2,
                golden_difference: 0.000_001,
                confirmed: false,
            }),
            previous: Some(slot_version(4)),
            progress: Some(Progress {
                version: slot_version(2),
                phase: Phase::Fetching,
                bytes: 65_536,
                bytes_total: 131_000,
            }),
            rejected: Some(Rejected {
                version: slot_version(3),
                reason: RejectReason::DigestMismatch,
                text: "the bytes do not have the digest that names them".into(),
            }),
            shadow: None,
        }],
        outbox: OutboxReport {
            entries: 12,
            bytes: 3_400,
            merged: 1,
            dropped: 2,
        },
        malformed: 5,
        trust: None,
        deltas: None,
        erased: None,
        captures: None,
    }
}

pub fn reported_with_shadow() -> Reported {
    let mut reported = reported();
    reported.slots[0].shadow = Some(ShadowReport {
        version: slot_version(5),
        phase: ShadowPhase::Running,
        reason: None,
        text: String::new(),
    });
    let mut refused = reported.slots[0].clone();
    refused.slot = name("meter-reader");
    refused.shadow = Some(ShadowReport {
        version: slot_version(6),
        phase: ShadowPhase::Rejected,
        reason: Some(RejectReason::GoldenMismatch),
        text: "golden sample 3 differs by 0.2".into(),
    });
    reported.slots.push(refused);
    reported
}

pub fn reported_with_deltas() -> Reported {
    let mut reported = reported();
    reported.deltas = Some(Deltas {
        applied: 3,
        bytes_saved: 9_000_000,
        failed: 1,
    });
    reported
}

pub fn reported_with_trust() -> Reported {
    let mut reported = reported();
    reported.trust = Some(Trust {
        root: 2,
        targets: 31,
        expires: Some(WallTime(1_790_600_000_000)),
        problem: Some("a signature is missing".into()),
    });
    for slot in &mut reported.slots {
        if let Some(serving) = &mut slot.serving {
            serving.confirmed = true;
        }
    }
    reported
}

pub fn roots() -> Roots {
    Roots {
        roots: vec![blob("root 1"), blob("root 2")],
    }
}

pub fn newest() -> Newest {
    Newest {
        timestamp: b"{}".to_vec(),
        snapshot: blob("snapshot"),
        targets: blob("targets"),
    }
}

pub fn desired() -> Desired {
    Desired {
        revision: Revision(8),
        slots: vec![DesiredSlot {
            slot: name("digit-reader"),
            model: name("digit-reader"),
            version: version(2),
            bundle: blob("manifest"),
            offers: Vec::new(),
        }],
        shadows: Vec::new(),
        requests: Vec::new(),
        erasures: Vec::new(),
    }
}

pub fn desired_with_shadows() -> Desired {
    let mut desired = desired();
    let shadow = DesiredShadow {
        slot: name("digit-reader"),
        model: name("digit-reader"),
        version: version(3),
        bundle: blob("candidate manifest"),
        offers: vec![Offer {
            base: Digest::of(b"weights"),
            delta: blob("delta"),
        }],
        cpu_permille: 50,
    };
    let plain = DesiredShadow {
        slot: name("meter-reader"),
        offers: Vec::new(),
        ..shadow.clone()
    };
    desired.shadows = vec![shadow, plain];
    desired
}

pub fn desired_with_captures() -> Desired {
    let mut desired = desired();
    desired.requests = vec![
        CaptureRequest {
            id: 1_790_000_000_123,
            slot: Some(name("digit-reader")),
            model: Some(name("digit-reader")),
            count: 20,
            until: WallTime(1_790_003_600_000),
        },
        CaptureRequest {
            id: 1_790_000_000_124,
            slot: None,
            model: None,
            count: 1,
            until: WallTime(1_790_003_600_000),
        },
    ];
    let all = Erasure {
        id: 1_790_000_000_125,
        predictions: Vec::new(),
        subject: None,
    };
    let some = Erasure {
        id: 1_790_000_000_126,
        predictions: vec![PredictionId {
            boot: BootId(3),
            number: 1_042,
        }],
        subject: None,
    };
    let subject = Erasure {
        id: 1_790_000_000_127,
        predictions: Vec::new(),
        subject: Some(Digest::of(b"somebody")),
    };
    desired.erasures = vec![all, some, subject];
    desired
}

pub fn reported_that_forgot() -> Reported {
    let mut reported = reported();
    reported.erased = Some(1_790_000_000_127);
    reported
}

pub fn reported_with_limits() -> Reported {
    let mut reported = reported();
    reported.captures = Some(CaptureLimits {
        per_day: Some(2_000),
        bytes_per_day: Some(64 << 20),
    });
    reported
}

pub fn batch_with_captured_number() -> Batch {
    let mut batch = batch();
    batch
        .entries
        .retain(|entry| matches!(entry.body, Body::Capture(_)));
    for entry in &mut batch.entries {
        if let Body::Capture(capture) = &mut entry.body {
            (capture.class, capture.confidence) = (0, 0.0);
            capture.number = Some(PredictedNumber {
                value: 41.5,
                low: Some(39.0),
                high: Some(44.25),
            });
        }
    }
    batch
}

pub fn batch_with_reasons() -> Batch {
    let mut batch = batch();
    for entry in &mut batch.entries {
        match &mut entry.body {
            Body::Capture(capture) => {
                capture.probability = 0.0;
                capture.reasons = Reasons::DISAGREED.and(Reasons::REQUESTED);
                capture.request = Some(1_790_000_000_123);
                capture.subject = Some(Digest::of(b"somebody"));
                capture.input = Tensor::from_f32(&[0], &[]);
                capture.summary = Some(Summary {
                    places: vec![0, 3],
                    signals: vec![MeasuredSignal {
                        name: "brightness".into(),
                        value: 4.5,
                    }],
                    embedding: vec![0.25, -1.0],
                });
            }
            Body::Label(label) => label.subject = Some(Digest::of(b"somebody")),
            _ => {}
        }
    }
    batch
}

pub fn desired_with_offers() -> Desired {
    let mut desired = desired();
    desired.slots[0].offers = vec![
        Offer {
            base: Digest::of(b"weights"),
            delta: blob("delta"),
        },
        Offer {
            base: Digest::of(b"older weights"),
            delta: blob("longer delta"),
        },
    ];
    desired
}

pub fn want() -> Want {
    Want {
        blob: Digest::of(b"onnx"),
        ranges: vec![
            ChunkRange { first: 0, count: 3 },
            ChunkRange { first: 9, count: 1 },
        ],
    }
}

pub fn chunk() -> Chunk {
    Chunk {
        index: 9,
        bytes: b"some weights".to_vec(),
    }
}

pub fn manifest() -> Manifest {
    Manifest {
        model: name("digit-reader"),
        version: version(2),
        onnx: blob("onnx"),
        golden: blob("golden"),
        reference: Some(blob("reference")),
        inputs: vec![TensorSpec {
            name: "image".into(),
            dtype: Dtype::F32,
            shape: vec![-1, 64],
        }],
        outputs: vec![TensorSpec {
            name: "probabilities".into(),
            dtype: Dtype::F32,
            shape: vec![-1, 10],
        }],
        classes: vec!["0".into(), "1".into()],
        pre: vec![],
        post: vec![],
        min_agent: None,
        operators: vec![],
        measured: vec![],
        bases: vec![],
        metrics: vec![],
    }
}

pub fn manifest_with_metrics() -> Manifest {
    let spec = |name_: &str, kind, bins: &[f32], from| MetricSpec {
        name: name(name_),
        kind,
        bins: bins.into(),
        unit: "mm".into(),
        help: "what it says".into(),
        from,
    };
    let from = |output: &str, reduce| {
        Some(TensorSource {
            output: output.into(),
            reduce,
        })
    };
    Manifest {
        metrics: vec![
            spec("rejects", MetricKind::Counter, &[], None),
            spec(
                "energy",
                MetricKind::Gauge,
                &[],
                from("hidden", Reduce::Mean),
            ),
            spec(
                "surest",
                MetricKind::Histogram,
                &[0.0, 0.5, 1.0],
                from("probabilities", Reduce::Max),
            ),
        ],
        ..manifest()
    }
}

pub fn manifest_with_steps() -> Manifest {
    let pre = vec![
        PreStep::Cast { to: Dtype::F32 },
        PreStep::Resize {
            height: 8,
            width: 8,
            method: Method::Bilinear,
            channels: Channels::Last,
        },
        PreStep::Scale {
            factor: 0.0625,
            offset: -0.5,
        },
        PreStep::Normalise {
            mean: vec![0.5, 0.25],
            std: vec![0.25, 2.0],
            channels: Channels::Last,
        },
        PreStep::Transpose {
            axes: vec![2, 0, 1],
        },
        PreStep::Reshape { shape: vec![128] },
    ];
    let post = vec![
        PostStep::Softmax {},
        PostStep::Threshold { at: 0.5 },
        PostStep::Argmax {},
        PostStep::Labels {},
    ];
    Manifest {
        pre: vec![InputSteps {
            input: "image".into(),
            steps: pre,
        }],
        post: vec![OutputSteps {
            output: "probabilities".into(),
            steps: post,
        }],
        min_agent: Some("0.2.0".parse().expect("a version")),
        operators: vec!["Gemm".into(), "Relu".into()],
        measured: vec![Measured {
            target: "x86_64".into(),
            latency_us: 41,
            load_us: 3_140,
            peak_rss: Some(14 << 20),
            p95_us: None,
        }],
        bases: vec![Base {
            version: version(1),
            onnx: blob("older onnx"),
        }],
        ..manifest()
    }
}

pub fn golden() -> Golden {
    Golden {
        tolerance: 0.0001,
        samples: vec![GoldenSample {
            inputs: vec![Tensor::from_f32(&[1, 2], &[0.0, 16.0])],
            outputs: vec![Tensor::from_f32(&[1, 2], &[0.25, 0.75])],
        }],
    }
}

pub fn reference() -> Reference {
    Reference {
        features: vec![FeatureReference {
            name: "pixel-0".into(),
            edges: vec![0.0, 4.0, 16.0],
            counts: vec![900, 100],
            missing: 1,
            by_class: Vec::new(),
        }],
        classes: vec![500, 501],
        confidence: vec![0; 20],
        confidence_right: vec![0; 20],
        ..Default::default()
    }
}

pub fn reference_by_class() -> Reference {
    let mut reference = reference();
    reference.features[0].by_class = vec![vec![450, 50], vec![450, 50]];
    reference
}

pub fn reference_of_images() -> Reference {
    Reference {
        signals: vec![FeatureReference {
            name: "brightness".into(),
            edges: vec![0.0, 0.5, 1.0],
            counts: vec![30, 70],
            missing: 0,
            by_class: Vec::new(),
        }],
        image: Some(Image {
            height: 2,
            width: 1,
            channels: 1,
            order: Channels::First,
        }),
        margin: vec![3; 20],
        values: Some(FeatureReference {
            name: "price".into(),
            edges: vec![-1.0, 1.0],
            counts: vec![9],
            missing: 0,
            by_class: Vec::new(),
        }),
        ..reference()
    }
}

pub fn window() -> Window {
    Window {
        slot: name("digit-reader"),
        model: name("digit-reader"),
        version: version(1),
        bundle: Digest::of(b"bundle"),
        opened: at(3, 0),
        closed: at(3, 60_000),
        inferences: 300,
        errors: 1,
        latency: Sketch {
            accuracy: 10,
            zeros: 1,
            bins: vec![
                SketchBin {
                    index: -3,
                    count: 2,
                },
                SketchBin {
                    index: 230,
                    count: 297,
                },
            ],
            sum: 30_123.5,
            min: 0.0,
            max: 170.0,
        },
        classes: vec![290, 10],
        confidence: vec![15; 20],
        features: vec![FeatureCounts(vec![0, 200, 99, 1, 0])],
        rss: None,
        cpu_ms: None,
        parts: None,
        margin: Vec::new(),
        repeated: Vec::new(),
        values: None,
        signals: Vec::new(),
        temperature: None,
        metrics: Vec::new(),
    }
}

pub fn window_with_parts() -> Window {
    let took = window().latency;
    Window {
        parts: Some(Parts {
            queue: Sketch::default(),
            pre: took.clone(),
            infer: took.clone(),
            post: took.clone(),
        }),
        margin: vec![15; 20],
        repeated: vec![7],
        values: Some(Values {
            above: took,
            below: Sketch::default(),
            missing: 2,
        }),
        signals: vec![FeatureCounts(vec![0, 100, 199, 1, 0])],
        temperature: Some(-53),
        ..window_with_resources()
    }
}

pub fn window_with_metrics() -> Window {
    let counts = |name_: &str, kind, values: &[f64]| MetricCounts {
        name: name(name_),
        kind,
        count: values.len() as u64,
        sum: values.iter().fold(Sum::default(), |sum, value| {
            sum.plus(Sum::of(*value).expect("a number"))
        }),
        range: None,
        bins: Vec::new(),
        refused: 0,
    };
    Window {
        metrics: vec![
            counts("rejects", MetricKind::Counter, &[1.0, 2.0]),
            MetricCounts {
                range: Some(Range {
                    min: -1.5,
                    max: 2.25,
                }),
                refused: 3,
                ..counts("belt_speed", MetricKind::Gauge, &[-1.5, 2.25])
            },
            MetricCounts {
                range: Some(Range { min: 0.5, max: 9.0 }),
                bins: vec![0, 1, 0, 1],
                ..counts("width", MetricKind::Histogram, &[0.5, 9.0])
            },
        ],
        ..window()
    }
}

pub fn window_with_resources() -> Window {
    Window {
        rss: Some(9_000_000),
        cpu_ms: Some(1_234),
        ..window()
    }
}

pub fn shadow_window() -> ShadowWindow {
    let live = window();
    ShadowWindow {
        slot: live.slot,
        model: name("digit-reader"),
        version: version(2),
        bundle: Digest::of(b"candidate"),
        live_version: live.version,
        live_bundle: live.bundle,
        opened: live.opened,
        closed: live.closed,
        compared: 40,
        agreed: 38,
        errors: 1,
        skipped: 259,
        latency: Sketch {
            accuracy: 10,
            zeros: 0,
            bins: vec![SketchBin {
                index: 240,
                count: 40,
            }],
            sum: 4_800.5,
            min: 100.0,
            max: 130.0,
        },
        live_latency: live.latency,
        classes: vec![30, 10],
        confidence: vec![2; 20],
        tolerance: TOLERANCE,
    }
}

pub fn batch_with_shadow() -> Batch {
    let mut batch = batch();
    batch.entries.truncate(2);
    batch.entries.push(Entry {
        sequence: Sequence(43),
        at: at(3, 43_000),
        wall: None,
        body: Body::Shadow(Box::new(shadow_window())),
    });
    if let Body::Event(event) = &mut batch.entries[1].body {
        event.kind = EventKind::Shadow;
    }
    batch
}

pub fn batch_with_number() -> Batch {
    let mut batch = batch();
    batch.entries.truncate(1);
    batch.entries.push(Entry {
        sequence: Sequence(44),
        at: at(3, 44_000),
        wall: None,
        body: Body::Number(Box::new(NumberLabel {
            subject: None,
            prediction: PredictionId {
                boot: BootId(3),
                number: 1043,
            },
            slot: name("level"),
            model: name("tank-level"),
            version: version(2),
            predicted: 41.5,
            truth: 40.25,
            low: Some(39.0),
            high: Some(44.0),
            predicted_at: at(3, 40_000),
        })),
    });
    batch
}

pub fn batch() -> Batch {
    let bodies = [
        Body::Window(Box::new(window())),
        Body::Event(Box::new(Event {
            kind: EventKind::Rejected,
            slot: Some(name("digit-reader")),
            model: Some(name("digit-reader")),
            version: Some(version(2)),
            text: "golden sample 3 differs by 0.2".into(),
        })),
        Body::Capture(Box::new(Capture {
            prediction: PredictionId {
                boot: BootId(3),
                number: 1_042,
            },
            slot: name("digit-reader"),
            model: name("digit-reader"),
            version: version(1),
            input: Tensor::from_f32(&[1, 2], &[3.0, 4.5]),
            class: 1,
            confidence: 0.5,
            probability: 0.25,
            reasons: tern_protocol::capture::Reasons::default(),
            request: None,
            subject: None,
            summary: None,
            number: None,
        })),
        Body::Label(Box::new(Label {
            prediction: PredictionId {
                boot: BootId(3),
                number: 1_042,
            },
            slot: name("digit-reader"),
            model: name("digit-reader"),
            version: version(1),
            class: 1,
            confidence: 0.5,
            truth: 7,
            predicted_at: at(3, 9_000),
            subject: None,
        })),
    ];
    let entries = bodies.into_iter().zip(41..).map(|(body, sequence)| Entry {
        sequence: Sequence(sequence),
        at: at(3, sequence * 1_000),
        wall: (sequence == 41).then_some(WallTime(1_790_000_000_000)),
        body,
    });
    Batch {
        outbox: OutboxId(0x0123_4567_89ab_cdef),
        acked: Sequence(39),
        after: Sequence(40),
        now: at(3, 61_000),
        entries: entries.collect(),
    }
}

pub fn ack() -> Ack {
    Ack {
        outbox: OutboxId(0x0123_4567_89ab_cdef),
        stored: Sequence(44),
    }
}

/// Calls `$each!(file name, type, sample)` for every message of version 1.
macro_rules! every_message {
    ($each:ident) => {
        $each!(
            "link",
            tern_protocol::reported::Link,
            crate::samples::link()
        );
        $each!(
            "reported",
            tern_protocol::reported::Reported,
            crate::samples::reported()
        );
        $each!(
            "desired",
            tern_protocol::desired::Desired,
            crate::samples::desired()
        );
        $each!("want", tern_protocol::blob::Want, crate::samples::want());
        $each!("chunk", tern_protocol::blob::Chunk, crate::samples::chunk());
        $each!(
            "manifest",
            tern_protocol::manifest::Manifest,
            crate::samples::manifest()
        );
        $each!(
            "manifest-with-steps",
            tern_protocol::manifest::Manifest,
            crate::samples::manifest_with_steps()
        );
        $each!(
            "golden",
            tern_protocol::manifest::Golden,
            crate::samples::golden()
        );
        $each!(
            "reference",
            tern_protocol::profile::Reference,
            crate::samples::reference()
        );
        $each!(
            "reference-images",
            tern_protocol::profile::Reference,
            crate::samples::reference_of_images()
        );
        $each!(
            "reference-by-class",
            tern_protocol::profile::Reference,
            crate::samples::reference_by_class()
        );
        $each!(
            "window",
            tern_protocol::window::Window,
            crate::samples::window()
        );
        $each!("batch", tern_protocol::log::Batch, crate::samples::batch());
        $each!(
            "batch-number",
            tern_protocol::log::Batch,
            crate::samples::batch_with_number()
        );
        $each!(
            "batch-reasons",
            tern_protocol::log::Batch,
            crate::samples::batch_with_reasons()
        );
        $each!(
            "batch-capture-number",
            tern_protocol::log::Batch,
            crate::samples::batch_with_captured_number()
        );
        $each!(
            "reported-capture-limits",
            tern_protocol::reported::Reported,
            crate::samples::reported_with_limits()
        );
        $each!(
            "desired-captures",
            tern_protocol::desired::Desired,
            crate::samples::desired_with_captures()
        );
        $each!(
            "reported-forgot",
            tern_protocol::reported::Reported,
            crate::samples::reported_that_forgot()
        );
        $each!(
            "reported-trust",
            tern_protocol::reported::Reported,
            crate::samples::reported_with_trust()
        );
        $each!(
            "reported-deltas",
            tern_protocol::reported::Reported,
            crate::samples::reported_with_deltas()
        );
        $each!(
            "desired-offers",
            tern_protocol::desired::Desired,
            crate::samples::desired_with_offers()
        );
        $each!(
            "desired-shadows",
            tern_protocol::desired::Desired,
            crate::samples::desired_with_shadows()
        );
        $each!(
            "reported-shadow",
            tern_protocol::reported::Reported,
            crate::samples::reported_with_shadow()
        );
        $each!(
            "window-resources",
            tern_protocol::window::Window,
            crate::samples::window_with_resources()
        );
        $each!(
            "window-parts",
            tern_protocol::window::Window,
            crate::samples::window_with_parts()
        );
        $each!(
            "window-metrics",
            tern_protocol::window::Window,
            crate::samples::window_with_metrics()
        );
        $each!(
            "manifest-metrics",
            tern_protocol::manifest::Manifest,
            crate::samples::manifest_with_metrics()
        );
        $each!(
            "shadow-window",
            tern_protocol::shadow::ShadowWindow,
            crate::samples::shadow_window()
        );
        $each!(
            "batch-shadow",
            tern_protocol::log::Batch,
            crate::samples::batch_with_shadow()
        );
        $each!(
            "roots",
            tern_protocol::metadata::Roots,
            crate::samples::roots()
        );
        $each!(
            "newest",
            tern_protocol::metadata::Newest,
            crate::samples::newest()
        );
        $each!("ack", tern_protocol::log::Ack, crate::samples::ack());
    };
}
pub(crate) use every_message;
