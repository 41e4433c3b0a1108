//! The real binary against real files, HTTP and MQTT; the hub's side is a fake at the wire.

mod device;
mod disk;
mod downloads;
#[path = "../../src/engine/fixture.rs"]
mod fixture;
mod hub;
mod inputs;
mod server;
mod shadow;
mod trials;

use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use serde_json::json;
use tern_agent::engine::Model;
use tern_protocol::{
    codec,
    desired::{Desired, DesiredSlot},
    digest::Digest,
    id::{ModelVersion, Revision},
    limits::CHUNK,
    log::{
        Body,
        EventKind::{Fetching, Serving, Started, Verified, Vetted},
    },
    manifest::{Golden, GoldenSample, Manifest},
    profile::{FeatureReference, Reference},
    steps::{OutputSteps, PostStep},
    tensor::{Dtype, Tensor},
    topic::Channel,
};

use self::{
    device::{Device, wait_for},
    hub::Hub,
};

const SLOT: &str = "[[slots]]\nname = \"reader\"\n";

/// Inputs 0 and 1 speak for class `cat`, 2 and 3 for `dog`.
const WEIGHTS: [f32; 8] = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0];

/// Publishes a model of `features` inputs as version `n`, signs it and desires it.
fn release(hub: &Hub, n: u32, weights: &[f32]) -> Desired {
    release_as(hub, n, weights, |_| ())
}

/// As [`release`], with another manifest.
fn release_as(hub: &Hub, n: u32, weights: &[f32], change: impl FnOnce(&mut Manifest)) -> Desired {
    let desired = publish(hub, n, weights, change);
    hub.desire(desired.clone());
    desired
}

/// As [`release`], unsigned.
fn release_unsigned(hub: &Hub, n: u32, weights: &[f32]) -> Desired {
    let desired = publish(hub, n, weights, |_| ());
    hub.desire_unsigned(desired.clone());
    desired
}

fn publish(hub: &Hub, n: u32, weights: &[f32], change: impl FnOnce(&mut Manifest)) -> Desired {
    let features = weights.len() / 2;
    let onnx = fixture::classifier(weights, 2);
    let (inputs, outputs) = fixture::specs(features as i64, 2);
    let model = Model::load(&onnx, &inputs, &outputs).expect("it loads");
    let mut sample = vec![0.0; features];
    sample[0] = 1.0;
    let sample = Tensor::from_f32(&[1, features as u32], &sample);
    let golden = Golden {
        tolerance: 1e-5,
        samples: vec![GoldenSample {
            outputs: model.run(std::slice::from_ref(&sample)).expect("it runs"),
            inputs: vec![sample],
        }],
    };
    let feature = FeatureReference {
        name: "x".into(),
        edges: vec![0.0, 1.0, 4.0],
        counts: vec![1, 1],
        missing: 0,
        by_class: Vec::new(),
    };
    let reference = (features <= 4).then(|| Reference {
        features: vec![feature; features],
        ..Reference::default()
    });
    let mut manifest = Manifest {
        model: "pets".parse().expect("a name"),
        version: ModelVersion::new(n).expect("from 1"),
        onnx: hub.offer(onnx),
        golden: hub.offer(codec::encode(&golden)),
        reference: reference.map(|reference| hub.offer(codec::encode(&reference))),
        inputs,
        outputs,
        classes: vec!["cat".into(), "dog".into()],
        pre: vec![],
        post: vec![],
        min_agent: None,
        operators: vec![],
        measured: vec![],
        bases: vec![],
        metrics: vec![],
    };
    change(&mut manifest);
    Desired {
        revision: Revision(n.into()),
        slots: vec![DesiredSlot {
            slot: "reader".parse().expect("a name"),
            model: manifest.model.clone(),
            version: manifest.version,
            bundle: hub.offer(codec::encode(&manifest)),
            offers: Vec::new(),
        }],
        shadows: Vec::new(),
        requests: Vec::new(),
        erasures: Vec::new(),
    }
}

