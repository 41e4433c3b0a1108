//! What leaves the hub for devices.

use axum::{Json as Answer, extract::State};
use serde::Deserialize;
use tern_protocol::rest::DeliveryView;
use utoipa::IntoParams;

use super::{
    extract::{Query, Workspace},
    problem::ApiError,
};
use crate::{app::App, delivery};

/// How much.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeliveryQuery {
    /// Versions, at most 500; 20 by default.
    limit: Option<u64>,
}

/// Show what is on its way to devices, and how versions got there.
#[utoipa::path(
    get, path = "/delivery", tag = "devices", params(DeliveryQuery),
    responses((status = 200, description = "What moves and what moved", body = DeliveryView)),
)]
pub(super) async fn show_delivery(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(query): Query<DeliveryQuery>,
) -> Result<Answer<DeliveryView>, ApiError> {
    Ok(Answer(delivery::view(&app, &workspace, query.limit).await?))
}
