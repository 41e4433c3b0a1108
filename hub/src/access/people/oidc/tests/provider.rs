//! A small OpenID provider that says what a test wants, also what no good one would.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Form, Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use openidconnect::{
    ClientId, ClientSecret, JsonWebKeyId, PrivateSigningKey as _,
    core::{CoreEdDsaPrivateSigningKey, CoreHmacKey, CoreJwsSigningAlgorithm},
};
use serde_json::{Value, json};
use tern_protocol::digest::Digest;
use tokio::net::TcpListener;

use super::super::{
    Settings, issuer,
    rules::{RoleRule, Rules},
    verify::Token,
};

pub(super) const CLIENT: &str = "tern";
pub(super) const SECRET: &str = "planted-client-secret";

/// Keys that the provider may sign with: kid and seed.
const KEYS: [(&str, &str); 2] = [
    (
        "one",
        "MC4CAQAwBQYDK2VwBCIEICWeYPLxoZKHZlQ6rkBi11E9JwchynXtljATLqym/XS9",
    ),
    (
        "two",
        "MC4CAQAwBQYDK2VwBCIEIBERERERERERERERERERERERERERERERERERERERERER",
    ),
];

fn key(number: usize, kid: &str) -> CoreEdDsaPrivateSigningKey {
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
        KEYS[number].1
    );
    let kid = JsonWebKeyId::new(kid.into());
    CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(kid)).expect("a key")
}

/// With what an ID token is signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Signature {
    /// The key that is published.
    #[default]
    Published,
    /// Another one that says it is that.
    Forged,
    /// The client secret.
    Secret,
}

/// What a code is worth.
#[derive(Debug, Clone, Default)]
pub(super) struct Grant {
    pub(super) challenge: String,
    pub(super) claims: Value,
    pub(super) userinfo: Value,
    pub(super) signature: Signature,
}

#[derive(Debug, Default)]
struct Inner {
    issuer: String,
    key: Mutex<usize>,
    codes: Mutex<HashMap<String, Grant>>,
    userinfo: Mutex<Value>,
    /// How often its keys were asked for.
    asked: Mutex<u32>,
}

/// It listens until the test ends.
#[derive(Debug, Clone)]
pub(super) struct Fake(Arc<Inner>);

impl Fake {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("it has one");
        let fake = Self(Arc::new(Inner {
            issuer: format!("http://{address}"),
            ..Inner::default()
        }));
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/jwks", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        fake
    }

    pub(super) fn issuer(&self) -> &str {
        &self.0.issuer
    }

    pub(super) fn settings(&self, roles: &[&str], hub_admins: &[&str]) -> Settings {
        let roles = roles.iter().map(|rule| rule.parse::<RoleRule>());
        Settings {
            issuer: issuer(self.issuer()).expect("loopback"),
            client: ClientId::new(CLIENT.into()),
            secret: ClientSecret::new(SECRET.into()),
            user_claim: "preferred_username".into(),
            groups_claim: "groups".into(),
            rules: Rules {
                roles: roles.map(|rule| rule.expect("a rule")).collect(),
                hub_admins: hub_admins.iter().map(|&group| group.into()).collect(),
            },
            roots: None,
        }
    }

    /// Signs with the other key from now on.
    pub(super) fn rotate(&self) {
        *self.0.key.lock().expect("nobody panics") = 1;
    }

    pub(super) fn keys_asked_for(&self) -> u32 {
        *self.0.asked.lock().expect("nobody panics")
    }

    pub(super) fn grant(&self, code: &str, grant: Grant) {
        let mut codes = self.0.codes.lock().expect("nobody panics");
        codes.insert(code.into(), grant);
    }

    fn signed(&self, grant: &Grant) -> String {
        let claims = serde_json::from_value(grant.claims.clone()).expect("claims");
        let now = *self.0.key.lock().expect("nobody panics");
        let kid = KEYS[now].0;
        let signed = match grant.signature {
            Signature::Published => Token::new(
                claims,
                &key(now, kid),
                CoreJwsSigningAlgorithm::EdDsa,
                None,
                None,
            ),
            Signature::Forged => Token::new(
                claims,
                &key(1 - now, kid),
                CoreJwsSigningAlgorithm::EdDsa,
                None,
                None,
            ),
            Signature::Secret => Token::new(
                claims,
                &CoreHmacKey::new(SECRET),
                CoreJwsSigningAlgorithm::HmacSha256,
                None,
                None,
            ),
        };
        signed.expect("signs").to_string()
    }
}

async fn configuration(State(fake): State<Fake>) -> Json<Value> {
    let at = |path: &str| format!("{}{path}", fake.issuer());
    Json(json!({
        "issuer": fake.issuer(),
        "authorization_endpoint": at("/auth"),
        "token_endpoint": at("/token"),
        "userinfo_endpoint": at("/userinfo"),
        "jwks_uri": at("/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA", "HS256"],
        "scopes_supported": ["openid", "profile", "groups"],
    }))
}

async fn keys(State(fake): State<Fake>) -> Json<Value> {
    *fake.0.asked.lock().expect("nobody panics") += 1;
    let now = *fake.0.key.lock().expect("nobody panics");
    let public = key(now, KEYS[now].0).as_verification_key();
    Json(json!({ "keys": [public] }))
}

async fn token(
    State(fake): State<Fake>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Result<Json<Value>, (StatusCode, Json<Value>)> {
    let no = |what: &str| Err((StatusCode::BAD_REQUEST, Json(json!({ "error": what }))));
    let basic = format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{CLIENT}:{SECRET}"))
    );
    let shown = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    if shown != Some(basic.as_str()) {
        return no("invalid_client");
    }
    let text = |name: &str| form.get(name).cloned().unwrap_or_default();
    let grant = fake
        .0
        .codes
        .lock()
        .expect("nobody panics")
        .remove(&text("code"));
    let digest = Digest::of(text("code_verifier").as_bytes());
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest.as_bytes());
    match grant {
        Some(grant) if grant.challenge == challenge => {
            *fake.0.userinfo.lock().expect("nobody panics") = grant.userinfo.clone();
            Ok(Json(json!({
                "access_token": "planted-access-token",
                "token_type": "Bearer",
                "id_token": fake.signed(&grant),
            })))
        }
        _ => no("invalid_grant"),
    }
}

async fn userinfo(State(fake): State<Fake>) -> Json<Value> {
    Json(fake.0.userinfo.lock().expect("nobody panics").clone())
}
