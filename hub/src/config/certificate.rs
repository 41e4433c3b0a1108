//! Which certificate browsers see: the hub's own, one of the operator's, or one by ACME.

use std::path::PathBuf;

use crate::access::reach;

/// Where ACME certificates come from unless something else is said: Let's Encrypt.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Settings of the certificate for browsers. Devices always see the hub's own.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct CertificateArgs {
    /// Certificate that browsers and programs see, in PEM, followed by those between it and its
    /// root. Read again when it changes. Devices see that of the hub's own authority as before.
    #[arg(
        long,
        value_name = "FILE",
        requires = "https_key",
        conflicts_with = "insecure_loopback"
    )]
    pub https_certificate: Option<PathBuf>,
    /// Its key in PEM, unencrypted.
    #[arg(long, value_name = "FILE", requires = "https_certificate")]
    pub https_key: Option<PathBuf>,
    /// Get the certificate for this name from an ACME authority, which must reach the hub's HTTPS at
    /// port 443 of it. Repeatable.
    #[arg(
        long = "acme-domain", value_name = "NAME", value_parser = reach::name,
        conflicts_with_all = ["https_certificate", "insecure_loopback"]
    )]
    pub acme_domains: Vec<String>,
    /// Mail address that the ACME authority may write to. Repeatable.
    #[arg(long = "acme-contact", value_name = "MAIL", requires = "acme_domains")]
    pub acme_contacts: Vec<String>,
    /// The ACME authority.
    #[arg(long, value_name = "URL", default_value = LETS_ENCRYPT)]
    pub acme_directory: String,
    /// Who vouches for the ACME authority, in PEM, if this machine does not trust it.
    #[arg(long, value_name = "FILE", requires = "acme_domains")]
    pub acme_ca: Option<PathBuf>,
}

impl CertificateArgs {
    /// Whether everybody sees the certificate by the hub's own authority.
    pub fn is_own(&self) -> bool {
        self.https_certificate.is_none() && self.acme_domains.is_empty()
    }
}
