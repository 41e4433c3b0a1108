//! `tern experiment` and `tern run`: what was tried, and which of it is best.

use clap::Subcommand;
use tern_cli::client::{BestQuery, Client, ClientError, RunQuery};
use tern_protocol::rest::{Constraints, Direction, ExperimentView};

use super::{Answer, Context};
use crate::{
    clock,
    out::{OutError, talk},
    show::run as show,
};

/// Runs that are listed unless told otherwise: a screen.
const LAST: usize = 50;

/// Runs on one page.
const PAGE: u64 = 200;

#[derive(Debug, Subcommand)]
pub(crate) enum ExperimentCommand {
    /// Experiments with their runs, the newest first
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// Runs of an experiment, the newest first unless told otherwise
    List {
        /// Of this experiment: its name or number
        #[arg(long, short, value_name = "NAME", default_value = "0")]
        experiment: String,
        /// Only those that hold to this, as `metrics.acc > 0.9 and params.depth = '3'`
        #[arg(long, value_name = "FILTER")]
        filter: Option<String>,
        /// In this order, as `metrics.acc DESC`
        #[arg(long, value_name = "ORDER")]
        order_by: Option<String>,
        /// Those that were deleted
        #[arg(long)]
        deleted: bool,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = LAST)]
        last: usize,
    },
    /// All that is known of one run
    Show {
        /// Its id
        #[arg(value_parser = run_id)]
        run: String,
        /// The values of this metric, by step
        #[arg(long, value_name = "NAME")]
        metric: Option<String>,
    },
    /// The best run of an experiment, among those whose model devices can afford. Exit code 1 if there is none
    Best {
        /// Of this experiment: its name or number
        #[arg(long, short, value_name = "NAME", default_value = "0")]
        experiment: String,
        /// By this metric
        #[arg(long, short, value_name = "NAME")]
        metric: String,
        /// Less is better
        #[arg(long)]
        min: bool,
        /// Only those that hold to this, as `params.depth = '3'`
        #[arg(long, value_name = "FILTER")]
        filter: Option<String>,
        /// What its model may cost, as vetting measured it: `size < 200 kB and p95_ms < 5`
        #[arg(long = "where", value_name = "CONSTRAINTS", default_value = "")]
        constraints: Constraints,
    },
}

/// Why nothing was told of runs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("there is no experiment `{0}`; `tern experiment list` shows those that there are")]
    NoExperiment(String),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Out(#[from] OutError),
}

fn run_id(text: &str) -> Result<String, &'static str> {
    let name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if !text.is_empty() && text.len() <= 64 && text.bytes().all(name) {
        Ok(text.to_owned())
    } else {
        Err("write a run's id, 32 hex digits; `tern run list` shows them")
    }
}

pub(crate) fn experiment(
    context: &Context,
    command: &ExperimentCommand,
) -> Result<Answer, RunError> {
    let ExperimentCommand::List = command;
    let found = context.client.experiments().all()?;
    context.out.list(&found, "no experiments", |look| {
        show::experiments(&found, clock::now(), look)
    })?;
    Ok(Answer::Yes)
}

/// The experiment of this name or number. A name that looks like a number is one.
fn named(client: &Client, name: &str) -> Result<ExperimentView, RunError> {
    let mut all = client.experiments().all()?;
    let number = name.parse::<i64>().ok();
    let found = all
        .iter()
        .position(|one| number == Some(one.id))
        .or_else(|| all.iter().position(|one| one.name == name));
    let place = found.ok_or_else(|| RunError::NoExperiment(name.to_owned()))?;
    Ok(all.swap_remove(place))
}

pub(crate) fn run(context: &Context, command: RunCommand) -> Result<Answer, RunError> {
    let (client, out) = (&context.client, &context.out);
    match command {
        RunCommand::List {
            experiment,
            filter,
            order_by,
            deleted,
            last,
        } => {
            let of = named(client, &experiment)?;
            let query = RunQuery {
                filter,
                order_by,
                deleted,
                page: Some(PAGE.min(last.max(1) as u64)),
            };
            let found = client.runs(of.id, &query).take(last);
            let found = found.collect::<Result<Vec<_>, _>>()?;
            let advice = "no runs; point MLFLOW_TRACKING_URI at this hub and train";
            out.list(&found, advice, |look| {
                show::runs(&found, clock::now(), look)
            })?;
        }
        RunCommand::Show { run, metric: None } => {
            let found = client.run(&run)?;
            out.answer(&found, |look| show::run(&found, clock::now(), look))?;
        }
        RunCommand::Show {
            run,
            metric: Some(metric),
        } => {
            let found = client.curve(&run, &metric)?;
            out.answer(&found, |look| show::curve(&found, look))?;
        }
        RunCommand::Best {
            experiment,
            metric,
            min,
            filter,
            constraints,
        } => {
            let of = named(client, &experiment)?;
            let query = BestQuery {
                metric,
                direction: if min { Direction::Min } else { Direction::Max },
                filter,
                constraints,
            };
            let found = client.best_run(of.id, &query)?;
            out.answer(&found, |look| show::best(&found, look))?;
            if found.best.is_none() {
                talk(show::no_best(&found));
                return Ok(Answer::No);
            }
        }
    }
    Ok(Answer::Yes)
}
