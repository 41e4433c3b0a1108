//! The MQTT broker inside the hub: rmqtt with its retainer, on a runtime of its own.
//!
//! Started by `serve`; the hub speaks to it through an MQTT client like everybody else (`link`), so
//! that an outside broker can take its place. It keeps nothing that the database does not have: its
//! retained messages are published again at each start.
//!
//! All its listeners are on loopback. Devices come in by [`crate::door`], which ends their TLS and
//! hands each on with a seat in [`seats`]; the hub's own clients by another listener, with a password
//! and limits that fit a client that hears a whole fleet; and with `--insecure-loopback` whoever is
//! on this machine by a third, plain one. [`gate`] asks [`rules`] on every step.
//!
//! With `--broker` none of this runs: [`external`] says how the operator's own broker is reached, and
//! [`files`] what the hub gives to it.
//!
//! Must never break:
//! - nobody gets in who fits no rule;
//! - no limit is rmqtt's default by accident. With its defaults (queue 1,000, in-flight 16) it
//!   silently drops 90 % of a QoS 1 burst into one subscriber.

pub mod external;
pub mod files;
mod gate;
pub mod password;
pub mod rules;
pub mod seats;

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU16,
    sync::Arc,
    time::Duration,
};

use rmqtt::{
    context::ServerContext,
    net::{Builder, Listener},
    server::MqttServer,
    types::QoS,
};
use tern_protocol::limits;
use tokio::runtime::Runtime;

use self::{gate::Gate, password::Password, seats::Seats};
use crate::counters::Counters;

/// Largest packet in bytes: a payload with its topic and headers, which take well under 1 KiB.
const PACKET: u32 = limits::PAYLOAD as u32 + 4 * 1024;

/// Messages that wait for one slow device: 128 MiB of chunks, which all waiting devices share, since
/// a message is held once. What overflows is the oldest, and devices ask for chunks again.
const DEVICE_QUEUE: usize = 2_048;

/// Messages sent to one device and not yet confirmed by it: a megabyte of chunks.
const DEVICE_IN_FLIGHT: u16 = 16;

/// How long a broken connection's session is kept for a device that comes back with it. Longer buys
/// nothing: what matters is retained, acknowledged end to end, or wanted again.
const DEVICE_SESSION: Duration = Duration::from_mins(5);

/// Messages that wait for the hub. Each device has one batch of telemetry and a handful of small
/// messages on the way, so this is a fleet of ten thousand that speaks at the same moment.
const HUB_QUEUE: usize = 200_000;

/// Messages sent to the hub and not yet confirmed. The hub confirms what it has read from the
/// socket, so this is what the socket holds.
const HUB_IN_FLIGHT: u16 = 4_096;

/// MQTT 3.1.1 resends on reconnection only; resending on a live connection, as rmqtt does after 20 s
/// by default, sends a model twice over every slow link. Zero switches it off.
const RESEND: Duration = Duration::ZERO;

/// Messages wait as long as their session does.
const MESSAGE_LIFE: Duration = DEVICE_SESSION;

/// Devices that may be in the middle of connecting. More wait in the listener's backlog.
const HANDSHAKES: usize = 2_000;

/// Connections that the kernel holds until they are accepted: a site that comes back at once.
pub(crate) const BACKLOG: u32 = 4_096;

/// Levels of a topic: `tern/1/{w}/d/{d}/up/state` has seven.
const TOPIC_LEVELS: usize = 8;

/// Subscriptions of one client. A device has one for each blob that it fetches and two more.
const SUBSCRIPTIONS: usize = 256;

/// Longest client identifier in bytes: workspace, device, and a prefix.
const CLIENT_ID: usize = 256;

/// Retained messages never expire and are as large as any message: the hub publishes them once.
const RETAINER: &str = "max_retained_messages = 0\nmax_payload_size = \"256KB\"\n\
                        retained_message_ttl = \"0s\"\n";

/// How long to wait for an address that is in use: the sockets of a hub that was killed close a
/// moment after its lock on the data directory.
pub const BIND_GRACE: Duration = Duration::from_secs(2);

/// Between two attempts to bind.
pub const BIND_AGAIN: Duration = Duration::from_millis(20);

const DEVICES_DOOR: u16 = 1;
const HUB_DOOR: u16 = 2;
const PLAIN_DOOR: u16 = 3;

/// Why the broker does not run.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The operating system gave it no threads.
    #[error("starting threads for the broker")]
    Threads(#[source] std::io::Error),
    /// An address is not free.
    #[error(
        "binding MQTT to {address}: {reason}; stop what listens there or choose another `--mqtt`"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        reason: String,
    },
    /// The retainer did not start.
    #[error("starting the broker's retainer: {reason}")]
    Retainer {
        /// Why not.
        reason: String,
    },
    /// There is no randomness for the password of the hub's own clients.
    #[error("making a password for the hub's own clients: {0}")]
    Password(getrandom::Error),
    /// Its task ended while it started.
    #[error("the broker stopped while it started")]
    Stopped,
}

/// How the hub's own clients get in.
#[derive(Debug, Clone)]
pub struct HubDoor {
    /// Where.
    pub address: SocketAddr,
    /// With what.
    pub password: Password,
}

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    runtime: Runtime,
    /// Where the door hands devices on.
    pub devices: SocketAddr,
    /// Who sits behind which connection to `devices`.
    pub seats: Seats,
    /// Where the hub's own clients connect.
    pub hub: HubDoor,
    /// Where anybody on this machine connects, if that was asked for.
    pub plain: Option<SocketAddr>,
}

