//! How the hub asks its provider: few bytes, little time, and no further than it was sent.

use std::{sync::Arc, time::Duration};

use openidconnect::{HttpRequest, HttpResponse, SyncHttpClient};
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig},
};

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
        let roots = match roots {
            Some(roots) => RootCerts::new_with_certs(roots),
            None => RootCerts::PlatformVerifier,
        };
        let provider = rustls::crypto::ring::default_provider();
        let tls = TlsConfig::builder()
            .root_certs(roots)
            .unversioned_rustls_crypto_provider(Arc::new(provider));
        // A provider that sends the hub elsewhere could make it ask machines that only it can reach.
        let config = Agent::config_builder()
            .tls_config(tls.build())
            .timeout_global(Some(TIME))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent("tern-hub");
        Self(config.build().new_agent())
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
