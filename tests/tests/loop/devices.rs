//! The agent's own life.

use std::{fs, process::Command};

use tern_protocol::{digest::Digest, rest::DeviceView};
use tern_tests::{
    binaries,
    fleet::{Fleet, meter},
    package, wait,
};

#[test]
fn an_agent_that_is_told_to_stop_delivers_its_open_window_and_says_that_it_leaves() {
    let mut fleet = Fleet::empty();
    fleet.add(&meter(1));
    let package = package::digits(0);
    fleet.serve(package);
    for input in package.samples().iter().take(7) {
        fleet.agents[0].infer(input);
    }
    assert!(fleet.agents[0].terminate().success());
    wait::until(
        "the hub to have all and to know that the device is gone",
        || {
            let view = fleet.try_device("meter-01")?;
            assert!(view.inferences <= 7, "{view:?}");
            wait::that(view.inferences == 7 && !view.online, || format!("{view:?}"))
        },
    );

    // The next boot serves the same without being told.
    let before = proof(&fleet.device("meter-01"));
    assert!(before.is_some());
    fleet.agents[0].run();
    fleet.agents[0].serves(1);
    wait::until("the hub to know that it is back", || {
        let view = fleet.try_device("meter-01")?;
        // Not for a moment does it look as if nothing served.
        assert_eq!(proof(&view), before, "{view:?}");
        wait::that(view.online, || format!("{view:?}"))
    });
    assert_eq!(
        fleet.agents[0].status().chunk_bytes,
        0,
        "nothing was fetched again"
    );
    fleet.counts_exactly(7);
}

#[test]
fn a_configuration_with_an_unknown_key_is_refused_by_the_name_of_the_key() {
    let dir = tempfile::tempdir().expect("the system has room for temporary files");
    let config = dir.path().join("agent.toml");
    for (text, named) in [
        (
            "device = \"a\"\nsite = \"b\"\nstate = \"s\"\nwrokspace = \"c\"\n",
            "wrokspace",
        ),
        (
            "device = \"a\"\nsite = \"b\"\nstate = \"s\"\n[telemetry]\nwidow = \"1s\"\n",
            "widow",
        ),
        ("device = \"a b\"\nsite = \"b\"\nstate = \"s\"\n", "a b"),
        (
            "device = \"a\"\nsite = \"b\"\nstate = \"s\"\n[telemetry]\nwindow = \"1 parsec\"\n",
            "parsec",
        ),
    ] {
        fs::write(&config, text).expect("a file in the test's own");
        let ran = Command::new(binaries::path("tern-agent"))
            .args(["run", "--config"])
            .arg(&config)
            .output()
            .expect("the agent starts");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(!ran.status.success(), "{text}");
        assert!(
            said.contains(named) && !said.contains("panicked"),
            "{named}: {said}"
        );
        assert!(
            !dir.path().join("s").exists(),
            "nothing is made before it is understood"
        );
    }
}

/// The weights that a device proves to serve.
fn proof(device: &DeviceView) -> Option<Digest> {
    let serving = device.slots.first()?.serving.as_ref()?;
    serving.proven.then_some(serving.weights)
}