/// Nobody listens there.
fn nowhere() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound")
}

#[test]
fn a_model_for_newer_agents_is_refused_by_name_and_the_old_one_serves_on() {
    let hub = Hub::start();
    release(&hub, 1, &WEIGHTS);
    let device = Device::start(hub.address, SLOT);
    device.wait_serving(1);
    release_as(&hub, 2, &WEIGHTS, |manifest| {
        manifest.min_agent = "999.0.0".parse().ok();
    });
    let rejected = wait_for("the refusal", || {
        let reported = hub.state().reported.clone()?;
        reported.slots[0].rejected.clone()
    });
    assert_eq!(rejected.reason.to_string(), "agent-too-old");
    assert!(rejected.text.contains("999.0.0"), "{}", rejected.text);
    assert_eq!(device.infer(&[9.0, 0.0, 0.0, 0.0]).0, 200);
}

#[test]
fn decided_answers_name_classes_and_are_counted_by_their_scores() {
    let hub = Hub::start();
    release_as(&hub, 1, &WEIGHTS, |manifest| {
        let argmax = OutputSteps {
            output: manifest.outputs[0].name.clone(),
            steps: vec![PostStep::Argmax {}, PostStep::Labels {}],
        };
        manifest.post = vec![argmax];
        manifest.outputs[0].dtype = Dtype::I64;
        manifest.outputs[0].shape = vec![-1];
        let sample = GoldenSample {
            inputs: vec![Tensor::from_f32(&[1, 4], &[0.0, 0.0, 9.0, 0.0])],
            outputs: vec![Tensor {
                dtype: Dtype::I64,
                shape: vec![1],
                data: 1i64.to_le_bytes().into(),
            }],
        };
        let golden = Golden {
            tolerance: 0.0,
            samples: vec![sample],
        };
        manifest.golden = hub.offer(codec::encode(&golden));
    });
    let more = format!("{SLOT}[telemetry]\nwindow = \"500ms\"");
    let device = Device::start(hub.address, &more);
    device.wait_serving(1);
    let (_, answer) = device.infer(&[0.0, 0.0, 0.0, 9.0]);
    let output = &answer["outputs"][0];
    assert_eq!(output["datatype"], "INT64", "{answer}");
    assert_eq!(output["data"], json!([1]));
    assert_eq!(output["parameters"]["labels"], json!(["dog"]));
    wait_for("the hub to count", || (hub.inferences() == 1).then_some(()));
    let state = hub.state();
    let windows = state
        .entries
        .values()
        .filter_map(|entry| match &entry.body {
            Body::Window(window) if window.inferences > 0 => Some(window),
            _ => None,
        });
    let windows: Vec<_> = windows.collect();
    assert_eq!(windows[0].classes, [0, 1]);
    // Sure of it: the last of twenty bins, not the first, where an index would be.
    assert_eq!(windows[0].confidence[19], 1, "{:?}", windows[0].confidence);
}

