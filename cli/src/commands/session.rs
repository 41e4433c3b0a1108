//! `tern logout` and `tern whoami`: what is left of a login.

use serde::Serialize;
use tern_cli::client::{Client, Connection, Token};

use super::{Answer, Context};
use crate::{
    args::Global,
    clock,
    out::{Out, Reader, talk},
    show::people as show,
    store::{Store, Stored},
};

/// A logout, as programs get it.
#[derive(Serialize)]
struct LoggedOut<'a> {
    hub: Option<&'a str>,
    /// Whether the token is good no more.
    revoked: bool,
}

/// Revokes the kept token at the hub if it can, and forgets it here in any case.
pub(crate) fn logout(global: &Global) -> anyhow::Result<Answer> {
    let mut store = Store::read()?;
    let meant = store.meant(global.hub.as_deref()).cloned();
    let (revoked, said) = match &meant {
        None => (
            false,
            "not logged in there; there is nothing to forget".into(),
        ),
        Some(stored) if stored.expires_at <= clock::now() => {
            let url = &stored.url;
            (
                true,
                format!("the token for {url} had expired; it is forgotten"),
            )
        }
        Some(stored) => match revoke(stored) {
            Ok(()) => (true, format!("logged out of {}", stored.url)),
            Err(err) => {
                let url = &stored.url;
                let text = "the token is forgotten here, but the hub takes it until it expires";
                (false, format!("{text}: {err}; revoke it there: {url}"))
            }
        },
    };
    if let Some(stored) = &meant {
        store.hubs.retain(|hub| hub.url != stored.url);
        store.write()?;
    }
    match global.reader() {
        Reader::Person => talk(said),
        Reader::Program => Out::new(Reader::Program).document(&LoggedOut {
            hub: meant.as_ref().map(|stored| stored.url.as_str()),
            revoked,
        })?,
    }
    Ok(Answer::Yes)
}

fn revoke(stored: &Stored) -> anyhow::Result<()> {
    let client = Client::connect(&Connection {
        hub: stored.url.clone(),
        workspace: stored.workspace.clone(),
        token: Some(Token::new(&stored.token)),
        ca: stored.ca.clone(),
    })?;
    if let Some(token) = client.me()?.token {
        client.revoke_token(token)?;
    }
    Ok(())
}

pub(crate) fn whoami(context: &Context) -> anyhow::Result<Answer> {
    let me = context.client.me()?;
    let (hub, workspace) = (context.client.hub(), &context.workspace);
    context
        .out
        .answer(&me, |look| show::me(&me, hub, workspace, look))?;
    Ok(Answer::Yes)
}
