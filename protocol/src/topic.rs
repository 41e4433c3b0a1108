//! MQTT topics, built and parsed in this one place.

use alloc::string::String;
use core::{fmt, str::FromStr};

use crate::{
    digest::Digest,
    id::{DeviceId, WorkspaceId},
};

/// First two levels of every topic of version 1.
pub const PREFIX: &str = "tern/1";

/// A topic on which Tern speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    /// One device speaks or is spoken to.
    Device {
        /// Its workspace.
        workspace: WorkspaceId,
        /// The device.
        device: DeviceId,
        /// What about.
        channel: Channel,
    },
    /// Which signed metadata there are, for all devices.
    Metadata {
        /// The workspace.
        workspace: WorkspaceId,
        /// Where the search for them begins.
        role: MetadataRole,
    },
    /// Chunks of a blob, for everyone who wants it.
    Blob {
        /// The workspace that owns the blob.
        workspace: WorkspaceId,
        /// Which blob.
        digest: Digest,
    },
}

/// What one device and the hub say to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// ↑ retained: [`crate::reported::Link`], the last will.
    Link,
    /// ↑ retained: [`crate::reported::Reported`].
    State,
    /// ↑ [`crate::log::Batch`] of outbox entries.
    Log,
    /// ↑ [`crate::blob::Want`].
    Want,
    /// ↓ retained: [`crate::desired::Desired`].
    Desired,
    /// ↓ [`crate::log::Ack`].
    Ack,
}

impl Channel {
    /// All channels.
    pub const ALL: [Self; 6] = [
        Self::Link,
        Self::State,
        Self::Log,
        Self::Want,
        Self::Desired,
        Self::Ack,
    ];

    /// The levels below the device's.
    pub const fn levels(self) -> &'static str {
        match self {
            Self::Link => "up/link",
            Self::State => "up/state",
            Self::Log => "up/log",
            Self::Want => "up/want",
            Self::Desired => "down/desired",
            Self::Ack => "down/ack",
        }
    }

    /// Whether the broker keeps the last message for those who come later.
    pub const fn retained(self) -> bool {
        matches!(self, Self::Link | Self::State | Self::Desired)
    }
}

/// Roles of which devices are told; they lead to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetadataRole {
    /// ↓ retained: [`crate::metadata::Roots`].
    Root,
    /// ↓ retained: [`crate::metadata::Newest`].
    Timestamp,
}

impl MetadataRole {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Root, Self::Timestamp];

    /// The level of the topic.
    pub const fn level(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
        }
    }
}

/// Topics of the metadata of a workspace. Not one filter with a wildcard: not every broker gives retained
/// messages to those (RabbitMQ does not).
pub fn metadata(workspace: &WorkspaceId) -> impl Iterator<Item = String> + use<> {
    let workspace = workspace.clone();
    MetadataRole::ALL.into_iter().map(move |role| {
        let workspace = workspace.clone();
        alloc::string::ToString::to_string(&Topic::Metadata { workspace, role })
    })
}

/// Filter for what all devices of a workspace send.
pub fn from_devices(workspace: &WorkspaceId) -> String {
    alloc::format!("{PREFIX}/{workspace}/d/+/up/#")
}

/// Filter for everything of a workspace; for people who watch.
pub fn everything(workspace: &WorkspaceId) -> String {
    alloc::format!("{PREFIX}/{workspace}/#")
}

/// The text is not a topic of version 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a topic of tern/1")]
pub struct TopicError;

impl FromStr for Topic {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        let rest = text
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.strip_prefix('/'));
        let mut levels = rest.ok_or(TopicError)?.splitn(4, '/');
        let mut level = || levels.next().ok_or(TopicError);
        let workspace = level()?.parse().map_err(|_| TopicError)?;
        match level()? {
            "d" => {
                let device = level()?.parse().map_err(|_| TopicError)?;
                let below = level()?;
                let channel = Channel::ALL
                    .into_iter()
                    .find(|channel| channel.levels() == below);
                Ok(Self::Device {
                    workspace,
                    device,
                    channel: channel.ok_or(TopicError)?,
                })
            }
            "meta" => {
                let below = level()?;
                let mut roles = MetadataRole::ALL.into_iter();
                let role = roles.find(|role| role.level() == below);
                match (role, levels.next()) {
                    (Some(role), None) => Ok(Self::Metadata { workspace, role }),
                    _ => Err(TopicError),
                }
            }
            "b" => {
                let digest = level()?.parse().map_err(|_| TopicError)?;
                match levels.next() {
                    None => Ok(Self::Blob { workspace, digest }),
                    Some(_) => Err(TopicError),
                }
            }
            _ => Err(TopicError),
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device {
                workspace,
                device,
                channel,
            } => {
                write!(f, "{PREFIX}/{workspace}/d/{device}/{}", channel.levels())
            }
            Self::Metadata { workspace, role } => {
                write!(f, "{PREFIX}/{workspace}/meta/{}", role.level())
            }
            Self::Blob { workspace, digest } => write!(f, "{PREFIX}/{workspace}/b/{digest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn every_topic_reads_back() {
        let workspace: WorkspaceId = "default".parse().expect("a name");
        let device: DeviceId = "meter-07".parse().expect("a name");
        for channel in Channel::ALL {
            let topic = Topic::Device {
                workspace: workspace.clone(),
                device: device.clone(),
                channel,
            };
            assert_eq!(topic.to_string().parse(), Ok(topic));
        }
        for role in MetadataRole::ALL {
            let topic = Topic::Metadata {
                workspace: workspace.clone(),
                role,
            };
            assert_eq!(topic.to_string().parse(), Ok(topic));
        }
        let topic = Topic::Blob {
            workspace,
            digest: Digest::of(b"x"),
        };
        assert_eq!(topic.to_string().parse(), Ok(topic));
    }

    #[test]
    fn the_longest_topics_and_filters_fit_every_broker() {
        use crate::{id::NAME_MAX, limits};
        let longest = "x".repeat(NAME_MAX);
        let workspace: WorkspaceId = longest.parse().expect("a name");
        let device: DeviceId = longest.parse().expect("a name");
        let blob = Topic::Blob {
            workspace: workspace.clone(),
            digest: Digest::of(b""),
        };
        let channels = Channel::ALL.map(|channel| Topic::Device {
            workspace: workspace.clone(),
            device: device.clone(),
            channel,
        });
        let topics = channels.into_iter().chain([blob]);
        let topics = topics.map(|topic| topic.to_string());
        for text in topics.chain([from_devices(&workspace)]) {
            assert!(text.split('/').count() <= limits::TOPIC_LEVELS, "{text}");
            assert!(text.len() <= limits::TOPIC, "{text}");
        }
        const { assert!(limits::TOPIC + 9 <= limits::PACKET_HEADER) };
        // A device that joins has its name in a certificate, which takes `NAME_MAX` bytes in all.
        const { assert!(NAME_MAX <= limits::CLIENT_ID) };
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            "tern",
            "tern/1",
            "tern/1/",
            "tern/2/w/d/x/up/log",
            "tern/1/w/d/x",
            "tern/1/w/d/x/up",
            "tern/1/w/d/x/up/log/more",
            "tern/1/w/d//up/log",
            "tern/1/w/d/+/up/log",
            "tern/1/w/b/00",
            "tern/1/w/meta/targets",
            "tern/1/w/meta/root/1",
            "tern/1/w/q/x",
            "$SYS/broker",
        ] {
            assert_eq!(bad.parse::<Topic>(), Err(TopicError), "{bad:?}");
        }
    }
}
