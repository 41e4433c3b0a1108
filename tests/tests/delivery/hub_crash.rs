//! The power goes at each durable step of a hub: while it starts, takes uploads, publishes, starts a
//! rollout, delivers and counts.
//!
//! As the crash matrix of the device: one hub is recorded, the states that a cut may leave are worked out,
//! and hubs are started on a spread of them. What was answered has to be there and to ship; what was not
//! may be there whole or not at all.

use std::{collections::BTreeMap, fmt, sync::OnceLock};

use tern_protocol::{
    codec,
    digest::Digest,
    id::{OutboxId, Sequence},
    log::{Ack, Batch},
    rest::RolloutState,
    topic::Channel,
};
use tern_tests::{
    device::{at, topic},
    fleet::{Fleet, MODEL, meter},
    hub::Hub,
    mqtt::Mqtt,
    package::{self, Package},
    powercut::{
        cells::{self, Cells, State},
        mqtt_packets::Packets,
        recorder::{Recorder, Recording},
        trace::Event,
    },
    wait,
};

/// States of each cell that a hub is started on.
const STARTED: usize = 3;

/// What a hub is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Starting,
    Uploading,
    Publishing,
    RollingOut,
    Delivering,
    Counting,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("hub.{self:?}").to_lowercase())
    }
}

/// What had been answered or acknowledged, each with the event by which that left the hub.
#[derive(Default)]
struct Promises {
    /// Uploads.
    stored: Vec<(usize, Digest)>,
    /// The second version.
    published: Option<usize>,
    /// Its rollout.
    rolled_out: Option<usize>,
    /// Entries of the device's outbox, with what the hub had counted of it then at least.
    acked: Vec<(usize, Ack)>,
}

/// A hub with a device, recorded.
struct Session {
    recording: Recording,
    steps: Vec<Option<Step>>,
    promises: Promises,
    packages: [Package; 2],
    /// The device's batches.
    batches: Vec<Batch>,
}

fn session() -> Option<&'static Session> {
    static SESSION: OnceLock<Option<Session>> = OnceLock::new();
    SESSION.get_or_init(record).as_ref()
}

fn record() -> Option<Session> {
    let mut fleet = Fleet::empty();
    fleet.add(&meter(1));
    let packages = [300, 2000].map(|hidden| package::random(fleet.dir(), hidden as u64, hidden));
    fleet.serve(&packages[0]);
    let input = &packages[0].samples()[0];
    fleet.agents[0].infer(input);
    fleet.counts_exactly(0);
    fleet.hub.terminate();

    let recorder = Recorder::new(&fleet.hub.data(), &fleet.dir().join("trace"))?;
    fleet.hub.set_under(Some(recorder.under()));
    fleet.run_hub();
    fleet.online("meter-01");
    let version = fleet.publish(&packages[1]);
    let rollout = fleet.roll_out(version.version);
    fleet.agents[0].serves(version.version.get());
    fleet.rollout_until(rollout.id, "to be proven", |view| {
        view.state == RolloutState::Complete
    });
    for _ in 0..3 {
        fleet.agents[0].infer(input);
        fleet.counts_exactly(0);
    }
    let process = fleet.hub.take();
    let recording = recorder.kill_9(process);
    let (promises, batches) = promises(&recording.events);
    Some(Session {
        steps: steps(&recording.events),
        recording,
        promises,
        packages,
        batches,
    })
}

