//! A broker of the operator's own, in place of the one inside the hub: where it is, how the hub knows
//! it, and how it knows the hub.
//!
//! Made by [`crate::config`]; `link` asks for a fresh set of connection options before each connection,
//! so renewed certificates and changed files need no restart. No socket in here.
//!
//! Must never break:
//! - a broker on another machine is spoken to over TLS 1.3 only, and its name and authority are checked;
//! - no secret is shown: neither a password nor a key.

use std::{
    fmt, fs,
    net::IpAddr,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use rumqttc::{MqttOptions, TlsConfiguration, Transport};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    version::TLS13,
};

use crate::{
    access::{
        authority::{Authorities, AuthorityError},
        reach::{self, host},
    },
    file_error::{FileError, io_error},
};

/// Longest file with a password that is read, in bytes. AWS and Azure take tokens of a few kilobytes.
const PASSWORD_MAX: usize = 16 * 1024;

/// Longest file with the broker's authorities, in bytes: devices keep a copy with their identity, in a
/// file of at most 64 KiB.
const AUTHORITIES_MAX: usize = 16 * 1024;

/// Where a broker is, as `mqtts://HOST:PORT`, or `mqtt://HOST:PORT` on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    /// A name of the DNS, or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether it is spoken to without TLS.
    pub plain: bool,
}

impl BrokerUrl {
    /// `HOST:PORT`.
    pub fn address(&self) -> String {
        format!("{}:{}", host(&self.host), self.port)
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.plain { "mqtt" } else { "mqtts" };
        write!(f, "{scheme}://{}", self.address())
    }
}

impl FromStr for BrokerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const SHAPE: &str = "a broker is as `mqtts://broker.example:8883`";
        let (plain, rest) = match text.split_once("://") {
            Some(("mqtts", rest)) => (false, rest),
            Some(("mqtt", rest)) => (true, rest),
            _ => return Err(SHAPE.into()),
        };
        let default = if plain { 1883 } else { 8883 };
        let (host, port) = host_and_port(rest.trim_end_matches('/'), Some(default))
            .ok_or_else(|| SHAPE.to_owned())?;
        if plain && !is_here(&host) {
            return Err(format!(
                "`mqtt://` has no TLS, so it works on this machine only, and {host} is not; use \
                 `mqtts://`, or an address such as 127.0.0.1"
            ));
        }
        Ok(Self { host, port, plain })
    }
}

/// `HOST:PORT` as devices are told it.
pub fn address(text: &str) -> Result<String, String> {
    let read = host_and_port(text, None);
    let read = read.map(|(name, port)| format!("{}:{port}", host(&name)));
    read.ok_or_else(|| "an address is as `broker.example:8883`".into())
}

fn host_and_port(text: &str, default: Option<u16>) -> Option<(String, u16)> {
    let bare = |name: &str| reach::name(name.trim_start_matches('[').trim_end_matches(']')).ok();
    let (name, port) = match text.rsplit_once(':') {
        // The last group of an address in brackets is no port.
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()?),
        _ => (text, default?),
    };
    (port > 0).then_some((bare(name)?, port))
}

fn is_here(host: &str) -> bool {
    let ip: Option<IpAddr> = host.parse().ok();
    ip.map_or(host == "localhost", |ip| ip.is_loopback())
}

/// How the broker knows the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// By a certificate of the hub's own authority, made anew for each connection.
    Own,
    /// By a certificate and key from these files.
    Files {
        /// PEM, leaf first.
        certificate: PathBuf,
        /// PEM.
        key: PathBuf,
    },
    /// By nothing but a password, if there is one: what `mqtt://` has.
    Nothing,
}

/// A user and where its password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password and nothing else; white space at its end is not part of it.
    pub password: PathBuf,
}

/// What has to be known of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it is.
    pub url: BrokerUrl,
    /// What devices are told, best first.
    pub addresses: Vec<String>,
    /// Certificates that vouch for it, PEM; the hub's own authorities if there is none.
    pub authority: Option<PathBuf>,
    /// How it knows the hub.
    pub credential: Credential,
    /// A user besides, or instead.
    pub user: Option<User>,
    /// What the client ids and the names of the hub's own certificates begin with.
    pub client_id: String,
    /// Whether devices need an identity; not so at an insecure hub.
    pub identities: bool,
}

