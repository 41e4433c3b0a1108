//! Random texts that are shown once, and what of them is kept.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use tern_protocol::digest::Digest;

use super::PeopleError;

/// Random bytes of a secret: nobody guesses 256 bits, so that one round of SHA-256 keeps them safe.
const BYTES: usize = 32;

/// Longest secret that is looked at, in bytes.
pub const LONGEST: usize = 128;

/// A new secret, after `prefix`.
pub fn new(prefix: &str) -> Result<String, PeopleError> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|_| PeopleError::Random)?;
    Ok(format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes)))
}

/// What is stored of a secret.
pub fn hashed(secret: &str) -> Vec<u8> {
    Digest::of(secret.as_bytes()).as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same_and_all_are_safe_in_headers() {
        let one = new("tern_").expect("random");
        assert_ne!(one, new("tern_").expect("random"));
        assert!(one.len() < LONGEST);
        assert!(
            one.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
        );
    }
}
