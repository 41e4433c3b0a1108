//! Where MQTT ends: what devices publish becomes calls of the domain, and what the domain has to say
//! is published.
//!
//! Two connections to the broker, one that only hears and one that only speaks: if one did both, a
//! full queue towards the database would stop the acknowledgements that empty it.
//!
//! Must never break:
//! - bytes from outside never panic, and what cannot be read is counted and changes nothing;
//! - messages of one device are handled in their order;
//! - a lost connection is made again, subscribed again, and all desired states published again.

pub mod inbound;
pub mod message;
pub mod outbound;
mod roster;

use std::time::Duration;

use rumqttc::MqttOptions;
use tern_protocol::limits;

use crate::broker::HubDoor;

/// How often a silent connection is checked.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Wait before a lost connection is made again. The broker is in the same process or nearby, and
/// there is one hub, so there is no herd to spread out.
const RECONNECT: Duration = Duration::from_millis(250);

/// Largest packet, as at the broker.
const PACKET: usize = limits::PAYLOAD + 4 * 1024;

fn options(name: &str, broker: &HubDoor) -> MqttOptions {
    let id = format!("tern-hub-{name}-{}", std::process::id());
    let HubDoor { address, password } = broker;
    let mut options = MqttOptions::new(&id, address.ip().to_string(), address.port());
    options
        .set_credentials(id, password.reveal())
        .set_keep_alive(KEEP_ALIVE)
        .set_max_packet_size(PACKET, PACKET)
        .set_clean_session(true);
    options
}
