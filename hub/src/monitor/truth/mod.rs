//! How right a version is, from labels, and how right it probably is while there are none.
//!
//! Called by the API and the dashboard. [`read`] reads labels, [`views`] makes figures of them (pure), [`estimate`] says
//! what is to be expected of each day from what devices counted, and how far off that was. The mathematics is that of
//! `tern_stats::truth` and `tern_stats::estimate`.
//!
//! Must never break:
//! - a label weighs as much as the inverse of the known chance with which its input was captured, and one whose chance is
//!   not known is not counted, only told;
//! - an estimate is called one, stands on nothing that came after it, and where there is nothing to stand on it says so;
//! - the rows that one answer reads are bounded.

mod estimate;
mod read;
pub mod schema;
#[cfg(test)]
mod tests;
mod views;

pub(super) use self::views::told;

use tern_protocol::{
    id::{ModelName, ModelVersion, SiteName, WorkspaceId},
    rest::{Part, TruthView},
    time::WallTime,
};

use crate::{
    app::App,
    registry::{self, ProfileError},
    store::StoreError,
};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TruthQuery {
    /// Of this model.
    pub model: ModelName,
    /// Of this version.
    pub version: ModelVersion,
    /// Only at this site.
    pub site: Option<SiteName>,
    /// Only of devices that had this part in a rollout when they predicted.
    pub arm: Option<Part>,
    /// Of predictions from this moment on.
    pub from: Option<WallTime>,
    /// Of predictions before this moment.
    pub to: Option<WallTime>,
    /// Only the newest so many labels, by the time of the prediction.
    pub last: Option<u64>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    /// The end does not come after the start.
    #[error("`to` must be later than `from`")]
    Time,
    /// There is no such version.
    #[error("there is no version {version} of {model}")]
    NotFound {
        /// The model.
        model: ModelName,
        /// The version.
        version: ModelVersion,
    },
    /// The reference profile is damaged or gone.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What labels say, and what is estimated.
pub async fn truth(
    app: &App,
    workspace: &WorkspaceId,
    query: &TruthQuery,
) -> Result<TruthView, TruthError> {
    if let (Some(from), Some(to)) = (query.from, query.to)
        && from >= to
    {
        return Err(TruthError::Time);
    }
    let version = registry::version(&app.store, workspace, &query.model, query.version).await?;
    let version = version.ok_or_else(|| TruthError::NotFound {
        model: query.model.clone(),
        version: query.version,
    })?;
    let labels = read::labels(&app.store, workspace, query).await?;
    let profile = registry::profile(app, workspace, &query.model, query.version).await?;
    let estimate = estimate::estimate(
        app,
        workspace,
        query,
        &version.classes,
        profile.flatten().as_ref(),
    )
    .await?;
    Ok(TruthView {
        model: query.model.clone(),
        version: query.version,
        site: query.site.clone(),
        arm: query.arm,
        from: query.from,
        to: query.to,
        labels: labels.counted().count() as u64,
        left_out: labels.left_out(),
        more: labels.more,
        sources: views::sources(&labels),
        delay_ms: views::delay(&labels),
        classes: views::classes(&labels, &version.classes),
        numbers: views::numbers(&labels, &version.outputs),
        estimate,
    })
}
