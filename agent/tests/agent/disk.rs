//! A store that cannot be used, and blobs that nobody needs.

use std::fs;

use tern_protocol::id::Revision;

use crate::{
    SLOT, WEIGHTS,
    device::{Device, wait_for},
    hub::Hub,
    publish, release,
};

const INPUT: [f32; 4] = [9.0, 0.0, 0.0, 0.0];

#[test]
fn without_its_store_an_agent_serves_on_and_what_it_counted_is_not_lost() {
    let hub = Hub::start();
    release(&hub, 1, &WEIGHTS);
    let mut device = Device::start(
        hub.address,
        &format!("{SLOT}[telemetry]\nwindow = \"200ms\""),
    );
    device.wait_serving(1);
    assert_eq!(device.infer(&INPUT).0, 200);
    device.stop();

    // Something is where the store was: it can be opened by nobody.
    let (store, aside) = (device.state().join("store"), device.state().join("aside"));
    fs::rename(&store, &aside).expect("it moves");
    fs::write(&store, b"in the way").expect("it writes");
    device.run();
    for _ in 0..5 {
        assert_eq!(device.infer(&INPUT).0, 200, "it answers without its store");
    }
    let status = wait_for("it to tell", || {
        let status = device.status();
        status["trouble"].is_string().then_some(status)
    });
    assert_eq!(status["online"], false);
    assert_eq!(status["slots"][0]["serving"]["version"], 1, "{status}");

    fs::remove_file(&store).expect("it goes");
    fs::rename(&aside, &store).expect("it moves back");
    wait_for("the store", || {
        device.status()["online"].as_bool()?.then_some(())
    });
    assert!(device.status()["trouble"].is_null());
    assert_eq!(device.infer(&INPUT).0, 200);
    wait_for("all counts", || (hub.inferences() == 7).then_some(()));
    assert_eq!(device.stop(), Some(0), "{}", device.log());
    assert_eq!(hub.inferences(), 7, "each once");
}

#[test]
fn without_a_store_and_a_model_there_is_nothing_to_stay_for() {
    let hub = Hub::start();
    let mut device = Device::start(hub.address, SLOT);
    device.stop();
    let store = device.state().join("store");
    fs::remove_dir_all(&store).expect("it goes");
    fs::write(&store, b"in the way").expect("it writes");
    let (code, log) = device.run_in_vain();
    assert_eq!(code, Some(2));
    assert!(log.contains("store"), "{log}");
}

#[test]
fn going_back_to_a_version_of_before_needs_no_delivery() {
    let hub = Hub::start();
    release(&hub, 1, &WEIGHTS);
    let device = Device::start(hub.address, SLOT);
    device.wait_serving(1);
    for n in 2..4 {
        release(&hub, n, &WEIGHTS.map(|w| w * n as f32));
        device.wait_serving(n.into());
    }
    let bytes = |device: &Device| {
        let status = device.status();
        let of = |key: &str| status[key].as_u64().expect("a count");
        // Signed metadata come anew with each release.
        of("chunk_bytes") - of("metadata_bytes")
    };
    wait_for("what nobody needs", || {
        (device.status()["disk"]["spare_bytes"].as_u64()? > 0).then_some(())
    });
    let before = bytes(&device);
    let mut back = publish(&hub, 1, &WEIGHTS, |_| ());
    back.revision = Revision(9);
    hub.desire(back);
    device.wait_serving(1);
    assert_eq!(bytes(&device), before, "version 1 was still there");
}
