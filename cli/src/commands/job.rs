//! `tern job`: run, list, show, follow, cancel, do again, take out what was made.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, IsTerminal as _, Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Subcommand;
use tern_cli::client::{Client, ClientError, JobQuery, LogQuery};
use tern_protocol::{
    id::{ComputeName, JobId},
    rest::{
        JobAsked, JobDetail, JobEntry, JobEnvironment, JobProject, JobRetry, JobState, JobVariable,
    },
};

use super::{Answer, Context, given};
use crate::{
    clock,
    out::{Out, OutError, Reader, talk},
    project::{self, ProjectError},
    show::{job as show, words},
};

/// Jobs that are listed unless told otherwise: a screen.
const LAST: usize = 50;

/// Largest file of a job, of requirements.
const FILE: u64 = 4 * 1024 * 1024;

/// How long one question for more of a log waits.
const WAIT: Duration = Duration::from_secs(20);

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
        /// Only those that are not over
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
    /// What it says
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
    /// Let a job end
    Cancel {
        /// Its number
        #[arg(value_parser = job_id)]
        id: JobId,
    },
    /// Do a job that is over once more, as a job of its own
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
    /// What a job made
    Artifacts {
        /// Its number
        #[arg(value_parser = job_id)]
        id: JobId,
    },
    /// Write an artifact of a job, or all of them
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

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// The job as a file of YAML or JSON; what else is given here comes before what stands in it
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// What it is called
    #[arg(long)]
    name: Option<String>,
    /// A directory that is packed and sent: the working directory of the command
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath, conflicts_with = "project_at")]
    project: Option<PathBuf>,
    /// The same on the machine where it runs, as an absolute path; for Ray a URI that the cluster can read
    #[arg(long, value_name = "PLACE")]
    project_at: Option<String>,
    /// An entry point of the project's MLproject, in place of a command
    #[arg(long, value_name = "NAME", conflicts_with = "command")]
    entry: Option<String>,
    /// A parameter of it, as alpha=0.5; repeatable
    #[arg(short = 'P', long = "parameter", value_name = "NAME=VALUE", value_parser = given::key_value, requires = "entry")]
    parameters: Vec<(String, String)>,
    /// Packages of Python, as pip reads them
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    requirements: Option<PathBuf>,
    /// Which Python, as 3.11
    #[arg(long, value_name = "VERSION", requires = "requirements")]
    python: Option<String>,
    /// A virtual environment that is there, in place of requirements
    #[arg(long, value_name = "DIR", conflicts_with = "requirements")]
    venv: Option<String>,
    /// An environment variable; repeatable
    #[arg(long = "env", short = 'e', value_name = "NAME=VALUE", value_parser = given::key_value)]
    variables: Vec<(String, String)>,
    /// A secret environment variable: its value is that of our own variable of this name; repeatable
    #[arg(long = "secret", value_name = "NAME")]
    secrets: Vec<String>,
    /// A dataset as digits@3, or a path on the machine where it runs
    #[arg(long, value_name = "DATASET")]
    dataset: Option<String>,
    /// Cores that it takes, as 2 or 0.5
    #[arg(long, value_name = "CORES", value_parser = cores)]
    cpus: Option<u32>,
    /// Memory that it may take, as 512MiB or 4GiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<u64>,
    /// Graphics processors that it takes
    #[arg(long, value_name = "N")]
    gpus: Option<u32>,
    /// How long the command may run, as 90m or 2d
    #[arg(long, value_name = "TIME", value_parser = given::duration)]
    time_limit: Option<Duration>,
    /// How often it is tried again when it ends badly
    #[arg(long, value_name = "N")]
    retries: Option<u32>,
    /// How long before the second try; the time doubles from try to try
    #[arg(long, value_name = "TIME", value_parser = given::duration)]
    retry_wait: Option<Duration>,
    /// 0 to 9; the higher ones of the workspace go first
    #[arg(long, value_name = "N")]
    priority: Option<u8>,
    /// Files below its working directory that are kept, as 'model/**'; repeatable
    #[arg(long = "artifact", value_name = "PATTERN")]
    artifacts: Vec<String>,
    /// Where it runs; on the hub's machine if not given
    #[arg(long, value_name = "COMPUTE")]
    on: Option<ComputeName>,
    /// The experiment of its MLflow run
    #[arg(long, value_name = "NAME")]
    experiment: Option<String>,
    /// Without an MLflow run
    #[arg(long, conflicts_with = "experiment")]
    no_tracking: bool,
    /// By what it is known again: the same key gives the same job
    #[arg(long, value_name = "TEXT")]
    key: Option<String>,
    /// Show what it says until it is over; the exit code tells how it ended
    #[arg(long, short)]
    follow: bool,
    /// The command and its arguments, after --
    #[arg(last = true)]
    command: Vec<String>,
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

