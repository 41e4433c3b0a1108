//! Who asks: a session cookie, an API token, or nobody. Establishes the principal of every request.
//!
//! Must never break:
//! - what proves nothing is nobody's: a wrong token or an old cookie is not an error of its own, the
//!   route's policy refuses it;
//! - a browser changes nothing for another site: requests with a cookie that change something come
//!   from our own pages, or are refused.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use cookie::{Cookie, SameSite};
use rustls::pki_types::CertificateDer;

use super::problem::ApiError;
use crate::{
    access::{
        people::{session, token},
        principal::{Principal, Who},
    },
    app::App,
    jobs,
    store::StoreError,
};

/// The session's cookie. The prefix makes browsers insist on HTTPS, on this host and on the whole
/// path, so that no neighbour can set one (RFC 6265bis, 4.1.3.2).
pub(super) const COOKIE: &str = "__Host-tern";

/// What stands around the routes: whether requests that prove nothing may do all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// As it ships: whoever asks shows who they are.
    Nobody,
    /// `--insecure-loopback`: whoever reaches the hub may do all.
    Loopback,
}

/// The certificates that a device showed on its connection, verified, leaf first. In the extensions of
/// each of its requests; put there by the listener.
#[derive(Debug, Clone)]
pub struct Shown(pub Arc<[CertificateDer<'static>]>);

/// Puts the principal into the request's extensions.
pub(super) async fn authenticate(
    State((app, trust)): State<(App, Trust)>,
    mut request: Request,
    next: Next,
) -> Response {
    let from = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let from = from.map(|ConnectInfo(address)| address.ip().to_canonical());
    let headers = request.headers();
    let who = match (trust, request.extensions().get::<Shown>()) {
        (Trust::Loopback, _) => Ok(Who::Loopback),
        (Trust::Nobody, Some(shown)) => Ok(device(&app, shown)),
        (Trust::Nobody, None) => who(&app, headers, request.method()).await,
    };
    let who = match who {
        Ok(who) => who,
        Err(refusal) => return refusal.into_response(),
    };
    request.extensions_mut().insert(Principal { who, from });
    next.run(request).await
}

/// The device that a certificate speaks for, if it may speak now.
fn device(app: &App, Shown(chain): &Shown) -> Who {
    match app.registry.admit(chain) {
        Ok(admitted) => Who::Device {
            identity: admitted.identity,
            workspace: admitted.workspace,
            device: admitted.device,
        },
        Err(refusal) => {
            tracing::debug!(%refusal, "a certificate speaks for nobody");
            Who::Anonymous
        }
    }
}

async fn who(app: &App, headers: &HeaderMap, method: &Method) -> Result<Who, ApiError> {
    if let Some(given) = headers.get(header::AUTHORIZATION) {
        // Whoever sends this is a program; a cookie beside it counts nothing.
        let token = given.to_str().ok().and_then(api_token);
        let known = match token {
            Some(token) if token.starts_with(jobs::TOKEN_PREFIX) => {
                jobs::who_has_token(app, &token).await?
            }
            Some(token) => token::who(app, &token).await?,
            None => None,
        };
        return Ok(known.unwrap_or(Who::Anonymous));
    }
    let Some(secret) = session_of(headers) else {
        return Ok(Who::Anonymous);
    };
    let account: Result<_, StoreError> = session::account_of(app, &secret).await;
    let Some(account) = account? else {
        return Ok(Who::Anonymous);
    };
    if !method.is_safe() && page(headers) != Page::Own {
        return Err(ApiError::forbidden(
            "this request comes from another site; programs send `Authorization: Bearer` instead \
             of a cookie",
        ));
    }
    Ok(Who::User(account))
}

/// The token of `Bearer TOKEN`, or the password of `Basic`, which is what some clients can send.
fn api_token(given: &str) -> Option<String> {
    let (scheme, rest) = given.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let pair = BASE64_STANDARD.decode(rest.trim()).ok()?;
        let pair = String::from_utf8(pair).ok()?;
        return pair
            .split_once(':')
            .map(|(_, password)| password.to_owned());
    }
    None
}

/// What stands in a cookie of this name.
pub(crate) fn cookie_of(headers: &HeaderMap, name: &str) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).into_iter();
    let texts = cookies.filter_map(|value| value.to_str().ok());
    let mut all = texts.flat_map(Cookie::split_parse).flatten();
    all.find(|cookie| cookie.name() == name)
        .map(|cookie| cookie.value().to_owned())
}

