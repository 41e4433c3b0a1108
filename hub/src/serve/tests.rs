//! The whole hub in this process: real sockets, real broker, real database.

use std::{collections::BTreeMap, path::Path};

use rumqttc::{AsyncClient, Event, LastWill, MqttOptions, Packet, QoS, SubscribeFilter};
use tern_protocol::{
    blob::{Chunk, ChunkRange, Want},
    codec,
    desired::Desired,
    id::{BootId, DeviceId, OutboxId, Revision, Sequence, WorkspaceId},
    log::{Ack, Batch, Body, Entry, Event as Happened, EventKind},
    reported::{
        Link, OutboxReport, Platform, Reported, Resources, Serving, SlotReport, SlotVersion,
    },
    rest::{Abort, Health, NewRollout, RolloutState, Selector},
    time::{Instant, Uptime},
    topic::{Channel, Topic},
};
use tokio::{sync::mpsc, time::timeout};

use super::*;
use crate::{
    access::audit::Actor,
    fleet, registry,
    registry::fixture::package,
    rollout::{self, RolloutError},
};

/// Longest that anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

fn workspace() -> WorkspaceId {
    "default".parse().expect("a name")
}

fn config(dir: &Path) -> Config {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Config {
        broker: BrokerArgs::default(),
        data: dir.to_owned(),
        http: Some(any),
        mqtt: Some(any),
        insecure_loopback: true,
        names: vec!["localhost".into()],
        certificate_life: Duration::from_hours(24),
        expired_grace: Duration::from_hours(24),
        egress_limit: None,
        site_egress_limit: None,
        blob_egress_limit: None,
        downloads: 4,
        delta_budget: 1 << 20,
        artifact_quota: 1 << 30,
        datastore_roots: Vec::new(),
        blob_grace: Duration::from_hours(24),
        alert_every: Duration::from_secs(15),
        retrain_every: Duration::from_secs(5),
        scrub: crate::config::Scrub(None),
        log_format: crate::config::LogFormat::Text,
        certificate: crate::config::CertificateArgs::default(),
        retention: crate::config::Retention::default(),
        drift: crate::config::Drift::default(),
        jobs: crate::config::JobsArgs::off(),
        capture_keys: Vec::new(),
        database: crate::config::DatabaseArgs::default(),
        smtp: crate::config::SmtpArgs::default(),
        otlp: crate::config::OtlpArgs::default(),
        oidc: crate::config::OidcArgs::default(),
    }
}

/// Looks until it sees what is wanted.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            match look().await {
                Some(seen) => return seen,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let seen = timeout(PATIENCE, looking).await;
    seen.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// A hub that hears devices and can speak to them: what is said before is lost, and devices here say
/// nothing twice.
async fn ready(dir: &Path) -> Running {
    let running = start(config(dir)).await.expect("starts");
    let mut ready = running.app().ready.clone();
    let all = timeout(PATIENCE, ready.wait_for(|ready| ready.all())).await;
    all.expect("ready in time").expect("the hub runs");
    running
}

/// A device that does what the test tells it.
struct Device {
    id: DeviceId,
    client: AsyncClient,
    heard: mpsc::Receiver<Heard>,
}

#[derive(Debug)]
enum Heard {
    Desired(Desired),
    Ack(Ack),
    Chunk(Chunk),
}

impl Device {
    fn topic(id: &DeviceId, channel: Channel) -> String {
        let (workspace, device) = (workspace(), id.clone());
        Topic::Device {
            workspace,
            device,
            channel,
        }
        .to_string()
    }

