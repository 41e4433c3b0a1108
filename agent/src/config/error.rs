//! Why a configuration cannot be used.

use std::{io, path::PathBuf};

use crate::identity::file::IdentityError;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        err: io::Error,
    },
    /// It is not TOML, a key is not known, or a value is of another kind.
    #[error("{}: {detail}", path.display())]
    Form {
        /// Which file.
        path: PathBuf,
        /// Where and what.
        detail: String,
    },
    /// A value is out of its range.
    #[error("{}: `{key}` is {value}, it must be {must}", path.display())]
    Range {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: &'static str,
        /// What it is.
        value: String,
        /// What it has to be.
        must: String,
    },
    /// The identity cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A value is not the one that the device joined with.
    #[error("{}: `{key}` is {value}, but this device joined as {joined}", path.display())]
    Other {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: &'static str,
        /// What it is.
        value: String,
        /// What it was at the time of joining.
        joined: String,
    },
    /// A broker elsewhere is not spoken to without TLS.
    #[error(
        "{}: the broker {host} is not on this machine and is spoken to over TLS only: \
         join first with `tern-agent join`, and do not write `mqtt://`",
        path.display()
    )]
    Plain {
        /// Which file.
        path: PathBuf,
        /// Which broker.
        host: String,
    },
}
