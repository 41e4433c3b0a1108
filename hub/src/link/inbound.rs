//! Hears devices: one task reads the socket, a few decode, in the order of each device.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use rumqttc::{
    AsyncClient, Event, EventLoop, Packet, Publish, QoS, SubAck, SubscribeFilter,
    SubscribeReasonCode,
};
use tern_protocol::{id::WorkspaceId, topic};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    message::{Envelope, Inbound, Unreadable},
    roster::{Admission, Roster},
    way::{End, Way},
};
use crate::{
    app::{App, Ready},
    broker::external::ExternalError,
    delivery::Wanted,
    fleet::{
        self,
        intake::{Freshness, Message, Said},
    },
    monitor::ingest::{Incoming, Ingest},
    store::{StoreError, chain},
    tap::Passing,
};

/// Messages that wait to be decoded, per decoder. When they are full the socket is not read, and
/// the broker holds what comes.
const WAITING: usize = 1_024;

/// Requests to the connection that wait to be written.
const REQUESTS: usize = 16;

/// Topic filters in one packet: AWS IoT Core takes no more.
const FILTERS: usize = 8;

/// Wait before the database is asked again for the workspaces.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// Decoders, at most. Decoding is about a tenth of the work of storing.
const DECODERS: usize = 4;

/// Where decoded messages go. Every task has its own copy; when all are gone, their receivers end.
#[derive(Clone)]
pub struct Sinks {
    /// What devices say of themselves.
    pub fleet: mpsc::Sender<Message>,
    /// Telemetry.
    pub ingest: Ingest,
    /// Wants.
    pub wants: mpsc::Sender<Wanted>,
}

