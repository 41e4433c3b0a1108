//! The outbox against a hub that keeps one number a device, over a link that loses, and with power
//! cuts at any moment.

use proptest::prelude::*;
use tern_protocol::{
    id::{BootId, PredictionId},
    log::{Capture, Label},
    shadow::ShadowWindow,
    tensor::Tensor,
    window::{Sketch, Window},
};

use super::*;

/// The smallest that may be set: well above what is frozen because it may be at the hub.
const LIMIT: u64 = 512 << 10;

/// What the contract asks of the hub, and nothing more.
#[derive(Default)]
struct Hub {
    last: Sequence,
    inferences: u64,
    labels: u64,
    /// Rows that a shadow compared or skipped, by the bundle that served.
    shadowed: std::collections::BTreeMap<Digest, (u64, u64)>,
}

impl Hub {
    fn receive(&mut self, batch: &Batch) -> Ack {
        assert!(
            codec::encode(batch).len() <= limits::PAYLOAD,
            "it fits a payload"
        );
        if batch.after <= self.last.max(batch.acked) {
            for entry in &batch.entries {
                if entry.sequence <= self.last {
                    continue;
                }
                assert!(entry.sequence > self.last, "sequences rise");
                self.last = entry.sequence;
                match &entry.body {
                    Body::Window(window) => self.inferences += window.inferences,
                    Body::Label(_) => self.labels += 1,
                    Body::Shadow(window) => {
                        let rows = self.shadowed.entry(window.live_bundle).or_default();
                        rows.0 += window.compared;
                        rows.1 += window.skipped;
                    }
                    _ => {}
                }
            }
        }
        Ack {
            outbox: batch.outbox,
            stored: self.last,
        }
    }
}

fn at(milliseconds: u64) -> Instant {
    Instant {
        boot: BootId(1),
        uptime: Uptime(milliseconds),
    }
}

fn window(inferences: u64, bundle: u8, features: usize) -> Body {
    let counts = tern_protocol::window::FeatureCounts(vec![inferences; 10]);
    Body::Window(Box::new(Window {
        slot: "reader".parse().expect("a name"),
        model: "digits".parse().expect("a name"),
        version: tern_protocol::id::ModelVersion::FIRST,
        bundle: Digest::of(&[bundle]),
        opened: at(0),
        closed: at(1),
        inferences,
        errors: 0,
        latency: Sketch {
            accuracy: 10,
            ..Sketch::default()
        },
        classes: vec![inferences, 0],
        confidence: vec![],
        features: vec![counts; features],
        rss: Some(1),
        cpu_ms: Some(inferences),
        parts: None,
        margin: Vec::new(),
        repeated: Vec::new(),
        values: None,
        signals: Vec::new(),
        temperature: None,
        metrics: Vec::new(),
    }))
}

/// Beside the bundle `live`.
fn shadow(compared: u64, live: u8, classes: usize) -> Body {
    let version = tern_protocol::id::ModelVersion::FIRST;
    Body::Shadow(Box::new(ShadowWindow {
        slot: "reader".parse().expect("a name"),
        model: "digits".parse().expect("a name"),
        version,
        bundle: Digest::of(b"candidate"),
        live_version: version,
        live_bundle: Digest::of(&[live]),
        opened: at(0),
        closed: at(1),
        compared,
        agreed: compared,
        errors: 0,
        skipped: 7,
        latency: Sketch {
            accuracy: 10,
            ..Sketch::default()
        },
        live_latency: Sketch {
            accuracy: 10,
            ..Sketch::default()
        },
        classes: vec![compared; classes],
        confidence: vec![],
        tolerance: 0.0,
    }))
}

fn prediction() -> PredictionId {
    PredictionId {
        boot: BootId(1),
        number: 1,
    }
}

fn capture(bytes: usize) -> Body {
    Body::Capture(Box::new(Capture {
        prediction: prediction(),
        slot: "reader".parse().expect("a name"),
        model: "digits".parse().expect("a name"),
        version: tern_protocol::id::ModelVersion::FIRST,
        input: Tensor {
            dtype: tern_protocol::tensor::Dtype::U8,
            shape: vec![bytes as u32],
            data: vec![7; bytes],
        },
        class: 1,
        confidence: 0.5,
        probability: 1.0,
        reasons: tern_protocol::capture::Reasons::default(),
        request: None,
        subject: None,
        summary: None,
        number: None,
    }))
}

