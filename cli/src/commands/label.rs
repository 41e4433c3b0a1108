//! `tern label`: import.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Subcommand;
use serde::Serialize;
use tern_cli::client::{Client, ClientError, LABELS_AT_ONCE};
use tern_protocol::rest::LabelImport;

use super::{Answer, Context, bar};
use crate::{
    labels::{self, LabelsError, Row},
    out::{OutError, talk},
    show::{Look, truth::Refused, truth::refused, words},
};

#[derive(Debug, Subcommand)]
pub(crate) enum LabelCommand {
    /// Import labels from CSV
    #[command(
        after_help = "The first line names the columns, in any order: device,prediction,truth.\n\
        truth is a class by its name. Importing a file twice changes nothing.\n\
        Exit code 1: the hub refused some; they are listed, the others are stored."
    )]
    Import {
        /// The CSV file; - is stdin
        #[arg(value_hint = clap::ValueHint::FilePath)]
        file: PathBuf,
        /// Exit with 0 even if some were refused
        #[arg(long)]
        allow_refused: bool,
    },
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
}

pub(crate) fn run(context: &mut Context, command: LabelCommand) -> Result<Answer, LabelError> {
    let LabelCommand::Import {
        file,
        allow_refused,
    } = command;
    let rows = read(&file)?;
    let imported = import(&context.client, &rows)?;
    context
        .out
        .answer(&imported, |look| text(&imported, look))?;
    if rows.is_empty() {
        talk("the file has a header and no label");
    }
    Ok(if imported.refused.is_empty() || allow_refused {
        Answer::Yes
    } else {
        Answer::No
    })
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

fn import(client: &Client, rows: &[Row]) -> Result<Imported, LabelError> {
    let total = rows.len() as u64;
    let bar = bar(total, "labels {bar:30} {human_pos}/{human_len}");
    let mut imported = Imported::default();
    for piece in rows.chunks(LABELS_AT_ONCE) {
        let import = LabelImport {
            labels: piece.iter().map(|row| row.label.clone()).collect(),
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
    let mut text = format!(
        "{} added, {} changed, {} known before, {} refused\n",
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