/// Why devices are not heard.
#[derive(Debug, thiserror::Error)]
pub enum InboundError {
    /// The database does not say which devices there are.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The way to the broker is of no use.
    #[error(transparent)]
    Way(#[from] ExternalError),
}

/// Hears devices until `stop`; returns when all that was heard is handed on.
pub async fn run(
    app: App,
    way: Way,
    sinks: Sinks,
    ready: Arc<watch::Sender<Ready>>,
    stop: CancellationToken,
) -> Result<(), InboundError> {
    let (client, connection) = AsyncClient::new(way.options(End::In)?, REQUESTS);
    let roster = Roster::load(&app.store).await?;
    let decoders = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(DECODERS);
    let mut tasks = JoinSet::new();
    let mut queues = Vec::with_capacity(decoders);
    for _ in 0..decoders {
        let (queue, waiting) = mpsc::channel(WAITING);
        queues.push(queue);
        tasks.spawn(decode(app.clone(), waiting, sinks.clone()));
    }
    drop(sinks);
    let reader = Reader {
        app,
        way,
        roster,
        queues,
        client,
        unanswered: 0,
        subscribing: None,
    };
    tokio::select! {
        () = reader.read(connection, &ready) => {}
        () = stop.cancelled() => {}
    }
    ready.send_modify(|ready| ready.inbound = false);
    // The reader and with it the queues are gone: the decoders finish what waits.
    while tasks.join_next().await.is_some() {}
    Ok(())
}

/// A message with what the roster said of its device.
struct Admitted {
    envelope: Envelope,
    alive: bool,
}

struct Reader {
    app: App,
    way: Way,
    roster: Roster,
    queues: Vec<mpsc::Sender<Admitted>>,
    client: AsyncClient,
    /// Subscriptions that the broker has not answered since it is connected.
    unanswered: usize,
    subscribing: Option<AbortOnDropHandle<()>>,
}

impl Reader {
    async fn read(mut self, mut connection: EventLoop, ready: &watch::Sender<Ready>) {
        let known = self.roster.workspaces().cloned().collect();
        let subscribing = tokio::spawn(subscribe_to_new(
            self.app.clone(),
            self.client.clone(),
            known,
        ));
        let _ends_with_this = AbortOnDropHandle::new(subscribing);
        let mut trouble = self.way.trouble();
        loop {
            let failed = match connection.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    ready.send_modify(|ready| ready.broker = true);
                    self.take_in_new_workspaces().await;
                    self.subscribe();
                    continue;
                }
                Ok(Event::Incoming(Packet::SubAck(ack))) if is_granted(&ack) => {
                    self.unanswered = self.unanswered.saturating_sub(1);
                    if self.unanswered == 0 {
                        trouble.stands(Instant::now());
                        ready.send_modify(|ready| ready.inbound = true);
                        tracing::info!("hears devices");
                    }
                    continue;
                }
                Ok(Event::Incoming(Packet::SubAck(_))) => {
                    "the broker refuses to let the hub hear devices: check its access rules for \
                     `tern/1/+/d/+/up/#`"
                        .to_owned()
                }
                Ok(Event::Incoming(Packet::Publish(publish))) => {
                    self.handle(publish).await;
                    continue;
                }
                Ok(_) => continue,
                Err(err) => self.way.explain(&err),
            };
            ready.send_modify(|ready| {
                ready.inbound = false;
                ready.broker = ready.outbound;
            });
            self.app.counters.link_lost.one();
            let again_in = trouble.again_in(Instant::now());
            if trouble.is_news(&failed) {
                tracing::warn!(
                    reason = failed,
                    "no link to the broker, devices are not heard"
                );
            }
            self.subscribing = None;
            connection.clean();
            tokio::time::sleep(again_in).await;
            match self.way.options(End::In) {
                Ok(options) => connection.mqtt_options = options,
                Err(err) => tracing::warn!(error = chain(&err), "the old settings are used"),
            }
        }
    }

    /// Asks for all workspaces, in packets that every broker takes.
    fn subscribe(&mut self) {
        let filters = self
            .roster
            .workspaces()
            .map(|workspace| SubscribeFilter::new(topic::from_devices(workspace), QoS::AtLeastOnce))
            .collect::<Vec<_>>();
        self.unanswered = filters.len().div_ceil(FILTERS);
        let client = self.client.clone();
        let subscribing = tokio::spawn(async move {
            for some in filters.chunks(FILTERS) {
                // Only if the connection's task is gone, and the hub with it.
                if let Err(err) = client.subscribe_many(some.to_vec()).await {
                    tracing::debug!(error = %err, "could not subscribe to devices");
                }
            }
        });
        self.subscribing = Some(AbortOnDropHandle::new(subscribing));
    }

    async fn take_in_new_workspaces(&mut self) {
        if let Err(err) = self.roster.add_new(&self.app.store).await {
            tracing::warn!(error = chain(&err), "new workspaces are not heard yet");
        }
    }

    async fn handle(&mut self, publish: Publish) {
        let counters = &self.app.counters;
        counters.mqtt_messages.one();
        let envelope = match Envelope::open(&publish.topic, publish.retain, publish.payload) {
            Ok(envelope) => envelope,
            Err(err) => {
                counters.malformed.one();
                tracing::debug!(topic = publish.topic, error = %err, "message not understood");
                return;
            }
        };
        let now = self.app.clock.now();
        self.app.tap.tell(|| Passing {
            at: now,
            workspace: envelope.workspace.clone(),
            device: Some(envelope.device.clone()),
            topic: publish.topic.clone(),
            retained: publish.retain,
            payload: envelope.payload.clone(),
        });
        let Envelope {
            workspace, device, ..
        } = &envelope;
        if self.way.asks_for_identities() && !self.app.registry.speaks(workspace, device) {
            // The embedded broker has no such sessions. Others may let somebody in, or keep them in,
            // who may not speak any more.
            counters.refused_publishes.one();
            tracing::debug!(%workspace, %device, "no active identity speaks for this device");
            return;
        }
        let mut admission = self.roster.admit(workspace, device, now);
        if admission == Admission::NoWorkspace {
            // The first word from a workspace that was just made: others are not subscribed to.
            self.take_in_new_workspaces().await;
            admission = self.roster.admit(workspace, device, now);
        }
        let counters = &self.app.counters;
        let alive = match admission {
            Admission::Known => false,
            Admission::Due => true,
            Admission::NoWorkspace => {
                counters.malformed.one();
                return;
            }
            Admission::Full => {
                counters.devices_refused.one();
                return;
            }
        };
        let mut hasher = DefaultHasher::new();
        envelope.device.hash(&mut hasher);
        let decoder = hasher.finish() as usize % self.queues.len();
        // An error means that the decoder is gone, and with it the hub.
        let _ = self.queues[decoder]
            .send(Admitted { envelope, alive })
            .await;
    }
}

