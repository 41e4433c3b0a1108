//! `tern device`: list, show; who may speak is in [`admission`].

use clap::Subcommand;
use serde::Serialize;
use tern_cli::client::{DeviceQuery, Verdict};
use tern_protocol::{
    id::{DeviceId, InvitationId, SiteName, SlotName},
    rest::{DeviceView, IdentityState, TimelineEntry},
};

use super::{
    Answer, AskError, Context,
    admission::{self, InviteArgs, JudgeArgs, StateGiven},
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
    /// A device: what it is, what its slots serve, what happened there and why
    Show {
        /// The device
        device: DeviceId,
        /// How many of the newest entries of its timeline
        #[arg(long, alias = "events", value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=500))]
        timeline: u32,
        /// Only the timeline of this slot
        #[arg(long)]
        slot: Option<SlotName>,
    },
    /// Make a token with which devices join; it is shown once
    Invite(InviteArgs),
    /// Invitations and how often they were used
    Invitations,
    /// Revoke an invitation; who has joined with it stays in
    Uninvite {
        /// Its number
        #[arg(value_parser = invitation_id)]
        id: InvitationId,
    },
    /// Devices that wait to be accepted
    Pending,
    /// Keys that speak, wait or spoke for devices
    Identities {
        /// Of this device
        #[arg(long)]
        device: Option<DeviceId>,
        /// In this state
        #[arg(long)]
        state: Option<StateGiven>,
    },
    /// Let a waiting identity speak; one that it replaces no longer may
    Accept(JudgeArgs),
    /// Refuse a waiting identity
    Reject(JudgeArgs),
    /// Take an identity's right to speak; its connection is cut at once
    Revoke {
        #[command(flatten)]
        judge: JudgeArgs,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

fn invitation_id(text: &str) -> Result<InvitationId, &'static str> {
    let id = text.trim_start_matches('#').parse().map(InvitationId);
    id.map_err(|_| "write an invitation's number; `tern device invitations` shows them")
}

pub(crate) fn run(context: &mut Context, command: DeviceCommand) -> anyhow::Result<Answer> {
    Ok(match command {
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
            list(context, &query)?
        }
        DeviceCommand::Show {
            device,
            timeline,
            slot,
        } => show(context, &device, slot.as_ref(), timeline)?,
        DeviceCommand::Invite(args) => admission::invite(context, args)?,
        DeviceCommand::Invitations => admission::invitations(context)?,
        DeviceCommand::Uninvite { id } => admission::uninvite(context, id)?,
        DeviceCommand::Pending => {
            admission::identities(context, None, Some(IdentityState::Pending))?
        }
        DeviceCommand::Identities { device, state } => {
            admission::identities(context, device.as_ref(), state.map(Into::into))?
        }
        DeviceCommand::Accept(args) => admission::judge(context, Verdict::Accept, args)?,
        DeviceCommand::Reject(args) => admission::judge(context, Verdict::Reject, args)?,
        DeviceCommand::Revoke { judge, yes } => admission::revoke(context, judge, yes)?,
    })
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

/// A device with its timeline, as programs get it.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    device: &'a DeviceView,
    timeline: &'a [TimelineEntry],
}

fn show(
    context: &Context,
    id: &DeviceId,
    slot: Option<&SlotName>,
    entries: u32,
) -> Result<Answer, AskError> {
    let device = context.client.device(id)?;
    let timeline = match entries {
        0 => Vec::new(),
        limit => context.client.timeline(id, slot, limit)?,
    };
    let shown = Shown {
        device: &device,
        timeline: &timeline,
    };
    let text = |look| show::device::device(&device, &timeline, clock::now(), look);
    context.out.answer(&shown, text)?;
    Ok(Answer::Yes)
}
