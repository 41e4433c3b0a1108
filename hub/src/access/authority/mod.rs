//! The hub's certificate authorities: who vouches for the hub, and for its devices.
//!
//! Made by `serve`, which hands the handle to the doors (TLS), to [`super::identity`] (certificates
//! for devices) and to the API. What lasts is in the directory `ca` of the data ([`files`]), which
//! `tern-hub ca` changes too, whether the hub runs or not; a running hub looks every second.
//!
//! Must never break:
//! - a key never leaves its file, which nobody but its owner can read;
//! - a device that trusts any authority that was not retired can verify the hub;
//! - what is on the disk is whole: an authority counts once the index names it.

mod broker;
pub mod change;
pub mod command;
mod files;
mod issue;
mod keeper;
#[cfg(test)]
mod tests;
mod tls;

use std::path::PathBuf;

use crate::file_error::FileError;

pub(in crate::access) use self::issue::{BACKDATED, random};
pub use self::{
    broker::{BROKER_LIFE, BrokerCertificate, Revoked},
    files::CaDir,
    issue::{DeviceKey, Issued, RequestError, common_name},
    keeper::{Authorities, Trusted},
    tls::{DEVICE, Tls},
};

/// Why certificates cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is not what it should be.
    #[error("{} is damaged: {what}; restore it from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// There is none.
    #[error("there is no authority; start the hub once, or make one with `tern-hub ca rotate`")]
    None,
    /// No such authority.
    #[error("there is no authority `{0}`; `tern-hub ca list` shows all")]
    Unknown(String),
    /// It is needed.
    #[error("authority {0} issues certificates; `tern-hub ca rotate` or `import` another first")]
    Issues(String),
    /// What was handed in cannot be an authority.
    #[error("{0}")]
    Import(&'static str),
    /// Making a certificate failed.
    #[error("{doing}")]
    Certificate {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: rcgen::Error,
    },
    /// TLS does not take what it was given.
    #[error("preparing TLS")]
    Tls(#[source] rustls::Error),
}

impl From<rustls::Error> for AuthorityError {
    fn from(err: rustls::Error) -> Self {
        Self::Tls(err)
    }
}

/// Names the step that failed.
pub(super) fn making(doing: &'static str) -> impl FnOnce(rcgen::Error) -> AuthorityError {
    move |source| AuthorityError::Certificate { doing, source }
}
