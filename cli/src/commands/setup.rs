//! `tern setup LINK`: the first admin, or whoever was given a link, sets a password and is logged in.
//!
//! Must never break: the code of the link goes only to a hub that somebody vouches for, and is in no
//! text of ours.

use tern_cli::client::Client;
use tern_protocol::{digest::Digest, id::UserName, rest::Setup};

use super::{
    Answer,
    login::{self, Account},
};
use crate::{args::Global, out::talk};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Write the link in quotes. The hub prints one at its first start; `tern user \
    link NAME` makes one for a new password."
)]
pub(crate) struct SetupArgs {
    /// The link, https://HOST:PORT/setup#CODE
    #[arg(value_parser = link)]
    link: Link,
    /// Name of the account; asked for on a terminal if not given
    #[arg(long)]
    user: Option<UserName>,
    /// The hub's authority, as PEM
    #[arg(long, value_name = "FILE", conflicts_with = "fingerprint")]
    ca: Option<std::path::PathBuf>,
    /// SHA-256 of the hub's authority
    #[arg(long, value_name = "SHA256")]
    fingerprint: Option<Digest>,
    /// Read the password, at least 12 characters, from stdin
    #[arg(long)]
    password_stdin: bool,
}

/// A link in its parts.
#[derive(Clone)]
struct Link {
    hub: String,
    code: String,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("hub", &self.hub)
            .finish_non_exhaustive()
    }
}

fn link(text: &str) -> Result<Link, &'static str> {
    match text.trim().split_once("/setup#") {
        Some((hub, code)) if !hub.is_empty() && !code.is_empty() => Ok(Link {
            hub: hub.into(),
            code: code.into(),
        }),
        _ => Err("write the whole link in quotes: 'https://HOST:PORT/setup#CODE'"),
    }
}

pub(crate) fn setup(global: &Global, args: SetupArgs) -> anyhow::Result<Answer> {
    let hub = args.link.hub;
    let connection = login::trusted(global, hub, args.ca, args.fingerprint)?;
    let client = Client::connect(&connection)?;
    client.is_ready()?;
    let user = match args.user {
        Some(user) => user,
        None => login::line("Name of the account: ", "--user NAME")?.parse()?,
    };
    let password = login::password(args.password_stdin)?;
    client.set_up(&Setup {
        code: args.link.code,
        user: Some(user.clone()),
        password: password.clone(),
    })?;
    talk(format_args!("{user} is set up at {}", client.hub()));
    let account = Account {
        user: user.to_string(),
        password,
        code: None,
        name: "tern setup".into(),
    };
    login::keep(&client, connection, account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_as_the_hub_prints_them() {
        let link = link("https://hub:8443/setup#secret").expect("a link");
        assert_eq!(
            (&link.hub[..], &link.code[..]),
            ("https://hub:8443", "secret")
        );
        assert!(!format!("{link:?}").contains("secret"));
        for wrong in ["https://hub", "https://hub/setup", "https://hub/setup#", ""] {
            assert!(super::link(wrong).is_err(), "{wrong}");
        }
    }
}
