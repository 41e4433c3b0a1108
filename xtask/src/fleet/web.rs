//! REST of the hub and of agents, where the command line has no word for it.

use std::{fs, path::Path, sync::Arc};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// A client that trusts one hub's authority alone.
pub struct Web {
    agent: ureq::Agent,
    token: String,
}

impl Web {
    /// Asks a hub that the authorities in this file (PEM) vouch for, as whoever this API token is of.
    pub fn new(ca: &Path, token: String) -> Result<Self> {
        let pem = fs::read(ca).with_context(|| ca.display().to_string())?;
        let mut roots: Vec<Certificate<'static>> = Vec::new();
        for item in parse_pem(&pem) {
            if let PemItem::Certificate(certificate) = item.context("the hub's authority")? {
                roots.push(certificate);
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(provider)
            .root_certs(RootCerts::from(roots))
            .build();
        let agent = ureq::Agent::config_builder().tls_config(tls).build();
        Ok(Self {
            agent: agent.new_agent(),
            token,
        })
    }

    /// JSON from an address of the hub.
    pub fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T> {
        let bearer = format!("Bearer {}", self.token);
        let asked = self.agent.get(url).header("authorization", bearer).call();
        read(url, asked)
    }
}

/// JSON from an agent: it answers this machine alone.
pub(super) fn get<T: DeserializeOwned>(url: &str) -> Result<T> {
    read(url, ureq::get(url).call())
}

fn read<T: DeserializeOwned>(
    url: &str,
    asked: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<T> {
    let mut response = asked.with_context(|| url.to_string())?;
    let read = response.body_mut().read_json();
    read.with_context(|| url.to_string())
}
