//! `tern data`: clean rows and make features of them, here or at the hub.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use clap::Subcommand;
use tern_protocol::{
    id::DatasetName,
    rest::{DatasetOrder, DatasetPick, DatasetPrepare, NewDataset, Preparation},
};

use super::{
    Answer, Context,
    dataset::{self, DatasetError},
};

/// The program that does the work here.
const PROGRAM: &str = "tern-data";

/// Longest declaration, in bytes.
const STEPS: u64 = 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Do declared steps (missing, outliers, dedupe, scale, encode, window, balance) to a dataset
    #[command(
        after_help = "What is found (means, quantiles) is found in the rows to train on alone, and stands in dataset.json; \
        `prepared.pre` of it is what devices have to do, for `pre` of publish.json.\nExamples:\n  \
        tern data prepare meters@2 --steps steps.yaml --as meters-ready\n  \
        tern data prepare --from meters/ --steps steps.yaml --to ready/   # here, with tern-data beside this program"
    )]
    Prepare {
        /// The version, at the hub: NAME@NUMBER, NAME for the newest, or an id
        #[arg(required_unless_present = "from")]
        dataset: Option<DatasetPick>,
        /// The steps, YAML or JSON
        #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
        steps: PathBuf,
        /// The dataset that it becomes a version of
        #[arg(long = "as", value_name = "NAME", required_unless_present = "from")]
        name: Option<DatasetName>,
        /// Here: a directory with a dataset, as `tern dataset get` writes it
        #[arg(long, value_name = "DIR", conflicts_with_all = ["dataset", "name"], requires = "to")]
        from: Option<PathBuf>,
        /// Here: the directory to write
        #[arg(long, value_name = "DIR", requires = "from")]
        to: Option<PathBuf>,
        /// Asked again with the same key, it is the same version
        #[arg(long, value_name = "TEXT")]
        key: Option<String>,
        /// Do not wait until it is done
        #[arg(long)]
        no_wait: bool,
    },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataError {
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error("reading {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}: {text}", path.display())]
    Steps { path: PathBuf, text: String },
    #[error("{} has more than {STEPS} bytes, which are no steps", .0.display())]
    Long(PathBuf),
    #[error("running {}; it is installed beside this program", path.display())]
    Program {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{PROGRAM} ended with {0}")]
    Ended(ExitStatus),
}

pub(crate) fn run(context: &Context, command: DataCommand) -> Result<Answer, DataError> {
    let DataCommand::Prepare {
        dataset,
        steps,
        name,
        from,
        to,
        key,
        no_wait,
    } = command;
    match (from, to, dataset, name) {
        (Some(from), Some(to), ..) => here(&from, &steps, &to),
        (_, _, Some(base), Some(name)) => {
            let preparation = read(&steps)?;
            let new = NewDataset {
                name,
                key,
                order: DatasetOrder::Prepare(DatasetPrepare { base, preparation }),
            };
            Ok(dataset::make(context, &new, no_wait)?)
        }
        _ => unreachable!("clap asks for one or the other"),
    }
}

fn read(path: &Path) -> Result<Preparation, DataError> {
    let wrong = |source| DataError::Read {
        path: path.into(),
        source,
    };
    if std::fs::metadata(path).map_err(wrong)?.len() > STEPS {
        return Err(DataError::Long(path.into()));
    }
    let text = std::fs::read_to_string(path).map_err(wrong)?;
    serde_saphyr::from_str(&text).map_err(|err| DataError::Steps {
        path: path.into(),
        text: err.to_string(),
    })
}

fn here(from: &Path, steps: &Path, to: &Path) -> Result<Answer, DataError> {
    let this = std::env::current_exe().unwrap_or_default();
    let program = this.with_file_name(PROGRAM);
    let status = Command::new(&program)
        .args(["prepare", "--from"])
        .arg(from)
        .arg("--steps")
        .arg(steps)
        .arg("--to")
        .arg(to)
        .status()
        .map_err(|source| DataError::Program {
            path: program,
            source,
        })?;
    match status.code() {
        Some(0) => Ok(Answer::Yes),
        // It says why itself.
        Some(1) => Ok(Answer::No),
        _ => Err(DataError::Ended(status)),
    }
}
