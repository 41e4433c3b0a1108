//! What each route demands, declared where the route is, checked before its handler runs, and written
//! into the OpenAPI document as `x-tern-policy`.
//!
//! Must never break: there is no way into the API but [`Guarded::route`], which takes a policy (and the door of
//! [`super::mlflow`], which takes a permission); a request whose principal was not established is nobody's.

use axum::{
    Extension,
    extract::{RawPathParams, Request},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use tern_protocol::id::WorkspaceId;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt as _};

use super::problem::ApiError;
use crate::{
    access::{
        principal::{Access, Principal},
        role::Policy,
    },
    app::App,
};

/// Name of the policy in the OpenAPI document.
pub(super) const EXTENSION: &str = "x-tern-policy";

/// Routes that each have a policy.
pub(super) struct Guarded(OpenApiRouter<App>);

impl Guarded {
    pub(super) fn new() -> Self {
        Self(OpenApiRouter::new())
    }

    /// Adds what `routes!` gives: one path with one or more methods, all under one policy.
    pub(super) fn route(self, policy: Policy, routes: UtoipaMethodRouter<App>) -> Self {
        let (schemas, mut paths, methods) = routes;
        for item in paths.paths.values_mut() {
            for operation in super::openapi::operations(item) {
                let name = ExtensionsBuilder::new()
                    .add(EXTENSION, policy.name())
                    .build();
                operation.extensions.get_or_insert_default().merge(name);
            }
        }
        let check = from_fn(move |params, request, next| check(policy, params, request, next));
        Self(self.0.routes((schemas, paths, methods).layer(check)))
    }

    /// The routes, for layers and nesting.
    pub(super) fn into_router(self) -> OpenApiRouter<App> {
        self.0
    }
}

async fn check(policy: Policy, params: RawPathParams, request: Request, next: Next) -> Response {
    let anonymous = Principal::ANONYMOUS;
    let principal = request.extensions().get::<Principal>();
    let named = params.iter().find(|(name, _)| *name == "workspace");
    let workspace: Option<WorkspaceId> = named.and_then(|(_, text)| text.parse().ok());
    let access = match (named, &workspace) {
        // Not a name: nobody can be a member of it. Whoever is logged in hears that there is none.
        (Some(_), None) if principal.is_some_and(|p| *p != anonymous) => Access::Hidden,
        _ => principal
            .unwrap_or(&anonymous)
            .access(policy, workspace.as_ref()),
    };
    match access {
        Access::Granted => next.run(request).await,
        Access::Unknown => ApiError::unauthorized(if policy == Policy::Device {
            "this is for devices that have joined and may speak, with their certificates"
        } else {
            "log in first: `tern login`, or send `Authorization: Bearer` with an API token"
        })
        .into_response(),
        Access::Hidden => {
            let text: String = named
                .map_or("", |(_, text)| text)
                .chars()
                .take(80)
                .collect();
            ApiError::no_workspace(&text).into_response()
        }
        Access::Forbidden => {
            let who = principal.unwrap_or(&anonymous);
            ApiError::forbidden(format!(
                "{who} may not do this: it needs `{}`; an admin can change roles",
                policy.name()
            ))
            .into_response()
        }
    }
}

/// Whoever asks, for handlers: what [`super::authenticate`] established.
pub(super) type Asking = Extension<Principal>;