fn label() -> Body {
    Body::Label(Box::new(Label {
        prediction: prediction(),
        slot: "reader".parse().expect("a name"),
        model: "digits".parse().expect("a name"),
        version: tern_protocol::id::ModelVersion::FIRST,
        class: 1,
        confidence: 0.5,
        truth: 2,
        predicted_at: at(0),
        subject: None,
    }))
}

fn open(dir: &std::path::Path) -> Outbox {
    let (store, _) = Store::open(dir, 1 << 30).expect("it opens");
    Outbox::open(store, LIMIT, Chance::seeded(9)).expect("it reads")
}

fn send(outbox: &mut Outbox, now: u64) -> Option<Batch> {
    outbox.poll(at(now)).expect("the disk works")
}

#[test]
fn entries_leave_together_and_stay_until_they_are_acknowledged() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut outbox = open(dir.path());
    let mut hub = Hub::default();
    outbox
        .append(window(5, 1, 0), at(1000), None)
        .expect("it fits");
    outbox.append(label(), at(1050), None).expect("it fits");
    assert_eq!(send(&mut outbox, 1100), None, "it waits for company");
    let lost = send(&mut outbox, 1200).expect("it is due");
    assert_eq!(lost.entries.len(), 2);
    assert_eq!(send(&mut outbox, 1300), None, "an ack is awaited");
    let again = send(&mut outbox, 6200).expect("it is sent again");
    assert_eq!((again.after, &again.entries), (lost.after, &lost.entries));
    let ack = hub.receive(&again);
    assert_eq!(outbox.ack(&ack).expect("the disk works"), Acked::Windows(1));
    assert_eq!(outbox.ack(&ack).expect("the disk works"), Acked::Ignored);
    assert!(outbox.is_empty());
    let other = Ack {
        outbox: OutboxId(1),
        stored: Sequence(9),
    };
    assert_eq!(outbox.ack(&other).expect("the disk works"), Acked::Ignored);
}

#[test]
fn an_ack_of_what_was_never_sent_is_ignored() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut outbox = open(dir.path());
    outbox.append(label(), at(0), None).expect("it fits");
    let ack = Ack {
        outbox: outbox.id,
        stored: Sequence(1),
    };
    assert_eq!(outbox.ack(&ack).expect("the disk works"), Acked::Ignored);
    assert_eq!(outbox.report().entries, 1);
}

#[test]
fn under_pressure_captures_go_first_and_counts_stay_exact() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut outbox = open(dir.path());
    for n in 0..200 {
        outbox
            .append(window(3, 1 + n % 2, 400), at(n.into()), None)
            .expect("it fits");
        outbox
            .append(capture(5000), at(n.into()), None)
            .expect("it fits");
        assert!(outbox.report().bytes <= LIMIT);
    }
    let report = outbox.report();
    assert!(report.dropped > 0 && report.merged > 0, "{report:?}");
    let mut hub = Hub::default();
    let mut now = 1_000_000;
    while let Some(batch) = send(&mut outbox, now) {
        let ack = hub.receive(&batch);
        outbox.ack(&ack).expect("the disk works");
        now += 1_000_000;
    }
    assert_eq!(hub.inferences, 600);
}

#[test]
fn windows_of_shadows_merge_pair_by_pair_and_are_no_windows_of_what_serves() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut outbox = open(dir.path());
    for n in 0..240 {
        let body = shadow(3, 1 + n % 2, 4_000);
        outbox.append(body, at(n.into()), None).expect("it fits");
        assert!(outbox.report().bytes <= LIMIT);
    }
    assert!(outbox.report().merged > 0);
    outbox
        .append(window(5, 1, 0), at(300), None)
        .expect("it fits");
    let (mut hub, mut now, mut windows) = (Hub::default(), 1_000_000, 0);
    while let Some(batch) = send(&mut outbox, now) {
        let ack = hub.receive(&batch);
        if let Acked::Windows(count) = outbox.ack(&ack).expect("the disk works") {
            windows += count;
        }
        now += 1_000_000;
    }
    assert_eq!((windows, hub.inferences), (1, 5));
    let each = (120 * 3, 120 * 7);
    assert_eq!(hub.shadowed.into_values().collect::<Vec<_>>(), [each, each]);
}

