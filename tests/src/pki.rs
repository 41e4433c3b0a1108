//! Authorities and certificates of a test's own making: honest ones and false ones.

use std::{fs, path::Path, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::{CertifiedKey, SingleCertAndKey},
};
use time::{Duration, OffsetDateTime};

/// An authority that signs whatever a test wants.
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its chain, and its key, as PEM.
#[derive(Clone)]
pub struct Credentials {
    /// Leaf first.
    pub chain: String,
    /// PKCS#8.
    pub key: String,
}

/// From when until when something is valid, in days from now.
#[derive(Debug, Clone, Copy)]
pub struct Days(pub i64, pub i64);

impl Authority {
    /// A fresh one.
    #[track_caller]
    pub fn new(name: &str) -> Self {
        let mut params = params(name, Days(-1, 365));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("the system gives random bytes");
        let certificate = params.self_signed(&key).expect("a key of ours signs");
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// The one whose certificate and key are in these files: what a thief of the hub's data has.
    #[track_caller]
    pub fn stolen(certificate: &Path, key: &Path) -> Self {
        let read = |path: &Path| {
            fs::read_to_string(path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
        };
        let pem = read(certificate);
        let key = KeyPair::from_pem(&read(key)).expect("the key is PKCS#8");
        let issuer = Issuer::from_ca_cert_pem(&pem, key).expect("the certificate is one");
        Self { pem, issuer }
    }

    /// One that gives itself out as another one (PEM), with a key of its own.
    #[track_caller]
    pub fn namesake(of: &str) -> Self {
        let issuer = Issuer::from_ca_cert_pem(of, new_key());
        Self {
            pem: of.to_owned(),
            issuer: issuer.expect("the certificate is one"),
        }
    }

    /// Its certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A client's certificate.
    #[track_caller]
    pub fn client(&self, common_name: &str, days: Days) -> Credentials {
        self.client_of(&new_key(), common_name, days)
    }

    /// A client's certificate for a key that is there.
    #[track_caller]
    pub fn client_of(&self, key: &KeyPair, common_name: &str, days: Days) -> Credentials {
        let mut params = params(common_name, days);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params, key)
    }

    /// A server's certificate for loopback.
    #[track_caller]
    pub fn server(&self) -> Credentials {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let mut params = CertificateParams::new(names).expect("these are names");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params, &new_key())
    }

    /// A list of revoked certificates with these serial numbers, PEM.
    #[track_caller]
    pub fn revocation_list(&self, serials: &[SerialNumber]) -> String {
        let now = OffsetDateTime::now_utc();
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: serial.clone(),
            revocation_time: now,
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: now - Duration::days(1),
            next_update: now + Duration::days(1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let signed = params
            .signed_by(&self.issuer)
            .expect("an authority of ours signs");
        signed.pem().expect("a list is PEM")
    }

    fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Credentials {
        let signed = params.signed_by(key, &self.issuer);
        Credentials {
            chain: signed.expect("an authority of ours signs").pem() + &self.pem,
            key: key.serialize_pem(),
        }
    }
}

/// A fresh key.
#[track_caller]
pub fn new_key() -> KeyPair {
    KeyPair::generate().expect("the system gives random bytes")
}

/// A signing request for this key, as PEM.
#[track_caller]
pub fn signing_request(key: &KeyPair) -> String {
    let params = CertificateParams::new(Vec::new()).expect("no names are fine");
    let request = params.serialize_request(key).expect("a key of ours signs");
    request.pem().expect("a request is PEM")
}

/// A client that trusts these authorities (PEM) and shows these credentials.
#[track_caller]
pub fn tls(authorities: &str, credentials: Option<&Credentials>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authorities) {
        roots.add(certificate).expect("an authority is one");
    }
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3")
        .with_root_certificates(roots);
    Arc::new(match credentials {
        None => builder.with_no_client_auth(),
        Some(credentials) => {
            let key = PrivateKeyDer::from_pem_slice(credentials.key.as_bytes());
            let key = ring::sign::any_supported_type(&key.expect("the key is PEM"));
            let chain = certificates(&credentials.chain);
            // Whether they belong together is for the other side to find out.
            let shown = CertifiedKey::new(chain, key.expect("it can sign"));
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown)))
        }
    })
}

/// The certificates of a PEM text.
#[track_caller]
pub fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    all.expect("certificates are PEM")
}

fn params(common_name: &str, days: Days) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("no names are fine");
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    let now = OffsetDateTime::now_utc();
    params.not_before = now + Duration::days(days.0);
    params.not_after = now + Duration::days(days.1);
    params.use_authority_key_identifier_extension = true;
    params
}
