//! Fetching by HTTPS, against a server that does what it should not.

use serde_json::Value;
use tern_protocol::desired::Desired;

use super::{
    SLOT, WEIGHTS,
    device::{Device, wait_for},
    hub::Hub,
    release,
    server::{Answer, Server},
};

/// Weights of a model of some chunks.
const LARGE: usize = 200_000;

fn weights() -> Vec<f32> {
    (0..LARGE)
        .map(|i| WEIGHTS[i % 8] / (1.0 + i as f32))
        .collect()
}

/// A hub that sends no chunk, and a device that fetches what was released there from the server.
fn fetching(next: Vec<Answer>, more: &str) -> (Hub, Server, Device, Desired) {
    let (hub, server) = (Hub::start(), Server::start());
    hub.state().chunks_left = Some(0);
    let desired = release(&hub, 1, &weights());
    server.state().blobs.clone_from(&hub.state().blobs);
    server.state().next = next;
    let address = server.address;
    let more = format!("{SLOT}[delivery]\nhub = \"http://{address}\"\n{more}");
    let device = Device::start(hub.address, &more);
    (hub, server, device, desired)
}

/// Bytes of all blobs.
fn total(server: &Server) -> usize {
    server.state().blobs.values().map(Vec::len).sum()
}

fn trouble(device: &Device) -> Option<String> {
    let status = device.status();
    let coming = status["coming"].as_array().expect("a list").clone();
    coming
        .iter()
        .find_map(|it| it["trouble"].as_str().map(Into::into))
}

#[test]
fn a_download_that_is_cut_again_and_again_fetches_each_chunk_once() {
    // In the middle of a chunk, at its end, at once.
    let cuts = [100_000, 65_536, 0, 200_000].map(Answer::Cut);
    let (_hub, server, device, _) = fetching(cuts.to_vec(), "via = \"https\"");
    device.wait_serving(1);
    let status = device.status();
    let whole = Value::from(total(&server));
    assert_eq!(
        (&status["chunk_bytes"], &status["https_bytes"]),
        (&whole, &whole)
    );
    // Of a chunk that was cut its beginning came twice.
    let sent = server.state().sent;
    assert!(
        sent <= total(&server) + 2 * 65_536,
        "{sent} bytes were sent"
    );
    let asked = server.state().asked.clone();
    assert!(
        asked
            .iter()
            .all(|(path, _)| path.starts_with("/api/v1/w/default/delivery/blobs/")),
        "{asked:?}"
    );
}

#[test]
fn silence_leads_to_https_and_back_when_that_fails() {
    let gone = || Answer::Status(404, "x: y".into());
    let (hub, server, device, _) = fetching(vec![gone()], "silence = \"1s\"");
    // The manifest comes by HTTPS, and of its parts the large one is not there.
    wait_for("the way back", || {
        (device.status()["way_changes"].as_u64() >= Some(2)).then_some(())
    });
    hub.state().chunks_left = None;
    device.wait_serving(1);
    assert!(server.state().sent > 0);
    let status = device.status();
    assert!(
        status["chunk_bytes"].as_u64() > status["https_bytes"].as_u64(),
        "{status}"
    );
}

#[test]
fn redirects_are_not_followed_and_what_was_not_asked_for_is_not_taken() {
    let elsewhere = Server::start();
    let location = format!("location: http://{}/", elsewhere.address);
    for answer in [
        Answer::Status(302, location.clone()),
        Answer::Status(307, location),
        Answer::TooMuch,
    ] {
        let (_hub, _server, device, _) = fetching(vec![answer.clone()], "via = \"https\"");
        let text = wait_for("the trouble", || trouble(&device));
        assert!(text.starts_with("malformed"), "{answer:?}: {text}");
        assert_eq!(device.serving(), None);
    }
    assert_eq!(elsewhere.state().asked.len(), 0);
}

#[test]
fn a_server_that_ignores_ranges_sends_a_blob_at_most_once_more() {
    let next = vec![Answer::Cut(70_000), Answer::Whole];
    let (_hub, server, device, _) = fetching(next, "via = \"https\"");
    let text = wait_for("the trouble", || {
        trouble(&device).filter(|text| text.starts_with("malformed"))
    });
    assert!(text.contains("200"), "{text}");
    assert_eq!(device.serving(), None, "nothing of it was taken");
    let sent = server.state().sent;
    assert!(sent < 2 * total(&server) + 70_000, "{sent} bytes were sent");
}

#[test]
fn troubles_are_named_and_pass() {
    for (answer, name) in [
        (
            Answer::Status(429, "retry-after: 1".into()),
            "busy: the hub answers 429",
        ),
        (
            Answer::Status(503, "x: y".into()),
            "busy: the hub answers 503",
        ),
        (
            Answer::Status(500, "x: y".into()),
            "failed: the hub answers 500",
        ),
    ] {
        let (_hub, _server, device, _) = fetching(vec![answer], "via = \"https\"");
        device.wait_serving(1);
        let log = device.log();
        assert!(log.contains(name), "{name}: {log}");
    }
}

#[test]
fn a_blob_that_is_not_desired_any_more_is_not_downloaded_any_more() {
    let stuck = vec![Answer::Status(403, "x: y".into()); 100];
    let (hub, server, device, _) = fetching(stuck, "via = \"https\"");
    wait_for("the refusal", || {
        trouble(&device).filter(|text| text == "refused: the hub answers 403")
    });
    release(&hub, 2, &WEIGHTS);
    server.state().blobs.clone_from(&hub.state().blobs);
    device.wait_serving(2);
    wait_for("nothing on its way", || {
        (device.status()["coming"] == Value::Array(Vec::new())).then_some(())
    });
}