#[test]
fn what_does_not_fit_a_payload_is_refused_and_a_wide_window_loses_its_features_only() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut outbox = open(dir.path());
    let refusal = outbox.append(capture(limits::PAYLOAD), at(0), None);
    assert!(matches!(refusal, Err(OutboxError::TooLarge { .. })));
    outbox
        .append(window(3, 1, 20_000), at(0), None)
        .expect("without features it fits");
    let batch = send(&mut outbox, 1000).expect("it is due");
    assert!(
        matches!(&batch.entries[0].body, Body::Window(w) if w.features.is_empty() && w.inferences == 3)
    );
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Window(u64, u8),
    Capture,
    Label,
    /// A batch is due; whether it, and then its ack, arrive.
    Send(bool, bool),
    /// An ack that was held up arrives now.
    LateAck,
    Reconnect,
    PowerCut,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u64..100, 0u8..3).prop_map(|(n, bundle)| Step::Window(n, bundle)),
        2 => Just(Step::Capture),
        1 => Just(Step::Label),
        4 => any::<(bool, bool)>().prop_map(|(there, back)| Step::Send(there, back)),
        1 => Just(Step::LateAck),
        1 => Just(Step::Reconnect),
        1 => Just(Step::PowerCut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_lossy_link_and_power_cuts_lose_nothing_and_count_nothing_twice(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut outbox = open(dir.path());
        let mut hub = Hub::default();
        let (mut inferences, mut labels) = (0, 0);
        let mut now = 0;
        let mut late = None;
        for step in steps {
            now += 100_000;
            match step {
                Step::Window(n, bundle) => {
                    outbox.append(window(n, bundle, 600), at(now), None).expect("it fits");
                    inferences += n;
                }
                Step::Capture => outbox.append(capture(20_000), at(now), None).expect("it fits"),
                Step::Label => {
                    outbox.append(label(), at(now), None).expect("it fits");
                    labels += 1;
                }
                Step::Send(there, back) => {
                    if let Some(batch) = send(&mut outbox, now) && there {
                        let ack = hub.receive(&batch);
                        if back {
                            outbox.ack(&ack).expect("the disk works");
                        } else {
                            late = Some(ack);
                        }
                    }
                }
                Step::LateAck => {
                    if let Some(ack) = late.take() {
                        outbox.ack(&ack).expect("the disk works");
                    }
                }
                Step::Reconnect => outbox.online(),
                Step::PowerCut => {
                    // What was flushed is what counts; acks are not flushed and may come back.
                    outbox.flush().expect("the disk works");
                    drop(outbox);
                    outbox = open(dir.path());
                }
            }
        }
        for _ in 0..1000 {
            now += 100_000;
            if let Some(batch) = send(&mut outbox, now) {
                let ack = hub.receive(&batch);
                outbox.ack(&ack).expect("the disk works");
            }
            if outbox.is_empty() {
                break;
            }
        }
        prop_assert!(outbox.is_empty());
        prop_assert_eq!(hub.inferences, inferences);
        prop_assert_eq!(hub.labels, labels);
    }
}

/// A hub that knows outboxes apart.
#[derive(Default)]
struct Hubs(std::collections::BTreeMap<OutboxId, Hub>);

impl Hubs {
    fn inferences(&self) -> u64 {
        self.0.values().map(|hub| hub.inferences).sum()
    }
}

/// Sends what waits until nothing does.
fn drain(outbox: &mut Outbox, hubs: &mut Hubs, mut now: u64) {
    for _ in 0..100 {
        if outbox.is_empty() {
            return;
        }
        now += 120_000;
        outbox.online();
        if let Some(batch) = outbox.poll(at(now)).expect("the store works") {
            let hub = hubs.0.entry(batch.outbox).or_default();
            let ack = hub.receive(&batch);
            outbox.ack(&ack).expect("the store works");
        }
    }
    panic!("it never empties: {:?}", outbox.report());
}

/// A copy of a store's directory, as a power cut or an old disk image leaves it.
fn copied(from: &std::path::Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(to.path().join("store")).expect("it makes");
    for entry in std::fs::read_dir(from.join("store")).expect("it lists") {
        let entry = entry.expect("it lists");
        if entry.file_type().expect("it has one").is_file() {
            let to = to.path().join("store").join(entry.file_name());
            std::fs::copy(entry.path(), to).expect("it copies");
        }
    }
    to
}

