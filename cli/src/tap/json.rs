//! A message as one JSON object. Wire messages have no JSON form of their own, so this is the one
//! place that gives them names: those of the protocol's fields.

use serde_json::{Map, Value, json};
use tern_protocol::{
    blob::Want,
    desired::Desired,
    log::{Batch, Body, Entry},
    reported::{Reported, SlotReport, SlotVersion},
    time::Instant,
    topic::{Channel, Topic},
};

use super::{Heard, Said, text, word};

/// The message as an object.
pub(crate) fn json(heard: &Heard) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.into(), value);
    put("at", json!(heard.at));
    put("topic", json!(heard.topic));
    match &heard.parsed {
        Some(Topic::Device {
            device, channel, ..
        }) => {
            put("device", json!(device));
            put("channel", json!(word(*channel)));
            let down = matches!(channel, Channel::Desired | Channel::Ack);
            put("direction", json!(if down { "down" } else { "up" }));
        }
        Some(Topic::Metadata { role, .. }) => {
            put("role", json!(role.level()));
            put("channel", json!("meta"));
            put("direction", json!("down"));
        }
        Some(Topic::Blob { digest, .. }) => {
            put("blob", json!(digest));
            put("channel", json!("blob"));
            put("direction", json!("down"));
        }
        None => {}
    }
    put("bytes", json!(heard.bytes));
    put("retained", json!(heard.retained));
    match &heard.said {
        Said::Unreadable { why } => put("error", json!(why)),
        Said::Link(link) => put("message", json!({"online": link.online, "boot": link.boot})),
        Said::State(state) => put("message", reported(state)),
        Said::Log(batch) => put("message", self::batch(batch)),
        Said::Want(want) => put("message", self::want(want)),
        Said::Desired(desired) => put("message", self::desired(desired)),
        Said::Ack(ack) => put(
            "message",
            json!({"outbox": ack.outbox, "stored": ack.stored}),
        ),
        Said::Roots(roots) => put("message", json!({"roots": roots.roots})),
        Said::Newest(newest) => put(
            "message",
            json!({"snapshot": newest.snapshot, "targets": newest.targets}),
        ),
        Said::Chunk(chunk) => put(
            "message",
            json!({"index": chunk.index, "bytes": chunk.bytes.len()}),
        ),
    };
    Value::Object(object)
}

fn instant(instant: Instant) -> Value {
    json!({"boot": instant.boot, "uptime_ms": instant.uptime})
}

fn version(version: &SlotVersion) -> Value {
    json!({"model": version.model, "version": version.version, "bundle": version.bundle})
}

fn reported(state: &Reported) -> Value {
    json!({
        "agent": state.agent,
        "now": instant(state.now),
        "wall": state.wall,
        "site": state.site,
        "labels": state.labels,
        "platform": state.platform,
        "resources": state.resources,
        "answers": state.answers,
        "slots": state.slots.iter().map(slot).collect::<Vec<_>>(),
        "outbox": state.outbox,
        "malformed": state.malformed,
        "trust": state.trust,
    })
}

fn slot(slot: &SlotReport) -> Value {
    let serving = slot.serving.as_ref().map(|serving| {
        json!({
            "version": version(&serving.version),
            "weights": serving.weights,
            "since": instant(serving.since),
            "inferences": serving.inferences,
            "errors": serving.errors,
            "golden_difference": serving.golden_difference,
        })
    });
    let progress = slot.progress.as_ref().map(|progress| {
        json!({
            "version": version(&progress.version),
            "phase": text::phase(progress.phase),
            "bytes": progress.bytes,
            "bytes_total": progress.bytes_total,
        })
    });
    let rejected = slot.rejected.as_ref().map(|rejected| {
        json!({
            "version": version(&rejected.version),
            "reason": rejected.reason,
            "text": rejected.text,
        })
    });
    json!({
        "slot": slot.slot,
        "serving": serving,
        "previous": slot.previous.as_ref().map(version),
        "progress": progress,
        "rejected": rejected,
        "shadow": slot.shadow.as_ref().map(|shadow| {
            json!({
                "version": version(&shadow.version),
                "phase": shadow.phase,
                "reason": shadow.reason,
                "text": shadow.text,
            })
        }),
    })
}

