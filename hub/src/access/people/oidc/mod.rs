//! Login by an OpenID provider: authorization code with PKCE, roles from the groups of the person.
//!
//! Called by the dashboard's doors: [`begin`] sends a browser to the provider, [`finish`] takes it back.
//! What is decided stands apart from what is asked of the provider: [`logins`] says which login comes
//! back, [`rules`] which roles groups give, `verify` whether an ID token is one for us.
//!
//! Must never break:
//! - a login ends in the browser in which it began, once, within ten minutes;
//! - a person is who the provider says by issuer and subject. Names can be taken over; they are for
//!   reading, and one that is taken is refused;
//! - roles are those that the groups give at each login: nobody keeps one that they were given before;
//! - the hub runs, and passwords work, whether the provider is there or not;
//! - no code, token, verifier or client secret is logged, shown or stored.

mod admit;
mod claims;
mod error;
mod http;
pub mod logins;
mod remote;
pub mod rules;
pub mod schema;
mod settings;
#[cfg(test)]
mod tests;
mod verify;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use openidconnect::{CsrfToken, Nonce, PkceCodeChallenge};
use tern_protocol::id::UserName;

pub use self::{
    error::OidcError,
    settings::{Settings, SettingsError, issuer},
};
use self::{
    logins::{Logins, Started},
    remote::Remote,
};
use super::{
    secret,
    session::{self, Way},
};
use crate::{access::audit::Actor, app::App, store::chain};

/// The path to which the provider sends people back.
pub const BACK: &str = "/login/oidc/callback";

/// Longest value of an address or a cookie that is looked at, in bytes. Codes of some providers have
/// two thousand.
const VALUE: usize = 8 * 1024;

/// An OpenID provider that people may come by. Clones share it.
#[derive(Debug, Clone)]
pub struct Provider {
    settings: Arc<Settings>,
    logins: Arc<Mutex<Logins>>,
    remote: Remote,
}

impl Provider {
    /// One with these settings. Nothing is asked of it before somebody wants to log in.
    pub fn new(settings: Settings) -> Self {
        Self {
            remote: Remote::new(settings.roots.as_deref()),
            settings: Arc::new(settings),
            logins: Arc::default(),
        }
    }
}

/// A browser that wants to log in.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Its address.
    pub from: Option<IpAddr>,
    /// The origin at which it reaches the hub, as `https://hub.example:8443`.
    pub origin: String,
    /// Where it goes then: an address of this hub.
    pub next: String,
}

/// A login that has begun.
#[derive(Debug)]
pub struct Begun {
    /// The address at the provider to go to.
    pub to: String,
    /// What the browser shows when it comes back, in a cookie.
    pub handle: String,
}

/// Begins a login.
pub async fn begin(app: &App, provider: &Provider, visitor: Visitor) -> Result<Begun, OidcError> {
    let metadata = provider.remote.metadata(&provider.settings).await?;
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let started = Started {
        state: CsrfToken::new_random(),
        nonce: Nonce::new_random(),
        verifier,
        redirect: format!("{}{BACK}", visitor.origin),
        next: visitor.next,
        from: visitor.from,
    };
    let to = remote::address(&provider.settings, &metadata, &started, challenge)?;
    let handle = secret::new("").map_err(|_| OidcError::Random)?;
    let mut logins = provider
        .logins
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    logins.begin(secret::hashed(&handle), started, app.clock.now());
    Ok(Begun { to, handle })
}

/// What a provider sends back with a browser, and what the browser itself brings.
#[derive(Debug, Default, Clone, Copy)]
pub struct Return<'a> {
    /// The secret in its cookie.
    pub handle: Option<&'a str>,
    /// As the login was begun with.
    pub state: Option<&'a str>,
    /// With which the hub gets the tokens.
    pub code: Option<&'a str>,
    /// Who sent it (RFC 9207); not all providers say.
    pub issuer: Option<&'a str>,
    /// Why there is no code.
    pub error: Option<&'a str>,
    /// The secret of the session that the browser had.
    pub session: Option<&'a str>,
}

/// A login that has ended well.
#[derive(Debug)]
pub struct Done {
    /// The secret of the new session, for its cookie.
    pub session: String,
    /// Where the person wanted to go.
    pub next: String,
}

/// Ends a login: a new session for whom the provider names.
pub async fn finish(
    app: &App,
    provider: &Provider,
    by: &Actor,
    back: Return<'_>,
) -> Result<Done, OidcError> {
    let done = end(app, provider, by, back).await;
    if let Err(err) = &done {
        // The person is told what to do; why is for whoever runs the hub.
        tracing::warn!(error = chain(err), "nobody was logged in by OpenID");
    }
    done
}

async fn end(
    app: &App,
    provider: &Provider,
    by: &Actor,
    back: Return<'_>,
) -> Result<Done, OidcError> {
    let all = [back.handle, back.state, back.code, back.issuer, back.error];
    if all.into_iter().flatten().any(|text| text.len() > VALUE) {
        return Err(OidcError::Unreadable);
    }
    let handle = back.handle.ok_or(OidcError::NotBegunHere)?;
    let started = {
        let mut logins = provider
            .logins
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let hash = secret::hashed(handle);
        logins.take(&hash, back.state.unwrap_or_default(), app.clock.now())?
    };
    // Before the code goes anywhere: it may be one of another provider.
    let ours = provider.settings.issuer.as_str();
    if back.issuer.is_some_and(|issuer| issuer != ours) {
        return Err(OidcError::OtherIssuer);
    }
    if let Some(error) = back.error {
        return Err(OidcError::Declined(short(error)));
    }
    let code = back.code.ok_or(OidcError::Unreadable)?.to_owned();
    let next = started.next.clone();
    let now = app.clock.now();
    let settings = &provider.settings;
    let person = provider.remote.person(settings, code, started, now).await?;
    let user: UserName = admit::admit(app, by, settings, &person).await?;
    let session = session::begin_for(app, by, &user, back.session, Way::Oidc).await?;
    Ok(Done { session, next })
}

/// A text from outside as it may stand in a log: a word or two.
fn short(text: &str) -> String {
    let plain = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ');
    plain.take(200).collect()
}
