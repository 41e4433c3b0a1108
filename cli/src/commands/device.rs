//! `tern device`: list, show.

use clap::Subcommand;
use serde::Serialize;
use tern_cli::client::DeviceQuery;
use tern_protocol::{
    id::{DeviceId, SiteName},
    rest::{DeviceView, EventView},
};

use super::{
    Answer, AskError, Context,
    given::{HealthGiven, key_value},
};
use crate::{clock, show};

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// Devices that match every option; without options, all
    List {
        /// At this site
        #[arg(long)]
        site: Option<SiteName>,
        /// Of this health
        #[arg(long)]
        health: Option<HealthGiven>,
        /// With this label
        #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
        label: Option<(String, String)>,
    },
    /// A device: what it is, what its slots serve, what happened there
    Show {
        /// The device
        device: DeviceId,
        /// How many of its newest events
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1000))]
        events: u32,
    },
}

pub(crate) fn run(context: &mut Context, command: DeviceCommand) -> Result<Answer, AskError> {
    match command {
        DeviceCommand::List {
            site,
            health,
            label,
        } => {
            let query = DeviceQuery {
                site,
                health: health.map(Into::into),
                label,
            };
            list(context, &query)
        }
        DeviceCommand::Show { device, events } => show(context, &device, events),
    }
}

fn list(context: &Context, query: &DeviceQuery) -> Result<Answer, AskError> {
    let devices = context.client.devices(query).all()?;
    let advice = if *query == DeviceQuery::default() {
        "no device yet; one appears when its agent connects: `tern-agent run --config FILE`"
    } else {
        "no device matches; `tern device list` shows all"
    };
    let text = |look| show::device::list(&devices, clock::now(), look);
    context.out.list(&devices, advice, text)?;
    Ok(Answer::Yes)
}

/// A device with its events, as programs get it.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    device: &'a DeviceView,
    events: &'a [EventView],
}

fn show(context: &Context, id: &DeviceId, events: u32) -> Result<Answer, AskError> {
    let device = context.client.device(id)?;
    let events = match events {
        0 => Vec::new(),
        limit => context.client.device_events(id, limit)?,
    };
    let shown = Shown {
        device: &device,
        events: &events,
    };
    let text = |look| show::device::device(&device, &events, clock::now(), look);
    context.out.answer(&shown, text)?;
    Ok(Answer::Yes)
}
