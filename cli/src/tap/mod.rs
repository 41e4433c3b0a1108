//! MQTT messages as people and programs read them: pure functions from topic and payload.
//!
//! Called by `tern tap`. Must never break: any topic and any payload give a text, whoever wrote
//! them; what cannot be read is shown as such, with the reason.

pub(crate) mod json;
pub(crate) mod text;

#[cfg(test)]
mod tests;

use tern_protocol::{
    blob::{Chunk, Want},
    codec,
    desired::Desired,
    log::{Ack, Batch},
    metadata::{Newest, Roots},
    reported::{Link, Reported},
    time::WallTime,
    topic::{Channel, MetadataRole, Topic},
};

/// A message as it came.
#[derive(Debug)]
pub(crate) struct Heard {
    /// When it came here.
    pub(crate) at: WallTime,
    /// Its topic as text.
    pub(crate) topic: String,
    /// Its topic, if it is one of ours.
    pub(crate) parsed: Option<Topic>,
    /// Length of its payload in bytes.
    pub(crate) bytes: usize,
    /// Whether the broker had kept it.
    pub(crate) retained: bool,
    /// What it says.
    pub(crate) said: Said,
}

/// What a message says.
#[derive(Debug)]
pub(crate) enum Said {
    /// A device is connected, or not.
    Link(Link),
    /// What a device is.
    State(Box<Reported>),
    /// Entries of an outbox.
    Log(Box<Batch>),
    /// Chunks that a device lacks.
    Want(Want),
    /// What a device should be.
    Desired(Desired),
    /// What the hub has stored.
    Ack(Ack),
    /// A piece of a blob.
    Chunk(Chunk),
    /// Which roots of the signed metadata there are.
    Roots(Roots),
    /// Which signed metadata are the newest.
    Newest(Newest),
    /// Nothing that we can read.
    Unreadable {
        /// Why.
        why: String,
    },
}

impl Heard {
    /// Reads a message.
    pub(crate) fn read(at: WallTime, topic: &str, payload: &[u8], retained: bool) -> Self {
        let parsed: Option<Topic> = topic.parse().ok();
        let said = match &parsed {
            None => Ok(Said::Unreadable {
                why: "not a topic of tern/1".into(),
            }),
            Some(Topic::Blob { .. }) => codec::decode(payload).map(Said::Chunk),
            Some(Topic::Metadata { role, .. }) => match role {
                MetadataRole::Root => codec::decode(payload).map(Said::Roots),
                MetadataRole::Timestamp => codec::decode(payload).map(Said::Newest),
            },
            Some(Topic::Device { channel, .. }) => match channel {
                Channel::Link => codec::decode(payload).map(Said::Link),
                Channel::State => codec::decode(payload).map(|state| Said::State(Box::new(state))),
                Channel::Log => codec::decode(payload).map(|batch| Said::Log(Box::new(batch))),
                Channel::Want => codec::decode(payload).map(Said::Want),
                Channel::Desired => codec::decode(payload).map(Said::Desired),
                Channel::Ack => codec::decode(payload).map(Said::Ack),
            },
        };
        let said = said.unwrap_or_else(|err| Said::Unreadable {
            why: err.to_string(),
        });
        Self {
            at,
            topic: topic.into(),
            parsed,
            bytes: payload.len(),
            retained,
            said,
        }
    }
}

/// The word for a channel, as people give it.
pub(crate) const fn word(channel: Channel) -> &'static str {
    match channel {
        Channel::Link => "link",
        Channel::State => "state",
        Channel::Log => "log",
        Channel::Want => "want",
        Channel::Desired => "desired",
        Channel::Ack => "ack",
    }
}
