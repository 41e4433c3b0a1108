//! Revoking a version: devices refuse it from now on, and get another instead.

use sea_orm::TransactionTrait as _;
use tern_protocol::{
    id::{ModelName, ModelVersion, WorkspaceId},
    rest::{Change, Revoke, VersionView},
};

use super::{TrustError, change, stored::execute};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    registry,
    store::{Doing as _, StoreError},
};

/// Longest reason, in bytes: every device keeps it.
const REASON_MAX: usize = 400;

/// Why a version was not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// There is no such version.
    #[error("there is no version {1} of `{0}`; `tern model show {0}` lists those there are")]
    NoVersion(ModelName, ModelVersion),
    /// A reason of no use.
    #[error("the reason has 1 to {REASON_MAX} bytes")]
    Reason,
    /// The replacement cannot be one.
    #[error("version {0} cannot take its place: {1}")]
    Replacement(ModelVersion, &'static str),
    /// The metadata could not be changed.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl From<StoreError> for RevokeError {
    fn from(err: StoreError) -> Self {
        Self::Trust(err.into())
    }
}

/// Revokes a version. Revoking it again changes the reason and what takes its place.
pub async fn revoke(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    model: &ModelName,
    version: ModelVersion,
    asked: Revoke,
) -> Result<VersionView, RevokeError> {
    if asked.reason.trim().is_empty() || asked.reason.len() > REASON_MAX {
        return Err(RevokeError::Reason);
    }
    let known = registry::model(&app.store, workspace, model).await?;
    let missing = || RevokeError::NoVersion(model.clone(), version);
    let known = known.ok_or_else(missing)?;
    if !known.versions.iter().any(|known| known.version == version) {
        return Err(missing());
    }
    let replacement = match asked.replacement {
        None => best(&known.versions, version),
        Some(wanted) => {
            check(&known.versions, version, wanted)?;
            Some(wanted)
        }
    };
    let txn = app.store.write().begin().await;
    let txn = txn.doing("beginning to revoke a version")?;
    let sql = "UPDATE model_version SET revoked = $1, revoked_at = $2, replacement = $3 \
               WHERE workspace = $4 AND model = $5 AND version = $6";
    let values = [
        asked.reason.as_str().into(),
        app.clock.now().0.into(),
        replacement.map(|version| i64::from(version.get())).into(),
        workspace.as_str().into(),
        model.as_str().into(),
        i64::from(version.get()).into(),
    ];
    execute(&txn, sql, values).await?;
    let deed = Deed::new("model.revoke", format!("model {model} version {version}"))
        .within(workspace)
        .after(&asked)
        .detail(asked.reason.clone());
    audit::record(&txn, &app.clock, by, deed).await?;
    txn.commit().await.doing("committing a revocation")?;
    change(app, workspace, None, |stored, now| {
        let keys = &stored.keys;
        stored
            .repository
            .revoke(model, version, &asked.reason, keys, now);
        Ok(())
    })
    .await?;
    tracing::warn!(%workspace, %model, %version, reason = asked.reason, "a version is revoked");
    let model_change = Change::Model {
        model: model.clone(),
    };
    app.changes.send(workspace, model_change);
    app.wake.notify();
    let view = registry::version(&app.store, workspace, model, version).await?;
    view.ok_or_else(missing)
}

fn check(
    versions: &[VersionView],
    revoked: ModelVersion,
    wanted: ModelVersion,
) -> Result<(), RevokeError> {
    let why = match versions.iter().find(|known| known.version == wanted) {
        _ if wanted == revoked => "it is the one that is revoked",
        None => "there is no such version",
        Some(known) if known.revoked.is_some() => "it is revoked itself",
        Some(known) if !known.signed => "it is not signed",
        Some(_) => return Ok(()),
    };
    Err(RevokeError::Replacement(wanted, why))
}

/// The newest before it that may be loaded, or else the newest after it.
fn best(versions: &[VersionView], revoked: ModelVersion) -> Option<ModelVersion> {
    let fit = versions
        .iter()
        .filter(|known| known.signed && known.revoked.is_none() && known.version != revoked)
        .map(|known| known.version);
    let before = fit.clone().filter(|version| *version < revoked).max();
    before.or_else(|| fit.max())
}
