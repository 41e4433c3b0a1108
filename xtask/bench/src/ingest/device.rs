//! One device that sends its outbox as fast as it is acknowledged: one batch on its way at a time,
//! the next with the ack, again from where the hub says it stands.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use tern_protocol::{
    codec,
    id::{BootId, DeviceId, OutboxId, Revision, Sequence, SiteName, WorkspaceId},
    limits,
    log::{Ack, Batch, Body, Entry},
    reported::{Link, OutboxReport, Platform, Reported, Resources},
    time::{Instant, Uptime},
    topic::{Channel, Topic},
};
use tokio::time::{Instant as Now, timeout_at};

use super::windows::{INFERENCES, window};

/// After this long without an ack a batch is sent again.
const RESEND: Duration = Duration::from_secs(5);

/// So many resends without progress mean that the hub does not answer at all.
const RESENDS: u32 = 5;

/// What an MQTT packet has beside our payload: topic and header.
const FRAME: usize = 1024;

/// A device with everything that it will send, encoded beforehand so that encoding costs nothing
/// while the hub is measured.
pub(crate) struct Sender {
    workspace: WorkspaceId,
    device: DeviceId,
    site: SiteName,
    mqtt: MqttOptions,
    outbox: OutboxId,
    per_batch: u64,
    batches: Vec<Vec<u8>>,
    /// Inferences in all its windows.
    pub(super) inferences: u64,
}

/// What came of sending.
pub(crate) struct Sent {
    /// Wait for each batch's ack, in milliseconds.
    pub(super) waits: Vec<f64>,
    /// Batches that were sent again.
    pub(super) resent: u64,
}

impl Sender {
    /// One with windows of one minute each, one after the other.
    pub(super) fn new(number: u32, batches: u64, per_batch: u64, broker: &str) -> Result<Self> {
        let outbox = OutboxId(u64::from(number) + 1);
        let batches = (0..batches).map(|n| batch(outbox, n * per_batch, per_batch));
        Self::of(number, "bench", &batches.collect::<Vec<_>>(), broker)
    }

    /// One at a site that sends these, all of the same number of windows, from its first on.
    pub(crate) fn of(number: u32, site: &str, batches: &[Batch], broker: &str) -> Result<Self> {
        let per_batch = batches
            .first()
            .map_or(1, |batch| batch.entries.len() as u64);
        let device: DeviceId = format!("bench-{number:04}").parse()?;
        let (host, port) = broker
            .rsplit_once(':')
            .context("the broker's address has no port")?;
        let mut mqtt = MqttOptions::new(device.as_str(), host, port.parse()?);
        let packet = limits::PAYLOAD + FRAME;
        mqtt.set_max_packet_size(packet, packet)
            .set_keep_alive(Duration::from_mins(1));
        let outbox = OutboxId(u64::from(number) + 1);
        let batches: Vec<Vec<u8>> = batches.iter().map(codec::encode).collect();
        let longest = batches.iter().map(Vec::len).max().unwrap_or(0);
        ensure!(
            longest <= limits::PAYLOAD,
            "a batch of {per_batch} windows is {longest} bytes: over one payload"
        );
        Ok(Self {
            workspace: "default".parse()?,
            device,
            site: site.parse()?,
            mqtt,
            outbox,
            per_batch,
            inferences: batches.len() as u64 * per_batch * INFERENCES,
            batches,
        })
    }

    /// Bytes of all batches.
    pub(super) fn bytes(&self) -> u64 {
        self.batches.iter().map(|batch| batch.len() as u64).sum()
    }

    fn topic(&self, channel: Channel) -> String {
        let (workspace, device) = (self.workspace.clone(), self.device.clone());
        Topic::Device {
            workspace,
            device,
            channel,
        }
        .to_string()
    }

