//! People and programs: accounts, how they show who they are, what they may do where.
//!
//! Called by the API, which turns a cookie or a token into a principal by [`session`] and [`token`].
//!
//! Must never break:
//! - passwords are stored as argon2id, everything else that is secret as SHA-256 of random 32 bytes;
//! - a role is read when it is needed, never when a session or a token was made, so that taking it
//!   away works at once;
//! - there is always somebody with a password who runs the hub.

pub mod account;
pub mod command;
pub mod link;
pub mod me;
pub mod member;
pub mod oidc;
pub mod password;
pub mod schema;
pub mod second_factor;
pub mod secret;
pub mod session;
pub mod throttle;
pub mod token;
pub mod workspace;

mod sql;
#[cfg(test)]
mod tests;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Semaphore;

use self::{password::Hasher, throttle::Throttle};
use crate::store::StoreError;

/// Passwords that are hashed at the same time; each takes 19 MiB and a core for some 20 ms.
const HASHING: usize = 2;

/// What people share in memory. Clones share it.
#[derive(Debug, Clone)]
pub struct People {
    hasher: Hasher,
    throttle: Arc<Mutex<Throttle>>,
    used: Arc<Mutex<token::LastUsed>>,
    /// The file with the link of the first account, if one is written.
    first_link: Option<PathBuf>,
    /// The OpenID provider, if there is one.
    provider: Option<oidc::Provider>,
}

impl People {
    /// The first account's link is kept in this file until it is used.
    pub fn new(first_link: Option<PathBuf>) -> Self {
        Self {
            first_link,
            provider: None,
            hasher: Hasher::new(Arc::new(Semaphore::new(HASHING))),
            throttle: Arc::default(),
            used: Arc::default(),
        }
    }
}

impl People {
    /// People may come by this OpenID provider, too.
    #[must_use]
    pub fn with_provider(mut self, provider: Option<oidc::Provider>) -> Self {
        self.provider = provider;
        self
    }

    /// The OpenID provider by which people may come.
    pub const fn provider(&self) -> Option<&oidc::Provider> {
        self.provider.as_ref()
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why something about people was not done.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// Name, password or second factor do not fit. Which of them, nobody is told.
    #[error("name, password or code is wrong")]
    Wrong,
    /// The password was right, and there is a second factor.
    #[error("this account has a second factor: send its six digits, or a recovery code, as `code`")]
    SecondFactorNeeded,
    /// Too many attempts that failed.
    #[error("too many attempts failed; try again in {again_in_s} s")]
    Throttled {
        /// When the next attempt is heard, in seconds.
        again_in_s: u64,
    },
    /// A link that is not, or no longer, good.
    #[error(
        "this link is used up, expired or was replaced; ask an admin for a new one, or start the hub again for its first account"
    )]
    Link,
    /// A password that is too short or too long.
    #[error(
        "a password has {} to {} characters",
        password::SHORTEST,
        password::LONGEST
    )]
    Password,
    /// What was asked for does not exist.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// It exists already.
    #[error("there is a {what} `{name}` already")]
    Exists {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Nobody would be left to run the hub.
    #[error(
        "`{0}` is the last account with a password that runs the hub; make another one that does first"
    )]
    LastHubAdmin(String),
    /// More than whoever asks may do.
    #[error("nobody hands out more than they have: your role here is {own}")]
    MoreThanOwn {
        /// The role of whoever asks.
        own: &'static str,
    },
    /// Something out of its bounds.
    #[error("{0}")]
    Bounds(String),
    /// The state does not allow this.
    #[error("{0}")]
    State(&'static str),
    /// The machine gives no random numbers.
    #[error("the operating system gives no random numbers")]
    Random,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
