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
    pages,
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
    responses((status = 200, description = "Newest first", body = pages::IdentityPage)),
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

/// Who judges which identity, and why.
type Judging = (
    State<App>,
    Asking,
    Workspace,
    Path<IdentityPath>,
    JsonOrDefault<Because>,
);

/// What is done with an identity.
enum Verdict {
    /// It may speak.
    Accept,
    /// It never may.
    Reject,
    /// It no longer may.
    Revoke,
}

async fn judge(
    (
        State(app),
        Extension(principal),
        Workspace(workspace),
        Path(IdentityPath { id }),
        JsonOrDefault(Because { reason }),
    ): Judging,
    verdict: Verdict,
) -> Result<Answer<IdentityView>, ApiError> {
    let by = Actor::from(&principal);
    let judged = match verdict {
        Verdict::Accept => identity::accept(&app, &workspace, id, &reason, &by).await,
        Verdict::Reject => identity::reject(&app, &workspace, id, &reason, &by).await,
        Verdict::Revoke => identity::revoke(&app, &workspace, id, &reason, &by).await,
    };
    Ok(Answer(judged?))
}

/// Let a pending identity speak for its device, in place of the one that does.
#[utoipa::path(
    post, path = "/identities/{id}/accept", tag = "devices", params(IdentityPath),
    request_body(content = Because, description = "Why; may be left out"),
    responses((status = 200, description = "The identity", body = IdentityView)),
)]
pub(super) async fn accept_identity(judging: Judging) -> Result<Answer<IdentityView>, ApiError> {
    judge(judging, Verdict::Accept).await
}

/// Refuse a pending identity, for good.
#[utoipa::path(
    post, path = "/identities/{id}/reject", tag = "devices", params(IdentityPath),
    request_body(content = Because, description = "Why; may be left out"),
    responses((status = 200, description = "The identity", body = IdentityView)),
)]
pub(super) async fn reject_identity(judging: Judging) -> Result<Answer<IdentityView>, ApiError> {
    judge(judging, Verdict::Reject).await
}

/// Take an identity's right to speak away, for good; its connection is cut.
#[utoipa::path(
    post, path = "/identities/{id}/revoke", tag = "devices", params(IdentityPath),
    request_body(content = Because, description = "Why; may be left out"),
    responses((status = 200, description = "The identity", body = IdentityView)),
)]
pub(super) async fn revoke_identity(judging: Judging) -> Result<Answer<IdentityView>, ApiError> {
    judge(judging, Verdict::Revoke).await
}
