//! Vetting, comparing and answering, each in a process of its own and one after the other: they measure latency, and take
//! memory.

use std::time::Duration;

use tern_agent::engine::measure::{Comparison, Measurement};
use tern_protocol::{limits, rest::NewVersion};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    super::vetting::{self, Pair, Program, Question, VettingError},
    ONNX, PublishError,
};
use crate::app::App;

/// Longest wait for the vetting of another model.
pub const VETTING_WAIT: Duration = Duration::from_mins(1);

/// Models vetted at the same time.
static VETTING: Semaphore = Semaphore::const_new(1);

/// Whose turn it is.
struct Turn(SemaphorePermit<'static>);

impl Turn {
    /// Waits for it.
    async fn wait() -> Result<Self, PublishError> {
        let turn = tokio::time::timeout(VETTING_WAIT, VETTING.acquire()).await;
        let turn = turn.map_err(|_| PublishError::Busy)?;
        Ok(Self(turn.expect("the semaphore is never closed")))
    }

    /// Has a thread wait for a process. The turn goes with the thread: whoever asked may leave, and still no other process
    /// runs beside it.
    async fn run<T: Send + 'static>(
        self,
        app: &App,
        process: impl FnOnce(&Program) -> Result<T, VettingError> + Send + 'static,
    ) -> Result<T, PublishError> {
        let program = app.vetting.clone();
        let said = tokio::task::spawn_blocking(move || {
            let said = process(&program);
            drop(self.0);
            said
        });
        match said.await {
            Ok(Ok(said)) => Ok(said),
            Ok(Err(VettingError::Refused(findings))) => Err(PublishError::Refused(findings)),
            Ok(Err(VettingError::Start(err))) => Err(PublishError::Start(err)),
            Err(ended) => Err(PublishError::Start(std::io::Error::other(ended))),
        }
    }
}

/// Reads the files of a version and has them vetted.
pub(super) async fn vet(app: &App, new: &NewVersion) -> Result<Measurement, PublishError> {
    let turn = Turn::wait().await?;
    let profile = limits::PROFILE as u64;
    let candidate = vetting::Candidate {
        onnx: app.blobs.read_all(new.onnx, ONNX).await?,
        golden: app.blobs.read_all(new.golden, profile).await?,
        reference: match new.reference {
            Some(digest) => Some(app.blobs.read_all(digest, profile).await?),
            None => None,
        },
        facts: new.clone(),
    };
    let vet = move |program: &Program| vetting::vet(program, &candidate, vetting::Limits::DEFAULT);
    turn.run(app, vet).await
}

/// Has two forms of a model compared, in turn with all that is vetted.
pub(crate) async fn compare(app: &App, pair: Pair) -> Result<Comparison, PublishError> {
    let limits = vetting::Limits {
        // Both forms are in memory at once.
        memory: 2 * vetting::Limits::DEFAULT.memory,
        ..vetting::Limits::DEFAULT
    };
    let compare = move |program: &Program| vetting::compare(program, &pair, limits);
    Turn::wait().await?.run(app, compare).await
}

/// Has a model answer inputs, in turn with all that is vetted.
pub(crate) async fn said(app: &App, question: Question) -> Result<Vec<Option<f64>>, PublishError> {
    let say = move |program: &Program| vetting::said(program, &question, vetting::Limits::DEFAULT);
    Turn::wait().await?.run(app, say).await
}