    /// Connects, and does so again whenever the connection is lost. It listens when this returns:
    /// what it says next cannot be answered before it hears.
    async fn connect(name: &str, hub: SocketAddr) -> Self {
        let id: DeviceId = name.parse().expect("a name");
        let mut options = MqttOptions::new(name, hub.ip().to_string(), hub.port());
        let will = Link {
            online: false,
            boot: BootId(1),
        };
        let topic = Self::topic(&id, Channel::Link);
        options
            .set_max_packet_size(256 * 1024, 256 * 1024)
            .set_last_will(LastWill::new(
                topic,
                codec::encode(&will),
                QoS::AtLeastOnce,
                true,
            ));
        let (client, mut connection) = AsyncClient::new(options, 1_000);
        let (say, heard) = mpsc::channel(1_000);
        let (speaker, device) = (client.clone(), id.clone());
        let (listens, listening) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let mut listens = Some(listens);
            while !say.is_closed() {
                match connection.poll().await {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => {
                        let filters = [
                            format!("tern/1/default/d/{device}/down/#"),
                            "tern/1/default/b/+".to_owned(),
                        ]
                        .map(|filter| SubscribeFilter::new(filter, QoS::AtLeastOnce));
                        let _ = speaker.try_subscribe_many(filters);
                        let link = codec::encode(&Link {
                            online: true,
                            boot: BootId(1),
                        });
                        let topic = Self::topic(&device, Channel::Link);
                        let _ = speaker.try_publish(topic, QoS::AtLeastOnce, true, link);
                    }
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        let heard = understand(&publish.topic, &publish.payload);
                        let _ = say.send(heard).await;
                    }
                    Ok(Event::Incoming(Packet::SubAck(_))) => {
                        if let Some(listens) = listens.take() {
                            let _ = listens.send(());
                        }
                    }
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        });
        let listening = timeout(PATIENCE, listening).await;
        let _: () = listening
            .expect("in time")
            .expect("the connection's task lives");
        Self { id, client, heard }
    }

    async fn say(&self, channel: Channel, payload: Vec<u8>) {
        let topic = Self::topic(&self.id, channel);
        let said = self
            .client
            .publish(topic, QoS::AtLeastOnce, channel.retained(), payload)
            .await;
        said.expect("the connection's task lives");
    }

    async fn report(&self, answers: Revision, serving: Option<Serving>) {
        let reported = Reported {
            agent: "test".into(),
            now: Instant {
                boot: BootId(1),
                uptime: Uptime(1_000),
            },
            wall: None,
            site: "harbour".parse().expect("a name"),
            labels: BTreeMap::new(),
            platform: Platform::default(),
            resources: Resources::default(),
            answers,
            slots: vec![SlotReport {
                slot: "reader".parse().expect("a name"),
                serving,
                previous: None,
                progress: None,
                rejected: None,
                shadow: None,
            }],
            outbox: OutboxReport::default(),
            malformed: 0,
            trust: None,
            deltas: None,
            erased: None,
            captures: None,
        };
        self.say(Channel::State, codec::encode(&reported)).await;
    }

    async fn next(&mut self) -> Heard {
        let heard = timeout(PATIENCE, self.heard.recv()).await;
        heard
            .expect("something in time")
            .expect("the connection's task lives")
    }

    async fn desired(&mut self) -> Desired {
        loop {
            if let Heard::Desired(desired) = self.next().await {
                return desired;
            }
        }
    }

    async fn ack(&mut self) -> Ack {
        loop {
            if let Heard::Ack(ack) = self.next().await {
                return ack;
            }
        }
    }

    async fn chunk(&mut self) -> Chunk {
        loop {
            if let Heard::Chunk(chunk) = self.next().await {
                return chunk;
            }
        }
    }
}

fn understand(topic: &str, payload: &[u8]) -> Heard {
    match topic.parse().expect("a topic of ours") {
        Topic::Blob { .. } => Heard::Chunk(codec::decode(payload).expect("a chunk")),
        Topic::Device {
            channel: Channel::Ack,
            ..
        } => Heard::Ack(codec::decode(payload).expect("an ack")),
        Topic::Metadata { .. } => panic!("nobody here subscribes to metadata"),
        Topic::Device { .. } => Heard::Desired(codec::decode(payload).expect("a desired state")),
    }
}

fn all_of(version: u32) -> NewRollout {
    NewRollout {
        slot: "reader".parse().expect("a name"),
        model: "digits".parse().expect("a name"),
        version: tern_protocol::id::ModelVersion::new(version).expect("over 0"),
        selector: Selector::default(),
        percent: 100,
    }
}

async fn publish_a_model(app: &App, scale: f32) {
    let new = package(scale).upload(&app.blobs).await;
    let model = "digits".parse().expect("a name");
    registry::publish(app, &Actor::machine(), &workspace(), &model, new)
        .await
        .expect("passes vetting");
}