fn is_granted(ack: &SubAck) -> bool {
    !ack.return_codes.contains(&SubscribeReasonCode::Failure)
}

/// Subscribes to workspaces that are made while the hub runs. The reader does so again, for all, at
/// each connection.
async fn subscribe_to_new(app: App, client: AsyncClient, mut known: HashSet<WorkspaceId>) {
    loop {
        app.new_workspace.notified().await;
        let all = match fleet::workspaces(&app.store).await {
            Ok(all) => all,
            Err(err) => {
                tracing::warn!(error = chain(&err), "new workspaces are not heard yet");
                app.new_workspace.notify();
                tokio::time::sleep(ASK_AGAIN).await;
                continue;
            }
        };
        for workspace in all {
            let filter = topic::from_devices(&workspace);
            if known.insert(workspace)
                && let Err(err) = client.subscribe(filter, QoS::AtLeastOnce).await
            {
                // Only if the connection's task is gone, and the hub with it.
                tracing::debug!(error = %err, "could not subscribe to a new workspace");
            }
        }
    }
}

async fn decode(app: App, mut waiting: mpsc::Receiver<Admitted>, sinks: Sinks) {
    while let Some(Admitted { envelope, alive }) = waiting.recv().await {
        match envelope.read() {
            Ok(inbound) => hand_on(&app, &sinks, envelope, inbound, alive).await,
            Err(err) => refused(&app, &envelope, &err),
        }
        // Decoding is arithmetic without a pause: others get their turn.
        tokio::task::consume_budget().await;
    }
}

fn refused(app: &App, envelope: &Envelope, err: &Unreadable) {
    if envelope.payload.is_empty() && envelope.channel.retained() {
        // How MQTT clears a retained message: it says nothing, and that is no mistake.
        return;
    }
    app.counters.malformed.one();
    let Envelope {
        workspace,
        device,
        channel,
        ..
    } = envelope;
    tracing::debug!(%workspace, %device, ?channel, error = %err, "message not understood");
}

async fn hand_on(app: &App, sinks: &Sinks, envelope: Envelope, inbound: Inbound, alive: bool) {
    let received = app.clock.now();
    let Envelope {
        workspace,
        device,
        freshness,
        payload,
        ..
    } = envelope;
    let said = match inbound {
        Inbound::Link(link) => Some(Said::Link { link, freshness }),
        Inbound::State(reported) => Some(Said::State {
            reported,
            bytes: payload,
            freshness,
        }),
        Inbound::Log(batch) => {
            let (workspace, device) = (workspace.clone(), device.clone());
            sinks.ingest.offer(Incoming {
                workspace,
                device,
                batch,
                received,
            });
            (alive && freshness == Freshness::Live).then_some(Said::Something)
        }
        Inbound::Want(want) => {
            // A full queue drops it; the device wants again.
            let _ = sinks
                .wants
                .try_send((workspace.clone(), device.clone(), want));
            (alive && freshness == Freshness::Live).then_some(Said::Something)
        }
    };
    if let Some(said) = said {
        // Closed only when the hub stops, after this task.
        let _ = sinks
            .fleet
            .send(Message {
                workspace,
                device,
                received,
                said,
            })
            .await;
    }
}
