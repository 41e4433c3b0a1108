//! Plain HTTP to whatever answers on loopback.

use std::time::Duration;

use serde_json::Value;

/// How long one request may take. Longer than any answer needs, shorter than a wait's deadline.
const REQUEST: Duration = Duration::from_secs(20);

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Content type, or nothing.
    pub content_type: String,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_str(&self.body) {
            Ok(value) => value,
            Err(err) => panic!(
                "{err} in an answer with status {}: {}",
                self.status, self.body
            ),
        }
    }
}

/// A client with kept connections. Any status is an answer; only a broken connection is an error.
#[derive(Debug, Clone)]
pub struct Http(ureq::Agent);

impl Default for Http {
    fn default() -> Self {
        Self(
            ureq::Agent::config_builder()
                .http_status_as_error(false)
                .timeout_global(Some(REQUEST))
                // A proxy of the environment is for the world outside, not for loopback.
                .proxy(None)
                .build()
                .into(),
        )
    }
}

impl Http {
    /// GET.
    pub fn get(&self, url: &str) -> Result<Answer, String> {
        answer(self.0.get(url).call())
    }

    /// DELETE.
    pub fn delete(&self, url: &str) -> Result<Answer, String> {
        answer(self.0.delete(url).call())
    }

    /// POST of a JSON text, which may be broken on purpose.
    pub fn post(&self, url: &str, json: &str) -> Result<Answer, String> {
        answer(
            self.0
                .post(url)
                .header("content-type", "application/json")
                .send(json),
        )
    }

    /// PUT of bytes.
    pub fn put(&self, url: &str, bytes: &[u8]) -> Result<Answer, String> {
        answer(
            self.0
                .put(url)
                .header("content-type", "application/octet-stream")
                .send(bytes),
        )
    }
}

fn answer(
    response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<Answer, String> {
    let mut response = response.map_err(|err| err.to_string())?;
    let content_type = response.headers().get("content-type");
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    Ok(Answer {
        status: response.status().as_u16(),
        content_type: content_type.to_owned(),
        body: response
            .body_mut()
            .read_to_string()
            .map_err(|err| err.to_string())?,
    })
}