/// The broker, with all it takes to connect to it.
#[derive(Clone)]
pub struct External {
    settings: Arc<Settings>,
    authorities: Authorities,
}

/// Why the hub cannot connect to its broker as it was told.
#[derive(Debug, thiserror::Error)]
pub enum ExternalError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is not what it should be.
    #[error("{}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The hub cannot vouch for itself.
    #[error("making the hub's certificate for its broker")]
    Authority(#[from] AuthorityError),
    /// TLS does not take what it was given.
    #[error("preparing TLS to the broker")]
    Tls(#[from] rustls::Error),
}

impl External {
    /// A broker with these settings, for a hub with these authorities.
    pub fn new(settings: Settings, authorities: Authorities) -> Self {
        Self {
            settings: Arc::new(settings),
            authorities,
        }
    }

    /// Where it is.
    pub fn url(&self) -> &BrokerUrl {
        &self.settings.url
    }

    /// What devices are told, best first.
    pub fn addresses(&self) -> &[String] {
        &self.settings.addresses
    }

    /// Whether only devices with an active identity are heard.
    pub fn identities(&self) -> bool {
        self.settings.identities
    }

    /// Options for a connection as the client `{client_id}-{name}`, from files as they are now.
    pub fn options(&self, name: &str) -> Result<MqttOptions, ExternalError> {
        let settings = &*self.settings;
        let id = format!("{}-{name}", settings.client_id);
        let url = &settings.url;
        let mut options = MqttOptions::new(&id, url.host.as_str(), url.port);
        if let Some(user) = &settings.user {
            options.set_credentials(user.name.as_str(), password(&user.password)?);
        }
        if !url.plain {
            let tls = Arc::new(self.tls(&id)?);
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
        }
        Ok(options)
    }

    /// Certificates (PEM) that vouch for the broker to devices, if they are not the hub's own.
    pub fn authorities(&self) -> Result<Option<String>, ExternalError> {
        let Some(path) = &self.settings.authority else {
            return Ok(None);
        };
        certificates(path)?;
        let text = text(path)?;
        if text.len() > AUTHORITIES_MAX {
            return Err(ExternalError::Content {
                path: path.clone(),
                what: "it is too long for devices: name the one or two authorities of the broker",
            });
        }
        Ok(Some(text))
    }

    fn tls(&self, id: &str) -> Result<ClientConfig, ExternalError> {
        let mut roots = RootCertStore::empty();
        let anchors = match &self.settings.authority {
            Some(path) => certificates(path)?,
            None => self.authorities.trusted().anchors(),
        };
        for anchor in anchors {
            roots.add(anchor)?;
        }
        let time = self.authorities.time();
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_details(provider, time)
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots);
        Ok(match &self.settings.credential {
            Credential::Own => {
                let (chain, key) = self.authorities.client(id)?;
                builder.with_client_auth_cert(chain, key)?
            }
            Credential::Files {
                certificate,
                key: path,
            } => {
                let chain = certificates(certificate)?;
                let key = PrivateKeyDer::from_pem_slice(text(path)?.as_bytes());
                let key = key.map_err(|_| ExternalError::Content {
                    path: path.clone(),
                    what: "it is not a key in PEM, unencrypted",
                })?;
                builder.with_client_auth_cert(chain, key)?
            }
            Credential::Nothing => builder.with_no_client_auth(),
        })
    }
}

fn text(path: &Path) -> Result<String, ExternalError> {
    Ok(fs::read_to_string(path).map_err(io_error("reading", path))?)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ExternalError> {
    let text = text(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let all = all.ok().filter(|all| !all.is_empty());
    all.ok_or_else(|| ExternalError::Content {
        path: path.to_owned(),
        what: "there is no certificate in PEM in it",
    })
}

fn password(path: &Path) -> Result<String, ExternalError> {
    let text = text(path)?;
    let password = text.trim_end();
    if (1..=PASSWORD_MAX).contains(&password.len()) {
        Ok(password.to_owned())
    } else {
        Err(ExternalError::Content {
            path: path.to_owned(),
            what: "it holds no password, or one that is too long",
        })
    }
}

#[cfg(test)]
mod tests;
