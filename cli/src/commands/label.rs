//! `tern label`: import; how people label.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Subcommand;
use serde::Serialize;
use tern_cli::client::{Client, ClientError, LABELS_AT_ONCE};
use tern_protocol::{
    id::ModelName,
    rest::{LabelImport, LabellingSettings},
};

use super::{Answer, Context, bar};
use crate::{
    labels::{self, LabelsError, Row},
    out::{OutError, talk},
    show::{Look, measured, truth::Refused, truth::refused, words},
};

#[derive(Debug, Subcommand)]
pub(crate) enum LabelCommand {
    /// Import labels from CSV or Parquet
    #[command(
        after_help = "CSV and Parquet files are told apart by themselves. Columns are found by their names, in any order:\n\
        device, prediction, truth. truth is a class by its name; of a model that answers numbers a number.\n\
        Importing a file twice changes nothing.\n\
        Exit code 1: the hub refused some; they are listed, the others are stored."
    )]
    Import(ImportArgs),
    /// How labelling by people stands: what waits, what was labelled, how far two people agree
    Show {
        /// The model
        model: ModelName,
    },
    /// Say how a model is labelled
    Set {
        /// The model
        model: ModelName,
        /// How many people have to say the same before it is the truth: 1 or 2
        #[arg(long, value_parser = clap::value_parser!(u8).range(1..=2))]
        labellers: u8,
    },
    /// Take back the label that you gave last on the labelling page
    Undo {
        /// The model
        model: ModelName,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// The file; - is stdin
    #[arg(value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    /// Only say what would become of them
    #[arg(long)]
    dry_run: bool,
    /// Write those that the hub refused to this file, with the reasons, as CSV
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    refused: Option<PathBuf>,
    /// Exit with 0 even if some were refused
    #[arg(long)]
    allow_refused: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LabelError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Out(#[from] OutError),
    #[error("{} cannot be opened", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{file}; nothing was sent")]
    Labels {
        file: String,
        #[source]
        source: LabelsError,
    },
    #[error("{} cannot be written; the other labels are stored", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: csv::Error,
    },
    #[error("after {sent} of {total} labels; run the same again: those are known then")]
    Halfway {
        sent: u64,
        total: u64,
        #[source]
        source: ClientError,
    },
}

/// What became of an import.
#[derive(Debug, Default, Serialize)]
struct Imported {
    added: u64,
    changed: u64,
    unchanged: u64,
    refused: Vec<Refused>,
    /// Nothing was stored: it was only asked.
    dry_run: bool,
}

pub(crate) fn run(context: &mut Context, command: LabelCommand) -> Result<Answer, LabelError> {
    match command {
        LabelCommand::Import(args) => import(context, &args),
        LabelCommand::Show { model } => {
            let view = context.client.labelling(&model)?;
            let text = |look| measured::labelling(&view, look);
            context.out.answer(&view, text)?;
            Ok(Answer::Yes)
        }
        LabelCommand::Set { model, labellers } => {
            let settings = LabellingSettings { labellers };
            context.client.set_labelling(&model, &settings)?;
            let text = |_| {
                format!(
                    "{model}: a truth takes {}\n",
                    words::things(labellers.into(), "labeller")
                )
            };
            context.out.answer(&settings, text)?;
            Ok(Answer::Yes)
        }
        LabelCommand::Undo { model } => {
            let said = context.client.undo_label(&model)?;
            context.out.answer(&said, |_| match &said.item {
                Some(item) => format!(
                    "taken back: prediction {} of {}\n",
                    item.capture.prediction, item.capture.device
                ),
                None => "taken back; its capture is gone\n".into(),
            })?;
            Ok(Answer::Yes)
        }
    }
}

fn import(context: &mut Context, args: &ImportArgs) -> Result<Answer, LabelError> {
    let rows = read(&args.file)?;
    let imported = send(&context.client, &rows, args.dry_run)?;
    if let Some(path) = &args.refused {
        write_refused(path, &imported.refused).map_err(|source| LabelError::Write {
            path: path.clone(),
            source,
        })?;
    }
    context
        .out
        .answer(&imported, |look| text(&imported, look))?;
    if rows.is_empty() {
        talk("the file has no label");
    }
    Ok(if imported.refused.is_empty() || args.allow_refused {
        Answer::Yes
    } else {
        Answer::No
    })
}

/// A file that can be put right and imported again.
fn write_refused(path: &Path, refused: &[Refused]) -> Result<(), csv::Error> {
    let mut table = csv::Writer::from_path(path)?;
    table.write_record(["line", "device", "prediction", "truth", "reason"])?;
    for one in refused {
        table.write_record([
            one.line.to_string().as_str(),
            &one.device,
            &one.prediction,
            &one.truth,
            &one.reason,
        ])?;
    }
    Ok(table.flush()?)
}

fn read(file: &Path) -> Result<Vec<Row>, LabelError> {
    let (name, from): (_, Box<dyn Read>) = if file == Path::new("-") {
        ("stdin".into(), Box::new(io::stdin().lock()))
    } else {
        let open = File::open(file).map_err(|source| LabelError::Open {
            path: file.into(),
            source,
        })?;
        (file.display().to_string(), Box::new(open))
    };
    labels::read(from).map_err(|source| LabelError::Labels { file: name, source })
}

fn send(client: &Client, rows: &[Row], dry_run: bool) -> Result<Imported, LabelError> {
    let total = rows.len() as u64;
    let bar = bar(total, "labels {bar:30} {human_pos}/{human_len}");
    let mut imported = Imported {
        dry_run,
        ..Imported::default()
    };
    for piece in rows.chunks(LABELS_AT_ONCE) {
        let import = LabelImport {
            labels: piece.iter().map(|row| row.label.clone()).collect(),
            dry_run,
        };
        let sent = bar.position();
        let result = client.import_labels(&import).map_err(|source| match sent {
            0 => LabelError::Client(source),
            _ => LabelError::Halfway {
                sent,
                total,
                source,
            },
        })?;
        imported.added += result.added;
        imported.changed += result.changed;
        imported.unchanged += result.unchanged;
        let refused = result.refused.into_iter().filter_map(|refused| {
            let row = piece.get(usize::try_from(refused.index).ok()?)?;
            Some(Refused {
                line: row.line,
                device: row.label.device.to_string(),
                prediction: row.label.prediction.to_string(),
                truth: row.label.truth.clone(),
                reason: refused.reason,
            })
        });
        imported.refused.extend(refused);
        bar.inc(piece.len() as u64);
    }
    bar.finish_and_clear();
    Ok(imported)
}

fn text(imported: &Imported, look: Look) -> String {
    let would = if imported.dry_run {
        "nothing was stored; it would be "
    } else {
        ""
    };
    let mut text = format!(
        "{would}{} added, {} changed, {} known before, {} refused\n",
        words::count(imported.added),
        words::count(imported.changed),
        words::count(imported.unchanged),
        words::count(imported.refused.len() as u64)
    );
    if !imported.refused.is_empty() {
        text += "\n";
        text += &refused(&imported.refused, look);
    }
    text
}
