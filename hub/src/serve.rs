//! Where all parts meet: what is started, in which order, who hands what to whom, and how it ends.

pub(crate) mod acme;
mod certificate;
mod https;
mod limits;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum_server::Handle;
use tern_otlp::Export;
use tern_protocol::rest::DeliveryLimits;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    access::{
        authority::{Authorities, AuthorityError},
        identity::Registry,
        people::{People, PeopleError, link, oidc},
        reach::{Ports, Reach},
    },
    alerts,
    api::{self, Trust},
    app::{App, Ready, Wake},
    blobs::{BlobError, Blobs},
    broker::{
        BACKLOG, BIND_AGAIN, BIND_GRACE, Broker, BrokerError,
        external::{External, ExternalError},
        files,
    },
    captures::{
        self, Desk,
        seal::{KeyError, Keys},
    },
    changes::Changes,
    clock::Clock,
    config::{
        BrokerArgs, BrokerSettingsError, Config, DatabaseSettingsError, NotLoopback,
        SmtpSettingsError,
    },
    counters::{self, Answers, Counters},
    dashboard,
    data_dir::{Addresses, DataDir, DataDirError},
    datasets,
    delivery::{self, carousel::Limits, egress::Egress, ledger::Ledger},
    deltas,
    door::{Behind, Door},
    fleet::intake,
    garbage,
    link::{
        inbound::{self, Sinks},
        outbound::{self, Again, Senders},
        way::Way,
    },
    monitor::{self, ingest::Ingest},
    notify::{self, Courier, mail::Mailer},
    registry::vetting::Program,
    rollout, scrub,
    store::{Store, StoreError, chain},
    tap::Tap,
    tracking, trust,
};

/// Longest that open HTTP requests may take when the hub stops. Streams never end by themselves.
const HTTP_GRACE: Duration = Duration::from_secs(2);

/// Longest that one part may take to hand on what it has when the hub stops. A commit takes a
/// fraction of a second; a disk that is gone must not keep the process for ever.
const PART_GRACE: Duration = Duration::from_secs(10);

