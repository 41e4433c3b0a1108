//! `tern tap`: what devices and hub say to each other, live.

use std::{
    thread,
    time::{Duration, Instant},
};

use rumqttc::{Client, Connection, ConnectionError, Event, MqttOptions, Packet, Publish, QoS};
use tern_protocol::{
    id::{DeviceId, WorkspaceId},
    topic::{self, Channel, Topic},
};

use super::{Answer, Context, given::duration};
use crate::{
    clock,
    out::{Out, OutError, Reader, talk},
    tap::{Heard, json::json, text::text},
};

/// Port where none is given.
const PORT: u16 = 1883;

/// The broker of a hub that was started with `--insecure-loopback`.
const LOCAL: &str = "127.0.0.1:1883";

/// Largest packet taken, in bytes. Ours are under 128 KiB; strangers' are worth seeing too.
const PACKET: usize = 16 * 1024 * 1024;

/// Requests to the broker waiting: one subscription for each connection.
const REQUESTS: usize = 10;

/// Keep-alive of the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Between two tries to connect again.
const AGAIN: Duration = Duration::from_secs(1);

/// Tries to connect again before we give up: a restart of a hub takes seconds.
const TRIES: u32 = 60;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "↑ is said by a device, ↓ to devices. What cannot be read is shown with \
    the reason.\nExample: tern tap --device meter-01 --channel state"
)]
pub(crate) struct TapArgs {
    /// The broker, HOST:PORT
    #[arg(
        long,
        value_name = "ADDR",
        env = "TERN_MQTT",
        default_value = LOCAL
    )]
    mqtt: String,
    /// Only what this device says or is told
    #[arg(long)]
    device: Option<DeviceId>,
    /// Only this channel; may be given several times
    #[arg(long)]
    channel: Vec<ChannelGiven>,
    /// End after so many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this long, with exit code 1 if --count was given and not reached
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ChannelGiven {
    /// Online or offline
    Link,
    /// What a device is and serves
    State,
    /// Windows, events, captures, labels
    Log,
    /// Chunks that a device lacks
    Want,
    /// What a device should serve
    Desired,
    /// What the hub has stored
    Ack,
    /// Chunks of models
    Blob,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TapError {
    #[error("`{0}` is not a broker's address; write HOST:PORT, for example 127.0.0.1:1883")]
    Address(String),
    #[error(
        "no MQTT broker answers at {address}; is the hub running? It says its MQTT address when it \
         starts; give it with --mqtt HOST:PORT"
    )]
    Unreachable {
        address: String,
        #[source]
        source: Box<ConnectionError>,
    },
    #[error(
        "{0} speaks MQTT over TLS and only with devices that joined, so nobody can listen there; \
         give another broker with --mqtt HOST:PORT, or see `tern device show` and the dashboard"
    )]
    Tls(String),
    #[error("the connection to {address} broke and did not come back")]
    Lost {
        address: String,
        #[source]
        source: Box<ConnectionError>,
    },
    #[error("the broker's client could not take the subscription")]
    Subscribe(#[source] rumqttc::ClientError),
    #[error(transparent)]
    Out(#[from] OutError),
}

pub(crate) fn run(context: &mut Context, args: &TapArgs) -> Result<Answer, TapError> {
    let hub = context.client.hub();
    if args.mqtt == LOCAL && hub.starts_with("https://") {
        return Err(TapError::Tls(hub.to_owned()));
    }
    let (host, port) = address(&args.mqtt)?;
    let mut options = MqttOptions::new(client_id(), host, port);
    options
        .set_keep_alive(KEEP_ALIVE)
        .set_clean_session(true)
        .set_max_packet_size(PACKET, PACKET);
    let (client, connection) = Client::new(options, REQUESTS);
    let mut tap = Tap {
        args,
        workspace: &context.workspace,
        out: &context.out,
        client,
        printed: 0,
        tries: None,
    };
    tap.listen(connection)
}

/// Two taps at once must not throw each other out of the broker.
fn client_id() -> String {
    format!("tern-tap-{}-{}", std::process::id(), clock::now().0)
}

/// Host and port of `HOST`, `HOST:PORT`, `[V6]:PORT`, with or without `mqtt://`.
fn address(given: &str) -> Result<(String, u16), TapError> {
    let wrong = || TapError::Address(given.into());
    let bare = given.strip_prefix("mqtt://").unwrap_or(given);
    let (host, port) = match bare.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.starts_with('[') => {
            (host, port.parse().map_err(|_| wrong())?)
        }
        _ => (bare, PORT),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || host.contains(char::is_whitespace) || host.contains('/') {
        return Err(wrong());
    }
    Ok((host.into(), port))
}

struct Tap<'a> {
    args: &'a TapArgs,
    workspace: &'a WorkspaceId,
    out: &'a Out,
    client: Client,
    printed: u64,
    /// Tries to connect since the connection broke; `None` before the first connection.
    tries: Option<u32>,
}

