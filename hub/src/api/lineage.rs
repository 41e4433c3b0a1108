//! Where things come from, and what became of them.

use axum::{Json as Answer, extract::State};
use serde::Deserialize;
use tern_protocol::rest::{LineageOf, LineageView, LineageWay};
use utoipa::IntoParams;

use super::{
    extract::{Query, Workspace},
    problem::ApiError,
};
use crate::{app::App, lineage};

/// Of what, and which way.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LineageQuery {
    /// `version:MODEL/N`, `dataset:NAME@N`, `run:ID`, `job:N`, `rollout:N`, `round:MODEL/N`, `device:ID`,
    /// `prediction:DEVICE/BOOT-NUMBER`, `code:DIGEST` or `person:NAME`.
    #[param(value_type = String)]
    of: LineageOf,
    /// What it comes from, what became of it, or both.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    way: LineageWay,
}

/// Tell where something comes from and what became of it: predictions, versions, runs, code, jobs, datasets, captures,
/// labels, people, rounds of retraining, rollouts, devices.
#[utoipa::path(
    get, path = "/lineage", tag = "models", params(LineageQuery),
    responses((status = 200, description = "What was found, the nearest first", body = LineageView)),
)]
pub(super) async fn show_lineage(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(LineageQuery { of, way }): Query<LineageQuery>,
) -> Result<Answer<LineageView>, ApiError> {
    Ok(Answer(
        lineage::lineage(&app.store, &workspace, &of, way).await?,
    ))
}
