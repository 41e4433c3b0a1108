//! HTTPS, and plain HTTP for this machine alone.
//!
//! Must never break:
//! - a device, which offers `tern-device` first, always sees the certificate of the hub's own authority;
//!   if it shows one of its own, that is verified, and each of its requests says so;
//! - a plain listener answers only requests that name this machine, so that a page from elsewhere
//!   cannot reach it through somebody's browser.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    http::{self, HeaderValue, header},
    middleware::{self, Next},
    response::Response,
};
use axum_server::{
    Handle,
    accept::{Accept, NoDelayAcceptor},
};
use rustls::{
    ServerConfig,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::TLS13,
};
use rustls_acme::is_tls_alpn_challenge;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_rustls::{LazyConfigAcceptor, rustls::server::Acceptor as Hello, server::TlsStream};
use tower::Service;

use super::certificate::Shown;
use crate::{
    access::authority::{DEVICE, Tls},
    api::{self, Page},
};

/// Protocols that a browser or an ACME authority may offer, who looks whether the name is ours.
const ALPN: [&[u8]; 2] = [b"http/1.1", b"acme-tls/1"];

/// Longest that a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Longest that the headers of a request may take.
const HEADERS: Duration = Duration::from_secs(20);

/// A browser speaks HTTPS only with this name for a year.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Shows browsers the certificates that stand at the moment.
#[derive(Debug)]
struct Certificates {
    own: watch::Receiver<Arc<Tls>>,
    others: Shown,
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let own = || Arc::clone(&self.own.borrow().own);
        match &self.others {
            Shown::Own => Some(own()),
            Shown::Operators(now) => Some(Arc::clone(&now.borrow())),
            Shown::Acme(acme) if is_tls_alpn_challenge(&hello) => acme.resolve(hello),
            Shown::Acme(acme) => Some(acme.resolve(hello).unwrap_or_else(own)),
        }
    }
}

/// Ends TLS as the client's first words ask for: a device is asked for its certificate, a browser never,
/// which would ask its user.
#[derive(Clone)]
struct Acceptor {
    own: watch::Receiver<Arc<Tls>>,
    browsers: Arc<ServerConfig>,
}

impl<S: Send + 'static> Accept<TcpStream, S> for Acceptor {
    type Stream = TlsStream<TcpStream>;
    type Service = Shows<S>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Self { own, browsers } = self.clone();
        Box::pin(async move {
            // What is written in two pieces would wait for the other side to acknowledge the first.
            stream.set_nodelay(true)?;
            let stream = timeout(HANDSHAKE, handshake(stream, own, browsers)).await??;
            let chain = stream.get_ref().1.peer_certificates();
            let chain = chain.map(|chain| chain.iter().map(|c| c.clone().into_owned()).collect());
            let shown = chain.map(api::Shown);
            Ok((stream, Shows { service, shown }))
        })
    }
}

async fn handshake(
    stream: TcpStream,
    own: watch::Receiver<Arc<Tls>>,
    browsers: Arc<ServerConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let start = LazyConfigAcceptor::new(Hello::default(), stream).await?;
    let is_device = start
        .client_hello()
        .alpn()
        .is_some_and(|mut offered| offered.any(|protocol| protocol == DEVICE));
    let config = if is_device {
        // As they are now: rotation and renewal need no restart.
        Arc::clone(&own.borrow().devices)
    } else {
        browsers
    };
    start.into_stream(config).await
}

/// Puts the certificate of the connection into each of its requests.
#[derive(Clone)]
struct Shows<S> {
    service: S,
    shown: Option<api::Shown>,
}

impl<S: Service<http::Request<B>>, B> Service<http::Request<B>> for Shows<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<B>) -> S::Future {
        if let Some(shown) = &self.shown {
            request.extensions_mut().insert(shown.clone());
        }
        self.service.call(request)
    }
}

/// Serves HTTPS until `handle` is told to end.
pub(super) async fn secure(
    listener: TcpListener,
    router: Router,
    own: watch::Receiver<Arc<Tls>>,
    others: Shown,
    handle: Handle<SocketAddr>,
) -> io::Result<()> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Certificates {
            own: own.clone(),
            others,
        }));
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    let acceptor = Acceptor {
        own,
        browsers: Arc::new(config),
    };
    let router = router.layer(middleware::map_response(strict));
    let mut server = axum_server::from_tcp(listener.into_std()?)?
        .acceptor(acceptor)
        .handle(handle);
    server.http_builder().http1().header_read_timeout(HEADERS);
    server
        .serve(router.into_make_service_with_connect_info::<SocketAddr>())
        .await
}

/// Serves plain HTTP, for this machine, until `handle` is told to end.
pub(super) async fn plain(
    listener: TcpListener,
    router: Router,
    handle: Handle<SocketAddr>,
) -> io::Result<()> {
    let router = router.layer(middleware::from_fn(only_this_machine));
    let mut server = axum_server::from_tcp(listener.into_std()?)?
        .acceptor(NoDelayAcceptor::new())
        .handle(handle);
    server.http_builder().http1().header_read_timeout(HEADERS);
    server
        .serve(router.into_make_service_with_connect_info::<SocketAddr>())
        .await
}

async fn strict(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    response
}

async fn only_this_machine(request: Request, next: Next) -> Response {
    match refusal(&request) {
        Some(reason) => api::forbidden(reason),
        None => next.run(request).await,
    }
}

fn refusal(request: &Request) -> Option<&'static str> {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    if !host.is_some_and(is_loopback) {
        return Some(
            "this hub was started with `--insecure-loopback` and answers to `localhost` only",
        );
    }
    let foreign = api::page(request.headers()) == Page::Foreign;
    (foreign && !request.method().is_safe())
        .then_some("a page from elsewhere may not change anything")
}

/// Whether a `Host` names this machine.
fn is_loopback(host: &str) -> bool {
    let authority: Result<axum::http::uri::Authority, _> = host.parse();
    authority.is_ok_and(|authority| {
        let name = authority.host();
        let ip = name.trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost")
            || ip
                .parse()
                .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_answered_plainly() {
        for good in [
            "localhost",
            "localhost:8080",
            "127.0.0.1:80",
            "127.9.9.9",
            "[::1]:8080",
        ] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in [
            "",
            "hub.example",
            "localhost.evil.example",
            "10.0.0.1:8080",
            "0.0.0.0",
        ] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }
}
