//! One request to the collector, over a connection of its own.
//!
//! Called in the threads of the opentelemetry crates, never in ours. Must never break: a collector that says nothing
//! ends the request in time, and one that says too much is not listened to.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, Response, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::{Builder, Runtime},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{Endpoint, ExportError};

/// Longest answer that is read: a collector says which of what was sent it did not take.
const ANSWER: usize = 64 << 10;

/// Sends requests, one after the other.
pub(super) struct Client {
    runtime: Runtime,
    tls: Option<TlsConnector>,
    within: Duration,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(
        endpoint: &Endpoint,
        tls: Option<Arc<ClientConfig>>,
        within: Duration,
    ) -> Result<Self, ExportError> {
        if endpoint.is_secure() && tls.is_none() {
            return Err(ExportError::Tls);
        }
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Self {
            runtime: runtime.map_err(ExportError::Start)?,
            tls: tls.map(TlsConnector::from),
            within,
        })
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let uri = request.uri().clone();
        let host = uri.host().ok_or("the address has no host")?.to_owned();
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
        match &self.tls {
            Some(tls) if secure => {
                let name = ServerName::try_from(host)?;
                exchange(tls.connect(name, stream).await?, request).await
            }
            _ => exchange(stream, request).await,
        }
    }
}

/// One request and its answer.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let (mut head, body) = request.into_parts();
    let authority = head.uri.authority().map(ToString::to_string);
    if let Some(host) = authority {
        head.headers.insert(header::HOST, host.try_into()?);
    }
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = path.parse()?;
    let asked = async {
        let answer = sender
            .send_request(Request::from_parts(head, Full::new(body)))
            .await?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
        Ok::<_, HttpError>(Response::from_parts(head, body))
    };
    let driven = async {
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = asked => answer,
        () = driven => unreachable!("it never ends"),
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        // The thread is the exporter's own, and has no runtime.
        self.runtime
            .block_on(async { timeout(self.within, self.send(request)).await })?
    }
}
