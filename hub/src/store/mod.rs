//! The database: who may read, who may write, and what shape it has. SQLite in the data directory, or a
//! PostgreSQL server; whoever asks it does not see which.
//!
//! Called by every domain module. Knows no table but the counters'; each domain has its own tables
//! beside its code.
//!
//! Must never break:
//! - what is committed survives a power cut (`synchronous = FULL`, `synchronous_commit = on`);
//! - one writer at a time, and nobody waits for a lock: writers queue for the only connection that
//!   may write, readers see a snapshot;
//! - a transaction that failed leaves nothing behind: SQLite ends one by itself when the disk is full,
//!   sqlx goes on counting it as open, and what came after would be part of it and never be committed.
//!   So a connection that is still in a transaction when it is handed back is closed;
//! - a database of a newer hub is refused, not damaged.

mod error;
mod migrations;
mod place;
mod postgres;
pub mod raw;
pub mod schema;
mod sqlite;
mod statements;
mod tenure;
#[cfg(test)]
mod tests;
mod wal;

use std::{path::Path, sync::Arc};

use sea_orm::{DatabaseBackend, DatabaseConnection};

#[cfg(test)]
pub(crate) use self::place::testing;
pub use self::{
    error::{Doing, StoreError, chain, json, parsed, storable, to_json},
    place::{Place, Server, ServerError},
    statements::Statements,
};
pub(crate) use self::{place::is_used, sqlite::FILE};
use self::{
    postgres::Who,
    sqlite::{Access, opened},
    tenure::Tenure,
};

/// The database. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Store {
    read: DatabaseConnection,
    write: DatabaseConnection,
    /// A hub's right to a database on a server.
    tenure: Option<Arc<Tenure>>,
}

impl Store {
    /// Opens the database, makes it if there is none, and brings it up to this hub's shape. For the hub
    /// itself: on a server, no other may use it from now on.
    pub async fn open(place: impl Into<Place>) -> Result<Self, StoreError> {
        let place = place.into();
        place.check()?;
        let Some(server) = place.server() else {
            let path = sqlite::prepared(place.dir())?;
            // The writer first: it makes the file and sets the journal, which needs the right to write.
            let write = opened(&path, Access::Write).await?;
            migrations::run(&write, &path.display().to_string()).await?;
            let read = opened(&path, Access::Read).await?;
            return Ok(Self {
                read,
                write,
                tenure: None,
            });
        };
        postgres::survey(server).await?;
        let tenure = Tenure::new();
        let write = postgres::writer(server, Who::Hub(tenure.clone())).await?;
        migrations::run(&write, &server.to_string()).await?;
        tenure.settle(&write).await?;
        let read = postgres::readers(server).await?;
        place.remember()?;
        Ok(Self {
            read,
            write,
            tenure: Some(tenure),
        })
    }

    /// Opens the database beside a hub that may be running, and so leaves its shape alone: one of an older
    /// hub is refused.
    pub async fn beside(place: impl Into<Place>) -> Result<Self, StoreError> {
        let place = place.into();
        place.check()?;
        let Some(server) = place.server() else {
            let path = place.dir().join(FILE);
            if !path.is_file() {
                return Self::open(place).await;
            }
            let write = opened(&path, Access::Write).await?;
            migrations::refuse_other(&write, &path.display().to_string()).await?;
            let read = opened(&path, Access::Read).await?;
            return Ok(Self {
                read,
                write,
                tenure: None,
            });
        };
        postgres::survey(server).await?;
        let write = postgres::writer(server, Who::Beside).await?;
        migrations::refuse_other(&write, &server.to_string()).await?;
        let read = postgres::readers(server).await?;
        Ok(Self {
            read,
            write,
            tenure: None,
        })
    }

    /// Connections that read a snapshot; a write through them is an error.
    pub const fn read(&self) -> &DatabaseConnection {
        &self.read
    }

    /// The one connection that writes. Writers queue here; hold a transaction as short as possible
    /// and never while waiting for anything but the database.
    pub const fn write(&self) -> &DatabaseConnection {
        &self.write
    }

    /// Which SQL the database speaks.
    pub fn backend(&self) -> DatabaseBackend {
        self.write.get_database_backend()
    }

    /// Whether it is on a server, and not in the data directory.
    pub fn is_on_server(&self) -> bool {
        self.backend() == DatabaseBackend::Postgres
    }

    /// Returns once the database may not be used any more, and says why: another hub has it. A file in the
    /// data directory is the hub's as long as it runs.
    pub async fn lost(&self) -> StoreError {
        match &self.tenure {
            Some(tenure) => StoreError::Taken {
                by: tenure.over().await,
            },
            None => std::future::pending().await,
        }
    }

    /// Copies the database of `dir`, as it stands at one moment, to a file that is empty; whoever uses
    /// it goes on meanwhile.
    pub async fn snapshot(dir: &Path, to: &Path) -> Result<(), StoreError> {
        sqlite::snapshot(dir, to).await
    }

    /// Looks whether the pages of the database fit together, while it is in use; what is wrong, if
    /// something is. Faster than [`Self::check`]: indices are not compared with their tables. A server looks
    /// at its pages by itself, and is asked what it has found.
    pub async fn quick_check(&self) -> Result<Result<(), String>, StoreError> {
        const DOING: &str = "asking the database for damage";
        if !self.is_on_server() {
            return sqlite::verdict(&self.read, "PRAGMA quick_check(1)").await;
        }
        let row = raw::row(&self.read, DOING, postgres::DAMAGED_PAGES, []).await?;
        let pages: i64 = match row {
            Some(row) => row.try_get_by_index(0).doing(DOING)?,
            None => 0,
        };
        Ok(if pages == 0 {
            Ok(())
        } else {
            Err(format!("PostgreSQL has found {pages} damaged pages"))
        })
    }

    /// Opens the database in `dir`, which must be there, brings it up to this hub's shape, and looks
    /// whether it is sound; what is wrong with it, if something is.
    pub async fn check(dir: &Path) -> Result<Result<(), String>, StoreError> {
        let store = Self::open(Place::in_dir(dir)).await?;
        let said = sqlite::verdict(&store.read, "PRAGMA integrity_check(1)").await;
        store.close().await;
        said
    }

    /// Closes all connections, when their users are done.
    pub async fn close(self) {
        // An error here says that a connection was broken already; there is nothing left to save,
        // since every commit reached the disk.
        let _ = self.read.close().await;
        let _ = self.write.close().await;
    }
}
