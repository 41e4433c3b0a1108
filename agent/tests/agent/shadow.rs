//! A candidate beside what serves: it is compared, and nobody notices.

use std::fs;

use serde_json::Value;
use tern_protocol::{
    desired::{Desired, DesiredShadow, Offer},
    digest::Digest,
    id::{ModelVersion, Revision},
    log::{Body, EventKind},
    manifest::Golden,
    reported::{RejectReason, ShadowPhase, ShadowReport},
    shadow::ShadowWindow,
};

use crate::{
    SLOT, WEIGHTS,
    device::{Device, wait_for},
    fixture,
    hub::{Hub, NOW},
    publish, release,
};

/// Says the same of what speaks for a class clearly, by other numbers.
const ALIKE: [f32; 8] = [1.1, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.2];

/// Says the opposite.
const TURNED: [f32; 8] = [0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0];

const QUICK: &str = "[telemetry]\nwindow = \"500ms\"\n[captures]\nrandom_share = 1.0\n";

/// Wants what `desired` says, and the published version of `other` beside it.
fn beside(hub: &Hub, desired: &Desired, other: &Desired, cpu_permille: u16) -> Desired {
    let slot = other.slots[0].clone();
    hub.sign(|repository, keys| {
        repository.add(&slot.model, slot.version, slot.bundle, keys, NOW);
    });
    let before = hub.state().desired.as_ref().map_or(0, |d| d.revision.0);
    let desired = Desired {
        revision: Revision(before + 1),
        shadows: vec![DesiredShadow {
            slot: slot.slot,
            model: slot.model,
            version: slot.version,
            bundle: slot.bundle,
            offers: slot.offers,
            cpu_permille,
        }],
        ..desired.clone()
    };
    hub.desire_unsigned(desired.clone());
    desired
}

/// Takes back what is wanted beside what serves.
fn alone(hub: &Hub) {
    let mut desired = hub.state().desired.clone().expect("something is wanted");
    desired.revision = Revision(desired.revision.0 + 1);
    desired.shadows.clear();
    hub.desire_unsigned(desired);
}

fn status(device: &Device) -> Value {
    device.status()["slots"][0]["shadow"].clone()
}

#[track_caller]
fn wait_running(device: &Device, version: u64) {
    wait_for("the shadow to run", || {
        let shadow = status(device);
        (shadow["phase"] == "running" && shadow["version"] == version).then_some(())
    });
}

#[track_caller]
fn wait_rejected(hub: &Hub) -> ShadowReport {
    wait_for("the refusal to be reported", || {
        let reported = hub.state().reported.clone()?;
        let shadow = reported.slots[0].shadow.clone()?;
        (shadow.phase == ShadowPhase::Rejected).then_some(shadow)
    })
}

/// The windows of shadows that the hub has.
fn windows(hub: &Hub) -> Vec<ShadowWindow> {
    let state = hub.state();
    let windows = state
        .entries
        .values()
        .filter_map(|entry| match &entry.body {
            Body::Shadow(window) => Some((**window).clone()),
            _ => None,
        });
    windows.collect()
}

fn sum(windows: &[ShadowWindow], of: fn(&ShadowWindow) -> u64) -> u64 {
    windows.iter().map(of).sum()
}

/// Rows that are told of, whatever became of them.
fn rows(windows: &[ShadowWindow]) -> u64 {
    sum(windows, |w| w.compared) + sum(windows, |w| w.errors) + sum(windows, |w| w.skipped)
}

