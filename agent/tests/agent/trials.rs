//! A new version is vetted, waits for its time, and has to prove itself.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::json;
use tern_protocol::log::EventKind;

use crate::{
    SLOT, WEIGHTS,
    device::{Device, wait_for},
    hub::Hub,
    release,
};

#[test]
fn a_model_that_fails_in_service_gives_way_within_a_second() {
    let hub = Hub::start();
    release(&hub, 1, &WEIGHTS);
    let device = Device::start(hub.address, SLOT);
    device.wait_serving(1);
    // Version 2 overflows on large inputs: its probabilities are not numbers then.
    release(&hub, 2, &WEIGHTS.map(|w| w * 1e30));
    device.wait_serving(2);
    for _ in 0..3 {
        assert_eq!(device.infer(&[1e30, 0.0, 0.0, 0.0]).0, 500);
    }
    let since = Instant::now();
    device.wait_serving(1);
    assert!(
        since.elapsed() < Duration::from_secs(1),
        "{:?}",
        since.elapsed()
    );
    assert_eq!(device.infer(&[1e30, 0.0, 0.0, 0.0]).0, 200);
    let slot = &device.status()["slots"][0];
    assert_eq!(slot["rejected"]["reason"], "failed-serving");
    wait_for("the event", || {
        hub.events().contains(&EventKind::SwappedBack).then_some(())
    });
}

#[test]
fn a_model_that_takes_more_than_it_may_hurts_its_vetting_and_nothing_else() {
    let hub = Hub::start();
    let device = Device::start(hub.address, &format!("{SLOT}[vetting]\nmemory = \"1MiB\""));
    release(&hub, 1, &vec![1e-6; 1 << 20]);
    let rejected = wait_for("a refusal", || {
        let rejected = device.status()["slots"][0]["rejected"].clone();
        (!rejected.is_null()).then_some(rejected)
    });
    assert_eq!(rejected["reason"], "exhausting", "{rejected}");
    let text = rejected["text"].as_str().expect("a text");
    assert!(text.contains("[vetting] memory"), "{text}");
    assert_eq!(
        device.infer(&[1.0, 0.0, 0.0, 0.0]).0,
        503,
        "it lives, and serves nothing"
    );
}

#[test]
fn a_version_is_confirmed_after_its_trial_also_over_restarts() {
    let hub = Hub::start();
    let more = format!("{SLOT}[activation]\ntrial = \"1s\"\n[telemetry]\nwindow = \"200ms\"");
    let mut device = Device::start(hub.address, &more);
    release(&hub, 1, &WEIGHTS);
    device.wait_serving(1);
    device.kill();
    device.run();
    device.wait_serving(1);
    wait_for("it to be confirmed", || {
        hub.events().contains(&EventKind::Confirmed).then_some(())
    });
    let confirmed = || device.status()["slots"][0]["serving"]["confirmed"] == json!(true);
    wait_for("/status to say so", || confirmed().then_some(()));
    wait_for("the hub to be told", || {
        let reported = hub.state().reported.clone()?;
        reported.slots[0].serving.clone()?.confirmed.then_some(())
    });
    let before = hub
        .events()
        .iter()
        .filter(|kind| **kind == EventKind::Confirmed)
        .count();
    device.kill();
    device.run();
    device.wait_serving(1);
    assert_eq!(
        device.status()["slots"][0]["serving"]["confirmed"],
        json!(true)
    );
    assert_eq!(
        hub.events()
            .iter()
            .filter(|kind| **kind == EventKind::Confirmed)
            .count(),
        before,
        "it is said once"
    );
}

#[test]
fn whatever_ends_the_agent_again_and_again_while_on_trial_gives_way() {
    let hub = Hub::start();
    let mut device = Device::start(hub.address, &format!("{SLOT}[activation]\ntrial = \"1s\""));
    release(&hub, 1, &WEIGHTS);
    device.wait_serving(1);
    wait_for("version 1 to be confirmed", || {
        (device.status()["slots"][0]["serving"]["confirmed"] == json!(true)).then_some(())
    });
    fs::write(
        device.dir().join("agent.toml"),
        fs::read_to_string(device.dir().join("agent.toml"))
            .expect("it is there")
            .replace("trial = \"1s\"", "trial = \"1h\""),
    )
    .expect("it writes");
    device.stop();
    device.run();
    release(&hub, 2, &WEIGHTS.map(|w| w * 2.0));
    device.wait_serving(2);
    // As if each request ended the process.
    for _ in 0..3 {
        device.kill();
        device.run();
        device.wait_serving(2);
    }
    device.kill();
    device.run();
    device.wait_serving(1);
    let rejected = &device.status()["slots"][0]["rejected"];
    assert_eq!(rejected["reason"], "failed-serving", "{rejected}");
}

#[test]
fn a_new_version_waits_until_nobody_asks_and_a_first_one_does_not() {
    let hub = Hub::start();
    let device = Device::start(hub.address, &format!("{SLOT}[activation]\nidle = \"2s\""));
    release(&hub, 1, &WEIGHTS);
    device.wait_serving(1);
    release(&hub, 2, &WEIGHTS.map(|w| w * 2.0));
    wait_for("it to wait for its time, while we ask", || {
        assert_eq!(device.infer(&[1.0, 0.0, 0.0, 0.0]).0, 200);
        (device.status()["slots"][0]["progress"]["phase"] == "waiting").then_some(())
    });
    assert_eq!(device.infer(&[1.0, 0.0, 0.0, 0.0]).1["model_version"], "1");
    device.wait_serving(2);
}