#[test]
fn a_model_is_fetched_served_and_what_it_does_is_told() {
    let hub = Hub::start();
    release(&hub, 1, &WEIGHTS);
    let more = format!("{SLOT}[telemetry]\nwindow = \"500ms\"\n[captures]\nunsure_below = 0.9");
    let mut device = Device::start(hub.address, &more);
    device.wait_serving(1);

    let (status, answer) = device.infer(&[9.0, 0.0, 0.0, 0.0]);
    assert_eq!(
        (status, &answer["model_version"]),
        (200, &json!("1")),
        "{answer}"
    );
    assert!(
        answer["outputs"][0]["data"][0].as_f64() > Some(0.99),
        "{answer}"
    );
    let (_, unsure) = device.infer(&[1.0, 0.0, 1.0, 0.0]);
    let prediction = unsure["parameters"]["predictions"][0]
        .as_str()
        .expect("an id");
    assert!(
        prediction.starts_with("1-"),
        "of the first boot: {prediction}"
    );
    let feedback = |prediction: &str, truth: serde_json::Value| {
        let body = json!({"prediction": prediction, "truth": truth}).to_string();
        device.request("POST", "/feedback", &body).0
    };
    assert_eq!(feedback(prediction, json!("dog")), 202);
    assert_eq!(feedback(prediction, json!(0)), 202);
    assert_eq!(feedback(prediction, json!("bird")), 422);
    assert_eq!(feedback("1-999", json!("dog")), 404);
    assert_eq!(feedback("9-1", json!("dog")), 404);

    wait_for("the hub to count", || (hub.inferences() == 2).then_some(()));
    wait_for("a capture and two labels", || {
        let state = hub.state();
        let bodies = state.entries.values().map(|entry| &entry.body);
        let (mut captures, mut labels) = (Vec::new(), Vec::new());
        for body in bodies {
            match body {
                Body::Capture(capture) => captures.push(capture.clone()),
                Body::Label(label) => labels.push((label.class, label.truth)),
                _ => {}
            }
        }
        let input = captures.first()?.input.to_f32();
        (input == Some(vec![1.0, 0.0, 1.0, 0.0]) && labels == [(0, 1), (0, 0)]).then_some(())
    });
    assert_eq!(hub.events(), [Started, Fetching, Verified, Vetted, Serving]);
    let proof = wait_for("the proof of serving", || {
        hub.state().reported.clone()?.slots.first()?.serving.clone()
    });
    let onnx = Digest::of(&fixture::classifier(&WEIGHTS, 2));
    assert_eq!(
        (proof.weights, proof.version.version),
        (onnx, ModelVersion::FIRST)
    );

    device.infer(&[9.0, 0.0, 0.0, 0.0]);
    assert_eq!(device.stop(), Some(0));
    assert_eq!(
        hub.inferences(),
        3,
        "the last window left before the agent did"
    );
    assert_eq!(hub.state().link.map(|link| link.online), Some(false));
}

#[test]
fn a_kill_in_mid_download_loses_nothing_that_was_fetched() {
    let hub = Hub::start();
    let weights: Vec<f32> = (0..200_000).map(|i| (i % 97) as f32 / 1e6).collect();
    // Root, snapshot and targets, the manifest and the golden samples (with an input of 400 KB) pass, then
    // the line is slow.
    hub.state().chunks_left = Some(17);
    let desired = release(&hub, 1, &weights);
    let mut device = Device::start(hub.address, SLOT);
    let got = wait_for("most of these to be safe", || {
        (hub.state().chunks_left == Some(0)).then_some(())?;
        let status = device.status();
        let bytes = status["chunk_bytes"].as_u64()?;
        let before = bytes >= 12 * CHUNK as u64;
        before.then_some(bytes)
    });
    device.kill();
    hub.state().wants.clear();
    hub.state().chunks_left = None;
    device.run();
    device.wait_serving(1);
    let total: usize = hub.state().blobs.values().map(Vec::len).sum();
    let then = device.status()["chunk_bytes"].as_u64().expect("a number");
    assert_eq!(got + then, total as u64, "every byte was written once");
    let wanted = hub
        .state()
        .wants
        .iter()
        .flat_map(|want| want.ranges.clone())
        .flat_map(hub::indices)
        .count();
    let missing = (total as u64 - got).div_ceil(CHUNK as u64);
    assert!(
        wanted as u64 <= missing + 4,
        "{wanted} chunks were asked for, {missing} were missing"
    );
    assert_eq!(desired.revision, Revision(1));
}

