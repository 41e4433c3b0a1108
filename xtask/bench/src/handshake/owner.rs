//! Whoever owns the hub: sets it up and invites devices, over its API.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tern_protocol::{
    join::JoinToken,
    rest::{Invited, Join, Joined, Minted},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
};
use tokio_rustls::TlsConnector;
use ureq::{
    Agent,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

use crate::parts::{Hub, wait_for};

/// How long the hub may take to print its set-up link.
const START: Duration = Duration::from_secs(30);

/// One request. A hub that is flooded with joins answers each within seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// The account that the bench makes on its own hub.
const USER: &str = "bench";

/// Good for this hub alone, which lives as long as the bench.
const PASSWORD: &str = "a hub that lives for a minute";

pub(super) struct Owner {
    url: String,
    roots: Arc<Vec<Certificate<'static>>>,
    token: String,
}

impl Owner {
    pub(super) fn set_up(hub: &Hub) -> Result<Self> {
        // The name in its certificate; the address is the same.
        let url = hub.url.replace("127.0.0.1", "localhost");
        let mut owner = Self {
            url,
            roots: Arc::new(authorities(&hub.data.join("ca"))?),
            token: String::new(),
        };
        let link = wait_for("the set-up link", START, || {
            fs::read_to_string(hub.data.join("setup-link")).ok()
        })?;
        let (_, code) = link
            .trim()
            .split_once('#')
            .context("the link has no code")?;
        let setup = json!({"code": code, "user": USER, "password": PASSWORD});
        owner.post::<Value>("/api/v1/setup", &setup)?;
        let login = json!({
            "user": USER, "password": PASSWORD, "workspace": "default", "token": {"name": "bench"},
        });
        owner.token = owner.post::<Minted>("/api/v1/login/token", &login)?.token;
        Ok(owner)
    }

    /// The secret of an invitation for so many devices.
    pub(super) fn invite(&self, uses: u32) -> Result<String> {
        let invited: Invited = self.post(
            "/api/v1/w/default/invitations",
            &json!({"uses": uses, "site": "bench"}),
        )?;
        let token: JoinToken = invited.token.parse()?;
        Ok(token.secret)
    }

    /// Asks to join from a loopback address of its own, as devices of many sites do: the hub slows
    /// down a single address that asks too often.
    pub(super) async fn join(&self, source: Ipv4Addr, join: &Join) -> Result<Joined> {
        let mut roots = RootCertStore::empty();
        for root in self.roots.iter() {
            roots.add(CertificateDer::from(root.der().to_vec()))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (_, port) = self.url.rsplit_once(':').context("a URL has a port")?;
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        let hub = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?));
        let stream = socket.connect(hub).await?;
        let name = ServerName::try_from("localhost")?;
        let mut stream = TlsConnector::from(Arc::new(tls))
            .connect(name, stream)
            .await?;
        let body = serde_json::to_vec(join)?;
        let head = format!(
            "POST /api/v1/join HTTP/1.1\r\nhost: localhost:{port}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        // A server that closes without a goodbye has still said all.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        ensure!(head.starts_with("HTTP/1.1 200"), "joining: {answer}");
        serde_json::from_str(body).context("what the hub answers to a join")
    }

    /// Over a connection of its own, with a whole handshake, as devices do.
    fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::clone(&self.roots)))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .tls_config(tls)
            .build()
            .into();
        let mut request = agent.post(format!("{}{path}", self.url));
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        let mut answer = request.send_json(body).with_context(|| path.to_owned())?;
        if !answer.status().is_success() {
            let text = answer.body_mut().read_to_string().unwrap_or_default();
            bail!("{path}: {} {text}", answer.status());
        }
        answer
            .body_mut()
            .read_json()
            .with_context(|| path.to_owned())
    }
}

fn authorities(folder: &Path) -> Result<Vec<Certificate<'static>>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|end| end == "crt") {
            for item in parse_pem(&fs::read(&path)?) {
                if let PemItem::Certificate(certificate) = item? {
                    found.push(certificate);
                }
            }
        }
    }
    Ok(found)
}
