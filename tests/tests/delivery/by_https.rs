//! Fetching by HTTPS, by setting.

use tern_protocol::reported::RejectReason;
use tern_tests::{
    fleet::{Fleet, meter},
    package, wait,
};

use super::{DOWNLOADED, PUBLISHED, SLOW, a_third, counter, plain, publish_big};

#[test]
fn by_setting_a_model_comes_by_https_each_byte_once_and_nothing_is_published() {
    let mut fleet = Fleet::empty();
    let settings = plain(&fleet, 1, "via = \"https\"");
    fleet.add(&settings);
    let (big, version) = publish_big(&fleet, 1);
    fleet.roll_out(version.version);
    let status = fleet.agents[0].serves(version.version.get());
    assert_eq!(
        status.https_bytes,
        version.total_bytes + status.metadata_bytes,
        "{status:?}"
    );
    assert_eq!(
        status.chunk_bytes,
        version.total_bytes + status.metadata_bytes,
        "{status:?}"
    );
    assert_eq!(status.way_changes, 0, "{status:?}");
    assert_eq!(
        counter(&fleet, DOWNLOADED),
        version.total_bytes + status.metadata_bytes
    );
    assert_eq!(counter(&fleet, PUBLISHED), 0);
    let input = &big.samples()[0];
    package::assert_same(&fleet.agents[0].infer(input), &big.bare(), input);
}

#[test]
fn a_joined_device_fetches_as_itself_over_mutual_tls_from_where_the_hub_said() {
    let mut fleet = Fleet::secured(&[]);
    fleet.add_joined(&meter(1).delivery("via = \"https\""));
    let (_, version) = publish_big(&fleet, 1);
    fleet.roll_out(version.version);
    let status = fleet.agents[0].serves(version.version.get());
    assert_eq!(
        status.https_bytes,
        version.total_bytes + status.metadata_bytes,
        "{status:?}"
    );
    assert_eq!(
        counter(&fleet, DOWNLOADED),
        version.total_bytes + status.metadata_bytes
    );
    assert_eq!(counter(&fleet, PUBLISHED), 0);
}

#[test]
fn by_setting_a_model_comes_by_mqtt_alone() {
    let mut fleet = Fleet::empty();
    let settings = plain(&fleet, 1, "via = \"mqtt\"");
    fleet.add(&settings);
    let version = fleet.serve(package::digits(0));
    let status = fleet.agents[0].status();
    assert_eq!(status.https_bytes, 0, "{status:?}");
    assert_eq!(
        status.chunk_bytes,
        version.total_bytes + status.metadata_bytes,
        "{status:?}"
    );
    assert_eq!(counter(&fleet, DOWNLOADED), 0);
}

#[test]
fn a_changed_mind_ends_a_download_in_the_middle() {
    let mut fleet = Fleet::with_hub(&["--egress-limit", SLOW]);
    let settings = plain(&fleet, 1, "via = \"https\"");
    fleet.add(&settings);
    let (_, first) = publish_big(&fleet, 1);
    let second = fleet.publish(package::digits(0));
    fleet.roll_out(first.version);
    a_third(&fleet, &first);
    fleet.roll_out(second.version);
    let status = fleet.agents[0].serves(second.version.get());
    assert!(
        status.chunk_bytes < first.total_bytes,
        "the first was fetched to its end: {status:?}"
    );
    assert!(status.coming.is_empty(), "{status:?}");
    // What was on its way when it ended was sent for nothing, and no more.
    let sent = counter(&fleet, DOWNLOADED);
    assert!(sent < status.chunk_bytes + 1_000_000, "{sent}: {status:?}");
}

#[test]
fn wrong_bytes_are_refused_by_name_by_this_way_too() {
    let mut fleet = Fleet::empty();
    let settings = plain(&fleet, 1, "via = \"https\"");
    fleet.add(&settings);
    let version = fleet.publish(package::digits(0));
    let file = fleet.hub.blob_file(&version.onnx.digest.to_string());
    let mut bytes = std::fs::read(&file).expect("the hub's blob can be read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&file, bytes).expect("the hub's blob can be written");
    fleet.roll_out(version.version);
    let rejected = wait::until("the refusal in /status", || {
        let status = fleet.agents[0].status();
        let rejected = status.slot().rejected.clone();
        rejected.ok_or_else(|| format!("{status:?}"))
    });
    assert_eq!(
        rejected.reason,
        RejectReason::DigestMismatch,
        "{rejected:?}"
    );
}
