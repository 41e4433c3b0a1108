//! The way to the OpenID provider and back.
//!
//! Both addresses answer with a redirect or with a page that says what to do. The redirect back comes
//! from another site, so the cookies are `Lax`: browsers send them along when somebody is led here,
//! and with nothing else that another site makes them ask for.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use cookie::time::Duration;
use serde::Deserialize;

use super::access::here;
use crate::{
    access::{
        audit::Actor,
        people::oidc::{self, Done, OidcError, Return, Visitor, logins},
        principal::Who,
    },
    api,
    app::App,
    dashboard::{pages, visit::Visit},
    store::chain,
};

/// Ties a login to the browser in which it began. The prefix as that of the session's.
const COOKIE: &str = "__Host-tern-oidc";

/// What stands behind the `?` of both addresses.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    next: Option<String>,
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

type Ask = Result<Query<Asked>, QueryRejection>;

/// `/login/oidc?next=`
pub(super) async fn begin(
    State(app): State<App>,
    visit: Visit,
    headers: HeaderMap,
    ask: Ask,
) -> Response {
    let next = ask.ok().and_then(|Query(asked)| asked.next);
    let next = here(next.as_deref());
    if visit.asker.who != Who::Anonymous {
        return Redirect::to(next).into_response();
    }
    let Some(provider) = app.people.provider() else {
        return no_provider(&visit, next);
    };
    let host = headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let visitor = Visitor {
        from: visit.asker.from,
        origin: app.reach.origin(host),
        next: next.to_owned(),
    };
    match oidc::begin(&app, provider, visitor).await {
        Ok(begun) => lead(&begun.to, &[handle(&begun.handle)]),
        Err(err) => {
            tracing::warn!(error = chain(&err), "no login by OpenID could begin");
            refused(&visit, &err, next)
        }
    }
}

/// `/login/oidc/callback`
pub(super) async fn back(
    State(app): State<App>,
    visit: Visit,
    headers: HeaderMap,
    ask: Ask,
) -> Response {
    if visit.asker.who == Who::Loopback {
        return Redirect::to("/").into_response();
    }
    let Some(provider) = app.people.provider() else {
        return no_provider(&visit, "/");
    };
    let asked = ask.map(|Query(asked)| asked).unwrap_or_default();
    let shown = api::cookie_of(&headers, COOKIE);
    let session = api::session_of(&headers);
    let back = Return {
        handle: shown.as_deref(),
        state: asked.state.as_deref(),
        code: asked.code.as_deref(),
        issuer: asked.iss.as_deref(),
        error: asked.error.as_deref(),
        session: session.as_deref(),
    };
    let by = Actor::from(&visit.asker);
    match oidc::finish(&app, provider, &by, back).await {
        Ok(Done { session, next }) => lead(&next, &[api::cookie(&session), no_handle()]),
        Err(err) => refused(&visit, &err, "/"),
    }
}

/// `Set-Cookie` of a login that begins; it ends with what the hub remembers of it.
fn handle(secret: &str) -> String {
    let life = Duration::seconds(logins::LIFE.as_secs() as i64);
    let mut cookie = api::secret_cookie(COOKIE, secret);
    cookie.set_max_age(life);
    cookie.to_string()
}

fn no_handle() -> String {
    api::no_cookie_of(COOKIE)
}

/// Leads a browser on. Nothing of the addresses on the way is kept or told to whom they lead.
fn lead(to: &str, cookies: &[String]) -> Response {
    let mut response = Redirect::to(to).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for cookie in cookies {
        let value = HeaderValue::from_str(cookie).expect("secrets are base64");
        headers.append(header::SET_COOKIE, value);
    }
    response
}

fn no_provider(visit: &Visit, next: &str) -> Response {
    let text = "This hub has no OpenID provider. Log in with your name and password.";
    let page = pages::door::not_logged_in(text, next);
    visit.refused(StatusCode::NOT_FOUND, page)
}

fn refused(visit: &Visit, err: &OidcError, next: &str) -> Response {
    let (status, what) = told(err);
    let mut response = visit.refused(status, pages::door::not_logged_in(what, next));
    let gone = HeaderValue::from_str(&no_handle()).expect("it has no secret");
    response.headers_mut().append(header::SET_COOKIE, gone);
    response
}

/// What somebody is told who is not logged in: what to do. The log says why.
fn told(err: &OidcError) -> (StatusCode, &'static str) {
    match err {
        OidcError::NotBegunHere | OidcError::State | OidcError::Unreadable => (
            StatusCode::BAD_REQUEST,
            "This login did not begin in this browser, took more than ten minutes, or was used \
             already. Begin again.",
        ),
        OidcError::Declined(_) => (
            StatusCode::FORBIDDEN,
            "Your organisation's login said no, or you did. Begin again, or ask its admin.",
        ),
        OidcError::NoRole { .. } => (
            StatusCode::FORBIDDEN,
            "Your organisation knows you, but none of your groups has a role on this hub. Ask your \
             admin to put you into one that has.",
        ),
        OidcError::Disabled(_) => (
            StatusCode::FORBIDDEN,
            "Your account on this hub is disabled. Ask its admin.",
        ),
        OidcError::NameTaken { .. } => (
            StatusCode::CONFLICT,
            "There is another account with your name on this hub, and nobody gets into an account by \
             its name. Log in with its password if it is yours, or ask the admin.",
        ),
        OidcError::Claim(_) => (
            StatusCode::FORBIDDEN,
            "Your organisation's login does not tell this hub a name that it can use. Ask the admin \
             to look into the hub's log.",
        ),
        OidcError::Unreachable { .. } | OidcError::Resting | OidcError::Busy => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Your organisation's login does not answer. Try again in a moment; a password works \
             meanwhile.",
        ),
        OidcError::OtherIssuer
        | OidcError::Metadata(_)
        | OidcError::Exchange(_)
        | OidcError::Token(_) => (
            StatusCode::BAD_GATEWAY,
            "Your organisation's login and this hub do not understand each other. Begin again; if it \
             stays so, ask the admin to look into the hub's log.",
        ),
        OidcError::Random | OidcError::People(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "The hub could not log you in. The cause stands in its log; try again in a moment.",
        ),
    }
}
