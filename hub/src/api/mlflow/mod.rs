//! MLflow's REST API, so that its unmodified client works against the hub.
//!
//! Called by the composition root of the API. HTTP in, calls of `tracking`, HTTP out; what clients ask and expect is
//! MLflow's protocol, which its own documentation describes, so these routes are not in our OpenAPI document.
//!
//! A request is about one workspace, which no path names: that of the token, or else the person's `default`, or the
//! only one that they are a member of.
//!
//! Must never break:
//! - there is no way in but [`Door::route`], which takes a permission;
//! - errors are MLflow's, and what the client did wrong is never answered with a status that it tries again: it would
//!   wait for minutes.

mod artifacts;
mod error;
mod experiments;
mod extract;
mod logged;
mod metrics;
mod registry;
mod runs;
mod wire;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{MethodRouter, any, delete, get, patch, post, put},
};
use serde_json::json;
use tern_protocol::id::WorkspaceId;

use self::error::MlflowError;
use crate::{
    access::{
        audit::Actor,
        principal::{Access, Principal, Who},
        role::{Permission, Policy},
    },
    app::App,
};

/// What most routes answer.
type Answer = Result<axum::Json<serde_json::Value>, MlflowError>;

/// Base of MLflow's routes.
const BASE: &str = "/api/2.0/mlflow";

/// Base of files.
const ARTIFACTS: &str = "/api/2.0/mlflow-artifacts/artifacts";

/// A request, in bytes: a data set's profile alone may have megabytes.
const BODY: usize = 16 * 1024 * 1024;

/// The workspace of whoever says none.
const DEFAULT: &str = "default";

/// Who asks, about which workspace. Put into requests by the door.
#[derive(Debug, Clone)]
struct Caller {
    workspace: WorkspaceId,
    by: Actor,
    /// Their name, for what they register.
    user: String,
}

/// Routes that each have a permission.
struct Door(Router<App>);

impl Door {
    fn route(self, permission: Permission, path: &str, method: MethodRouter<App>) -> Self {
        let check = from_fn(move |request, next| enter(permission, request, next));
        Self(self.0.route(path, method.layer(check)))
    }

    /// Below the base.
    fn api(self, permission: Permission, path: &str, method: MethodRouter<App>) -> Self {
        self.route(permission, &format!("{BASE}{path}"), method)
    }
}

