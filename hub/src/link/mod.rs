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
#[cfg(test)]
mod sizes;
mod trouble;
pub mod way;
