//! `tern lineage`.

use tern_protocol::rest::{LineageOf, LineageWay};

use super::{Answer, AskError, Context};
use crate::{clock, show};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "What can be asked about: version:MODEL/N, dataset:NAME@N, run:ID, job:N, rollout:N, round:MODEL/N,\n\
    device:ID, prediction:DEVICE/BOOT-NUMBER (as a device answers it), code:DIGEST, person:NAME."
)]
pub(crate) struct LineageArgs {
    /// What, as version:digits/3
    of: LineageOf,
    /// Only what it comes from
    #[arg(long, conflicts_with = "forward")]
    back: bool,
    /// Only what became of it
    #[arg(long)]
    forward: bool,
}

pub(crate) fn run(context: &Context, args: &LineageArgs) -> Result<Answer, AskError> {
    let way = match (args.back, args.forward) {
        (true, _) => LineageWay::Back,
        (_, true) => LineageWay::Forward,
        _ => LineageWay::Both,
    };
    let view = context.client.lineage(&args.of, way)?;
    let text = |_| show::lineage::lineage(&view, way, clock::now());
    context.out.answer(&view, text)?;
    Ok(Answer::Yes)
}