/// Why the hub does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The settings of the database cannot be used.
    #[error(transparent)]
    Database(#[from] DatabaseSettingsError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blobs cannot be used.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The certificate authorities cannot be used.
    #[error(transparent)]
    Authorities(#[from] AuthorityError),
    /// The broker does not start.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The settings of a broker of the operator's own do not fit together.
    #[error(transparent)]
    BrokerSettings(#[from] BrokerSettingsError),
    /// A broker of the operator's own cannot be reached with these settings.
    #[error("the broker of `--broker`")]
    External(#[from] ExternalError),
    /// What is insecure would be open to other machines.
    #[error(transparent)]
    NotLoopback(#[from] NotLoopback),
    /// The login by an OpenID provider is set up wrongly.
    #[error(transparent)]
    Oidc(#[from] oidc::SettingsError),
    /// A key for captures cannot be used.
    #[error("the key of `--capture-key`")]
    CaptureKey(#[from] KeyError),
    /// The mail server is set up wrongly.
    #[error(transparent)]
    Smtp(#[from] SmtpSettingsError),
    /// The MQTT address is not free.
    #[error("binding MQTT to {address}; stop what listens there or choose another `--mqtt`")]
    Mqtt {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The HTTP address is not free.
    #[error("binding HTTP to {address}; stop what listens there or choose another `--http`")]
    Http {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The first account cannot be offered.
    #[error("offering the first account")]
    People(#[from] PeopleError),
    /// The link of the first account cannot be written.
    #[error("writing the link of the first account to {}", path.display())]
    FirstLink {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The certificate for browsers cannot be used.
    #[error("the certificate for browsers")]
    Certificate(#[from] certificate::CertificateError),
    /// The operating system does not tell about signals.
    #[error("listening to signals")]
    Signals(#[source] io::Error),
    /// A part ended that should run as long as the hub.
    #[error("a part of the hub ended unexpectedly; the log says which")]
    PartEnded,
}

/// Runs a hub until SIGTERM or Ctrl-C, then ends it gracefully.
pub async fn serve(config: Config, export: Option<Arc<Export>>) -> Result<(), ServeError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let running = start(config).await?;
    let telling = export.map(|export| tokio::spawn(tell(running.app().clone(), export)));
    let store = running.app().store.clone();
    let ended = tokio::select! {
        // Not gracefully: another hub has the database, and what this one remembers is no longer so. All that
        // was acknowledged is committed.
        lost = store.lost() => {
            running.abandon();
            return Err(lost.into());
        }
        _ = terminate.recv() => Ok(()),
        pressed = tokio::signal::ctrl_c() => pressed.map_err(ServeError::Signals),
        () = running.part_ended.cancelled() => Err(ServeError::PartEnded),
    };
    tracing::info!("stopping");
    if let Some(telling) = telling {
        telling.abort();
    }
    running.stop().await;
    tracing::info!("stopped; all that was acknowledged is on the disk");
    ended
}

/// Tells a collector what `/metrics` says, again and again. Instruments read it a moment later.
async fn tell(app: App, export: Arc<Export>) {
    let every = export.interval() / 2;
    loop {
        match api::numbers(&app, |_| true).await {
            Ok(text) => export.tell(&text),
            Err(err) => tracing::debug!(error = chain(&err), "numbers for the collector are old"),
        }
        tokio::time::sleep(every).await;
    }
}

/// A hub that runs.
pub struct Running {
    addresses: Addresses,
    app: App,
    /// The embedded broker, unless there is another.
    broker: Option<Broker>,
    /// The door for devices, unless they speak plainly or come in elsewhere.
    door: Option<Door>,
    http: JoinHandle<()>,
    /// Parts in the order in which they end: each ends when those before it have.
    parts: Vec<(&'static str, JoinHandle<()>)>,
    flushing: JoinHandle<()>,
    stop_http: Handle<SocketAddr>,
    stop: CancellationToken,
    part_ended: CancellationToken,
    _data: DataDir,
}

/// Starts a hub; it accepts connections when this returns.
pub async fn start(config: Config) -> Result<Running, ServeError> {
    config.check()?;
    let elsewhere = config.broker.settings(config.insecure_loopback)?;
    let provider = config.oidc.settings(config.insecure_loopback)?;
    let provider = provider.map(oidc::Provider::new);
    let mailer = config.smtp.settings()?;
    limits::raise();
    let data = DataDir::take(&config.data).await?;
    let store = Store::open(config.database.place(data.path())?).await?;
    let blobs = Blobs::open(&data.path().join("blobs"))?;
    let counters = Arc::new(Counters::load(&store).await?);
    let ready = Arc::new(watch::Sender::new(Ready::default()));
    let clock = Clock::system();
    let reach = Reach::new(config.names.clone());
    let certified = config.certified_names();
    let authorities = Authorities::open(data.path(), &certified, clock.clone())?;
    let registry = Registry::load(&store, authorities.clone()).await?;
    let mailer = mailer.map(|settings| {
        let name = reach.names().first().cloned();
        Mailer::new(settings, name.unwrap_or_else(|| "localhost".into()))
    });
    let broker_names = elsewhere.as_ref().map(BrokerArgs::names);
    let external = elsewhere.map(|settings| External::new(settings, authorities.clone()));
    let app = App {
        store,
        blobs,
        vetting: Program::this(),
        changes: Changes::new(),
        tap: Tap::default(),
        counters,
        answers: Answers::default(),
        clock,
        wake: Wake::new(),
        new_workspace: Wake::new(),
        people: People::new(Some(data.path().join(link::FILE))).with_provider(provider),
        ready: ready.subscribe(),
        authorities,
        registry,
        lives: config.lives(),
        reach,
        trust: trust::Trust::default(),
        broker: external,
        egress: Egress::new(config.egress_limit, config.downloads),
        ledger: Ledger::default(),
        delivery: DeliveryLimits {
            site_per_s: config.site_egress_limit,
            blob_per_s: config.blob_egress_limit,
            ..DeliveryLimits::default()
        },
        deltas: Wake::new(),
        courier: Courier::new(mailer),
        alerting: Wake::new(),
        relaying: Wake::new(),
        verdict: scrub::Verdict::default(),
        engines: rollout::Engines::default(),
        captures: Desk::new(Keys::load(&config.capture_keys)?),
        tracking: tracking::Desk::new(config.artifact_quota),
        datasets: datasets::Desk::new(data.path(), config.datastore_roots.clone()),
    };
    app.captures.tombstones.load(&app.store).await?;
    intake::all_offline(&app).await?;
    let (others, keeping) = certificate::open(&config, data.path(), &app.clock)?;

    let listener = bind(config.http()).await;
    let http_error = |source| ServeError::Http {
        address: config.http(),
        source,
    };
    let listener = listener.map_err(http_error)?;
    let http = listener.local_addr().map_err(http_error)?;
    let Brokers {
        way,
        broker,
        door,
        mqtt,
    } = brokers(&config, &app).await?;
    if config.insecure_loopback {
        tracing::warn!("insecure: whoever is on this machine may do all, without a login");
    }
    ready.send_modify(|ready| ready.broker = broker.is_some());
    if !config.insecure_loopback {
        app.reach.listening(Ports {
            https: http.port(),
            mqtt: mqtt.map(|address| address.port()),
        });
    }
    let addresses = Addresses {
        http,
        mqtt,
        tls: !config.insecure_loopback,
        ca: app.authorities.trusted().fingerprints(),
        pid: std::process::id(),
    };

    let stop = CancellationToken::new();
    let part_ended = CancellationToken::new();
    let part = |name, future| {
        (
            name,
            tokio::spawn(watched(name, future, &stop, &part_ended)),
        )
    };

    // What the hub says; its senders are handed to those who speak and kept by nobody else.
    let (
        Senders {
            acks,
            tells,
            chunks,
            announcements,
        },
        queues,
    ) = outbound::queues();
    let speaking = {
        let again = Again {
            tells: tells.downgrade(),
            announcements: announcements.downgrade(),
        };
        let spoken = outbound::run(app.clone(), way.clone(), queues, again, ready.clone());
        boxed(async {
            if let Err(err) = spoken.await {
                tracing::error!(error = chain(&err), "devices are not told anything");
            }
        })
    };

    // What the hub hears.
    let (ingest, ingest_done) = Ingest::start(app.clone(), acks);
    let (fleet, messages) = intake::queue();
    let (wants, wanted) = delivery::queue();
    let sinks = Sinks {
        fleet,
        ingest,
        wants,
    };
    let hearing = {
        let heard = inbound::run(app.clone(), way, sinks, ready, stop.clone());
        boxed(async {
            if let Err(err) = heard.await {
                tracing::error!(error = chain(&err), "devices are not heard");
            }
        })
    };
    let limits = Limits {
        blob: config.blob_egress_limit,
        site: config.site_egress_limit,
        ..Limits::default()
    };
    let delivering = boxed(delivery::run(app.clone(), limits, wanted, chunks));
    let noting = boxed(delivery::history::run(app.clone(), stop.clone()));
    let taking_in = boxed(intake::run(app.clone(), messages, tells.clone()));
    let asking = boxed(captures::orders::run(
        app.clone(),
        tells.clone(),
        stop.clone(),
    ));
    let rolling_out = boxed(rollout::driver::run(app.clone(), tells, stop.clone()));
    let ingesting = boxed(async {
        if let Err(err) = ingest_done.await {
            tracing::error!(error = chain(&err), "telemetry ingest broke");
        }
    });
    let signing = boxed(trust::run(app.clone(), announcements, stop.clone()));
    let deltas = deltas::worker::run(app.clone(), config.delta_budget, stop.clone());
    let collecting = boxed(garbage::run(app.clone(), config.blob_grace, stop.clone()));
    let scrubbing = boxed(scrub::run(app.clone(), config.scrub.0, stop.clone()));
    let attending = boxed(monitor::alert::run(app.clone(), stop.clone()));
    let alerting = boxed(alerts::run(app.clone(), config.alert_every, stop.clone()));
    let relaying = boxed(alerts::relay::run(app.clone(), stop.clone()));
    let notifying = boxed(notify::run(app.clone(), stop.clone()));
    let rolling_up = boxed(monitor::rollup::run(
        app.clone(),
        config.retention.clone(),
        stop.clone(),
    ));
    let watching = boxed(monitor::drift::run(
        app.clone(),
        config.drift.clone(),
        stop.clone(),
    ));
    let registering = boxed(tracking::version::run(app.clone(), stop.clone()));
    let dataset_making = boxed(datasets::worker::run(app.clone(), stop.clone()));
    let certifying = boxed(app.authorities.clone().run(stop.clone()));
    let stopped = stop.clone();
    let keeping = boxed(async move {
        tokio::select! {
            () = stopped.cancelled() => {}
            () = keeping => {}
        }
    });
    let mut parts = vec![
        part("hearing devices", hearing),
        part("device states", taking_in),
        part("telemetry", ingesting),
        part("what is asked about captures", asking),
        part("delivery", delivering),
        part("what was delivered", noting),
        part("rollouts", rolling_out),
        part("signed metadata", signing),
        part("speaking to devices", speaking),
        part("certificates", certifying),
        part("deltas", boxed(deltas)),
        part("datasets", dataset_making),
        part("garbage", collecting),
        part("scrubs", scrubbing),
        part("roll-ups", rolling_up),
        part("watching models", watching),
        part("what needs a person", attending),
        part("alerts", alerting),
        part("Alertmanagers", relaying),
        part("notices", notifying),
        part("registered models", registering),
        part("certificate for browsers", keeping),
    ];
    if let Some((dir, names)) = config.broker.broker_files.clone().zip(broker_names) {
        let writing = boxed(files::keep(app.clone(), dir, names, stop.clone()));
        parts.push(part("files for the broker", writing));
    }

    let flushing = tokio::spawn(flush_counters(app.clone()));
    let stop_http = Handle::new();
    let router = api::router()
        .merge(dashboard::router())
        .with_state(app.clone());
    let whom = if config.insecure_loopback {
        Trust::Loopback
    } else {
        offer_first_account(&app, data.path()).await?;
        Trust::Nobody
    };
    let router = api::around(router, &app, whom);
    let http = {
        let (tls, insecure) = (app.authorities.tls(), config.insecure_loopback);
        let handle = stop_http.clone();
        tokio::spawn(async move {
            let served = if insecure {
                https::plain(listener, router, handle).await
            } else {
                https::secure(listener, router, tls, others, handle).await
            };
            if let Err(err) = served {
                tracing::error!(error = chain(&err), "HTTP broke");
            }
        })
    };
    data.announce(&addresses)?;
    match (addresses.mqtt, &app.broker) {
        (Some(mqtt), _) => tracing::info!("listening http={} mqtt={mqtt}", addresses.http),
        (None, Some(broker)) => {
            tracing::info!("listening http={} broker={}", addresses.http, broker.url());
        }
        (None, None) => tracing::info!("listening http={}", addresses.http),
    }
    Ok(Running {
        addresses,
        app,
        broker,
        door,
        http,
        parts,
        flushing,
        stop_http,
        stop,
        part_ended,
        _data: data,
    })
}

/// Prints the link with which the first account is made, unless there is one. Not by the log: it is a
/// secret, and logs are shipped away.
async fn offer_first_account(app: &App, data: &Path) -> Result<(), ServeError> {
    let Some(code) = link::for_first_account(app).await? else {
        return Ok(());
    };
    let address = link::address(app, &code);
    let file = data.join(link::FILE);
    link::write_first(&file, &address).map_err(|source| ServeError::FirstLink {
        path: file.clone(),
        source,
    })?;
    eprintln!(
        "This hub has no account yet. Make the first one, within a day:\n\n    tern setup {address}\n\n\
         or open the link in a browser. It stands in {} too.",
        file.display()
    );
    Ok(())
}

/// The broker of a hub that starts.
struct Brokers {
    way: Way,
    broker: Option<Broker>,
    door: Option<Door>,
    /// Where devices come in, if that is here.
    mqtt: Option<SocketAddr>,
}

/// Starts the embedded broker and what is before it, or looks whether the way to another one can be
/// gone. That one need not be there: the hub waits for it.
async fn brokers(config: &Config, app: &App) -> Result<Brokers, ServeError> {
    if let Some(external) = &app.broker {
        let way = Way::External(external.clone());
        way.check()?;
        return Ok(Brokers {
            way,
            broker: None,
            door: None,
            mqtt: None,
        });
    }
    let plain = config.insecure_loopback.then(|| config.mqtt());
    let broker = Broker::start(plain, Arc::clone(&app.counters)).await?;
    let door = match broker.plain {
        Some(_) => None,
        None => Some(open_door(config.mqtt(), &broker, app).await?),
    };
    let mqtt = door.as_ref().map(|door| door.address).or(broker.plain);
    Ok(Brokers {
        way: Way::Embedded(broker.hub.clone()),
        broker: Some(broker),
        door,
        mqtt,
    })
}

/// Opens the door for devices.
async fn open_door(address: SocketAddr, broker: &Broker, app: &App) -> Result<Door, ServeError> {
    let mqtt_error = |source| ServeError::Mqtt { address, source };
    let listener = bind(address).await.map_err(mqtt_error)?;
    let behind = Behind {
        tls: app.authorities.tls(),
        registry: app.registry.clone(),
        broker: broker.devices,
        seats: broker.seats.clone(),
        counters: Arc::clone(&app.counters),
    };
    Door::open(listener, behind).map_err(mqtt_error)
}

/// Binds an address; waits a moment for a hub that is ending, as [`DataDir::take`] does.
async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let deadline = tokio::time::Instant::now() + BIND_GRACE;
    loop {
        match listen(address) {
            Err(err)
                if err.kind() == io::ErrorKind::AddrInUse
                    && tokio::time::Instant::now() < deadline =>
            {
                tokio::time::sleep(BIND_AGAIN).await;
            }
            bound => return bound,
        }
    }
}

/// Listens, with room for a site that comes back at once: the usual 128 places are not enough, and who
/// finds none tries again after a second.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    };
    let socket = socket?;
    // A hub that was killed leaves connections behind that would hold its port for a minute.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

type Part = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn boxed(future: impl Future<Output = ()> + Send + 'static) -> Part {
    Box::pin(future)
}

/// Runs a part. One that ends while the hub should run, by a panic too, ends the hub: it is better
/// started again than half alive.
fn watched(
    name: &'static str,
    part: Part,
    stop: &CancellationToken,
    ended: &CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    let (stop, ended) = (stop.clone(), ended.clone().drop_guard());
    async move {
        part.await;
        if !stop.is_cancelled() {
            tracing::error!(part = name, "a part ended unexpectedly");
        }
        drop(ended);
    }
}

async fn flush_counters(app: App) {
    let mut written = app.counters.lasting_sum();
    loop {
        tokio::time::sleep(counters::FLUSH_EVERY).await;
        let sum = app.counters.lasting_sum();
        if sum == written {
            continue;
        }
        match app.counters.flush(&app.store).await {
            Ok(()) => written = sum,
            Err(err) => tracing::warn!(error = chain(&err), "counters were not written"),
        }
    }
}

impl Running {
    /// How to reach it.
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// What its parts share.
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// Ends it at once; nothing more is written.
    fn abandon(self) {
        if let Some(broker) = self.broker {
            broker.stop();
        }
    }

    /// Ends it: no more requests, no more messages, commit and acknowledge what was heard, write the
    /// counters, close.
    pub async fn stop(self) {
        self.stop_http.graceful_shutdown(Some(HTTP_GRACE));
        let mut http = self.http;
        if tokio::time::timeout(HTTP_GRACE * 2, &mut http)
            .await
            .is_err()
        {
            http.abort();
        }
        self.stop.cancel();
        for (name, mut part) in self.parts {
            if tokio::time::timeout(PART_GRACE, &mut part).await.is_err() {
                tracing::warn!(part = name, "did not end in time");
                part.abort();
            }
        }
        self.flushing.abort();
        if let Err(err) = self.app.counters.flush(&self.app.store).await {
            tracing::warn!(error = chain(&err), "counters were not written");
        }
        // What parts counted while they ended.
        delivery::history::write(&self.app).await;
        if let Some(door) = self.door {
            door.close().await;
        }
        if let Some(broker) = self.broker {
            broker.stop();
        }
        self.app.store.close().await;
    }
}

#[cfg(test)]
mod tests;
