//! How the hub asks others over HTTP: little time, and no further than it was sent.
//!
//! Called by whatever asks a server that whoever runs the hub has named: the OpenID provider, clusters. Webhooks have a
//! way of their own ([`crate::notify`]): where they may go is looked at for each address.

use std::{sync::Arc, time::Duration};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig},
};

/// A blocking client that believes the authorities of the system, or these instead. `time` is for all of one answer.
pub(crate) fn agent(roots: Option<&[Certificate<'static>]>, time: Duration) -> Agent {
    let roots = match roots {
        Some(roots) => RootCerts::new_with_certs(roots),
        None => RootCerts::PlatformVerifier,
    };
    let provider = rustls::crypto::ring::default_provider();
    let tls = TlsConfig::builder()
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(Arc::new(provider));
    // A server that sends the hub elsewhere could make it ask machines that only it can reach.
    let config = Agent::config_builder()
        .tls_config(tls.build())
        .timeout_global(Some(time))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent("tern-hub");
    config.build().new_agent()
}

/// The certificates in a text.
pub(crate) fn certificates(pem: &str) -> Result<Vec<Certificate<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let read = read.map_err(|_| "`ca` is no PEM".to_owned())?;
    if read.is_empty() {
        return Err("`ca` has no certificate in it; it is PEM".into());
    }
    let certificates = read.iter();
    Ok(certificates
        .map(|der| Certificate::from_der(der).to_owned())
        .collect())
}
