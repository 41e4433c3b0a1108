//! The largest of each message that the hub says, as the MQTT packet that it becomes. What it wants of a
//! device is bounded in `fleet::assign`.

use rumqttc::{Publish, QoS};
use tern_protocol::{
    blob::Chunk,
    codec,
    digest::Digest,
    id::{NAME_MAX, OutboxId, Sequence},
    limits,
    log::Ack,
    topic::{Channel, Topic},
};

fn check(topic: &Topic, payload: Vec<u8>) {
    let len = payload.len();
    assert!(len <= limits::PAYLOAD_OUT, "{topic}: {len} bytes");
    let mut publish = Publish::new(topic.to_string(), QoS::AtLeastOnce, payload);
    publish.pkid = 1;
    let mut packet = bytes::BytesMut::new();
    let written = publish.write(&mut packet).expect("it is a packet");
    assert!(written <= limits::PAYLOAD, "{topic}: {written} bytes");
}

#[test]
fn whatever_the_hub_says_fits_a_packet_that_cloud_brokers_take() {
    let longest = "x".repeat(NAME_MAX);
    let blob = Topic::Blob {
        workspace: longest.parse().expect("a name"),
        digest: Digest::of(b""),
    };
    let chunk = Chunk {
        index: u32::MAX,
        bytes: vec![0; limits::CHUNK],
    };
    check(&blob, codec::encode(&chunk));
    let ack = Topic::Device {
        workspace: longest.parse().expect("a name"),
        device: longest.parse().expect("a name"),
        channel: Channel::Ack,
    };
    let most = Ack {
        outbox: OutboxId(u64::MAX),
        stored: Sequence(u64::MAX),
    };
    check(&ack, codec::encode(&most));
}
