//! Errors as MLflow's client expects them.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{blobs::BlobError, registry::PublishError, store::StoreError, tracking::TrackingError};

/// An error on its way to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MlflowError {
    code: &'static str,
    status: StatusCode,
    message: String,
}

impl MlflowError {
    pub(super) fn new(code: &'static str, status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            code,
            status,
            message: message.into(),
        }
    }

    /// What was asked is impossible.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new("INVALID_PARAMETER_VALUE", StatusCode::BAD_REQUEST, message)
    }

    /// There is no such thing.
    pub(super) fn missing(message: impl Into<String>) -> Self {
        Self::new("RESOURCE_DOES_NOT_EXIST", StatusCode::NOT_FOUND, message)
    }

    /// A fault of the hub.
    fn fault(err: &TrackingError) -> Self {
        tracing::error!(error = err.causes(), "a request of an MLflow client failed");
        Self::new(
            "INTERNAL_ERROR",
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("{err}; the hub's log says why"),
        )
    }
}

impl From<TrackingError> for MlflowError {
    fn from(err: TrackingError) -> Self {
        match &err {
            TrackingError::NotFound(text) => Self::missing(text),
            TrackingError::Exists(text) => {
                Self::new("RESOURCE_ALREADY_EXISTS", StatusCode::BAD_REQUEST, text)
            }
            TrackingError::Invalid(text) => Self::invalid(text),
            TrackingError::Blob(
                BlobError::TooLarge { .. } | BlobError::BrokenOff { .. } | BlobError::Range { .. },
            )
            | TrackingError::Publish(PublishError::Refused(_)) => Self::invalid(err.to_string()),
            TrackingError::Blob(BlobError::Missing(digest)) => Self::missing(format!(
                "the bytes of this artifact ({digest}) are damaged or gone on the hub's disk; log it again"
            )),
            TrackingError::Blob(_) | TrackingError::Publish(_) | TrackingError::Store(_) => {
                Self::fault(&err)
            }
        }
    }
}

impl From<StoreError> for MlflowError {
    fn from(err: StoreError) -> Self {
        TrackingError::from(err).into()
    }
}

impl From<BlobError> for MlflowError {
    fn from(err: BlobError) -> Self {
        TrackingError::from(err).into()
    }
}

impl IntoResponse for MlflowError {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error_code": self.code, "message": self.message }));
        (self.status, body).into_response()
    }
}
