//! `tern capture`: list, export, ask for, delete, prove.

use std::{
    fs::File,
    io::{self, BufRead as _, BufWriter, IsTerminal as _, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Subcommand;
use tern_cli::client::{CaptureQuery, ClientError};
use tern_protocol::{
    capture,
    digest::Digest,
    id::{DeviceId, ModelName, PredictionId, SiteName, SlotName},
    rest::{CaptureView, DeletionView, NewCaptureDeletion, NewCaptureRequest},
};

use super::{Answer, Context, given, spinner};
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
    /// What is kept: how many, how much, of what, and what devices spent of their budgets
    Kept {
        /// Only of this model
        #[arg(long)]
        model: Option<ModelName>,
        /// Only from this site
        #[arg(long)]
        site: Option<SiteName>,
    },
    /// Ask devices for some of their next inputs
    #[command(
        after_help = "They are kept besides what devices draw, and no estimate of accuracy counts \
        them.\nExample: tern capture request --site harbour --model digit-reader --count 20"
    )]
    Request {
        /// Only this device
        #[arg(long)]
        device: Option<DeviceId>,
        /// Only devices at this site
        #[arg(long)]
        site: Option<SiteName>,
        /// Only inputs of this model
        #[arg(long)]
        model: Option<ModelName>,
        /// Only inputs of this slot
        #[arg(long)]
        slot: Option<SlotName>,
        /// How many of each device
        #[arg(long, value_name = "N")]
        count: u32,
        /// For how long devices are asked, as 90m or 2d
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = given::duration)]
        within: Duration,
    },
    /// What devices are asked for, and what came of it
    Requests,
    /// Take a request back
    Cancel {
        /// Its number
        request: u64,
    },
    /// Delete captures and truths, at the hub and on devices, with a receipt
    #[command(
        after_help = "Of a device, of single predictions, or of a person. What is deleted does not \
        come back, also not from a device that was offline. A subject is hashed here: its name is \
        not sent. Backups from before still have what was deleted.\nExamples:\n  \
        tern capture delete --device meter-07\n  \
        tern capture delete --device meter-07 --prediction 3-1042\n  \
        tern capture delete --subject 'patient 4711' --reason 'request of 3 May'"
    )]
    Delete {
        /// All that this device has told until now
        #[arg(long, required_unless_present_any = ["subject", "subject_hash"])]
        device: Option<DeviceId>,
        /// Only this prediction of it; repeatable
        #[arg(long = "prediction", value_name = "ID", requires = "device")]
        predictions: Vec<PredictionId>,
        /// All of whoever goes by this name, and nothing more from now on
        #[arg(long, value_name = "NAME", conflicts_with_all = ["device", "subject_hash"])]
        subject: Option<String>,
        /// The same by the hash that a capture shows
        #[arg(long, value_name = "HASH", conflicts_with = "device")]
        subject_hash: Option<Digest>,
        /// Why, for the audit log; nothing that names a person
        #[arg(long, default_value = "")]
        reason: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// What was deleted
    Deletions,
    /// Show the receipt of a deletion, and whether it holds; exit code 1 if not
    Proof {
        /// Its number
        deletion: u64,
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
    /// Only those that came for this request
    #[arg(long, value_name = "NUMBER")]
    request: Option<u64>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaptureError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Out(#[from] OutError),
    #[error("say --yes: nobody is here to ask whether it is to be deleted for good")]
    Unasked,
    #[error("say of which --device, --site or --model")]
    Whom,
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
        CaptureCommand::Request {
            device,
            site,
            model,
            slot,
            count,
            within,
        } => {
            if device.is_none() && site.is_none() && model.is_none() {
                return Err(CaptureError::Whom);
            }
            let asked = context.client.request_captures(&NewCaptureRequest {
                device,
                site,
                model,
                slot,
                count,
                within_s: within.as_secs(),
            })?;
            let text = |_| show::captures::request(&asked);
            context.out.answer(&asked, text)?;
            Ok(Answer::Yes)
        }
        CaptureCommand::Kept { model, site } => {
            let kept = context
                .client
                .captures_kept(model.as_ref(), site.as_ref())?;
            let text = |look| show::captures::kept(&kept, look);
            context.out.answer(&kept, text)?;
            Ok(Answer::Yes)
        }
        CaptureCommand::Requests => {
            let requests = context.client.capture_requests()?;
            let text = |look| show::captures::requests(&requests, clock::now(), look);
            context.out.list(&requests, "nothing was asked for", text)?;
            Ok(Answer::Yes)
        }
        CaptureCommand::Cancel { request } => {
            let request = context.client.cancel_captures(request)?;
            let text = |_| format!("request {} ends\n", request.id);
            context.out.answer(&request, text)?;
            Ok(Answer::Yes)
        }
        CaptureCommand::Delete {
            device,
            predictions,
            subject,
            subject_hash,
            reason,
            yes,
        } => {
            let named = subject.map(|name| capture::subject(&context.workspace, &name));
            let deletion = NewCaptureDeletion {
                device,
                predictions,
                subject: named.or(subject_hash),
                reason,
            };
            if !yes && !sure()? {
                return Ok(Answer::No);
            }
            shown(context, &context.client.delete_captures(&deletion)?)
        }
        CaptureCommand::Deletions => {
            let deletions = context.client.capture_deletions()?;
            let text = |look| show::captures::deletions(&deletions, clock::now(), look);
            context.out.list(&deletions, "nothing was deleted", text)?;
            Ok(Answer::Yes)
        }
        CaptureCommand::Proof { deletion } => {
            shown(context, &context.client.capture_deletion(deletion)?)
        }
    }
}

/// Asks whether it is to be deleted for good.
fn sure() -> Result<bool, CaptureError> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(CaptureError::Unasked);
    }
    talk("this deletes for good, at the hub and on devices; go on? [y/N]");
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    read.map_err(|err| CaptureError::Out(err.into()))?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

fn shown(context: &Context, deletion: &DeletionView) -> Result<Answer, CaptureError> {
    context
        .out
        .answer(deletion, |_| show::captures::deletion(deletion))?;
    let proof = deletion.proof.as_ref();
    Ok(match proof {
        Some(proof) if !proof.whole || proof.left > 0 => Answer::No,
        _ => Answer::Yes,
    })
}

impl WhichCaptures {
    fn query(&self, labelled: Option<bool>) -> CaptureQuery {
        CaptureQuery {
            model: self.model.clone(),
            site: self.site.clone(),
            labelled,
            request: self.request,
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
    if exported.without_input > 0 {
        let captures = words::things(exported.without_input, "capture");
        talk(format_args!(
            "{captures} left out: their inputs are not kept, or encrypted with a key that the hub does not have"
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
    /// Captures of which there is no input to write.
    without_input: u64,
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
        if capture.no_input.is_some() {
            exported.without_input += 1;
            continue;
        }
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
            reasons: Vec::new(),
            request: None,
            subject: None,
            no_input: input
                .is_empty()
                .then_some(tern_protocol::rest::NoInput::NotKept),
            summary: None,
            number: None,
            truth: truth.map(Into::into),
        }
    }

    #[test]
    fn captures_as_csv() {
        let captures = [
            capture(&[], None),
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
            without_input: 1,
            width: Some(2),
        };
        assert_eq!(exported.expect("written"), expected);
        let text = String::from_utf8(bytes).expect("UTF-8");
        let lines = "v0,v1,truth\n0,15.5,7\n16,0.1,\n2,3,\"a, \"\"b\"\"\"\n";
        assert_eq!(text, lines);
    }
}
