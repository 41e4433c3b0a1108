//! Identities: keys that speak, or want to speak, for devices.

use axum::{Extension, Json as Answer, extract::State};
use serde::Deserialize;
use tern_protocol::{
    id::{DeviceId, IdentityId},
    rest::{Because, IdentityState, IdentityView, Page},
};
use utoipa::IntoParams;

use super::{
    extract::{JsonOrDefault, Path, Query, Workspace},
    policy::Asking,
    problem::ApiError,
};
use crate::{
    access::{
        audit::Actor,
        identity::{self, IdentityFilter},
    },
    app::App,
};

/// An identity in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct IdentityPath {
    /// Id of the identity.
    #[param(value_type = u64)]
    id: IdentityId,
}

/// Which identities.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct IdentitiesQuery {
    /// Only those in this state.
    state: Option<IdentityState>,
    /// Only those of this device.
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
    /// The `next` of the page before.
    #[param(value_type = Option<u64>)]
    after: Option<IdentityId>,
    /// Identities on the page, at most 1,000; 100 by default.
    limit: Option<u64>,
}

/// List identities.
#[utoipa::path(
    get, path = "/identities", tag = "devices", params(IdentitiesQuery),
    responses((status = 200, description = "Newest first", body = Page<IdentityView>)),
)]
pub(super) async fn list_identities(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(query): Query<IdentitiesQuery>,
) -> Result<Answer<Page<IdentityView>>, ApiError> {
    let filter = IdentityFilter {
        state: query.state,
        device: query.device,
        after: query.after,
        limit: query.limit,
    };
    let page = identity::identities(&app.store, &workspace, &filter);
    Ok(Answer(page.await?))
}

/// Let a pending identity speak for its device, in place of the one that does.
#[utoipa::path(
    post, path = "/identities/{id}/accept", tag = "devices", params(IdentityPath),
    request_body(content = Because, description = "Why; may be left out"),
    responses((status = 200, description = "The identity", body = IdentityView)),
)]
pub(super) async fn accept_identity(
    State(app): State<App>,
    Extension(principal): Asking,
    Workspace(workspace): Workspace,
    Path(IdentityPath { id }): Path<IdentityPath>,
    JsonOrDefault(because): JsonOrDefault<Because>,
) -> Result<Answer<IdentityView>, ApiError> {
    let actor = Actor::from(&principal);
    let accepted = identity::accept(&app, &workspace, id, &because.reason, &actor);
    Ok(Answer(accepted.await?))
}

/// Refuse a pending identity, for good.
#[utoipa::path(
    post, path = "/identities/{id}/reject", tag = "devices", params(IdentityPath),
    request_body(content = Because, description = "Why; may be left out"),
    responses((status = 200, description = "The identity", body = IdentityView)),
)]
pub(super) async fn reject_identity(
    State(app): State<App>,
    Extension(principal): Asking,
    Workspace(workspace): Workspace,
    Path(IdentityPath { id }): Path<IdentityPath>,
    JsonOrDefault(because): JsonOrDefault<Because>,
) -> Result<Answer<IdentityView>, ApiError> {
    let actor = Actor::from(&principal);
    let rejected = identity::reject(&app, &workspace, id, &because.reason, &actor);
    Ok(Answer(rejected.await?))
}

/// Take an identity's right to speak away, for good; its connection is cut.
#[utoipa::path(
    post, path = "/identities/{id}/revoke", tag = "devices", params(IdentityPath),
    request_body(content = Because, description = "Why; may be left out"),
    responses((status = 200, description = "The identity", body = IdentityView)),
)]
pub(super) async fn revoke_identity(
    State(app): State<App>,
    Extension(principal): Asking,
    Workspace(workspace): Workspace,
    Path(IdentityPath { id }): Path<IdentityPath>,
    JsonOrDefault(because): JsonOrDefault<Because>,
) -> Result<Answer<IdentityView>, ApiError> {
    let actor = Actor::from(&principal);
    let revoked = identity::revoke(&app, &workspace, id, &because.reason, &actor);
    Ok(Answer(revoked.await?))
}
