//! `tern tap`: what devices and hub say to each other, live.
//!
//! From a plain broker by MQTT ([`broker`]); from a secured hub, whose broker speaks with devices only,
//! by its API ([`hub`]).

mod broker;
mod hub;

use std::time::{Duration, Instant};

use tern_protocol::{
    id::DeviceId,
    topic::{Channel, Topic},
};

use self::broker::BrokerError;
use super::{Answer, Context, given::duration};
use crate::{
    out::{Out, OutError, Reader, talk},
    tap::{Heard, json::json, text::text},
};

/// The broker of a hub that was started with `--insecure-loopback`.
const LOCAL: &str = "127.0.0.1:1883";

/// Between two tries to connect again.
const AGAIN: Duration = Duration::from_secs(1);

/// Tries to connect again before we give up: a restart of a hub takes seconds.
const TRIES: u32 = 60;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "↑ is said by a device, ↓ to devices. What cannot be read is shown with the \
    reason.\nA secured hub's broker speaks with devices only, so the hub passes on what goes by from \
    then on; a plain broker shows what it had kept as well.\n\
    Example: tern tap --device meter-01 --channel state"
)]
pub(crate) struct TapArgs {
    /// A broker that asks nobody who they are, HOST:PORT; the hub itself if it is secured
    #[arg(long, value_name = "ADDR", env = "TERN_MQTT")]
    mqtt: Option<String>,
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
    /// Which signed metadata there are
    Meta,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TapError {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Hub(#[from] tern_cli::client::ClientError),
    #[error(transparent)]
    Out(#[from] OutError),
}

pub(crate) fn run(context: &mut Context, args: &TapArgs) -> Result<Answer, TapError> {
    let mut tap = Tap {
        args,
        out: &context.out,
        printed: 0,
        end: args.timeout.map(|timeout| Instant::now() + timeout),
    };
    let secured = context.client.hub().starts_with("https://");
    match &args.mqtt {
        None if secured => hub::listen(&mut tap, &context.client),
        given => {
            let address = given.as_deref().unwrap_or(LOCAL);
            broker::listen(&mut tap, address, &context.workspace)
        }
    }
}

/// What was asked for, and how much of it was printed.
struct Tap<'a> {
    args: &'a TapArgs,
    out: &'a Out,
    printed: u64,
    end: Option<Instant>,
}

impl Tap<'_> {
    /// How much of the time that was given is left.
    fn left(&self) -> Option<Duration> {
        let end = self.end;
        end.map(|end| end.saturating_duration_since(Instant::now()))
    }

    /// Says to a person that from now on messages are printed.
    fn listening(&self, place: impl std::fmt::Display) {
        if self.out.reader == Reader::Person {
            talk(format_args!("listening to {place}"));
        }
    }

    fn on_timeout(&self) -> Answer {
        match self.args.count {
            Some(count) if self.printed < count => Answer::No,
            _ => Answer::Yes,
        }
    }

    /// Prints a message if it was asked for; whether that was the last one.
    fn print(&mut self, heard: &Heard) -> Result<bool, OutError> {
        if self.args.wants(heard.parsed.as_ref()) {
            self.printed += 1;
            match self.out.reader {
                Reader::Program => self.out.json_line(&json(heard))?,
                Reader::Person => self.out.text(&text(heard, self.out.look))?,
            }
        }
        Ok(self.args.count.is_some_and(|count| self.printed >= count))
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
            Some(Topic::Metadata { .. }) => (None, Some(ChannelGiven::Meta)),
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