#[test]
fn a_shadow_is_compared_and_nothing_of_it_reaches_anybody() {
    let hub = Hub::start();
    let live = release(&hub, 1, &WEIGHTS);
    let device = Device::start(hub.address, &format!("{SLOT}{QUICK}"));
    device.wait_serving(1);
    let before = device.infer(&[9.0, 1.0, 0.5, 0.0]).1["outputs"].clone();
    beside(&hub, &live, &publish(&hub, 2, &TURNED, |_| ()), 1000);
    wait_running(&device, 2);
    for _ in 0..20 {
        let (code, answer) = device.infer(&[9.0, 1.0, 0.5, 0.0]);
        assert_eq!((code, &answer["outputs"]), (200, &before), "{answer}");
        assert_eq!(answer["model_version"], "1");
    }
    let told = wait_for("all to be told", || {
        let windows = windows(&hub);
        (rows(&windows) == 20).then_some(windows)
    });
    assert!(sum(&told, |w| w.compared) > 0, "{told:?}");
    assert_eq!(sum(&told, |w| w.agreed), 0, "it says the opposite");
    assert_eq!(sum(&told, |w| w.errors), 0);
    for window in &told {
        assert_eq!((window.version.get(), window.live_version.get()), (2, 1));
        assert_eq!(window.live_bundle, live.slots[0].bundle.digest);
        assert_eq!(window.classes.iter().sum::<u64>(), window.compared);
    }
    wait_for("the live counts", || (hub.inferences() == 21).then_some(()));
    let status = device.status();
    assert_eq!(status["inferences"], 21, "{status}");
    let shadow = &status["slots"][0]["shadow"];
    assert_eq!(shadow["compared"], sum(&told, |w| w.compared), "{status}");
    assert_eq!(status["slots"][0]["serving"]["inferences"], 21, "{status}");
    let state = hub.state();
    for entry in state.entries.values() {
        match &entry.body {
            Body::Window(window) => {
                assert_eq!(window.version.get(), 1);
                assert!(window.rss > Some(1 << 20), "{window:?}");
                assert!(window.cpu_ms.is_some(), "{window:?}");
            }
            Body::Capture(capture) => assert_eq!(capture.version.get(), 1),
            _ => {}
        }
    }
    let reported = state.reported.clone().expect("it reported");
    let shadow = reported.slots[0].shadow.as_ref().expect("it has one");
    assert_eq!(shadow.phase, ShadowPhase::Running);
    assert_eq!(reported.slots[0].rejected, None);
    drop(state);
    let told: Vec<_> = hub.events();
    assert!(told.contains(&EventKind::Shadow), "{told:?}");
}

#[test]
fn a_share_of_the_processor_bounds_what_a_shadow_sees_and_the_rest_is_counted() {
    let hub = Hub::start();
    let live = release(&hub, 1, &WEIGHTS);
    let device = Device::start(hub.address, &format!("{SLOT}{QUICK}"));
    device.wait_serving(1);
    // It cannot do anything with nothing, and says so.
    beside(&hub, &live, &publish(&hub, 2, &ALIKE, |_| ()), 0);
    wait_running(&device, 2);
    for _ in 0..30 {
        device.infer(&[9.0, 0.0, 0.0, 0.0]);
    }
    let told = wait_for("all to be told", || {
        let windows = windows(&hub);
        (rows(&windows) == 30).then_some(windows)
    });
    assert_eq!(sum(&told, |w| w.skipped), 30);
    // Another share does not begin anew.
    let mut desired = hub.state().desired.clone().expect("it is wanted");
    desired.revision = Revision(desired.revision.0 + 1);
    desired.shadows[0].cpu_permille = 500;
    hub.desire_unsigned(desired);
    wait_for("something to be compared", || {
        device.infer(&[9.0, 0.0, 0.0, 0.0]);
        (status(&device)["compared"].as_u64() > Some(0)).then_some(())
    });
    assert!(status(&device)["skipped"].as_u64() >= Some(30));
    let shadow = status(&device);
    assert_eq!(shadow["agreed"], shadow["compared"], "{shadow}");
}

#[test]
fn a_shadow_resumes_after_kill_9_without_a_link() {
    let hub = Hub::start();
    let live = release(&hub, 1, &WEIGHTS);
    let mut device = Device::start(hub.address, &format!("{SLOT}{QUICK}"));
    device.wait_serving(1);
    beside(&hub, &live, &publish(&hub, 2, &ALIKE, |_| ()), 1000);
    wait_running(&device, 2);
    let asked = hub.state().wants.len();
    device.kill();
    {
        // The hub has nothing any more: what is remembered is enough.
        let mut state = hub.state();
        state.desired = None;
        state.blobs.clear();
        state.metadata.clear();
    }
    device.run();
    device.wait_serving(1);
    wait_running(&device, 2);
    device.infer(&[9.0, 0.0, 0.0, 0.0]);
    wait_for("it to be seen", || {
        let shadow = status(&device);
        let seen = shadow["compared"].as_u64()? + shadow["skipped"].as_u64()?;
        (seen > 0).then_some(())
    });
    assert_eq!(hub.state().wants.len(), asked, "nothing is fetched again");
}

