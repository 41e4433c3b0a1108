//! Keys that sign metadata: Ed25519 (RFC 8032).

use std::{
    fmt::{self, Write as _},
    str::FromStr,
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use tough::schema::{
    Signature,
    decoded::{Decoded, Hex},
    key::{Ed25519Key, Ed25519Scheme, Key},
};

/// Why something is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a private key.
    #[error("it is not an Ed25519 private key in PKCS #8")]
    Private,
    /// Not a public key.
    #[error("it is not a public key: 64 hex digits")]
    Public,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// A private key.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    pkcs8: Vec<u8>,
}

/// Without the key: it must not reach a log.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey")
            .field(&self.public().id())
            .finish()
    }
}

impl SigningKey {
    /// A new one.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::Random)?;
        let pkcs8 = pair.to_pkcs8().map_err(|_| KeyError::Random)?;
        Self::from_pkcs8(pkcs8.as_ref())
    }

    /// From PKCS #8 (RFC 8410, with or without the public key).
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8);
        Ok(Self {
            pair: pair.map_err(|_| KeyError::Private)?,
            pkcs8: pkcs8.to_owned(),
        })
    }

    /// As PKCS #8: a secret.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey::from_bytes(self.pair.public_key().as_ref().to_vec())
    }

    /// Signs bytes.
    pub(crate) fn sign(&self, bytes: &[u8]) -> Signature {
        Signature {
            keyid: self.public().key_id(),
            sig: self.pair.sign(bytes).as_ref().to_vec().into(),
        }
    }
}

/// A public key. Its text is 64 hex digits.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

impl PublicKey {
    fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// As the specification writes it.
    pub(crate) fn key(&self) -> Key {
        Key::Ed25519 {
            keyval: Ed25519Key {
                public: self.0.clone().into(),
                _extra: std::collections::HashMap::default(),
            },
            scheme: Ed25519Scheme::Ed25519,
            _extra: std::collections::HashMap::default(),
        }
    }

    pub(crate) fn key_id(&self) -> Decoded<Hex> {
        self.key().key_id().expect("a key can be written as JSON")
    }

    /// What it is called in metadata: SHA-256 of its canonical form, 64 hex digits.
    pub fn id(&self) -> String {
        id(&self.key_id())
    }
}

/// A key's name in metadata, as text.
pub fn id(id: &Decoded<Hex>) -> String {
    hex(id)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("to memory");
    }
    text
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        // 32 bytes, as a digest has.
        let bytes: tern_protocol::digest::Digest = text.parse().map_err(|_| KeyError::Public)?;
        Ok(Self(bytes.as_bytes().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_bytes_and_is_not_shown() {
        let key = SigningKey::generate().expect("a key");
        let again = SigningKey::from_pkcs8(key.pkcs8()).expect("it reads back");
        assert_eq!(again.public(), key.public());
        assert_eq!(key.public().to_string().parse(), Ok(key.public()));
        let shown = format!("{key:?}");
        assert!(shown.contains(&key.public().id()), "{shown}");
        assert!(shown.len() < 100, "{shown}");
        assert_eq!("00".parse::<PublicKey>(), Err(KeyError::Public));
        assert!(SigningKey::from_pkcs8(b"no key").is_err());
    }
}
