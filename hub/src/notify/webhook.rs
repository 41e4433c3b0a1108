//! Sends one webhook.
//!
//! A connection of its own each time, so that what a name stands for is looked at each time, and the address
//! that was looked at is the one that is connected to. No redirects: they would lead past that look.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Request, StatusCode,
    body::Bytes,
    client::conn::http1,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, crypto::ring, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt;
use tern_protocol::time::WallTime;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
};
use tokio_rustls::TlsConnector;

use super::{Failure, address::Target, message::Message, retry::Again, signature};

/// Longest that one attempt may take, from the name to the answer's head. Receivers are asked to answer
/// first and work later.
pub(super) const ATTEMPT: Duration = Duration::from_secs(10);

/// Most of an answer that is read, in bytes: its head. The body is nobody's business.
const ANSWER: usize = 16 * 1024;

/// Header fields of an answer at most.
const FIELDS: usize = 64;

/// The header by which a receiver knows a notice again.
const NOTIFICATION: &str = "tern-notification";

/// What pieces of an answer are handed to.
pub(crate) type Take<'a> = &'a mut (dyn FnMut(&[u8]) -> io::Result<()> + Send);

/// A connection, encrypted or not.
pub(crate) trait Line: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Line for S {}

/// Sends webhooks, and asks other questions by HTTP in the same way.
#[derive(Debug, Default)]
pub(crate) struct Webhooks {
    /// Made when it is first needed: a machine without authorities runs a hub nevertheless.
    tls: Mutex<Option<Arc<ClientConfig>>>,
}

impl Webhooks {
    /// Makes one attempt.
    pub(super) async fn send(
        &self,
        target: &Target,
        secret: &str,
        message: &Message,
        now: WallTime,
    ) -> Result<(), Failure> {
        let attempt = self.attempt(target, secret, message, now);
        match tokio::time::timeout(ATTEMPT, attempt).await {
            Ok(done) => done,
            Err(_) => Err(Failure::new(format!(
                "no answer within {} s",
                ATTEMPT.as_secs()
            ))),
        }
    }

    async fn attempt(
        &self,
        target: &Target,
        secret: &str,
        message: &Message,
        now: WallTime,
    ) -> Result<(), Failure> {
        let request = request(target, secret, message, now)?;
        let answer = self.post(target, request, 0).await?;
        judge(answer.status, &answer.headers, now)
    }

