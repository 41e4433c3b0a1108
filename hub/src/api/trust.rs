//! Signed metadata: who signs what, what waits for signatures, what is revoked.

use axum::{Extension, Json as Answer, extract::State};
use tern_protocol::rest::{Revoke, Signatures, TrustPlan, TrustView, VersionView};

use super::{
    extract::{Json, Path, Workspace},
    models::VersionPath,
    policy::Asking,
    problem::ApiError,
};
use crate::{access::audit::Actor, app::App, trust};

/// Show who signs what, and what waits for signatures.
#[utoipa::path(
    get, path = "/trust", tag = "trust",
    responses((status = 200, description = "How the signed metadata stand", body = TrustView)),
)]
pub(super) async fn show_trust(
    State(app): State<App>,
    Workspace(workspace): Workspace,
) -> Result<Answer<TrustView>, ApiError> {
    Ok(Answer(trust::show(&app, &workspace).await?))
}

/// Plan other keys.
///
/// The hub makes the root that would follow, signs it as far as it holds keys, and keeps it until
/// enough others signed it.
#[utoipa::path(
    post, path = "/trust/plan", tag = "trust", request_body = TrustPlan,
    responses((status = 200, description = "How the signed metadata stand", body = TrustView)),
)]
pub(super) async fn plan_keys(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Json(plan): Json<TrustPlan>,
) -> Result<Answer<TrustView>, ApiError> {
    let actor = Actor::from(&principal);
    Ok(Answer(trust::plan(&app, &actor, &workspace, plan).await?))
}

/// Hand in documents that were signed.
///
/// A signature counts if it is by a key of the role. What has enough of them takes effect at once.
#[utoipa::path(
    post, path = "/trust/signatures", tag = "trust", request_body = Signatures,
    responses((status = 200, description = "How the signed metadata stand", body = TrustView)),
)]
pub(super) async fn hand_in_signatures(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Json(signatures): Json<Signatures>,
) -> Result<Answer<TrustView>, ApiError> {
    let actor = Actor::from(&principal);
    Ok(Answer(
        trust::sign(&app, &actor, &workspace, signatures).await?,
    ))
}

/// Take back a change of keys that waits for signatures.
#[utoipa::path(
    post, path = "/trust/withdraw", tag = "trust",
    responses((status = 200, description = "How the signed metadata stand", body = TrustView)),
)]
pub(super) async fn withdraw_plan(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
) -> Result<Answer<TrustView>, ApiError> {
    let actor = Actor::from(&principal);
    Ok(Answer(trust::withdraw(&app, &actor, &workspace).await?))
}

/// Revoke a version of a model.
///
/// Devices refuse it from the moment that they hear of it, and get another version instead.
#[utoipa::path(
    post, path = "/models/{model}/versions/{version}/revoke", tag = "trust",
    params(VersionPath), request_body = Revoke,
    responses((status = 200, description = "The version", body = VersionView)),
)]
pub(super) async fn revoke_version(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(VersionPath { model, version }): Path<VersionPath>,
    Json(asked): Json<Revoke>,
) -> Result<Answer<VersionView>, ApiError> {
    let actor = Actor::from(&principal);
    let revoked = trust::revoke(&app, &actor, &workspace, &model, version, asked).await?;
    Ok(Answer(revoked))
}
