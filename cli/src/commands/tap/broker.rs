//! By MQTT, from a broker that asks nobody who they are.

use std::{io::ErrorKind, thread, time::Duration};

use rumqttc::{Client, ConnectionError, Event, MqttOptions, Packet, QoS};
use tern_protocol::{id::WorkspaceId, topic};

use super::{AGAIN, TRIES, Tap, TapError};
use crate::{clock, commands::Answer, out::talk, tap::Heard};

/// Port where none is given.
const PORT: u16 = 1883;

/// Largest packet taken, in bytes. Ours are under 128 KiB; strangers' are worth seeing too.
const PACKET: usize = 16 * 1024 * 1024;

/// Requests to the broker waiting: one subscription for each connection.
const REQUESTS: usize = 10;

/// Keep-alive of the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Why a broker tells nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokerError {
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
        "no MQTT without TLS at {address}. A secured hub's broker speaks with devices only: leave \
         --mqtt and TERN_MQTT out, log in with tern login, and the hub passes on what goes by"
    )]
    Secured {
        address: String,
        #[source]
        source: Box<ConnectionError>,
    },
    #[error("the connection to {address} broke and did not come back")]
    Lost {
        address: String,
        #[source]
        source: Box<ConnectionError>,
    },
    #[error("the broker's client could not take the subscription")]
    Subscribe(#[source] rumqttc::ClientError),
}

/// Prints what the broker passes on.
pub(super) fn listen(
    tap: &mut Tap<'_>,
    given: &str,
    workspace: &WorkspaceId,
) -> Result<Answer, TapError> {
    let (host, port) = address(given)?;
    let mut options = MqttOptions::new(client_id(), host, port);
    options
        .set_keep_alive(KEEP_ALIVE)
        .set_clean_session(true)
        .set_max_packet_size(PACKET, PACKET);
    let (client, mut connection) = Client::new(options, REQUESTS);
    let mut tries = None;
    loop {
        let event = match tap.left() {
            None => connection.recv().ok(),
            Some(left) if left.is_zero() => return Ok(tap.on_timeout()),
            Some(left) => match connection.recv_timeout(left) {
                Ok(event) => Some(event),
                Err(rumqttc::RecvTimeoutError::Timeout) => return Ok(tap.on_timeout()),
                Err(rumqttc::RecvTimeoutError::Disconnected) => None,
            },
        };
        match event {
            // Our own side of the client is alive, so its channel is too.
            None => return Ok(tap.on_timeout()),
            Some(Err(err)) => broken(given, err, &mut tries)?,
            Some(Ok(Event::Incoming(Packet::ConnAck(_)))) => {
                tries = Some(0);
                let everything = topic::everything(workspace);
                let subscribed = client.try_subscribe(everything, QoS::AtMostOnce);
                subscribed.map_err(BrokerError::Subscribe)?;
            }
            Some(Ok(Event::Incoming(Packet::SubAck(_)))) => {
                tap.listening(format_args!("workspace {workspace} at {given}"));
            }
            Some(Ok(Event::Incoming(Packet::Publish(it)))) => {
                let heard = Heard::read(clock::now(), &it.topic, &it.payload, it.retain);
                if tap.print(&heard)? {
                    return Ok(Answer::Yes);
                }
            }
            Some(Ok(_)) => {}
        }
    }
}

/// Whether somebody listens there and hangs up: on whoever does not begin with TLS, most likely.
fn hung_up(err: &ConnectionError) -> bool {
    match err {
        ConnectionError::Io(err) => matches!(
            err.kind(),
            ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
                | ErrorKind::UnexpectedEof
        ),
        ConnectionError::MqttState(_) => true,
        _ => false,
    }
}

/// The first connection must come at once; a later one may take a while. `tries` counts them since
/// the connection broke; none before the first connection.
fn broken(given: &str, err: ConnectionError, tries: &mut Option<u32>) -> Result<(), BrokerError> {
    let address = given.to_owned();
    let is_there = hung_up(&err);
    let source = Box::new(err);
    match *tries {
        None if is_there => return Err(BrokerError::Secured { address, source }),
        None => return Err(BrokerError::Unreachable { address, source }),
        Some(TRIES) => return Err(BrokerError::Lost { address, source }),
        Some(0) => talk(format_args!("connection lost ({source}); connecting again")),
        Some(_) => {}
    }
    *tries = tries.map(|tries| tries + 1);
    thread::sleep(AGAIN);
    Ok(())
}

/// Two taps at once must not throw each other out of the broker.
fn client_id() -> String {
    format!("tern-tap-{}-{}", std::process::id(), clock::now().0)
}

/// Host and port of `HOST`, `HOST:PORT`, `[V6]:PORT`, with or without `mqtt://`.
fn address(given: &str) -> Result<(String, u16), BrokerError> {
    let wrong = || BrokerError::Address(given.into());
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
