//! `tern finding`: what moved, where, since when and why.

use clap::Subcommand;
use tern_cli::client::FindingQuery;
use tern_protocol::id::ModelName;

use super::{Answer, AskError, Context};
use crate::{clock, out::talk, show::finding as show};

/// Findings that are listed unless told otherwise: a screen.
const LAST: usize = 50;

#[derive(Debug, Subcommand)]
pub(crate) enum FindingCommand {
    /// What moved, the newest first: what goes on, unless told otherwise
    List {
        /// Only of this model
        #[arg(long)]
        model: Option<ModelName>,
        /// Also what is over
        #[arg(long)]
        all: bool,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = LAST)]
        last: usize,
    },
    /// All that is known of one finding
    Show {
        /// Its number
        #[arg(value_parser = number)]
        id: i64,
    },
    /// Say that what was found is usual from now on: it ends, and the same is not told again
    Accept {
        /// Its number
        #[arg(value_parser = number)]
        id: i64,
    },
}

fn number(text: &str) -> Result<i64, &'static str> {
    let id = text.trim_start_matches('#').parse();
    id.map_err(|_| "write a finding's number; `tern finding list` shows them")
}

pub(crate) fn run(context: &Context, command: FindingCommand) -> Result<Answer, AskError> {
    let (client, out) = (&context.client, &context.out);
    match command {
        FindingCommand::List { model, all, last } => {
            let query = FindingQuery {
                model,
                open: (!all).then_some(true),
            };
            let found = client.findings(&query).take(last);
            let found = found.collect::<Result<Vec<_>, _>>()?;
            let advice = if all {
                "nothing was found to have moved"
            } else {
                "nothing is found to have moved now; `--all` shows what is over"
            };
            out.list(&found, advice, |look| {
                show::findings(&found, clock::now(), look)
            })?;
        }
        FindingCommand::Show { id } => {
            let found = client.finding(id)?;
            out.answer(&found, |look| show::finding(&found, clock::now(), look))?;
        }
        FindingCommand::Accept { id } => {
            let found = client.accept_finding(id)?;
            out.answer(&found, |look| show::finding(&found, clock::now(), look))?;
            talk(format_args!("finding {id}: this is usual from now on"));
        }
    }
    Ok(Answer::Yes)
}