#[test]
fn wrong_bytes_leave_the_old_version_and_say_why() {
    let hub = Hub::start();
    release(&hub, 1, &WEIGHTS);
    let device = Device::start(hub.address, SLOT);
    device.wait_serving(1);
    // Version 2's ONNX file arrives with one bit turned.
    hub.state().chunks_left = Some(0);
    release(&hub, 2, &WEIGHTS.map(|w| w * 2.0));
    let onnx = Digest::of(&fixture::classifier(&WEIGHTS.map(|w| w * 2.0), 2));
    let mut state = hub.state();
    state.blobs.get_mut(&onnx).expect("it is offered")[100] ^= 1;
    state.chunks_left = None;
    drop(state);
    let rejected = wait_for("the refusal", || {
        let reported = hub.state().reported.clone()?;
        reported.slots[0].rejected.clone()
    });
    assert_eq!(rejected.reason.to_string(), "digest-mismatch");
    assert_eq!(
        (rejected.version.version.get(), device.serving()),
        (2, Some(1))
    );
    assert_eq!(device.infer(&[9.0, 0.0, 0.0, 0.0]).0, 200);
    release(&hub, 3, &WEIGHTS.map(|w| w * 3.0));
    device.wait_serving(3);
    assert_eq!(device.status()["slots"][0]["rejected"], json!(null));
}

#[test]
fn malformed_messages_are_counted_and_change_nothing() {
    let hub = Hub::start();
    let desired = release(&hub, 1, &WEIGHTS);
    let device = Device::start(hub.address, SLOT);
    device.wait_serving(1);
    let good = codec::encode(&desired);
    let (mut sent, mut seed) = (0, 1u32);
    for round in 0..2_500u32 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise: Vec<u8> = (0..seed % 64)
            .map(|i| (seed >> (i % 24)) as u8 | 0xe0)
            .collect();
        let cut = good[..good.len() - 1 - seed as usize % (good.len() - 1)].to_vec();
        let topics = [
            (hub::topic(Channel::Desired), cut),
            (hub::topic(Channel::Ack), noise.clone()),
            (hub::blob_topic(Digest::of(&round.to_be_bytes())), noise),
            ("tern/1/default/x".into(), vec![]),
        ];
        for (topic, payload) in topics {
            hub.publish(&topic, payload);
            sent += 1;
        }
    }
    wait_for("all of them to be counted", || {
        let counted = device.status()["malformed"].as_u64()?;
        assert!(counted <= sent, "{counted} of {sent}");
        (counted == sent).then_some(())
    });
    assert_eq!(hub.state().connections, 1, "the connection was not lost");
    assert_eq!(device.infer(&[9.0, 0.0, 0.0, 0.0]).0, 200);
    release(&hub, 2, &WEIGHTS);
    device.wait_serving(2);
}

#[test]
fn a_lost_connection_comes_back_with_its_subscriptions() {
    let hub = Hub::start();
    release(&hub, 1, &WEIGHTS);
    let device = Device::start(hub.address, SLOT);
    device.wait_serving(1);
    for n in 2..5 {
        hub.cut();
        wait_for("the connection", || {
            (hub.state().connections == n).then_some(())
        });
        device.infer(&[9.0, 0.0, 0.0, 0.0]);
        release(&hub, n, &WEIGHTS.map(|w| w * n as f32));
        device.wait_serving(n.into());
    }
    let topics = hub.state().subscriptions.clone();
    let own = [Channel::Desired, Channel::Ack].map(hub::topic);
    let own = own.into_iter().chain(hub::metadata_topics()).collect();
    wait_for("no topic but its own", || {
        (hub.state().subscriptions == own).then_some(())
    });
    assert!(topics.len() >= 2, "{topics:?}");
}

#[test]
fn no_request_fails_while_versions_change() {
    let hub = Hub::start();
    release(&hub, 1, &WEIGHTS);
    let device = Arc::new(Device::start(hub.address, SLOT));
    device.wait_serving(1);
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (device, stop) = (Arc::clone(&device), Arc::clone(&stop));
            let answered = Arc::clone(&answered);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let (status, answer) = device.infer(&[9.0, 0.0, 0.0, 0.0]);
                    assert_eq!(status, 200, "{answer}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for n in 2..6 {
        release(&hub, n, &WEIGHTS.map(|w| w * n as f32));
        device.wait_serving(n.into());
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("no request failed");
    }
    let mut device = Arc::into_inner(device).expect("the clients are gone");
    device.stop();
    assert_eq!(hub.inferences(), answered.load(Ordering::Relaxed));
}

