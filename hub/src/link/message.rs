//! What can come in, as one closed list, and how it is read. Pure.

use bytes::Bytes;
use tern_protocol::{
    blob::Want,
    codec::{self, DecodeError},
    id::{DeviceId, WorkspaceId},
    log::Batch,
    reported::{Link, Reported},
    topic::{Channel, Topic},
};

use crate::fleet::intake::Freshness;

/// A message as it came from the broker: who, about what, unread.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// From which device.
    pub device: DeviceId,
    /// What about.
    pub channel: Channel,
    /// How fresh it is.
    pub freshness: Freshness,
    /// The message itself.
    pub payload: Bytes,
}

/// Everything that a device can say.
#[derive(Debug, Clone, PartialEq)]
pub enum Inbound {
    /// Whether it is connected.
    Link(Link),
    /// What it is.
    State(Box<Reported>),
    /// Entries of its outbox.
    Log(Batch),
    /// Chunks that it lacks.
    Want(Want),
}

/// Why a message cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Its topic is not one on which devices speak.
    #[error("not a topic on which devices speak")]
    Topic,
    /// Its bytes are not the message that its topic promises.
    #[error("not the message that its topic promises")]
    Payload(#[from] DecodeError),
}

impl Envelope {
    /// Looks at the topic only.
    pub fn open(topic: &str, retained: bool, payload: Bytes) -> Result<Self, Unreadable> {
        match topic.parse() {
            Ok(Topic::Device {
                workspace,
                device,
                channel: channel @ (Channel::Link | Channel::State | Channel::Log | Channel::Want),
            }) => Ok(Self {
                workspace,
                device,
                channel,
                freshness: if retained {
                    Freshness::Retained
                } else {
                    Freshness::Live
                },
                payload,
            }),
            _ => Err(Unreadable::Topic),
        }
    }

    /// Reads the message.
    pub fn read(&self) -> Result<Inbound, Unreadable> {
        let bytes = &self.payload[..];
        Ok(match self.channel {
            Channel::Link => Inbound::Link(codec::decode(bytes)?),
            Channel::State => Inbound::State(Box::new(codec::decode(bytes)?)),
            Channel::Log => Inbound::Log(codec::decode(bytes)?),
            Channel::Want => Inbound::Want(codec::decode(bytes)?),
            Channel::Desired | Channel::Ack => return Err(Unreadable::Topic),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tern_protocol::{digest::Digest, id::BootId};

    use super::*;

    fn envelope(topic: &str, payload: &[u8]) -> Result<Inbound, Unreadable> {
        let envelope = Envelope::open(topic, false, Bytes::copy_from_slice(payload))?;
        envelope.read()
    }

    #[test]
    fn what_devices_say_is_read() {
        let link = Link {
            online: true,
            boot: BootId(3),
        };
        let read = envelope("tern/1/default/d/a/up/link", &codec::encode(&link));
        assert_eq!(read, Ok(Inbound::Link(link)));
    }

    #[test]
    fn what_only_the_hub_says_is_refused() {
        let blob = format!("tern/1/default/b/{}", Digest::of(b""));
        for topic in [
            "tern/1/default/d/a/down/ack",
            "tern/1/default/d/a/down/desired",
            &blob,
            "x",
        ] {
            assert_eq!(envelope(topic, &[]), Err(Unreadable::Topic), "{topic}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_on_any_topic_are_read_or_refused(
            topic in "(tern/1/default/d/[a-z]{1,3}/up/(link|state|log|want))|.{0,40}",
            payload in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = envelope(&topic, &payload);
        }
    }
}