/// Lets a request in, if whoever sent it may do this.
async fn enter(permission: Permission, mut request: Request, next: Next) -> Response {
    let anonymous = Principal::ANONYMOUS;
    let principal = request
        .extensions()
        .get::<Principal>()
        .unwrap_or(&anonymous);
    let Some(workspace) = workspace_of(principal) else {
        let access = principal.access(Policy::Member, None);
        return refusal(principal, access, permission).into_response();
    };
    match principal.access(Policy::Workspace(permission), Some(&workspace)) {
        Access::Granted => {}
        access => return refusal(principal, access, permission).into_response(),
    }
    let caller = Caller {
        by: Actor::from(principal),
        user: principal
            .user()
            .map(ToString::to_string)
            .unwrap_or_default(),
        workspace,
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// The workspace that somebody means who says none.
fn workspace_of(principal: &Principal) -> Option<WorkspaceId> {
    let default: WorkspaceId = DEFAULT.parse().ok()?;
    match &principal.who {
        Who::Token { workspace, .. } | Who::Job { workspace, .. } => Some(workspace.clone()),
        Who::Loopback => Some(default),
        Who::User(_) if principal.role_in(&default).is_some() => Some(default),
        Who::User(account) => account.roles.keys().next().cloned(),
        Who::Anonymous | Who::Device { .. } => None,
    }
}

fn refusal(who: &Principal, access: Access, permission: Permission) -> MlflowError {
    match access {
        Access::Unknown => MlflowError::new(
            "UNAUTHENTICATED",
            StatusCode::UNAUTHORIZED,
            "an API token is needed: set MLFLOW_TRACKING_TOKEN to what `tern token create` printed",
        ),
        _ => MlflowError::new(
            "PERMISSION_DENIED",
            StatusCode::FORBIDDEN,
            format!(
                "{who} may not do this: it needs `{}`; an admin can change roles",
                permission.name()
            ),
        ),
    }
}

/// MLflow's routes.
pub(super) fn router() -> Router<App> {
    use Permission::{Publish, View};
    let door = Door(Router::new())
        .api(Publish, "/experiments/create", post(experiments::create))
        .api(View, "/experiments/get", get(experiments::get))
        .api(
            View,
            "/experiments/get-by-name",
            get(experiments::get_by_name),
        )
        .api(
            View,
            "/experiments/search",
            post(experiments::search).get(experiments::search),
        )
        .api(Publish, "/experiments/update", post(experiments::update))
        .api(Publish, "/experiments/delete", post(experiments::delete))
        .api(Publish, "/experiments/restore", post(experiments::restore))
        .api(
            Publish,
            "/experiments/set-experiment-tag",
            post(experiments::set_tag),
        )
        .api(
            Publish,
            "/experiments/delete-experiment-tag",
            post(experiments::delete_tag),
        )
        .api(Publish, "/runs/create", post(runs::create))
        .api(View, "/runs/get", get(runs::get))
        .api(View, "/runs/search", post(runs::search))
        .api(Publish, "/runs/update", post(runs::update))
        .api(Publish, "/runs/delete", post(runs::delete))
        .api(Publish, "/runs/restore", post(runs::restore))
        .api(Publish, "/runs/set-tag", post(runs::set_tag))
        .api(Publish, "/runs/delete-tag", post(runs::delete_tag))
        .api(Publish, "/runs/log-metric", post(metrics::log_metric))
        .api(Publish, "/runs/log-parameter", post(metrics::log_param))
        .api(Publish, "/runs/log-batch", post(metrics::log_batch))
        .api(Publish, "/runs/log-inputs", post(runs::log_inputs))
        .api(Publish, "/runs/outputs", post(runs::log_outputs))
        .api(View, "/metrics/get-history", get(metrics::history))
        .api(
            View,
            "/metrics/get-history-bulk-interval",
            get(metrics::history_of_many),
        )
        .api(View, "/artifacts/list", get(artifacts::list_of_run))
        .api(Publish, "/logged-models", post(logged::create))
        .api(View, "/logged-models/search", post(logged::search))
        .api(View, "/logged-models/{model_id}", get(logged::get))
        .api(
            Publish,
            "/logged-models/{model_id}",
            patch(logged::finish).delete(logged::delete),
        )
        .api(
            Publish,
            "/logged-models/{model_id}/params",
            post(logged::add_params),
        )
        .api(
            Publish,
            "/logged-models/{model_id}/tags",
            patch(logged::add_tags),
        )
        .api(
            Publish,
            "/logged-models/{model_id}/tags/{key}",
            delete(logged::delete_tag),
        );
    let file = format!("{ARTIFACTS}/{{*path}}");
    let door = registry::routes(door)
        .route(View, ARTIFACTS, get(artifacts::list))
        .route(View, &file, get(artifacts::download))
        .route(
            Publish,
            &file,
            put(artifacts::upload).delete(artifacts::delete),
        )
        .route(View, "/api/3.0/mlflow/server-info", get(server_info));
    door.0
        .layer(DefaultBodyLimit::max(BODY))
        .route("/api/2.0/{*rest}", any(no_route))
        .route("/api/3.0/{*rest}", any(no_route))
        // Whoever asks for these wants to know whether a server is there and which, and says nothing of themselves.
        .route("/health", get(|| async { "OK" }))
        .route("/version", get(|| async { VERSION }))
        .method_not_allowed_fallback(no_method)
}

/// Whose protocol this is.
const VERSION: &str = "3.17.2";

/// What the client asks before it moves files: plain uploads and downloads, of any length.
async fn server_info() -> impl IntoResponse {
    axum::Json(json!({
        "store_type": "SqlStore",
        "workspaces_enabled": false,
        "multipart_uploads_enabled": false,
        "multipart_downloads_enabled": false,
    }))
}

async fn no_route(request: Request) -> MlflowError {
    let path: String = request.uri().path().chars().take(200).collect();
    MlflowError::new(
        "ENDPOINT_NOT_FOUND",
        StatusCode::NOT_FOUND,
        format!("No route {path}: this part of MLflow is not served here"),
    )
}

async fn no_method(request: Request) -> MlflowError {
    MlflowError::new(
        "ENDPOINT_NOT_FOUND",
        StatusCode::NOT_FOUND,
        format!("{} is not one of this path's methods", request.method()),
    )
}

#[cfg(test)]
mod tests;