/// `2` or `0.5`, in thousandths.
pub(super) fn cores(text: &str) -> Result<u32, &'static str> {
    let cores = text.parse::<f64>().ok();
    let millis = cores.map(|cores| (cores * 1000.0).round());
    match millis {
        Some(millis) if (1.0..=1_024_000.0).contains(&millis) => Ok(millis as u32),
        _ => Err("write cores as 2 or 0.5"),
    }
}

/// `512MiB`, `4GiB`, a bare number is bytes.
pub(super) fn size(text: &str) -> Result<u64, &'static str> {
    const WRONG: &str = "write a size as 512MiB or 4GiB";
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| WRONG)?;
    let factor = match unit.trim() {
        "" | "B" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" | "K" => 1024.0,
        "MiB" | "M" => 1024.0 * 1024.0,
        "GiB" | "G" => 1024.0 * 1024.0 * 1024.0,
        "TiB" | "T" => 1024.0_f64.powi(4),
        _ => return Err(WRONG),
    };
    Ok((number * factor).round() as u64)
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
        } => return follow(context, id, attempt),
        JobCommand::Log { id, attempt, .. } => log(client, out, id, attempt)?,
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
            let secrets = secrets.into_iter().map(own).collect::<Result<_, _>>()?;
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
        } => get(context, id, path, attempt, to.as_deref())?,
    }
    Ok(Answer::Yes)
}

/// A secret by the name of our own variable.
fn own(name: String) -> Result<(String, String), JobError> {
    match std::env::var(&name) {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(JobError::NoSecret(name)),
    }
}

