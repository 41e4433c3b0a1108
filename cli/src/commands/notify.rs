//! `tern notify`: who is told what by webhook and mail.

use std::{fs, io, path::PathBuf};

use clap::Subcommand;
use tern_cli::client::ClientError;
use tern_protocol::{
    id::SubscriptionId,
    rest::{NewSubscription, NoNoticeKind, NoticeKind},
};

use super::{Answer, Context};
use crate::{
    clock,
    out::{OutError, Reader, talk},
    show::notify as show,
};

/// Notices that `log` shows unless told otherwise: a screen.
const LOG: usize = 50;

#[derive(Debug, Subcommand)]
pub(crate) enum NotifyCommand {
    /// Who is told what, and whether it arrives
    List,
    /// Tell somebody from now on
    #[command(subcommand)]
    Add(AddCommand),
    /// Tell somebody no more
    Remove {
        /// Its number
        #[arg(value_parser = subscription_id)]
        id: SubscriptionId,
    },
    /// Send a notice now, and say what came of it
    Test {
        /// Its number
        #[arg(value_parser = subscription_id)]
        id: SubscriptionId,
    },
    /// Notices of the last 30 days, newest first
    Log {
        /// How many
        #[arg(long, value_name = "N", default_value_t = LOG)]
        last: usize,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AddCommand {
    /// A program, by a signed POST; its secret is shown once unless you give one
    Webhook {
        /// Address of the receiver, HTTPS unless it is on the hub's own machine
        url: String,
        /// File with the secret that signs, in its only line; without it the hub makes one
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// Plain HTTP may go to another machine
        #[arg(long)]
        plain: bool,
        #[command(flatten)]
        what: What,
    },
    /// A Prometheus Alertmanager, which gets every alert and nothing else
    Alertmanager {
        /// Its address, HTTPS unless it is on the hub's own machine; /api/v2/alerts is added
        url: String,
        /// File with the token that it lets in by (`Authorization: Bearer`), in its only line
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
        /// Plain HTTP may go to another machine
        #[arg(long)]
        plain: bool,
        /// What it is for
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            hide_default_value = true
        )]
        name: String,
    },
    /// People, by mail
    Email {
        /// Mail addresses; one mail goes to all of them
        #[arg(required = true, value_name = "ADDRESS")]
        addresses: Vec<String>,
        #[command(flatten)]
        what: What,
    },
}

/// What is told, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct What {
    /// What it is for
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    name: String,
    /// Only this kind of notice: rollout-stopped, rollout-waits, rollout-advanced, rollout-complete,
    /// fleet-frozen, attention, alert, proposal, retrained; may be given several times. All but rollout-advanced if not given
    #[arg(long = "on", value_name = "KIND", value_delimiter = ',', value_parser = kind)]
    on: Vec<NoticeKind>,
}

impl What {
    fn notices(&self) -> Vec<NoticeKind> {
        if self.on.is_empty() {
            NoticeKind::usual()
        } else {
            self.on.clone()
        }
    }
}

/// What keeps us from doing it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotifyError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Out(#[from] OutError),
    #[error("reading the secret from {}", path.display())]
    Secret {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

fn kind(text: &str) -> Result<NoticeKind, NoNoticeKind> {
    let kind = text.parse()?;
    if kind == NoticeKind::Test {
        return Err(NoNoticeKind);
    }
    Ok(kind)
}

fn subscription_id(text: &str) -> Result<SubscriptionId, &'static str> {
    let id = text.trim_start_matches('#').parse().map(SubscriptionId);
    id.map_err(|_| "write a subscription's number; `tern notify list` shows them")
}

pub(crate) fn run(context: &Context, command: NotifyCommand) -> Result<Answer, NotifyError> {
    let (client, out) = (&context.client, &context.out);
    match command {
        NotifyCommand::List => {
            let all = client.subscriptions().all()?;
            let advice = "nobody is told anything yet; add somebody with `tern notify add webhook URL` or \
                          `tern notify add email ADDRESS`";
            out.list(&all, advice, |look| {
                show::subscriptions(&all, clock::now(), look)
            })?;
            Ok(Answer::Yes)
        }
        NotifyCommand::Add(add) => {
            let made = client.subscribe(&new(add)?)?;
            let id = made.subscription.id;
            let target = &made.subscription.target;
            let told =
                format!("subscription {id}: {target} is told; try it: tern notify test {id}");
            match &made.secret {
                // Only the secret on stdout, so that a script can take it.
                Some(secret) => {
                    out.answer(&made, |_| secret.clone())?;
                    done(context, &told);
                    done(
                        context,
                        "its secret is shown this once; the receiver checks signatures with it",
                    );
                }
                None if out.reader == Reader::Program => out.document(&made)?,
                None => talk(&told),
            }
            Ok(Answer::Yes)
        }
        NotifyCommand::Remove { id } => {
            client.unsubscribe(id)?;
            done(context, &format!("subscription {id} is removed"));
            Ok(Answer::Yes)
        }
        NotifyCommand::Test { id } => {
            let outcome = client.test_subscription(id)?;
            out.answer(&outcome, |look| show::outcome(&outcome, look))?;
            Ok(if outcome.arrived {
                Answer::Yes
            } else {
                Answer::No
            })
        }
        NotifyCommand::Log { last } => {
            let all: Result<Vec<_>, _> = client.notifications().take(last).collect();
            let all = all?;
            out.list(&all, "no notice in the last 30 days", |look| {
                show::notices(&all, clock::now(), look)
            })?;
            Ok(Answer::Yes)
        }
    }
}

fn new(add: AddCommand) -> Result<NewSubscription, NotifyError> {
    Ok(match add {
        AddCommand::Webhook {
            url,
            secret_file,
            plain,
            what,
        } => NewSubscription::Webhook {
            url,
            secret: secret_file.map(only_line).transpose()?,
            plain,
            notices: what.notices(),
            name: what.name,
        },
        AddCommand::Alertmanager {
            url,
            token_file,
            plain,
            name,
        } => NewSubscription::Alertmanager {
            url,
            token: token_file.map(only_line).transpose()?,
            plain,
            name,
        },
        AddCommand::Email { addresses, what } => NewSubscription::Email {
            addresses,
            notices: what.notices(),
            name: what.name,
        },
    })
}

/// The only line of a file.
fn only_line(path: PathBuf) -> Result<String, NotifyError> {
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
        Err(source) => Err(NotifyError::Secret { path, source }),
    }
}

/// Says that it is done, to a person.
fn done(context: &Context, text: &str) {
    if context.out.reader == Reader::Person {
        talk(text);
    }
}
