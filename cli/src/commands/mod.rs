//! One file a group of commands: what a person types, and what is done about it.
//!
//! Called by `main`. Each `run` asks the hub through [`tern_cli::client`], says the answer through
//! [`Out`], and has an error type of its own.

pub(crate) mod accuracy;
pub(crate) mod admission;
pub(crate) mod alert;
pub(crate) mod audit;
pub(crate) mod authority;
pub(crate) mod capture;
pub(crate) mod chart;
pub(crate) mod completions;
pub(crate) mod compute;
pub(crate) mod data;
pub(crate) mod dataset;
pub(crate) mod datastore;
pub(crate) mod delivery;
pub(crate) mod device;
pub(crate) mod distances;
pub(crate) mod finding;
pub(crate) mod freeze;
pub(crate) mod given;
pub(crate) mod job;
pub(crate) mod key;
pub(crate) mod label;
pub(crate) mod lineage;
pub(crate) mod login;
pub(crate) mod model;
pub(crate) mod notify;
pub(crate) mod overview;
pub(crate) mod people;
pub(crate) mod plan;
pub(crate) mod quarantine;
pub(crate) mod retrain;
pub(crate) mod rollout;
pub(crate) mod run;
pub(crate) mod session;
pub(crate) mod setup;
pub(crate) mod tap;
pub(crate) mod trust;
pub(crate) mod truth;

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tern_cli::client::{Client, ClientError, Connection, Token};
use tern_protocol::id::WorkspaceId;

use crate::{
    args::Global,
    out::{Out, OutError},
    store::Store,
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
    pub(crate) fn new(global: &Global) -> anyhow::Result<Self> {
        let connection = connection(global)?;
        Ok(Self {
            client: Client::connect(&connection)?,
            workspace: connection.workspace,
            out: Out::new(global.reader()),
        })
    }
}

/// A variable of the environment that says something.
fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What options and environment say, then what was stored at login; a token only for its hub.
fn connection(global: &Global) -> anyhow::Result<Connection> {
    let token = set("TERN_TOKEN").map(|text| Token::new(&text));
    let ca = set("TERN_CA").map(std::fs::read_to_string).transpose()?;
    let stored = Store::read()?.meant(global.hub.as_deref()).cloned();
    // The address that was logged in to, where `--hub` leaves the scheme out.
    let hub = stored.as_ref().map(|stored| stored.url.clone());
    let hub = hub.or_else(|| global.hub.clone());
    let workspace = global.workspace.clone();
    let workspace = workspace.or_else(|| stored.as_ref().map(|stored| stored.workspace.clone()));
    if let Some(stored) = &stored
        && token.is_none()
        && stored.expires_at <= crate::clock::now()
    {
        anyhow::bail!(
            "the token has expired; log in again: tern login {}",
            stored.url
        );
    }
    Ok(Connection {
        hub: hub.unwrap_or_else(|| "http://127.0.0.1:8080".into()),
        workspace: match workspace {
            Some(workspace) => workspace,
            None => "default".parse()?,
        },
        token: token.or_else(|| stored.as_ref().map(|stored| Token::new(&stored.token))),
        ca: ca.or_else(|| stored.and_then(|stored| stored.ca)),
    })
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
