//! `tern compute`: where jobs run.

use std::{fs, io, path::PathBuf, time::Duration};

use clap::Subcommand;
use tern_cli::client::ClientError;
use tern_protocol::{
    id::ComputeName,
    rest::{
        ComputeKind, ComputeScaling, ComputeSettings, ComputeToken, ComputeView, JobResources,
        KubernetesSettings,
    },
};

use super::{Answer, Context, given};
use crate::{
    out::{OutError, Reader, talk},
    show::job as show,
};

#[derive(Debug, Subcommand)]
pub(crate) enum ComputeCommand {
    /// Computes, the hub's machine first
    List,
    /// One compute
    Show {
        /// Its name
        name: ComputeName,
    },
    /// Add a cluster; who runs the hub may
    #[command(after_help = "Examples:\n  \
        tern compute add lab --ray http://ray.lab:8265 --cpus 16 --memory 64GiB --max 4\n  \
        tern compute add k8s --kubernetes https://10.0.0.1:6443 --namespace training --image python:3.12-slim \\\n    \
        --token-file /etc/tern/k8s.token --ca ca.pem --cpus 8 --memory 32GiB --max 10")]
    Add(Box<AddArgs>),
    /// Change how a compute grows, or pause it; who runs the hub may
    Set(SetArgs),
    /// Remove a compute on which nothing runs; who runs the hub may
    Remove {
        /// Its name
        name: ComputeName,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// Its name
    name: ComputeName,
    /// Address of the dashboard of a Ray cluster
    #[arg(
        long,
        value_name = "URL",
        required_unless_present = "kubernetes",
        conflicts_with = "kubernetes"
    )]
    ray: Option<String>,
    /// Address of the API of a Kubernetes cluster
    #[arg(long, value_name = "URL", requires = "image")]
    kubernetes: Option<String>,
    /// Its namespace
    #[arg(
        long,
        value_name = "NAME",
        default_value = "default",
        conflicts_with = "ray"
    )]
    namespace: String,
    /// The image that every job runs in
    #[arg(long, value_name = "IMAGE", conflicts_with = "ray")]
    image: Option<String>,
    /// The account that jobs have in the cluster
    #[arg(long, value_name = "NAME", conflicts_with = "ray")]
    service_account: Option<String>,
    /// What a graphics processor is called there
    #[arg(long, value_name = "RESOURCE", conflicts_with = "ray")]
    gpu_resource: Option<String>,
    /// The file on the hub's machine with the token by which the cluster knows the hub; read each time
    #[arg(long, value_name = "FILE", conflicts_with = "token_env")]
    token_file: Option<String>,
    /// Our own variable with that token, which the hub keeps
    #[arg(long, value_name = "NAME")]
    token_env: Option<String>,
    /// Authorities that vouch for the cluster, as PEM
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    ca: Option<PathBuf>,
    /// Cores of one of its machines
    #[arg(long, value_name = "CORES", value_parser = given::cores)]
    cpus: u32,
    /// Memory of one of its machines, as 64GiB
    #[arg(long, value_name = "SIZE", value_parser = given::size)]
    memory: u64,
    /// Graphics processors of one of its machines
    #[arg(long, value_name = "N", default_value_t = 0)]
    gpus: u32,
    /// Jobs there get a token, for tracking and artifacts, although everybody sees it who sees the dashboard of Ray
    #[arg(long)]
    tracking: bool,
    #[command(flatten)]
    scaling: ScalingArgs,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct ScalingArgs {
    /// So many units are there always
    #[arg(long, value_name = "N")]
    min: Option<u32>,
    /// More than so many never are
    #[arg(long, value_name = "N")]
    max: Option<u32>,
    /// How long more has to be wanted before there is more, as 30s
    #[arg(long, value_name = "TIME", value_parser = given::duration)]
    up_after: Option<Duration>,
    /// How long less has to be wanted before there is less, as 5m
    #[arg(long, value_name = "TIME", value_parser = given::duration)]
    idle_after: Option<Duration>,
}

