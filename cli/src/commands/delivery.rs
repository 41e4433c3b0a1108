//! `tern delivery`.

use super::{Answer, AskError, Context};
use crate::{clock, show};

/// What a person asks for.
#[derive(Debug, clap::Args)]
pub(crate) struct DeliveryArgs {
    /// How many versions, those that moved last
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    versions: u32,
    /// Every part of every version
    #[arg(long)]
    parts: bool,
}

pub(crate) fn run(context: &mut Context, args: &DeliveryArgs) -> Result<Answer, AskError> {
    let delivery = context.client.delivery(args.versions)?;
    let detail = if args.parts {
        show::delivery::Detail::Parts
    } else {
        show::delivery::Detail::Versions
    };
    let text = |look| show::delivery::delivery(&delivery, detail, clock::now(), look);
    context.out.answer(&delivery, text)?;
    Ok(Answer::Yes)
}