#[test]
fn nothing_is_fetched_that_is_not_signed_and_it_is_once_it_is() {
    let hub = Hub::start();
    let device = Device::start(hub.address, SLOT);
    release(&hub, 1, &WEIGHTS);
    device.wait_serving(1);
    let signed = release_unsigned(&hub, 2, &WEIGHTS.map(|w| w * 2.0));
    wait_for("it to wait for a signature", || {
        (device.status()["slots"][0]["progress"]["phase"] == "unsigned").then_some(())
    });
    let wanted = |hub: &Hub| {
        let bundle = signed.slots[0].bundle.digest;
        hub.state().wants.iter().any(|want| want.blob == bundle)
    };
    assert!(!wanted(&hub), "not even its manifest is asked for");
    hub.desire(signed.clone());
    device.wait_serving(2);
    assert!(wanted(&hub));
    let slot = signed.slots[0].clone();
    hub.sign(|repository, keys| {
        repository.revoke(&slot.model, slot.version, "it lies", keys, hub::NOW);
    });
    device.wait_serving(1);
    assert_eq!(device.status()["slots"][0]["rejected"]["reason"], "revoked");
}

#[test]
fn without_a_hub_the_agent_serves_what_it_had_after_any_kill() {
    let hub = Hub::start();
    release(&hub, 1, &WEIGHTS);
    let mut device = Device::start(hub.address, SLOT);
    device.wait_serving(1);
    device.kill();
    let config = device.dir().join("agent.toml");
    let text = fs::read_to_string(&config).expect("it is there");
    let elsewhere = text.replace(&hub.address.to_string(), &nowhere().to_string());
    fs::write(&config, elsewhere).expect("it writes");
    for boot in 2..5 {
        device.run();
        device.wait_serving(1);
        let (status, answer) = device.infer(&[9.0, 0.0, 0.0, 0.0]);
        assert_eq!(status, 200);
        let prediction = answer["parameters"]["predictions"][0]
            .as_str()
            .expect("an id");
        assert_eq!(prediction, format!("{boot}-1"));
        device.kill();
    }
}

#[test]
fn a_current_model_that_rots_on_disk_gives_way_to_the_previous_and_is_fetched_again() {
    let hub = Hub::start();
    release(&hub, 1, &WEIGHTS);
    let mut device = Device::start(hub.address, SLOT);
    device.wait_serving(1);
    release(&hub, 2, &WEIGHTS.map(|w| w * 2.0));
    device.wait_serving(2);
    device.kill();
    let onnx = Digest::of(&fixture::classifier(&WEIGHTS.map(|w| w * 2.0), 2));
    let path = device.state().join("blobs").join(onnx.to_string());
    let mut bytes = fs::read(&path).expect("it is there");
    bytes[100] ^= 1;
    fs::write(&path, bytes).expect("it writes");
    hub.state().chunks_left = Some(0);
    device.run();
    device.wait_serving(1);
    hub.state().chunks_left = None;
    hub.cut();
    device.wait_serving(2);
}

#[test]
fn a_second_agent_on_the_same_state_is_refused() {
    let device = Device::start(nowhere(), SLOT);
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_tern-agent"))
        .args(["run", "--config"])
        .arg(device.dir().join("agent.toml"))
        .output()
        .expect("it runs");
    let log = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(2), "{log}");
    assert!(log.contains("in use by another agent"), "{log}");
    assert_eq!(device.status()["slots"][0]["serving"], json!(null));
    assert_eq!(device.request("GET", "/v2/health/ready", "").0, 503);
    assert_eq!(device.infer(&[1.0; 4]).0, 503);
}
