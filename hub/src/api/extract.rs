//! What handlers take from a request. What cannot be read becomes a problem, in our words.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, RawPathParams, Request, rejection::BytesRejection},
    http::request::Parts,
};
use serde::de::DeserializeOwned;
use tern_protocol::id::WorkspaceId;

use super::problem::ApiError;
use crate::{app::App, fleet};

/// The workspace of the path; it exists.
#[derive(Debug, Clone)]
pub(super) struct Workspace(pub(super) WorkspaceId);

impl FromRequestParts<App> for Workspace {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, app).await;
        let params = params.map_err(|err| ApiError::rejected(err.status(), err.body_text()))?;
        let text = params
            .iter()
            .find(|(name, _)| *name == "workspace")
            .map(|(_, text)| text);
        let text = text.unwrap_or_default();
        let missing = || ApiError::no_workspace(&shown(text));
        let workspace: WorkspaceId = text.parse().map_err(|_| missing())?;
        let known = fleet::workspaces(&app.store).await?;
        if known.contains(&workspace) {
            Ok(Self(workspace))
        } else {
            Err(missing())
        }
    }
}

/// Parts of the path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match axum::extract::Path::<T>::from_request_parts(parts, app).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            Err(err) => Err(ApiError::rejected(err.status(), shown(&err.body_text()))),
        }
    }
}

/// Parameters of the query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match axum::extract::Query::<T>::from_request_parts(parts, app).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(err) => Err(ApiError::rejected(err.status(), shown(&err.body_text()))),
        }
    }
}

/// A JSON body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        match axum::Json::<T>::from_request(request, app).await {
            Ok(axum::Json(body)) => Ok(Self(body)),
            Err(err) => Err(ApiError::rejected(err.status(), shown(&err.body_text()))),
        }
    }
}

/// A JSON body, or none at all for the default.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonOrDefault<T>(pub(super) T);

impl<T: DeserializeOwned + Default> FromRequest<App> for JsonOrDefault<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let body = Bytes::from_request(request, app).await;
        let body = body.map_err(|err: BytesRejection| {
            ApiError::rejected(err.status(), shown(&err.body_text()))
        })?;
        if body.trim_ascii().is_empty() {
            return Ok(Self(T::default()));
        }
        let read = serde_json::from_slice(&body);
        read.map(Self)
            .map_err(|err| ApiError::unprocessable(err.to_string()))
    }
}

/// What an error shows of a client's text.
fn shown(text: &str) -> String {
    text.chars().take(500).collect()
}
