//! A PostgreSQL server for tests that skip themselves where there is none.

pub use tern_postgres::{Keeps, Postgres};

use crate::programs;

/// Makes and starts one; nothing, after saying so, where PostgreSQL is not installed.
#[track_caller]
pub fn start() -> Option<Postgres> {
    if tern_postgres::installed().is_none() {
        programs::find("postgres")?;
    }
    Some(Postgres::start(Keeps::All).expect("PostgreSQL starts"))
}
