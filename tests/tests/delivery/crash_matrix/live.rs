//! What a real agent does on a state that a power cut left, first without its hub and then with it.

use std::{collections::BTreeMap, fs, path::Path};

use tern_cli::client::{Client, Connection};
use tern_protocol::{
    codec,
    id::Sequence,
    log::{Ack, Body, Entry},
    rest::DeviceView,
    topic::Channel,
};
use tern_tests::{
    agent::{Agent, SLOT},
    device::topic,
    hub::Hub,
    mqtt::Mqtt,
    oip::{self, Inferred},
    package,
    powercut::cells::State,
    proxy::Proxy,
    wait,
};

use super::recorded::{self, Sent, Update};

/// Starts an agent on a state and the hub as it was then, and waits until all is well. Panics if it
/// does not become so.
pub fn live(update: &Update, state: &State, entries: &[Entry], dir: &Path) {
    update.hub.write(&dir.join("hub"));
    let hub = Hub::start(dir, &[]);
    let link = Proxy::start(hub.mqtt());
    link.cut();
    let settings = recorded::settings();
    let mut agent = Agent::prepare(dir, &settings, Some(link.address()));
    let _ = fs::remove_dir_all(agent.state());
    state.tree.write(&agent.state());
    agent.run();
    answers(update, &agent);

    feed(update, state, &hub);
    link.restore();
    agent.serves(2);
    answers(update, &agent);
    counts(update, state, entries, &hub, &agent);
}

/// A working model answers, whichever it is.
fn answers(update: &Update, agent: &Agent) {
    let input = &update.packages[0].samples()[0];
    let answer = wait::until("an answer", || {
        let answer = agent.post(&oip::path(SLOT), &input.request());
        wait::that(answer.status == 200, || format!("{answer:?}"))?;
        Inferred::parse(&answer.body)
    });
    let model = &update.packages[answer.version as usize - 1];
    package::assert_same(&answer, &model.bare(), input);
}

/// The hub has what the agent had sent before the power went.
fn feed(update: &Update, state: &State, hub: &Hub) {
    let mut last = Sequence(0);
    let device = recorded::settings().device.parse().expect("a name");
    let mqtt = Mqtt::connect(hub.mqtt(), "what-was-sent");
    mqtt.hear(&topic(&device, Channel::Ack));
    for Sent { batch, payload, .. } in update.sent_before(state.index) {
        mqtt.say(&topic(&device, Channel::Log), false, payload.clone());
        last = batch
            .entries
            .last()
            .map_or(last, |entry| entry.sequence.max(last));
    }
    wait::until("the hub to have what was sent", || {
        let acks = mqtt.heard(|_| true);
        let acks = acks
            .iter()
            .filter_map(|bytes| codec::decode::<Ack>(bytes).ok());
        let stored = acks.map(|ack| ack.stored).max().unwrap_or_default();
        wait::that(stored >= last, || format!("{stored:?} of {last:?}"))
    });
}

/// Everything that was sent or is in the outbox counts once, and what was answered since.
fn counts(update: &Update, state: &State, entries: &[Entry], hub: &Hub, agent: &Agent) {
    let sent = update.sent_before(state.index);
    let sent = sent.flat_map(|sent| &sent.batch.entries);
    let all: BTreeMap<Sequence, &Entry> = sent
        .chain(entries)
        .map(|entry| (entry.sequence, entry))
        .collect();
    let windows = all.values().filter_map(|entry| match &entry.body {
        Body::Window(window) => Some(window.inferences),
        _ => None,
    });
    let before = update.counted + windows.sum::<u64>();
    let connection = Connection {
        hub: hub.url(),
        workspace: "default".parse().expect("a name"),
        token: None,
        ca: None,
    };
    let client = Client::connect(&connection).expect("an address");
    let device = recorded::settings().device.parse().expect("a name");
    wait::until("exact counts", || {
        let view: DeviceView = client.device(&device).map_err(|err| err.to_string())?;
        let expected = before + agent.status().inferences;
        assert!(
            view.inferences <= expected,
            "the hub counts {}, there were {expected}",
            view.inferences
        );
        wait::that(view.inferences == expected, || {
            format!("{} of {expected}: {:?}", view.inferences, agent.status())
        })
    });
}
