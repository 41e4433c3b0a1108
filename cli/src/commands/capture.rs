//! `tern capture`: list, export.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use clap::Subcommand;
use tern_cli::client::{CaptureQuery, ClientError};
use tern_protocol::{
    id::{ModelName, SiteName},
    rest::CaptureView,
};

use super::{Answer, Context, spinner};
use crate::{
    clock,
    out::{OutError, talk},
    show::{self, words},
};

#[derive(Debug, Subcommand)]
pub(crate) enum CaptureCommand {
    /// Stored inputs with their predictions
    List {
        #[command(flatten)]
        which: WhichCaptures,
        /// Only those without a truth
        #[arg(long, conflicts_with = "labelled")]
        unlabelled: bool,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Write inputs and truths as CSV, for training
    #[command(
        after_help = "The columns are v0, v1, … (the input's values) and truth; truth is empty \
        where nobody has said it.\nExample: tern capture export --model digit-reader --labelled \
        --out captures.csv"
    )]
    Export {
        #[command(flatten)]
        which: WhichCaptures,
        /// The file to write; - is stdout
        #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
        out: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct WhichCaptures {
    /// By this model
    #[arg(long)]
    model: Option<ModelName>,
    /// At this site
    #[arg(long)]
    site: Option<SiteName>,
    /// Only those with a truth
    #[arg(long)]
    labelled: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaptureError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Out(#[from] OutError),
    #[error("an export needs --model NAME: inputs of different models do not fit one table")]
    NoModel,
    #[error("writing {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

pub(crate) fn run(context: &mut Context, command: CaptureCommand) -> Result<Answer, CaptureError> {
    match command {
        CaptureCommand::List {
            which,
            unlabelled,
            limit,
        } => {
            let labelled = match (which.labelled, unlabelled) {
                (true, _) => Some(true),
                (_, true) => Some(false),
                _ => None,
            };
            list(context, &which.query(labelled), limit)
        }
        CaptureCommand::Export { which, out } => {
            if which.model.is_none() {
                return Err(CaptureError::NoModel);
            }
            export(context, &which.query(which.labelled.then_some(true)), &out)
        }
    }
}

impl WhichCaptures {
    fn query(&self, labelled: Option<bool>) -> CaptureQuery {
        CaptureQuery {
            model: self.model.clone(),
            site: self.site.clone(),
            labelled,
        }
    }
}

fn list(context: &Context, query: &CaptureQuery, limit: usize) -> Result<Answer, CaptureError> {
    // One more than is shown tells whether there are more.
    let pages = context.client.captures(query);
    let mut captures: Vec<CaptureView> = pages
        .take(limit.saturating_add(1))
        .collect::<Result<_, _>>()?;
    let more = captures.len() > limit;
    captures.truncate(limit);
    let text = |look| show::truth::captures(&captures, clock::now(), look);
    context.out.list(&captures, "no capture matches", text)?;
    if more {
        talk(format_args!("there are more; --limit N shows N of them"));
    }
    Ok(Answer::Yes)
}

fn export(context: &Context, query: &CaptureQuery, path: &Path) -> Result<Answer, CaptureError> {
    let captures = context.client.captures(query);
    let work = spinner("exporting".into());
    let exported = if path == Path::new("-") {
        write(captures, io::stdout().lock(), |err| {
            CaptureError::Out(err.into())
        })
    } else {
        to_file(captures, path)
    };
    work.finish_and_clear();
    let exported = exported?;
    let (rows, unlabelled) = (exported.rows, exported.unlabelled);
    talk(format_args!("{} written", words::things(rows, "capture")));
    if unlabelled > 0 {
        let captures = words::things(unlabelled, "capture");
        talk(format_args!(
            "{captures} without a truth; --labelled leaves them out"
        ));
    }
    if exported.strangers > 0 {
        let captures = words::things(exported.strangers, "capture");
        let width = exported.width.unwrap_or(0);
        talk(format_args!(
            "{captures} left out: their inputs have not {width} values"
        ));
    }
    Ok(Answer::Yes)
}

/// Under another name first, so that a half-written file is never taken for a whole one.
fn to_file(
    captures: impl Iterator<Item = Result<CaptureView, ClientError>>,
    path: &Path,
) -> Result<Exported, CaptureError> {
    let wrong = |source| CaptureError::Write {
        path: path.into(),
        source,
    };
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let file = File::create(&partial).map_err(wrong)?;
    let written = write(captures, &file, wrong).and_then(|exported| {
        file.sync_all().map_err(wrong)?;
        std::fs::rename(&partial, path).map_err(wrong)?;
        Ok(exported)
    });
    if written.is_err() {
        // What is half-written is of no use; if even this fails, the first error says more.
        let _ = std::fs::remove_file(&partial);
    }
    written
}

/// What was exported.
#[derive(Debug, Default, PartialEq, Eq)]
struct Exported {
    rows: u64,
    unlabelled: u64,
    /// Inputs of another length than the first.
    strangers: u64,
    width: Option<usize>,
}

fn write(
    captures: impl Iterator<Item = Result<CaptureView, ClientError>>,
    to: impl Write,
    wrong: impl Fn(io::Error) -> CaptureError,
) -> Result<Exported, CaptureError> {
    let mut csv = csv::Writer::from_writer(BufWriter::new(to));
    let wrong_csv = |err: csv::Error| wrong(err.into());
    let mut exported = Exported::default();
    for capture in captures {
        let capture = capture?;
        let width = *exported.width.get_or_insert(capture.input.len());
        if exported.rows == 0 {
            let values = (0..width).map(|i| format!("v{i}"));
            csv.write_record(values.chain(["truth".into()]))
                .map_err(wrong_csv)?;
        }
        if capture.input.len() != width {
            exported.strangers += 1;
            continue;
        }
        exported.unlabelled += u64::from(capture.truth.is_none());
        exported.rows += 1;
        let values = capture.input.iter().map(f32::to_string);
        let truth = capture.truth.unwrap_or_default();
        csv.write_record(values.chain([truth])).map_err(wrong_csv)?;
    }
    csv.flush().map_err(&wrong)?;
    Ok(exported)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(input: &[f32], truth: Option<&str>) -> CaptureView {
        CaptureView {
            device: "m".parse().expect("a name"),
            prediction: "1-1".parse().expect("an id"),
            site: "s".parse().expect("a name"),
            slot: "r".parse().expect("a name"),
            model: "r".parse().expect("a name"),
            version: tern_protocol::id::ModelVersion::FIRST,
            at: tern_protocol::time::WallTime(0),
            shape: vec![1, input.len() as u32],
            input: input.to_vec(),
            class: "7".into(),
            confidence: 0.5,
            probability: 1.0,
            truth: truth.map(Into::into),
        }
    }

    #[test]
    fn captures_as_csv() {
        let captures = [
            capture(&[0.0, 15.5], Some("7")),
            capture(&[1.0], Some("1")),
            capture(&[16.0, 0.1], None),
            capture(&[2.0, 3.0], Some("a, \"b\"")),
        ];
        let mut bytes = Vec::new();
        let exported = write(captures.into_iter().map(Ok), &mut bytes, |err| {
            CaptureError::Out(err.into())
        });
        let expected = Exported {
            rows: 3,
            unlabelled: 1,
            strangers: 1,
            width: Some(2),
        };
        assert_eq!(exported.expect("written"), expected);
        let text = String::from_utf8(bytes).expect("UTF-8");
        let lines = "v0,v1,truth\n0,15.5,7\n16,0.1,\n2,3,\"a, \"\"b\"\"\"\n";
        assert_eq!(text, lines);
    }
}
