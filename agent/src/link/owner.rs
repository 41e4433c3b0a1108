//! The task that owns the connection: connects, reads, connects again.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rumqttc::{Event, EventLoop, Outgoing, Packet, Publish, SubscribeReasonCode};
use tern_protocol::{
    codec, reported,
    topic::{Channel, Topic},
};
use tokio::{sync::mpsc, time};

use super::{Heard, Identity, Route, Shared};
use crate::chance::Chance;

/// Wait before connecting again; doubles up to [`RECONNECT_MAX`].
const RECONNECT: Duration = Duration::from_millis(250);

/// Longest wait before connecting again. A thousand devices spread over it are a hundred
/// connections a second.
const RECONNECT_MAX: Duration = Duration::from_secs(10);

/// Owns the connection.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) identity: Identity,
    pub(super) shared: Arc<Shared>,
    pub(super) heard: mpsc::Sender<Heard>,
    pub(super) route: Route,
}

/// Why a connection's task ended.
enum End {
    /// We said goodbye, or nobody listens any more.
    Goodbye,
    /// The connection failed.
    Lost,
}

/// Keeps a connection for ever. The library is driven in a task of its own: should it panic on
/// something that a broker sends, that ends a connection and not the agent.
pub(super) async fn keep(owner: Owner, first: EventLoop, mut chance: Chance) {
    let mut connection = first;
    loop {
        let end = tokio::spawn(owner.clone().drive(connection, chance.clone())).await;
        let was_online = std::mem::take(&mut owner.shared.state().online);
        if was_online && owner.heard.send(Heard::Offline).await.is_err() {
            return;
        }
        match end {
            Ok(End::Goodbye) => return,
            Ok(End::Lost) => {}
            Err(panic) => tracing::warn!("the MQTT client panicked: {panic}"),
        }
        // Only after a panic, or when subscribing was refused: the rest is handled in `drive`.
        time::sleep(chance.jitter(RECONNECT_MAX)).await;
        let options = super::options(&owner.identity, &owner.route, 0);
        let (client, fresh) = super::connection(&options);
        connection = fresh;
        let mut state = owner.shared.state();
        state.client = client;
        state.asked.clear();
    }
}

impl Owner {
    async fn drive(self, mut connection: EventLoop, mut chance: Chance) -> End {
        let mut wait = RECONNECT;
        let mut attempt = 0;
        let mut trouble = String::new();
        loop {
            let event = match connection.poll().await {
                Ok(event) => event,
                Err(err) => {
                    let was_online = std::mem::take(&mut self.shared.state().online);
                    if was_online {
                        tracing::info!("the broker is gone: {err}");
                        wait = RECONNECT;
                        if self.heard.send(Heard::Offline).await.is_err() {
                            return End::Goodbye;
                        }
                    } else {
                        // Each trouble once: a device may be offline for months.
                        let now = err.to_string();
                        if now == trouble {
                            tracing::debug!("no connection: {now}");
                        } else {
                            tracing::warn!("no connection: {now}");
                            trouble = now;
                        }
                    }
                    self.route.failed.notify_one();
                    attempt += 1;
                    // Another address, and a certificate that may have been renewed meanwhile.
                    connection.mqtt_options = super::options(&self.identity, &self.route, attempt);
                    time::sleep(chance.jitter(wait)).await;
                    wait = (wait * 2).min(RECONNECT_MAX);
                    continue;
                }
            };
            let heard = match event {
                Event::Incoming(Packet::ConnAck(_)) => {
                    tracing::info!("connected to the broker");
                    trouble.clear();
                    wait = RECONNECT;
                    self.connected();
                    Some(Heard::Online)
                }
                Event::Incoming(Packet::Publish(publish)) => Some(self.read(&publish)),
                Event::Incoming(Packet::SubAck(ack))
                    if ack.return_codes.contains(&SubscribeReasonCode::Failure) =>
                {
                    tracing::error!("the broker refuses a subscription: check its access rules");
                    return End::Lost;
                }
                Event::Outgoing(Outgoing::Disconnect) => return End::Goodbye,
                _ => None,
            };
            if let Some(heard) = heard
                && self.heard.send(heard).await.is_err()
            {
                return End::Goodbye;
            }
        }
    }

    fn connected(&self) {
        let mut state = self.shared.state();
        state.online = true;
        state.asked.clear();
        let link = reported::Link {
            online: true,
            boot: self.identity.boot,
        };
        if !state.say(&self.identity, Channel::Link, &link) {
            tracing::warn!("there is no room to say that this device is online");
        }
        state.subscribe();
    }

    fn read(&self, publish: &Publish) -> Heard {
        let heard = self.understand(&publish.topic, &publish.payload);
        heard.unwrap_or_else(|| {
            self.shared.malformed.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(topic = publish.topic, "a message cannot be read");
            Heard::Noise
        })
    }

    fn understand(&self, topic: &str, payload: &[u8]) -> Option<Heard> {
        match topic.parse().ok()? {
            Topic::Blob { digest, workspace } if workspace == self.identity.workspace => {
                Some(Heard::Chunk(digest, codec::decode(payload).ok()?))
            }
            Topic::Device {
                workspace,
                device,
                channel,
            } if workspace == self.identity.workspace && device == self.identity.device => {
                match channel {
                    Channel::Desired => Some(Heard::Desired(codec::decode(payload).ok()?)),
                    Channel::Ack => Some(Heard::Ack(codec::decode(payload).ok()?)),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}
