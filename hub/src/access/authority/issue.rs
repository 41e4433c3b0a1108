//! One authority: made, read, and what it signs.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData as _, SerialNumber,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, pem::PemObject as _};
use std::time::Duration;
use tern_protocol::{
    digest::Digest,
    id::{DeviceId, NAME_MAX, WorkspaceId},
    time::WallTime,
};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{AuthorityError, making};

/// Life of an authority that the hub makes.
const AUTHORITY_LIFE: Duration = Duration::from_hours(20 * 365 * 24);

/// How far before now certificates begin: clocks of devices and hub differ.
pub(in crate::access) const BACKDATED: Duration = Duration::from_hours(1);

/// Bytes of a P-256 public key as a point without compression.
const POINT: usize = 65;

/// An authority.
pub(in crate::access) struct Authority {
    /// The first 16 hex digits of [`Self::fingerprint`].
    pub(in crate::access) id: String,
    /// SHA-256 of its certificate.
    pub(super) fingerprint: Digest,
    /// The only workspace that it vouches for.
    pub(super) workspace: Option<WorkspaceId>,
    /// Whether new certificates come from it.
    pub(super) issues: bool,
    /// Its certificate.
    pub(super) certificate: CertificateDer<'static>,
    /// Certificates of its key by authorities before it.
    pub(super) cross: Vec<CertificateDer<'static>>,
    /// Certificates between it and its root.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// From when it is valid.
    pub(super) not_before: WallTime,
    /// Until when it is valid.
    pub(super) not_after: WallTime,
    issuer: Issuer<'static, KeyPair>,
}

/// Why a signing request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It cannot be read.
    #[error("the signing request is not a PKCS #10 request in PEM")]
    Format,
    /// It was not signed by its key.
    #[error("the signing request was not signed by the key that it names")]
    Signature,
    /// Another kind of key.
    #[error("the key is of another kind than ECDSA on P-256, signed with SHA-256")]
    Kind,
}

/// The public key of a signing request whose signature holds: whoever sent it has the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceKey {
    key: rcgen::PublicKey,
    digest: Digest,
}

impl DeviceKey {
    /// From a signing request in PEM. What else the request wants is not looked at.
    pub fn from_request(pem: &str) -> Result<Self, RequestError> {
        let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes());
        let der = der.map_err(|_| RequestError::Format)?;
        let request = CertificateSigningRequestParams::from_der(&der).map_err(|err| match err {
            rcgen::Error::InvalidCertificationRequestSignature => RequestError::Signature,
            rcgen::Error::UnsupportedSignatureAlgorithm => RequestError::Kind,
            _ => RequestError::Format,
        })?;
        let key = request.public_key;
        // The algorithm is that of the signature; a key on another curve may sign so too.
        let p256 = *key.algorithm() == PKCS_ECDSA_P256_SHA256
            && key.der_bytes().len() == POINT
            && key.der_bytes()[0] == 4;
        if !p256 {
            return Err(RequestError::Kind);
        }
        let digest = Digest::of(&key.subject_public_key_info());
        Ok(Self { key, digest })
    }

    /// SHA-256 of its SubjectPublicKeyInfo.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

/// A certificate for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Leaf first, PEM.
    pub chain: String,
    /// Serial number, lower-case hex.
    pub serial: String,
    /// Id of the authority that issued it.
    pub authority: String,
    /// From when it is valid.
    pub not_before: WallTime,
    /// Until when it is valid.
    pub not_after: WallTime,
}

/// The common name of a device's certificate: the middle of its topics. None if it does not fit.
pub fn common_name(workspace: &WorkspaceId, device: &DeviceId) -> Option<String> {
    let name = format!("{workspace}/d/{device}");
    (name.len() <= NAME_MAX).then_some(name)
}

/// A fresh authority's certificate and key.
pub(super) struct Made {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: KeyPair,
}

