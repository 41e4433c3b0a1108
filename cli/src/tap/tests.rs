use tern_protocol::{
    blob::{BlobRef, Chunk, ChunkRange, Want},
    codec::encode,
    desired::{Desired, DesiredSlot},
    digest::Digest,
    id::{BootId, ModelVersion, OutboxId, PredictionId, Revision, Sequence},
    limits,
    log::{Ack, Batch, Body, Capture, Entry, Event, EventKind},
    reported::Link,
    tensor::Tensor,
    time::{Instant, Uptime, WallTime},
    window::{Sketch, SketchBin, Window},
};

use super::{Heard, json, text};
use crate::show::Look;

const NOON: WallTime = WallTime(1_709_208_000_000);

fn say(topic: &str, payload: &[u8]) -> String {
    let heard = Heard::read(NOON, topic, payload, false);
    let object = json::json(&heard);
    assert!(object.is_object(), "{object}");
    text::text(&heard, Look::PLAIN)
}

fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

fn at(ms: u64) -> Instant {
    Instant {
        boot: BootId(3),
        uptime: Uptime(ms),
    }
}

fn entry(sequence: u64, body: Body) -> Entry {
    Entry {
        sequence: Sequence(sequence),
        at: at(1),
        wall: None,
        body,
    }
}

fn window(inferences: u64) -> Window {
    Window {
        slot: name("digit-reader"),
        model: name("digit-reader"),
        version: ModelVersion::FIRST,
        bundle: Digest::of(b"x"),
        opened: at(0),
        closed: at(60_000),
        inferences,
        errors: 1,
        latency: Sketch {
            accuracy: 10,
            zeros: 0,
            bins: vec![SketchBin { index: 1, count: 2 }],
            sum: 80.0,
            min: 30.0,
            max: 50.0,
        },
        classes: vec![4, 1],
        confidence: Vec::new(),
        features: Vec::new(),
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

#[test]
fn what_devices_and_hub_say() {
    let batch = Batch {
        outbox: OutboxId(9),
        acked: Sequence(41),
        after: Sequence(41),
        now: at(61_000),
        entries: vec![
            entry(42, Body::Window(Box::new(window(120)))),
            entry(43, Body::Window(Box::new(window(u64::MAX)))),
            entry(
                44,
                Body::Event(Box::new(Event {
                    kind: EventKind::Rejected,
                    slot: Some(name("digit-reader")),
                    model: None,
                    version: Some(ModelVersion::FIRST),
                    text: "a\u{1b}[2Jb".into(),
                })),
            ),
            entry(
                45,
                Body::Capture(Box::new(Capture {
                    prediction: PredictionId {
                        boot: BootId(3),
                        number: 1042,
                    },
                    slot: name("digit-reader"),
                    model: name("digit-reader"),
                    version: ModelVersion::FIRST,
                    input: Tensor::from_f32(&[1, 2], &[0.0, 1.0]),
                    class: 7,
                    confidence: f32::NAN,
                    probability: 0.01,
                    reasons: tern_protocol::capture::Reasons::default(),
                    request: None,
                    subject: None,
                    summary: None,
                    number: None,
                })),
            ),
            entry(46, Body::Unknown),
        ],
    };
    let desired = Desired {
        revision: Revision(8),
        slots: vec![DesiredSlot {
            slot: name("digit-reader"),
            model: name("digit-reader"),
            version: ModelVersion::FIRST,
            bundle: BlobRef::of(b"manifest"),
            offers: Vec::new(),
        }],
        shadows: Vec::new(),
        requests: Vec::new(),
        erasures: Vec::new(),
    };
    let want = Want {
        blob: Digest::of(b"x"),
        ranges: vec![
            ChunkRange {
                first: 0,
                count: 12,
            },
            ChunkRange {
                first: 14,
                count: 1,
            },
            ChunkRange {
                first: u32::MAX,
                count: u32::MAX,
            },
        ],
    };
    let ack = Ack {
        outbox: OutboxId(9),
        stored: Sequence(46),
    };
    let link = Link {
        online: false,
        boot: BootId(3),
    };
    let chunk = Chunk {
        index: 3,
        bytes: vec![0; limits::CHUNK],
    };
    let blob = format!("tern/1/default/b/{}", Digest::of(b"x"));
    let device = |levels: &str| format!("tern/1/default/d/meter-01/{levels}");
    let said = [
        say(&device("up/link"), &encode(&link)),
        say(&device("up/log"), &encode(&batch)),
        say(&device("up/want"), &encode(&want)),
        say(&device("down/desired"), &encode(&desired)),
        say(&device("down/ack"), &encode(&ack)),
        say(&blob, &encode(&chunk)),
        say(&device("up/state"), b"\xff\x00"),
        say("tern/1/default/d/meter-01/up/moon\n", b""),
    ];
    insta::assert_snapshot!(said.join("\n"), @r"
    12:00:00.000  ↑ meter-01       link     offline, boot 3
    12:00:00.000  ↑ meter-01       log      after 41 to 46: 2 windows (18,446,744,073,709,551,615 inferences, 2 errors), 1 event, 1 capture, 1 of an unknown kind
                      42 window  digit-reader digit-reader v1: 120 inferences, 1 error in 1 min 0 s, latency mean 40 µs max 50 µs, classes 4 1
                      43 window  digit-reader digit-reader v1: 18,446,744,073,709,551,615 inferences, 1 error in 1 min 0 s, latency mean 40 µs max 50 µs, classes 4 1
                      44 event   rejected in digit-reader v1: a\u{1b}[2Jb
                      45 capture 3-1042 by digit-reader v1: class 7 at –, input f32 [1, 2], kept with probability 0.01
                      46 of a kind that this version does not know
    12:00:00.000  ↑ meter-01       want     blob 2d711642b726: 4,294,967,308 chunks (0-11, 14, 4294967295-8589934589)
    12:00:00.000  ↓ meter-01       desired  revision 8: digit-reader: digit-reader v1 (bundle 05b3abf2579a, 8 B)
    12:00:00.000  ↓ meter-01       ack      stored up to 46
    12:00:00.000  ↓ 2d711642b726   blob     chunk 3, 64.0 KiB
    12:00:00.000  ↑ meter-01       state    cannot be read (2 bytes): at byte 0: unexpected type break at position 0: expected map
    12:00:00.000  ? tern/1/default/d/meter-01/up/moon   cannot be read (0 bytes): not a topic of tern/1
    ");
}

/// A small generator of numbers (Marsaglia, "Xorshift RNGs", 2003): the same every time.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[test]
fn any_payload_on_any_topic_gives_a_text() {
    let topics = [
        "up/link",
        "up/state",
        "up/log",
        "up/want",
        "down/desired",
        "down/ack",
    ]
    .map(|levels| format!("tern/1/default/d/meter-01/{levels}"));
    let blob = format!("tern/1/default/b/{}", Digest::of(b"x"));
    let whole = encode(&Batch {
        outbox: OutboxId(u64::MAX),
        acked: Sequence(u64::MAX),
        after: Sequence(u64::MAX),
        now: at(u64::MAX),
        entries: vec![entry(u64::MAX, Body::Window(Box::new(window(u64::MAX))))],
    });
    let mut seed = 7;
    for round in 0..4_000 {
        let mut payload = if round % 2 == 0 {
            (0..next(&mut seed) % 64)
                .map(|_| next(&mut seed) as u8)
                .collect()
        } else {
            whole.clone()
        };
        if let Some(place) = (next(&mut seed) as usize).checked_rem(payload.len()) {
            payload[place] = next(&mut seed) as u8;
        }
        for topic in topics.iter().chain([&blob]) {
            assert!(!say(topic, &payload).contains('\u{1b}'));
        }
    }
    let long = vec![0; limits::PAYLOAD + 1];
    assert!(say(&topics[0], &long).contains("over the limit"));
}
