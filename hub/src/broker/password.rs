//! The password by which the broker knows the hub's own clients.
//!
//! Must never break: it is made anew at each start, never stored, never shown.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

/// Bytes of randomness in it.
const RANDOM: usize = 32;

/// A secret that only this process knows.
#[derive(Clone)]
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Password {
    /// A new one, or why the operating system has no randomness.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; RANDOM];
        getrandom::fill(&mut bytes)?;
        Ok(Self(BASE64_URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// As text, for the client that has to prove it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether what somebody told is this. Takes as long for any wrong one of the same length.
    pub fn is(&self, told: &[u8]) -> bool {
        let own = self.0.as_bytes();
        let differ = own
            .iter()
            .zip(told)
            .fold(0, |differ, (a, b)| differ | (a ^ b));
        own.len() == told.len() && differ == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_one_fits() {
        let password = Password::random().expect("randomness");
        let other = Password::random().expect("randomness");
        assert!(password.is(password.reveal().as_bytes()));
        assert!(!password.is(other.reveal().as_bytes()));
        assert!(!password.is(b""));
        assert!(!password.is(&password.reveal().as_bytes()[1..]));
        assert_eq!(format!("{password:?}"), "Password(…)");
    }
}
