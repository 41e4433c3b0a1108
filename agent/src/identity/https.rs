//! The few requests that a device makes over HTTPS: to join and to renew.

use std::{sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request, StatusCode,
    body::Bytes,
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use serde::{Serialize, de::DeserializeOwned};
use tern_protocol::rest::Problem;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// One request, from name to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longest answer.
const ANSWER: usize = 64 << 10;

/// Protocols offered: the first makes the hub show the certificate of its own authority.
const ALPN: [&[u8]; 2] = [b"tern-device", b"http/1.1"];

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    /// An address is not `https://HOST:PORT`.
    #[error("`{0}` is not an address as https://HOST:PORT")]
    Address(String),
    /// The hub says no, in its own words.
    #[error("the hub refuses: {0}")]
    Refused(String),
    /// Nobody answered in time.
    #[error("{0} did not answer in time")]
    Slow(String),
    /// The way to the hub, or TLS.
    #[error("talking to {0}")]
    Io(String, #[source] std::io::Error),
    /// What answers does not speak HTTP.
    #[error("talking to {0}")]
    Http(String, #[source] hyper::Error),
    /// The answer is not one.
    #[error("the answer of {0} ({1}) is not understood; is it a tern-hub of this version?")]
    Answer(String, StatusCode),
}

/// Posts JSON to the first of these addresses that answers; the last error if none does.
pub async fn post<T: DeserializeOwned>(
    addresses: &[String],
    path: &str,
    body: &impl Serialize,
    tls: &ClientConfig,
) -> Result<T, HttpsError> {
    let mut tls = tls.clone();
    tls.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    let connector = TlsConnector::from(Arc::new(tls));
    let body = serde_json::to_vec(body).expect("REST types are always JSON");
    let body = Bytes::from(body);
    let mut last = HttpsError::Address("no address".into());
    for address in addresses {
        let asked = ask(address, path, body.clone(), &connector);
        let answer = tokio::time::timeout(PATIENCE, asked).await;
        match answer.unwrap_or_else(|_| Err(HttpsError::Slow(address.clone()))) {
            Ok(answer) => return Ok(answer),
            // Every address is the same hub.
            Err(err @ HttpsError::Refused(_)) => return Err(err),
            Err(err) => last = err,
        }
    }
    Err(last)
}

async fn ask<T: DeserializeOwned>(
    address: &str,
    path: &str,
    body: Bytes,
    connector: &TlsConnector,
) -> Result<T, HttpsError> {
    let wrong = || HttpsError::Address(address.to_owned());
    let authority = address.strip_prefix("https://").ok_or_else(wrong)?;
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "443"));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).map_err(|_| wrong())?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let io = |err| HttpsError::Io(address.to_owned(), err);
    let http = |err| HttpsError::Http(address.to_owned(), err);
    let stream = TcpStream::connect((host, port)).await.map_err(io)?;
    let stream = connector.connect(name, stream).await.map_err(io)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(http)?;
    let connection = tokio::spawn(connection);
    let request = Request::post(path)
        .header(HOST, authority)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(|_| wrong())?;
    let answer = sender.send_request(request).await.map_err(http)?;
    let status = answer.status();
    let not_understood = || HttpsError::Answer(address.to_owned(), status);
    let body = Limited::new(answer.into_body(), ANSWER).collect().await;
    let body = body.map_err(|_| not_understood())?.to_bytes();
    connection.abort();
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|_| not_understood());
    }
    let problem: Problem = serde_json::from_slice(&body).map_err(|_| not_understood())?;
    if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
        return Err(HttpsError::Refused(problem.detail));
    }
    Err(not_understood())
}
