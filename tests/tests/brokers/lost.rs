//! A broker that comes back with nothing of what it had kept.

use tern_protocol::{codec, desired::Desired, topic::Channel};
use tern_tests::{
    device,
    fleet::{Fleet, meter},
    hub::{Doors, Hub},
    mqtt::Mqtt,
    package, programs,
    traffic::Traffic,
    wait,
};

#[test]
fn a_fleet_goes_on_when_its_broker_comes_back_empty() {
    if programs::find("mosquitto").is_none() {
        return;
    }
    let mut fleet = Fleet::around(|dir| Hub::start_beside(Doors::Plain, dir, &[]));
    for number in [1, 2] {
        fleet.add(&meter(number));
    }
    let first = package::digits(0);
    fleet.serve(first);
    let second = fleet.publish(package::digits(1));
    let load = Traffic::start(fleet.addresses(), &first.samples());

    fleet.hub.mosquitto().kill_9();
    wait::until("the hub to say what is missing", || {
        let url = format!("{}/readyz", fleet.hub.url());
        let answer = fleet.hub.http().get(&url)?;
        let named = answer.status == 503 && answer.body.contains("the broker");
        wait::that(named, || format!("{answer:?}"))
    });
    let metrics = fleet
        .hub
        .http()
        .get(&format!("{}/metrics", fleet.hub.url()));
    let metrics = metrics.expect("it answers without a broker");
    assert!(
        metrics.body.contains("\ntern_ready 0\n"),
        "{}",
        metrics.body
    );
    // A person acts while nobody can be told.
    let rollout = fleet.roll_out(second.version);

    fleet.hub.mosquitto().run();
    for agent in &fleet.agents {
        agent.serves(second.version.get());
    }
    fleet.rollout_until(rollout.id, "to be proven on both", |view| {
        view.counts.serving == 2
    });
    let answers = load.stop();
    assert_eq!(answers.failed, Vec::<String>::new());
    fleet.counts_exactly(0);

    // All that has to be kept is kept again: what devices should be, and what they said they are.
    let late = Mqtt::connect(fleet.hub.mqtt(), "late");
    for agent in &fleet.agents {
        let id = agent.device().parse().expect("a name");
        for channel in [Channel::Desired, Channel::State, Channel::Link] {
            let topic = device::topic(&id, channel);
            late.hear(&topic);
            let kept = wait::until(&format!("{topic} to be kept"), || {
                let heard = late.heard(|on| on == topic);
                heard.into_iter().next().ok_or_else(|| "nothing".to_owned())
            });
            if channel == Channel::Desired {
                let desired: Desired = codec::decode(&kept).expect("as documented");
                assert_eq!(desired.slots[0].version, second.version);
            }
        }
    }
}
