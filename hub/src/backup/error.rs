//! Why there is no backup, or nothing restored.

use std::path::PathBuf;

use crate::{
    access::authority::AuthorityError, data_dir::NoData, file_error::FileError, store::StoreError,
};

/// Why a backup was not made, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is nothing to back up.
    #[error(transparent)]
    NoData(#[from] NoData),
    /// The database is on a server, which has its own ways to be read while it is written.
    #[error(
        "a backup is of a database in the data directory; make one of the server's with `pg_dump`, then copy \
         the data directory"
    )]
    Server(#[source] StoreError),
    /// Another process makes one of the same directory.
    #[error("another backup of {} is being made", .0.display())]
    Busy(PathBuf),
    /// Something is there that would be lost.
    #[error("{} is there already; nothing was changed", .0.display())]
    Exists(PathBuf),
    /// Left by a restore that was killed.
    #[error("{} is left of a restore that was interrupted; remove it and try again", .0.display())]
    LeftOver(PathBuf),
    /// Too easy to guess for whoever has the file.
    #[error("a passphrase has at least {0} characters")]
    Passphrase(usize),
    /// A file with a secret key holds none.
    #[error("{} holds no secret key that `age-keygen` wrote: {why}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It cannot be encrypted.
    #[error("encrypting")]
    Encrypt(#[source] age::EncryptError),
    /// It cannot be opened.
    #[error("the backup cannot be opened with this passphrase or key")]
    Decrypt(#[source] age::DecryptError),
    /// It holds what no backup of ours holds.
    #[error("this is not a backup of a hub: {0}")]
    Foreign(String),
    /// It was made by a newer hub.
    #[error("the backup was made by tern-hub {0}; restore it with that version or a newer one")]
    Newer(String),
    /// The database in it is damaged.
    #[error("the database in the backup is damaged: {0}")]
    Damaged(String),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The authorities.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}