    /// Connects, subscribes to acks, says what it is.
    pub(crate) async fn connect(self) -> Result<Connected> {
        let (client, mut events) = AsyncClient::new(self.mqtt.clone(), 16);
        client
            .subscribe(self.topic(Channel::Ack), QoS::AtLeastOnce)
            .await?;
        loop {
            if let Event::Incoming(Packet::SubAck(_)) = events.poll().await? {
                break;
            }
        }
        let link = codec::encode(&Link {
            online: true,
            boot: BootId(1),
        });
        client
            .publish(self.topic(Channel::Link), QoS::AtLeastOnce, true, link)
            .await?;
        let state = codec::encode(&reported(self.site.clone()));
        client
            .publish(self.topic(Channel::State), QoS::AtLeastOnce, true, state)
            .await?;
        let mut heard = 0;
        while heard < 2 {
            if let Event::Incoming(Packet::PubAck(_)) = events.poll().await? {
                heard += 1;
            }
        }
        Ok(Connected {
            sender: self,
            client,
            events,
        })
    }
}

/// A device that is ready to send.
pub(crate) struct Connected {
    sender: Sender,
    client: AsyncClient,
    events: EventLoop,
}

impl Connected {
    /// Sends every batch and waits for each ack.
    pub(crate) async fn send_all(mut self) -> Result<Sent> {
        let (log, ack) = (
            self.sender.topic(Channel::Log),
            self.sender.topic(Channel::Ack),
        );
        let mut sent = Sent {
            waits: Vec::new(),
            resent: 0,
        };
        let mut next = 0;
        let mut tries = 0;
        while let Some(bytes) = self.sender.batches.get(next) {
            let start = Now::now();
            self.client
                .publish(&log, QoS::AtLeastOnce, false, bytes.clone())
                .await?;
            let answer = timeout_at(start + RESEND, self.stored(&ack)).await;
            let stands = match answer {
                Ok(stored) => (stored?.0 / self.sender.per_batch) as usize,
                Err(_) => next,
            };
            if stands > next {
                sent.waits.push(start.elapsed().as_secs_f64() * 1000.0);
                tries = 0;
            } else {
                sent.resent += 1;
                tries += 1;
                ensure!(
                    tries <= RESENDS,
                    "{}: the hub stays at batch {next}",
                    self.sender.device
                );
            }
            next = stands;
        }
        self.client.disconnect().await?;
        Ok(sent)
    }

    /// Waits for the next ack of this outbox.
    async fn stored(&mut self, topic: &str) -> Result<Sequence> {
        loop {
            if let Event::Incoming(Packet::Publish(publish)) = self.events.poll().await?
                && publish.topic == topic
            {
                let ack: Ack = codec::decode(&publish.payload)?;
                if ack.outbox == self.sender.outbox {
                    return Ok(ack.stored);
                }
            }
        }
    }
}

fn batch(outbox: OutboxId, after: u64, windows: u64) -> Batch {
    let entries = (after + 1..=after + windows).map(|sequence| {
        let window = window(sequence);
        Entry {
            sequence: Sequence(sequence),
            at: window.closed,
            wall: None,
            body: Body::Window(Box::new(window)),
        }
    });
    let entries: Vec<Entry> = entries.collect();
    let now = entries.last().map_or(Instant::default(), |entry| entry.at);
    Batch {
        outbox,
        acked: Sequence(after),
        after: Sequence(after),
        now,
        entries,
    }
}

fn reported(site: SiteName) -> Reported {
    Reported {
        agent: env!("CARGO_PKG_VERSION").into(),
        now: Instant {
            boot: BootId(1),
            uptime: Uptime(0),
        },
        wall: None,
        site,
        labels: BTreeMap::new(),
        platform: Platform::default(),
        resources: Resources::default(),
        answers: Revision(0),
        slots: Vec::new(),
        outbox: OutboxReport::default(),
        malformed: 0,
        trust: None,
        deltas: None,
        erased: None,
        captures: None,
    }
}