/// Makes an authority.
pub(super) fn make(now: WallTime) -> Result<Made, AuthorityError> {
    const DOING: &str = "making an authority";
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(making(DOING))?;
    let mut params = authority_params(now, plus(now, AUTHORITY_LIFE));
    let name = format!("Tern hub CA {}", hex(&random::<4>()));
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.self_signed(&key).map_err(making(DOING))?;
    let certificate = certificate.der().clone();
    Ok(Made { certificate, key })
}

fn authority_params(now: WallTime, not_after: WallTime) -> CertificateParams {
    let mut params = params(now, not_after);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Without a name, with a random serial number.
fn params(now: WallTime, not_after: WallTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = moment(earlier(now, BACKDATED));
    params.not_after = moment(not_after);
    let mut serial = random::<16>();
    // Positive, and of the same length always.
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params
}

impl Authority {
    /// From a certificate and the key that belongs to it.
    pub(super) fn new(
        certificate: CertificateDer<'static>,
        key: KeyPair,
    ) -> Result<Self, AuthorityError> {
        const NO_AUTHORITY: &str = "the certificate cannot be read";
        let (_, parsed) = X509Certificate::from_der(&certificate)
            .map_err(|_| AuthorityError::Import(NO_AUTHORITY))?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(AuthorityError::Import(
                "the key does not belong to the certificate",
            ));
        }
        let seconds = |time: i64| WallTime(time.saturating_mul(1_000));
        let validity = parsed.validity();
        let (not_before, not_after) = (
            seconds(validity.not_before.timestamp()),
            seconds(validity.not_after.timestamp()),
        );
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .map_err(making("reading the certificate of an authority"))?;
        let fingerprint = Digest::of(&certificate);
        Ok(Self {
            id: fingerprint.to_string()[..16].to_owned(),
            fingerprint,
            workspace: None,
            issues: true,
            certificate,
            cross: Vec::new(),
            chain: Vec::new(),
            not_before,
            not_after,
            issuer,
        })
    }

    /// Vouches for the key of another authority: a certificate with that one's name and key.
    pub(super) fn cross_sign(
        &self,
        other: &Self,
        now: WallTime,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let mut params = authority_params(now, self.not_after.min(other.not_after));
        params.distinguished_name = name_of(&other.certificate)?;
        params.use_authority_key_identifier_extension = true;
        let signed = params
            .signed_by(other.issuer.key(), &self.issuer)
            .map_err(making("signing an authority by the one before"))?;
        let signed = signed.der().clone();
        let subjects = (subject(&signed), subject(&other.certificate));
        match subjects {
            (Some(a), Some(b)) if a == b => Ok(signed),
            _ => Err(AuthorityError::Import(
                "the certificate's subject is not plain text; name it by a common name",
            )),
        }
    }

    /// Certificates that go with one that this authority issued: itself, and what leads to others.
    pub(super) fn with_chain(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        std::iter::once(&self.certificate).chain(&self.chain)
    }

    /// A certificate for a device.
    pub(in crate::access) fn device(
        &self,
        common_name: &str,
        key: &DeviceKey,
        now: WallTime,
        life: Duration,
    ) -> Result<Issued, AuthorityError> {
        let not_after = plus(now, life).min(self.not_after);
        let mut params = params(now, not_after);
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let serial = params.serial_number.as_ref();
        let serial = serial.map(|serial| hex(&serial.to_bytes()));
        let leaf = params
            .signed_by(&key.key, &self.issuer)
            .map_err(making("issuing a device's certificate"))?;
        let seconds = |time: WallTime| WallTime(time.0.div_euclid(1_000) * 1_000);
        let chain = std::iter::once(leaf.der()).chain(self.with_chain());
        Ok(Issued {
            chain: pem(chain),
            serial: serial.unwrap_or_default(),
            authority: self.id.clone(),
            not_before: seconds(earlier(now, BACKDATED)),
            not_after: seconds(not_after),
        })
    }

    /// A certificate for the hub under these names, and its key.
    pub(super) fn server(
        &self,
        names: &[String],
        now: WallTime,
        life: Duration,
    ) -> Result<Made, AuthorityError> {
        const DOING: &str = "issuing the hub's certificate";
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(making(DOING))?;
        let names = CertificateParams::new(names.to_vec()).map_err(making(DOING))?;
        let mut params = params(now, plus(now, life).min(self.not_after));
        params.subject_alt_names = names.subject_alt_names;
        params
            .distinguished_name
            .push(DnType::CommonName, "Tern hub");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params
            .signed_by(&key, &self.issuer)
            .map_err(making(DOING))?;
        let certificate = leaf.der().clone();
        Ok(Made { certificate, key })
    }

    /// A certificate for a client that is no device, and its key.
    pub(super) fn client(
        &self,
        common_name: &str,
        now: WallTime,
        life: Duration,
    ) -> Result<Made, AuthorityError> {
        const DOING: &str = "issuing the hub's certificate for its broker";
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(making(DOING))?;
        let mut params = params(now, plus(now, life).min(self.not_after));
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params
            .signed_by(&key, &self.issuer)
            .map_err(making(DOING))?;
        let certificate = leaf.der().clone();
        Ok(Made { certificate, key })
    }

    /// What signs.
    pub(super) const fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    /// Whether it signed this certificate.
    pub(super) fn signed(&self, leaf: &X509Certificate<'_>) -> bool {
        let Ok((_, own)) = X509Certificate::from_der(&self.certificate) else {
            return false;
        };
        leaf.issuer().as_raw() == own.subject().as_raw()
            && leaf.verify_signature(Some(own.public_key())).is_ok()
    }
}

