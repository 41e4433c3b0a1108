//! Passwords: argon2id (RFC 9106) with the parameters that OWASP's Password Storage Cheat Sheet names
//! first for it: 19 MiB, two passes, one lane.

use std::sync::{Arc, LazyLock};

use argon2::{Argon2, PasswordHash, PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;

use super::PeopleError;

/// Fewest characters of a password. Length is what counts; there are no rules about its letters
/// (NIST SP 800-63B, 5.1.1.2).
pub const SHORTEST: usize = 12;

/// Most bytes of a password, so that hashing one has a bound.
pub const LONGEST: usize = 1_024;

/// What a password is compared with if there is no account: so that it takes as long.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash("nobody has this password"));

/// Hashes and compares, a few at a time, beside the threads that answer requests.
#[derive(Debug, Clone)]
pub struct Hasher {
    places: Arc<Semaphore>,
}

impl Hasher {
    pub(super) fn new(places: Arc<Semaphore>) -> Self {
        Self { places }
    }

    /// What is stored of a password that may be one.
    pub async fn hash(&self, password: String) -> Result<String, PeopleError> {
        if password.chars().count() < SHORTEST || password.len() > LONGEST {
            return Err(PeopleError::Password);
        }
        Ok(self.beside(move || hash(&password)).await)
    }

    /// Whether this is the password; `stored` is `None` where there is no account or it has none.
    pub async fn is(&self, password: String, stored: Option<String>) -> bool {
        if password.len() > LONGEST {
            return false;
        }
        self.beside(move || {
            let known = stored.is_some();
            let stored = stored.unwrap_or_else(|| NOBODY.clone());
            known & fits(&password, &stored)
        })
        .await
    }

    async fn beside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let _place = self.places.acquire().await.expect("it is never closed");
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|err| std::panic::resume_unwind(err.into_panic()))
    }
}

fn hash(password: &str) -> String {
    let hash = Argon2::default().hash_password(password.as_bytes());
    let hash: PasswordHash =
        hash.expect("the parameters are right and the system has random numbers");
    hash.to_string()
}

fn fits(password: &str, stored: &str) -> bool {
    let Ok(stored) = PasswordHash::new(stored) else {
        return false;
    };
    Argon2::default()
        .verify_password(password.as_bytes(), &stored)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_fits() {
        let hasher = Hasher::new(Arc::new(Semaphore::new(1)));
        let stored = hasher
            .hash("correct horse".into())
            .await
            .expect("long enough");
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        assert!(
            hasher
                .is("correct horse".into(), Some(stored.clone()))
                .await
        );
        assert!(!hasher.is("correct  horse".into(), Some(stored)).await);
        assert!(!hasher.is("nobody has this password".into(), None).await);
        assert!(!hasher.is("x".into(), Some("not a hash".into())).await);
    }

    #[tokio::test]
    async fn short_and_endless_ones_are_refused() {
        let hasher = Hasher::new(Arc::new(Semaphore::new(1)));
        for bad in ["short".to_owned(), "x".repeat(LONGEST + 1)] {
            let refused = hasher.hash(bad).await;
            assert!(matches!(refused, Err(PeopleError::Password)));
        }
    }
}