impl ScalingArgs {
    fn over(self, before: ComputeScaling) -> ComputeScaling {
        let max = self.max.unwrap_or(before.max);
        ComputeScaling {
            min: self.min.unwrap_or(before.min.min(max)),
            max,
            up_after: self.up_after.map_or(before.up_after, |time| time.as_secs()),
            idle_after: self
                .idle_after
                .map_or(before.idle_after, |time| time.as_secs()),
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct SetArgs {
    /// Its name
    name: ComputeName,
    #[command(flatten)]
    scaling: ScalingArgs,
    /// Start nothing new there
    #[arg(long, conflicts_with = "resume")]
    pause: bool,
    /// Start things there again
    #[arg(long)]
    resume: bool,
}

/// What keeps us from doing it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComputeError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Out(#[from] OutError),
    #[error("reading {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("there is no environment variable {0} here")]
    NoToken(String),
}

pub(crate) fn run(context: &Context, command: ComputeCommand) -> Result<Answer, ComputeError> {
    let (client, out) = (&context.client, &context.out);
    match command {
        ComputeCommand::List => {
            let all = client.computes()?;
            out.list(&all, "no computes", |look| show::computes(&all, look))?;
        }
        ComputeCommand::Show { name } => {
            let one = client.compute(&name)?;
            out.answer(&one, |look| show::compute(&one, look))?;
        }
        ComputeCommand::Add(args) => {
            let (name, settings) = settings(*args)?;
            client.set_compute(&name, &settings)?;
            done(context, &name)?;
        }
        ComputeCommand::Set(args) => {
            let before = client.compute(&args.name)?;
            client.set_compute(&args.name, &changed(&before, &args))?;
            done(context, &args.name)?;
        }
        ComputeCommand::Remove { name } => {
            client.remove_compute(&name)?;
            if out.reader == Reader::Person {
                talk(format_args!("{name} is removed"));
            }
        }
    }
    Ok(Answer::Yes)
}

fn done(context: &Context, name: &ComputeName) -> Result<(), ComputeError> {
    let one = context.client.compute(name)?;
    context.out.answer(&one, |look| show::compute(&one, look))?;
    Ok(())
}

fn settings(args: AddArgs) -> Result<(ComputeName, ComputeSettings), ComputeError> {
    let token = match (args.token_file, args.token_env) {
        (Some(path), _) => Some(ComputeToken::File(path)),
        (None, Some(name)) => match std::env::var(&name) {
            Ok(token) => Some(ComputeToken::Token(token.trim().to_owned())),
            Err(_) => return Err(ComputeError::NoToken(name)),
        },
        (None, None) => None,
    };
    let ca = args.ca.map(|path| {
        let read = fs::read_to_string(&path);
        read.map_err(|source| ComputeError::Read { path, source })
    });
    let kubernetes = args.image.map(|image| KubernetesSettings {
        namespace: args.namespace,
        image,
        service_account: args.service_account,
        gpu: args.gpu_resource,
    });
    let (kind, url) = match (args.ray, args.kubernetes) {
        (Some(url), _) => (ComputeKind::Ray, url),
        (None, url) => (ComputeKind::Kubernetes, url.unwrap_or_default()),
    };
    let scaling = args.scaling.over(ComputeScaling {
        min: 0,
        max: 1,
        up_after: 10,
        idle_after: 300,
    });
    let settings = ComputeSettings {
        kind,
        url: Some(url),
        token,
        ca: ca.transpose()?,
        unit: Some(JobResources {
            cpu_millis: args.cpus,
            memory: args.memory,
            gpus: args.gpus,
        }),
        scaling: Some(scaling),
        kubernetes,
        tracking: args.tracking,
        paused: false,
    };
    Ok((args.name, settings))
}

/// The same with what was asked for; what is not shown stays as it is.
fn changed(before: &ComputeView, args: &SetArgs) -> ComputeSettings {
    let local = before.kind == ComputeKind::Local;
    ComputeSettings {
        kind: before.kind,
        url: before.url.clone(),
        token: None,
        ca: before.ca.clone(),
        unit: (!local).then_some(before.unit),
        scaling: Some(args.scaling.over(before.scaling)),
        kubernetes: before.kubernetes.clone(),
        tracking: before.tracking,
        paused: if args.pause {
            true
        } else {
            before.paused && !args.resume
        },
    }
}
