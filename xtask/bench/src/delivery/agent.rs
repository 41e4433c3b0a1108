//! A lightweight agent: the real fetcher and bitmap, a real MQTT connection, a sink in memory.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, NetworkOptions, Packet, QoS};
use tern_agent::{
    chance::Chance,
    fetch::{
        bitmap::Bitmap,
        fetcher::{Acceptance, Fetcher, Request},
        way::Policy,
    },
};
use tern_protocol::{
    blob::{BlobRef, Chunk},
    codec,
    id::{DeviceId, WorkspaceId},
    limits,
    time::Uptime,
    topic::{Channel, Topic},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::model::Model;

/// What an MQTT packet has beside our payload: topic and header.
const FRAME: usize = 1024;

/// Requests to the connection that wait.
const REQUESTS: usize = 16;

/// Rare enough to cost nothing.
const KEEP_ALIVE: Duration = Duration::from_mins(2);

/// A connected agent.
pub(super) struct Agent {
    client: AsyncClient,
    events: EventLoop,
    want: String,
    topic: String,
    blob: BlobRef,
    bytes: Arc<[u8]>,
    number: u32,
}

/// What an agent did until it had all.
pub(super) struct Done {
    pub(super) wants: u64,
    pub(super) ignored: u64,
    /// When its first chunk came.
    pub(super) began: Option<Instant>,
}

/// A connection with its options as the agent has them.
pub(super) fn client(name: &str, broker: &str) -> Result<(AsyncClient, EventLoop)> {
    let (host, port) = broker.rsplit_once(':').context("an address has a port")?;
    let mut options = MqttOptions::new(name, host, port.parse()?);
    let packet = limits::PAYLOAD + FRAME;
    options
        .set_max_packet_size(packet, packet)
        .set_keep_alive(KEEP_ALIVE);
    let (client, mut events) = AsyncClient::new(options, REQUESTS);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    Ok((client, events))
}

/// Connects; on a busy machine not always at once.
pub(super) async fn connected(events: &mut EventLoop) -> Result<()> {
    const ATTEMPTS: u32 = 20;
    let mut failed = 0;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => return Ok(()),
            Ok(_) => {}
            Err(err) if failed == ATTEMPTS => return Err(err.into()),
            Err(_) => failed += 1,
        }
    }
}

impl Agent {
    pub(super) async fn connect(number: u32, broker: &str, model: &Model) -> Result<Self> {
        let device: DeviceId = format!("bench-{number:05}").parse()?;
        let workspace: WorkspaceId = "default".parse()?;
        let (client, mut events) = client(device.as_str(), broker)?;
        let want = Topic::Device {
            workspace,
            device,
            channel: Channel::Want,
        };
        connected(&mut events).await?;
        Ok(Self {
            client,
            events,
            want: want.to_string(),
            topic: model.topic()?,
            blob: model.blob,
            bytes: Arc::clone(&model.bytes),
            number,
        })
    }

    /// Fetches the blob once it is told to.
    pub(super) async fn fetch(mut self, mut told: watch::Receiver<bool>) -> Result<Done> {
        while !*told.borrow() {
            tokio::select! {
                event = self.events.poll() => drop(event?),
                changed = told.changed() => changed?,
            }
        }
        let start = Instant::now();
        let now = || Uptime(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
        let chance = Chance::seeded(u64::from(self.number));
        let mut fetcher = Fetcher::new(Policy::default(), chance);
        let mut done = Done {
            wants: 0,
            ignored: 0,
            began: None,
        };
        fetcher.want(self.blob);
        loop {
            while let Some(request) = fetcher.poll(now(), true) {
                match request {
                    Request::Open(blob) => {
                        let have = Bitmap::new(blob.chunks());
                        fetcher.opened(blob.digest, have, now());
                        self.client.try_subscribe(&self.topic, QoS::AtLeastOnce)?;
                    }
                    Request::Ask(want) => {
                        done.wants += 1;
                        let payload = codec::encode(&want);
                        self.client
                            .try_publish(&self.want, QoS::AtLeastOnce, false, payload)?;
                    }
                    // Each chunk was compared when it came.
                    Request::Verify(_) => return Ok(done),
                    other => anyhow::bail!("it is about MQTT alone: {other:?}"),
                }
            }
            let deadline = fetcher.deadline(true).unwrap_or(Uptime(u64::MAX / 2));
            let wait = start + deadline.since(Uptime(0)).min(Duration::from_hours(1));
            tokio::select! {
                event = self.events.poll() => if let Event::Incoming(Packet::Publish(publish)) = event? {
                    done.began.get_or_insert_with(Instant::now);
                    let chunk: Chunk = codec::decode(&publish.payload)?;
                    self.take(&mut fetcher, &chunk, now(), &mut done)?;
                },
                () = sleep_until(wait) => {}
            }
        }
    }

    fn take(
        &self,
        fetcher: &mut Fetcher,
        chunk: &Chunk,
        now: Uptime,
        done: &mut Done,
    ) -> Result<()> {
        let digest = self.blob.digest;
        match fetcher.accepts(digest, chunk.index, chunk.bytes.len()) {
            Acceptance::Awaited => {
                let (offset, len) = self.blob.place(chunk.index).context("within the blob")?;
                let offset = offset as usize;
                ensure!(
                    chunk.bytes[..] == self.bytes[offset..offset + len],
                    "chunk {} came with other bytes",
                    chunk.index
                );
                fetcher.wrote(digest, chunk.index, now);
            }
            Acceptance::Foreign => done.ignored += 1,
            Acceptance::Malformed => anyhow::bail!("a chunk does not fit"),
        }
        fetcher.received(digest, chunk.bytes.len(), now);
        Ok(())
    }
}