    /// Posts JSON to whoever knows us by a token, or by nothing.
    pub(super) async fn post_json(
        &self,
        target: &Target,
        token: Option<&str>,
        body: Vec<u8>,
        now: WallTime,
    ) -> Result<(), Failure> {
        let mut request = Request::post(target.path())
            .header(HOST, target.authority())
            .header(USER_AGENT, concat!("tern-hub/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(body.into()));
        let request = request
            .map_err(|_| Failure::for_good("its address or token does not fit into a request"))?;
        let posted = tokio::time::timeout(ATTEMPT, self.post(target, request, 0)).await;
        let late = || Failure::new(format!("no answer within {} s", ATTEMPT.as_secs()));
        let answer = posted.map_err(|_| late())??;
        judge(answer.status, &answer.headers, now)
    }

    /// Asks a question: the body of the answer, if it is a success and not longer than [`ANSWER`].
    pub(super) async fn ask(&self, target: &Target, question: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let request = Request::post(target.path())
            .header(HOST, target.authority())
            .header(USER_AGENT, concat!("tern-hub/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(question.into()))
            .map_err(|_| Failure::for_good("its address does not fit into a request"))?;
        let asked = self.post(target, request, ANSWER);
        let answer = tokio::time::timeout(ATTEMPT, asked).await;
        let late = || Failure::new(format!("no answer within {} s", ATTEMPT.as_secs()));
        let answer = answer.map_err(|_| late())??;
        if !answer.status.is_success() {
            return Err(Failure::new(format!("answered {}", answer.status)));
        }
        Ok(answer.body)
    }

    /// Hands on what is at an address, piece by piece, if that is a success and at most `most` bytes. Whoever asks says how
    /// long that may take.
    pub(crate) async fn get(
        &self,
        target: &Target,
        token: Option<&str>,
        most: u64,
        take: Take<'_>,
    ) -> Result<(), Failure> {
        let mut request = Request::get(target.path())
            .header(HOST, target.authority())
            .header(USER_AGENT, concat!("tern-hub/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::default());
        let request = request
            .map_err(|_| Failure::for_good("its address or token does not fit into a request"))?;
        let answer = self.say(target, request, most, take).await?;
        if answer.status == StatusCode::OK {
            Ok(())
        } else {
            Err(Failure::new(format!("answered {}", answer.status)))
        }
    }

    async fn post(
        &self,
        target: &Target,
        request: Request<Full<Bytes>>,
        read: usize,
    ) -> Result<Answer, Failure> {
        let mut body = Vec::new();
        let take = &mut |piece: &[u8]| -> io::Result<()> {
            body.extend_from_slice(piece);
            Ok(())
        };
        let head = self.say(target, request, read as u64, take).await?;
        Ok(Answer { body, ..head })
    }

    async fn say(
        &self,
        target: &Target,
        request: Request<Full<Bytes>>,
        read: u64,
        take: Take<'_>,
    ) -> Result<Answer, Failure> {
        exchange(self.connect(target).await?, request, read, take).await
    }

    /// Connects to a target, at an address that is allowed, and by TLS if the target says so. Whoever asks says how long that
    /// may take.
    pub(crate) async fn connect(&self, target: &Target) -> Result<Box<dyn Line>, Failure> {
        let stream = connect(target).await?;
        if !target.is_tls() {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(target.host());
        let name = name.map_err(|_| Failure::new("its host is no name of a certificate"))?;
        let connector = TlsConnector::from(self.tls()?);
        let stream = connector.connect(name, stream).await;
        let stream = stream.map_err(|err| Failure::new(format!("TLS: {}", untold(&err))))?;
        Ok(Box::new(stream))
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, Failure> {
        let mut kept = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tls) = &*kept {
            return Ok(Arc::clone(tls));
        }
        let failed = |err: rustls::Error| {
            Failure::new(format!(
                "this machine's list of authorities cannot be used: {err}"
            ))
        };
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(BuilderVerifierExt::with_platform_verifier)
            .map_err(failed)?
            .with_no_client_auth();
        let tls = Arc::new(tls);
        *kept = Some(Arc::clone(&tls));
        Ok(tls)
    }
}

fn request(
    target: &Target,
    secret: &str,
    message: &Message,
    now: WallTime,
) -> Result<Request<Full<Bytes>>, Failure> {
    let body = message.json();
    let signed = signature::header(secret, now, &body);
    Request::post(target.path())
        .header(HOST, target.authority())
        .header(USER_AGENT, concat!("tern-hub/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, "application/json")
        .header(NOTIFICATION, &message.name)
        .header(signature::HEADER, signed)
        .body(Full::new(body.into()))
        .map_err(|_| Failure::for_good("its address does not fit into a request"))
}

/// Connects to the first address of the target that takes a connection, of those that are allowed.
async fn connect(target: &Target) -> Result<TcpStream, Failure> {
    let host = target.host();
    let resolved = lookup_host((host.as_str(), target.port())).await;
    let resolved = resolved.map_err(|err| Failure::new(format!("looking up {host}: {err}")))?;
    let mut last = Failure::new(format!("looking up {host}: it has no address"));
    for address in resolved {
        match target.allow(address.ip()) {
            Err(err) => last = Failure::new(err.to_string()),
            Ok(()) => match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(err) => last = unreachable(address, &err),
            },
        }
    }
    Err(last)
}

fn unreachable(address: SocketAddr, err: &io::Error) -> Failure {
    Failure::new(format!("connecting to {address}: {err}"))
}

/// What went wrong with TLS, without what the other side's certificate says: it names machines of its
/// network.
fn untold(err: &io::Error) -> String {
    use rustls::{CertificateError as Certificate, Error};
    let inner = err.get_ref();
    let inner = inner.and_then(|inner| inner.downcast_ref::<Error>());
    let text = match inner {
        Some(Error::InvalidCertificate(why)) => match why {
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                "its certificate has expired"
            }
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                "its certificate is not valid yet"
            }
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            Certificate::UnknownIssuer => {
                "nobody vouches for its certificate whom this machine trusts"
            }
            _ => "its certificate is not accepted",
        },
        Some(_) => "the handshake failed",
        None => return err.to_string(),
    };
    text.to_owned()
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    /// As much of it as was asked for.
    body: Vec<u8>,
}

/// Sends the request; the answer, of whose body no more than `read` bytes are taken.
async fn exchange(
    line: Box<dyn Line>,
    request: Request<Full<Bytes>>,
    read: u64,
    take: Take<'_>,
) -> Result<Answer, Failure> {
    let failed = |err: hyper::Error| Failure::new(format!("the connection broke: {err}"));
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(ANSWER)
        .max_headers(FIELDS)
        .handshake(TokioIo::new(line))
        .await
        .map_err(failed)?;
    // What ends it is told by the answer, or by its absence.
    let driven = async {
        let _ = connection.await;
        std::future::pending::<Infallible>().await
    };
    let asked = async {
        let answer = sender.send_request(request).await.map_err(failed)?;
        let (head, mut rest) = answer.into_parts();
        let mut taken = 0;
        while read > 0
            && let Some(frame) = rest.frame().await
        {
            let data = frame.map_err(failed)?.into_data().unwrap_or_default();
            taken += data.len() as u64;
            if taken > read {
                return Err(Failure::new(format!(
                    "its answer is longer than {read} bytes"
                )));
            }
            take(&data).map_err(|err| Failure::new(format!("keeping what came: {err}")))?;
        }
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: Vec::new(),
        })
    };
    tokio::select! {
        answer = asked => answer,
        never = driven => match never {},
    }
}

/// What an answer says.
fn judge(status: StatusCode, headers: &HeaderMap, now: WallTime) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    let text = if status.is_redirection() {
        format!("answered {status}; redirects are not followed")
    } else {
        format!("answered {status}")
    };
    let asked = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let again = match asked.and_then(|value| patience(value, now)) {
        // It says that it will never be there again.
        _ if status == StatusCode::GONE => Again::Never,
        Some(patience) => Again::NotBefore(patience),
        None => Again::ByPlan,
    };
    Err(Failure { text, again })
}

/// What `Retry-After` asks for: seconds, or a date (RFC 9110, 10.2.3).
fn patience(value: &str, now: WallTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = jiff::fmt::rfc2822::parse(value).ok()?;
    let ms = until.timestamp().as_millisecond().checked_sub(now.0)?;
    Some(Duration::from_millis(ms.max(0).unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_asked_for_in_seconds_or_until_a_date() {
        let now = WallTime(784_111_777_000); // Sun, 06 Nov 1994 08:49:37 GMT
        for (value, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:48:37 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("", None),
            ("99999999999999999999999", None),
        ] {
            let asked = patience(value, now);
            assert_eq!(asked, seconds.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn what_an_answer_says() {
        let judged = |status: u16, again: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(again) = again {
                headers.insert(RETRY_AFTER, again.parse().expect("a value"));
            }
            let status = StatusCode::from_u16(status).expect("a status");
            judge(status, &headers, WallTime(0)).map_err(|failure| failure.again)
        };
        for good in [200, 202, 204] {
            assert_eq!(judged(good, None), Ok(()));
        }
        for bad in [301, 307, 400, 401, 404, 500, 503] {
            assert_eq!(judged(bad, None), Err(Again::ByPlan), "{bad}");
        }
        let minute = Again::NotBefore(Duration::from_mins(1));
        assert_eq!(judged(503, Some("60")), Err(minute));
        assert_eq!(judged(429, Some("60")), Err(minute));
        assert_eq!(judged(410, Some("60")), Err(Again::Never));
    }
}
