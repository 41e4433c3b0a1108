//! To which broker the hub's two connections go, and with what.

use std::time::Duration;

use rumqttc::{ConnectReturnCode, ConnectionError, MqttOptions};
use tern_protocol::limits;

use super::trouble::Trouble;
use crate::{
    broker::{
        HubDoor,
        external::{External, ExternalError},
    },
    store::chain,
};

/// How often a silent connection is checked. AWS IoT Core takes nothing below half a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Wait before a lost connection is made again.
const RECONNECT: Duration = Duration::from_millis(250);

/// Longest wait before a connection to a broker elsewhere is tried again. There is one hub, so there is
/// no herd to spread out.
const RECONNECT_MAX: Duration = Duration::from_secs(10);

/// Largest packet, as at the broker.
const PACKET: usize = limits::PAYLOAD + 4 * 1024;

/// Messages to the embedded broker that it has not confirmed.
const IN_FLIGHT: u16 = 256;

/// The same at a broker elsewhere. AWS IoT Core takes 100.
const IN_FLIGHT_ELSEWHERE: u16 = 64;

/// One of the two connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The one that hears.
    In,
    /// The one that speaks.
    Out,
}

impl End {
    const fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// The hub's way to its broker.
#[derive(Clone)]
pub enum Way {
    /// The broker inside the hub.
    Embedded(HubDoor),
    /// One of the operator's own.
    External(External),
}

impl Way {
    /// Options for a connection that is made now.
    pub(super) fn options(&self, end: End) -> Result<MqttOptions, ExternalError> {
        let (mut options, in_flight) = match self {
            Self::Embedded(HubDoor { address, password }) => {
                let id = format!("tern-hub-{}-{}", end.name(), std::process::id());
                let mut options = MqttOptions::new(&id, address.ip().to_string(), address.port());
                options.set_credentials(id, password.reveal());
                (options, IN_FLIGHT)
            }
            Self::External(external) => (external.options(end.name())?, IN_FLIGHT_ELSEWHERE),
        };
        options
            .set_keep_alive(KEEP_ALIVE)
            .set_max_packet_size(PACKET, PACKET)
            .set_inflight(in_flight)
            .set_clean_session(true);
        Ok(options)
    }

    /// Whether the connections can be made as far as this side can know; for the start.
    pub fn check(&self) -> Result<(), ExternalError> {
        for end in [End::In, End::Out] {
            self.options(end)?;
        }
        if let Self::External(external) = self {
            external.authorities()?;
        }
        Ok(())
    }

    /// Whether only devices with an active identity are heard, because the broker does not see to it.
    pub(super) fn asks_for_identities(&self) -> bool {
        match self {
            Self::Embedded(_) => false,
            Self::External(external) => external.identities(),
        }
    }

    pub(super) const fn trouble(&self) -> Trouble {
        match self {
            Self::Embedded(_) => Trouble::new(RECONNECT, RECONNECT),
            Self::External(_) => Trouble::new(RECONNECT, RECONNECT_MAX),
        }
    }

    /// Why a connection is not there, for a person who can do something about it.
    pub(super) fn explain(&self, err: &ConnectionError) -> String {
        let Self::External(external) = self else {
            return err.to_string();
        };
        let broker = external.url();
        match err {
            ConnectionError::ConnectionRefused(
                code @ (ConnectReturnCode::NotAuthorized
                | ConnectReturnCode::BadUserNamePassword
                | ConnectReturnCode::BadClientId),
            ) => format!(
                "{broker} refuses the hub ({code:?}): check its access rules, and `--broker-client-id`, \
                 `--broker-certificate` or `--broker-user` here"
            ),
            ConnectionError::Tls(err) => format!(
                "{broker} is not taken for the hub's broker ({}): its certificate has to be under the \
                 authorities of this hub (`tern-hub ca broker`) or of `--broker-ca`, and for its name",
                chain(err)
            ),
            // With TLS 1.3 a client's certificate is refused after the handshake.
            err if chain(err).contains("alert") => format!(
                "{broker} does not take the hub's certificate ({}): it has to trust the authority that \
                 `tern-hub ca export` prints, or that of `--broker-certificate`",
                chain(err)
            ),
            err => format!("{broker}: {}", chain(err)),
        }
    }
}
