//! Requests and answers: addresses, limits, and what kind of failure a failure is.

use std::{io, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use tern_protocol::rest::Problem;
use ureq::{Agent, Body, RequestBuilder, Timeout, http::Response, typestate::WithBody};

use super::{
    connection::{self, Token},
    error::ClientError,
};

/// Connecting, name lookup included. A hub that is there accepts within milliseconds.
const CONNECT: Duration = Duration::from_secs(5);

/// Waiting for an answer that needs only the hub's database.
const ANSWER: Duration = Duration::from_mins(1);

/// Waiting for the hub to vet a model: it loads, optimises and measures it, under a limit of its
/// own that is shorter.
const VETTING: Duration = Duration::from_mins(5);

/// One read or write of bytes on their way: the network stalls for longer only when it is dead.
const STALL: Duration = Duration::from_secs(30);

/// An answer as JSON, in bytes: a page of the largest captures is under half of it.
const ANSWER_BYTES: u64 = 256 * 1024 * 1024;

/// A refusal, in bytes.
const PROBLEM_BYTES: u64 = 1024 * 1024;

/// Why `http://` is refused.
const PLAIN: &str = "http:// goes to this machine only, others could read along; use https://";

/// Where a 401 is about the password or the link, not about a token.
const PROOFS: [&str; 2] = ["/login/token", "/setup"];

/// How long a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// As long as the database needs.
    Answer,
    /// As long as vetting needs.
    Vetting,
}

