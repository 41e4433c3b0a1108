//! Where a collector is.

use std::{fmt, str::FromStr};

use hyper::Uri;

/// The address of a collector: signals have paths below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    uri: Uri,
    text: String,
}

/// Why an address is none of a collector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no address of a collector; write it as http://127.0.0.1:4318, without a name or password in it"
)]
pub struct EndpointError(String);

impl Endpoint {
    /// Where the collector on this machine is by custom.
    pub fn here() -> Self {
        "http://127.0.0.1:4318".parse().expect("it is one")
    }

    /// An address below it.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}/{path}", self.text)
    }

    /// Whether it is spoken to by TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let text = text.trim_end_matches('/');
        // What is wrong may hold a password.
        let shown = || {
            let end = text.rsplit_once('@').map_or(text, |(_, end)| end);
            EndpointError(end.chars().take(80).collect())
        };
        let uri: Uri = text.parse().map_err(|_| shown())?;
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        let plain = uri
            .authority()
            .is_some_and(|authority| !authority.as_str().contains('@'));
        if !known || !plain || uri.query().is_some() {
            return Err(shown());
        }
        Ok(Self {
            uri,
            text: text.into(),
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_collectors() {
        let end: Endpoint = "http://collector:4318/otlp/".parse().expect("good");
        assert_eq!(
            end.path("v1/metrics"),
            "http://collector:4318/otlp/v1/metrics"
        );
        assert!(!end.is_secure() && !Endpoint::here().is_secure());
        for bad in [
            "",
            "collector:4318",
            "ftp://x",
            "http://",
            "http://x/?token=1",
        ] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
        let err = "http://me:secret@x:1"
            .parse::<Endpoint>()
            .expect_err("a password");
        assert!(!err.to_string().contains("secret"), "{err}");
    }
}
