//! `tern model`: publish, list, show.

use std::{fs::File, io, path::PathBuf};

use clap::Subcommand;
use tern_cli::client::{Client, ClientError, Published};
use tern_protocol::{
    id::ModelName,
    rest::{ModelView, VersionView},
};

use super::{Answer, Context, bar, given::Which, spinner};
use crate::{
    clock,
    out::{OutError, Reader, talk},
    package::{Package, PackageError, Part},
    show::{self, words},
};

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Upload a package and have the hub vet it; accepted, it is the model's next version
    #[command(
        after_help = "DIR holds publish.json and the files it names, as the trainer writes them.\n\
        Example: tern model publish digit-reader trained/ --note 'with fog'\n\
        Exit code 1: the hub refused the model; what it found is listed."
    )]
    Publish {
        /// The model; it is made if it does not exist
        model: ModelName,
        /// Directory with publish.json
        #[arg(value_hint = clap::ValueHint::DirPath)]
        dir: PathBuf,
        /// What is new, for people; instead of the package's own note
        #[arg(long)]
        note: Option<String>,
    },
    /// All models
    List,
    /// A model with its versions, or one version
    Show {
        /// The model
        model: ModelName,
        /// One of its versions: a number, or latest
        // Not `version`: that is the name of the flag that every command has.
        #[arg(value_name = "VERSION")]
        which: Option<Which>,
    },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModelError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Out(#[from] OutError),
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error("opening {} again to send it", path.display())]
    Reopen {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("sending {}", path.display())]
    Send {
        path: PathBuf,
        #[source]
        source: ClientError,
    },
    #[error("model {0} has no version yet; publish one with `tern model publish {0} DIR`")]
    NoVersion(ModelName),
}

pub(crate) fn run(context: &mut Context, command: ModelCommand) -> Result<Answer, ModelError> {
    match command {
        ModelCommand::Publish { model, dir, note } => {
            let mut package = Package::read(&dir)?;
            if let Some(note) = note {
                package.new.note = note;
            }
            publish(context, &model, &package)
        }
        ModelCommand::List => list(context),
        ModelCommand::Show { model, which } => show(context, &model, which),
    }
}

fn publish(context: &Context, model: &ModelName, package: &Package) -> Result<Answer, ModelError> {
    let (mut sent, mut known) = (0, 0);
    for part in &package.parts {
        if context.client.has_blob(&part.digest)? {
            known += 1;
        } else {
            send(&context.client, part)?;
            sent += part.len;
        }
    }
    let files = words::things(package.parts.len() as u64, "file");
    let sent = words::bytes(sent);
    talk(format_args!(
        "{files}: {sent} sent, {known} known to the hub before"
    ));
    let vetting = spinner("the hub vets the model".into());
    let answer = context.client.publish(model, &package.new);
    vetting.finish_and_clear();
    match answer {
        Ok(Published { version, new }) => {
            let text = |look| show::model::published(&version, new, look);
            context.out.answer(&version, text)?;
            if context.out.reader == Reader::Person {
                talk(format_args!(
                    "next: tern rollout start {model}@{} --slot SLOT --watch",
                    version.version
                ));
            }
            Ok(Answer::Yes)
        }
        Err(ClientError::Problem(problem)) if problem.status == 422 => {
            let text = |look| show::problem::refused(&problem, look);
            context.out.answer(&problem, text)?;
            Ok(Answer::No)
        }
        Err(err) => Err(err.into()),
    }
}

fn send(client: &Client, part: &Part) -> Result<(), ModelError> {
    let template = "{msg:17} {bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}";
    let bar = bar(part.len, template).with_message(part.what);
    let mut file = File::open(&part.path).map_err(|source| ModelError::Reopen {
        path: part.path.clone(),
        source,
    })?;
    let sent = client.put_blob(&part.digest, part.len, &mut file, &mut |sent| {
        bar.set_position(sent);
    });
    match sent {
        Ok(_) => {
            bar.finish();
            Ok(())
        }
        // The hub's own words and the advice for an unreachable hub stand for themselves.
        Err(source @ ClientError::Source(_)) => Err(ModelError::Send {
            path: part.path.clone(),
            source,
        }),
        Err(err) => Err(err.into()),
    }
}

fn list(context: &Context) -> Result<Answer, ModelError> {
    let models = context.client.models().all()?;
    let advice = "no model yet; publish one with `tern model publish MODEL DIR`";
    let text = |look| show::model::list(&models, clock::now(), look);
    context.out.list(&models, advice, text)?;
    Ok(Answer::Yes)
}

fn show(context: &Context, model: &ModelName, which: Option<Which>) -> Result<Answer, ModelError> {
    let now = clock::now();
    match which {
        None => {
            let mut model = context.client.model(model)?;
            model
                .versions
                .sort_by_key(|version| std::cmp::Reverse(version.version));
            context
                .out
                .answer(&model, |look| show::model::model(&model, now, look))?;
        }
        Some(which) => {
            let version = named(&context.client, model, which)?;
            let text = |look| show::model::version(&version, now, look);
            context.out.answer(&version, text)?;
        }
    }
    Ok(Answer::Yes)
}

/// The version that a person named.
fn named(client: &Client, model: &ModelName, which: Which) -> Result<VersionView, ModelError> {
    match which {
        Which::Number(version) => Ok(client.version(model, version)?),
        Which::Latest => {
            latest(client.model(model)?).ok_or_else(|| ModelError::NoVersion(model.clone()))
        }
    }
}

/// The newest version of a model.
pub(crate) fn latest(model: ModelView) -> Option<VersionView> {
    let versions = model.versions.into_iter();
    versions.max_by_key(|version| version.version)
}
