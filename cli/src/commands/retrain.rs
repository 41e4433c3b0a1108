//! `tern retrain`: by which policies models are trained anew, how that stands, and what it taught. `tern proposal`: what
//! rounds ask people.

use std::path::PathBuf;

use clap::Subcommand;
use tern_cli::client::ClientError;
use tern_protocol::{
    id::{ModelName, ProposalId, TrainingName},
    rest::{NewRound, ProposalAnswer, ProposalWord, RetrainText},
};

use super::{
    Answer, Context,
    plan::{self, PlanError},
};
use crate::{
    clock,
    out::{OutError, Reader, talk},
    show::retrain as show,
};

#[derive(Debug, Subcommand)]
pub(crate) enum RetrainCommand {
    /// Policies: when and how a model is retrained
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Training jobs that policies name: how new models are trained
    #[command(subcommand)]
    Training(TrainingCommand),
    /// State of retraining of all models, or of one with its open round
    Status {
        /// The model
        model: Option<ModelName>,
    },
    /// Retrain now: open a round without any other reason
    Now {
        /// The model
        model: ModelName,
        /// Why
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            hide_default_value = true
        )]
        note: String,
    },
    /// Results of finished rounds, the latest first: what was rejected, and why
    Lessons {
        /// The model; all if not given
        model: Option<ModelName>,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 100)]
        last: u64,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Write a policy over the one that its model has
    Set {
        /// The policy, as YAML or JSON; `-` reads standard input
        file: PathBuf,
    },
    /// Say what is wrong with a policy, line by line, and what it names that is not there; exit code 1 if it is wrong
    Check {
        /// The policy, as YAML or JSON; `-` reads standard input
        file: PathBuf,
    },
    /// One as it was written, to be changed and set; a list if no model is given
    Show {
        /// The model
        model: Option<ModelName>,
    },
    /// Remove it; a round that is open ends
    Remove {
        /// The model
        model: ModelName,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TrainingCommand {
    /// Write one over that of the same name
    Set {
        /// Its name
        name: TrainingName,
        /// The job, as YAML or JSON: command, environment, project, resources; `-` reads standard input
        file: PathBuf,
    },
    /// All of the workspace
    List,
    /// One, without what is secret in it
    Show {
        /// Its name
        name: TrainingName,
    },
    /// Remove one that no policy names
    Remove {
        /// Its name
        name: TrainingName,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProposalCommand {
    /// What waits for an answer, the newest first
    List {
        /// Only of this model
        #[arg(long)]
        model: Option<ModelName>,
        /// Those that wait for nobody any more, too
        #[arg(long)]
        all: bool,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 100)]
        last: u64,
    },
    /// One with its evidence, and what people said
    Show {
        /// Its number
        #[arg(value_parser = proposal_id)]
        id: ProposalId,
    },
    /// Go on
    Agree(SayArgs),
    /// Do not; the round is over
    Decline(SayArgs),
    /// Compare again, with the labels that came since; to what is unclear
    Again(SayArgs),
    /// End the round, whatever it does
    Cancel(SayArgs),
}

/// What somebody says.
#[derive(Debug, clap::Args)]
pub(crate) struct SayArgs {
    /// Its number
    #[arg(value_parser = proposal_id)]
    id: ProposalId,
    /// Why, or anything else worth keeping
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    note: String,
}

/// What keeps us from doing it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RetrainError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Out(#[from] OutError),
    #[error(transparent)]
    File(#[from] PlanError),
}

fn proposal_id(text: &str) -> Result<ProposalId, &'static str> {
    let id = text.trim_start_matches('#').parse().map(ProposalId);
    id.map_err(|_| "write a proposal's number; `tern proposal list` shows them")
}

pub(crate) fn run(context: &Context, command: RetrainCommand) -> Result<Answer, RetrainError> {
    let (client, out) = (&context.client, &context.out);
    match command {
        RetrainCommand::Policy(command) => return policy(context, command),
        RetrainCommand::Training(command) => training(context, command)?,
        RetrainCommand::Status { model: None } => {
            let all = client.retraining()?;
            let none =
                "no model is trained anew; write a policy with `tern retrain policy set FILE`";
            out.list(&all, none, |look| show::all(&all, clock::now(), look))?;
        }
        RetrainCommand::Status { model: Some(model) } => {
            let one = client.retraining_of(&model)?;
            out.answer(&one, |look| show::one(&one, clock::now(), look))?;
        }
        RetrainCommand::Now { model, note } => {
            let view = client.open_round(&model, &NewRound { note })?;
            match out.reader {
                Reader::Program => out.document(&view)?,
                Reader::Person => talk(format_args!(
                    "a round of {model} opens within seconds; follow it with: tern retrain status {model}"
                )),
            }
        }
        RetrainCommand::Lessons { model, last } => {
            let all = client.lessons(model.as_ref(), last)?;
            out.list(&all, "no round is over yet", |look| {
                show::lessons(&all, clock::now(), look)
            })?;
        }
    }
    Ok(Answer::Yes)
}

