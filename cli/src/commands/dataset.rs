//! `tern dataset`: make, look at, get, compare, remove.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use clap::Subcommand;
use tern_cli::client::{Client, ClientError};
use tern_protocol::{
    digest::Digest,
    id::{DatasetName, DatastoreName, DeviceId, ModelName, SiteName},
    limits,
    rest::{
        DATASET_MANIFEST, DatasetBuild, DatasetImport, DatasetOrder, DatasetPick, DatasetState,
        DatasetView, ImportFile, ImportSource, LabelSource, NewDataset, Share, Split, TensorForm,
    },
    tensor::Dtype,
    time::WallTime,
};

use super::{Answer, Context, given, spinner};
use crate::{
    clock,
    out::{OutError, talk},
    package::{PackageError, Part},
    show::{dataset as show, words},
};

/// Between two looks whether a version is done.
const LOOK: Duration = Duration::from_millis(300);

#[derive(Debug, Subcommand)]
pub(crate) enum DatasetCommand {
    /// Datasets with their newest versions, or all versions of one
    List {
        /// All versions of this one
        name: Option<DatasetName>,
    },
    /// What a version is: rows, classes, columns, what it was made from and what was trained on it
    Show {
        /// NAME@NUMBER, NAME for the newest, or an id
        dataset: DatasetPick,
    },
    /// Make a version of labelled captures, and of a version before
    #[command(
        after_help = "Rows that an earlier version of the name has stay in the split that they were in.\n\
        Examples:\n  tern dataset build digits --model digit-reader\n  \
        tern dataset build digits --model digit-reader --base digits@1 --keep-out 20% --site harbour"
    )]
    Build(Box<Build>),
    /// Make a version of files, Parquet or CSV
    #[command(
        after_help = "Columns id, device, site, at (milliseconds), source and weight are what they are called, unless \
        --feature names them; all others beside the label are features, or elements of the tensor.\nExamples:\n  \
        tern dataset import digits field.csv --label truth --tensor image:f32:64 --held-out 20%\n  \
        tern dataset import meters --split train=a.parquet --split held-out=b.parquet --label fault\n  \
        tern dataset import parcels parcels.csv --label late --feature weight"
    )]
    Import(Box<Import>),
    /// Write a version as a directory: dataset.json and a Parquet file for each split
    Get {
        /// NAME@NUMBER, NAME for the newest, or an id
        dataset: DatasetPick,
        /// The directory; it is made, and must not have files of the same names
        #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
        to: PathBuf,
    },
    /// The first rows of a version
    Rows {
        /// NAME@NUMBER, NAME for the newest, or an id
        dataset: DatasetPick,
        /// Of this split: train, held-out or kept-out
        #[arg(long, default_value = "train")]
        split: Split,
        /// So many, at most 200
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// What sets two versions apart, row by row
    Diff {
        /// One version
        from: DatasetPick,
        /// The other
        to: DatasetPick,
    },
    /// Stop the making of a version
    Stop {
        /// NAME@NUMBER, or an id
        dataset: DatasetPick,
    },
    /// Remove the files of a version; its number is not given again
    Remove {
        /// NAME@NUMBER, or an id
        dataset: DatasetPick,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Build {
    /// The dataset; its first version makes it
    name: DatasetName,
    /// Captures of this model
    #[arg(long)]
    model: ModelName,
    /// With all rows of this version
    #[arg(long, value_name = "DATASET")]
    base: Option<DatasetPick>,
    /// Captured from then on: 2026-11-24, 2026-11-24T09:30:00Z, or how long ago as 24h
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<WallTime>,
    /// Captured before
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<WallTime>,
    /// Without labels that were stored after this
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<WallTime>,
    /// Only from this site; repeatable
    #[arg(long = "site", value_name = "SITE")]
    sites: Vec<SiteName>,
    /// Only of this true class; repeatable
    #[arg(long = "class", value_name = "CLASS")]
    classes: Vec<String>,
    /// Only with labels from there: person, import or device; repeatable
    #[arg(long = "source", value_name = "SOURCE", value_parser = source)]
    sources: Vec<LabelSource>,
    /// Not of this device; repeatable
    #[arg(long, value_name = "DEVICE")]
    without: Vec<DeviceId>,
    /// Share of the captures to keep out, to compare models on: whole devices, or the latest of a site's only one
    #[arg(long, value_name = "SHARE", default_value = "0%")]
    keep_out: Share,
    /// Share of the others to hold out; a fifth, unless a base has some
    #[arg(long, value_name = "SHARE")]
    held_out: Option<Share>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// The dataset; its first version makes it
    name: DatasetName,
    /// Files; of a datastore, paths in it
    #[arg(value_name = "FILE", required_unless_present = "splits", value_hint = clap::ValueHint::FilePath)]
    files: Vec<String>,
    /// A file of a split: train=FILE, held-out=FILE or kept-out=FILE; repeatable
    #[arg(long = "split", value_name = "SPLIT=FILE", value_parser = split_file)]
    splits: Vec<(Split, String)>,
    /// The column with the truth
    #[arg(long, value_name = "COLUMN")]
    label: String,
    /// A column that is a feature although it is called id, device, site, at, source, weight, label or input;
    /// repeatable. In the version it is called `feature_weight` and so on
    #[arg(long = "feature", value_name = "COLUMN")]
    features: Vec<String>,
    /// Share of the rows to hold out, of files that name no split
    #[arg(long, value_name = "SHARE")]
    held_out: Option<Share>,
    /// What models get is a tensor, as image:f32:8x8; without, a table
    #[arg(long, value_name = "NAME:TYPE:SHAPE", value_parser = tensor)]
    tensor: Option<TensorForm>,
    /// Truths are numbers
    #[arg(long, conflicts_with = "classes")]
    numbers: bool,
    /// Truths are classes, also where all of them are numbers
    #[arg(long)]
    classes: bool,
    /// The files are in this datastore of the hub
    #[arg(long, value_name = "NAME")]
    datastore: Option<DatastoreName>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
pub(crate) struct How {
    /// Inputs, truths and classes may be others than in the version before
    #[arg(long)]
    new_schema: bool,
    /// Asked again with the same key, it is the same version
    #[arg(long, value_name = "TEXT")]
    pub(crate) key: Option<String>,
    /// Do not wait until it is done
    #[arg(long)]
    pub(crate) no_wait: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatasetError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Out(#[from] OutError),
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error("sending {}", path.display())]
    Send {
        path: PathBuf,
        #[source]
        source: ClientError,
    },
    #[error("{} is there already; choose another directory, or remove it", .0.display())]
    There(PathBuf),
    #[error("writing {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not what dataset.json says; get it again", .0.display())]
    Damaged(PathBuf),
    #[error("{0} has no files: it is {1}")]
    NoFiles(String, &'static str),
}

fn moment(text: &str) -> Result<WallTime, given::GivenError> {
    given::moment(text, clock::now())
}

fn source(text: &str) -> Result<LabelSource, String> {
    let named = LabelSource::named(text);
    if named.word() == text {
        Ok(named)
    } else {
        Err("a label is from a person, an import or a device".into())
    }
}

fn split_file(text: &str) -> Result<(Split, String), String> {
    let (split, file) = text
        .split_once('=')
        .ok_or("write SPLIT=FILE, for example train=a.parquet")?;
    Ok((split.parse()?, file.to_owned()))
}

fn tensor(text: &str) -> Result<TensorForm, String> {
    let wrong = || "write NAME:TYPE:SHAPE, for example image:f32:8x8".to_owned();
    let parts: Vec<&str> = text.split(':').collect();
    let [name, dtype, shape] = parts[..] else {
        return Err(wrong());
    };
    let all = [Dtype::F32, Dtype::F64, Dtype::I32, Dtype::I64, Dtype::U8];
    let dtype = all.into_iter().find(|known| known.to_string() == dtype);
    let shape: Option<Vec<u32>> = shape.split('x').map(|dim| dim.parse().ok()).collect();
    Ok(TensorForm {
        name: name.to_owned(),
        dtype: dtype.ok_or("a type is f32, f64, i32, i64 or u8")?,
        shape: shape.filter(|_| !name.is_empty()).ok_or_else(wrong)?,
    })
}

pub(crate) fn run(context: &mut Context, command: DatasetCommand) -> Result<Answer, DatasetError> {
    let client = &context.client;
    match command {
        DatasetCommand::List { name } => {
            let found = client.datasets(name.as_ref())?;
            let text = |look| show::list(&found, clock::now(), look);
            context.out.list(&found, "no datasets", text)?;
        }
        DatasetCommand::Show { dataset } => {
            let found = client.dataset(&dataset)?;
            let text = |look| show::detail(&found, clock::now(), look);
            context.out.answer(&found, text)?;
        }
        DatasetCommand::Build(build) => return self::build(context, *build),
        DatasetCommand::Import(import) => return self::import(context, *import),
        DatasetCommand::Get { dataset, to } => get(context, &dataset, &to)?,
        DatasetCommand::Rows {
            dataset,
            split,
            limit,
        } => {
            let rows = client.dataset_rows(&dataset, split, limit)?;
            let text = |look| show::rows(&rows, look);
            context.out.list(&rows, "no rows", text)?;
        }
        DatasetCommand::Diff { from, to } => {
            let diff = client.dataset_diff(&from, &to)?;
            context.out.answer(&diff, |look| show::diff(&diff, look))?;
        }
        DatasetCommand::Stop { dataset } => {
            let stopped = client.stop_dataset(&dataset)?;
            let text = |_| format!("{} is {}", stopped.title(), stopped.state.word());
            context.out.answer(&stopped, text)?;
        }
        DatasetCommand::Remove { dataset } => {
            client.remove_dataset(&dataset)?;
            talk(format_args!("the files of {dataset} are removed"));
        }
    }
    Ok(Answer::Yes)
}

fn build(context: &Context, build: Build) -> Result<Answer, DatasetError> {
    let order = DatasetBuild {
        model: build.model,
        base: build.base,
        from: build.from,
        to: build.to,
        until: build.until,
        sites: build.sites,
        classes: build.classes,
        sources: build.sources,
        without: build.without,
        keep_out: build.keep_out,
        held_out: build.held_out,
        new_schema: build.how.new_schema,
    };
    let new = NewDataset {
        name: build.name,
        key: build.how.key.clone(),
        order: DatasetOrder::Build(order),
    };
    make(context, &new, build.how.no_wait)
}

fn import(context: &Context, import: Import) -> Result<Answer, DatasetError> {
    let named = import.splits.into_iter();
    let named = named.map(|(split, file)| (Some(split), file));
    let files = import.files.into_iter().map(|file| (None, file));
    let mut sources = Vec::new();
    for (split, file) in files.chain(named) {
        let from = match &import.datastore {
            Some(name) => ImportSource::Datastore {
                name: name.clone(),
                path: file,
            },
            None => ImportSource::Blob(send(&context.client, Path::new(&file))?),
        };
        sources.push(ImportFile { split, from });
    }
    let order = DatasetImport {
        files: sources,
        label: import.label,
        features: import.features,
        held_out: import.held_out,
        tensor: import.tensor,
        numbers: match (import.numbers, import.classes) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        },
        new_schema: import.how.new_schema,
    };
    let new = NewDataset {
        name: import.name,
        key: import.how.key.clone(),
        order: DatasetOrder::Import(order),
    };
    make(context, &new, import.how.no_wait)
}

/// Uploads a file unless the hub has it.
fn send(client: &Client, path: &Path) -> Result<Digest, DatasetError> {
    let part = Part::read("file to import", path.into(), limits::BLOB)?;
    if client.has_blob(&part.digest)? {
        return Ok(part.digest);
    }
    let failed = |source| DatasetError::Send {
        path: path.into(),
        source,
    };
    let mut file = File::open(path).map_err(|err| failed(ClientError::Source(err)))?;
    let bar = super::bar(part.len, "{bar:30} {bytes}/{total_bytes} {wide_msg}");
    bar.set_message(path.display().to_string());
    let sent = client.put_blob(&part.digest, part.len, &mut file, &mut |sent| {
        bar.set_position(sent);
    });
    bar.finish_and_clear();
    sent.map_err(failed)?;
    Ok(part.digest)
}

/// Asks for a version, and waits until it is done unless nobody wants to.
pub(crate) fn make(
    context: &Context,
    new: &NewDataset,
    no_wait: bool,
) -> Result<Answer, DatasetError> {
    let asked = context.client.make_dataset(new)?;
    let made = if no_wait {
        asked
    } else {
        wait(&context.client, asked)?
    };
    context.out.answer(&made, |look| show::made(&made, look))?;
    Ok(match made.state {
        DatasetState::Running | DatasetState::Done => Answer::Yes,
        DatasetState::Failed | DatasetState::Stopped | DatasetState::Removed => Answer::No,
    })
}

fn wait(client: &Client, mut view: DatasetView) -> Result<DatasetView, ClientError> {
    let working = spinner(format!("the hub makes {}", view.title()));
    while view.state == DatasetState::Running {
        thread::sleep(LOOK);
        view = client.dataset(&DatasetPick::Id(view.id))?.dataset;
    }
    working.finish_and_clear();
    Ok(view)
}

fn get(context: &Context, pick: &DatasetPick, to: &Path) -> Result<(), DatasetError> {
    let found = context.client.dataset(pick)?;
    let title = found.dataset.title();
    let Some(manifest) = &found.manifest else {
        let state = match found.dataset.withdrawn {
            Some(_) => "withdrawn",
            None => found.dataset.state.word(),
        };
        return Err(DatasetError::NoFiles(title, state));
    };
    // Others may be made meanwhile.
    let pick = DatasetPick::Id(found.dataset.id);
    let wrong = |path: &Path| {
        let path = path.to_owned();
        move |source| DatasetError::Write { path, source }
    };
    fs::create_dir_all(to).map_err(wrong(to))?;
    let names = manifest.files.keys().map(String::as_str);
    let mut bytes = 0;
    for name in names.chain([DATASET_MANIFEST]) {
        let place = to.join(name);
        let partial = to.join(format!("{name}.partial"));
        if place.exists() {
            return Err(DatasetError::There(place));
        }
        let file = File::create(&partial).map_err(wrong(&partial))?;
        let mut hashing = Hashing {
            to: BufWriter::new(file),
            hasher: tern_protocol::digest::Hasher::new(),
        };
        let working = spinner(format!("getting {name}"));
        let got = context.client.dataset_file(&pick, name, &mut hashing);
        working.finish_and_clear();
        bytes += got?;
        hashing.to.flush().map_err(wrong(&partial))?;
        let digest = hashing.hasher.finish();
        let known = manifest.files.get(name).map(|file| file.digest);
        let known = known.or(found.dataset.digest);
        if known.is_some_and(|known| known != digest) {
            return Err(DatasetError::Damaged(partial));
        }
        fs::rename(&partial, &place).map_err(wrong(&place))?;
    }
    talk(format_args!(
        "{title} in {}: {}",
        to.display(),
        words::bytes(bytes)
    ));
    if context.out.reader == crate::out::Reader::Program {
        context.out.document(manifest)?;
    }
    Ok(())
}

struct Hashing {
    to: BufWriter<File>,
    hasher: tern_protocol::digest::Hasher,
}

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_and_splits_as_people_write_them() {
        let form = tensor("image:u8:8x8x3").expect("a tensor");
        assert_eq!((form.dtype, &form.shape[..]), (Dtype::U8, &[8, 8, 3][..]));
        for bad in [
            "image",
            "image:f32",
            ":f32:8",
            "image:f16:8",
            "image:f32:8xx",
        ] {
            assert!(tensor(bad).is_err(), "{bad}");
        }
        assert_eq!(
            split_file("held-out=a=b.csv"),
            Ok((Split::HeldOut, "a=b.csv".into()))
        );
        assert!(split_file("test=a.csv").is_err());
    }
}
