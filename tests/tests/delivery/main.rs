//! How models come to devices and into service, end to end: signed, by MQTT, by HTTPS, by one when the other
//! fails, to nobody else, and never at the cost of what serves.
//!
//! Real binaries, real MQTT, real TLS, `kill -9`. Each test has its own fleet in its own temporary
//! directory and may run beside any other.

mod by_https;
mod crash_matrix;
mod damage;
mod deltas;
mod fallback;
mod first_model;
mod full_disk;
mod hub_crash;
mod hub_damage;
mod hub_full_disk;
mod killed;
mod limits;
mod months_offline;
mod raw;
mod refusals;
mod resuming;
mod shadow;
mod signing;
mod updating;

use tern_protocol::rest::VersionView;
use tern_tests::{
    agent::Settings,
    fleet::{Fleet, meter},
    package::{self, Package},
    wait,
};

/// About 2 MB: large enough to be interrupted, small enough for a slow hub.
const HIDDEN: usize = 7_000;

/// Bytes a second of a slow hub: the download takes a few seconds.
const SLOW: &str = "600000";

/// A device that fetches from a plain hub as these lines say.
fn plain(fleet: &Fleet, number: usize, lines: &str) -> Settings {
    meter(number).delivery(&format!("hub = \"{}\"\n{lines}", fleet.hub.url()))
}

/// Publishes a model of about 2 MB.
#[track_caller]
fn publish_big(fleet: &Fleet, seed: u64) -> (Package, VersionView) {
    let big = package::random(fleet.dir(), seed, HIDDEN);
    let version = fleet.publish(&big);
    assert!(version.total_bytes > 1_000_000, "{version:?}");
    (big, version)
}

/// What one of the hub's counters says.
#[track_caller]
fn counter(fleet: &Fleet, name: &str) -> u64 {
    let url = format!("{}/metrics", fleet.hub.url());
    let token = fleet.admin.as_ref().map(|admin| admin.token.as_str());
    let bearer = format!("Bearer {}", token.unwrap_or_default());
    let headers = [("authorization", bearer.as_str())];
    let answer = fleet.hub.http().send("GET", &url, &headers, b"");
    let answer = answer.unwrap_or_else(|err| panic!("GET {url}: {err}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut lines = answer.body.lines();
    let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = line.unwrap_or_else(|| panic!("no {name} in {}", answer.body));
    value.parse().unwrap_or_else(|err| panic!("{value}: {err}"))
}

const DOWNLOADED: &str = "tern_download_bytes_total";
const PUBLISHED: &str = "tern_egress_bytes_total";

/// Waits until the first agent has a third of this version, and no more than two thirds; its bytes.
#[track_caller]
fn a_third(fleet: &Fleet, version: &VersionView) -> u64 {
    wait::until("a third of the download", || {
        let status = fleet.agents[0].status();
        assert_eq!(
            status.version(),
            None,
            "it was faster than we look: {status:?}"
        );
        wait::that(status.chunk_bytes > version.total_bytes / 3, || {
            format!("{status:?}")
        })?;
        Ok(status.chunk_bytes)
    })
}
