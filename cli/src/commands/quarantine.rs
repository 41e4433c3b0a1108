//! `tern quarantine`.

use tern_protocol::id::DeviceId;

use super::{Answer, AskError, Context};
use crate::{clock, show};

/// What a person asks for.
#[derive(Debug, clap::Args)]
pub(crate) struct QuarantineArgs {
    /// Only of this device
    #[arg(long)]
    device: Option<DeviceId>,
}

pub(crate) fn run(context: &mut Context, args: &QuarantineArgs) -> Result<Answer, AskError> {
    let quarantined = context.client.quarantine(args.device.as_ref())?;
    let text = |look| show::quarantine::list(&quarantined, clock::now(), look);
    let advice = "no window is in quarantine: every one has a time that can be right";
    context.out.list(&quarantined, advice, text)?;
    Ok(Answer::Yes)
}
