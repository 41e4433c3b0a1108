//! Asking the hub over HTTPS: connections to it, and one request with one small answer.

use std::{fmt::Write as _, pin::Pin, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request,
    body::{Body, Bytes},
    client::conn::http1,
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use serde::{Serialize, de::DeserializeOwned};
use tern_protocol::rest::Problem;
use tokio::{net::TcpStream, time};
use tokio_rustls::TlsConnector;

/// What the hub is asked for first, so that it answers with the certificate of its own authority.
const ALPN: [&[u8]; 2] = [b"tern-device", b"http/1.1"];

/// Longest wait for an answer, over all addresses.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longest answer.
const BODY_MAX: usize = 64 << 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    /// The hub says no.
    #[error("the hub refuses: {0}")]
    Refused(String),
    /// The hub cannot do it, or not now.
    #[error("the hub answers {status}: {text}")]
    Failed {
        /// HTTP status.
        status: u16,
        /// What it says.
        text: String,
    },
    /// Nobody who is the hub answers.
    #[error("the hub cannot be reached: {0}")]
    Unreachable(String),
}

/// Posts JSON to the first of `bases` (`https://HOST:PORT`) that answers.
pub async fn post<T: DeserializeOwned>(
    tls: ClientConfig,
    bases: &[String],
    path: &str,
    body: &impl Serialize,
) -> Result<T, HttpsError> {
    let tls = Arc::new(tls);
    let unreachable = |err: &dyn std::error::Error| HttpsError::Unreachable(crate::chain(err));
    let body = serde_json::to_vec(body).map_err(|err| unreachable(&err))?;
    let body = Bytes::from(body);
    // Each address its share: one that swallows packets must not keep the others from being tried.
    let share = PATIENCE / u32::try_from(bases.len().max(1)).unwrap_or(u32::MAX);
    let mut troubles = String::new();
    for base in bases {
        let asked = time::timeout(share, ask(&tls, base, path, body.clone())).await;
        let trouble = match asked {
            Ok(Ok((status, bytes))) => return answer(status, &bytes),
            Ok(Err(trouble)) => trouble,
            Err(_) => format!("no answer in {} s", share.as_secs()),
        };
        let gap = if troubles.is_empty() { "" } else { "; " };
        // Writing to a string cannot fail.
        let _ = write!(troubles, "{gap}{base}: {trouble}");
    }
    if troubles.is_empty() {
        troubles.push_str("no address is known");
    }
    Err(HttpsError::Unreachable(troubles))
}

/// A connection to the hub, which lives while `driver` is polled.
pub(crate) struct Connection<B> {
    /// Requests go here.
    pub(crate) sender: http1::SendRequest<B>,
    /// Ends with the connection.
    pub(crate) driver: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>,
    /// What `Host` says.
    pub(crate) authority: String,
}

/// Connects to the hub at a base address: `https://HOST:PORT` with TLS as given, whose ALPN is set here;
/// or `http://HOST:PORT` if that is this machine.
pub(crate) async fn connect<B>(
    tls: Option<&Arc<ClientConfig>>,
    base: &str,
) -> Result<Connection<B>, String>
where
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    const FORM: &str = "not an address like https://HOST:PORT";
    let base = base.trim_end_matches('/');
    let text = |err: hyper::Error| crate::chain(&err);
    if let Some(authority) = base.strip_prefix("http://") {
        let (host, port) = host_and_port(authority, 80).ok_or(FORM)?;
        if !is_this_machine(host) {
            return Err("another machine is spoken to over HTTPS only".into());
        }
        let socket = dial(host, port).await?;
        let (sender, driver) = http1::handshake(TokioIo::new(socket)).await.map_err(text)?;
        return Ok(Connection {
            sender,
            driver: Box::pin(driver),
            authority: authority.into(),
        });
    }
    let (host, port) = address(base).ok_or(FORM)?;
    let tls = tls.ok_or("this device has not joined, and has no certificate to show")?;
    let mut tls = ClientConfig::clone(tls);
    tls.alpn_protocols = ALPN.map(Vec::from).into();
    let name = ServerName::try_from(host.to_owned()).map_err(|err| err.to_string())?;
    let socket = dial(host, port).await?;
    let stream = TlsConnector::from(Arc::new(tls))
        .connect(name, socket)
        .await;
    let stream = TokioIo::new(stream.map_err(|err| err.to_string())?);
    let (sender, driver) = http1::handshake(stream).await.map_err(text)?;
    Ok(Connection {
        sender,
        driver: Box::pin(driver),
        authority: base.trim_start_matches("https://").into(),
    })
}

async fn dial(host: &str, port: u16) -> Result<TcpStream, String> {
    let socket = TcpStream::connect((host, port)).await;
    let socket = socket.map_err(|err| err.to_string())?;
    // Small requests wait for nothing.
    socket.set_nodelay(true).map_err(|err| err.to_string())?;
    Ok(socket)
}

/// Whether a host, without brackets, is this machine.
pub(crate) fn is_this_machine(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

async fn ask(
    tls: &Arc<ClientConfig>,
    base: &str,
    path: &str,
    body: Bytes,
) -> Result<(u16, Bytes), String> {
    let text = |err: hyper::Error| crate::chain(&err);
    let Connection {
        mut sender,
        driver,
        authority,
    } = connect(Some(tls), base).await?;
    let request = Request::post(path)
        .header(HOST, authority)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(|err| err.to_string())?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(text)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), BODY_MAX).collect().await;
        let body = body.map_err(|err| err.to_string())?;
        Ok((status, body.to_bytes()))
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        done = &mut exchange => done,
        ended = driver => match ended {
            // The connection may end with the answer, before it was read.
            Ok(()) => exchange.await,
            Err(err) => Err(text(err)),
        },
    }
}

fn answer<T: DeserializeOwned>(status: u16, bytes: &[u8]) -> Result<T, HttpsError> {
    if status < 400 {
        return serde_json::from_slice(bytes).map_err(|err| HttpsError::Failed {
            status,
            text: format!("something else than expected ({err})"),
        });
    }
    let problem = serde_json::from_slice::<Problem>(bytes);
    let text = problem.map_or_else(|_| "without a reason".into(), |problem| problem.detail);
    match status {
        401 | 403 => Err(HttpsError::Refused(text)),
        _ => Err(HttpsError::Failed { status, text }),
    }
}

/// Host without brackets, and port.
pub(crate) fn address(base: &str) -> Option<(&str, u16)> {
    host_and_port(base.strip_prefix("https://")?.trim_end_matches('/'), 443)
}

/// Host without brackets, and port, of `HOST` or `HOST:PORT`.
pub(crate) fn host_and_port(rest: &str, usual: u16) -> Option<(&str, u16)> {
    if rest.contains(['/', '@', '?', '#']) {
        return None;
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (rest, usual),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_maybe_a_port() {
        assert_eq!(address("https://hub:8443"), Some(("hub", 8443)));
        assert_eq!(address("https://hub/"), Some(("hub", 443)));
        assert_eq!(address("https://[::1]:1"), Some(("::1", 1)));
        assert_eq!(address("https://[::1]"), Some(("::1", 443)));
        for bad in ["http://hub:1", "https://", "https://hub:x", "https://a@b:1"] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_refusal_is_told_from_trouble() {
        let refused = answer::<()>(401, b"{}").expect_err("it says no");
        assert!(matches!(refused, HttpsError::Refused(_)));
        let failed = answer::<()>(503, b"").expect_err("it cannot");
        assert!(matches!(failed, HttpsError::Failed { status: 503, .. }));
    }
}