/// Where its listeners are.
struct Opened {
    devices: SocketAddr,
    hub: SocketAddr,
    plain: Option<SocketAddr>,
}

impl Broker {
    /// Starts to listen; on `plain` too, for anybody on this machine, if it is given. It accepts
    /// connections when this returns.
    pub async fn start(
        plain: Option<SocketAddr>,
        counters: Arc<Counters>,
    ) -> Result<Self, BrokerError> {
        // Its own runtime: stopping it ends every session at once, and a flood of messages does not
        // keep HTTP waiting.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("broker")
            .enable_all()
            .build()
            .map_err(BrokerError::Threads)?;
        let password = Password::random().map_err(BrokerError::Password);
        let password = match password {
            Ok(password) => password,
            Err(err) => {
                runtime.shutdown_background();
                return Err(err);
            }
        };
        let seats = Seats::default();
        let gate = Gate::new(seats.clone(), password.clone(), counters);
        let started = runtime.spawn(open(plain, gate)).await;
        match started.unwrap_or(Err(BrokerError::Stopped)) {
            Ok(opened) => Ok(Self {
                runtime,
                devices: opened.devices,
                seats,
                hub: HubDoor {
                    address: opened.hub,
                    password,
                },
                plain: opened.plain,
            }),
            Err(err) => {
                runtime.shutdown_background();
                Err(err)
            }
        }
    }

    /// Closes all connections.
    pub fn stop(self) {
        self.runtime.shutdown_background();
    }
}

async fn open(plain: Option<SocketAddr>, gate: Gate) -> Result<Opened, BrokerError> {
    let context = ServerContext::new()
        // Refusing connections while the processor is busy is right for a cluster behind a balancer;
        // here it would lock devices out of the only broker there is.
        .busy_check_enable(false)
        .plugins_config_map_add("rmqtt-retainer", RETAINER)
        .build()
        .await;
    rmqtt_retainer::register(&context, true, false)
        .await
        .map_err(|err| {
            let reason = format!("{err:#}");
            BrokerError::Retainer { reason }
        })?;
    gate.guard(&context).await;
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (devices, devices_at) = bind(devices_door("devices", loopback), loopback).await?;
    let (hub, hub_at) = bind(hub_door(loopback), loopback).await?;
    let mut server = MqttServer::new(context)
        .listener_by_id(devices, DEVICES_DOOR)
        .listener_by_id(hub, HUB_DOOR);
    let mut plain_at = None;
    if let Some(address) = plain {
        let (plain, at) = bind(devices_door("plain", address), address).await?;
        server = server.listener_by_id(plain, PLAIN_DOOR);
        plain_at = Some(at);
    }
    let server = server.build();
    tokio::spawn(async move {
        if let Err(err) = server.run().await {
            tracing::error!(error = format!("{err:#}"), "the broker stopped");
        }
    });
    Ok(Opened {
        devices: devices_at,
        hub: hub_at,
        plain: plain_at,
    })
}

async fn bind(door: Builder, address: SocketAddr) -> Result<(Listener, SocketAddr), BrokerError> {
    let deadline = tokio::time::Instant::now() + BIND_GRACE;
    loop {
        let bound = door.clone().bind().and_then(|listener| {
            let listener = listener.tcp()?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        });
        match bound {
            Ok(bound) => return Ok(bound),
            Err(err) if is_in_use(&err) && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(BIND_AGAIN).await;
            }
            Err(err) => {
                let reason = format!("{err:#}");
                return Err(BrokerError::Bind { address, reason });
            }
        }
    }
}

fn is_in_use(err: &rmqtt::net::Error) -> bool {
    let cause = err.downcast_ref::<std::io::Error>();
    cause.is_some_and(|err| err.kind() == std::io::ErrorKind::AddrInUse)
}

fn door(name: &str, address: SocketAddr) -> Builder {
    Builder::new()
        .name(name)
        .laddr(address)
        // A hub that was killed leaves connections behind that would hold its port for a minute.
        .reuseaddr(Some(true))
        .backlog(BACKLOG.cast_signed())
        .nodelay(true)
        // With anonymous clients a CONNECT without a name never reaches the gate.
        .allow_anonymous(false)
        .max_qos_allowed(QoS::AtLeastOnce)
        .max_packet_size(PACKET)
        .max_handshaking_limit(HANDSHAKES)
        .max_clientid_len(CLIENT_ID)
        .max_topic_levels(TOPIC_LEVELS)
        .max_subscriptions(SUBSCRIPTIONS)
        .message_retry_interval(RESEND)
        .message_expiry_interval(MESSAGE_LIFE)
        .session_expiry_interval(DEVICE_SESSION)
        .max_session_expiry_interval(DEVICE_SESSION)
}

fn devices_door(name: &str, address: SocketAddr) -> Builder {
    const IN_FLIGHT: NonZeroU16 = NonZeroU16::new(DEVICE_IN_FLIGHT).expect("not zero");
    door(name, address)
        .max_mqueue_len(DEVICE_QUEUE)
        .max_inflight(IN_FLIGHT)
}

fn hub_door(address: SocketAddr) -> Builder {
    const IN_FLIGHT: NonZeroU16 = NonZeroU16::new(HUB_IN_FLIGHT).expect("not zero");
    door("hub", address)
        .max_mqueue_len(HUB_QUEUE)
        .max_inflight(IN_FLIGHT)
}

#[cfg(test)]
mod tests;
