//! Real TLS handshakes at a real door, with a real broker behind it.

use std::net::Ipv4Addr;

use rcgen::{CertificateParams, KeyPair};
use rumqttc::{
    AsyncClient, Event, EventLoop, Incoming, LastWill, MqttOptions, Packet, QoS, TlsConfiguration,
    Transport,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tern_protocol::{
    id::{IdentityId, WorkspaceId},
    join::JoinToken,
    rest,
};

use super::*;
use crate::{
    access::{audit::Actor, identity},
    app::{self, App},
    broker::Broker,
    clock::Clock,
    store::Store,
};

/// Longest that any of these takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest from a revocation to the end of the session.
const CUT: Duration = Duration::from_secs(2);

struct World {
    _dir: tempfile::TempDir,
    app: App,
    broker: Broker,
    door: Door,
}

/// What a device has after joining.
struct Joined {
    identity: IdentityId,
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
    name: String,
}

fn workspace() -> WorkspaceId {
    "default".parse().expect("a name")
}

async fn world() -> World {
    world_for(HANDSHAKES).await
}

/// One whose door does so many handshakes at a time.
async fn world_for(handshakes: usize) -> World {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(dir.path()).await.expect("opens");
    let app = app::over(dir.path(), store, Clock::system()).await;
    let broker = Broker::start(None, Arc::clone(&app.counters)).await;
    let broker = broker.expect("starts");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let behind = Behind {
        tls: app.authorities.tls(),
        registry: app.registry.clone(),
        broker: broker.devices,
        seats: broker.seats.clone(),
        counters: Arc::clone(&app.counters),
    };
    let door = Door::open_for(handshakes, listener.expect("binds"), behind).expect("opens");
    World {
        _dir: dir,
        app,
        broker,
        door,
    }
}

impl World {
    async fn join(&self, device: &str) -> Joined {
        let new: rest::NewInvitation = serde_json::from_str("{}").expect("has defaults");
        let invited = identity::invite(&self.app, &workspace(), new, &Actor::hub()).await;
        let token: JoinToken = invited.expect("invites").token.parse().expect("a token");
        let key = KeyPair::generate().expect("a key");
        let request = CertificateParams::default().serialize_request(&key);
        let join = rest::Join {
            secret: token.secret,
            device: device.parse().expect("a name"),
            hardware_id: None,
            csr: request.expect("signs").pem().expect("is PEM"),
        };
        let joined = identity::join(&self.app, &join, None).await.expect("joins");
        let rest::Joined::Active(credentials) = joined else {
            panic!("it waits");
        };
        let pem = credentials.certificate;
        let chain = CertificateDer::pem_slice_iter(pem.as_bytes());
        let chain: Vec<_> = chain.collect::<Result<_, _>>().expect("is PEM");
        Joined {
            identity: self
                .app
                .registry
                .admit(&chain)
                .expect("it may speak")
                .identity,
            chain,
            key,
            name: format!("default/d/{device}"),
        }
    }

    fn options(&self, device: Option<&Joined>, id: &str) -> MqttOptions {
        let mut roots = RootCertStore::empty();
        let tls = self.app.authorities.tls();
        let own = Arc::clone(&tls.borrow().own);
        for certificate in &own.cert[1..] {
            roots.add(certificate.clone()).expect("a certificate");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ring speaks it")
            .with_root_certificates(roots);
        let config = match device {
            Some(device) => {
                let key = PrivateKeyDer::Pkcs8(device.key.serialize_der().into());
                config.with_client_auth_cert(device.chain.clone(), key)
            }
            None => Ok(config.with_no_client_auth()),
        };
        let mut options = MqttOptions::new(id, "localhost", self.door.address.port());
        let config = Arc::new(config.expect("key and certificate fit"));
        options
            .set_max_packet_size(1024 * 1024, 1024 * 1024)
            .set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(config)));
        options
    }

    async fn enter(&self, device: &Joined) -> (AsyncClient, EventLoop) {
        let (client, mut connection) =
            AsyncClient::new(self.options(Some(device), &device.name), 10);
        until(&mut connection, |packet| {
            matches!(packet, Packet::ConnAck(_))
        })
        .await
        .expect("gets in");
        (client, connection)
    }

    async fn refused(&self, options: MqttOptions, why: &str) {
        let (_client, mut connection) = AsyncClient::new(options, 10);
        until(&mut connection, |_| true).await.expect_err(why);
    }

    async fn end(self) {
        self.door.close().await;
        self.broker.stop();
    }
}

async fn until(
    connection: &mut EventLoop,
    mut wanted: impl FnMut(&Incoming) -> bool,
) -> Result<(), String> {
    let polling = async {
        loop {
            match connection.poll().await {
                Ok(Event::Incoming(packet)) if wanted(&packet) => return Ok(()),
                Ok(_) => {}
                Err(err) => return Err(err.to_string()),
            }
        }
    };
    let polled = tokio::time::timeout(PATIENCE, polling).await;
    polled.expect("it does not hang")
}

