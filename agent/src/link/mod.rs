//! The MQTT connection: one task that owns it, a handle to speak, a channel of what was heard.
//!
//! Called by `node`. Must never break:
//! - no subscription is lost: what is wanted is kept apart from what was asked for, compared at
//!   every pass and asked for again after every reconnect;
//! - what the broker sends never panics here: it is counted as malformed and left;
//! - nothing is queued while there is no connection: all that is said is level-triggered and will
//!   be said again.

mod owner;
#[cfg(test)]
mod sizes;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rumqttc::{
    AsyncClient, EventLoop, LastWill, MqttOptions, NetworkOptions, QoS, TlsConfiguration, Transport,
};
use rustls::ClientConfig;
use tern_protocol::{
    blob::Chunk,
    codec,
    desired::Desired,
    digest::Digest,
    id::{BootId, DeviceId, WorkspaceId},
    limits,
    log::Ack,
    metadata::{Newest, Roots},
    reported,
    topic::{self, Channel, Topic},
};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
    time,
};

use self::owner::{Owner, keep};
use crate::{chance::Chance, config::Broker, fetch::download::Ended};

/// Requests to the connection that wait to be written. When it is full the rest is said later.
const REQUESTS: usize = 64;

/// Publishes that the broker has not confirmed.
const INFLIGHT: u16 = 16;

/// Largest packet that is read. Above our own payloads, so that a longer one is counted as
/// malformed instead of cutting the connection again and again.
const PACKET_IN: usize = 4 * limits::PAYLOAD;

/// Largest packet that is written: a payload with its topic.
const PACKET_OUT: usize = limits::PAYLOAD + 4096;

/// What is done before the process ends must not take longer.
const GOODBYE: Duration = Duration::from_millis(500);

/// What was heard.
#[derive(Debug)]
pub enum Heard {
    /// The connection is there, subscriptions are asked for.
    Online,
    /// The connection is gone.
    Offline,
    /// What this device should be.
    Desired(Desired),
    /// What the hub has stored.
    Ack(Ack),
    /// A piece of a blob, by the link or by a download.
    Chunk(Digest, Chunk),
    /// Which roots of the signed metadata there are.
    Roots(Roots),
    /// Which signed metadata are the newest.
    Newest(Newest),
    /// A download of a blob ended. Chunks that it brought came before.
    Downloaded(Ended),
    /// Something that cannot be read; it is counted already.
    Noise,
}

/// Who speaks, and to whom.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The device.
    pub device: DeviceId,
    /// The boot, which the last will names.
    pub boot: BootId,
}

/// How the broker is reached.
#[derive(Debug, Clone, Default)]
pub struct Way {
    /// The brokers, best first, each tried after the one before it failed.
    pub brokers: Vec<Broker>,
    /// TLS to them, if this device has an identity.
    pub tls: Option<Arc<ClientConfig>>,
}

/// What the link has to know besides who it is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The newest way to the broker. A change connects again.
    pub way: watch::Receiver<Way>,
    /// Longest silence before either side takes the connection for dead.
    pub keep_alive: Duration,
    /// Told when the broker does not take this device for what it is.
    pub doubt: Arc<Notify>,
}

/// The handle to speak.
#[derive(Debug)]
pub struct Link {
    identity: Identity,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    malformed: AtomicU64,
}

#[derive(Debug)]
struct State {
    client: AsyncClient,
    online: bool,
    wanted: BTreeSet<String>,
    asked: BTreeSet<String>,
}