impl Patience {
    const fn limit(self) -> Duration {
        match self {
            Self::Answer => ANSWER,
            Self::Vetting => VETTING,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Http {
    agent: Agent,
    base: String,
    token: Option<Token>,
}

impl Http {
    pub(super) fn new(
        hub: &str,
        token: Option<Token>,
        ca: Option<&str>,
    ) -> Result<Self, ClientError> {
        let base = address(hub)?;
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // The API redirects nobody; whoever does would be handed a password.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .https_only(base.starts_with("https://"))
            .tls_config(connection::tls(ca)?)
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_per_write(Some(STALL))
            .user_agent(concat!("tern/", env!("CARGO_PKG_VERSION")));
        // A proxy of the environment is for the world outside, not for a hub on this machine.
        if is_local(&base) {
            config = config.proxy(None);
        }
        let agent = config.build().new_agent();
        Ok(Self { agent, base, token })
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&'static str, String)],
    ) -> Result<T, ClientError> {
        let url = self.url(path);
        let mut request = self.known(self.agent.get(&url));
        for (name, value) in parameters {
            request = request.query(*name, value);
        }
        let response = request
            .config()
            .timeout_recv_response(Some(ANSWER))
            .timeout_recv_body(Some(ANSWER))
            .build()
            .call()
            .map_err(|err| self.failed(err, ANSWER))?;
        Ok(self.json(&url, response)?.1)
    }

    pub(super) fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
        patience: Patience,
    ) -> Result<(u16, T), ClientError> {
        let url = self.url(path);
        let limit = patience.limit();
        // By hand, because ureq writes JSON for people: half again as many bytes.
        let body =
            serde_json::to_vec(body).map_err(|err| ClientError::Source(io::Error::other(err)))?;
        let response = self
            .known(self.agent.post(&url))
            .content_type("application/json")
            .config()
            .timeout_recv_response(Some(limit))
            .timeout_recv_body(Some(ANSWER))
            .build()
            .send(&body)
            .map_err(|err| self.failed(err, limit))?;
        self.json(&url, response)
    }

    /// A PUT of raw bytes; `ask_first` waits for the hub's go-ahead before the first of them, so
    /// that a refusal is read and not lost in a broken connection.
    pub(super) fn put(
        &self,
        path: &str,
        len: u64,
        from: &mut dyn io::Read,
        ask_first: bool,
    ) -> Result<u16, ClientError> {
        let url = self.url(path);
        let mut request = self
            .known(self.agent.put(&url))
            .header("content-length", len.to_string())
            .header("content-type", "application/octet-stream");
        if ask_first {
            request = request.header("expect", "100-continue");
        }
        let response = request
            .config()
            .timeout_recv_response(Some(ANSWER))
            .build()
            .send(ureq::SendBody::from_reader(from))
            .map_err(|err| self.failed(err, ANSWER))?;
        let response = self.accepted(&url, response)?;
        Ok(response.status().as_u16())
    }

    pub(super) fn exists(&self, path: &str) -> Result<bool, ClientError> {
        let url = self.url(path);
        let response = self
            .known(self.agent.head(&url))
            .config()
            .timeout_recv_response(Some(ANSWER))
            .build()
            .call()
            .map_err(|err| self.failed(err, ANSWER))?;
        match response.status().as_u16() {
            200..=299 => Ok(true),
            404 => Ok(false),
            // A HEAD has no body, so there are no words of the hub's to pass on.
            status => Err(ClientError::NotUnderstood {
                url,
                status,
                why: "neither found nor not found".into(),
            }),
        }
    }

    pub(super) fn answers_ok(&self, path: &str) -> Result<bool, ClientError> {
        let response = self
            .known(self.agent.get(self.url(path)))
            .config()
            .timeout_recv_response(Some(CONNECT))
            .build()
            .call()
            .map_err(|err| self.failed(err, CONNECT))?;
        Ok(response.status().is_success())
    }

    pub(super) fn bytes(&self, path: &str, limit: u64) -> Result<Vec<u8>, ClientError> {
        let url = self.url(path);
        let response = self
            .known(self.agent.get(&url))
            .config()
            .timeout_per_read(Some(STALL))
            .build()
            .call()
            .map_err(|err| self.failed(err, STALL))?;
        let response = self.accepted(&url, response)?;
        let body = response.into_body().into_with_config().limit(limit);
        body.read_to_vec().map_err(|err| self.failed(err, STALL))
    }

    /// An answer of any length, written as it comes; how many bytes it had.
    pub(super) fn download(
        &self,
        path: &str,
        parameters: &[(&'static str, String)],
        to: &mut dyn io::Write,
    ) -> Result<u64, ClientError> {
        let body = self.follow(path, parameters, "application/octet-stream", STALL)?;
        io::copy(&mut body.into_reader(), to).map_err(ClientError::Source)
    }

    /// An answer of any length, to be read as it comes.
    pub(super) fn reader(&self, path: &str) -> Result<Body, ClientError> {
        self.follow(path, &[], "application/octet-stream", STALL)
    }

    /// An answer that goes on, to be read as it comes; silence of `silence` ends it.
    pub(super) fn follow(
        &self,
        path: &str,
        parameters: &[(&'static str, String)],
        accept: &str,
        silence: Duration,
    ) -> Result<Body, ClientError> {
        let url = self.url(path);
        let mut request = self.known(self.agent.get(&url));
        for (name, value) in parameters {
            request = request.query(*name, value);
        }
        let response = request
            .header("accept", accept)
            .config()
            .timeout_per_read(Some(silence))
            .build()
            .call()
            .map_err(|err| self.failed(err, silence))?;
        Ok(self.accepted(&url, response)?.into_body())
    }

    /// A POST or PUT whose answer says nothing that we need.
    pub(super) fn tell<B: Serialize>(&self, path: &str, body: &B) -> Result<(), ClientError> {
        let url = self.url(path);
        self.send(&url, self.agent.post(&url), body)
    }

    pub(super) fn put_json<B: Serialize>(&self, path: &str, body: &B) -> Result<(), ClientError> {
        let url = self.url(path);
        self.send(&url, self.agent.put(&url), body)
    }

    pub(super) fn delete(&self, path: &str) -> Result<(), ClientError> {
        let url = self.url(path);
        let response = self
            .known(self.agent.delete(&url))
            .config()
            .timeout_recv_response(Some(ANSWER))
            .build()
            .call()
            .map_err(|err| self.failed(err, ANSWER))?;
        self.accepted(&url, response).map(drop)
    }

    fn send<B: Serialize>(
        &self,
        url: &str,
        request: RequestBuilder<WithBody>,
        body: &B,
    ) -> Result<(), ClientError> {
        let body =
            serde_json::to_vec(body).map_err(|err| ClientError::Source(io::Error::other(err)))?;
        let response = self
            .known(request)
            .content_type("application/json")
            .config()
            .timeout_recv_response(Some(ANSWER))
            .build()
            .send(&body)
            .map_err(|err| self.failed(err, ANSWER))?;
        self.accepted(url, response).map(drop)
    }

    /// The request with who asks.
    fn known<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {}", token.reveal())),
            None => request,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn json<T: DeserializeOwned>(
        &self,
        url: &str,
        response: Response<Body>,
    ) -> Result<(u16, T), ClientError> {
        let response = self.accepted(url, response)?;
        let status = response.status().as_u16();
        let body = response.into_body().into_with_config().limit(ANSWER_BYTES);
        match body.read_json() {
            Ok(answer) => Ok((status, answer)),
            Err(ureq::Error::Json(err)) if !err.is_io() => Err(ClientError::NotUnderstood {
                url: url.into(),
                status,
                why: err.to_string(),
            }),
            Err(err) => Err(self.failed(err, ANSWER)),
        }
    }

    /// The answer, unless it is a refusal.
    fn accepted(&self, url: &str, response: Response<Body>) -> Result<Response<Body>, ClientError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.into_body().into_with_config().limit(PROBLEM_BYTES);
        let bytes = body.read_to_vec().map_err(|err| self.failed(err, ANSWER))?;
        Err(match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem)
                if problem.status == 401 && !PROOFS.iter().any(|proof| url.ends_with(proof)) =>
            {
                ClientError::LogIn {
                    hub: self.base.clone(),
                    problem: Box::new(problem),
                }
            }
            Ok(problem) => ClientError::Problem(Box::new(problem)),
            Err(_) => ClientError::NotUnderstood {
                url: url.into(),
                status: status.as_u16(),
                why: first_line(&bytes),
            },
        })
    }

    pub(super) fn failed(&self, err: ureq::Error, limit: Duration) -> ClientError {
        let hub = self.base.clone();
        let io_kind = match &err {
            ureq::Error::Io(err) => Some(err.kind()),
            _ => None,
        };
        match err {
            _ if is_tls(&err) => ClientError::NotTrusted {
                hub,
                source: Box::new(err),
            },
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => ClientError::Address {
                address: hub,
                why: "not a URL",
            },
            ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                ClientError::Unreachable {
                    hub,
                    source: Box::new(err),
                }
            }
            ureq::Error::Timeout(_) => ClientError::Slow { hub, limit },
            _ => match io_kind {
                Some(
                    io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::NetworkUnreachable
                    | io::ErrorKind::AddrNotAvailable,
                ) => ClientError::Unreachable {
                    hub,
                    source: Box::new(err),
                },
                Some(io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
                    ClientError::Slow { hub, limit }
                }
                _ => ClientError::Broken {
                    hub,
                    source: Box::new(err),
                },
            },
        }
    }
}

/// `https://HOST:PORT` from what a person writes. Without a scheme this machine is spoken to in the
/// clear and others are not.
pub fn address(hub: &str) -> Result<String, ClientError> {
    let wrong = |why| ClientError::Address {
        address: hub.into(),
        why,
    };
    let (scheme, rest) = match hub.trim().split_once("://") {
        None => (None, hub.trim()),
        Some((scheme @ ("http" | "https"), rest)) => (Some(scheme), rest),
        Some(_) => return Err(wrong("its scheme is neither https nor http")),
    };
    let rest = rest.trim_end_matches('/');
    let plain = format!("http://{rest}");
    let uri: ureq::http::Uri = plain.parse().map_err(|_| wrong("not a URL"))?;
    if uri.host().is_none_or(str::is_empty) {
        return Err(wrong("it names no host"));
    }
    if uri.path().len() > 1 || uri.query().is_some() {
        return Err(wrong("it has a path"));
    }
    if uri.authority().is_some_and(|it| it.as_str().contains('@')) {
        return Err(wrong("it names a user"));
    }
    match (scheme, is_local(&plain)) {
        (Some("http") | None, true) => Ok(plain),
        (Some("http"), false) => Err(wrong(PLAIN)),
        _ => Ok(format!("https://{rest}")),
    }
}

/// Whether the certificate, or TLS itself, is what went wrong.
fn is_tls(err: &ureq::Error) -> bool {
    match err {
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) | ureq::Error::TlsRequired => true,
        ureq::Error::Io(err) => err
            .get_ref()
            .is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>),
        _ => false,
    }
}

fn is_local(base: &str) -> bool {
    let uri: Option<ureq::http::Uri> = base.parse().ok();
    let host = uri.as_ref().and_then(|uri| uri.host()).unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// What an error shows of an answer that is not ours.
fn first_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        return "no text".into();
    }
    line.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_write_them() {
        for (written, meant) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("https://hub.example/", "https://hub.example"),
            ("hub.example:8443", "https://hub.example:8443"),
            ("http://localhost:1", "http://localhost:1"),
            (" http://[::1]:80 ", "http://[::1]:80"),
        ] {
            assert_eq!(address(written).expect(written), meant);
        }
        for wrong in [
            "",
            "http://",
            "ftp://x",
            "http://x",
            "https://x/api",
            "https://a@x",
            "a b",
        ] {
            assert!(address(wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn proxies_are_not_asked_for_this_machine() {
        for local in ["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1"] {
            assert!(is_local(local), "{local}");
        }
        assert!(!is_local("http://192.168.0.1:1"));
    }
}