#[test]
fn a_shadow_that_fails_its_golden_samples_is_refused_and_live_serves_on() {
    let hub = Hub::start();
    let live = release(&hub, 1, &WEIGHTS);
    let mut device = Device::start(hub.address, SLOT);
    device.wait_serving(1);
    let bad = publish(&hub, 2, &ALIKE, |manifest| {
        let state = hub.state();
        let golden = &state.blobs[&manifest.golden.digest];
        let mut golden: Golden = tern_protocol::codec::decode(golden).expect("samples");
        drop(state);
        golden.samples[0].outputs[0].data.reverse();
        manifest.golden = hub.offer(tern_protocol::codec::encode(&golden));
    });
    beside(&hub, &live, &bad, 100);
    let refused = wait_rejected(&hub);
    assert_eq!(refused.reason, Some(RejectReason::GoldenMismatch));
    assert_eq!(
        refused.version.version,
        ModelVersion::new(2).expect("from 1")
    );
    assert!(refused.text.contains("golden sample 0"), "{}", refused.text);
    assert_eq!(device.infer(&[9.0, 0.0, 0.0, 0.0]).0, 200);
    let slot = device.status()["slots"][0].clone();
    assert!(
        slot["rejected"].is_null() && slot["serving"]["version"] == 1,
        "{slot}"
    );
    assert_eq!(slot["shadow"]["reason"], "golden-mismatch", "{slot}");
    // It is remembered, and not tried again.
    assert_eq!(device.stop(), Some(0));
    device.run();
    device.wait_serving(1);
    wait_for("the refusal to be known", || {
        (status(&device)["phase"] == "rejected").then_some(())
    });
    // Another version has its chance.
    beside(&hub, &live, &publish(&hub, 3, &ALIKE, |_| ()), 100);
    wait_running(&device, 3);
}

#[test]
fn what_the_candidate_cannot_answer_is_its_error_and_nobody_elses() {
    let hub = Hub::start();
    let live = release(&hub, 1, &WEIGHTS);
    let device = Device::start(hub.address, &format!("{SLOT}{QUICK}"));
    device.wait_serving(1);
    // It overflows on large inputs: its probabilities are not numbers then.
    let weak = publish(&hub, 2, &WEIGHTS.map(|w| w * 1e30), |_| ());
    beside(&hub, &live, &weak, 1000);
    wait_running(&device, 2);
    for _ in 0..5 {
        assert_eq!(device.infer(&[1e30, 0.0, 0.0, 0.0]).0, 200);
    }
    wait_for("its errors", || {
        let shadow = status(&device);
        let all = shadow["errors"].as_u64()? + shadow["skipped"].as_u64()?;
        (all == 5 && shadow["errors"].as_u64() > Some(0)).then_some(())
    });
    let status = device.status();
    assert_eq!(status["errors"], 0, "{status}");
    assert_eq!(status["slots"][0]["serving"]["errors"], 0, "{status}");
}

#[test]
fn a_shadow_that_is_not_wanted_any_more_is_let_go() {
    let hub = Hub::start();
    let live = release(&hub, 1, &WEIGHTS);
    let device = Device::start(hub.address, &format!("{SLOT}{QUICK}"));
    device.wait_serving(1);
    beside(&hub, &live, &publish(&hub, 2, &ALIKE, |_| ()), 1000);
    wait_running(&device, 2);
    device.infer(&[9.0, 0.0, 0.0, 0.0]);
    alone(&hub);
    wait_for("it to be gone", || status(&device).is_null().then_some(()));
    wait_for("its last window", || {
        (rows(&windows(&hub)) == 1).then_some(())
    });
    wait_for("the report", || {
        let reported = hub.state().reported.clone()?;
        reported.slots[0].shadow.is_none().then_some(())
    });
}

