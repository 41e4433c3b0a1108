//! Whether the hub lives, and whether it is ready.

use axum::{Json as Answer, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::ApiError;
use crate::{app::App, fleet};

/// What is up.
#[expect(clippy::struct_excessive_bools, reason = "four parts, each up or not")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Readiness {
    /// The database answers.
    database: bool,
    /// The broker accepts connections.
    broker: bool,
    /// The hub hears devices.
    inbound: bool,
    /// The hub can speak to devices.
    outbound: bool,
}

/// The process is alive.
#[utoipa::path(
    get, path = "/healthz", tag = "hub",
    responses((status = 200, description = "It is", body = String, content_type = "text/plain")),
)]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The hub can do its work.
#[utoipa::path(
    get, path = "/readyz", tag = "hub",
    responses(
        (status = 200, description = "All parts are up", body = Readiness),
        (status = 503, description = "Some part is not up; the problem names it"),
    ),
)]
pub(super) async fn readyz(State(app): State<App>) -> Result<Answer<Readiness>, ApiError> {
    let ready = *app.ready.borrow();
    let readiness = Readiness {
        database: fleet::workspaces(&app.store).await.is_ok(),
        broker: ready.broker,
        inbound: ready.inbound,
        outbound: ready.outbound,
    };
    let parts = [
        (readiness.database, "the database"),
        (readiness.broker, "the broker"),
        (readiness.inbound, "the link from devices"),
        (readiness.outbound, "the link to devices"),
    ];
    let down: Vec<_> = parts
        .iter()
        .filter(|(up, _)| !up)
        .map(|(_, name)| *name)
        .collect();
    if down.is_empty() {
        Ok(Answer(readiness))
    } else {
        Err(ApiError::unavailable(format!(
            "not up: {}",
            down.join(", ")
        )))
    }
}
