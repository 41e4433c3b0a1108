//! `tern login`, `tern logout`, `tern whoami`.

use std::io::{self, IsTerminal as _, Read as _};

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
    ca: Option<std::path::PathBuf>,
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
    let workspace = match &global.workspace {
        Some(workspace) => workspace.clone(),
        None => "default".parse::<WorkspaceId>()?,
    };
    let mut connection = Connection {
        hub: args.url,
        workspace: workspace.clone(),
        token: None,
        ca: args.ca.map(std::fs::read_to_string).transpose()?,
    };
    if let Some(wanted) = args.fingerprint {
        let chain = probe::chain(&connection.hub)?;
        let found = chain.into_iter().find(|shown| shown.fingerprint == wanted);
        let found = found.ok_or_else(|| {
            anyhow::anyhow!("the hub shows no certificate with this fingerprint; do not log in")
        })?;
        connection.ca = Some(found.pem);
    }
    let client = Client::connect(&connection)?;
    // Before a password is asked for: whether somebody vouches for the hub.
    client.is_ready()?;
    let password = if args.password_stdin {
        let mut text = String::new();
        io::stdin().take(4096).read_to_string(&mut text)?;
        text.trim_end_matches(['\r', '\n']).to_owned()
    } else if io::stdin().is_terminal() {
        rpassword::prompt_password("Password: ")?
    } else {
        anyhow::bail!("nobody can be asked for the password; give it with --password-stdin")
    };
    let minted = client.log_in(&LoginForToken {
        user: args.user,
        password,
        code: args.code,
        token: NewToken {
            name: args.name,
            role: None,
            expires_in_s: LIFE,
            hub: true,
        },
        workspace,
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
