//! Whether an ID token is one for us, now, of the login that began (OpenID Connect Core, 3.1.3.7).
//! Pure.

use chrono::{DateTime, Utc};
use openidconnect::{
    ClaimsVerificationError, EmptyExtraTokenFields, IdToken, IdTokenFields, IdTokenVerifier,
    JsonWebKeySet, Nonce, SignatureVerificationError, StandardTokenResponse,
    core::{
        CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm as Algorithm, CoreTokenType,
    },
};
use serde_json::{Map, Value};

use super::{Settings, claims::Others};

/// ID tokens of ours.
pub(super) type Token =
    IdToken<Others, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, Algorithm>;

/// What a code is exchanged for.
pub(super) type Tokens = StandardTokenResponse<
    IdTokenFields<
        Others,
        EmptyExtraTokenFields,
        CoreGenderClaim,
        CoreJweContentEncryptionAlgorithm,
        Algorithm,
    >,
    CoreTokenType,
>;

/// Signatures by a key of the provider's alone. Those that the client secret can make (HS256 …) would
/// let whoever knows it be anybody, and `none` everybody.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RsaSsaPkcs1V15Sha256,
    Algorithm::RsaSsaPkcs1V15Sha384,
    Algorithm::RsaSsaPkcs1V15Sha512,
    Algorithm::RsaSsaPssSha256,
    Algorithm::RsaSsaPssSha384,
    Algorithm::RsaSsaPssSha512,
    Algorithm::EcdsaP256Sha256,
    Algorithm::EcdsaP384Sha384,
    Algorithm::EdDsa,
];

/// The claims of a token whose signature, issuer, audience, nonce and expiry hold.
pub(super) fn verified(
    settings: &Settings,
    keys: &JsonWebKeySet<CoreJsonWebKey>,
    token: &Token,
    nonce: &Nonce,
    now: DateTime<Utc>,
) -> Result<Map<String, Value>, ClaimsVerificationError> {
    let verifier = IdTokenVerifier::new_confidential_client(
        settings.client.clone(),
        settings.secret.clone(),
        settings.issuer.clone(),
        keys.clone(),
    )
    .set_allowed_algs(ALGORITHMS)
    .set_time_fn(move || now);
    let claims = token.claims(&verifier, nonce)?;
    let Ok(Value::Object(claims)) = serde_json::to_value(claims) else {
        return Err(ClaimsVerificationError::Other(
            "claims are no object".into(),
        ));
    };
    Ok(claims)
}

/// Whether the token was signed by a key that we have not seen: the provider may have a new one.
pub(super) fn is_unknown_key(err: &ClaimsVerificationError) -> bool {
    matches!(
        err,
        ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey)
    )
}
