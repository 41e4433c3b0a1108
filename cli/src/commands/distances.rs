//! `tern distances`.

use std::time::Duration;

use tern_cli::client::DistancesQuery;
use tern_protocol::{
    id::{ModelName, ModelVersion, SiteName},
    rest::Baseline,
    time::WallTime,
};

use super::{Answer, AskError, Context, given};
use crate::{clock, show};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Jensen-Shannon distances go from 0 to 1; of a PSI people say that 0.1 is little and 0.25 much. Neither\n\
    is an alarm: a model may bear what is far, and suffer from what is near. Intervals leave out one hour (of\n\
    times over a week, one day) at a time."
)]
pub(crate) struct DistancesArgs {
    /// The model
    model: ModelName,
    /// Its version
    #[arg(id = "VERSION")]
    version: ModelVersion,
    /// Only at this site
    #[arg(long)]
    site: Option<SiteName>,
    /// The time up to now, as `6h` or `30d`
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = given::duration)]
    last: Duration,
    /// Compare with the same hours a week before instead of training
    #[arg(long)]
    week_before: bool,
    /// What is told of each place, at most
    #[arg(long, value_name = "N", default_value_t = 5)]
    top: usize,
}

pub(crate) fn run(context: &mut Context, args: &DistancesArgs) -> Result<Answer, AskError> {
    let now = clock::now();
    let length = i64::try_from(args.last.as_millis()).unwrap_or(i64::MAX);
    let query = DistancesQuery {
        model: args.model.clone(),
        version: args.version,
        site: args.site.clone(),
        from: Some(WallTime(now.0.saturating_sub(length))),
        to: Some(now),
        baseline: if args.week_before {
            Baseline::WeekBefore
        } else {
            Baseline::Training
        },
    };
    let view = context.client.distances(&query)?;
    let text = |look| show::distances::distances(&view, args.top, look);
    context.out.answer(&view, text)?;
    Ok(Answer::Yes)
}