#[test]
fn a_shadow_is_the_first_to_go_when_room_is_short() {
    let hub = Hub::start();
    let model = |n: u32| vec![n as f32 * 1e-4; 100_000];
    let live = release(&hub, 1, &model(1));
    // Room for two models and not for three.
    let device = Device::start(hub.address, &format!("{SLOT}[blobs]\nlimit = \"1MiB\"\n"));
    device.wait_serving(1);
    let file = |n: u32| {
        let digest = Digest::of(&fixture::classifier(&model(n), 2));
        device.state().join("blobs").join(digest.to_string())
    };
    let is_there = |n: u32| fs::exists(file(n)).expect("it can be looked at");
    beside(&hub, &live, &publish(&hub, 2, &model(2), |_| ()), 100);
    wait_running(&device, 2);
    alone(&hub);
    wait_for("it to be gone", || status(&device).is_null().then_some(()));
    // Its room is another's.
    let desired = beside(&hub, &live, &publish(&hub, 3, &model(3), |_| ()), 100);
    wait_running(&device, 3);
    assert!(!is_there(2), "nobody needs it any more");
    // What is to serve needs it more.
    let mut next = publish(&hub, 4, &model(4), |_| ());
    next.revision = Revision(desired.revision.0 + 1);
    next.shadows = desired.shadows;
    hub.desire(next);
    device.wait_serving(4);
    let refused = wait_rejected(&hub);
    assert_eq!(refused.reason, Some(RejectReason::NoSpace), "{refused:?}");
    assert!(!is_there(3));
    assert!(
        is_there(1) && is_there(4),
        "what serves and what served before"
    );
    let previous = &device.status()["slots"][0]["previous"];
    assert_eq!(previous["version"], 1, "{previous}");
}

#[test]
fn a_shadow_that_takes_over_ends_as_one() {
    let hub = Hub::start();
    let live = release(&hub, 1, &WEIGHTS);
    let device = Device::start(hub.address, &format!("{SLOT}{QUICK}"));
    device.wait_serving(1);
    let next = publish(&hub, 2, &ALIKE, |_| ());
    let mut desired = beside(&hub, &live, &next, 1000);
    wait_running(&device, 2);
    let asked = hub.state().wants.len();
    desired.revision = Revision(desired.revision.0 + 1);
    desired.slots = next.slots;
    hub.desire_unsigned(desired);
    device.wait_serving(2);
    wait_for("the shadow to end", || {
        status(&device).is_null().then_some(())
    });
    assert_eq!(hub.state().wants.len(), asked, "all of it was here");
}

#[test]
fn what_is_revoked_or_not_signed_does_not_run_beside_anything() {
    let hub = Hub::start();
    let live = release(&hub, 1, &WEIGHTS);
    let device = Device::start(hub.address, SLOT);
    device.wait_serving(1);
    let next = publish(&hub, 2, &ALIKE, |_| ());
    beside(&hub, &live, &next, 100);
    wait_running(&device, 2);
    let version = next.slots[0].clone();
    hub.sign(|repository, keys| {
        repository.revoke(&version.model, version.version, "it lies", keys, NOW);
    });
    let refused = wait_rejected(&hub);
    assert_eq!(refused.reason, Some(RejectReason::Revoked));
    assert!(refused.text.contains("it lies"), "{}", refused.text);
    assert_eq!(device.serving(), Some(1));
}

#[test]
fn a_shadow_is_made_of_a_delta_too() {
    let hub = Hub::start();
    let weights: Vec<f32> = (0..40_000u32).map(|n| (n % 977) as f32 * 1e-5).collect();
    let live = release(&hub, 1, &weights);
    let device = Device::start(hub.address, SLOT);
    device.wait_serving(1);
    let mut changed = weights.clone();
    changed[5] = 0.5;
    let mut next = publish(&hub, 2, &changed, |_| ());
    let (old, new) = (
        fixture::classifier(&weights, 2),
        fixture::classifier(&changed, 2),
    );
    let delta = tern_delta::encode(&old, &new).expect("there is one");
    next.slots[0].offers = vec![Offer {
        base: Digest::of(&old),
        delta: hub.offer(delta),
    }];
    // The whole file is not to be had.
    hub.state().blobs.remove(&Digest::of(&new));
    beside(&hub, &live, &next, 100);
    wait_running(&device, 2);
    assert_eq!(device.status()["deltas"]["applied"], 1);
}