async fn lives(client: &AsyncClient, connection: &mut EventLoop, device: &Joined) {
    let topic = format!("tern/1/{}/up/log", device.name);
    let said = client.publish(topic, QoS::AtLeastOnce, false, "x").await;
    said.expect("room in the queue");
    until(connection, |packet| matches!(packet, Packet::PubAck(_)))
        .await
        .expect("its session lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_joined_gets_in_and_who_has_not_does_not() {
    let world = world().await;
    let meter = world.join("meter").await;
    let (client, mut connection) = world.enter(&meter).await;
    lives(&client, &mut connection, &meter).await;
    world
        .refused(world.options(None, &meter.name), "no certificate")
        .await;

    // Its name, in a certificate that it made itself.
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    let names = &mut params.distinguished_name;
    names.push(rcgen::DnType::CommonName, meter.name.clone());
    let forged = Joined {
        identity: meter.identity,
        chain: vec![params.self_signed(&key).expect("signs").der().clone()],
        key,
        name: meter.name.clone(),
    };
    world
        .refused(
            world.options(Some(&forged), &forged.name),
            "a wrong authority",
        )
        .await;

    // Another device's client id: refused, and that device's session does not notice.
    let other = world.join("other").await;
    world
        .refused(world.options(Some(&other), &meter.name), "not its name")
        .await;
    lives(&client, &mut connection, &meter).await;

    // A last will in another device's name.
    let mut options = world.options(Some(&other), &other.name);
    let topic = format!("tern/1/{}/up/link", meter.name);
    options.set_last_will(LastWill::new(topic, "x", QoS::AtLeastOnce, true));
    world.refused(options, "not its topic").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_cuts_the_session_and_it_stays_out() {
    let world = world().await;
    let meter = world.join("meter").await;
    let other = world.join("other").await;
    let (_client, mut connection) = world.enter(&meter).await;
    let (calm, mut stays) = world.enter(&other).await;
    let (workspace, actor) = (workspace(), Actor::hub());
    identity::revoke(&world.app, &workspace, meter.identity, "stolen", &actor)
        .await
        .expect("revokes");
    tokio::time::timeout(CUT, until(&mut connection, |_| false))
        .await
        .expect("in time")
        .expect_err("it is cut");
    world
        .refused(world.options(Some(&meter), &meter.name), "revoked")
        .await;
    lives(&calm, &mut stays, &other).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_its_own_is_refused() {
    let world = world().await;
    let meter = world.join("meter").await;
    for (topic, len) in [
        ("tern/1/default/d/other/up/log", 10),
        ("tern/1/theirs/d/meter/up/log", 10),
        ("tern/1/default/d/meter/down/desired", 10),
        ("tern/1/default/d/meter/up/log", 200 * 1024),
    ] {
        let (client, mut connection) = world.enter(&meter).await;
        let said = client.publish(topic, QoS::AtLeastOnce, false, vec![0; len]);
        said.await.expect("room in the queue");
        until(&mut connection, |packet| {
            matches!(packet, Packet::PubAck(_))
        })
        .await
        .expect_err(topic);
    }
    let (client, mut connection) = world.enter(&meter).await;
    for filter in [
        "#",
        "tern/1/default/d/+/down/desired",
        "$SYS/#",
        "tern/1/theirs/b/+",
    ] {
        let asked = client.subscribe(filter, QoS::AtLeastOnce).await;
        asked.expect("room in the queue");
        let refused = until(&mut connection, |packet| match packet {
            Packet::SubAck(ack) => {
                assert_eq!(ack.return_codes, [rumqttc::SubscribeReasonCode::Failure]);
                true
            }
            _ => false,
        });
        refused.await.expect(filter);
    }
    assert_eq!(world.app.counters.refused_subscriptions.get(), 4);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_of_one_address_keeps_no_device_of_another_out() {
    const ALL: usize = 200;
    let world = world_for(ALL).await;
    let meter = world.join("meter").await;
    let mut silent = Vec::new();
    // More than there is room for: it is their lane that holds them back.
    for _ in 0..ALL + 100 {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        let from = (Ipv4Addr::new(127, 0, 0, 2), 0);
        socket
            .bind(from.into())
            .expect("an address of this machine");
        silent.push(socket.connect(world.door.address).await.expect("connects"));
    }
    let (client, mut connection) = tokio::time::timeout(HANDSHAKE / 2, world.enter(&meter))
        .await
        .expect("it does not wait for those who are silent");
    lives(&client, &mut connection, &meter).await;
    drop(silent);
    world.end().await;
}