fn subject(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.subject().as_raw().to_vec())
}

/// The subject of a certificate, to be written again.
fn name_of(certificate: &CertificateDer<'_>) -> Result<DistinguishedName, AuthorityError> {
    use x509_parser::asn1_rs::Tag;
    const UNREADABLE: AuthorityError =
        AuthorityError::Import("the certificate's subject cannot be read");
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| UNREADABLE)?;
    let mut name = DistinguishedName::new();
    for part in parsed.subject().iter_attributes() {
        let text = part.as_str().map_err(|_| UNREADABLE)?;
        let oid: Option<Vec<u64>> = part.attr_type().iter().map(Iterator::collect);
        let value = match part.attr_value().tag() {
            Tag::PrintableString => {
                DnValue::PrintableString(text.try_into().map_err(|_| UNREADABLE)?)
            }
            Tag::Ia5String => DnValue::Ia5String(text.try_into().map_err(|_| UNREADABLE)?),
            _ => DnValue::Utf8String(text.to_owned()),
        };
        name.push(DnType::from_oid(&oid.ok_or(UNREADABLE)?), value);
    }
    Ok(name)
}

/// Certificates as PEM.
pub(super) fn pem<'a>(
    certificates: impl IntoIterator<Item = &'a CertificateDer<'static>>,
) -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let mut text = String::new();
    for certificate in certificates {
        text += "-----BEGIN CERTIFICATE-----\n";
        let body = BASE64_STANDARD.encode(certificate);
        for line in body.as_bytes().chunks(64) {
            text += std::str::from_utf8(line).expect("Base64 is ASCII");
            text.push('\n');
        }
        text += "-----END CERTIFICATE-----\n";
    }
    text
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(in crate::access) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has random numbers");
    bytes
}

pub(super) fn plus(time: WallTime, by: Duration) -> WallTime {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    WallTime(time.0.saturating_add(by))
}

fn earlier(time: WallTime, by: Duration) -> WallTime {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    WallTime(time.0.saturating_sub(by))
}

/// The year 9999 is the last that a certificate can name.
pub(super) fn moment(time: WallTime) -> OffsetDateTime {
    let seconds = time
        .0
        .div_euclid(1_000)
        .clamp(-631_152_000, 253_402_300_799);
    OffsetDateTime::from_unix_timestamp(seconds).expect("the years 1950 to 9999 are moments")
}
