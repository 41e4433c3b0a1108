//! `tern model`: publish, list, show.

use std::{fs::File, io, path::PathBuf};

use clap::Subcommand;
use tern_cli::client::{Client, ClientError, Published};
use tern_protocol::{
    blob::BlobRef,
    codec,
    id::{ModelName, ModelVersion},
    limits,
    manifest::Manifest,
    rest::{DatasetPick, ModelView, NewInputSteps, NewPreStep, Revoke, Transcoding, VersionView},
};

use super::{
    Answer, Context, bar,
    given::Which,
    key::{KeyCommandError, Keys, Opened},
    spinner,
};
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
        /// Then publish it with its weights stored like this as well, each as a version of its own
        #[arg(long, value_enum, value_name = "HOW")]
        transcode: Vec<To>,
        /// The dataset that it was trained on: NAME@NUMBER, NAME for the newest, or an id. If that was prepared, devices
        /// do its steps: where publish.json declares none, they are added
        #[arg(long, value_name = "DATASET")]
        dataset: Option<DatasetPick>,
        #[command(flatten)]
        keys: Keys,
    },
    /// Have devices refuse a version from now on, and give them another instead
    #[command(after_help = "Example: tern model revoke digit-reader 3 --reason 'reads 6 for 8'")]
    Revoke {
        /// The model
        model: ModelName,
        /// Its version: a number, or latest
        #[arg(value_name = "VERSION")]
        which: Which,
        /// Why, for people
        #[arg(long)]
        reason: String,
        /// The version that devices get instead; the newest good one before it if not given
        #[arg(long, value_name = "VERSION")]
        replacement: Option<ModelVersion>,
        #[command(flatten)]
        keys: Keys,
    },
    /// Publish a version with its weights stored in fewer bits, as the next version
    #[command(
        after_help = "The hub runs both on the golden samples and on labelled captures, and says what it cost.\n\
        Example: tern model transcode digit-reader latest --to int8"
    )]
    Transcode {
        /// The model
        model: ModelName,
        /// Its version: a number, or latest
        #[arg(value_name = "VERSION")]
        which: Which,
        /// How weights are stored
        #[arg(long, value_enum)]
        to: To,
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
    #[error(transparent)]
    Key(#[from] KeyCommandError),
    #[error("the hub's manifest of version {0} is not to be signed: {1}")]
    Manifest(ModelVersion, String),
    #[error("model {0} has no version yet; publish one with `tern model publish {0} DIR`")]
    NoVersion(ModelName),
}

pub(crate) fn run(context: &mut Context, command: ModelCommand) -> Result<Answer, ModelError> {
    match command {
        ModelCommand::Publish {
            model,
            dir,
            note,
            transcode,
            dataset,
            keys,
        } => {
            let keys = keys.open()?;
            let mut package = Package::read(&dir)?;
            if let Some(note) = note {
                package.new.note = note;
            }
            if let Some(pick) = dataset {
                trained_on(context, &mut package, &pick)?;
            }
            let answer = publish(context, &model, &package, &keys)?;
            if transcode.is_empty() || matches!(answer, Answer::No) {
                return Ok(answer);
            }
            let version = context.client.publish(&model, &package.new)?.version;
            for to in transcode {
                self::transcode(context, &model, version.version, to)?;
            }
            Ok(answer)
        }
        ModelCommand::Revoke {
            model,
            which,
            reason,
            replacement,
            keys,
        } => {
            let revoke = Revoke {
                reason,
                replacement,
            };
            self::revoke(context, &model, which, &revoke, &keys.open()?)
        }
        ModelCommand::Transcode { model, which, to } => {
            let version = named(&context.client, &model, which)?.version;
            self::transcode(context, &model, version, to)
        }
        ModelCommand::List => list(context),
        ModelCommand::Show { model, which } => show(context, &model, which),
    }
}

/// Says what a package was trained on, and has devices do what was done to that.
fn trained_on(
    context: &Context,
    package: &mut Package,
    pick: &DatasetPick,
) -> Result<(), ModelError> {
    let found = context.client.dataset(pick)?;
    // Another version may become the newest meanwhile.
    package.new.dataset = Some(DatasetPick::Id(found.dataset.id));
    let prepared = found.manifest.and_then(|manifest| manifest.prepared);
    let steps = prepared.map(|prepared| prepared.pre).unwrap_or_default();
    if let Some(input) = package.new.inputs.first()
        && package.new.pre.is_empty()
        && !steps.is_empty()
    {
        talk(format_args!(
            "devices do what was done to {}: {}",
            found.dataset.title(),
            words::things(steps.len() as u64, "step")
        ));
        package.new.pre = vec![NewInputSteps {
            input: input.name.clone(),
            steps: steps.into_iter().map(NewPreStep::Known).collect(),
        }];
    }
    Ok(())
}

/// How weights can be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum To {
    /// Half precision: half the bytes
    Fp16,
    /// Eight bits with a scale for each channel: a quarter of the bytes
    Int8,
}

