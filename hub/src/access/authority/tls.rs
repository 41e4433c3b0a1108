//! What the hub's TLS doors stand on.

use std::{fmt, sync::Arc, time::Duration};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
    time_provider::TimeProvider,
    version::TLS13,
};

use super::{
    AuthorityError,
    issue::{Authority, Made},
};
use crate::clock::Clock;

/// What a device offers first by ALPN, to see the certificate of the hub's own authority.
pub const DEVICE: &[u8] = b"tern-device";

/// What the hub's TLS doors stand on, at one moment.
#[derive(Debug)]
pub struct Tls {
    /// The hub's own certificate with its chain, by its own authority, and key.
    pub own: Arc<CertifiedKey>,
    /// MQTT: own certificate, certificates of clients demanded and verified against all trusted
    /// authorities, TLS 1.3.
    pub mqtt: Arc<ServerConfig>,
    /// HTTPS for devices: the same, but a certificate of the client is not demanded, since without one
    /// it may still join and renew; offers `tern-device` by ALPN.
    pub devices: Arc<ServerConfig>,
}

/// Tells TLS the hub's time.
#[derive(Debug)]
pub(super) struct Time(pub(super) Clock);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let ms = u64::try_from(self.0.now().0).unwrap_or_default();
        Some(UnixTime::since_unix_epoch(Duration::from_millis(ms)))
    }
}

/// Shows the hub's own certificate to everybody.
struct Own(Arc<CertifiedKey>);

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Own")
    }
}

impl ResolvesServerCert for Own {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// From the hub's certificate, what leads from it to each authority, and those who vouch for clients.
pub(super) fn build(
    leaf: Made,
    chain: Vec<CertificateDer<'static>>,
    trusted: &[Arc<Authority>],
    clock: &Clock,
) -> Result<Tls, AuthorityError> {
    let provider = Arc::new(ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf.key.serialize_der()));
    let key = provider.key_provider.load_private_key(key)?;
    let certificates = std::iter::once(leaf.certificate).chain(chain).collect();
    let own = Arc::new(CertifiedKey::new(certificates, key));

    let mut anchors = RootCertStore::empty();
    for authority in trusted {
        anchors.add(authority.certificate.clone())?;
    }
    let anchors = Arc::new(anchors);
    let verifier =
        || WebPkiClientVerifier::builder_with_provider(Arc::clone(&anchors), Arc::clone(&provider));
    let general =
        |err: rustls::server::VerifierBuilderError| rustls::Error::General(err.to_string());
    let demanding = verifier().build().map_err(general)?;
    let asking = verifier()
        .allow_unauthenticated()
        .build()
        .map_err(general)?;
    let time: Arc<dyn TimeProvider> = Arc::new(Time(clock.clone()));
    let server = |verifier| {
        let builder = ServerConfig::builder_with_details(Arc::clone(&provider), Arc::clone(&time));
        let mut server = builder
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(Own(Arc::clone(&own))));
        // A session that is taken up again would skip the look at the client's certificate.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok::<_, rustls::Error>(server)
    };
    let mqtt = Arc::new(server(demanding)?);
    let mut devices = server(asking)?;
    devices.alpn_protocols = vec![DEVICE.to_vec()];
    let devices = Arc::new(devices);
    Ok(Tls { own, mqtt, devices })
}
