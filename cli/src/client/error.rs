//! Why a call has no answer.

use std::{io, time::Duration};

use tern_protocol::rest::Problem;

/// Why a call has no answer. The text says what a person can do.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address of the hub cannot be one.
    #[error("`{address}` is not a hub's address ({why}); give one as https://HOST:PORT")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Nothing listens there.
    #[error(
        "no hub answers at {hub}; is it running? Start one with `tern-hub serve --data DIR`, or \
         say where it is: `tern login URL`, --hub URL or TERN_HUB"
    )]
    Unreachable {
        /// The hub's address.
        hub: String,
        /// What the network said.
        #[source]
        source: Box<ureq::Error>,
    },
    /// It listens, and does not answer in time.
    #[error("{hub} did not answer within {} s; it may be busy: look at its log, or try again", limit.as_secs())]
    Slow {
        /// The hub's address.
        hub: String,
        /// How long we waited.
        limit: Duration,
    },
    /// The connection broke.
    #[error("the connection to {hub} broke; the hub may have been restarted: try again")]
    Broken {
        /// The hub's address.
        hub: String,
        /// What the network said.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The hub said no, in its own words.
    #[error("{}", said(.0))]
    Problem(Box<Problem>),
    /// Something answered that does not speak this API.
    #[error(
        "{url} answered {status} with something that is not this API's ({why}); is it a tern-hub \
         of this version?"
    )]
    NotUnderstood {
        /// What was asked.
        url: String,
        /// HTTP status of the answer.
        status: u16,
        /// What was wrong with it.
        why: String,
    },
    /// The hub does not know who asks, or no longer takes their token.
    #[error("{}; log in again: tern login {hub}", said(.problem).trim_end_matches('.'))]
    LogIn {
        /// The hub's address.
        hub: String,
        /// The hub's own words.
        problem: Box<Problem>,
    },
    /// Nobody vouches for whoever answers there.
    #[error(
        "nobody that this machine trusts vouches for {hub}; if it has an authority of its own, say \
         which: `tern login {hub}` with `--ca FILE` or `--fingerprint SHA256`"
    )]
    NotTrusted {
        /// The hub's address.
        hub: String,
        /// What is wrong with its certificate.
        #[source]
        source: Box<ureq::Error>,
    },
    /// What was given as authorities holds no certificate.
    #[error("the authority's file holds no certificate as PEM; `tern ca export` writes one")]
    Authority,
    /// A list that does not end.
    #[error("{path} gives page after page without an end; the hub may be of another version")]
    Endless {
        /// The list.
        path: String,
    },
    /// The bytes to send could not be read.
    #[error("reading what was to be sent")]
    Source(#[source] io::Error),
}

impl ClientError {
    /// The hub's own words, if it gave any.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) | Self::LogIn { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// Whether a later try may go better with nothing else changed: the network, not the request.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Slow { .. } | Self::Broken { .. } => true,
            Self::Problem(problem) => problem.status == 503,
            // What a proxy says of a hub that is away.
            Self::NotUnderstood { status, .. } => matches!(status, 502..=504),
            Self::Address { .. }
            | Self::LogIn { .. }
            | Self::NotTrusted { .. }
            | Self::Authority
            | Self::Endless { .. }
            | Self::Source(_) => false,
        }
    }
}

fn said(problem: &Problem) -> String {
    match (problem.title.as_str(), problem.detail.as_str()) {
        ("", "") => format!("the hub refused ({})", problem.status),
        (title, "") => title.to_owned(),
        (_, detail) => detail.to_owned(),
    }
}
