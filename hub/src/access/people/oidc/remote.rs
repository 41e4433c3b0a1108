//! What is asked of the provider: who it is, and who somebody is.
//!
//! Blocking requests on threads of their own, few at a time. What it says about itself is kept for an
//! hour; a key that it signs with and that we do not know makes us look once more.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::DateTime;
use openidconnect::{
    AccessToken, AuthType, AuthenticationFlow, AuthorizationCode, Client, CsrfToken,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, JsonWebKeySet, OAuth2TokenResponse as _,
    PkceCodeChallenge, RedirectUrl, Scope, StandardErrorResponse, SubjectIdentifier,
    TokenResponse as _, UserInfoClaims,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreClientAuthMethod, CoreErrorResponseType,
        CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreProviderMetadata,
        CoreResponseType, CoreRevocableToken, CoreRevocationErrorResponse,
        CoreTokenIntrospectionResponse,
    },
};
use serde_json::{Map, Value};
use tern_protocol::time::WallTime;
use tokio::sync::Semaphore;
use ureq::tls::Certificate;

use super::{
    OidcError, Settings,
    claims::{self, Others, Person},
    http::Http,
    logins::Started,
    settings::{is_loopback, is_private_to_us},
    short,
    verify::{self, Tokens},
};
use crate::store::chain;

/// How long we believe what the provider said about itself.
const FRESH: Duration = Duration::from_hours(1);

/// How long a provider that does not answer is left alone.
const REST: Duration = Duration::from_secs(5);

/// Logins that ask the provider at the same time; each holds a thread.
const AT_ONCE: usize = 8;

/// Longest that a login waits for its turn.
const TURN: Duration = Duration::from_secs(10);

/// The hub as a client of the provider.
type Relying = Client<
    Others,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// The way to the provider. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    http: Http,
    known: Arc<Mutex<Known>>,
    turns: Arc<Semaphore>,
}

/// What we know of it.
#[derive(Debug, Default)]
enum Known {
    /// We have not asked.
    #[default]
    Nothing,
    /// What it said, and when.
    Said(Arc<CoreProviderMetadata>, Instant),
    /// It did not answer then.
    Silent(Instant),
}

impl Remote {
    pub(super) fn new(roots: Option<&[Certificate<'static>]>) -> Self {
        Self {
            http: Http::new(roots),
            known: Arc::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// What the provider says about itself.
    pub(super) async fn metadata(
        &self,
        settings: &Arc<Settings>,
    ) -> Result<Arc<CoreProviderMetadata>, OidcError> {
        if let Some(known) = self.remembered()? {
            return Ok(known);
        }
        let settings = Arc::clone(settings);
        self.blocking(move |remote| remote.look(&settings)).await
    }

    /// Who comes back with this code.
    pub(super) async fn person(
        &self,
        settings: &Arc<Settings>,
        code: String,
        started: Started,
        now: WallTime,
    ) -> Result<Person, OidcError> {
        let settings = Arc::clone(settings);
        self.blocking(move |remote| remote.exchange(&settings, code, started, now))
            .await
    }

    /// Runs on a thread that may wait, in turn.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, OidcError> + Send + 'static,
    ) -> Result<T, OidcError> {
        let turn = tokio::time::timeout(TURN, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(OidcError::Busy);
        };
        let remote = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&remote);
            drop(turn);
            done
        });
        done.await.unwrap_or(Err(OidcError::Busy))
    }

    fn remembered(&self) -> Result<Option<Arc<CoreProviderMetadata>>, OidcError> {
        match &*self.known.lock().unwrap_or_else(PoisonError::into_inner) {
            Known::Said(said, at) if at.elapsed() < FRESH => Ok(Some(Arc::clone(said))),
            Known::Silent(at) if at.elapsed() < REST => Err(OidcError::Resting),
            _ => Ok(None),
        }
    }

    fn look(&self, settings: &Settings) -> Result<Arc<CoreProviderMetadata>, OidcError> {
        // Somebody may have looked while we waited for our turn.
        if let Some(known) = self.remembered()? {
            return Ok(known);
        }
        let looked = self.ask(settings);
        let known = match &looked {
            Ok(said) => Known::Said(Arc::clone(said), Instant::now()),
            Err(_) => Known::Silent(Instant::now()),
        };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
        looked
    }

    fn ask(&self, settings: &Settings) -> Result<Arc<CoreProviderMetadata>, OidcError> {
        let said = CoreProviderMetadata::discover(&settings.issuer, &self.http);
        let said = said.map_err(|err| OidcError::Unreachable {
            what: "settings",
            why: short(&chain(&err)),
        })?;
        check(settings, &said)?;
        Ok(Arc::new(said))
    }

    fn exchange(
        &self,
        settings: &Settings,
        code: String,
        started: Started,
        now: WallTime,
    ) -> Result<Person, OidcError> {
        let metadata = self.look(settings)?;
        let client = client(settings, &metadata, &started.redirect)?;
        let request = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|err| OidcError::Metadata(err.to_string()))?
            .set_pkce_verifier(started.verifier);
        let tokens = request.request(&self.http);
        let tokens = tokens.map_err(|err| OidcError::Exchange(short(&chain(&err))))?;
        let token = tokens.id_token();
        let token = token.ok_or_else(|| OidcError::Token("there is none".into()))?;
        let now = DateTime::from_timestamp_millis(now.0)
            .ok_or_else(|| OidcError::Token("the hub's clock shows no time".into()))?;
        let verified = |keys| verify::verified(settings, keys, token, &started.nonce, now);
        let claims = match verified(metadata.jwks()) {
            Err(err) if verify::is_unknown_key(&err) => verified(&self.new_keys(&metadata)?),
            other => other,
        };
        let mut claims = claims.map_err(|err| OidcError::Token(short(&chain(&err))))?;
        if claims::is_short(settings, &claims) && metadata.userinfo_endpoint().is_some() {
            let more = self.more(&client, tokens.access_token().clone(), &claims)?;
            // What was signed stands.
            for (name, value) in more {
                claims.entry(name).or_insert(value);
            }
        }
        claims::person(settings, &claims)
    }

    /// The provider's keys now; remembered with the rest.
    fn new_keys(
        &self,
        metadata: &CoreProviderMetadata,
    ) -> Result<JsonWebKeySet<CoreJsonWebKey>, OidcError> {
        let keys = JsonWebKeySet::fetch(metadata.jwks_uri(), &self.http);
        let keys = keys.map_err(|err| OidcError::Unreachable {
            what: "keys",
            why: short(&chain(&err)),
        })?;
        let fresh = metadata.clone().set_jwks(keys.clone());
        let known = Known::Said(Arc::new(fresh), Instant::now());
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(keys)
    }

    /// What the user information says of the same person.
    fn more(
        &self,
        client: &Relying,
        token: AccessToken,
        claims: &Map<String, Value>,
    ) -> Result<Map<String, Value>, OidcError> {
        let subject = claims
            .get("sub")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let subject = SubjectIdentifier::new(subject.into());
        let request = client.user_info(token, Some(subject));
        let request = request.map_err(|err| OidcError::Metadata(err.to_string()))?;
        let said: Result<UserInfoClaims<Others, CoreGenderClaim>, _> = request.request(&self.http);
        let said = said.map_err(|err| OidcError::Unreachable {
            what: "user information",
            why: short(&chain(&err)),
        })?;
        match serde_json::to_value(said) {
            Ok(Value::Object(said)) => Ok(said),
            _ => Ok(Map::new()),
        }
    }
}