/// A cookie with a secret, which no script sees. Lax: a link from elsewhere opens the dashboard, a
/// form from elsewhere posts nothing.
pub(crate) fn secret_cookie<'a>(name: &'a str, secret: &'a str) -> Cookie<'a> {
    Cookie::build((name, secret))
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Lax)
        .path("/")
        .build()
}

/// `Set-Cookie` that takes one away.
pub(crate) fn no_cookie_of(name: &str) -> String {
    let mut gone = Cookie::build((name, "")).secure(true).path("/").build();
    gone.make_removal();
    gone.to_string()
}

/// The secret in the session's cookie.
pub(crate) fn session_of(headers: &HeaderMap) -> Option<String> {
    cookie_of(headers, COOKIE)
}

/// `Set-Cookie` of a new session.
pub(crate) fn cookie(secret: &str) -> String {
    secret_cookie(COOKIE, secret).to_string()
}

/// `Set-Cookie` that takes it away.
pub(super) fn no_cookie() -> String {
    no_cookie_of(COOKIE)
}

/// Which page a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    /// One of this hub, or a person's own doing, as a bookmark.
    Own,
    /// One of another site.
    Foreign,
    /// It does not say; browsers do with every request that changes something, so it is a program.
    Unsaid,
}

/// Which page a request comes from. Browsers say so in `Sec-Fetch-Site`, which no page can forge;
/// older ones in `Origin` at least.
pub(crate) fn page(headers: &HeaderMap) -> Page {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let own = match (text("sec-fetch-site"), text("origin"), text("host")) {
        (Some(site), ..) => matches!(site, "same-origin" | "none"),
        (None, Some(origin), Some(host)) => origin
            .split_once("://")
            .is_some_and(|(_, origin)| origin.eq_ignore_ascii_case(host)),
        (None, Some(_), None) => false,
        (None, None, _) => return Page::Unsaid,
    };
    if own { Page::Own } else { Page::Foreign }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let name = axum::http::HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        pairs.collect()
    }

    #[test]
    fn pages_of_other_sites_are_told_apart() {
        let host = ("host", "hub:8443");
        for (expected, pairs) in [
            (Page::Own, vec![("sec-fetch-site", "same-origin")]),
            (Page::Own, vec![("sec-fetch-site", "none")]),
            (Page::Foreign, vec![("sec-fetch-site", "same-site")]),
            (
                Page::Foreign,
                vec![
                    host,
                    ("origin", "https://hub:8443"),
                    ("sec-fetch-site", "cross-site"),
                ],
            ),
            (Page::Own, vec![host, ("origin", "https://hub:8443")]),
            (Page::Foreign, vec![host, ("origin", "https://evil")]),
            (Page::Foreign, vec![host, ("origin", "https://hub:9090")]),
            (Page::Foreign, vec![host, ("origin", "null")]),
            (Page::Foreign, vec![("origin", "https://hub:8443")]),
            (Page::Unsaid, vec![host]),
        ] {
            assert_eq!(page(&headers(&pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn tokens_come_as_bearer_or_as_the_password_of_basic() {
        assert_eq!(api_token("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(api_token("basic eDphYmM=").as_deref(), Some("abc"));
        for bad in ["", "Bearer", "Basic !", "Basic YWJj", "Digest x"] {
            assert_eq!(api_token(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_cookie_is_for_this_host_over_https_and_not_for_scripts() {
        let cookie = cookie("s");
        for word in [
            "__Host-tern=s",
            "Secure",
            "HttpOnly",
            "SameSite=Lax",
            "Path=/",
        ] {
            assert!(cookie.contains(word), "{cookie}");
        }
        assert!(!cookie.contains("Domain"));
        let sent = headers(&[("cookie", "a=b; __Host-tern=s; c=d")]);
        assert_eq!(session_of(&sent).as_deref(), Some("s"));
    }
}