fn begins(bytes: &[u8], text: &str) -> bool {
    bytes.starts_with(text.as_bytes())
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

fn publishes(head: &str) -> bool {
    head.starts_with("POST ") && head.contains("/versions HTTP/1.1")
}

fn rolls_out(head: &str) -> bool {
    head.starts_with("POST ") && head.contains("/rollouts HTTP/1.1")
}

/// Heads of HTTP requests, put together: they come in pieces.
#[derive(Default)]
struct Requests(BTreeMap<String, Vec<u8>>);

impl Requests {
    /// Takes the next bytes of a connection; the head, if they complete it.
    fn take(&mut self, socket: &str, bytes: &[u8]) -> Option<String> {
        let so_far = self.0.entry(socket.to_owned()).or_default();
        let had = so_far.windows(4).any(|window| window == b"\r\n\r\n");
        so_far.extend_from_slice(bytes);
        // What else goes through sockets does not begin with a letter.
        if had || !so_far.first().is_some_and(u8::is_ascii_uppercase) {
            return None;
        }
        let end = so_far.windows(4).position(|window| window == b"\r\n\r\n")?;
        Some(String::from_utf8_lossy(&so_far[..end]).into_owned())
    }

    /// The request on this connection is answered: its head.
    fn answered(&mut self, socket: &str) -> Option<String> {
        let all = self.0.remove(socket)?;
        let end = all.windows(4).position(|window| window == b"\r\n\r\n")?;
        Some(String::from_utf8_lossy(&all[..end]).into_owned())
    }
}

fn steps(events: &[Event]) -> Vec<Option<Step>> {
    let mut now = Step::Starting;
    let mut requests = Requests::default();
    let steps = events.iter().map(|event| {
        match event {
            Event::Received(socket, bytes) => {
                let head = requests.take(socket, bytes);
                now = match head {
                    Some(head) if head.starts_with("PUT ") => Step::Uploading,
                    Some(head) if publishes(&head) => Step::Publishing,
                    Some(head) if rolls_out(&head) => Step::RollingOut,
                    None if now == Step::Delivering && contains(bytes, "/up/log") => Step::Counting,
                    _ => now,
                };
            }
            Event::Sent(socket, bytes) if begins(bytes, "HTTP/1.1 2") => {
                let head = requests.answered(socket);
                if head.is_some_and(|head| rolls_out(&head)) {
                    now = Step::Delivering;
                }
            }
            Event::Sent(_, bytes) if now == Step::Counting && contains(bytes, "/down/ack") => {
                now = Step::Delivering;
            }
            Event::Disk(_) => return Some(now),
            _ => {}
        }
        None
    });
    steps.collect()
}

fn promises(events: &[Event]) -> (Promises, Vec<Batch>) {
    let mut promises = Promises::default();
    let mut batches: Vec<Batch> = Vec::new();
    let (mut out, mut back) = (Packets::default(), Packets::default());
    let mut requests = Requests::default();
    for (index, event) in events.iter().enumerate() {
        match event {
            Event::Received(socket, bytes) => {
                requests.take(socket, bytes);
                for packet in back.take(socket, bytes) {
                    if packet.topic.ends_with("/up/log") {
                        batches.extend(codec::decode::<Batch>(&packet.payload));
                    }
                }
            }
            Event::Sent(socket, bytes) => {
                if begins(bytes, "HTTP/1.1 2")
                    && let Some(head) = requests.answered(socket)
                {
                    promises.answered(index, &head);
                }
                for packet in out.take(socket, bytes) {
                    if packet.topic.ends_with("/down/ack") {
                        let ack = codec::decode(&packet.payload).expect("the hub's own words");
                        promises.acked.push((index, ack));
                    }
                }
            }
            _ => {}
        }
    }
    (promises, batches)
}

impl Promises {
    fn answered(&mut self, index: usize, head: &str) {
        if publishes(head) {
            self.published = Some(index);
        } else if rolls_out(head) {
            self.rolled_out = Some(index);
        } else if head.starts_with("PUT ") {
            let path = head.split(' ').nth(1).unwrap_or_default();
            let digest = path.rsplit('/').next().unwrap_or_default();
            let digest = digest.parse().expect("an upload names a digest");
            self.stored.push((index, digest));
        }
    }

    fn acked_before(&self, index: usize) -> Option<&Ack> {
        let acked = self.acked.iter().filter(|(at, _)| *at < index);
        acked.map(|(_, ack)| ack).max_by_key(|ack| ack.stored)
    }
}

/// Starts a hub on a state.
fn hub_on(session: &Session, state: &State) {
    let mut fleet = Fleet::around(|dir| {
        state.tree.write(&dir.join("hub"));
        Hub::start(dir, &[])
    });
    let before = |at: Option<usize>| at.is_some_and(|at| at < state.index);
    let promises = &session.promises;
    for (_, digest) in promises.stored.iter().filter(|(at, _)| *at < state.index) {
        let blob = fleet
            .client()
            .blob(digest, u64::MAX)
            .expect("it was stored");
        assert_eq!(Digest::of(&blob), *digest);
    }
    let model = fleet.client().model(&MODEL.parse().expect("a name"));
    let versions = model.expect("the model was there before").versions;
    let had = versions.iter().map(|version| version.version.get());
    let had: Vec<_> = had.collect();
    assert!(had.contains(&1), "{had:?}");
    assert!(!before(promises.published) || had.contains(&2), "{had:?}");
    let rollouts = fleet.client().rollouts().all().expect("it lists rollouts");
    assert!(
        !before(promises.rolled_out) || rollouts.len() == 2,
        "{rollouts:?}"
    );
    counted(session, state, &fleet);

    // What is there ships; and what was half done is done by doing it again.
    let version = fleet.publish(&session.packages[1]);
    assert_eq!(
        version.version.get(),
        2,
        "the same files are the same version"
    );
    fleet.roll_out(version.version);
    fleet.add(&meter(2));
    fleet.agents[0].serves(2);
    let input = &session.packages[1].samples()[0];
    let answer = fleet.agents[0].infer(input);
    package::assert_same(&answer, &session.packages[1].bare(), input);
    let gc = std::process::Command::new(tern_tests::binaries::path("tern-hub"))
        .args(["gc", "--data"])
        .arg(fleet.hub.data())
        .output()
        .expect("tern-hub starts");
    assert!(
        gc.status.success(),
        "{}",
        String::from_utf8_lossy(&gc.stderr)
    );
    let blobs = session.packages.iter().flat_map(Package::blobs);
    for digest in blobs.map(Digest::of) {
        let blob = fleet
            .client()
            .blob(&digest, u64::MAX)
            .expect("a version names it");
        assert_eq!(Digest::of(&blob), digest, "gc leaves what versions name");
    }
}

/// What was acknowledged to the device is counted, and what it sends again is not counted twice.
fn counted(session: &Session, state: &State, fleet: &Fleet) {
    let Some(acked) = session.promises.acked_before(state.index) else {
        return;
    };
    let device = "meter-01".parse().expect("a name");
    let mqtt = Mqtt::connect(fleet.hub.mqtt(), "the-device");
    mqtt.hear(&topic(&device, Channel::Ack));
    let ask = Batch {
        outbox: acked.outbox,
        acked: Sequence(0),
        after: acked.stored,
        now: at(u64::MAX / 2),
        entries: Vec::new(),
    };
    let stored = |wanted: Sequence| {
        wait::until(&format!("the hub to say that it has {wanted:?}"), || {
            let acks = mqtt.heard(|_| true);
            let acks = acks
                .iter()
                .filter_map(|bytes| codec::decode::<Ack>(bytes).ok());
            let stored = acks
                .filter(|ack| ack.outbox != OutboxId(0))
                .map(|ack| ack.stored)
                .max();
            wait::that(stored.is_some_and(|stored| stored >= wanted), || {
                format!("{stored:?}")
            })
        });
    };
    mqtt.say(&topic(&device, Channel::Log), false, codec::encode(&ask));
    stored(acked.stored);
    for batch in &session.batches {
        mqtt.say(&topic(&device, Channel::Log), false, codec::encode(batch));
    }
    let last = session.batches.iter().flat_map(|batch| &batch.entries);
    stored(last.map(|entry| entry.sequence).max().unwrap_or_default());
    let total = fleet.device("meter-01").inferences;
    // One before the recording, three in it: all of them were sent.
    assert_eq!(total, 4);
}

#[track_caller]
fn cut_at(step: Step) {
    let Some(session) = session() else {
        return;
    };
    let known = |index| {
        let promises = &session.promises;
        let answered = promises.published.into_iter().chain(promises.rolled_out);
        let acked = promises.acked.iter().map(|(at, _)| *at);
        answered.chain(acked).filter(|at| *at < index).count() as u64
    };
    let states = cells::states(&session.recording, &session.steps, step, known);
    let started = cells::spread(&states, STARTED);
    let mut cells = Cells::of(&states);
    for (state, outcome) in cells::each(&started, |state| hub_on(session, state)) {
        cells.started(state, outcome);
    }
    cells.judge(step);
}

#[test]
fn the_power_goes_while_a_hub_starts() {
    cut_at(Step::Starting);
}

#[test]
fn the_power_goes_while_a_hub_takes_uploads() {
    cut_at(Step::Uploading);
}

#[test]
fn the_power_goes_while_a_hub_publishes() {
    cut_at(Step::Publishing);
}

#[test]
fn the_power_goes_while_a_hub_starts_a_rollout() {
    cut_at(Step::RollingOut);
}

#[test]
fn the_power_goes_while_a_hub_delivers() {
    cut_at(Step::Delivering);
}

#[test]
fn the_power_goes_while_a_hub_counts() {
    cut_at(Step::Counting);
}

#[test]
fn a_hub_that_was_recorded_promised_what_the_tests_look_for() {
    let Some(session) = session() else {
        return;
    };
    let promises = &session.promises;
    assert_eq!(promises.stored.len(), session.packages[1].blobs().count());
    assert!(promises.published.is_some() && promises.rolled_out > promises.published);
    assert!(promises.acked.len() >= 3 && session.batches.len() >= 3);
}