impl Tap<'_> {
    fn listen(&mut self, mut connection: Connection) -> Result<Answer, TapError> {
        let end = self.args.timeout.map(|timeout| Instant::now() + timeout);
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let event = match left {
                None => connection.recv().ok(),
                Some(left) if left.is_zero() => return Ok(self.on_timeout()),
                Some(left) => match connection.recv_timeout(left) {
                    Ok(event) => Some(event),
                    Err(rumqttc::RecvTimeoutError::Timeout) => return Ok(self.on_timeout()),
                    Err(rumqttc::RecvTimeoutError::Disconnected) => None,
                },
            };
            match event {
                // Our own side of the client is alive, so its channel is too.
                None => return Ok(self.on_timeout()),
                Some(Err(err)) => self.broken(err)?,
                Some(Ok(Event::Incoming(Packet::ConnAck(_)))) => {
                    self.tries = Some(0);
                    let everything = topic::everything(self.workspace);
                    let subscribed = self.client.try_subscribe(everything, QoS::AtMostOnce);
                    subscribed.map_err(TapError::Subscribe)?;
                }
                Some(Ok(Event::Incoming(Packet::SubAck(_)))) => {
                    if self.out.reader == Reader::Person {
                        let (workspace, address) = (self.workspace, &self.args.mqtt);
                        talk(format_args!(
                            "listening to workspace {workspace} at {address}"
                        ));
                    }
                }
                Some(Ok(Event::Incoming(Packet::Publish(publish)))) => {
                    self.print(&publish)?;
                    if self.args.count.is_some_and(|count| self.printed >= count) {
                        return Ok(Answer::Yes);
                    }
                }
                Some(Ok(_)) => {}
            }
        }
    }

    fn on_timeout(&self) -> Answer {
        match self.args.count {
            Some(count) if self.printed < count => Answer::No,
            _ => Answer::Yes,
        }
    }

    fn print(&mut self, publish: &Publish) -> Result<(), OutError> {
        let now = clock::now();
        let heard = Heard::read(now, &publish.topic, &publish.payload, publish.retain);
        if !self.args.wants(heard.parsed.as_ref()) {
            return Ok(());
        }
        self.printed += 1;
        match self.out.reader {
            Reader::Program => self.out.json_line(&json(&heard)),
            Reader::Person => self.out.text(&text(&heard, self.out.look)),
        }
    }

    /// The first connection must come at once; a later one may take a while.
    fn broken(&mut self, err: ConnectionError) -> Result<(), TapError> {
        let address = self.args.mqtt.clone();
        let source = Box::new(err);
        match self.tries {
            None => return Err(TapError::Unreachable { address, source }),
            Some(TRIES) => return Err(TapError::Lost { address, source }),
            Some(0) => talk(format_args!("connection lost ({source}); connecting again")),
            Some(_) => {}
        }
        self.tries = self.tries.map(|tries| tries + 1);
        thread::sleep(AGAIN);
        Ok(())
    }
}

impl TapArgs {
    /// Whether a message on this topic is to be printed. What is on no topic of ours is not of a
    /// device or channel.
    fn wants(&self, topic: Option<&Topic>) -> bool {
        let (device, channel) = match topic {
            Some(Topic::Device {
                device, channel, ..
            }) => (Some(device), Some(given(*channel))),
            Some(Topic::Blob { .. }) => (None, Some(ChannelGiven::Blob)),
            None => (None, None),
        };
        let device_fits = self.device.is_none() || self.device.as_ref() == device;
        let channel_fits =
            self.channel.is_empty() || channel.is_some_and(|c| self.channel.contains(&c));
        device_fits && channel_fits
    }
}

const fn given(channel: Channel) -> ChannelGiven {
    match channel {
        Channel::Link => ChannelGiven::Link,
        Channel::State => ChannelGiven::State,
        Channel::Log => ChannelGiven::Log,
        Channel::Want => ChannelGiven::Want,
        Channel::Desired => ChannelGiven::Desired,
        Channel::Ack => ChannelGiven::Ack,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_write_them() {
        for (written, host, port) in [
            ("127.0.0.1:1884", "127.0.0.1", 1884),
            ("mqtt://hub.example", "hub.example", 1883),
            ("[::1]:1885", "::1", 1885),
            ("::1", "::1", 1883),
        ] {
            let read = address(written).expect(written);
            assert_eq!(read, (host.to_owned(), port), "{written}");
        }
        for wrong in ["", ":1883", "hub:x", "hub:99999", "http://hub:80"] {
            assert!(address(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
