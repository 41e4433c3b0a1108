//! Alerts: rules look at what the fleet tells, and people hear when something lasts.
//!
//! [`driver`] looks at all workspaces again and again: `observe` says what each rule sees of each of its groups,
//! `round` and `machine` (pure) what becomes of them, and what follows is written in one transaction with the notices
//! that [`crate::notify`] sends. [`relay`] keeps every Prometheus Alertmanager told. Called by the API and the
//! dashboard for rules, alerts, silences and acknowledgements; by `monitor` for what needs a person.
//!
//! Must never break:
//! - what an alert is follows from its row and what is seen: a hub that was killed goes on where it was, and a notice
//!   is written if and only if the row says so;
//! - a rule that cannot be looked at ends no alert and holds up no other rule;
//! - rules, groups of a rule, alerts, silences and what a look reads are bounded.

mod acknowledge;
mod driver;
mod file;
mod machine;
mod notices;
mod observe;
pub mod relay;
mod round;
mod rows;
mod rules;
pub mod schema;
mod silences;
mod sql;
#[cfg(test)]
mod tests;
mod views;
mod yaml;

use tern_protocol::rest::RuleProblem;

pub(crate) use self::file::names_field;
pub use self::{
    acknowledge::acknowledge,
    driver::run,
    rules::{apply, check, put, remove, rules},
    silences::{end as end_silence, silence, silences},
    views::{AlertQuery, Counted, alert, alerts, counts, paging},
    yaml::text_of_own,
};
use crate::store::StoreError;

/// Why something about alerts was not done.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// It asks for something impossible.
    #[error("{0}")]
    Impossible(String),
    /// There is none.
    #[error("{0}")]
    NotFound(String),
    /// It is over, so nothing can be said about it any more.
    #[error("{0}")]
    Over(String),
    /// There are as many as there may be.
    #[error("{0}")]
    TooMany(String),
    /// Rules are wrong; nothing was changed.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Rules(Vec<RuleProblem>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
