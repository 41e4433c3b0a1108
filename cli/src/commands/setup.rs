//! `tern setup LINK`: the first admin, or whoever was given a link, sets a password and is logged in.
//!
//! Must never break: the code of the link goes only to a hub that somebody vouches for, and is in no
//! text of ours.

use tern_cli::client::ClientError;
use tern_protocol::{
    id::{UserName, WorkspaceId},
    rest::{Me, Setup},
};

use super::{
    Answer,
    login::{self, Account},
    trust::{self, TrustArgs},
};
use crate::{
    args::Global,
    ask,
    out::{Out, Reader, talk},
};

/// Shortest password that a hub takes, in characters.
const SHORTEST: usize = 12;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Write the link in quotes. The hub prints one at its first start; `tern user \
    create NAME` and `tern user link NAME` make others. Afterwards you are logged in."
)]
pub(crate) struct SetupArgs {
    /// The link, https://HOST:PORT/setup#CODE
    #[arg(value_parser = link)]
    link: Link,
    /// Name of the first account of a hub; other links have theirs
    #[arg(long)]
    user: Option<UserName>,
    #[command(flatten)]
    trust: TrustArgs,
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
    let mut trusted = trust::trusted(global, &args.link.hub, args.trust)?;
    let user = match args.user {
        None if ask::somebody() => named()?,
        given => given,
    };
    let password = password(args.password_stdin)?;
    let setup = Setup {
        code: args.link.code,
        user,
        password: password.clone(),
    };
    let me = trusted.client.set_up(&setup).map_err(|err| match err {
        ClientError::Problem(problem) if setup.user.is_none() && problem.status == 409 => {
            anyhow::anyhow!("{}; say it with --user NAME", problem.detail)
        }
        err => err.into(),
    })?;
    let Some(user) = me.user.clone() else {
        anyhow::bail!("the hub does not say which account was set up; log in with tern login");
    };
    if global.reader() == Reader::Person {
        talk(format_args!("{user} is set up at {}", trusted.client.hub()));
    }
    let Some(workspace) = workspace(global, &me) else {
        let text = "you are in no workspace yet; somebody who runs the hub adds you";
        match global.reader() {
            Reader::Person => talk(format_args!("{text}: tern member set {user} ROLE")),
            Reader::Program => Out::new(Reader::Program).document(&me)?,
        }
        return Ok(Answer::Yes);
    };
    trusted.connection.workspace = workspace;
    let account = Account {
        user: user.to_string(),
        password,
        code: None,
        name: "tern setup".into(),
    };
    login::keep(global, trusted, account)
}

/// The name of the first account; other links need none.
fn named() -> anyhow::Result<Option<UserName>> {
    let said = ask::line("Name of the account (Enter, if the link was made for you):")?;
    Ok(match said.as_str() {
        "" => None,
        name => Some(name.parse()?),
    })
}

/// A new password, typed twice.
fn password(stdin: bool) -> anyhow::Result<String> {
    if stdin {
        return Ok(ask::secret_of_stdin()?);
    }
    if !ask::somebody() {
        anyhow::bail!("nobody can be asked for the password; give it with --password-stdin");
    }
    loop {
        let first = ask::secret("New password, at least 12 characters:")?;
        if first.chars().count() < SHORTEST {
            talk("that is shorter");
            continue;
        }
        if ask::secret("The same again:")? == first {
            return Ok(first);
        }
        talk("these were two different ones");
    }
}

/// Where to go on: as asked, else the first workspace that the account is in.
fn workspace(global: &Global, me: &Me) -> Option<WorkspaceId> {
    let of = |it: &tern_protocol::rest::Membership| it.workspace.clone();
    let default = me.memberships.iter().map(of);
    let default = default.clone().find(|it| it.as_str() == "default");
    let first = || me.memberships.first().map(of);
    global.workspace.clone().or(default).or_else(first)
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
