//! Devices join and renew; what they prove is in the request itself.

use axum::{Extension, Json as Answer, extract::State};
use tern_protocol::rest::{Join, Joined, Renew};

use super::{extract::Json, policy::Asking, problem::ApiError};
use crate::{access::identity, app::App};

/// Join with a token, or ask again how it stands.
#[utoipa::path(
    post, path = "/join", tag = "devices", request_body = Join,
    responses((status = 200, description = "In, or waiting until somebody accepts it", body = Joined)),
)]
pub(super) async fn join(
    State(app): State<App>,
    Extension(principal): Asking,
    Json(join): Json<Join>,
) -> Result<Answer<Joined>, ApiError> {
    Ok(Answer(identity::join(&app, &join, principal.from).await?))
}

/// Get a new certificate for a key that has joined.
#[utoipa::path(
    post, path = "/renew", tag = "devices", request_body = Renew,
    responses((status = 200, description = "The certificate, or waiting", body = Joined)),
)]
pub(super) async fn renew(
    State(app): State<App>,
    Extension(principal): Asking,
    Json(renew): Json<Renew>,
) -> Result<Answer<Joined>, ApiError> {
    Ok(Answer(identity::renew(&app, &renew, principal.from).await?))
}
