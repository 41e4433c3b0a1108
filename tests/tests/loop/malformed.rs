//! Garbage in: nothing changes, and it is counted.

use tern_protocol::{digest::Digest, topic::Channel};
use tern_tests::{
    device,
    fleet::{Fleet, meter},
    mqtt::Mqtt,
    noise::Noise,
    package, wait,
};

/// Payloads that each end gets.
const PAYLOADS: u64 = 10_000;

/// Payloads sent before looking at the count: well within what a broker queues for one client, so
/// that every one of them arrives.
const BURST: u64 = 250;

#[test]
fn ten_thousand_malformed_payloads_at_the_hub_change_nothing_and_are_counted() {
    let fleet = Fleet::of(1);
    let package = package::digits(0);
    fleet.serve(package);
    let before = still(&fleet);
    let malformed = fleet.overview().totals.malformed;

    let known = fleet.agents[0].device().parse().expect("a name");
    let stranger = "stranger".parse().expect("a name");
    let up = [Channel::Link, Channel::State, Channel::Log, Channel::Want];
    let mut topics: Vec<String> = up
        .iter()
        .flat_map(|&up| [&known, &stranger].map(|id| device::topic(id, up)))
        .collect();
    // Topics that no version 1 device has.
    topics.push("tern/1/default/d/meter-01/up/nonsense".into());
    topics.push("tern/1/default/d/meter-01/up/log/more".into());

    let mqtt = Mqtt::connect(fleet.hub.mqtt(), "noise");
    let mut noise = Noise::seeded(1);
    for sent in 1..=PAYLOADS {
        let topic = &topics[sent as usize % topics.len()];
        mqtt.say(topic, false, noise.payload(300));
        if sent % BURST == 0 {
            mqtt.settled();
            wait::until("the hub to count malformed messages", || {
                let counted = fleet.overview().totals.malformed - malformed;
                wait::that(counted == sent, || format!("{counted} of {sent}"))
            });
        }
    }
    assert_eq!(still(&fleet), before);
    fleet.agents[0].infer(&package.samples()[0]);
    fleet.counts_exactly(0);
}

#[test]
fn ten_thousand_malformed_payloads_at_an_agent_change_nothing_and_are_counted() {
    // A hub so slow that the agent is still fetching a second version all the while: chunks are
    // part of what it listens to then.
    let mut fleet = Fleet::with_hub(&["--egress-limit", "100000", "--delta-budget", "0"]);
    fleet.add(&meter(1));
    let package = package::digits(0);
    fleet.serve(package);
    let big = package::random(fleet.dir(), 2, 20_000);
    let version = fleet.publish(&big);
    fleet.roll_out(version.version);
    let agent = &fleet.agents[0];
    // A chunk of the ONNX file is there, so the agent listens to the file's topic: more bytes than
    // all the other parts have.
    let onnx = big.onnx.len() as u64;
    wait::until("the first chunk of the model", || {
        let status = agent.status();
        let fetching = status
            .slot()
            .progress
            .as_ref()
            .is_some_and(|at| at.bytes_total > 0 && at.bytes + onnx > at.bytes_total);
        wait::that(fetching, || format!("{status:?}"))
    });

    let id = agent.device().parse().expect("a name");
    let topics = [
        device::topic(&id, Channel::Desired),
        device::topic(&id, Channel::Ack),
        device::blob_topic(Digest::of(&big.onnx)),
    ];
    let mqtt = Mqtt::connect(fleet.hub.mqtt(), "noise");
    let mut noise = Noise::seeded(2);
    let counted = || {
        let status = agent.status();
        status.malformed + status.chunks_ignored
    };
    let start = counted();
    for sent in 1..=PAYLOADS {
        let topic = &topics[sent as usize % topics.len()];
        mqtt.say(topic, false, noise.payload(300));
        if sent % BURST == 0 {
            mqtt.settled();
            wait::until("the agent to count malformed messages", || {
                let counted = counted() - start;
                wait::that(counted >= sent, || format!("{counted} of {sent}"))
            });
        }
    }
    assert!(
        agent.status().malformed >= PAYLOADS * 2 / 3,
        "{:?}",
        agent.status()
    );

    let status = agent.status();
    assert_eq!(
        status.version(),
        Some(1),
        "what served serves on: {status:?}"
    );
    assert!(status.slot().rejected.is_none(), "{status:?}");
    let input = &package.samples()[0];
    package::assert_same(&agent.infer(input), &package.bare(), input);
    wait::until("the hub to show the count", || {
        let shown = fleet.device(agent.device()).malformed;
        wait::that(shown >= PAYLOADS * 2 / 3, || format!("{shown}"))
    });
}

/// What the hub knows, without what moves by itself.
fn still(fleet: &Fleet) -> Vec<String> {
    let devices = fleet.devices().into_iter().map(|device| {
        let serving: Vec<_> = device
            .slots
            .iter()
            .map(|slot| {
                (
                    slot.assigned.clone(),
                    slot.serving.as_ref().map(|s| s.weights),
                )
            })
            .collect();
        format!(
            "{} {} {:?} {} {:?} {:?} {:?}",
            device.id,
            device.site,
            device.labels,
            device.online,
            device.desired_revision,
            device.reported_revision,
            serving
        )
    });
    devices.collect()
}
