//! `tern accuracy`.

use tern_cli::client::AccuracyQuery;
use tern_protocol::id::ModelName;

use super::{Answer, AskError, Context};
use crate::show;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Stands on labels of captured inputs, weighted by the inverse of the probability \
    with which\neach was captured."
)]
pub(crate) struct AccuracyArgs {
    /// Of this model only
    #[arg(long)]
    model: Option<ModelName>,
    /// From only the newest N labels of each row, by the time of the prediction
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    last: Option<u64>,
}

pub(crate) fn run(context: &mut Context, args: &AccuracyArgs) -> Result<Answer, AskError> {
    let query = AccuracyQuery {
        model: args.model.clone(),
        last: args.last,
    };
    let rows = context.client.accuracy(&query)?;
    let advice = "no label yet; import some with `tern label import FILE.csv`";
    let text = |look| show::truth::accuracy(&rows, look);
    context.out.list(&rows, advice, text)?;
    Ok(Answer::Yes)
}
