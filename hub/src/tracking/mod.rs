//! Experiments and runs: what was tried, with which settings, and what came of it. Registered models, some of which
//! become versions that devices get.
//!
//! Called by `api::mlflow`, which speaks MLflow's own protocol, by the API and by the dashboard. Calls `registry` to
//! publish, `blobs` for the bytes of artifacts, and the store. Knows no HTTP.
//!
//! Words are MLflow's: an **experiment** groups **runs**; a run has **params** (written once), **tags** and **metrics**
//! (series, of which the latest value is the one with the highest step, time and value); **artifacts** are files below
//! a path; a **logged model** is what a run made; a **registered model** has **versions** and **aliases**.
//!
//! Must never break:
//! - all of it belongs to one workspace, and every statement names it or a run that was found by it;
//! - what is sent again is there once: a point of a metric is its own key, a param is the same or refused;
//! - a version that devices get was vetted and signed as every other: only `registry::publish` makes one.

pub mod artifact;
pub mod best;
pub mod bounds;
mod desk;
pub mod experiment;
mod external;
pub mod filter;
pub mod history;
pub mod input;
mod log;
pub mod logged;
pub mod model;
mod onnx;
pub mod page;
pub mod publish;
mod random;
pub mod run;
pub mod schema;
pub mod search;
mod sql;
pub mod summary;
mod taken;
#[cfg(test)]
mod tests;
mod turns;
pub mod version;

use std::collections::BTreeMap;

pub use self::{
    desk::{Desk, QUOTA},
    log::{About, Batch, log, log_about_model},
};
use crate::{
    blobs::BlobError,
    registry::PublishError,
    store::{StoreError, chain},
};

/// Key and value: params, tags.
pub type Texts = BTreeMap<String, String>;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum TrackingError {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It is there already.
    #[error("{0}")]
    Exists(String),
    /// What was asked is impossible.
    #[error("{0}")]
    Invalid(String),
    /// The bytes of an artifact.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A model could not be vetted.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TrackingError {
    /// As the log has it, with its causes.
    pub fn causes(&self) -> String {
        chain(self)
    }
}

/// Whether something is there, or was deleted and can be brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is there.
    Active,
    /// It was deleted.
    Deleted,
}

impl Stage {
    /// As it is stored, and as MLflow says it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deleted => "deleted",
        }
    }

    fn of(word: &str) -> Self {
        if word == "deleted" {
            Self::Deleted
        } else {
            Self::Active
        }
    }
}

/// Which of them a search looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stages {
    /// Those that are there.
    #[default]
    Active,
    /// Those that were deleted.
    Deleted,
    /// All.
    All,
}

impl Stages {
    /// The stages, as they are stored.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Active => &["active"],
            Self::Deleted => &["deleted"],
            Self::All => &["active", "deleted"],
        }
    }
}

/// One value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Of which metric.
    pub key: String,
    /// May be no number.
    pub value: f64,
    /// When, in milliseconds since 1970, as the client says.
    pub at: i64,
    /// At which step.
    pub step: i64,
}

impl Point {
    /// As it is stored: a value that is a number, and whether it was one. What is infinite becomes the largest number
    /// there is, as with MLflow.
    fn stored(&self) -> (f64, bool) {
        if self.value.is_nan() {
            (0.0, true)
        } else {
            // -0 and 0 are one value, and would be two keys nowhere.
            (self.value.clamp(f64::MIN, f64::MAX) + 0.0, false)
        }
    }

    /// From what is stored.
    fn read(key: String, value: f64, nan: bool, at: i64, step: i64) -> Self {
        let value = if nan { f64::NAN } else { value };
        Self {
            key,
            value,
            at,
            step,
        }
    }

    /// What makes a point the latest of its metric.
    fn rank(&self) -> (i64, i64, f64) {
        (self.step, self.at, self.stored().0)
    }
}

/// Whether a point takes the place of another as the latest.
fn is_later(one: &Point, other: &Point) -> bool {
    one.rank().partial_cmp(&other.rank()) == Some(std::cmp::Ordering::Greater)
}
