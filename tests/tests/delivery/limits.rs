//! Limits of what leaves the hub, and that one device costs no more than many.

use std::time::Instant;

use tern_tests::{
    fleet::{Fleet, meter},
    package,
};

use super::{PUBLISHED, counter, publish_big};

/// Agents of a wave.
const WAVE: usize = 8;

#[test]
fn a_wave_costs_the_hub_one_model() {
    let mut fleet = Fleet::of(WAVE);
    let (_, version) = publish_big(&fleet, 1);
    fleet.roll_out(version.version);
    for agent in &fleet.agents {
        agent.serves(version.version.get());
    }
    let sent = counter(&fleet, PUBLISHED);
    assert!(
        sent <= version.total_bytes * 105 / 100,
        "{sent} bytes for {WAVE} devices that want {}",
        version.total_bytes
    );
    fleet.agents.clear();
}

#[test]
fn a_late_joiner_costs_what_it_missed_and_no_more() {
    let mut fleet = Fleet::with_hub(&["--egress-limit", super::SLOW]);
    fleet.add(&meter(1));
    fleet.add(&meter(2));
    fleet.agents[1].terminate();
    let (_, version) = publish_big(&fleet, 1);
    fleet.roll_out(version.version);
    super::a_third(&fleet, &version);
    fleet.agents[1].run();
    for agent in &fleet.agents {
        agent.serves(version.version.get());
    }
    let sent = counter(&fleet, PUBLISHED);
    let most = version.total_bytes * 19 / 10;
    assert!(sent < most, "{sent} bytes of {}", version.total_bytes);
}

/// So long takes a model of so many bytes at least, at this rate with what may go ahead of it.
fn least(bytes: u64, rate: u64) -> f64 {
    (bytes - rate / 10) as f64 / rate as f64 - 0.5
}

#[test]
fn limits_of_a_blob_and_of_a_site_hold() {
    for limit in ["--blob-egress-limit", "--site-egress-limit"] {
        let mut fleet = Fleet::with_hub(&[limit, "800000"]);
        fleet.add(&meter(1));
        let (_, version) = publish_big(&fleet, 1);
        let start = Instant::now();
        fleet.roll_out(version.version);
        fleet.agents[0].serves(version.version.get());
        let took = start.elapsed().as_secs_f64();
        let least = least(version.onnx.len, 800_000);
        assert!(took >= least, "{limit}: {took} s, at least {least} s");
    }
}

#[test]
fn a_limit_that_is_none_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    for limit in [
        "--blob-egress-limit",
        "--site-egress-limit",
        "--egress-limit",
    ] {
        let hub = std::process::Command::new(tern_tests::binaries::path("tern-hub"))
            .args(["serve", limit, "0", "--data"])
            .arg(dir.path())
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&hub.stderr);
        assert_eq!(hub.status.code(), Some(2), "{said}");
        assert!(said.contains(limit), "{said}");
    }
}

#[test]
fn two_devices_of_one_model_have_it_by_different_ways() {
    let mut fleet = Fleet::empty();
    let by_https = super::plain(&fleet, 1, "via = \"https\"");
    fleet.add(&by_https);
    fleet.add(&meter(2));
    let version = fleet.serve(package::digits(0));
    let status = fleet.agents[0].status();
    assert_eq!(
        status.https_bytes,
        version.total_bytes + status.metadata_bytes,
        "{status:?}"
    );
    let status = fleet.agents[1].status();
    assert_eq!(status.https_bytes, 0, "{status:?}");
    assert!(counter(&fleet, PUBLISHED) >= version.total_bytes);
}
