//! One file a group of commands: what a person types, and what is done about it.
//!
//! Called by `main`. Each `run` asks the hub through [`tern_cli::client`], says the answer through
//! [`Out`], and has an error type of its own.

pub(crate) mod accuracy;
pub(crate) mod capture;
pub(crate) mod completions;
pub(crate) mod device;
pub(crate) mod given;
pub(crate) mod label;
pub(crate) mod model;
pub(crate) mod overview;
pub(crate) mod rollout;
pub(crate) mod tap;

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tern_cli::client::{Client, ClientError};
use tern_protocol::id::WorkspaceId;

use crate::{
    args::Global,
    out::{Out, OutError, Reader},
};

/// Whether the answer is yes or no; an error is neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done. Exit code 0.
    Yes,
    /// The answer is no: refused, failed. Exit code 1.
    No,
}

/// What every command works with.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) workspace: WorkspaceId,
    pub(crate) out: Out,
}

impl Context {
    pub(crate) fn new(global: &Global) -> Result<Self, ClientError> {
        let reader = if global.json {
            Reader::Program
        } else {
            Reader::Person
        };
        Ok(Self {
            client: Client::new(&global.hub, global.workspace.clone())?,
            workspace: global.workspace.clone(),
            out: Out::new(reader),
        })
    }
}

/// Trouble of a command that only asks and answers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Out(#[from] OutError),
}

/// How often bars that only say "still at it" move.
const TICK: Duration = Duration::from_millis(120);

/// A bar on stderr for `len` of something; hidden where stderr is not a terminal.
fn bar(len: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("a template of ours");
    ProgressBar::new(len).with_style(style.progress_chars("━╸ "))
}

/// A sign of life on stderr while the hub works.
fn spinner(message: String) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
    let style = style.expect("a template of ours");
    let spinner = ProgressBar::new_spinner()
        .with_style(style)
        .with_message(message);
    spinner.enable_steady_tick(TICK);
    spinner
}
