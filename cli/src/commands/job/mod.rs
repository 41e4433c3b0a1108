//! `tern job`: run, list, show, follow, cancel, do again, take out what was made.

mod asked;
mod fetched;
mod said;

use std::{io, path::PathBuf};

use clap::Subcommand;
use tern_cli::client::{ClientError, JobQuery};
use tern_protocol::{
    id::{ComputeName, JobId},
    rest::{JobDetail, JobRetry, JobState},
};

use self::asked::RunArgs;
use super::{Answer, Context};
use crate::{
    clock,
    out::{OutError, Reader, talk},
    project::ProjectError,
    show::job as show,
};

/// Jobs that are listed unless told otherwise: a screen.
const LAST: usize = 50;

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// Run a command, or an entry point of an MLproject
    #[command(
        after_help = "With --follow the exit code tells how it ended: 0 it succeeded, 1 it did not.\nExamples:\n  \
        tern job run --follow -- python -c 'print(42)'\n  \
        tern job run --project . --requirements requirements.txt --artifact 'model/**' -- python train.py\n  \
        tern job run --project . --entry main -P alpha=0.5 --follow"
    )]
    Run(Box<RunArgs>),
    /// Jobs, the newest first
    List {
        /// Only those in this state
        #[arg(long, value_parser = state)]
        state: Option<JobState>,
        /// Only those that have not finished
        #[arg(long)]
        open: bool,
        /// Only those of this account
        #[arg(long, value_name = "USER")]
        by: Option<String>,
        /// Only those on this compute
        #[arg(long, value_name = "NAME")]
        on: Option<ComputeName>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = LAST)]
        last: usize,
    },
    /// All that is known of one job
    Show {
        /// Its number
        #[arg(value_parser = job_id)]
        id: JobId,
    },
    /// Print the log of a job
    #[command(visible_alias = "logs")]
    Log {
        /// Its number
        #[arg(value_parser = job_id)]
        id: JobId,
        /// Of this attempt; of the last if not given
        #[arg(long, value_name = "NUMBER")]
        attempt: Option<u32>,
        /// Go on until it is over; the exit code tells how it ended
        #[arg(long, short)]
        follow: bool,
    },
    /// Cancel a job
    Cancel {
        /// Its number
        #[arg(value_parser = job_id)]
        id: JobId,
    },
    /// Run a finished job again, as a new job
    Retry {
        /// Its number
        #[arg(value_parser = job_id)]
        id: JobId,
        /// A secret of it, which the hub has forgotten: its value is that of our own variable of this name; repeatable
        #[arg(long = "secret", value_name = "NAME")]
        secrets: Vec<String>,
        /// Go on until it is over; the exit code tells how it ended
        #[arg(long, short)]
        follow: bool,
    },
    /// List the artifacts of a job
    Artifacts {
        /// Its number
        #[arg(value_parser = job_id)]
        id: JobId,
    },
    /// Download an artifact of a job, or all of them
    Get {
        /// Its number
        #[arg(value_parser = job_id)]
        id: JobId,
        /// Where it was below the working directory; all if not given
        path: Option<String>,
        /// Of this attempt; of the last that has it if not given
        #[arg(long, value_name = "NUMBER")]
        attempt: Option<u32>,
        /// The file to write, - is stdout; of all artifacts the directory
        #[arg(long, short, value_name = "PATH")]
        out: Option<PathBuf>,
    },
}

/// What keeps us from doing it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Out(#[from] OutError),
    #[error(transparent)]
    Project(#[from] ProjectError),
    #[error("say what to run: a command after --, --entry NAME of a --project, or --file FILE")]
    Nothing,
    #[error("reading {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}: {text}", path.display())]
    File { path: PathBuf, text: String },
    #[error(
        "there is no environment variable {0} here; a secret is handed over by one, so that it is in no history"
    )]
    NoSecret(String),
    #[error("writing {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("job {0} has no artifacts")]
    NoArtifacts(JobId),
    #[error("stdout is a terminal; write {0} to a file with --out FILE, or --out - if it is text")]
    Terminal(String),
    #[error(
        "the artifact `{0}` has a name that leads out of the directory; fetch it by its name with --out FILE"
    )]
    Name(String),
}

fn job_id(text: &str) -> Result<JobId, &'static str> {
    let id = text.trim_start_matches('#').parse().map(JobId);
    id.map_err(|_| "write a job's number; `tern job list` shows them")
}

fn state(text: &str) -> Result<JobState, String> {
    JobState::of(text).ok_or_else(|| {
        let all = JobState::ALL.map(JobState::word);
        format!("one of {}", all.join(", "))
    })
}

pub(crate) fn run(context: &Context, command: JobCommand) -> Result<Answer, JobError> {
    let (client, out) = (&context.client, &context.out);
    match command {
        JobCommand::Run(args) => return submit(context, *args),
        JobCommand::List {
            state,
            open,
            by,
            on,
            last,
        } => {
            let query = JobQuery {
                state,
                open,
                by,
                compute: on,
                page: Some(200.min(last.max(1) as u64)),
            };
            let found: Result<Vec<_>, _> = client.jobs(&query).take(last).collect();
            let found = found?;
            out.list(
                &found,
                "no jobs; run one with `tern job run -- COMMAND`",
                |look| show::jobs(&found, clock::now(), look),
            )?;
        }
        JobCommand::Show { id } => {
            let found = client.job(id)?;
            out.answer(&found, |look| show::job(&found, clock::now(), look))?;
        }
        JobCommand::Log {
            id,
            attempt,
            follow: true,
        } => return said::follow(context, id, attempt),
        JobCommand::Log { id, attempt, .. } => said::log(client, out, id, attempt)?,
        JobCommand::Cancel { id } => {
            let found = client.cancel_job(id)?;
            match out.reader {
                Reader::Program => out.document(&found)?,
                Reader::Person if found.view.state.is_over() => {
                    talk(format_args!("job {id} {}", found.view.state.word()));
                }
                Reader::Person => talk(format_args!("job {id} was told to end")),
            }
        }
        JobCommand::Retry {
            id,
            secrets,
            follow: follows,
        } => {
            let secrets = secrets
                .into_iter()
                .map(asked::own)
                .collect::<Result<_, _>>()?;
            let new = client.retry_job(id, &JobRetry { secrets })?;
            return submitted(context, &new, follows);
        }
        JobCommand::Artifacts { id } => {
            let found = client.job(id)?;
            out.list(&found.artifacts, "no artifacts", |look| {
                show::artifacts(&found.artifacts, look)
            })?;
        }
        JobCommand::Get {
            id,
            path,
            attempt,
            out: to,
        } => fetched::get(context, id, path, attempt, to.as_deref())?,
    }
    Ok(Answer::Yes)
}

fn submit(context: &Context, args: RunArgs) -> Result<Answer, JobError> {
    let follows = args.follow;
    let (asked, key) = asked::asked(&context.client, args)?;
    let new = context.client.submit_job(&asked, key.as_deref())?;
    submitted(context, &new, follows)
}

fn submitted(context: &Context, new: &JobDetail, follows: bool) -> Result<Answer, JobError> {
    let id = new.view.id;
    if follows {
        talk(format_args!("job {id}"));
        return said::follow(context, id, None);
    }
    match context.out.reader {
        Reader::Program => context.out.document(new)?,
        Reader::Person => {
            context.out.text(&id.to_string())?;
            talk(format_args!(
                "`tern job log --follow {id}` shows what it says"
            ));
        }
    }
    Ok(Answer::Yes)
}