fn policy(context: &Context, command: PolicyCommand) -> Result<Answer, RetrainError> {
    let (client, out) = (&context.client, &context.out);
    match command {
        PolicyCommand::Set { file } => {
            let text = RetrainText {
                text: plan::text(&file)?,
            };
            let check = client.check_retrain_policy(&text)?;
            if !check.problems.is_empty() {
                out.answer(&check, |look| show::check(&check, look))?;
                return Ok(Answer::No);
            }
            let policy = client.set_retrain_policy(&text)?;
            match out.reader {
                Reader::Program => out.document(&policy)?,
                Reader::Person => {
                    talk(format_args!(
                        "{} is trained anew by this policy",
                        policy.model
                    ));
                    for warning in &check.warnings {
                        talk(format_args!("  {warning}"));
                    }
                }
            }
        }
        PolicyCommand::Check { file } => {
            let text = RetrainText {
                text: plan::text(&file)?,
            };
            let check = client.check_retrain_policy(&text)?;
            out.answer(&check, |look| show::check(&check, look))?;
            if !check.problems.is_empty() {
                return Ok(Answer::No);
            }
        }
        PolicyCommand::Show { model: Some(model) } => {
            let policy = client.retrain_policy(&model)?;
            out.answer(&policy, |_| policy.text.clone())?;
        }
        PolicyCommand::Show { model: None } => {
            let all = client.retraining()?.into_iter();
            let all: Vec<_> = all.filter_map(|one| one.policy).collect();
            let none = "no model has a policy of retraining; write one with `tern retrain policy set FILE`";
            out.list(&all, none, |look| show::policies(&all, clock::now(), look))?;
        }
        PolicyCommand::Remove { model } => {
            client.remove_retrain_policy(&model)?;
            if out.reader == Reader::Person {
                talk(format_args!("{model} is not trained anew any more"));
            }
        }
    }
    Ok(Answer::Yes)
}

fn training(context: &Context, command: TrainingCommand) -> Result<(), RetrainError> {
    let (client, out) = (&context.client, &context.out);
    match command {
        TrainingCommand::Set { name, file } => {
            let text = RetrainText {
                text: plan::text(&file)?,
            };
            client.set_training(&name, &text)?;
            match out.reader {
                Reader::Program => out.document(&client.training(&name)?)?,
                Reader::Person => talk(format_args!(
                    "training `{name}` is kept; a policy names it with `training: {name}`"
                )),
            }
        }
        TrainingCommand::List => {
            let all = client.trainings()?;
            let none = "no training; write one with `tern retrain training set NAME FILE`";
            out.list(&all, none, |look| show::trainings(&all, clock::now(), look))?;
        }
        TrainingCommand::Show { name } => {
            let one = client.training(&name)?;
            out.answer(&one, |_| one.text.clone())?;
        }
        TrainingCommand::Remove { name } => {
            client.remove_training(&name)?;
            if out.reader == Reader::Person {
                talk(format_args!("training `{name}` is removed"));
            }
        }
    }
    Ok(())
}

pub(crate) fn proposal(
    context: &Context,
    command: ProposalCommand,
) -> Result<Answer, RetrainError> {
    let (client, out) = (&context.client, &context.out);
    let (args, word) = match command {
        ProposalCommand::List { model, all, last } => {
            let found = client.proposals(model.as_ref(), all, last)?;
            out.list(&found, "nothing waits for an answer", |look| {
                show::proposals(&found, clock::now(), look)
            })?;
            return Ok(Answer::Yes);
        }
        ProposalCommand::Show { id } => {
            let one = client.proposal(id)?;
            out.answer(&one, |look| show::proposal(&one, clock::now(), look))?;
            return Ok(Answer::Yes);
        }
        ProposalCommand::Agree(args) => (args, ProposalWord::Agree),
        ProposalCommand::Decline(args) => (args, ProposalWord::Decline),
        ProposalCommand::Again(args) => (args, ProposalWord::Again),
        ProposalCommand::Cancel(args) => (args, ProposalWord::Cancel),
    };
    let SayArgs { id, note } = args;
    let answer = ProposalAnswer { say: word, note };
    let said = client.answer_proposal(id, &answer)?;
    match out.reader {
        Reader::Program => out.document(&said)?,
        Reader::Person => talk(format_args!(
            "said `{}` to proposal {id}; what follows: tern retrain status {}",
            word.word(),
            said.model
        )),
    }
    Ok(Answer::Yes)
}
