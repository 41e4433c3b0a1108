//! `GET /metrics`: what the agent counts, for Prometheus.

use std::sync::Arc;

use tern_protocol::{
    exposition::{self, Text},
    metric::{MetricKind, MetricSpec},
};
use tern_stats::sketch::Sketch;

use super::Shared;
use crate::{
    node::board::Facts,
    room::Level,
    slots::{Loaded, Slot},
    telemetry::Ever,
};

/// Upper ends of the bins of latency, in seconds as Prometheus has times.
const SECONDS: [&str; 14] = [
    "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1",
    "0.25", "0.5", "1", "2.5",
];

/// What the agent counts; counters are since it started.
pub(super) fn metrics(shared: &Shared) -> String {
    let mut text = Text::default();
    let facts = shared.board.read();
    let predictor = &shared.predictor;
    let (inferences, errors) = predictor.counts();
    text.family("tern_agent_info", "gauge", "1, with what the agent is.");
    let labels = [
        ("device", shared.device.as_str()),
        ("version", env!("CARGO_PKG_VERSION")),
    ];
    text.sample("tern_agent_info", &labels, 1);
    let seconds = predictor.clock().uptime().0 as f64 / 1_000.0;
    let mut gauge = |name, help, value: f64| text.single(name, "gauge", help, value);
    gauge(
        "tern_agent_uptime_seconds",
        "Time since the agent started.",
        seconds,
    );
    let boot = f64::from(predictor.clock().boot().0);
    gauge(
        "tern_agent_boot",
        "How often the agent has started on this device.",
        boot,
    );
    gauge(
        "tern_agent_online",
        "1 while there is a connection to the broker.",
        f64::from(u8::from(facts.online)),
    );
    gauge(
        "tern_agent_store_trouble",
        "1 while the store cannot be used.",
        f64::from(u8::from(facts.trouble.is_some())),
    );
    disk_and_outbox(&facts, &mut gauge);
    let mut counter = |name, help, value: u64| text.single(name, "counter", help, value);
    counter(
        "tern_agent_inferences_total",
        "Rows that were answered.",
        inferences,
    );
    counter(
        "tern_agent_errors_total",
        "Requests that failed in the engine.",
        errors,
    );
    counter(
        "tern_agent_captures_skipped_total",
        "Inputs that were to be captured and passed over.",
        predictor.captures().skipped(),
    );
    counter(
        "tern_agent_metrics_refused_total",
        "Requests with values of metrics that the bundle does not declare, or does not take.",
        predictor.metrics_refused(),
    );
    of_node(&facts, &mut counter);
    slots(shared, &mut text);
    text.finish()
}

fn disk_and_outbox(facts: &Facts, gauge: &mut impl FnMut(&'static str, &'static str, f64)) {
    let disk = &facts.disk;
    let level = match disk.level {
        Level::Enough => 0.0,
        Level::Short => 1.0,
        Level::Full => 2.0,
    };
    let bytes = |bytes: u64| bytes as f64;
    for (name, help, value) in [
        (
            "tern_agent_disk_level",
            "Room on the disk: 0 enough, 1 short, 2 full.",
            level,
        ),
        (
            "tern_agent_blob_bytes",
            "Bytes that blobs take.",
            bytes(disk.blob_bytes),
        ),
        (
            "tern_agent_store_bytes",
            "Bytes that the store takes.",
            bytes(disk.store_bytes),
        ),
        (
            "tern_agent_outbox_entries",
            "Entries that wait for the hub.",
            bytes(facts.outbox.entries),
        ),
        (
            "tern_agent_outbox_bytes",
            "Bytes of entries that wait for the hub.",
            bytes(facts.outbox.bytes),
        ),
    ] {
        gauge(name, help, value);
    }
}

fn of_node(facts: &Facts, counter: &mut impl FnMut(&'static str, &'static str, u64)) {
    for (name, help, value) in [
        (
            "tern_agent_messages_malformed_total",
            "Messages that could not be read.",
            facts.malformed,
        ),
        (
            "tern_agent_windows_total",
            "Windows written into the outbox.",
            facts.windows_made,
        ),
        (
            "tern_agent_windows_acknowledged_total",
            "Windows that the hub acknowledged.",
            facts.windows_acked,
        ),
        (
            "tern_agent_windows_merged_total",
            "Windows that were merged into others for room, ever.",
            facts.outbox.merged,
        ),
        (
            "tern_agent_captures_total",
            "Captures written into the outbox.",
            facts.captures_made,
        ),
        (
            "tern_agent_captures_refused_total",
            "Captures that were left out because the disk was nearly full.",
            facts.captures_refused,
        ),
        (
            "tern_agent_captures_expired_total",
            "Captures that were dropped because they could not be sent for too long.",
            facts.captures_expired,
        ),
        (
            "tern_agent_captures_dropped_total",
            "Captures that were dropped for room, ever.",
            facts.outbox.dropped,
        ),
        (
            "tern_agent_chunk_bytes_total",
            "Bytes of chunks newly written to disk.",
            facts.chunk_bytes,
        ),
    ] {
        counter(name, help, value);
    }
}

