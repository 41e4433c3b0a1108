//! A device that is only a voice: it says over MQTT what a test wants it to say. For messages that
//! a real agent would not send, or not twice.

use std::{collections::BTreeMap, net::SocketAddr};

use tern_protocol::{
    codec,
    digest::Digest,
    id::{BootId, DeviceId, ModelVersion, OutboxId, Revision, Sequence, WorkspaceId},
    log::{Ack, Batch, Body, Entry},
    reported::{Link, OutboxReport, Platform, Reported, Resources},
    time::{Instant, Uptime},
    topic::{Channel, Topic},
    window::{Sketch, Window},
};

use crate::{agent::SLOT, mqtt::Mqtt};

/// A connected voice.
pub struct Device {
    mqtt: Mqtt,
    id: DeviceId,
}

impl Device {
    /// Connects, says that it is online and what it is, and listens for acks.
    #[track_caller]
    pub fn connect(broker: SocketAddr, id: &str, site: &str) -> Self {
        let id: DeviceId = id.parse().expect("a test's device has a name");
        let mqtt = Mqtt::connect(broker, id.as_str());
        let device = Self { mqtt, id };
        device.mqtt.hear(&device.topic(Channel::Ack));
        device.say(
            Channel::Link,
            codec::encode(&Link {
                online: true,
                boot: BootId(1),
            }),
        );
        let reported = Reported {
            agent: "test".into(),
            now: at(0),
            wall: None,
            site: site.parse().expect("a test's site has a name"),
            labels: BTreeMap::default(),
            platform: Platform::default(),
            resources: Resources::default(),
            answers: Revision::default(),
            slots: Vec::new(),
            outbox: OutboxReport::default(),
            malformed: 0,
            trust: None,
            deltas: None,
            erased: None,
            captures: None,
        };
        device.say(Channel::State, codec::encode(&reported));
        device
    }

    /// Says bytes on one of its channels.
    #[track_caller]
    pub fn say(&self, channel: Channel, payload: Vec<u8>) {
        self.mqtt
            .say(&self.topic(channel), channel.retained(), payload);
        self.mqtt.settled();
    }

    /// The acks that it heard.
    #[track_caller]
    pub fn acks(&self) -> Vec<Ack> {
        let heard = self.mqtt.heard(|_| true);
        heard
            .iter()
            .map(|bytes| codec::decode(bytes).expect("the hub sends acks"))
            .collect()
    }

    fn topic(&self, channel: Channel) -> String {
        topic(&self.id, channel)
    }
}

/// The topic of one channel of a device in the default workspace.
pub fn topic(device: &DeviceId, channel: Channel) -> String {
    Topic::Device {
        workspace: workspace(),
        device: device.clone(),
        channel,
    }
    .to_string()
}

/// The topic of a blob in the default workspace.
pub fn blob_topic(digest: Digest) -> String {
    Topic::Blob {
        workspace: workspace(),
        digest,
    }
    .to_string()
}

fn workspace() -> WorkspaceId {
    "default".parse().expect("a name")
}

/// A moment of the first boot.
pub fn at(uptime_ms: u64) -> Instant {
    Instant {
        boot: BootId(1),
        uptime: Uptime(uptime_ms),
    }
}

/// Windows with these numbers of inferences, as the entries after `after` of one outbox.
pub fn batch(outbox: u64, after: u64, inferences: &[u64]) -> Batch {
    let entries = (after + 1..)
        .zip(inferences)
        .map(|(sequence, &inferences)| Entry {
            sequence: Sequence(sequence),
            at: at(sequence * 1000),
            wall: None,
            body: Body::Window(Box::new(Window {
                slot: SLOT.parse().expect("a name"),
                model: SLOT.parse().expect("a name"),
                version: ModelVersion::FIRST,
                bundle: Digest::of(b"a bundle"),
                opened: at((sequence - 1) * 1000),
                closed: at(sequence * 1000),
                inferences,
                errors: 0,
                latency: Sketch::default(),
                classes: Vec::new(),
                confidence: Vec::new(),
                features: Vec::new(),
                rss: None,
                cpu_ms: None,
                parts: None,
                margin: Vec::new(),
                repeated: Vec::new(),
                values: None,
                signals: Vec::new(),
                temperature: None,
                metrics: Vec::new(),
            })),
        });
    let entries: Vec<Entry> = entries.collect();
    Batch {
        outbox: OutboxId(outbox),
        acked: Sequence(0),
        after: Sequence(after),
        now: at((after + inferences.len() as u64 + 1) * 1000),
        entries,
    }
}
