//! What the hub knows of its OpenID provider before it asks it.

use std::{fmt, net::IpAddr, path::PathBuf};

use openidconnect::{
    ClientId, ClientSecret, IssuerUrl,
    url::{Host, Url},
};
use ureq::tls::Certificate;

use super::rules::Rules;

/// Settings of the login by an OpenID provider.
pub struct Settings {
    /// The provider.
    pub issuer: IssuerUrl,
    /// As what it knows the hub.
    pub client: ClientId,
    /// With what the hub proves it; its `Debug` does not show it.
    pub secret: ClientSecret,
    /// The claim that names a person's account.
    pub user_claim: String,
    /// The claim with their groups.
    pub groups_claim: String,
    /// What groups give.
    pub rules: Rules,
    /// Who vouches for the provider instead of the authorities of the system.
    pub roots: Option<Vec<Certificate<'static>>>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Settings");
        shown.field("issuer", &self.issuer.as_str());
        shown.field("client", &self.client.as_str());
        shown.finish_non_exhaustive()
    }
}

/// Why there is no login by an OpenID provider.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Some settings are there and others are not.
    #[error(
        "a login by OpenID needs `--oidc-issuer`, `--oidc-client-id` and \
         `--oidc-client-secret-file` together; `{0}` is missing"
    )]
    Missing(&'static str),
    /// Nobody could log in.
    #[error(
        "nobody could log in by OpenID: give `--oidc-role GROUP=WORKSPACE:ROLE` or \
         `--oidc-hub-admin GROUP`"
    )]
    NoRules,
    /// The issuer is not an address that can be trusted.
    #[error("`--oidc-issuer {0}` is not an https address, nor an http address of this machine")]
    Issuer(String),
    /// There is no login at all.
    #[error("`--insecure-loopback` has no login; leave the `--oidc-` settings out")]
    NoLogin,
    /// A file cannot be read.
    #[error("reading {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// There is no secret in the file.
    #[error("{} is empty or has more than one line: it holds the client secret and nothing else", .0.display())]
    Secret(PathBuf),
    /// There is no certificate in the file.
    #[error("{} holds no certificate in PEM", .0.display())]
    Certificate(PathBuf),
}

/// An issuer: HTTPS, or HTTP on this machine, where nobody stands in between.
pub fn issuer(text: &str) -> Result<IssuerUrl, SettingsError> {
    let refused = || SettingsError::Issuer(text.into());
    let issuer = IssuerUrl::new(text.into()).map_err(|_| refused())?;
    let url = issuer.url();
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if plain && is_private_to_us(url) {
        Ok(issuer)
    } else {
        Err(refused())
    }
}

/// Whether nobody reads what is sent to an address.
pub(super) fn is_private_to_us(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.host().is_some(),
        "http" => is_loopback(url),
        _ => false,
    }
}

/// Whether an address is one of this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_one_that_nobody_can_pose_as() {
        for good in [
            "https://id.example",
            "https://id.example/realms/plant",
            "http://localhost:3000",
            "http://127.0.0.1",
            "http://[::1]:80",
        ] {
            assert!(issuer(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "id.example",
            "http://id.example",
            "http://localhost.evil.example",
            "http://10.0.0.1",
            "ftp://localhost",
            "https://id.example?tenant=1",
            "https://user@id.example",
        ] {
            assert!(issuer(bad).is_err(), "{bad}");
        }
    }
}