#[tokio::test(flavor = "multi_thread")]
async fn from_publishing_to_proof_of_serving_and_over_a_restart() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let running = ready(dir.path()).await;
    let app = running.app().clone();
    let Addresses { mqtt, http, .. } = running.addresses().clone();
    let mqtt = mqtt.expect("the broker is inside");
    let mut device = Device::connect("meter-01", mqtt).await;
    device.report(Revision(0), None).await;
    publish_a_model(&app, 1.0).await;
    let started = rollout::start(&app, &Actor::machine(), &workspace(), all_of(1))
        .await
        .expect("starts");

    // What is wanted goes out, and its bytes come when they are asked for.
    let desired = device.desired().await;
    assert_eq!((desired.revision, desired.slots.len()), (Revision(1), 1));
    let bundle = desired.slots[0].bundle;
    let ranges = vec![ChunkRange {
        first: 0,
        count: 100,
    }];
    let want = Want {
        blob: bundle.digest,
        ranges,
    };
    device.say(Channel::Want, codec::encode(&want)).await;
    let chunk = device.chunk().await;
    assert_eq!(
        tern_protocol::digest::Digest::of(&chunk.bytes),
        bundle.digest
    );
    assert!(app.counters.egress_bytes.get() >= bundle.len);

    // Proof of serving completes the rollout.
    let version = &started.version;
    let facts = registry::bundle_of(&app.store, &workspace(), &started.model, *version).await;
    let serving = Serving {
        version: SlotVersion {
            model: started.model.clone(),
            version: *version,
            bundle: bundle.digest,
        },
        weights: facts.expect("reads").expect("is published").weights,
        since: Instant::default(),
        inferences: 0,
        errors: 0,
        golden_difference: 0.0,
        confirmed: false,
    };
    device.report(Revision(1), Some(serving)).await;
    let show = async || {
        let view = rollout::show(&app, &workspace(), started.id)
            .await
            .expect("reads");
        view.expect("it was started")
    };
    eventually("the rollout to complete", async || {
        (show().await.state == RolloutState::Complete).then_some(())
    })
    .await;
    assert_eq!(
        (show().await.counts.serving, show().await.devices.len()),
        (1, 1)
    );
    let view = fleet::device(&app.store, &workspace(), &device.id)
        .await
        .expect("reads");
    let view = view.expect("it is known");
    assert_eq!(view.health, Health::Healthy, "{}", view.health_reason);
    assert!(
        view.slots[0]
            .serving
            .as_ref()
            .is_some_and(|serving| serving.proven)
    );

    // The hub starts again on the same directory and ports: the device is told again, unasked.
    running.stop().await;
    let config = Config {
        http: Some(http),
        mqtt: Some(mqtt),
        ..config(dir.path())
    };
    let again = async {
        loop {
            match start(config.clone()).await {
                Ok(running) => return running,
                // The broker's sockets close in the background.
                Err(ServeError::Broker(_)) => tokio::task::yield_now().await,
                Err(err) => panic!("{err}"),
            }
        }
    };
    let running = timeout(PATIENCE, again).await.expect("starts again");
    assert_eq!(device.desired().await, desired);
    let app = running.app().clone();
    assert!(
        app.counters.egress_bytes.get() >= bundle.len,
        "totals outlive the process"
    );

    // Abort takes the version back: there was nothing before, so nothing is wanted.
    rollout::abort(
        &app,
        &Actor::machine(),
        &workspace(),
        started.id,
        Abort::default(),
    )
    .await
    .expect("aborts");
    let mut back = device.desired().await;
    while back == desired {
        // It may come twice after a restart: as what is retained, and as what the hub publishes.
        back = device.desired().await;
    }
    assert_eq!((back.revision, back.slots), (Revision(2), vec![]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_acknowledged_after_they_are_stored() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let running = ready(dir.path()).await;
    let mut device = Device::connect(
        "meter-01",
        running.addresses().mqtt.expect("the broker is inside"),
    )
    .await;
    let now = Instant {
        boot: BootId(1),
        uptime: Uptime(5),
    };
    let entry = |sequence| Entry {
        sequence: Sequence(sequence),
        at: now,
        wall: None,
        body: Body::Event(Box::new(Happened {
            kind: EventKind::Started,
            slot: None,
            model: None,
            version: None,
            text: "hello".into(),
        })),
    };
    let batch = Batch {
        outbox: OutboxId(9),
        acked: Sequence(0),
        after: Sequence(0),
        now,
        entries: (1..=3).map(entry).collect(),
    };
    for _ in 0..2 {
        device.say(Channel::Log, codec::encode(&batch)).await;
        assert_eq!(
            device.ack().await,
            Ack {
                outbox: OutboxId(9),
                stored: Sequence(3)
            }
        );
    }
    let store = &running.app().store;
    let events = fleet::events(store, &workspace(), Some(&device.id), 10)
        .await
        .expect("reads");
    assert_eq!(events.len(), 3, "the second time counts for nothing");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_messages_are_counted_and_change_nothing() {
    const EACH: u64 = 250;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let running = ready(dir.path()).await;
    let app = running.app().clone();
    eventually("the hub to hear", async || {
        app.ready.borrow().all().then_some(())
    })
    .await;
    let device = Device::connect(
        "meter-01",
        running.addresses().mqtt.expect("the broker is inside"),
    )
    .await;
    device.report(Revision(0), None).await;
    let known = async || {
        let view = fleet::device(&app.store, &workspace(), &device.id)
            .await
            .expect("reads");
        view.filter(|view| view.site.as_str() == "harbour" && view.online)
    };
    let before = eventually("the device to appear", known).await;
    for n in 0..EACH {
        let garbage = [0xa1, 0xff, n as u8, 0x9f];
        device.say(Channel::Log, garbage.to_vec()).await;
        device.say(Channel::Want, vec![n as u8]).await;
        device.say(Channel::State, vec![0xff; n as usize + 1]).await;
        let topic = format!("tern/1/default/d/meter-01/up/x{n}");
        let said = device
            .client
            .publish(topic, QoS::AtLeastOnce, false, "?")
            .await;
        said.expect("the connection's task lives");
    }
    let counted = async || (app.counters.malformed.get() >= 4 * EACH).then_some(());
    eventually("all of it to be counted", counted).await;
    assert_eq!(app.counters.malformed.get(), 4 * EACH);
    assert_eq!(known().await, Some(before));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_directory_serves_one_hub_and_errors_say_what_to_do() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let running = ready(dir.path()).await;
    let second = start(config(dir.path()))
        .await
        .err()
        .expect("it is refused");
    assert!(second.to_string().contains("another tern-hub"), "{second}");
    let app = running.app();
    let refused = rollout::start(app, &Actor::machine(), &workspace(), all_of(1))
        .await
        .expect_err("no model");
    assert!(
        refused
            .to_string()
            .contains("tern model publish digits DIR"),
        "{refused}"
    );
    publish_a_model(app, 1.0).await;
    let refused = rollout::start(app, &Actor::machine(), &workspace(), all_of(7))
        .await
        .expect_err("no version");
    assert!(
        refused.to_string().contains("no version 7, only 1"),
        "{refused}"
    );
    let nobody = rollout::start(app, &Actor::machine(), &workspace(), all_of(1))
        .await
        .expect("is allowed");
    assert!(
        nobody.reason.contains("no device matches"),
        "{}",
        nobody.reason
    );
    let widen = tern_protocol::rest::Widen { percent: 50 };
    let refused = rollout::widen(app, &Actor::machine(), &workspace(), nobody.id, widen).await;
    assert!(
        matches!(refused, Err(RolloutError::Narrower { now: 100, .. })),
        "{refused:?}"
    );
    rollout::abort(
        app,
        &Actor::machine(),
        &workspace(),
        nobody.id,
        Abort::default(),
    )
    .await
    .expect("aborts");
    let refused = rollout::resume(app, &Actor::machine(), &workspace(), nobody.id).await;
    assert!(
        matches!(refused, Err(RolloutError::State { .. })),
        "{refused:?}"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_site_that_comes_back_at_once_finds_a_place() {
    // More than a listener has room for by default, and nobody accepts yet.
    const SITE: usize = 300;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = bind(any).await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..SITE {
        all.spawn(tokio::net::TcpStream::connect(address));
    }
    let connected = timeout(PATIENCE, all.join_all()).await;
    let connected = connected.expect("every one finds a place");
    assert_eq!(connected.iter().filter(|it| it.is_ok()).count(), SITE);
}
