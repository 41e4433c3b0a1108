//! One update of one device, recorded: from a model that serves to the next one that is confirmed, with
//! requests all the time.

use std::sync::OnceLock;

use tern_protocol::{
    codec,
    digest::Digest,
    id::Sequence,
    log::{Ack, Batch},
};
use tern_tests::{
    agent::{Settings, Status},
    fleet::{Fleet, meter},
    package::{self, Package},
    powercut::{
        mqtt_packets::Packets,
        recorder::{Recorder, Recording},
        trace::Event,
        tree::Tree,
    },
    process::Under,
    wait,
};

use super::steps::{self, Step};

/// Hidden units of the model that serves, and of the next one: more than one commit of chunks.
const HIDDEN: [usize; 2] = [300, 5000];

/// Windows that are to be acknowledged after the update is confirmed.
const WINDOWS: u64 = 3;

/// An update with all that is needed to go back to any moment of it.
pub struct Update {
    /// What the device did.
    pub recording: Recording,
    /// For each event, the step that it belongs to; none if it did not change the disk.
    pub steps: Vec<Option<Step>>,
    /// The hub's data before.
    pub hub: Tree,
    /// What the hub had counted before.
    pub counted: u64,
    /// Both models.
    pub packages: [Package; 2],
    /// Digests of all blobs of both, by version.
    pub blobs: [Vec<Digest>; 2],
    /// What left for the hub's log.
    pub sent: Vec<Sent>,
    /// What the hub acknowledged, with the index of its event.
    pub acked: Vec<(usize, Ack)>,
}

/// A batch on its way to the hub.
pub struct Sent {
    /// The event by which it left.
    pub index: usize,
    /// What it says.
    pub batch: Batch,
    /// The same in bytes.
    pub payload: Vec<u8>,
}

/// How the device of the recording is set.
pub fn settings() -> Settings {
    meter(1).activation("trial = \"2s\"")
}

/// The recording that all tests share; nothing without `strace`.
pub fn update() -> Option<&'static Update> {
    static UPDATE: OnceLock<Option<Update>> = OnceLock::new();
    UPDATE.get_or_init(record).as_ref()
}

fn record() -> Option<Update> {
    let mut fleet = Fleet::empty();
    fleet.add(&settings());
    let packages = HIDDEN.map(|hidden| package::random(fleet.dir(), hidden as u64, hidden));
    let first = fleet.serve(&packages[0]);
    let input = &packages[0].samples()[0];
    for _ in 0..5 {
        fleet.agents[0].infer(input);
    }
    fleet.counts_exactly(0);
    until(&fleet, "the first model to be proven", |status| {
        status
            .slot()
            .serving
            .as_ref()
            .is_some_and(|it| it.confirmed)
            && status.outbox.entries == 0
    });
    fleet.agents[0].terminate();
    let counted = fleet.overview().totals.inferences;
    let second = fleet.publish(&packages[1]);
    fleet.roll_out(second.version);
    fleet.hub.terminate();
    let hub = Tree::read(&fleet.hub.data());
    fleet.run_hub();

    let recorder = Recorder::new(&fleet.agents[0].state(), &fleet.dir().join("trace"))?;
    let Under(mut line) = recorder.under();
    let debug = ["/usr/bin/env", "RUST_LOG=info,tern_agent=debug"].map(Into::into);
    line.splice(0..0, debug);
    fleet.agents[0].set_under(Some(Under(line)));
    fleet.agents[0].run();
    let mut acked = None;
    until(&fleet, "the update with its telemetry", |status| {
        if status.version().is_some() {
            fleet.agents[0].infer(input);
        }
        let serving = status.slot().serving.as_ref();
        let done = serving.is_some_and(|it| it.version == second.version && it.confirmed);
        let before = *acked.get_or_insert(status.windows_acked);
        if !done {
            acked = Some(status.windows_acked);
        }
        done && status.windows_acked >= before + WINDOWS
    });
    let process = fleet.agents[0].take();
    let recording = recorder.kill_9(process);

    let (sent, acked) = logs(&recording.events);
    let blobs = [(first, &packages[0]), (second, &packages[1])].map(|(version, package)| {
        let parts = package.blobs().map(Digest::of);
        [version.bundle.digest].into_iter().chain(parts).collect()
    });
    Some(Update {
        steps: steps::of(&recording.events),
        recording,
        hub,
        counted,
        packages,
        blobs,
        sent,
        acked,
    })
}

#[track_caller]
fn until(fleet: &Fleet, what: &str, mut holds: impl FnMut(&Status) -> bool) {
    wait::until(what, || {
        let status = fleet.agents[0].status();
        wait::that(holds(&status), || format!("{status:?}"))
    });
}

/// Batches and acks in what went through the sockets.
fn logs(events: &[Event]) -> (Vec<Sent>, Vec<(usize, Ack)>) {
    let (mut out, mut back) = (Packets::default(), Packets::default());
    let (mut sent, mut acked) = (Vec::new(), Vec::new());
    for (index, event) in events.iter().enumerate() {
        match event {
            Event::Sent(socket, bytes) => {
                for packet in out.take(socket, bytes) {
                    if packet.topic.ends_with("/up/log") {
                        let batch = codec::decode(&packet.payload).expect("the agent's own words");
                        let payload = packet.payload;
                        sent.push(Sent {
                            index,
                            batch,
                            payload,
                        });
                    }
                }
            }
            Event::Received(socket, bytes) => {
                for packet in back.take(socket, bytes) {
                    if packet.topic.ends_with("/down/ack") {
                        let ack = codec::decode(&packet.payload).expect("the hub's own words");
                        acked.push((index, ack));
                    }
                }
            }
            _ => {}
        }
    }
    (sent, acked)
}

impl Update {
    /// What had left for the hub before this event.
    pub fn sent_before(&self, index: usize) -> impl Iterator<Item = &Sent> {
        self.sent.iter().take_while(move |sent| sent.index < index)
    }

    /// The last entry that the hub had acknowledged before this event.
    pub fn acked_before(&self, index: usize) -> Sequence {
        let acked = self.acked.iter().take_while(|(at, _)| *at < index);
        acked.last().map_or(Sequence(0), |(_, ack)| ack.stored)
    }
}
