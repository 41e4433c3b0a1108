//! Quantities over time, and the overview.

use axum::{Json as Answer, extract::State};
use serde::Deserialize;
use tern_protocol::{
    id::{DeviceId, ModelName, ModelVersion, SiteName},
    rest::{Chart, GroupBy, Metric, Overview, Page, Part, QuarantineView},
    time::WallTime,
};
use utoipa::IntoParams;

use super::{
    extract::{Path, Query, Workspace},
    pages,
    problem::ApiError,
};
use crate::{
    app::App,
    monitor::{self, ChartQuery},
};

/// A metric in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct MetricPath {
    /// The quantity.
    metric: Metric,
}

/// What to draw.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChartsQuery {
    /// Only of this model.
    #[param(value_type = Option<String>)]
    model: Option<ModelName>,
    /// Only of this version.
    #[param(value_type = Option<u32>)]
    version: Option<ModelVersion>,
    /// Only of devices at this site.
    #[param(value_type = Option<String>)]
    site: Option<SiteName>,
    /// Only of this device.
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
    /// Only of devices that had this part in a rollout, `treatment` or `control`; not together with `device`.
    #[param(inline)]
    arm: Option<Part>,
    /// What makes one series each; `none` by default.
    #[param(inline)]
    group: Option<GroupBy>,
    /// Start in milliseconds since 1970; 15 minutes before the end by default.
    #[param(value_type = Option<i64>)]
    from: Option<WallTime>,
    /// End in milliseconds since 1970; now by default.
    #[param(value_type = Option<i64>)]
    to: Option<WallTime>,
    /// Length of an interval in milliseconds; so that there are 60 by default.
    step_ms: Option<u64>,
}

/// Draw a quantity over time.
#[utoipa::path(
    get, path = "/charts/{metric}", tag = "monitor", params(MetricPath, ChartsQuery),
    responses((status = 200, description = "Series on one time axis", body = Chart)),
)]
pub(super) async fn chart(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(MetricPath { metric }): Path<MetricPath>,
    Query(query): Query<ChartsQuery>,
) -> Result<Answer<Chart>, ApiError> {
    let query = ChartQuery {
        model: query.model,
        version: query.version,
        site: query.site,
        device: query.device,
        arm: query.arm,
        group: query.group.unwrap_or_default(),
        ..ChartQuery::recent(metric, app.clock.now()).between(query.from, query.to, query.step_ms)
    };
    Ok(Answer(
        monitor::chart(&app.store, &workspace, &query).await?,
    ))
}

/// The fleet at a glance.
#[utoipa::path(
    get, path = "/overview", tag = "monitor",
    responses((status = 200, description = "What a person sees first", body = Overview)),
)]
pub(super) async fn overview(
    State(app): State<App>,
    Workspace(workspace): Workspace,
) -> Result<Answer<Overview>, ApiError> {
    Ok(Answer(monitor::overview(&app, &workspace).await?))
}

/// Of which device.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct QuarantineQuery {
    /// Only of this device.
    #[param(value_type = Option<String>)]
    device: Option<DeviceId>,
}

/// List windows whose time cannot be right, by device and reason. They count in every total, and no
/// chart draws them.
#[utoipa::path(
    get, path = "/quarantine", tag = "monitor", params(QuarantineQuery),
    responses((status = 200, description = "The latest first", body = pages::QuarantinePage)),
)]
pub(super) async fn list_quarantine(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(query): Query<QuarantineQuery>,
) -> Result<Answer<Page<QuarantineView>>, ApiError> {
    let device = query.device.as_ref();
    let items = monitor::quarantine(&app.store, &workspace, device).await?;
    Ok(Answer(Page { items, next: None }))
}
