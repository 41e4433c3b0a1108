//! Which certificates a hub shows, before anybody vouches for it.
//!
//! Must never break: nothing is sent over such a connection; what it shows is believed only once a
//! person or a fingerprint has said so, and is verified anew by the connection that follows.

use std::{
    io,
    net::{TcpStream, ToSocketAddrs as _},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tern_protocol::digest::Digest;

use super::{connection, error::ClientError, http};

/// Connecting, and each step of the handshake.
const PATIENCE: Duration = Duration::from_secs(5);

/// Port of HTTPS where none is given.
const PORT: u16 = 443;

/// A certificate that a hub shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// SHA-256 of it.
    pub fingerprint: Digest,
    /// The certificate as PEM.
    pub pem: String,
}

/// The certificates that the hub shows, its own first. Nothing of it is verified.
pub fn chain(hub: &str) -> Result<Vec<Shown>, ClientError> {
    let base = http::address(hub)?;
    let wrong = |why| ClientError::Address {
        address: base.clone(),
        why,
    };
    let uri: ureq::http::Uri = base.parse().map_err(|_| wrong("not a URL"))?;
    if uri.scheme_str() != Some("https") {
        return Err(wrong("without https:// it shows no certificate"));
    }
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).map_err(|_| wrong("no name of a host"))?;
    shown(host, uri.port_u16().unwrap_or(PORT), name).map_err(|err| ClientError::Unreachable {
        hub: base.clone(),
        source: Box::new(ureq::Error::Io(err)),
    })
}

fn shown(host: &str, port: u16, name: ServerName<'static>) -> io::Result<Vec<Shown>> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return handshake(stream, name),
            Err(err) => last = err,
        }
    }
    Err(last)
}

fn handshake(mut stream: TcpStream, name: ServerName<'static>) -> io::Result<Vec<Shown>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let provider = Arc::new(connection::provider());
    let verifier = Arc::new(Capture {
        provider: Arc::clone(&provider),
        chain: Mutex::default(),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier) as _)
        .with_no_client_auth();
    let mut tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut stream)?;
    }
    let chain = verifier.chain.lock();
    Ok(chain.unwrap_or_else(PoisonError::into_inner).clone())
}

/// Takes any certificate and remembers it. The peer still has to hold the key of the first one.
#[derive(Debug)]
struct Capture {
    provider: Arc<CryptoProvider>,
    chain: Mutex<Vec<Shown>>,
}

impl ServerCertVerifier for Capture {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let all = std::iter::once(end_entity).chain(intermediates);
        let all = all.map(|der| Shown {
            fingerprint: Digest::of(der),
            pem: pem(der),
        });
        let mut chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        *chain = all.collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// RFC 7468: lines of 64 characters.
fn pem(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for (i, c) in text.chars().enumerate() {
        if i > 0 && i % 64 == 0 {
            pem.push('\n');
        }
        pem.push(c);
    }
    pem + "\n-----END CERTIFICATE-----\n"
}