impl Link {
    /// Connects, and keeps connecting until it is stopped.
    pub fn start(
        identity: Identity,
        settings: Settings,
        heard: mpsc::Sender<Heard>,
        chance: Chance,
    ) -> Self {
        let options = options(&identity, &settings, 0);
        let (client, connection) = connection(&options);
        let wanted = always(&identity).collect();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                client,
                online: false,
                wanted,
                asked: BTreeSet::new(),
            }),
            malformed: AtomicU64::new(0),
        });
        let owner = Owner {
            identity: identity.clone(),
            shared: Arc::clone(&shared),
            heard,
            settings,
        };
        let task = tokio::spawn(keep(owner, connection, chance));
        Self {
            identity,
            shared,
            task,
        }
    }

    /// Whether there is a connection, as far as one can know.
    pub fn is_online(&self) -> bool {
        self.shared.state().online
    }

    /// Messages that could not be read.
    pub fn malformed(&self) -> u64 {
        self.shared.malformed.load(Ordering::Relaxed)
    }

    /// Says something; false if it could not be handed over and has to be said again.
    pub fn say<T: minicbor::Encode<()>>(&self, channel: Channel, message: &T) -> bool {
        let state = self.shared.state();
        state.online && state.say(&self.identity, channel, message)
    }

    /// Listens to the topics of these blobs, and to those of no others.
    pub fn listen(&self, blobs: &BTreeSet<Digest>) {
        let topics = blobs.iter().map(|digest| {
            let workspace = self.identity.workspace.clone();
            let topic = Topic::Blob {
                workspace,
                digest: *digest,
            };
            topic.to_string()
        });
        let wanted = topics.chain(always(&self.identity)).collect();
        let mut state = self.shared.state();
        state.wanted = wanted;
        state.subscribe();
    }

    /// Says goodbye and ends the connection.
    pub async fn stop(mut self) {
        let sent = {
            let state = self.shared.state();
            let link = offline(&self.identity);
            state.online
                && state.say(&self.identity, Channel::Link, &link)
                && state.client.try_disconnect().is_ok()
        };
        if sent {
            // The task ends once the disconnect is written; what does not is ended with the handle.
            let _ = time::timeout(GOODBYE, &mut self.task).await;
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn say<T: minicbor::Encode<()>>(&self, id: &Identity, channel: Channel, message: &T) -> bool {
        let payload = codec::encode(message);
        let retain = channel.retained();
        if payload.len() > most(channel) {
            // Brokers cut the connection at it, again and again.
            debug_assert!(false, "{channel:?} has {} bytes", payload.len());
            tracing::error!(
                ?channel,
                bytes = payload.len(),
                "a message is too long and is not sent"
            );
            return false;
        }
        let published =
            self.client
                .try_publish(topic(id, channel), QoS::AtLeastOnce, retain, payload);
        published.is_ok()
    }

    /// Brings what was asked for closer to what is wanted. What finds no room in the queue of
    /// requests is tried again at the next pass.
    fn subscribe(&mut self) {
        if !self.online {
            return;
        }
        let missing: Vec<_> = self.wanted.difference(&self.asked).cloned().collect();
        for topic in missing {
            let asked = self.client.try_subscribe(topic.as_str(), QoS::AtLeastOnce);
            if asked.is_ok() {
                self.asked.insert(topic);
            }
        }
        let extra: Vec<_> = self.asked.difference(&self.wanted).cloned().collect();
        for topic in extra {
            if self.client.try_unsubscribe(topic.as_str()).is_ok() {
                self.asked.remove(&topic);
            }
        }
    }
}

/// Most bytes of a message that every broker takes.
const fn most(channel: Channel) -> usize {
    if channel.retained() {
        limits::RETAINED
    } else {
        limits::PAYLOAD_OUT
    }
}

fn connection(options: &MqttOptions) -> (AsyncClient, EventLoop) {
    let (client, mut connection) = AsyncClient::new(options.clone(), REQUESTS);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    connection.set_network_options(network);
    (client, connection)
}

/// Options for the `turn`th attempt, with the newest way.
fn options(identity: &Identity, settings: &Settings, turn: usize) -> MqttOptions {
    let client = format!("{}/d/{}", identity.workspace, identity.device);
    let way = settings.way.borrow().clone();
    let turn = turn.checked_rem(way.brokers.len()).unwrap_or(0);
    let nowhere = Broker {
        host: "no broker is known".into(),
        port: 0,
        plain: false,
    };
    let broker = way.brokers.get(turn).unwrap_or(&nowhere);
    let mut options = MqttOptions::new(client, broker.host.as_str(), broker.port);
    let will = codec::encode(&offline(identity));
    let topic = topic(identity, Channel::Link);
    options
        .set_keep_alive(settings.keep_alive)
        .set_clean_session(true)
        .set_inflight(INFLIGHT)
        .set_max_packet_size(PACKET_IN, PACKET_OUT)
        .set_last_will(LastWill::new(topic, will, QoS::AtLeastOnce, true));
    if let Some(tls) = way.tls.filter(|_| !broker.plain) {
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
    }
    options
}

fn offline(identity: &Identity) -> reported::Link {
    reported::Link {
        online: false,
        boot: identity.boot,
    }
}

/// What is listened to at all times.
fn always(identity: &Identity) -> impl Iterator<Item = String> {
    let own = [Channel::Desired, Channel::Ack].map(|c| topic(identity, c));
    own.into_iter().chain(topic::metadata(&identity.workspace))
}

fn topic(identity: &Identity, channel: Channel) -> String {
    let topic = Topic::Device {
        workspace: identity.workspace.clone(),
        device: identity.device.clone(),
        channel,
    };
    topic.to_string()
}