/// Everything that the hub or a browser is sent to is as safe as the issuer.
fn check(settings: &Settings, said: &CoreProviderMetadata) -> Result<(), OidcError> {
    let token = said.token_endpoint().map(openidconnect::TokenUrl::url);
    let token = token.ok_or_else(|| OidcError::Metadata("there is no token endpoint".into()))?;
    let all = [
        Some(said.authorization_endpoint().url()),
        Some(token),
        Some(said.jwks_uri().url()),
        said.userinfo_endpoint()
            .map(openidconnect::UserInfoUrl::url),
    ];
    // Only a provider on this machine may send us to this machine.
    let here = is_loopback(settings.issuer.url());
    for url in all.into_iter().flatten() {
        if !is_private_to_us(url) || (is_loopback(url) && !here) {
            let text = format!("{} is not an https address", short(url.as_str()));
            return Err(OidcError::Metadata(text));
        }
    }
    Ok(())
}

/// The hub as a client of the provider.
fn client(
    settings: &Settings,
    metadata: &CoreProviderMetadata,
    redirect: &str,
) -> Result<Relying, OidcError> {
    let redirect = RedirectUrl::new(redirect.into());
    let redirect =
        redirect.map_err(|_| OidcError::Metadata("no address to come back to".into()))?;
    let (client, secret) = (settings.client.clone(), settings.secret.clone());
    let client = Client::from_provider_metadata(metadata.clone(), client, Some(secret));
    // In the header, as the standard wants, unless the provider takes it in the body only.
    let methods = metadata.token_endpoint_auth_methods_supported();
    let in_body = methods.is_some_and(|methods| {
        methods.contains(&CoreClientAuthMethod::ClientSecretPost)
            && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
    });
    let auth = if in_body {
        AuthType::RequestBody
    } else {
        AuthType::BasicAuth
    };
    Ok(client.set_redirect_uri(redirect).set_auth_type(auth))
}

/// The address at the provider where a login begins.
pub(super) fn address(
    settings: &Settings,
    metadata: &CoreProviderMetadata,
    started: &Started,
    challenge: PkceCodeChallenge,
) -> Result<String, OidcError> {
    let client = client(settings, metadata, &started.redirect)?;
    let (state, nonce) = (started.state.clone(), started.nonce.clone());
    let flow = AuthenticationFlow::<CoreResponseType>::AuthorizationCode;
    let mut request = client.authorize_url(flow, move || -> CsrfToken { state }, move || nonce);
    request = request.set_pkce_challenge(challenge);
    for scope in scopes(settings, metadata) {
        request = request.add_scope(Scope::new(scope));
    }
    let (url, ..) = request.url();
    Ok(url.into())
}

/// What is asked for besides `openid`. Providers refuse a scope that they do not know, so that one for
/// groups or mail is asked for only if they list it.
fn scopes(settings: &Settings, metadata: &CoreProviderMetadata) -> Vec<String> {
    let listed = metadata.scopes_supported();
    let is_listed = |name: &str| listed.is_some_and(|all| all.iter().any(|s| s.as_str() == name));
    let mut scopes = vec!["profile".to_owned()];
    for claim in [&settings.user_claim, &settings.groups_claim] {
        if is_listed(claim) && !scopes.contains(claim) {
            scopes.push(claim.clone());
        }
    }
    scopes
}
