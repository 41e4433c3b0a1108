//! A request to an engine, in words that any HTTP client sends.

use serde::Serialize;
use serde_json::Value;

/// A request to be sent. It has no `Debug`: its body may hold secrets.
#[derive(Clone, PartialEq, Serialize)]
pub struct Request {
    /// `GET`, `POST`, `DELETE`.
    pub method: &'static str,
    /// Path and query below the engine's address.
    pub path: String,
    /// JSON, if there is any.
    pub body: Option<Value>,
}
