//! Who is told what by webhook and mail, and what became of it.

use axum::{Extension, Json as Answer, extract::State, http::StatusCode};
use serde::Deserialize;
use tern_protocol::{
    id::SubscriptionId,
    rest::{NewSubscription, NotificationView, Page, Subscribed, SubscriptionView, TestOutcome},
};
use utoipa::IntoParams;

use super::{
    extract::{Json, Path, Query, Workspace},
    pages,
    policy::Asking,
    problem::ApiError,
};
use crate::{access::audit::Actor, app::App, notify};

/// A subscription in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SubscriptionPath {
    /// Id of the subscription.
    #[param(value_type = u64)]
    id: SubscriptionId,
}

/// Which notices.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct NotificationsQuery {
    /// The `next` of the page before.
    after: Option<u64>,
    /// Notices on the page, at most 1,000; 100 by default.
    limit: Option<u64>,
}

/// List the notices of the last 30 days, one for each receiver.
#[utoipa::path(
    get, path = "/notifications", tag = "notifications", params(NotificationsQuery),
    responses((status = 200, description = "Newest first", body = pages::NotificationPage)),
)]
pub(super) async fn list_notifications(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(query): Query<NotificationsQuery>,
) -> Result<Answer<Page<NotificationView>>, ApiError> {
    let page = notify::notifications(&app, &workspace, query.after, query.limit);
    Ok(Answer(page.await?))
}

/// List the receivers of notices; what is secret about them is never shown.
#[utoipa::path(
    get, path = "/notifications/subscriptions", tag = "notifications",
    responses((status = 200, description = "The oldest first", body = pages::SubscriptionPage)),
)]
pub(super) async fn list_subscriptions(
    State(app): State<App>,
    Workspace(workspace): Workspace,
) -> Result<Answer<Page<SubscriptionView>>, ApiError> {
    let items = notify::subscriptions(&app.store, &workspace).await?;
    Ok(Answer(Page { items, next: None }))
}

/// Ask for notices from now on; a secret that the hub makes is shown this once.
#[utoipa::path(
    post, path = "/notifications/subscriptions", tag = "notifications", request_body = NewSubscription,
    responses((status = 201, description = "Subscribed", body = Subscribed)),
)]
pub(super) async fn subscribe(
    State(app): State<App>,
    Extension(principal): Asking,
    Workspace(workspace): Workspace,
    Json(new): Json<NewSubscription>,
) -> Result<(StatusCode, Answer<Subscribed>), ApiError> {
    let actor = Actor::from(&principal);
    let made = notify::add(&app, &workspace, new, &actor).await?;
    Ok((StatusCode::CREATED, Answer(made)))
}

/// Remove a subscription, with what waits for it.
#[utoipa::path(
    delete, path = "/notifications/subscriptions/{id}", tag = "notifications", params(SubscriptionPath),
    responses((status = 204, description = "Removed")),
)]
pub(super) async fn unsubscribe(
    State(app): State<App>,
    Extension(principal): Asking,
    Workspace(workspace): Workspace,
    Path(SubscriptionPath { id }): Path<SubscriptionPath>,
) -> Result<StatusCode, ApiError> {
    let actor = Actor::from(&principal);
    notify::remove(&app, &workspace, id, &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Send a notice to a subscription now, once.
#[utoipa::path(
    post, path = "/notifications/subscriptions/{id}/test", tag = "notifications", params(SubscriptionPath),
    responses((status = 200, description = "What came of it", body = TestOutcome)),
)]
pub(super) async fn test_subscription(
    State(app): State<App>,
    Extension(principal): Asking,
    Workspace(workspace): Workspace,
    Path(SubscriptionPath { id }): Path<SubscriptionPath>,
) -> Result<Answer<TestOutcome>, ApiError> {
    let actor = Actor::from(&principal);
    Ok(Answer(notify::test(&app, &workspace, id, &actor).await?))
}
