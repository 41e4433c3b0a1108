//! Devices and what happened on them.

use axum::{Json as Answer, extract::State};
use serde::Deserialize;
use tern_protocol::{
    id::{DeviceId, SiteName, SlotName},
    rest::{DeviceView, EventView, Health, Page, TimelineEntry},
};
use utoipa::IntoParams;

use super::{
    extract::{Path, Query, Workspace},
    pages,
    problem::ApiError,
};
use crate::{
    app::App,
    fleet::{
        self, DeviceFilter,
        timeline::{Cursor, TimelineFilter},
    },
};

/// Events in one answer if nobody says how many.
const EVENTS: u64 = 100;

/// Events in one answer at most.
const EVENTS_MAX: u64 = 1000;

/// A device in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct DevicePath {
    /// Id of the device.
    #[param(value_type = String)]
    device: DeviceId,
}

/// Which devices.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DevicesQuery {
    /// Only those at this site.
    #[param(value_type = Option<String>)]
    site: Option<SiteName>,
    /// Only those of this health.
    health: Option<Health>,
    /// Only those with this label, as `key=value`.
    label: Option<String>,
    /// The `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<DeviceId>,
    /// Devices on the page, at most 1,000; 100 by default.
    limit: Option<u64>,
}

/// How many events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// Events, at most 1,000; 100 by default.
    limit: Option<u64>,
}

/// Which part of a timeline.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TimelineQuery {
    /// Only this slot, with what concerns the whole device.
    #[param(value_type = Option<String>)]
    slot: Option<SlotName>,
    /// The `next` of the page before.
    after: Option<String>,
    /// Entries on the page, at most 500; 50 by default.
    limit: Option<u64>,
}

/// List devices.
#[utoipa::path(
    get, path = "/devices", tag = "devices", params(DevicesQuery),
    responses((status = 200, description = "A page, in the order of ids", body = pages::DevicePage)),
)]
pub(super) async fn list_devices(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(query): Query<DevicesQuery>,
) -> Result<Answer<Page<DeviceView>>, ApiError> {
    let label = query.label.map(|label| match label.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(ApiError::bad_request("`label` has the form key=value")),
    });
    let filter = DeviceFilter {
        site: query.site,
        health: query.health,
        label: label.transpose()?,
        after: query.after,
        limit: query.limit,
    };
    Ok(Answer(
        fleet::devices(&app.store, &workspace, &filter).await?,
    ))
}

/// Show a device.
#[utoipa::path(
    get, path = "/devices/{device}", tag = "devices", params(DevicePath),
    responses((status = 200, description = "The device", body = DeviceView)),
)]
pub(super) async fn show_device(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(DevicePath { device }): Path<DevicePath>,
) -> Result<Answer<DeviceView>, ApiError> {
    let found = fleet::device(&app.store, &workspace, &device).await?;
    found.map(Answer).ok_or_else(|| no_device(&device))
}

/// List what happened on a device.
#[utoipa::path(
    get, path = "/devices/{device}/events", tag = "devices", params(DevicePath, EventsQuery),
    responses((status = 200, description = "Newest first", body = pages::EventPage)),
)]
pub(super) async fn device_events(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(DevicePath { device }): Path<DevicePath>,
    Query(query): Query<EventsQuery>,
) -> Result<Answer<Page<EventView>>, ApiError> {
    if fleet::device(&app.store, &workspace, &device)
        .await?
        .is_none()
    {
        return Err(no_device(&device));
    }
    let limit = query.limit.unwrap_or(EVENTS).clamp(1, EVENTS_MAX);
    let items = fleet::events(&app.store, &workspace, Some(&device), limit).await?;
    Ok(Answer(Page { items, next: None }))
}

/// Tell the story of a device: what it told and what the hub saw and did, newest first.
///
/// Of one device, the last 500 entries are kept.
#[utoipa::path(
    get, path = "/devices/{device}/timeline", tag = "devices", params(DevicePath, TimelineQuery),
    responses((status = 200, description = "A page, newest first", body = pages::TimelinePage)),
)]
pub(super) async fn device_timeline(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(DevicePath { device }): Path<DevicePath>,
    Query(query): Query<TimelineQuery>,
) -> Result<Answer<Page<TimelineEntry>>, ApiError> {
    if fleet::device(&app.store, &workspace, &device)
        .await?
        .is_none()
    {
        return Err(no_device(&device));
    }
    let after = query.after.as_deref().map(str::parse::<Cursor>);
    let filter = TimelineFilter {
        slot: query.slot,
        after: after.transpose().map_err(ApiError::bad_request)?,
        limit: query.limit,
    };
    let page = fleet::timeline(&app.store, &workspace, &device, &filter).await?;
    Ok(Answer(page))
}

/// List what happened in the fleet.
#[utoipa::path(
    get, path = "/events", tag = "devices", params(EventsQuery),
    responses((status = 200, description = "Newest first", body = pages::EventPage)),
)]
pub(super) async fn list_events(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(query): Query<EventsQuery>,
) -> Result<Answer<Page<EventView>>, ApiError> {
    let limit = query.limit.unwrap_or(EVENTS).clamp(1, EVENTS_MAX);
    let items = fleet::events(&app.store, &workspace, None, limit).await?;
    Ok(Answer(Page { items, next: None }))
}

fn no_device(device: &DeviceId) -> ApiError {
    ApiError::not_found(format!(
        "there is no device `{device}`; devices appear when they first connect"
    ))
}
