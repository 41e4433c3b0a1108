//! The one string that a device needs to join: where the hub is, how to know that it is the hub, and
//! the secret of an invitation.
//!
//! Made by the hub, pasted by a person, read by the agent. The address of the hub is not to be
//! trusted by itself: whoever answers there has to prove that it belongs to the authority whose
//! fingerprint stands in the token.

use alloc::{string::String, vec::Vec};
use core::{fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::{codec, digest::Digest};

/// What every join token starts with: so that it is recognised in a text, by secret scanners too.
pub const PREFIX: &str = "tern-join-1-";

/// Longest token, in bytes: a few addresses.
pub const TOKEN_MAX: usize = 2048;

/// Addresses in a token.
pub const ADDRESSES_MAX: usize = 8;

/// Why a text is not a join token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinTokenError {
    /// It does not start like one.
    #[error("not a join token: it starts with `{PREFIX}`; make one with `tern device invite`")]
    Prefix,
    /// It starts like one, and something is missing or changed.
    #[error("the join token is damaged or was cut off; copy it again, whole")]
    Damaged,
}

/// A join token.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
pub struct JoinToken {
    /// Where the hub's HTTPS is, as `https://HOST:PORT`, best first.
    #[n(0)]
    pub https: Vec<String>,
    /// SHA-256 of the certificate of the authority that vouches for the hub.
    #[n(1)]
    pub authority: Digest,
    /// The secret, as it goes into a request to join: text without meaning.
    #[n(2)]
    pub secret: String,
}

/// Without the secret: it must not reach a log.
impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken")
            .field("https", &self.https)
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = codec::encode(self);
        write!(f, "{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(body))
    }
}

impl FromStr for JoinToken {
    type Err = JoinTokenError;

    fn from_str(text: &str) -> Result<Self, JoinTokenError> {
        let body = text.trim().strip_prefix(PREFIX);
        let body = body.ok_or(JoinTokenError::Prefix)?;
        if body.len() > TOKEN_MAX {
            return Err(JoinTokenError::Damaged);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(body);
        let bytes = bytes.map_err(|_| JoinTokenError::Damaged)?;
        let token: Self = codec::decode(&bytes).map_err(|_| JoinTokenError::Damaged)?;
        let addresses = 1..=ADDRESSES_MAX;
        let whole = addresses.contains(&token.https.len())
            && token.https.iter().all(|url| url.starts_with("https://"))
            && !token.secret.is_empty();
        whole.then_some(token).ok_or(JoinTokenError::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString as _, vec};

    use super::*;

    fn token() -> JoinToken {
        JoinToken {
            https: vec!["https://hub.example:8443".into()],
            authority: Digest::of(b"authority"),
            secret: "a-secret".into(),
        }
    }

    #[test]
    fn it_reads_back_with_the_spaces_of_a_paste() {
        let text = token().to_string();
        assert_eq!(format!(" {text}\n").parse(), Ok(token()));
    }

    #[test]
    fn a_token_that_was_cut_or_changed_is_refused() {
        let text = token().to_string();
        assert_eq!("x".parse::<JoinToken>(), Err(JoinTokenError::Prefix));
        for cut in PREFIX.len()..text.len() - 1 {
            let damaged = text[..cut].parse::<JoinToken>();
            assert_eq!(damaged, Err(JoinTokenError::Damaged), "cut at {cut}");
        }
        let plain = JoinToken {
            https: vec!["http://hub.example".into()],
            ..token()
        };
        let plain = plain.to_string().parse::<JoinToken>();
        assert_eq!(plain, Err(JoinTokenError::Damaged), "never without TLS");
    }

    #[test]
    fn its_secret_is_not_shown() {
        assert!(!format!("{:?}", token()).contains("a-secret"));
    }
}