impl From<To> for Transcoding {
    fn from(to: To) -> Self {
        match to {
            To::Fp16 => Self::Fp16,
            To::Int8 => Self::Int8,
        }
    }
}

fn transcode(
    context: &Context,
    model: &ModelName,
    version: ModelVersion,
    to: To,
) -> Result<Answer, ModelError> {
    let working = spinner("the hub transcodes and vets the model".into());
    let answer = context.client.transcode(model, version, to.into());
    working.finish_and_clear();
    match answer {
        Ok(Published { version, new }) => {
            let text = |look| show::model::published(&version, new, look);
            context.out.answer(&version, text)?;
            if !version.signed {
                talk(format_args!(
                    "devices take it once it is signed: tern key sign --key FILE"
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

fn publish(
    context: &Context,
    model: &ModelName,
    package: &Package,
    keys: &Opened,
) -> Result<Answer, ModelError> {
    let (mut sent, mut known, mut lacked) = (0, 0, 0);
    for part in &package.parts {
        if context.client.has_blob(&part.digest)? {
            known += 1;
        } else {
            send(&context.client, part)?;
            sent += part.len;
            lacked += 1;
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
            if !new && lacked > 0 {
                let lacked = words::things(lacked, "file");
                talk(format_args!(
                    "the same version, mended: the hub lacked {lacked} of it, damaged or gone"
                ));
            }
            if !version.signed && !keys.is_empty() {
                check_manifest(context, &version, package)?;
                return Ok(keys.sign(context)?);
            }
            context.out.answer(&version, text)?;
            if !version.signed {
                talk(format_args!(
                    "devices take it once it is signed: tern key sign --key FILE"
                ));
            } else if context.out.reader == Reader::Person {
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

/// Whoever signs answers for the model, not for what a hub makes of it: its manifest must name the files
/// that are here.
fn check_manifest(
    context: &Context,
    version: &VersionView,
    package: &Package,
) -> Result<(), ModelError> {
    let wrong = |why: String| ModelError::Manifest(version.version, why);
    let bundle = version.bundle;
    let bytes = context
        .client
        .blob(&bundle.digest, limits::MANIFEST as u64)?;
    if BlobRef::of(&bytes) != bundle {
        return Err(wrong(
            "its bytes are not those that its digest names".into(),
        ));
    }
    let manifest: Manifest = codec::decode_within(&bytes, limits::MANIFEST)
        .map_err(|err| wrong(format!("it cannot be read: {err}")))?;
    let named = (
        manifest.onnx.digest,
        manifest.golden.digest,
        manifest.reference.map(|blob| blob.digest),
    );
    let ours = (package.new.onnx, package.new.golden, package.new.reference);
    if named == ours && (&manifest.model, manifest.version) == (&version.model, version.version) {
        Ok(())
    } else {
        Err(wrong(
            "it names other files than those of the package".into(),
        ))
    }
}

fn revoke(
    context: &Context,
    model: &ModelName,
    which: Which,
    revoke: &Revoke,
    keys: &Opened,
) -> Result<Answer, ModelError> {
    let version = named(&context.client, model, which)?.version;
    let revoked = context.client.revoke_version(model, version, revoke)?;
    let replacement = revoked.revoked.as_ref().and_then(|r| r.replacement);
    match replacement {
        Some(other) => talk(format_args!("devices that have it get v{other} instead")),
        None => talk(format_args!(
            "there is no other version to give to devices that have it; they keep it until there is"
        )),
    }
    let trust = context.client.trust()?;
    if trust.draft_targets.is_some() {
        if !keys.is_empty() {
            return Ok(keys.sign(context)?);
        }
        talk(format_args!(
            "the hub gives it to nobody any more; devices refuse it once that is signed: \
             tern key sign --key FILE"
        ));
    }
    let text = |look| show::model::version(&revoked, clock::now(), look);
    context.out.answer(&revoked, text)?;
    Ok(Answer::Yes)
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
