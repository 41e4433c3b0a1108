//! The certificate that browsers see: the hub's own, or one from files that may change.
//!
//! Must never break: what is shown fits its key and was valid when it was read; files that are wrong
//! keep a hub from starting, and change nothing in one that runs.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    client::verify_server_name,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    server::ParsedCertificate,
    sign::CertifiedKey,
};
use rustls_acme::ResolvesServerCertAcme;
use tokio::sync::watch;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Part, acme, boxed};
use crate::{
    clock::Clock,
    config::Config,
    file_error::{FileError, io_error},
    store::chain,
};

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);

/// What everybody but devices is shown.
#[derive(Debug)]
pub(super) enum Shown {
    /// The certificate by the hub's own authority.
    Own,
    /// One from the operator's files.
    Operators(watch::Receiver<Arc<CertifiedKey>>),
    /// One by ACME, once there is one.
    Acme(Arc<ResolvesServerCertAcme>),
}

/// Why a certificate cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file or directory cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// What is in a file is of no use.
    #[error("{}: {what}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: &'static str,
    },
    /// Certificate and key are of no use together.
    #[error("{} is not the key of the certificate in {}", key.display(), certificate.display())]
    Pair {
        /// File of the key.
        key: PathBuf,
        /// File of the certificate.
        certificate: PathBuf,
        /// What TLS says.
        #[source]
        source: rustls::Error,
    },
    /// TLS to the ACME authority cannot be had.
    #[error("preparing TLS to the ACME authority")]
    Tls(#[from] rustls::Error),
}

/// What browsers are shown, and what keeps it up to date.
pub(super) fn open(
    config: &Config,
    data: &Path,
    clock: &Clock,
) -> Result<(Shown, Part), CertificateError> {
    let args = &config.certificate;
    if let (Some(certificate), Some(key)) = (&args.https_certificate, &args.https_key) {
        let files = Files {
            certificate: certificate.clone(),
            key: key.clone(),
            names: config.names.clone(),
            clock: clock.clone(),
        };
        let read = files.read()?;
        let sender = watch::Sender::new(files.check(&read)?);
        let shown = Shown::Operators(sender.subscribe());
        return Ok((shown, boxed(files.keep(read, sender))));
    }
    if args.acme_domains.is_empty() {
        return Ok((Shown::Own, boxed(std::future::pending())));
    }
    let (resolver, keeping) = acme::open(args, data)?;
    Ok((Shown::Acme(resolver), boxed(keeping)))
}

/// The operator's files.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    names: Vec<String>,
    clock: Clock,
}

/// What stood in them: certificate and key.
type Read = (Vec<u8>, Vec<u8>);

impl Files {
    fn read(&self) -> Result<Read, CertificateError> {
        Ok((read(&self.certificate)?, read(&self.key)?))
    }

    fn check(&self, (certificate, key): &Read) -> Result<Arc<CertifiedKey>, CertificateError> {
        let unusable = |path: &Path, what| CertificateError::Unusable {
            path: path.to_owned(),
            what,
        };
        let wrong = |what| unusable(&self.certificate, what);
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain.map_err(|_| wrong("it is damaged PEM"))?;
        let leaf = chain.first().ok_or_else(|| {
            wrong("it has no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----")
        })?;
        let (_, parsed) = X509Certificate::from_der(leaf)
            .map_err(|_| wrong("its first certificate is damaged"))?;
        let now = self.clock.now().0 / 1_000;
        if now < parsed.validity().not_before.timestamp() {
            return Err(wrong(
                "its first certificate is not valid yet; check the clock",
            ));
        }
        if now >= parsed.validity().not_after.timestamp() {
            return Err(wrong("its first certificate has expired; renew it"));
        }
        self.warn_of_names(leaf);
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
            unusable(
                &self.key,
                "it has no unencrypted key in PEM; `openssl pkey -in FILE -out KEY` makes one",
            )
        })?;
        let pair = CertifiedKey::from_der(chain.clone(), key, &ring::default_provider());
        pair.map(Arc::new).map_err(|source| CertificateError::Pair {
            key: self.key.clone(),
            certificate: self.certificate.clone(),
            source,
        })
    }

    /// Names that it does not hold for: whoever uses one of them is warned by their browser.
    fn warn_of_names(&self, leaf: &CertificateDer<'_>) {
        let Ok(parsed) = ParsedCertificate::try_from(leaf) else {
            return;
        };
        for name in &self.names {
            let held = ServerName::try_from(name.as_str())
                .is_ok_and(|name| verify_server_name(&parsed, &name).is_ok());
            if !held {
                tracing::warn!(
                    name,
                    certificate = %self.certificate.display(),
                    "the certificate for browsers does not hold for this `--name`; who comes by it \
                     is not let through by a browser"
                );
            }
        }
    }

    /// Looks at the files for ever, and shows what they hold once it is good.
    async fn keep(self, mut last: Read, shown: watch::Sender<Arc<CertifiedKey>>) {
        let files = Arc::new(self);
        let mut unreadable = false;
        loop {
            tokio::time::sleep(LOOK).await;
            let own = Arc::clone(&files);
            let Ok(read) = tokio::task::spawn_blocking(move || own.read()).await else {
                continue;
            };
            let checked = match read {
                Ok(read) if read == last => {
                    unreadable = false;
                    continue;
                }
                Ok(read) => {
                    unreadable = false;
                    let checked = files.check(&read);
                    last = read;
                    checked
                }
                Err(_) if unreadable => continue,
                Err(err) => {
                    unreadable = true;
                    Err(err)
                }
            };
            match checked {
                Ok(pair) => {
                    shown.send_replace(pair);
                    tracing::info!("the certificate for browsers changed");
                }
                // Said once for what the files hold; they may be in the middle of being changed.
                Err(err) => tracing::warn!(
                    error = chain(&err),
                    "the new certificate for browsers is of no use; the one before is still shown"
                ),
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    Ok(fs::read(path).map_err(io_error("reading", path))?)
}
