//! The task that owns the connection: connects, reads, connects again.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rumqttc::{
    ConnectionError, Event, EventLoop, Outgoing, Packet, Publish, Request, SubscribeReasonCode,
};
use tern_protocol::{
    codec, reported,
    topic::{Channel, MetadataRole, Topic},
};
use tokio::{sync::mpsc, time};

use super::{Heard, Identity, Settings, Shared, options};
use crate::chance::Chance;

/// How long the broker may take to let a device go that comes back at once.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long it is read on after a goodbye.
const UNREAD: Duration = Duration::from_millis(100);

/// Wait before connecting again; doubles up to [`RECONNECT_MAX`].
const RECONNECT: Duration = Duration::from_millis(250);

/// Longest wait before connecting again. A thousand devices spread over it are a hundred
/// connections a second.
const RECONNECT_MAX: Duration = Duration::from_secs(10);

/// Distinct troubles that are remembered, so that each is told once.
const TROUBLES: usize = 16;

/// Owns the connection.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) identity: Identity,
    pub(super) shared: Arc<Shared>,
    pub(super) heard: mpsc::Sender<Heard>,
    pub(super) settings: Settings,
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
        let (client, fresh) = super::connection(&options(&owner.identity, &owner.settings, 0));
        connection = fresh;
        let mut state = owner.shared.state();
        state.client = client;
        state.asked.clear();
    }
}

/// Whether the broker may not take this device for what it is: a newer certificate might help.
fn doubts(err: &ConnectionError) -> bool {
    match err {
        ConnectionError::Tls(_) | ConnectionError::ConnectionRefused(_) => true,
        // With TLS 1.3 a certificate is refused after the handshake.
        err => err.to_string().contains("alert"),
    }
}

impl Owner {
    async fn drive(mut self, mut connection: EventLoop, mut chance: Chance) -> End {
        let mut wait = RECONNECT;
        let mut turn = 0;
        let mut troubles = BTreeSet::new();
        loop {
            let polled = tokio::select! {
                polled = connection.poll() => polled,
                Ok(()) = self.settings.way.changed() => {
                    tracing::info!("connecting to the broker again, as renewed");
                    self.farewell(&mut connection).await;
                    connection.clean();
                    // A goodbye that was not written is not for the next connection.
                    let pending = &mut connection.pending;
                    pending.retain(|request| !matches!(request, Request::Disconnect(_)));
                    connection.mqtt_options = options(&self.identity, &self.settings, turn);
                    let was_online = std::mem::take(&mut self.shared.state().online);
                    if was_online && self.heard.send(Heard::Offline).await.is_err() {
                        return End::Goodbye;
                    }
                    continue;
                }
            };
            let event = match polled {
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
                        let text = err.to_string();
                        if troubles.len() < TROUBLES && troubles.insert(text) {
                            tracing::warn!("no connection to the broker: {err}");
                        } else {
                            tracing::debug!("no connection: {err}");
                        }
                    }
                    if doubts(&err) {
                        self.settings.doubt.notify_one();
                    }
                    tokio::select! {
                        () = time::sleep(chance.jitter(wait)) => {}
                        // A newer certificate may be what was missing.
                        Ok(()) = self.settings.way.changed() => {}
                    }
                    wait = (wait * 2).min(RECONNECT_MAX);
                    turn += 1;
                    self.settings.way.mark_unchanged();
                    connection.mqtt_options = options(&self.identity, &self.settings, turn);
                    continue;
                }
            };
            let heard = match event {
                Event::Incoming(Packet::ConnAck(_)) => {
                    tracing::info!("connected to the broker");
                    wait = RECONNECT;
                    troubles.clear();
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

    /// Leaves the broker in order, so that nobody hears the last will of a device that comes back at
    /// once. What is heard meanwhile will be said again.
    async fn farewell(&self, connection: &mut EventLoop) {
        let said = {
            let state = self.shared.state();
            state.online && state.client.try_disconnect().is_ok()
        };
        if !said {
            return;
        }
        let goodbye = async {
            loop {
                match connection.poll().await {
                    Ok(Event::Outgoing(Outgoing::Disconnect)) => break,
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
            // Whoever hangs up with something unread takes back what is still on its way, the goodbye
            // as well. Brokers need not hang up first, and ours does not.
            let read = async { while connection.poll().await.is_ok() {} };
            // Nothing more comes: that is what was waited for.
            let _ = time::timeout(UNREAD, read).await;
        };
        if time::timeout(FAREWELL, goodbye).await.is_err() {
            tracing::debug!("the broker did not take the goodbye");
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
            Topic::Metadata { workspace, role } if workspace == self.identity.workspace => {
                Some(match role {
                    MetadataRole::Root => Heard::Roots(codec::decode(payload).ok()?),
                    MetadataRole::Timestamp => Heard::Newest(codec::decode(payload).ok()?),
                })
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
