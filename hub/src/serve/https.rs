//! HTTPS, and plain HTTP for this machine alone.
//!
//! Must never break:
//! - a device, which offers `tern-device` first, always sees the certificate of the hub's own authority;
//! - a plain listener answers only requests that name this machine, so that a page from elsewhere
//!   cannot reach it through somebody's browser.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::Response,
};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use rustls::{
    ServerConfig,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::TLS13,
};
use rustls_acme::is_tls_alpn_challenge;
use tokio::{net::TcpListener, sync::watch};

use super::certificate::Shown;
use crate::{
    access::authority::Tls,
    api::{self, Page},
};

/// What a device offers first, to see the certificate of the hub's own authority.
const DEVICE: &[u8] = b"tern-device";

/// Protocols that a client may offer: devices, HTTP/1.1, an ACME authority that looks whether the
/// name is ours.
const ALPN: [&[u8]; 3] = [DEVICE, b"http/1.1", b"acme-tls/1"];

/// Longest that the headers of a request may take.
const HEADERS: Duration = Duration::from_secs(20);

/// A browser speaks HTTPS only with this name for a year.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Shows the certificates that stand at the moment.
#[derive(Debug)]
struct Certificates {
    own: watch::Receiver<Arc<Tls>>,
    others: Shown,
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let own = || Arc::clone(&self.own.borrow().own);
        let is_device = hello
            .alpn()
            .is_some_and(|mut offered| offered.any(|protocol| protocol == DEVICE));
        if is_device {
            return Some(own());
        }
        match &self.others {
            Shown::Own => Some(own()),
            Shown::Operators(now) => Some(Arc::clone(&now.borrow())),
            Shown::Acme(acme) if is_tls_alpn_challenge(&hello) => acme.resolve(hello),
            Shown::Acme(acme) => Some(acme.resolve(hello).unwrap_or_else(own)),
        }
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
        .with_cert_resolver(Arc::new(Certificates { own, others }));
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    let config = RustlsConfig::from_config(Arc::new(config));
    let router = router.layer(middleware::map_response(strict));
    let mut server = axum_server::from_tcp_rustls(listener.into_std()?, config)?.handle(handle);
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
    let mut server = axum_server::from_tcp(listener.into_std()?)?.handle(handle);
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
