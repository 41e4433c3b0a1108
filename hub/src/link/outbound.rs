//! Speaks to devices: acknowledgements and desired states first, chunks when there is room.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use rumqttc::{AsyncClient, Event, EventLoop, Outgoing, Packet, QoS};
use tern_protocol::{
    codec,
    id::{DeviceId, Revision, WorkspaceId},
    limits,
    log::Ack,
    topic::{Channel, Topic},
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::way::{End, Way};
use crate::{
    app::{App, Ready},
    broker::external::ExternalError,
    delivery::Chunks,
    fleet::{
        self,
        assign::{Tell, all_desired},
    },
    store::{StoreError, chain},
    tap::Passing,
    trust::{self, Announcement},
};

/// Messages handed to the client and not yet written. Few, so that an acknowledgement does not wait
/// behind many chunks.
const WRITING: usize = 16;

/// Acknowledgements, desired states and chunks that wait. Their makers wait when these are full; a
/// chunk is 64 KiB.
const ACKS: usize = 4_096;
/// See [`ACKS`].
const TELLS: usize = 4_096;
/// See [`ACKS`].
const CHUNKS: usize = 16;

/// Longest that the last messages may take when the hub stops.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Senders of everything that the hub says.
#[derive(Debug, Clone)]
pub struct Senders {
    /// What is durable.
    pub acks: mpsc::Sender<(WorkspaceId, DeviceId, Ack)>,
    /// What devices should be.
    pub tells: mpsc::Sender<Tell>,
    /// Chunks of blobs.
    pub chunks: mpsc::Sender<Chunks>,
    /// Which signed metadata there are.
    pub announcements: mpsc::Sender<Announcement>,
}

/// Where everything retained is handed in again, when the broker may have lost it.
#[derive(Debug, Clone)]
pub struct Again {
    /// What devices should be.
    pub tells: mpsc::WeakSender<Tell>,
    /// Which signed metadata there are.
    pub announcements: mpsc::WeakSender<Announcement>,
}

/// The other end of [`Senders`].
#[derive(Debug)]
pub struct Queues {
    acks: mpsc::Receiver<(WorkspaceId, DeviceId, Ack)>,
    tells: mpsc::Receiver<Tell>,
    chunks: mpsc::Receiver<Chunks>,
    announcements: mpsc::Receiver<Announcement>,
}

/// Where what the hub says is handed in.
pub fn queues() -> (Senders, Queues) {
    let (acks_in, acks) = mpsc::channel(ACKS);
    let (tells_in, tells) = mpsc::channel(TELLS);
    let (chunks_in, chunks) = mpsc::channel(CHUNKS);
    let (announcements_in, announcements) = trust::queue();
    let senders = Senders {
        acks: acks_in,
        tells: tells_in,
        chunks: chunks_in,
        announcements: announcements_in,
    };
    (
        senders,
        Queues {
            acks,
            tells,
            chunks,
            announcements,
        },
    )
}

/// Speaks until all senders are gone and what they sent is written.
pub async fn run(
    app: App,
    way: Way,
    queues: Queues,
    again: Again,
    ready: Arc<watch::Sender<Ready>>,
) -> Result<(), ExternalError> {
    let (client, connection) = AsyncClient::new(way.options(End::Out)?, WRITING);
    let writing = tokio::spawn(write(app.clone(), way, connection, again, ready));
    let mut speaker = Speaker {
        app,
        client: client.clone(),
        told: HashMap::new(),
    };
    speaker.speak(queues).await;
    // The disconnect goes out after all that was handed in before it.
    let said_all = client.disconnect().await.is_ok();
    if !said_all || tokio::time::timeout(LAST_WORDS, writing).await.is_err() {
        tracing::warn!("the last messages to devices were not written; devices ask again");
    }
    Ok(())
}

struct Speaker {
    app: App,
    client: AsyncClient,
    /// The last revision told to each device: two parts of the hub tell, and the retained message
    /// must never go back.
    told: HashMap<(WorkspaceId, DeviceId), Revision>,
}

impl Speaker {
    async fn speak(&mut self, mut queues: Queues) {
        loop {
            tokio::select! {
                biased;
                Some((workspace, device, ack)) = queues.acks.recv() => {
                    self.app.counters.acks.one();
                    self.to_device(workspace, device, Channel::Ack, codec::encode(&ack)).await;
                }
                // Before what it signs for is wanted.
                Some(said) = queues.announcements.recv() => self.announce(said).await,
                Some(tell) = queues.tells.recv() => self.tell(tell).await,
                Some(chunk) = queues.chunks.recv() => self.chunk(chunk).await,
                else => return,
            }
        }
    }

    async fn tell(
        &mut self,
        Tell {
            workspace,
            device,
            desired,
        }: Tell,
    ) {
        let told = self
            .told
            .entry((workspace.clone(), device.clone()))
            .or_default();
        if desired.revision < *told {
            return;
        }
        *told = desired.revision;
        self.app.counters.desired.one();
        self.to_device(workspace, device, Channel::Desired, codec::encode(&desired))
            .await;
    }

    async fn announce(&mut self, said: Announcement) {
        let topic = Topic::Metadata {
            workspace: said.workspace,
            role: said.role,
        };
        self.publish(&topic, true, said.payload.into()).await;
    }

    async fn chunk(&mut self, chunk: Chunks) {
        let counters = &self.app.counters;
        counters.chunks.one();
        counters.egress_bytes.add(chunk.payload.len() as u64);
        let topic = Topic::Blob {
            workspace: chunk.workspace,
            digest: chunk.blob,
        };
        self.publish(&topic, false, chunk.payload).await;
    }

    async fn to_device(
        &self,
        workspace: WorkspaceId,
        device: DeviceId,
        channel: Channel,
        payload: Vec<u8>,
    ) {
        let topic = Topic::Device {
            workspace,
            device,
            channel,
        };
        self.publish(&topic, channel.retained(), payload.into())
            .await;
    }

    async fn publish(&self, topic: &Topic, retain: bool, payload: Bytes) {
        let (workspace, device) = match topic {
            Topic::Device {
                workspace, device, ..
            } => (workspace, Some(device)),
            Topic::Blob { workspace, .. } | Topic::Metadata { workspace, .. } => (workspace, None),
        };
        let topic = topic.to_string();
        let most = if retain {
            limits::RETAINED
        } else {
            limits::PAYLOAD_OUT
        };
        if payload.len() > most {
            // Brokers cut the connection at it, again and again.
            debug_assert!(false, "{topic} has {} bytes", payload.len());
            tracing::error!(
                topic,
                bytes = payload.len(),
                "a message is too long and is not sent"
            );
            return;
        }
        self.app.tap.tell(|| Passing {
            at: self.app.clock.now(),
            workspace: workspace.clone(),
            device: device.cloned(),
            topic: topic.clone(),
            retained: retain,
            payload: payload.clone(),
        });
        // Fails only if the connection's task is gone, and with it the hub.
        if self
            .client
            .publish_bytes(&topic, QoS::AtLeastOnce, retain, payload)
            .await
            .is_err()
        {
            tracing::warn!(topic, "a message to a device was not sent");
        }
    }
}

/// Keeps the connection and writes what is handed in, until it has said goodbye.
async fn write(
    app: App,
    way: Way,
    mut connection: EventLoop,
    again: Again,
    ready: Arc<watch::Sender<Ready>>,
) {
    let mut trouble = way.trouble();
    loop {
        match connection.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                trouble.stands(Instant::now());
                ready.send_modify(|ready| {
                    ready.outbound = true;
                    ready.broker = true;
                });
                // The broker may have lost its retained messages, and this client what was on the
                // way: say everything again.
                if let Some(tells) = again.tells.upgrade() {
                    tokio::spawn(tell_all(app.clone(), tells));
                }
                if let Some(announcements) = again.announcements.upgrade() {
                    tokio::spawn(trust::announce_all(app.clone(), announcements));
                }
            }
            Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
            Ok(_) => {}
            Err(err) => {
                ready.send_modify(|ready| {
                    ready.outbound = false;
                    ready.broker = ready.inbound;
                });
                app.counters.link_lost.one();
                if again.tells.upgrade().is_none() {
                    // The hub stops, and the broker may be gone before the goodbye.
                    return;
                }
                let again_in = trouble.again_in(Instant::now());
                let reason = way.explain(&err);
                if trouble.is_news(&reason) {
                    tracing::warn!(
                        reason,
                        "no link to the broker, devices are not told anything"
                    );
                }
                tokio::time::sleep(again_in).await;
                match way.options(End::Out) {
                    Ok(options) => connection.mqtt_options = options,
                    Err(err) => tracing::warn!(error = chain(&err), "the old settings are used"),
                }
            }
        }
    }
}

/// Hands in what every device should be.
async fn tell_all(app: App, tells: mpsc::Sender<Tell>) {
    match hand_in_all(&app, &tells).await {
        Ok(0) => {}
        Ok(devices) => tracing::info!(devices, "published all desired states"),
        Err(err) => tracing::error!(error = chain(&err), "desired states were not published"),
    }
}

async fn hand_in_all(app: &App, tells: &mpsc::Sender<Tell>) -> Result<usize, StoreError> {
    let mut devices = 0;
    for workspace in fleet::workspaces(&app.store).await? {
        let mut after = None;
        loop {
            let page = all_desired(&app.store, &workspace, after.as_ref()).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (device, desired) in page {
                let workspace = workspace.clone();
                if tells
                    .send(Tell {
                        workspace,
                        device,
                        desired,
                    })
                    .await
                    .is_err()
                {
                    return Ok(devices);
                }
                devices += 1;
            }
        }
    }
    Ok(devices)
}
