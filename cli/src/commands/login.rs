//! `tern login`, `tern logout`, `tern whoami`.

use std::{
    io::{self, IsTerminal as _, Read as _},
    path::PathBuf,
};

use tern_cli::client::{Client, Connection, Token, probe};
use tern_protocol::{
    digest::Digest,
    id::WorkspaceId,
    rest::{LoginForToken, NewToken},
};

use super::{Answer, Context};
use crate::{
    args::Global,
    out::talk,
    store::{Store, Stored},
};

/// How long a token of a login is good for, in seconds: the hub's own choice, 90 days.
const LIFE: u64 = 90 * 24 * 60 * 60;

#[derive(Debug, clap::Args)]
pub(crate) struct LoginArgs {
    /// Where the hub is, https://HOST:PORT
    url: String,
    /// Name of the account
    #[arg(long)]
    user: String,
    /// What the token is called
    #[arg(long, default_value = "tern login")]
    name: String,
    /// The hub's authority, as PEM
    #[arg(long, value_name = "FILE", conflicts_with = "fingerprint")]
    ca: Option<PathBuf>,
    /// SHA-256 of the hub's authority
    #[arg(long, value_name = "SHA256")]
    fingerprint: Option<Digest>,
    /// Read the password from stdin
    #[arg(long)]
    password_stdin: bool,
    /// The second factor, if the account has one
    #[arg(long)]
    code: Option<String>,
}

pub(crate) fn login(global: &Global, args: LoginArgs) -> anyhow::Result<Answer> {
    let connection = trusted(global, args.url, args.ca, args.fingerprint)?;
    let client = Client::connect(&connection)?;
    // Before a password is asked for: whether somebody vouches for the hub.
    client.is_ready()?;
    let account = Account {
        user: args.user,
        password: password(args.password_stdin)?,
        code: args.code,
        name: args.name,
    };
    keep(&client, connection, account)
}

/// Where the hub is and who vouches for it, by what was given.
pub(crate) fn trusted(
    global: &Global,
    hub: String,
    ca: Option<PathBuf>,
    fingerprint: Option<Digest>,
) -> anyhow::Result<Connection> {
    let workspace = match &global.workspace {
        Some(workspace) => workspace.clone(),
        None => "default".parse::<WorkspaceId>()?,
    };
    let mut connection = Connection {
        hub,
        workspace,
        token: None,
        ca: ca.map(std::fs::read_to_string).transpose()?,
    };
    if let Some(wanted) = fingerprint {
        let chain = probe::chain(&connection.hub)?;
        let found = chain.into_iter().find(|shown| shown.fingerprint == wanted);
        let found = found.ok_or_else(|| {
            anyhow::anyhow!("the hub shows no certificate with this fingerprint; do not log in")
        })?;
        connection.ca = Some(found.pem);
    }
    Ok(connection)
}

/// A password from stdin, or from the person at the terminal.
pub(crate) fn password(stdin: bool) -> anyhow::Result<String> {
    if stdin {
        let mut text = String::new();
        io::stdin().take(4096).read_to_string(&mut text)?;
        return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    if io::stdin().is_terminal() {
        return Ok(rpassword::prompt_password("Password: ")?);
    }
    anyhow::bail!("nobody can be asked for the password; give it with --password-stdin")
}

/// A line from the person at the terminal; `option` answers where there is none.
pub(crate) fn line(question: &str, option: &str) -> anyhow::Result<String> {
    if !io::stdin().is_terminal() {
        anyhow::bail!("nobody can be asked; give {option}");
    }
    talk(question);
    let mut text = String::new();
    io::stdin().read_line(&mut text)?;
    Ok(text.trim().to_owned())
}

/// With what a token is asked for. No `Debug`: it holds a password.
pub(crate) struct Account {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) code: Option<String>,
    /// What the token is called.
    pub(crate) name: String,
}

/// Asks for a token and keeps it.
pub(crate) fn keep(
    client: &Client,
    connection: Connection,
    account: Account,
) -> anyhow::Result<Answer> {
    let minted = client.log_in(&LoginForToken {
        user: account.user,
        password: account.password,
        code: account.code,
        token: NewToken {
            name: account.name,
            role: None,
            expires_in_s: LIFE,
            hub: true,
        },
        workspace: connection.workspace,
    })?;
    let mut store = Store::read()?;
    store.put(Stored {
        url: client.hub().to_owned(),
        ca: connection.ca,
        workspace: minted.view.workspace.clone(),
        token: Token::new(&minted.token).reveal().to_owned(),
        user: minted.view.user.to_string(),
        expires_at: minted.view.expires_at,
    });
    store.write()?;
    talk(format_args!(
        "logged in to {} as {}",
        client.hub(),
        minted.view.user
    ));
    Ok(Answer::Yes)
}

/// Forgets the token of the hub that is meant if it has expired: there is nothing to revoke. Whether it
/// had.
pub(crate) fn forget_expired(global: &Global) -> anyhow::Result<bool> {
    let mut store = Store::read()?;
    let hub = global
        .hub
        .as_deref()
        .map(|hub| hub.trim().trim_end_matches('/'));
    let meant = match hub {
        Some(hub) => store.hubs.iter().position(|stored| stored.url == hub),
        None if store.hubs.is_empty() => None,
        None => Some(0),
    };
    let now = crate::clock::now();
    let Some(i) = meant.filter(|&i| store.hubs[i].expires_at <= now) else {
        return Ok(false);
    };
    let gone = store.hubs.remove(i);
    store.write()?;
    talk(format_args!(
        "the token for {} had expired; it is forgotten",
        gone.url
    ));
    Ok(true)
}

/// Revokes the token at the hub if it can, and forgets it here in any case.
pub(crate) fn logout(context: &Context) -> anyhow::Result<Answer> {
    let revoked = context.client.me().and_then(|me| match me.token {
        Some(token) => context.client.revoke_token(token),
        None => Ok(()),
    });
    if let Err(err) = revoked {
        talk(format_args!(
            "the hub still knows the token until it expires: {err}"
        ));
    }
    let mut store = Store::read()?;
    store.hubs.retain(|hub| hub.url != context.client.hub());
    store.write()?;
    Ok(Answer::Yes)
}

pub(crate) fn whoami(context: &Context) -> anyhow::Result<Answer> {
    let me = context.client.me()?;
    context.out.answer(&me, |_| match &me.user {
        Some(user) => format!("{user} at {}", context.client.hub()),
        None => "nobody in particular: the hub asks nobody to log in".into(),
    })?;
    Ok(Answer::Yes)
}
