//! Jobs: commands with an environment, data and limits, which run on computes.
//!
//! Called by the API and the dashboard, and by whatever wants something trained ([`submit`], [`by_key`], [`artifact`]).
//! Drives the crate `tern-compute`: its `schedule` says what starts where, its `local` runs attempts on this machine,
//! its `ray` and `kubernetes` are the words for clusters. Calls `blobs` for projects, logs and artifacts, `tracking` for
//! the runs of jobs.
//!
//! In reading order:
//! - [`schema`], [`rows`]: what is stored;
//! - [`asked`] and [`archive`]: what a person asks for becomes what is run, with what is wrong field by field;
//! - [`submit`], [`change`], [`view`], [`log`]: what is asked of jobs;
//! - [`computes`]: places where they run;
//! - [`driver`]: looks at all that is not over, again and again; [`begin`] and [`keep`] are how an attempt on this
//!   machine begins and what is kept of it; [`elsewhere`] is the same for clusters, and [`handover`] what they send;
//! - [`given`], [`tracked`], [`token`], [`dataset`]: what a job is given; [`retention`]: what goes.
//!
//! Must never break:
//! - a look starts from what is stored and what computes say, and from nothing else: a hub that was killed goes on;
//! - an attempt is a row before it is anything else, and its number is never given twice, so that `local` and the
//!   engines can tell a second start from a first;
//! - an attempt has ended for others only when its log and its artifacts are kept;
//! - numbers of jobs are never used again, not even after the database was restored from an old copy: the files of
//!   attempts that this machine has are looked at first;
//! - secrets are in one column until the job is over, and in no answer, log or audit entry.

mod archive;
mod asked;
mod begin;
mod change;
mod client;
mod computes;
mod dataset;
mod desk;
mod driver;
mod elsewhere;
mod given;
mod handover;
mod keep;
mod log;
mod retention;
mod rows;
pub mod schema;
mod submit;
#[cfg(test)]
mod tests;
mod token;
mod tracked;
mod view;

pub use self::{
    change::{cancel, retry},
    computes::{list as computes, one as compute, remove as remove_compute, set as set_compute},
    desk::{Desk, Here, QUOTA, Settings},
    driver::run,
    handover::{all_there, hand_over},
    log::read as log,
    submit::{By, check, submit},
    token::{PREFIX as TOKEN_PREFIX, who as who_has_token},
    view::{Artifact, JobsQuery, artifact, by_key, list, one},
};

use tern_compute::job::Problem;
use tern_protocol::id::{ComputeName, JobId};

use crate::{
    blobs::BlobError,
    store::{Statements, StoreError},
    tracking::TrackingError,
};

/// The compute that is the hub's own machine.
pub const LOCAL: &str = "local";

/// Jobs of one workspace that are not over, at most.
const ACTIVE: u64 = 10_000;

/// The statements of these tables.
const SQL: Statements = Statements::of("reading or writing jobs");

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    /// The job cannot be run as it stands.
    #[error("the job cannot be run: {}", listed(.0))]
    Wrong(Vec<Problem>),
    /// There is no such job.
    #[error("there is no job {0} in this workspace")]
    NoJob(JobId),
    /// There is no such compute.
    #[error("there is no compute `{0}`; `tern compute list` shows those that there are")]
    NoCompute(ComputeName),
    /// There is no such thing of a job.
    #[error("{0}")]
    NotFound(String),
    /// It is in a state that does not allow this.
    #[error("{0}")]
    State(String),
    /// It never could be done: settings of a compute that make none, an artifact that is none.
    #[error("{0}")]
    Impossible(String),
    /// The system gives no randomness.
    #[error("no random numbers; the job was not stored")]
    Random,
    /// An archive, a log, an artifact.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// Its run.
    #[error(transparent)]
    Tracking(#[from] TrackingError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn listed(problems: &[Problem]) -> String {
    let each: Vec<String> = problems.iter().map(ToString::to_string).collect();
    each.join("; ")
}

fn problem(at: impl Into<String>, text: impl Into<String>) -> Problem {
    Problem {
        at: at.into(),
        text: text.into(),
    }
}
