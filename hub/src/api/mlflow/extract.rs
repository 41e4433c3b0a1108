//! What handlers take from a request: a JSON body, or a query whose lists are parameters that repeat.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{Method, request::Parts},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Caller, error::MlflowError};
use crate::{app::App, tracking::bounds};

/// Fields that are lists, of which a query says each value by itself.
const LISTS: [&str; 6] = [
    "order_by",
    "experiment_ids",
    "stages",
    "run_ids",
    "run_id[]",
    "datasets",
];

/// Parameters of one query.
const PARAMETERS: usize = 2_000;

impl FromRequestParts<App> for Caller {
    type Rejection = MlflowError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, MlflowError> {
        let caller = parts.extensions.get::<Self>().cloned();
        // A route without a door would be a mistake of ours: nobody passes.
        let caller = caller.ok_or_else(|| {
            MlflowError::new(
                "UNAUTHENTICATED",
                axum::http::StatusCode::UNAUTHORIZED,
                "nobody knows who asks",
            )
        })?;
        app.tracking.begin(app, &caller.workspace).await?;
        Ok(caller)
    }
}

/// What a request asks: the body of one that has one, the query of others.
#[derive(Debug, Clone)]
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Asked<T> {
    type Rejection = MlflowError;

    async fn from_request(request: Request, app: &App) -> Result<Self, MlflowError> {
        let value = if request.method() == Method::GET {
            query(request.uri().query().unwrap_or_default())?
        } else {
            let body = Bytes::from_request(request, app).await;
            let body = body.map_err(|err| MlflowError::invalid(err.body_text()))?;
            if body.trim_ascii().is_empty() {
                Value::Object(Map::new())
            } else {
                let read = serde_json::from_slice(&body);
                return read.map(Self).map_err(unreadable);
            }
        };
        serde_json::from_value(value).map(Self).map_err(unreadable)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the form of `map_err`")]
fn unreadable(err: serde_json::Error) -> MlflowError {
    let text: String = err.to_string().chars().take(300).collect();
    MlflowError::invalid(format!("Invalid request: {text}"))
}

fn query(text: &str) -> Result<Value, MlflowError> {
    let mut fields = Map::new();
    for (i, (name, value)) in url::form_urlencoded::parse(text.as_bytes()).enumerate() {
        if i >= PARAMETERS {
            let text = format!("a query has at most {PARAMETERS} parameters");
            return Err(MlflowError::invalid(text));
        }
        let (name, value) = (name.into_owned(), Value::String(value.into_owned()));
        if LISTS.contains(&name.as_str()) {
            let list = fields
                .entry(name)
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.push(value);
            }
        } else {
            fields.insert(name, value);
        }
    }
    Ok(Value::Object(fields))
}

/// The run of a request, which may say it under an older name.
pub(super) fn run_id<'a>(run_id: &'a str, run_uuid: &'a str) -> Result<&'a str, MlflowError> {
    let id = if run_id.is_empty() { run_uuid } else { run_id };
    bounds::required("run_id", id)?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_a_query_are_parameters_that_repeat() {
        let read =
            query("filter=a%20%3D%201&order_by=x&order_by=y+DESC&max_results=5").expect("reads");
        assert_eq!(
            read,
            serde_json::json!({ "filter": "a = 1", "order_by": ["x", "y DESC"], "max_results": "5" })
        );
    }
}
