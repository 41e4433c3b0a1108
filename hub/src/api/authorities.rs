//! The authorities that vouch for the hub and for devices.

use axum::{
    Json as Answer,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use tern_protocol::rest::{AuthorityView, Page};

use super::problem::ApiError;
use crate::{access::identity, app::App};

/// Get the certificates that vouch for the hub.
#[utoipa::path(
    get, path = "/ca", tag = "hub",
    responses((
        status = 200, description = "PEM, the one in force first",
        body = String, content_type = "application/x-pem-file",
    )),
)]
pub(super) async fn bundle(State(app): State<App>) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/x-pem-file")];
    (kind, app.authorities.trusted().bundle()).into_response()
}

/// List authorities.
#[utoipa::path(
    get, path = "/authorities", tag = "hub",
    responses((status = 200, description = "Oldest first", body = super::pages::AuthorityPage)),
)]
pub(super) async fn list_authorities(
    State(app): State<App>,
) -> Result<Answer<Page<AuthorityView>>, ApiError> {
    let mut items = app.authorities.trusted().views();
    identity::count_by_authority(&app.store, &mut items).await?;
    Ok(Answer(Page { items, next: None }))
}