/// What serves in each slot. Counters begin anew with each version that is loaded, and are told apart by it.
fn slots(shared: &Shared, text: &mut Text) {
    let predictor = &shared.predictor;
    let now = predictor.clock().uptime();
    let serving: Vec<Arc<Loaded>> = predictor.slots().iter().filter_map(Slot::serving).collect();
    let labelled = |loaded: &Loaded| {
        let kept = &loaded.kept.version;
        [
            loaded.slot.to_string(),
            kept.model.to_string(),
            kept.version.to_string(),
        ]
    };
    let labels: Vec<[String; 3]> = serving.iter().map(|loaded| labelled(loaded)).collect();
    let labels = |at: usize| {
        let [slot, model, version] = &labels[at];
        [
            ("slot", slot.as_str()),
            ("model", model.as_str()),
            ("model_version", version.as_str()),
        ]
    };
    let proofs: Vec<_> = serving.iter().map(|loaded| loaded.proof(now)).collect();
    let name = "tern_agent_slot_confirmed";
    text.family(
        name,
        "gauge",
        "1 when what serves in a slot is past its trial.",
    );
    for (at, proof) in proofs.iter().enumerate() {
        text.sample(name, &labels(at), u8::from(proof.confirmed));
    }
    let name = "tern_agent_slot_inferences_total";
    text.family(name, "counter", "Rows that what serves in a slot answered.");
    for (at, proof) in proofs.iter().enumerate() {
        text.sample(name, &labels(at), proof.inferences);
    }
    let name = "tern_agent_slot_errors_total";
    text.family(
        name,
        "counter",
        "Requests that failed in what serves in a slot.",
    );
    for (at, proof) in proofs.iter().enumerate() {
        text.sample(name, &labels(at), proof.errors);
    }
    let name = "tern_agent_inference_seconds";
    text.family(
        name,
        "histogram",
        "Time of inferences of what serves in a slot, waiting included.",
    );
    for (at, loaded) in serving.iter().enumerate() {
        // Cloned under the lock, so that the counters wait for nothing else.
        let latency = loaded.meter().latency();
        histogram(name, &labels(at), &latency, text);
    }
    let mut own: Vec<(usize, Ever)> = Vec::new();
    for (at, loaded) in serving.iter().enumerate() {
        own.extend(loaded.meter().metrics().into_iter().map(|ever| (at, ever)));
    }
    own.sort_by_cached_key(|(at, ever)| (family_of(ever), *at));
    let mut family = String::new();
    for (at, ever) in &own {
        let name = family_of(ever);
        if name != family {
            text.family(&name, ever.counts.kind.word(), help(ever.metric.spec()));
        }
        own_metric(&name, &labels(*at), ever, text);
        family = name;
    }
}

fn family_of(ever: &Ever) -> String {
    exposition::family_of("tern_agent", &ever.counts)
}

/// What a metric of a bundle says, for people.
fn help(spec: &MetricSpec) -> &str {
    if spec.help.is_empty() {
        "Declared by the bundle."
    } else {
        &spec.help
    }
}

/// What a metric of a bundle came to: of a gauge the last value, of the others all of them.
fn own_metric(name: &str, labels: &[(&str, &str); 3], ever: &Ever, text: &mut Text) {
    let Ever {
        metric,
        counts,
        last,
    } = ever;
    match counts.kind {
        MetricKind::Counter => text.sample(name, labels, counts.sum.value()),
        MetricKind::Gauge => {
            if let Some(last) = last {
                text.sample(name, labels, last);
            }
        }
        MetricKind::Histogram => text.bins(name, labels, metric.spec(), counts),
    }
}

/// A sketch as a histogram; to within the 1 % of the sketch.
fn histogram(name: &str, labels: &[(&str, &str); 3], latency: &Sketch, text: &mut Text) {
    let count = latency.count();
    let bucket = format!("{name}_bucket");
    let mut with = |le: &str, below: u64| {
        let [slot, model, version] = *labels;
        text.sample(&bucket, &[slot, model, version, ("le", le)], below);
    };
    for le in SECONDS {
        let micros = le.parse::<f64>().unwrap_or(f64::INFINITY) * 1e6;
        with(le, count - latency.above(micros).min(count));
    }
    with("+Inf", count);
    text.sample(&format!("{name}_sum"), labels, latency.sum() / 1e6);
    text.sample(&format!("{name}_count"), labels, count);
}
