//! The loop, once, on brokers that are not ours: a model is published, delivered, serves, and what was
//! counted arrives exactly.

use std::{fs, net::SocketAddr};

use tern_tests::{
    fleet::{Fleet, meter},
    hub::Hub,
    other_brokers::OtherBroker,
    package,
    traffic::Traffic,
    wait,
};

/// Closes the loop twice, with a hub that is killed in between and hears of its devices again.
#[track_caller]
fn closes_the_loop(broker: SocketAddr, hub_args: &[&str]) {
    let mut fleet = Fleet::around(|dir| Hub::start_at_broker(broker, dir, hub_args));
    for number in [1, 2] {
        fleet.add(&meter(number));
    }
    let first = package::digits(0);
    fleet.serve(first);
    let load = Traffic::start(fleet.addresses(), &first.samples());
    wait::until("telemetry to be acknowledged", || {
        let acked = fleet.agents.iter().map(|a| a.status().windows_acked);
        let acked: Vec<_> = acked.collect();
        wait::that(acked.iter().all(|&acked| acked > 0), || {
            format!("{acked:?}")
        })
    });
    let answers = load.stop();
    assert_eq!(answers.failed, Vec::<String>::new());
    assert!(fleet.counts_exactly(0) > 0);

    fleet.hub.kill_9();
    fleet.run_hub();
    let second = fleet.serve(package::digits(1));
    for agent in &fleet.agents {
        fleet.online(agent.device());
        agent.serves(second.version.get());
    }
    fleet.counts_exactly(0);
}

#[test]
fn the_loop_closes_on_rabbitmq() {
    let Some(broker) = OtherBroker::rabbitmq() else {
        return;
    };
    // Its users are named and have passwords; devices on loopback come in as the default one.
    let dir = tempfile::tempdir().expect("the system has room for temporary files");
    let password = dir.path().join("password");
    fs::write(&password, "guest\n").expect("a file of the test's own");
    let password = password.to_str().expect("a plain name");
    let args = ["--broker-user", "guest", "--broker-password-file", password];
    closes_the_loop(broker.address, &args);
}

#[test]
fn the_loop_closes_on_nats() {
    let Some(broker) = OtherBroker::nats() else {
        return;
    };
    closes_the_loop(broker.address, &[]);
}
