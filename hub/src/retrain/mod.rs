//! Retraining: when a model is trained anew, and whether what came of it is let out.
//!
//! The crate `tern-retrain` decides; this drives it. [`driver`] looks at each model that has a policy: `facts` reads what
//! is stored, the crate says what follows, the state is stored with what it orders, and only then `act` carries it out
//! through the domain that it concerns, each thing once by its key. Called by the API and the dashboard for policies,
//! trainings, questions and lessons. Calls `monitor` (findings, accuracy, labels), `datasets`, `jobs`, `registry`,
//! `rollout` and `notify`.
//!
//! In reading order:
//! - [`schema`], `stored`, `work`, `questions`: what is kept; `desk`: what is kept in memory;
//! - `document`, [`policies`], [`trainings`]: what people write;
//! - `facts` and below: what is known now;
//! - [`driver`], `act`: what follows; `in_process`: work that is done here;
//! - `labels`, `making`, `training`, `challenger`, `comparing`, `registering`, `letting_out`: each kind of work;
//! - [`proposals`], [`views`], `words`, `notices`, [`attention`]: what people see and say.
//!
//! Must never break:
//! - a look starts from what is stored and from nothing else: a hub that was killed anywhere goes on, and does nothing
//!   twice;
//! - nothing is carried out that the stored state does not order;
//! - a challenger becomes a version by `registry::publish` alone, as every other version does.

mod act;
pub mod attention;
mod challenger;
mod comparing;
mod desk;
mod document;
pub mod driver;
mod facts;
mod in_process;
mod labels;
mod letting_out;
mod making;
mod notices;
pub mod policies;
pub mod proposals;
mod questions;
mod registering;
pub mod schema;
mod sql;
mod stored;
#[cfg(test)]
mod tests;
mod training;
pub mod trainings;
pub mod views;
mod words;
mod work;

use tern_protocol::{
    id::{ModelName, WorkspaceId},
    rest::{Change, RuleProblem},
};

pub(crate) use self::labels::wanted;
use self::stored::LookError;
pub use self::{desk::Desk, driver::run};
use crate::{app::App, store::StoreError};

/// Why something about retraining was not done.
#[derive(Debug, thiserror::Error)]
pub enum RetrainError {
    /// There is none.
    #[error("{0}")]
    NotFound(String),
    /// It asks for something impossible.
    #[error("{0}")]
    Impossible(String),
    /// It is in a state that does not allow this.
    #[error("{0}")]
    Conflict(String),
    /// Whoever asks may not.
    #[error("{0}")]
    Forbidden(String),
    /// What was written is wrong; nothing was changed.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Document(Vec<RuleProblem>),
    /// What is remembered of a model cannot be read.
    #[error(transparent)]
    Restore(#[from] tern_retrain::RestoreError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<LookError> for RetrainError {
    fn from(err: LookError) -> Self {
        match err {
            LookError::Restore(err) => Self::Restore(err),
            LookError::Store(err) => Self::Store(err),
        }
    }
}

/// Says that something about the retraining of a model changed.
fn announce(app: &App, workspace: &WorkspaceId, model: &ModelName) {
    let model = model.clone();
    app.changes.send(workspace, Change::Retraining { model });
}
