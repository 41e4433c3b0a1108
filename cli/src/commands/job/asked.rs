//! What `tern job run` asks for: from a file, options and a directory that is packed and sent.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use tern_cli::client::Client;
use tern_protocol::{
    id::ComputeName,
    rest::{JobAsked, JobEntry, JobEnvironment, JobProject, JobVariable},
};

use super::JobError;
use crate::{commands::given, out::talk, project, show::words};

/// Largest file of a job, of requirements.
const FILE: u64 = 4 * 1024 * 1024;

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
    #[arg(long, value_name = "CORES", value_parser = given::cores)]
    cpus: Option<u32>,
    /// Memory that it may take, as 512MiB or 4GiB
    #[arg(long, value_name = "SIZE", value_parser = given::size)]
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
    pub(super) follow: bool,
    /// The command and its arguments, after --
    #[arg(last = true)]
    command: Vec<String>,
}

/// A secret by the name of our own variable.
pub(super) fn own(name: String) -> Result<(String, String), JobError> {
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

/// The job, and the key by which it is known again.
pub(super) fn asked(
    client: &Client,
    args: RunArgs,
) -> Result<(JobAsked, Option<String>), JobError> {
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
