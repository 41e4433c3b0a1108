//! A certificate for browsers by ACME (RFC 8555), by TLS-ALPN-01 on the HTTPS port itself.
//!
//! Must never break: what fails is said and tried again; it never ends the hub. Account and
//! certificates lie where only the hub's owner can read.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::StreamExt as _;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use rustls_acme::{AcmeConfig, EventOk, ResolvesServerCertAcme, caches::DirCache};
use rustls_platform_verifier::BuilderVerifierExt as _;

use super::certificate::CertificateError;
use crate::{config::CertificateArgs, file_error::io_error, store::chain};

/// Directory of account and certificates in the data directory.
pub(crate) const DIR: &str = "acme";

/// What answers browsers and the authority, and what gets and renews the certificate.
pub(super) fn open(
    args: &CertificateArgs,
    data: &Path,
) -> Result<
    (
        Arc<ResolvesServerCertAcme>,
        impl Future<Output = ()> + Send + use<>,
    ),
    CertificateError,
> {
    let dir = data.join(DIR);
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&dir);
    made.and_then(|()| private(&dir))
        .map_err(io_error("preparing", &dir))?;
    let config = AcmeConfig::new_with_client_config(&args.acme_domains, client(args)?);
    let contacts = args.acme_contacts.iter();
    let mut state = config
        .contact(contacts.map(|mail| format!("mailto:{mail}")))
        .directory(&args.acme_directory)
        .cache(DirCache::new(dir.clone()))
        .state();
    let resolver = state.resolver();
    let keeping = async move {
        // It never ends, and waits longer after each failure.
        while let Some(event) = state.next().await {
            match event {
                Ok(EventOk::DeployedCachedCert | EventOk::DeployedNewCert) => {
                    tracing::info!("a certificate by ACME is shown to browsers");
                }
                Ok(EventOk::CertCacheStore | EventOk::AccountCacheStore) => {}
                Err(err) => tracing::warn!(
                    error = chain(&err),
                    "no certificate by ACME for now; it is tried again"
                ),
            }
            if let Err(err) = private(&dir) {
                tracing::warn!(error = %err, "the directory `acme` is not private");
            }
        }
    };
    Ok((resolver, keeping))
}

/// The directory and its files for nobody but their owner. Files are made readable by others, for a
/// moment, in a directory that is not.
fn private(dir: &Path) -> io::Result<()> {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(dir)? {
        let path: PathBuf = entry?.path();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

fn client(args: &CertificateArgs) -> Result<Arc<ClientConfig>, CertificateError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    let Some(path) = &args.acme_ca else {
        return Ok(Arc::new(
            builder.with_platform_verifier()?.with_no_client_auth(),
        ));
    };
    let unusable = || CertificateError::Unusable {
        path: path.clone(),
        what: "it has no certificate of an authority in PEM",
    };
    let mut roots = RootCertStore::empty();
    let read = CertificateDer::pem_file_iter(path).map_err(|_| unusable())?;
    for certificate in read {
        roots.add(certificate.map_err(|_| unusable())?)?;
    }
    if roots.is_empty() {
        return Err(unusable());
    }
    Ok(Arc::new(
        builder.with_root_certificates(roots).with_no_client_auth(),
    ))
}