#[test]
fn an_outbox_that_went_back_begins_anew_and_every_inference_counts_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut hubs = Hubs::default();
    let open = |dir: &std::path::Path| {
        let (store, _) = Store::open(dir, 64 << 20).expect("it opens");
        Outbox::open(store, LIMIT, Chance::seeded(1)).expect("it opens")
    };
    let mut outbox = open(dir.path());
    outbox
        .append(window(1, 1, 0), at(0), None)
        .expect("it fits");
    outbox.flush().expect("it flushes");
    drop(outbox);
    let old = copied(dir.path());
    let mut outbox = open(dir.path());
    for n in [10, 100] {
        outbox
            .append(window(n, 1, 0), at(0), None)
            .expect("it fits");
    }
    drain(&mut outbox, &mut hubs, 0);
    drop(outbox);
    assert_eq!(hubs.inferences(), 111);

    // More new entries than those that were lost: their numbers go past what the hub has.
    let mut outbox = open(old.path());
    for _ in 0..5 {
        outbox
            .append(window(1_000, 1, 0), at(0), None)
            .expect("it fits");
    }
    drain(&mut outbox, &mut hubs, 0);
    assert_eq!(hubs.inferences(), 5_111, "each counts once");
    assert_eq!(hubs.0.len(), 2, "another outbox began");
    drop(outbox);
    let mut outbox = open(old.path());
    outbox
        .append(window(1, 1, 0), at(0), None)
        .expect("it fits");
    drain(&mut outbox, &mut hubs, 0);
    assert_eq!((hubs.inferences(), hubs.0.len()), (5_112, 2), "and goes on");
}

/// A window of a minute, the `number`th.
fn minute(number: u64, inferences: u64, bundle: u8, features: usize) -> Body {
    let mut body = window(inferences, bundle, features);
    if let Body::Window(window) = &mut body {
        (window.opened, window.closed) = (at(number * 60_000), at((number + 1) * 60_000));
    }
    body
}

#[test]
fn the_oldest_windows_become_coarse_first_and_are_as_coarse_after_a_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut outbox = open(dir.path());
    for number in 0..400 {
        let body = minute(number, 1, 1, 600);
        outbox
            .append(body, at(number * 60_000), None)
            .expect("it fits");
    }
    let before = outbox.queue.weights();
    assert!(outbox.report().merged > 0);
    assert_eq!(before.last(), Some(&60), "the newest is as it was written");
    let half = before.len() / 2;
    let sum = |weights: &[u64]| weights.iter().sum::<u64>();
    assert!(sum(&before[..half]) > sum(&before[half..]), "{before:?}");
    let (least, most) = (before.iter().min(), before.iter().max());
    let even = most
        .zip(least)
        .is_some_and(|(most, least)| *most <= least * 16);
    assert!(even, "no window swallows the others: {before:?}");
    assert_eq!(sum(&before), 400 * 60, "no minute is missing");
    outbox.flush().expect("the disk works");
    drop(outbox);
    assert_eq!(open(dir.path()).queue.weights(), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_the_pressure_what_arrives_is_what_was_counted(
        steps in prop::collection::vec(
            (0_u64..1_000, 0_u8..3, 0_usize..1_500, any::<bool>(), 0_u8..12), 40..160,
        ),
    ) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut outbox = open(dir.path());
        let mut hub = Hub::default();
        let (mut inferences, mut now) = (0, 0);
        for (number, (n, bundle, features, with_capture, other)) in (0_u64..).zip(steps) {
            now += 60_000;
            // The features of a bundle are as many in all its windows.
            let features = if bundle == 0 { 0 } else { 200 * usize::from(bundle) + features % 2 * 400 };
            let bundle = bundle * 2 + u8::from(features > 400);
            outbox.append(minute(number, n, bundle, features), at(now), None).expect("it fits");
            inferences += n;
            if with_capture {
                outbox.append(capture(9_000), at(now), None).expect("it fits");
            }
            match other {
                0 => {
                    outbox.flush().expect("the disk works");
                    drop(outbox);
                    outbox = open(dir.path());
                }
                1 => {
                    // It leaves and does not arrive: what may be at the hub is not merged any more.
                    send(&mut outbox, now);
                }
                _ => {}
            }
            // Its own notice that captures were dropped may come on top.
            prop_assert!(outbox.report().bytes <= LIMIT + 512, "{:?}", outbox.report());
        }
        for _ in 0..1_000 {
            now += 120_000;
            outbox.online();
            if let Some(batch) = send(&mut outbox, now) {
                let ack = hub.receive(&batch);
                outbox.ack(&ack).expect("the disk works");
            }
            if outbox.is_empty() {
                break;
            }
        }
        prop_assert!(outbox.is_empty());
        prop_assert_eq!(hub.inferences, inferences);
    }
}