fn read(path: &Path) -> Result<String, JobError> {
    let wrong = |source| JobError::Read {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(wrong)?;
    file.take(FILE).read_to_string(&mut text).map_err(wrong)?;
    Ok(text)
}

fn asked(client: &Client, args: RunArgs) -> Result<(JobAsked, Option<String>), JobError> {
    let mut asked = match &args.file {
        None => JobAsked::of(Vec::<String>::new()),
        Some(path) => serde_saphyr::from_str(&read(path)?).map_err(|err| JobError::File {
            path: path.clone(),
            text: err.to_string(),
        })?,
    };
    if !args.command.is_empty() {
        asked.command = args.command;
        asked.entry = None;
    }
    if let Some(point) = args.entry {
        asked.command.clear();
        asked.entry = Some(JobEntry {
            point,
            parameters: args.parameters.into_iter().collect::<BTreeMap<_, _>>(),
        });
    }
    if asked.command.is_empty() && asked.entry.is_none() {
        return Err(JobError::Nothing);
    }
    if let Some(path) = &args.requirements {
        asked.environment = JobEnvironment::Requirements {
            text: read(path)?,
            python: args.python,
        };
    }
    if let Some(path) = args.venv {
        asked.environment = JobEnvironment::Venv(path);
    }
    for (name, value) in args.variables {
        asked.variables.insert(name, JobVariable::Plain(value));
    }
    for name in args.secrets {
        let (name, secret) = own(name)?;
        asked.variables.insert(name, JobVariable::Secret { secret });
    }
    let resources = &mut asked.resources;
    resources.cpu_millis = args.cpus.unwrap_or(resources.cpu_millis);
    resources.memory = args.memory.unwrap_or(resources.memory);
    resources.gpus = args.gpus.unwrap_or(resources.gpus);
    asked.time_limit = args
        .time_limit
        .map_or(asked.time_limit, |time| time.as_secs());
    asked.retries.most = args.retries.unwrap_or(asked.retries.most);
    asked.retries.wait = args
        .retry_wait
        .map_or(asked.retries.wait, |time| time.as_secs());
    asked.priority = args.priority.unwrap_or(asked.priority);
    asked.artifacts.extend(args.artifacts);
    asked.name = args.name.or(asked.name);
    asked.dataset = args.dataset.or(asked.dataset);
    asked.compute = args.on.or(asked.compute);
    asked.experiment = args.experiment.or(asked.experiment);
    if args.no_tracking {
        asked.tracking = false;
        asked.experiment = None;
    }
    if let Some(place) = args.project_at {
        asked.project = Some(JobProject::At(place));
    }
    if let Some(dir) = args.project {
        asked.project = Some(upload(client, &dir)?);
    }
    Ok((asked, args.key))
}

/// Packs a project and sends it, unless the hub has it.
fn upload(client: &Client, dir: &Path) -> Result<JobProject, JobError> {
    let packed = project::pack(dir)?;
    if packed.links > 0 {
        let links = words::things(packed.links as u64, "link");
        talk(format_args!(
            "{links} of the project left out: only files are packed"
        ));
    }
    let len = packed.bytes.len() as u64;
    let files = words::things(packed.files as u64, "file");
    if client.has_blob(&packed.digest)? {
        talk(format_args!("{files}: known to the hub before"));
    } else {
        client.put_blob(
            &packed.digest,
            len,
            &mut packed.bytes.as_slice(),
            &mut |_| {},
        )?;
        talk(format_args!("{files}: {} sent", words::bytes(len)));
    }
    Ok(JobProject::Archive {
        archive: packed.digest,
    })
}

fn submit(context: &Context, args: RunArgs) -> Result<Answer, JobError> {
    let follows = args.follow;
    let (asked, key) = asked(&context.client, args)?;
    let new = context.client.submit_job(&asked, key.as_deref())?;
    submitted(context, &new, follows)
}

fn submitted(context: &Context, new: &JobDetail, follows: bool) -> Result<Answer, JobError> {
    let id = new.view.id;
    if follows {
        talk(format_args!("job {id}"));
        return follow(context, id, None);
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

/// What it has said so far.
fn log(client: &Client, out: &Out, id: JobId, attempt: Option<u32>) -> Result<(), JobError> {
    let mut offset = 0;
    loop {
        let query = LogQuery {
            attempt,
            offset,
            wait: Duration::ZERO,
        };
        let part = client.job_log(id, query)?;
        let end = part.over || part.text.is_empty();
        tell(out, &part, offset)?;
        if end {
            return Ok(());
        }
        offset = part.next;
    }
}

fn tell(out: &Out, part: &tern_protocol::rest::JobLog, asked: u64) -> Result<(), JobError> {
    if out.reader == Reader::Program {
        if !part.text.is_empty() {
            out.json_line(part)?;
        }
        return Ok(());
    }
    if part.from > asked {
        let bytes = words::bytes(part.from - asked);
        talk(format_args!("… {bytes} were not kept …"));
    }
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(words::clean(&part.text.replace("\r\n", "\n").replace('\r', "\n")).as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(OutError::from)?;
    Ok(())
}

/// What it says until it is over, attempt by attempt; whether it succeeded.
fn follow(context: &Context, id: JobId, attempt: Option<u32>) -> Result<Answer, JobError> {
    let (client, out) = (&context.client, &context.out);
    let (mut of, mut offset, mut told) = (attempt, 0, String::new());
    loop {
        let query = LogQuery {
            attempt: of,
            offset,
            wait: WAIT,
        };
        let part = client.job_log(id, query)?;
        if part.attempt > 0 && of != Some(part.attempt) {
            // From here on of this one, so that the next does not come in its middle.
            of = Some(part.attempt);
            if part.attempt > 1 && attempt.is_none() {
                talk(format_args!("attempt {}", part.attempt));
            }
            if offset > 0 {
                offset = 0;
                continue;
            }
        }
        tell(out, &part, offset)?;
        offset = part.next;
        let silent = part.text.is_empty();
        if !(part.over || silent) {
            continue;
        }
        let job = client.job(id)?;
        let of_all = attempt.is_none();
        if job.view.state.is_over() && (part.over || part.attempt == 0) {
            match out.reader {
                Reader::Program => out.json_line(&job)?,
                Reader::Person => talk(show::ended(&job.view)),
            }
            return Ok(if job.view.state == JobState::Succeeded {
                Answer::Yes
            } else {
                Answer::No
            });
        }
        if part.over && !of_all {
            return Ok(Answer::Yes);
        }
        if part.over && job.view.attempts > part.attempt {
            of = None;
            offset = 0;
            continue;
        }
        if out.reader == Reader::Person {
            let now = show::waiting(&job.view);
            if !now.is_empty() && now != told {
                talk(&now);
                told = now;
            }
        }
        if part.over {
            // Between two attempts nothing is said that could be waited for.
            std::thread::park_timeout(Duration::from_millis(500));
        }
    }
}

fn get(
    context: &Context,
    id: JobId,
    path: Option<String>,
    attempt: Option<u32>,
    to: Option<&Path>,
) -> Result<(), JobError> {
    let client = &context.client;
    if let Some(path) = path {
        let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
        let to = to.map_or_else(|| PathBuf::from(&name), Path::to_path_buf);
        if to == Path::new("-") {
            if io::stdout().is_terminal() && !path.ends_with(".txt") {
                return Err(JobError::Terminal(path));
            }
            let mut stdout = io::stdout().lock();
            client.job_artifact(id, &path, attempt, &mut stdout)?;
            return Ok(());
        }
        return fetch(client, id, &path, attempt, &to);
    }
    let found = client.job(id)?;
    let mut all = BTreeMap::new();
    for one in &found.artifacts {
        if attempt.is_none_or(|number| number == one.attempt) {
            all.insert(one.path.clone(), one.attempt);
        }
    }
    if all.is_empty() {
        return Err(JobError::NoArtifacts(id));
    }
    let dir = to.map_or_else(|| PathBuf::from(format!("job-{id}")), Path::to_path_buf);
    for (path, number) in &all {
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if !path.split('/').all(plain) {
            return Err(JobError::Name(path.clone()));
        }
        fetch(client, id, path, Some(*number), &dir.join(path))?;
    }
    let files = words::things(all.len() as u64, "file");
    talk(format_args!("{files} in {}", dir.display()));
    Ok(())
}

/// Whole, or not there.
fn fetch(
    client: &Client,
    id: JobId,
    path: &str,
    attempt: Option<u32>,
    to: &Path,
) -> Result<(), JobError> {
    let wrong = |path: &Path, source| JobError::Write {
        path: path.to_owned(),
        source,
    };
    if let Some(parent) = to.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(|err| wrong(parent, err))?;
    }
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let file = File::create(&partial).map_err(|err| wrong(&partial, err))?;
    let mut file = BufWriter::new(file);
    let fetched = client.job_artifact(id, path, attempt, &mut file);
    let written = fetched.map_err(JobError::from).and_then(|bytes| {
        file.flush().map_err(|err| wrong(&partial, err))?;
        fs::rename(&partial, to).map_err(|err| wrong(to, err))?;
        Ok(bytes)
    });
    match written {
        Ok(bytes) => {
            talk(format_args!("{}: {}", to.display(), words::bytes(bytes)));
            Ok(())
        }
        Err(err) => {
            // What is left of it is of no use.
            let _ = fs::remove_file(&partial);
            Err(err)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_cores() {
        for (text, bytes) in [
            ("512MiB", 512 << 20),
            ("4GiB", 4 << 30),
            ("1.5G", 3 << 29),
            ("7", 7),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        assert!(size("lots").is_err() && size("4 parsecs").is_err());
        assert_eq!((cores("2"), cores("0.5")), (Ok(2000), Ok(500)));
        assert!(cores("0").is_err() && cores("NaN").is_err());
    }
}
