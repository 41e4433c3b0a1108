//! The Python package that speaks to this hub.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{extract::Path, problem::ApiError};
use crate::sdk;

/// A wheel in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct WheelPath {
    /// Its file name, as `tern_sdk-0.1.0-py3-none-any.whl`.
    wheel: String,
}

/// Get the Python package, for pip.
///
/// Of this hub's version, so that both have the same API. It is the same for everybody and holds no secret, and pip
/// sends no token.
#[utoipa::path(
    get, path = "/sdk/{wheel}", tag = "hub", params(WheelPath),
    responses((
        status = 200, description = "A wheel",
        body = Vec<u8>, content_type = "application/octet-stream",
    )),
)]
pub(super) async fn python_package(
    Path(WheelPath { wheel }): Path<WheelPath>,
) -> Result<Response, ApiError> {
    let name = sdk::file_name();
    if wheel != name {
        let text = format!("this hub has the package as /api/v1/sdk/{name}");
        return Err(ApiError::not_found(text));
    }
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((kind, sdk::wheel()).into_response())
}
