//! `tern key`: the keys that sign models.

pub(crate) mod files;
pub(crate) mod signing;

use std::path::PathBuf;

use clap::Subcommand;
use tern_cli::client::ClientError;
use tern_protocol::rest::{RoleKeys, TrustPlan};
use tern_trust::{
    document::DocumentError,
    key::{KeyError, SigningKey},
};

use self::files::KeyFileTrouble;
pub(crate) use self::files::Passphrase;
use super::{Answer, Context};
use crate::{
    clock,
    out::{OutError, talk},
    show::key as show,
};

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key: FILE, which only a passphrase opens, and FILE.pub for others
    New {
        /// Where to write it; nothing is overwritten
        #[arg(value_hint = clap::ValueHint::FilePath)]
        file: PathBuf,
        #[command(flatten)]
        passphrase: Passphrase,
    },
    /// Which keys count for what, and what waits for signatures
    Show,
    /// Plan other keys, and sign the plan
    #[command(
        after_help = "Example, from a hub that holds all keys to keys of your own:\n  \
        tern key new root.key && tern key new release.key\n  \
        tern key rotate --root root.key.pub --release release.key.pub --key root.key --key release.key\n\
        From then on: tern key sign --key release.key"
    )]
    Rotate {
        /// Public key that signs roots from now on; several are possible
        #[arg(long, value_name = "FILE.pub")]
        root: Vec<PathBuf>,
        /// How many of them have to sign
        #[arg(long, value_name = "N", requires = "root", default_value_t = 1)]
        root_threshold: u64,
        /// Public key that signs models from now on; several are possible
        #[arg(long, value_name = "FILE.pub")]
        release: Vec<PathBuf>,
        /// How many of them have to sign
        #[arg(long, value_name = "N", requires = "release", default_value_t = 1)]
        release_threshold: u64,
        /// The hub makes itself a new key for what it signs
        #[arg(long)]
        online: bool,
        #[command(flatten)]
        keys: Keys,
    },
    /// Sign what waits for it: versions of models, revocations, other keys
    Sign {
        #[command(flatten)]
        keys: Keys,
        /// Sign the list of models anew although nothing is new in it, so that it does not expire
        #[arg(long)]
        renew: bool,
    },
    /// Take back a plan for other keys
    Withdraw,
}

/// Keys to sign with.
#[derive(Debug, clap::Args)]
pub(crate) struct Keys {
    /// A key to sign with, as `tern key new` made it; several are possible
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    #[command(flatten)]
    passphrase: Passphrase,
    /// Sign without asking
    #[arg(long)]
    yes: bool,
}

impl Keys {
    /// Opens the keys, before anything is done that they are to sign.
    pub(crate) fn open(&self) -> Result<Opened, KeyCommandError> {
        Ok(Opened {
            keys: files::open(&self.key, &self.passphrase)?,
            yes: self.yes,
        })
    }
}

/// Keys that were opened.
#[derive(Debug)]
pub(crate) struct Opened {
    keys: Vec<SigningKey>,
    yes: bool,
}

impl Opened {
    /// Whether there are any.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Signs what waits for them.
    pub(crate) fn sign(&self, context: &Context) -> Result<Answer, KeyCommandError> {
        signing::sign(context, &self.keys, self.yes, false)
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyCommandError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Out(#[from] OutError),
    #[error(transparent)]
    File(#[from] KeyFileTrouble),
    #[error("what the hub sent: {0}")]
    Document(#[from] DocumentError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(
        "none of the keys given signs for anything that waits; `tern key show` names those that do"
    )]
    NotOurs,
    #[error("asking")]
    Ask(#[source] std::io::Error),
    #[error("nobody can be asked whether to sign this; give --yes")]
    Nobody,
}

pub(crate) fn run(context: &Context, command: KeyCommand) -> Result<Answer, KeyCommandError> {
    match command {
        KeyCommand::New { file, passphrase } => {
            let made = files::make(&file, &passphrase)?;
            context.out.answer(&made, |look| show::made(&made, look))?;
            talk(format_args!(
                "keep {} where the hub is not; without it or its passphrase nobody can sign",
                file.display()
            ));
            Ok(Answer::Yes)
        }
        KeyCommand::Show => {
            let trust = context.client.trust()?;
            let text = |look| show::trust(&trust, clock::now(), look);
            context.out.answer(&trust, text)?;
            Ok(Answer::Yes)
        }
        KeyCommand::Rotate {
            root,
            root_threshold,
            release,
            release_threshold,
            online,
            keys,
        } => {
            let role = |files: &[PathBuf], threshold| -> Result<_, KeyCommandError> {
                if files.is_empty() {
                    return Ok(None);
                }
                let keys = files.iter().map(|file| files::public(file));
                let keys: Result<Vec<String>, _> = keys.collect();
                Ok(Some(RoleKeys {
                    keys: keys?,
                    threshold,
                }))
            };
            let plan = TrustPlan {
                root: role(&root, root_threshold)?,
                release: role(&release, release_threshold)?,
                online,
            };
            // Before anything is planned: a passphrase may be mistyped.
            let opened = files::open(&keys.key, &keys.passphrase)?;
            context.client.plan_keys(&plan)?;
            if opened.is_empty() {
                return self::shown(context);
            }
            signing::sign(context, &opened, keys.yes, false)
        }
        KeyCommand::Sign { keys, renew } => {
            let opened = files::open(&keys.key, &keys.passphrase)?;
            signing::sign(context, &opened, keys.yes, renew)
        }
        KeyCommand::Withdraw => {
            context.client.withdraw_plan()?;
            self::shown(context)
        }
    }
}

fn shown(context: &Context) -> Result<Answer, KeyCommandError> {
    let trust = context.client.trust()?;
    let text = |look| show::trust(&trust, clock::now(), look);
    context.out.answer(&trust, text)?;
    Ok(Answer::Yes)
}
