//! What a broker of the operator's own has from the hub's authorities: a certificate for itself, one for
//! the hub's clients, and lists of certificates that are good no more.

use std::{sync::Arc, time::Duration};

use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    time_provider::TimeProvider,
};
use tern_protocol::{id::WorkspaceId, time::WallTime};
use x509_parser::prelude::{FromDer as _, ParsedExtension, X509Certificate};

use super::{
    Authorities, AuthorityError, Trusted,
    issue::{Authority, moment, pem, plus},
    making, tls,
};

/// Life of the certificates of broker and of the hub as its client. The hub makes one for itself at each
/// connection, and those in files at half of it.
pub const BROKER_LIFE: Duration = Duration::from_hours(90 * 24);

/// How long a list is good. A broker that is not told to read the newer one shuts everybody out when
/// it ends, so it is long: what counts is that lists are read again when they change.
const LIST_LIFE: Duration = Duration::from_hours(365 * 24);

/// A certificate that is good no more before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Id of the authority that issued it.
    pub authority: String,
    /// Serial number, hex.
    pub serial: String,
}

/// What a broker shows to its clients, PEM.
pub struct BrokerCertificate {
    /// Leaf first, with what leads to each authority of the hub.
    pub chain: String,
    /// PKCS #8.
    pub key: String,
}

impl Authorities {
    /// A certificate for the hub as a client of its broker, by the hub's own authority, with what leads
    /// to the others, and its key.
    pub fn client(
        &self,
        common_name: &str,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), AuthorityError> {
        let trusted = self.trusted();
        let issuer = trusted.hub().ok_or(AuthorityError::None)?;
        let made = issuer.client(common_name, self.clock().now(), BROKER_LIFE)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.key.serialize_der()));
        // Without roots: a broker that knows only an older authority has to find its way over the cross
        // certificates, and OpenSSL stops at the first root that it meets and does not know.
        let roots = trusted.anchors();
        let between = trusted.chain();
        let between = between.into_iter().filter(|one| !roots.contains(one));
        Ok((
            std::iter::once(made.certificate).chain(between).collect(),
            key,
        ))
    }

    /// A certificate for a broker under these names, by the hub's own authority.
    pub fn broker(&self, names: &[String]) -> Result<BrokerCertificate, AuthorityError> {
        let trusted = self.trusted();
        let issuer = trusted.hub().ok_or(AuthorityError::None)?;
        let made = issuer.server(names, self.clock().now(), BROKER_LIFE)?;
        let chain = trusted.chain();
        Ok(BrokerCertificate {
            chain: pem(std::iter::once(&made.certificate).chain(&chain)),
            key: made.key.serialize_pem(),
        })
    }

    /// Lists of revoked certificates, PEM, one after the other: for each trusted authority that may sign
    /// one, empty ones too, since a broker that looks wants a list of each.
    pub fn revocation_lists(&self, revoked: &[Revoked]) -> Result<String, AuthorityError> {
        let now = self.clock().now();
        let trusted = self.trusted();
        let (able, unable): (Vec<_>, Vec<_>) = trusted
            .all()
            .iter()
            .partition(|authority| authority.signs_lists());
        for authority in unable {
            tracing::warn!(
                authority = authority.id,
                "this imported authority may not sign lists of revoked certificates (key usage cRLSign): \
                 a broker that looks at lists lets its devices not in"
            );
        }
        let lists = able.into_iter().map(|authority| {
            let own = revoked.iter().filter(|one| one.authority == authority.id);
            authority.revocation_list(own, now)
        });
        lists.collect()
    }

    /// The hub's time, for TLS.
    pub fn time(&self) -> Arc<dyn TimeProvider> {
        Arc::new(tls::Time(self.clock().clone()))
    }
}

impl Trusted {
    /// The certificates that vouch for the hub and its broker.
    pub fn anchors(&self) -> Vec<CertificateDer<'static>> {
        let hub = self.all().iter().filter(|a| a.workspace.is_none());
        hub.map(|authority| authority.certificate.clone()).collect()
    }

    /// Certificates of those whose devices a broker lets in, PEM: the hub's, or those of a workspace that
    /// has its own.
    pub fn for_broker(&self, workspace: Option<&WorkspaceId>) -> String {
        self.export(workspace)
    }
}

impl Authority {
    fn revocation_list<'a>(
        &self,
        revoked: impl Iterator<Item = &'a Revoked>,
        now: WallTime,
    ) -> Result<String, AuthorityError> {
        const DOING: &str = "signing a list of revoked certificates";
        let revoked = revoked.filter_map(|one| {
            Some(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&bytes(&one.serial)?),
                revocation_time: moment(now),
                reason_code: None,
                invalidity_date: None,
            })
        });
        let number = u64::try_from(now.0).unwrap_or_default();
        let params = CertificateRevocationListParams {
            this_update: moment(now),
            next_update: moment(plus(now, LIST_LIFE)),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: self.key_identifier(),
        };
        let signed = params.signed_by(self.issuer()).map_err(making(DOING))?;
        signed.pem().map_err(making(DOING))
    }

    fn signs_lists(&self) -> bool {
        let usages = self.issuer().key_usages();
        usages.is_empty() || usages.contains(&KeyUsagePurpose::CrlSign)
    }

    /// The key identifier as its certificate has it: a list with another one is not taken for its own.
    fn key_identifier(&self) -> KeyIdMethod {
        let parsed = X509Certificate::from_der(&self.certificate).ok();
        let own = parsed.as_ref().and_then(|(_, parsed)| {
            parsed
                .extensions()
                .iter()
                .find_map(|extension| match extension.parsed_extension() {
                    ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
                    _ => None,
                })
        });
        own.map_or(KeyIdMethod::Sha256, KeyIdMethod::PreSpecified)
    }
}

/// The bytes of lower-case hex.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect()
}
