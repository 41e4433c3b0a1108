//! The largest of each message that a device can say, as the MQTT packet that it becomes: none passes
//! what cloud brokers take.

use rumqttc::{Publish, QoS};
use tern_protocol::{
    blob::{ChunkRange, Want},
    codec,
    digest::Digest,
    id::{BootId, ModelVersion, NAME_MAX, Revision},
    limits,
    reported::{
        Deltas, Link, OutboxReport, Phase, Platform, Progress, RejectReason, Rejected, Reported,
        Resources, Serving, ShadowPhase, ShadowReport, SlotReport, SlotVersion, Trust,
    },
    time::{Instant, Uptime, WallTime},
    topic::{Channel, Topic},
};

use super::most;
use crate::{
    config::{LABELS_MAX, SLOTS_MAX},
    fetch::fetcher::ACTIVE_MAX,
    node::TEXT_MAX,
    outbox::ENTRY_MAX,
};

fn longest<T: std::str::FromStr<Err: std::fmt::Debug>>() -> T {
    "x".repeat(NAME_MAX).parse().expect("a name")
}

fn at() -> Instant {
    Instant {
        boot: BootId(u32::MAX),
        uptime: Uptime(u64::MAX),
    }
}

fn version() -> SlotVersion {
    SlotVersion {
        model: longest(),
        version: ModelVersion::new(u32::MAX).expect("not zero"),
        bundle: Digest::of(b""),
    }
}

fn slot() -> SlotReport {
    SlotReport {
        slot: longest(),
        serving: Some(Serving {
            version: version(),
            weights: Digest::of(b""),
            since: at(),
            inferences: u64::MAX,
            errors: u64::MAX,
            golden_difference: f32::MAX,
            confirmed: true,
        }),
        previous: Some(version()),
        progress: Some(Progress {
            version: version(),
            phase: Phase::Vetted,
            bytes: u64::MAX,
            bytes_total: u64::MAX,
        }),
        rejected: Some(Rejected {
            version: version(),
            reason: RejectReason::FailedServing,
            // The ellipsis behind a text that was cut.
            text: "x".repeat(TEXT_MAX + 3),
        }),
        shadow: None,
    }
}

/// One of its own, which may have a shadow.
fn own_slot() -> SlotReport {
    SlotReport {
        shadow: Some(ShadowReport {
            version: version(),
            phase: ShadowPhase::Rejected,
            reason: Some(RejectReason::FailedServing),
            text: "x".repeat(TEXT_MAX + 3),
        }),
        ..slot()
    }
}

fn reported() -> Reported {
    let labels = (0..LABELS_MAX).map(|n| (format!("{n:064}"), "x".repeat(256)));
    Reported {
        agent: "x".repeat(64),
        now: at(),
        wall: Some(WallTime(i64::MAX)),
        site: longest(),
        labels: labels.collect(),
        platform: Platform {
            os: "x".repeat(64),
            arch: "x".repeat(64),
            cpus: u32::MAX,
        },
        resources: Resources {
            agent_rss: Some(u64::MAX),
            memory: Some(u64::MAX),
            disk_free: Some(u64::MAX),
        },
        answers: Revision(u64::MAX),
        // Its own, and as many that it does not have.
        slots: (0..SLOTS_MAX).flat_map(|_| [own_slot(), slot()]).collect(),
        outbox: OutboxReport {
            entries: u64::MAX,
            bytes: u64::MAX,
            merged: u64::MAX,
            dropped: u64::MAX,
        },
        malformed: u64::MAX,
        trust: Some(Trust {
            root: u64::MAX,
            targets: u64::MAX,
            expires: Some(WallTime(i64::MAX)),
            problem: Some("x".repeat(TEXT_MAX + 3)),
        }),
        deltas: Some(Deltas {
            applied: u64::MAX,
            bytes_saved: u64::MAX,
            failed: u64::MAX,
        }),
        erased: Some(u64::MAX),
        captures: Some(tern_protocol::reported::CaptureLimits {
            per_day: Some(u32::MAX),
            bytes_per_day: Some(u64::MAX),
        }),
    }
}

/// A batch has entries of `queue::BATCH` bytes, or one of `ENTRY_MAX`; its own fields are five numbers and
/// an array's length.
const FRAME: usize = 5 + 6 * 10 + 20;

fn check(channel: Channel, payload: Vec<u8>) {
    let len = payload.len();
    assert!(len <= most(channel), "{channel:?} has {len} bytes");
    let topic = Topic::Device {
        workspace: longest(),
        device: longest(),
        channel,
    };
    let mut publish = Publish::new(topic.to_string(), QoS::AtLeastOnce, payload);
    publish.pkid = 1;
    let mut packet = bytes::BytesMut::new();
    let written = publish.write(&mut packet).expect("it is a packet");
    assert!(written <= limits::PAYLOAD, "{channel:?}: {written} bytes");
}

#[test]
fn whatever_a_device_says_fits_a_packet_that_cloud_brokers_take() {
    let link = Link {
        online: true,
        boot: BootId(u32::MAX),
    };
    check(Channel::Link, codec::encode(&link));
    check(Channel::State, codec::encode(&reported()));
    let want = Want {
        blob: Digest::of(b""),
        ranges: vec![
            ChunkRange {
                first: u32::MAX,
                count: u32::MAX,
            };
            limits::WANT_RANGES
        ],
    };
    check(Channel::Want, codec::encode(&want));
    let most = ENTRY_MAX.max(crate::outbox::queue::BATCH as usize + FRAME);
    check(Channel::Log, vec![0; most + FRAME]);
}

#[test]
fn a_device_subscribes_to_few_topics() {
    // Desired, acknowledgements, two of metadata, and one for each blob that it fetches.
    const { assert!(ACTIVE_MAX + 4 <= limits::SUBSCRIPTIONS) };
}
