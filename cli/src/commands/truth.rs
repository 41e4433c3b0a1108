//! `tern truth`.

use std::time::Duration;

use tern_cli::client::TruthQuery;
use tern_protocol::{
    id::{ModelName, ModelVersion, SiteName},
    rest::Part,
    time::WallTime,
};

use super::{Answer, AskError, Context, chart::word, given};
use crate::{clock, show};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Labels weigh as much as the inverse of the probability with which their inputs were captured. Labels that\n\
    the labelling page asked for by their value are told, and left out. Estimates without labels stand on how\n\
    sure the model was, and assume that it is as right as ever at each confidence."
)]
pub(crate) struct TruthArgs {
    /// The model
    model: ModelName,
    /// Its version
    #[arg(id = "VERSION")]
    version: ModelVersion,
    /// Only of predictions at this site
    #[arg(long)]
    site: Option<SiteName>,
    /// Only of devices with this part in a rollout: treatment or control
    #[arg(long, value_parser = word::<Part>)]
    arm: Option<Part>,
    /// Only of predictions of the time up to now, as `6h` or `30d`
    #[arg(long, value_name = "TIME", value_parser = given::duration)]
    since: Option<Duration>,
    /// Only the newest N labels, by the time of the prediction
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    last: Option<u64>,
}

pub(crate) fn run(context: &mut Context, args: &TruthArgs) -> Result<Answer, AskError> {
    let from = args.since.map(|since| {
        let length = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        WallTime(clock::now().0.saturating_sub(length))
    });
    let query = TruthQuery {
        model: args.model.clone(),
        version: args.version,
        site: args.site.clone(),
        arm: args.arm,
        from,
        last: args.last,
    };
    let view = context.client.truth(&query)?;
    let text = |look| show::measured::truth(&view, look);
    context.out.answer(&view, text)?;
    Ok(Answer::Yes)
}
