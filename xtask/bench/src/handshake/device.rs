//! One device, as far as joining and connecting go.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use rcgen::{CertificateParams, KeyPair};
use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, NetworkOptions, Packet, TlsConfiguration, Transport,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tern_protocol::{
    id::DeviceId,
    rest::{Credentials, Join, Joined as Answer},
};

use super::owner::Owner;

/// Rare enough to cost nothing while memory is read.
const KEEP_ALIVE: Duration = Duration::from_mins(2);

/// A device with its key and signing request, made beforehand: that is work of the device's.
pub(super) struct Device {
    id: DeviceId,
    /// Where it asks from.
    source: Ipv4Addr,
    key: KeyPair,
    csr: String,
}

/// A device that is in.
pub(super) struct Joined {
    key: KeyPair,
    credentials: Credentials,
}

/// A device that is connected.
pub(super) struct Connected {
    _client: AsyncClient,
    connection: EventLoop,
}

impl Device {
    pub(super) fn new(number: u32) -> Result<Self> {
        let key = KeyPair::generate()?;
        let csr = CertificateParams::default()
            .serialize_request(&key)?
            .pem()?;
        let id = format!("bench-{number:05}").parse()?;
        let [.., high, low] = number.to_be_bytes();
        let source = Ipv4Addr::new(127, 1, high, low);
        Ok(Self {
            id,
            source,
            key,
            csr,
        })
    }

    pub(super) async fn join(self, owner: &Owner, secret: &str) -> Result<Joined> {
        let join = Join {
            secret: secret.to_owned(),
            device: self.id,
            hardware_id: None,
            csr: self.csr,
        };
        match owner.join(self.source, &join).await? {
            Answer::Active(credentials) => Ok(Joined {
                key: self.key,
                credentials: *credentials,
            }),
            Answer::Pending { reason, .. } => bail!("a device has to wait: {reason}"),
        }
    }
}

impl Joined {
    /// Connects; done when the broker has said yes.
    pub(super) async fn connect(self, broker: &str) -> Result<Connected> {
        let (_, port) = broker.rsplit_once(':').context("an address has a port")?;
        let Credentials {
            workspace, device, ..
        } = &self.credentials;
        let id = format!("{workspace}/d/{device}");
        let mut options = MqttOptions::new(id, "localhost", port.parse()?);
        options.set_keep_alive(KEEP_ALIVE);
        let tls = TlsConfiguration::Rustls(Arc::new(self.tls()?));
        options.set_transport(Transport::tls_with_config(tls));
        let (client, mut connection) = AsyncClient::new(options, 4);
        // As the agent has it: else each connect waits 40 ms for an acknowledgement of TCP.
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        connection.set_network_options(network);
        loop {
            if let Event::Incoming(Packet::ConnAck(_)) = connection.poll().await? {
                return Ok(Connected {
                    _client: client,
                    connection,
                });
            }
        }
    }

    fn tls(&self) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(self.credentials.authorities.as_bytes()) {
            roots.add(authority?)?;
        }
        let chain = CertificateDer::pem_slice_iter(self.credentials.certificate.as_bytes());
        let chain = chain.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(self.key.serialize_pem().as_bytes())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Ok(ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?)
    }
}

impl Connected {
    /// Answers the broker until the connection ends.
    pub(super) async fn stay(mut self) {
        while self.connection.poll().await.is_ok() {}
    }
}