fn want(want: &Want) -> Value {
    let ranges = want.ranges.iter();
    let ranges: Vec<_> = ranges
        .map(|range| json!({"first": range.first, "count": range.count}))
        .collect();
    json!({"blob": want.blob, "ranges": ranges})
}

fn desired(desired: &Desired) -> Value {
    let slots = desired.slots.iter().map(|slot| {
        json!({
            "slot": slot.slot,
            "model": slot.model,
            "version": slot.version,
            "bundle": slot.bundle,
        })
    });
    let shadows = desired.shadows.iter().map(|shadow| {
        json!({
            "slot": shadow.slot,
            "model": shadow.model,
            "version": shadow.version,
            "bundle": shadow.bundle,
            "cpu_permille": shadow.cpu_permille,
        })
    });
    json!({
        "revision": desired.revision,
        "slots": slots.collect::<Vec<_>>(),
        "shadows": shadows.collect::<Vec<_>>(),
    })
}

fn batch(batch: &Batch) -> Value {
    json!({
        "outbox": batch.outbox,
        "acked": batch.acked,
        "after": batch.after,
        "now": instant(batch.now),
        "entries": batch.entries.iter().map(entry).collect::<Vec<_>>(),
    })
}

fn entry(entry: &Entry) -> Value {
    let (kind, body) = match &entry.body {
        Body::Window(window) => (
            "window",
            json!({
                "slot": window.slot,
                "model": window.model,
                "version": window.version,
                "bundle": window.bundle,
                "opened": instant(window.opened),
                "closed": instant(window.closed),
                "inferences": window.inferences,
                "errors": window.errors,
                "latency_us": {
                    "mean": text::mean_latency(&window.latency),
                    "min": window.latency.min,
                    "max": window.latency.max,
                },
                "classes": window.classes,
                "confidence": window.confidence,
                "features": window.features.len(),
                "rss": window.rss,
                "cpu_ms": window.cpu_ms,
            }),
        ),
        Body::Shadow(window) => (
            "shadow",
            json!({
                "slot": window.slot,
                "model": window.model,
                "version": window.version,
                "bundle": window.bundle,
                "live_version": window.live_version,
                "live_bundle": window.live_bundle,
                "opened": instant(window.opened),
                "closed": instant(window.closed),
                "compared": window.compared,
                "agreed": window.agreed,
                "errors": window.errors,
                "skipped": window.skipped,
                "latency_us": {
                    "mean": text::mean_latency(&window.latency),
                    "min": window.latency.min,
                    "max": window.latency.max,
                },
                "live_latency_us": {
                    "mean": text::mean_latency(&window.live_latency),
                    "min": window.live_latency.min,
                    "max": window.live_latency.max,
                },
                "classes": window.classes,
                "confidence": window.confidence,
                "tolerance": window.tolerance,
            }),
        ),
        Body::Event(event) => (
            "event",
            json!({
                "kind": event.kind.to_string(),
                "slot": event.slot,
                "model": event.model,
                "version": event.version,
                "text": event.text,
            }),
        ),
        Body::Capture(capture) => (
            "capture",
            json!({
                "prediction": capture.prediction,
                "slot": capture.slot,
                "model": capture.model,
                "version": capture.version,
                "shape": capture.input.shape,
                "class": capture.class,
                "confidence": capture.confidence,
                "number": capture.number,
                "probability": capture.probability,
            }),
        ),
        Body::Label(label) => (
            "label",
            json!({
                "prediction": label.prediction,
                "slot": label.slot,
                "model": label.model,
                "version": label.version,
                "class": label.class,
                "confidence": label.confidence,
                "truth": label.truth,
                "predicted_at": instant(label.predicted_at),
            }),
        ),
        Body::Number(label) => (
            "label",
            json!({
                "prediction": label.prediction,
                "slot": label.slot,
                "model": label.model,
                "version": label.version,
                "predicted": label.predicted,
                "low": label.low,
                "high": label.high,
                "truth": label.truth,
                "predicted_at": instant(label.predicted_at),
            }),
        ),
        Body::Unknown => ("unknown", Value::Null),
    };
    json!({
        "sequence": entry.sequence,
        "at": instant(entry.at),
        "wall": entry.wall,
        "kind": kind,
        kind: body,
    })
}
