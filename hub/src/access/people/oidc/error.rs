//! Why nobody is logged in.

use crate::{access::people::PeopleError, store::StoreError};

/// Why nobody is logged in. The texts are for the log; the dashboard says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The browser did not begin this login, or began it long ago.
    #[error("the login did not begin in this browser, is over ten minutes old or was used")]
    NotBegunHere,
    /// The state is not that of the login that this browser began.
    #[error("the state is not that with which the login began")]
    State,
    /// The address of the answer cannot be read.
    #[error("the provider's answer has neither a code nor an error")]
    Unreadable,
    /// The answer names another issuer.
    #[error("the answer comes from another issuer than `--oidc-issuer`")]
    OtherIssuer,
    /// The provider, or the person there, said no.
    #[error("the provider answered `{0}`")]
    Declined(String),
    /// The provider cannot be asked.
    #[error("asking the provider for its {what}: {why}")]
    Unreachable {
        /// What was wanted.
        what: &'static str,
        /// Why there is none.
        why: String,
    },
    /// It could not be asked a moment ago, and is left alone for a while.
    #[error("the provider did not answer a moment ago")]
    Resting,
    /// Too many ask at the same time.
    #[error("too many logins at the same time")]
    Busy,
    /// The provider is set up in a way that the hub does not take.
    #[error("the provider's settings: {0}")]
    Metadata(String),
    /// The provider did not take the code.
    #[error("the provider did not give tokens: {0}")]
    Exchange(String),
    /// The ID token is not one for us, now.
    #[error("the ID token does not hold: {0}")]
    Token(String),
    /// A claim is missing, or not as it must be.
    #[error("{0}")]
    Claim(String),
    /// No group of the person is mapped to a role.
    #[error(
        "none of the groups of subject `{subject}` is mapped by `--oidc-role` or `--oidc-hub-admin`: {groups}"
    )]
    NoRole {
        /// Who.
        subject: String,
        /// The groups, for whoever sets up the mapping.
        groups: String,
    },
    /// There is another account of this name.
    #[error("the account `{name}` is not that of subject `{subject}`")]
    NameTaken {
        /// The name.
        name: String,
        /// Who wanted it.
        subject: String,
    },
    /// The account is disabled.
    #[error("the account `{0}` is disabled")]
    Disabled(String),
    /// The machine gives no random numbers.
    #[error("the operating system gives no random numbers")]
    Random,
    /// Something about accounts.
    #[error(transparent)]
    People(#[from] PeopleError),
}

impl From<StoreError> for OidcError {
    fn from(err: StoreError) -> Self {
        Self::People(err.into())
    }
}
