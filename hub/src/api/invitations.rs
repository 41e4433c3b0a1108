//! Invitations: tokens with which devices join.

use axum::{
    Extension, Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use tern_protocol::{
    id::InvitationId,
    rest::{InvitationView, Invited, NewInvitation, Page},
};
use utoipa::IntoParams;

use super::{
    extract::{Json, Path, Query, Workspace},
    pages,
    policy::Asking,
    problem::ApiError,
};
use crate::{
    access::{audit::Actor, identity},
    app::App,
};

/// An invitation in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct InvitationPath {
    /// Id of the invitation.
    #[param(value_type = u64)]
    id: InvitationId,
}

/// Which invitations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct InvitationsQuery {
    /// The `next` of the page before.
    #[param(value_type = Option<u64>)]
    after: Option<InvitationId>,
    /// Invitations on the page, at most 1,000; 100 by default.
    limit: Option<u64>,
}

/// Invite devices; the token is shown this once.
#[utoipa::path(
    post, path = "/invitations", tag = "devices", request_body = NewInvitation,
    responses((status = 201, description = "Invited", body = Invited)),
)]
pub(super) async fn invite(
    State(app): State<App>,
    Extension(principal): Asking,
    Workspace(workspace): Workspace,
    Json(new): Json<NewInvitation>,
) -> Result<Response, ApiError> {
    let actor = Actor::from(&principal);
    let invited = identity::invite(&app, &workspace, new, &actor).await?;
    Ok((StatusCode::CREATED, Answer(invited)).into_response())
}

/// List invitations.
#[utoipa::path(
    get, path = "/invitations", tag = "devices", params(InvitationsQuery),
    responses((status = 200, description = "Newest first", body = pages::InvitationPage)),
)]
pub(super) async fn list_invitations(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(query): Query<InvitationsQuery>,
) -> Result<Answer<Page<InvitationView>>, ApiError> {
    let page = identity::invitations(&app.store, &workspace, query.after, query.limit);
    Ok(Answer(page.await?))
}

/// Revoke an invitation: nobody new joins with it.
#[utoipa::path(
    post, path = "/invitations/{id}/revoke", tag = "devices", params(InvitationPath),
    responses((status = 200, description = "The invitation", body = InvitationView)),
)]
pub(super) async fn revoke_invitation(
    State(app): State<App>,
    Extension(principal): Asking,
    Workspace(workspace): Workspace,
    Path(InvitationPath { id }): Path<InvitationPath>,
) -> Result<Answer<InvitationView>, ApiError> {
    let actor = Actor::from(&principal);
    let revoked = identity::revoke_invitation(&app, &workspace, id, &actor);
    Ok(Answer(revoked.await?))
}
