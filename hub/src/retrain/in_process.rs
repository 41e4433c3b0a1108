//! Work that this process does itself, in a task of its own: comparing and registering.
//!
//! Must never break: what came of it is stored under its key, or it is begun again at a later look.

use std::future::Future;

use tern_retrain::{Key, fact::Again};

use super::{
    challenger::passes,
    desk::Of,
    work::{self, Ended, again},
};
use crate::{
    app::App,
    blobs::BlobError,
    datasets::DatasetError,
    registry::PublishError,
    store::{StoreError, chain},
};

/// Begins it, unless it runs.
pub(super) fn begin(
    app: &App,
    of: &Of,
    key: Key,
    work: impl Future<Output = Result<Ended, Trouble>> + Send + 'static,
) {
    let (app_of_task, of_task) = (app.clone(), of.clone());
    app.retraining.begin(of, key, async move {
        let (app, (workspace, model)) = (app_of_task, of_task);
        let ended = match work.await {
            Ok(ended) => ended,
            Err(Trouble::Refused(why, again)) => Ended::failed(why, again),
            Err(Trouble::Store(err)) => {
                tracing::warn!(error = chain(&err), %workspace, %model, %key, "work of a round was not done yet");
                return;
            }
        };
        let stored = work::end(app.store.write(), &workspace, &model, key, &ended).await;
        if let Err(err) = stored {
            tracing::warn!(error = chain(&err), %workspace, %model, %key, "what came of work of a round was not stored");
        }
    });
}

/// Why it is not done.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It cannot be; whether the same may succeed if it is tried again.
    Refused(String, Again),
    /// The database failed.
    Store(StoreError),
}

impl Trouble {
    /// It cannot be done, and could not be if it was tried again.
    pub(super) fn useless(why: impl Into<String>) -> Self {
        Self::Refused(why.into(), Again::IsUseless)
    }
}

impl From<StoreError> for Trouble {
    fn from(err: StoreError) -> Self {
        Self::Store(err)
    }
}

impl From<BlobError> for Trouble {
    fn from(err: BlobError) -> Self {
        let again = passes(&err);
        Self::Refused(chain(&err), again)
    }
}

impl From<DatasetError> for Trouble {
    fn from(err: DatasetError) -> Self {
        match err {
            DatasetError::Store(err) => Self::Store(err),
            err => {
                let again = again(err.may_help_again());
                Self::Refused(err.causes(), again)
            }
        }
    }
}

impl From<PublishError> for Trouble {
    fn from(err: PublishError) -> Self {
        match err {
            PublishError::Store(err) => Self::Store(err),
            PublishError::Blob(err) => err.into(),
            PublishError::Refused(findings) => {
                let lines = findings
                    .iter()
                    .map(|one| format!("{}: {}; {}", one.subject, one.message, one.remedy));
                let text = lines.collect::<Vec<_>>().join(" — ");
                Self::useless(format!("vetting refused it: {text}"))
            }
            err @ (PublishError::Busy | PublishError::Start(_)) => {
                Self::Refused(chain(&err), Again::MayHelp)
            }
        }
    }
}
