//! What a device may do at the broker: connect as itself, say its own things, hear what is for it.
//!
//! Called by the broker's hooks ([`super::gate`]) with what a client asks for. Pure: no socket, no
//! clock, no memory.
//!
//! Must never break:
//! - what is not named here is refused;
//! - no filter that is granted matches a topic of another device or another workspace.

use std::{fmt, str::FromStr};

use tern_protocol::{
    digest::Digest,
    id::{DeviceId, WorkspaceId},
    limits,
    topic::{Channel, MetadataRole, PREFIX, Topic},
};

/// Highest quality of service that anybody needs: what matters is acknowledged end to end.
pub const QOS: u8 = 1;

/// Who speaks, as the door has proved it. Written `{workspace}/d/{device}`: the common name of its
/// certificate, its client id, and the middle of its topics.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Speaker {
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// The device.
    pub device: DeviceId,
}

impl fmt::Display for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/d/{}", self.workspace, self.device)
    }
}

/// The text does not name a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a device, which looks like `workspace/d/device`")]
pub struct NotADevice;

impl FromStr for Speaker {
    type Err = NotADevice;

    fn from_str(text: &str) -> Result<Self, NotADevice> {
        let (workspace, rest) = text.split_once('/').ok_or(NotADevice)?;
        let device = rest.strip_prefix("d/").ok_or(NotADevice)?;
        Ok(Self {
            workspace: workspace.parse().map_err(|_| NotADevice)?,
            device: device.parse().map_err(|_| NotADevice)?,
        })
    }
}

/// A message as far as the rules look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Whether the broker shall keep it.
    pub retain: bool,
    /// Its quality of service.
    pub qos: u8,
    /// Bytes of its payload.
    pub len: usize,
}

/// Why a device may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not one of its own topics to speak on.
    #[error("a device speaks on its own `up/` topics only")]
    Topic,
    /// The broker keeps the last link and state of a device and nothing else of it.
    #[error("`up/link` and `up/state` are retained, nothing else is")]
    Retained,
    /// Too large.
    #[error("a payload has at most {} bytes", limits::PAYLOAD)]
    Size,
    /// A quality of service that nobody needs.
    #[error("quality of service is at most {QOS}")]
    Qos,
    /// Not a filter of what is for it.
    #[error("a device hears its own `down/` topics and the blobs and metadata of its workspace")]
    Filter,
    /// The name of somebody else.
    #[error("a device connects with its own name as client id")]
    ClientId,
    /// A last will that would be refused as a message.
    #[error("a last will goes to the device's own `up/link`")]
    Will,
}

/// Whether a device may connect with this client id and last will. The broker checks a will here
/// and never again: it is published by the broker itself.
pub fn may_connect(
    speaker: &Speaker,
    client_id: &str,
    will: Option<Said<'_>>,
) -> Result<(), Refused> {
    if client_id.parse().as_ref() != Ok(speaker) {
        return Err(Refused::ClientId);
    }
    match will {
        Some(will) if channel(speaker, will.topic) != Some(Channel::Link) => Err(Refused::Will),
        Some(will) => may_publish(speaker, will),
        None => Ok(()),
    }
}

/// Whether a device may publish this.
pub fn may_publish(speaker: &Speaker, said: Said<'_>) -> Result<(), Refused> {
    let channel = channel(speaker, said.topic).ok_or(Refused::Topic)?;
    match channel {
        Channel::Link | Channel::State | Channel::Log | Channel::Want => {}
        Channel::Desired | Channel::Ack => return Err(Refused::Topic),
    }
    if said.retain != channel.retained() {
        return Err(Refused::Retained);
    }
    if said.qos > QOS {
        return Err(Refused::Qos);
    }
    if said.len > limits::PAYLOAD {
        return Err(Refused::Size);
    }
    Ok(())
}

/// Whether a device may subscribe to this.
pub fn may_subscribe(speaker: &Speaker, filter: &str) -> Result<(), Refused> {
    let granted = below_workspace(speaker, filter).is_some_and(|rest| match rest.split_once('/') {
        Some(("d", rest)) => rest
            .strip_prefix(speaker.device.as_str())
            .and_then(|rest| rest.strip_prefix('/'))
            .is_some_and(|below| matches!(below, "down/+" | "down/desired" | "down/ack")),
        Some(("b", blob)) => blob == "+" || blob.parse::<Digest>().is_ok(),
        Some(("meta", which)) => {
            which == "+" || MetadataRole::ALL.iter().any(|role| role.level() == which)
        }
        _ => false,
    });
    granted.then_some(()).ok_or(Refused::Filter)
}

/// Whether somebody on this machine, at the plain listener, may use a topic or filter: anything of
/// Tern's. Those who can reach that listener can do all at the API too.
pub fn is_ours(topic_or_filter: &str) -> bool {
    topic_or_filter
        .strip_prefix(PREFIX)
        .is_some_and(|rest| rest.starts_with('/'))
}

fn channel(speaker: &Speaker, topic: &str) -> Option<Channel> {
    match topic.parse() {
        Ok(Topic::Device {
            workspace,
            device,
            channel,
        }) if workspace == speaker.workspace && device == speaker.device => Some(channel),
        _ => None,
    }
}

fn below_workspace<'a>(speaker: &Speaker, filter: &'a str) -> Option<&'a str> {
    filter
        .strip_prefix(PREFIX)?
        .strip_prefix('/')?
        .strip_prefix(speaker.workspace.as_str())?
        .strip_prefix('/')
}

#[cfg(test)]
mod tests;
