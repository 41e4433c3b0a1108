//! How the hub asks its provider: few bytes, little time, and no further than it was sent.

use std::time::Duration;

use openidconnect::{HttpRequest, HttpResponse, SyncHttpClient};
use ureq::{Agent, tls::Certificate};

use crate::outgoing;

/// Longest that an answer may take. Somebody looks at an empty page meanwhile.
const TIME: Duration = Duration::from_secs(10);

/// Largest answer, in bytes. Settings and keys of large providers have ten thousand.
const ANSWER: u64 = 512 * 1024;

/// A blocking client of a provider.
#[derive(Debug, Clone)]
pub(super) struct Http(Agent);

impl Http {
    /// One that believes the authorities of the system, or these instead.
    pub(super) fn new(roots: Option<&[Certificate<'static>]>) -> Self {
        Self(outgoing::agent(roots, TIME))
    }
}

impl SyncHttpClient for Http {
    type Error = ureq::Error;

    fn call(&self, request: HttpRequest) -> Result<HttpResponse, ureq::Error> {
        // An empty body of a GET is none.
        let (parts, body) = request.into_parts();
        let answer = if body.is_empty() {
            self.0.run(ureq::http::Request::from_parts(parts, ()))?
        } else {
            self.0.run(ureq::http::Request::from_parts(parts, body))?
        };
        let (parts, mut body) = answer.into_parts();
        let body = body.with_config().limit(ANSWER).read_to_vec()?;
        Ok(HttpResponse::from_parts(parts, body))
    }
}
