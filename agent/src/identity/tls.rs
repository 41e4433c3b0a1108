//! How the agent knows that it talks to its hub: TLS 1.3, host name and authority always checked.
//!
//! Must never break:
//! - a hub that does not chain to a trusted authority, or has another name, is refused whatever the
//!   clock says;
//! - a clock before the floor locks no device out: the floor is then the least that the time can be.

use std::{sync::Arc, time::Duration};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
};
use tern_protocol::digest::Digest;

/// Certificates of a chain that may each push the time of the check forward: leaf, cross
/// certificates of a few rotations.
const STEPS: usize = 8;

/// Whom the agent takes for its hub.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Whoever chains to the certificate with this SHA-256, which has to be in the chain shown:
    /// before the device has joined.
    Pin(Digest),
    /// Whoever chains to one of these: once it has joined.
    Authorities(Vec<CertificateDer<'static>>),
}

/// A configuration for connections to the hub. `floor` is the least that the time can be; `own` is
/// the device's certificate chain and key, once it has them.
pub fn client(
    trust: Trust,
    floor: Duration,
    own: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Hub::new(trust, floor, Arc::clone(&provider))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    match own {
        Some((chain, key)) => config.with_client_auth_cert(chain, key),
        None => Ok(config.with_no_client_auth()),
    }
}

/// Verifies the hub.
#[derive(Debug)]
struct Hub {
    known: Known,
    floor: UnixTime,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
enum Known {
    Pin(Digest),
    Roots(Arc<WebPkiServerVerifier>),
}

impl Hub {
    fn new(trust: Trust, floor: Duration, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let known = match trust {
            Trust::Pin(pin) => Known::Pin(pin),
            Trust::Authorities(roots) => Known::Roots(verifier(roots, Arc::clone(&provider))?),
        };
        Ok(Self {
            known,
            floor: UnixTime::since_unix_epoch(floor),
            provider,
        })
    }
}

fn verifier(
    roots: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root)?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
        .build()
        .map_err(|err| Error::General(format!("the authorities cannot be used: {err}")))
}

impl ServerCertVerifier for Hub {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let pinned;
        let verifier = match &self.known {
            Known::Roots(roots) => roots,
            Known::Pin(pin) => {
                let mut chain = std::iter::once(leaf).chain(others);
                let anchor = chain.find(|certificate| Digest::of(certificate) == *pin);
                let anchor = anchor.ok_or(CertificateError::UnknownIssuer)?;
                pinned = verifier(
                    vec![anchor.clone().into_owned()],
                    Arc::clone(&self.provider),
                )?;
                &pinned
            }
        };
        let at = |time| verifier.verify_server_cert(leaf, others, name, ocsp, time);
        if now >= self.floor {
            return at(now);
        }
        // The clock is wrong. A certificate that is not valid yet at the floor may well be now.
        let mut time = self.floor;
        for _ in 0..STEPS {
            match at(time) {
                Err(Error::InvalidCertificate(CertificateError::NotValidYetContext {
                    not_before,
                    ..
                })) if not_before > time => time = not_before,
                verdict => return verdict,
            }
        }
        at(time)
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
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

    use super::*;

    /// An authority that is valid for long, and a leaf for `hub.example`, valid in 2030.
    fn chain() -> [CertificateDer<'static>; 2] {
        let key = KeyPair::generate().expect("a key");
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = ca.self_signed(&key).expect("a certificate");
        let issuer = Issuer::new(ca, key);
        let mut leaf = CertificateParams::new(["hub.example".into()]).expect("a name");
        leaf.not_before = date_time_ymd(2030, 1, 1);
        leaf.not_after = date_time_ymd(2030, 12, 31);
        let key = KeyPair::generate().expect("a key");
        let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
        [leaf.der().clone(), root.der().clone()]
    }

    fn year(year: u64) -> Duration {
        Duration::from_secs((year - 1970) * 31_557_600 + 86_400 * 100)
    }

    fn verdict(
        trust: Trust,
        chain: &[CertificateDer<'static>; 2],
        name: &str,
        floor: u64,
        now: u64,
    ) -> Result<(), Error> {
        let provider = Arc::new(ring::default_provider());
        let hub = Hub::new(trust, year(floor), provider).expect("the roots are whole");
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let now = UnixTime::since_unix_epoch(year(now));
        let verdict = hub.verify_server_cert(&chain[0], &chain[1..], &name, &[], now);
        verdict.map(|_| ())
    }

    #[test]
    fn a_clock_before_the_floor_is_replaced_by_it() {
        let chain = chain();
        let trusts = [
            Trust::Pin(Digest::of(&chain[1])),
            Trust::Authorities(vec![chain[1].clone()]),
        ];
        for trust in trusts {
            let is = |floor, now| verdict(trust.clone(), &chain, "hub.example", floor, now);
            is(2025, 2030).expect("a normal clock, valid");
            is(2025, 2029).expect_err("a normal clock, not yet valid");
            is(2025, 2031).expect_err("a normal clock, expired");
            is(2025, 1970).expect("1970, valid only after the floor");
            is(2030, 1970).expect("1970, valid at the floor");
            is(2031, 1970).expect_err("expired at the floor already");
        }
    }

    #[test]
    fn another_authority_or_name_is_refused_whatever_the_clock() {
        let (ours, other) = (chain(), chain());
        let trusts = [
            Trust::Pin(Digest::of(&other[1])),
            Trust::Authorities(vec![other[1].clone()]),
        ];
        for now in [1970, 2030] {
            for trust in trusts.clone() {
                verdict(trust, &ours, "hub.example", 2025, now).expect_err("not our authority");
            }
            let pin = Trust::Pin(Digest::of(&ours[1]));
            verdict(pin, &ours, "other.example", 2025, now).expect_err("not its name");
        }
    }
}
