//! HTTP and HTTPS to whatever answers on loopback.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// How long one request may take. Longer than any answer needs, shorter than a wait's deadline.
const REQUEST: Duration = Duration::from_secs(20);

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Content type, or nothing.
    pub content_type: String,
    /// Its headers, in order, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// The first header of this (lower-case) name, or nothing.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map_or("", |(_, value)| value)
    }

    /// What the session cookie that it sets looks like in a request; nothing if it sets none.
    pub fn cookie(&self) -> Option<String> {
        let mut set = self.headers.iter().filter(|(name, _)| name == "set-cookie");
        set.find_map(|(_, value)| Some(value.split(';').next()?.to_owned()))
    }

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
        Self(config(TlsConfig::default()))
    }
}

impl Http {
    /// A client that trusts these authorities (PEM) and no others.
    #[track_caller]
    pub fn trusting(authorities: &str) -> Self {
        let roots = crate::pki::certificates(authorities);
        let roots = roots
            .iter()
            .map(|certificate| Certificate::from_der(certificate).to_owned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(provider)
            .root_certs(RootCerts::from(roots.collect::<Vec<_>>()));
        Self(config(tls.build()))
    }

    /// Any request: method, address, headers, body.
    pub fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, String> {
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_vec()).map_err(|err| err.to_string())?;
        answer(self.0.run(request))
    }

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

fn config(tls: TlsConfig) -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(REQUEST))
        // What an answer says is what a test looks at, not what comes after it.
        .max_redirects(0)
        .max_redirects_will_error(false)
        // A proxy of the environment is for the world outside, not for loopback.
        .proxy(None)
        .tls_config(tls)
        .build()
        .into()
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
        headers: response
            .headers()
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.as_str().to_owned(), value)
            })
            .collect(),
        body: response
            .body_mut()
            .read_to_string()
            .map_err(|err| err.to_string())?,
    })
}
