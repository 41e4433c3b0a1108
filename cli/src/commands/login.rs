//! `tern login`: a token for a hub, asked for with a password or given, and kept.
//!
//! Must never break: no password, code or token is in any text of ours.

use serde::Serialize;
use tern_cli::client::{Client, ClientError, Connection, Token};
use tern_protocol::{
    id::{UserName, WorkspaceId},
    rest::{LoginForToken, Minted, NewToken},
    time::WallTime,
};

use super::{
    Answer,
    trust::{self, TrustArgs, Trusted},
};
use crate::{
    args::Global,
    ask,
    out::{Out, Reader, talk},
    show::words::date,
    store::{Store, Stored},
};

/// How long a token of a login is good for, in seconds: the hub's own choice, 90 days.
const LIFE: u64 = 90 * 24 * 60 * 60;

/// The kind of problem that asks for a second factor.
const SECOND_FACTOR: &str = "urn:tern:problem:second-factor";

#[derive(Debug, clap::Args)]
#[command(
    after_help = "A hub with an authority of its own is taken once you say that its fingerprint is \
    the right one, or when you give it with --ca or --fingerprint.\n\
    In scripts: tern login URL --token-stdin < token"
)]
pub(crate) struct LoginArgs {
    /// Where the hub is, https://HOST:PORT; the one logged in to last if not given
    url: Option<String>,
    /// Name of the account; the one of the last login if not given
    #[arg(long)]
    user: Option<String>,
    /// What the token is called
    #[arg(long, default_value = "tern login")]
    name: String,
    #[command(flatten)]
    trust: TrustArgs,
    /// Read the password from stdin
    #[arg(long)]
    password_stdin: bool,
    /// The second factor, if the account has one: six digits, or a recovery code
    #[arg(long)]
    code: Option<String>,
    /// Keep an API token that there is already; it is read from stdin
    #[arg(long, conflicts_with_all = ["user", "name", "password_stdin", "code"])]
    token_stdin: bool,
}

pub(crate) fn login(global: &Global, args: LoginArgs) -> anyhow::Result<Answer> {
    let last = || {
        let stored = Store::read()?.meant(None).map(|last| last.url.clone());
        stored.ok_or_else(|| anyhow::anyhow!("say which hub: tern login https://HOST:PORT"))
    };
    let hub = match args.url.or_else(|| global.hub.clone()) {
        Some(hub) => hub,
        None => last()?,
    };
    let trusted = trust::trusted(global, &hub, args.trust)?;
    if args.token_stdin {
        return keep_given(global, trusted, &Token::new(&ask::secret_of_stdin()?));
    }
    let user = args
        .user
        .or_else(|| trusted.known.as_ref().map(|known| known.user.clone()));
    let user = match user {
        Some(user) => user,
        None if ask::somebody() => ask::line("Name of the account:")?,
        None => anyhow::bail!("nobody can be asked for the account; give it with --user NAME"),
    };
    let password = if args.password_stdin {
        ask::secret_of_stdin()?
    } else if ask::somebody() {
        ask::secret(&format!("Password of {user} at {}:", trusted.client.hub()))?
    } else {
        anyhow::bail!("nobody can be asked for the password; give it with --password-stdin");
    };
    let account = Account {
        user,
        password,
        code: args.code,
        name: args.name,
    };
    keep(global, trusted, account)
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
pub(crate) fn keep(global: &Global, trusted: Trusted, account: Account) -> anyhow::Result<Answer> {
    let Trusted {
        client, connection, ..
    } = trusted;
    let wanted = LoginForToken {
        user: account.user,
        password: account.password,
        code: account.code,
        token: NewToken {
            name: account.name,
            role: None,
            expires_in_s: LIFE,
            hub: true,
        },
        workspace: connection.workspace.clone(),
    };
    let minted = minted(&client, wanted)?;
    let token = Token::new(&minted.token);
    let view = minted.view;
    put(
        global,
        connection,
        &token,
        view.workspace,
        &view.user,
        view.expires_at,
    )
}

/// The token, with a second factor if the hub wants one.
fn minted(client: &Client, wanted: LoginForToken) -> anyhow::Result<Minted> {
    match client.log_in(&wanted) {
        Err(ClientError::Problem(problem)) if problem.kind == SECOND_FACTOR => {
            if !ask::somebody() {
                anyhow::bail!(
                    "this account has a second factor; give its six digits, or a recovery code, \
                     with --code"
                );
            }
            let code = ask::line("Code of the second factor, or a recovery code:")?;
            Ok(client.log_in(&LoginForToken {
                code: Some(code),
                ..wanted
            })?)
        }
        Err(ClientError::Problem(problem)) if problem.status == 404 => {
            anyhow::bail!("{}; say which one with --workspace NAME", problem.detail)
        }
        minted => Ok(minted?),
    }
}

/// Keeps a token that was given, once the hub has said whose it is.
fn keep_given(global: &Global, trusted: Trusted, token: &Token) -> anyhow::Result<Answer> {
    let mut connection = Connection {
        token: Some(token.clone()),
        ..trusted.connection
    };
    let me = Client::connect(&connection)?.me()?;
    let Some(id) = me.token else {
        anyhow::bail!("this hub asks nobody to log in: there is nothing to keep");
    };
    let its_own = me.memberships.first().map(|it| it.workspace.clone());
    let workspace = its_own
        .ok_or_else(|| anyhow::anyhow!("this token works in no workspace; make another one"))?;
    if global
        .workspace
        .as_ref()
        .is_some_and(|wanted| *wanted != workspace)
    {
        anyhow::bail!("this token works in workspace {workspace} only");
    }
    connection.workspace = workspace.clone();
    let tokens = Client::connect(&connection)?.tokens().all()?;
    let view = tokens.into_iter().find(|view| view.id == id);
    let view = view.ok_or_else(|| anyhow::anyhow!("the hub does not list this token"))?;
    put(
        global,
        connection,
        token,
        workspace,
        &view.user,
        view.expires_at,
    )
}

/// A login, as programs get it.
#[derive(Serialize)]
struct LoggedIn<'a> {
    hub: &'a str,
    user: &'a str,
    workspace: &'a WorkspaceId,
    expires_at: WallTime,
}

fn put(
    global: &Global,
    connection: Connection,
    token: &Token,
    workspace: WorkspaceId,
    user: &UserName,
    expires_at: WallTime,
) -> anyhow::Result<Answer> {
    let mut store = Store::read()?;
    let stored = Stored {
        url: connection.hub,
        ca: connection.ca,
        workspace,
        token: token.reveal().to_owned(),
        user: user.to_string(),
        expires_at,
    };
    store.put(stored.clone());
    store.write()?;
    let Stored {
        url,
        user,
        workspace,
        ..
    } = &stored;
    match global.reader() {
        Reader::Person => talk(format_args!(
            "logged in to {url} as {user}, workspace {workspace}, until {}",
            date(expires_at)
        )),
        Reader::Program => Out::new(Reader::Program).document(&LoggedIn {
            hub: url,
            user,
            workspace,
            expires_at,
        })?,
    }
    Ok(Answer::Yes)
}
