//! Captured inputs as what they are: somebody's data. What operators ask for, what has to go, and how what stays is
//! kept.
//!
//! Called by ingest (seals, and takes nothing that was deleted), the API, and `fleet`, which tells devices what is
//! asked of them. Listing and labelling are `monitor`'s.
//!
//! Must never break:
//! - what was deleted does not come back, however late a device sends it;
//! - a deletion, its entry in the audit log and what keeps it from coming back are one transaction;
//! - with a key, no input reaches the disk as it is; without the key, everything else still works.

pub mod deletions;
pub mod kept;
pub mod orders;
pub mod requests;
pub mod schema;
pub mod seal;
pub mod tombstones;

use sea_orm::ConnectionTrait;
use tern_protocol::time::WallTime;

use self::{seal::Keys, tombstones::Tombstones};
use crate::{
    app::Wake,
    store::{Doing as _, StoreError, raw},
};

/// What parts of the hub share about captures.
#[derive(Debug, Clone, Default)]
pub struct Desk {
    /// What inputs are encrypted with.
    pub keys: Keys,
    /// What must not come back.
    pub tombstones: Tombstones,
    /// Makes whoever tells devices look again.
    pub wake: Wake,
}

impl Desk {
    /// With these keys, and nothing deleted as far as it knows.
    pub fn new(keys: Keys) -> Self {
        Self {
            keys,
            ..Self::default()
        }
    }
}

/// Why nothing was asked for or deleted.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// It says something impossible.
    #[error("{0}")]
    Impossible(String),
    /// There is no such thing.
    #[error("there is no {0}")]
    NotFound(String),
    /// Too much is asked for already.
    #[error("{0} requests are open, which is the most; take some back, or wait for their end")]
    TooMany(u64),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The next number of a table. It rises with time also over a restore of the database from an old copy: devices
/// remember the numbers of what they did, and would take a number that comes again for the same thing.
async fn next_id(
    txn: &impl ConnectionTrait,
    table: &'static str,
    now: WallTime,
) -> Result<i64, StoreError> {
    const DOING: &str = "reading the last number";
    let select = format!("SELECT COALESCE(MAX(id), 0) FROM {table}");
    let row = raw::row(txn, DOING, &select, []).await?;
    let last: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0).doing(DOING))?;
    Ok(now.0.max(last.saturating_add(1)))
}

#[cfg(test)]
mod tests;
