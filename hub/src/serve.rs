//! Where all parts meet: what is started, in which order, who hands what to whom, and how it ends.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    access::{
        authority::{Authorities, AuthorityError},
        identity::Registry,
        reach::{Ports, Reach},
    },
    api,
    app::{App, Ready, Wake},
    blobs::{BlobError, Blobs},
    broker::{BIND_AGAIN, BIND_GRACE, Broker, BrokerError},
    changes::Changes,
    clock::Clock,
    config::Config,
    counters::{self, Counters},
    dashboard,
    data_dir::{Addresses, DataDir, DataDirError},
    delivery::{self, carousel::Limits},
    fleet::intake,
    link::{
        inbound::{self, Sinks},
        outbound::{self, Senders},
    },
    monitor::ingest::Ingest,
    rollout,
    store::{Store, StoreError, chain},
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
    /// The HTTP address is not free.
    #[error("binding HTTP to {address}; stop what listens there or choose another `--http`")]
    Http {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The operating system does not tell about signals.
    #[error("listening to signals")]
    Signals(#[source] io::Error),
    /// A part ended that should run as long as the hub.
    #[error("a part of the hub ended unexpectedly; the log says which")]
    PartEnded,
}

/// Runs a hub until SIGTERM or Ctrl-C, then ends it gracefully.
pub async fn serve(config: Config) -> Result<(), ServeError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let running = start(config).await?;
    let ended = tokio::select! {
        _ = terminate.recv() => Ok(()),
        pressed = tokio::signal::ctrl_c() => pressed.map_err(ServeError::Signals),
        () = running.part_ended.cancelled() => Err(ServeError::PartEnded),
    };
    tracing::info!("stopping");
    running.stop().await;
    tracing::info!("stopped; all that was acknowledged is on the disk");
    ended
}

/// A hub that runs.
pub struct Running {
    addresses: Addresses,
    app: App,
    broker: Broker,
    http: JoinHandle<()>,
    /// Parts in the order in which they end: each ends when those before it have.
    parts: Vec<(&'static str, JoinHandle<()>)>,
    flushing: JoinHandle<()>,
    stop_http: CancellationToken,
    stop: CancellationToken,
    part_ended: CancellationToken,
    _data: DataDir,
}

/// Starts a hub; it accepts connections when this returns.
pub async fn start(config: Config) -> Result<Running, ServeError> {
    let data = DataDir::take(&config.data).await?;
    let store = Store::open(data.path()).await?;
    let blobs = Blobs::open(&data.path().join("blobs"))?;
    let counters = Arc::new(Counters::load(&store).await?);
    let ready = Arc::new(watch::Sender::new(Ready::default()));
    let clock = Clock::system();
    let reach = Reach::new(config.names.clone());
    let certified = config.certified_names();
    let authorities = Authorities::open(data.path(), &certified, clock.clone())?;
    let registry = Registry::load(&store, authorities.clone()).await?;
    let app = App {
        store,
        blobs,
        changes: Changes::new(),
        counters,
        clock,
        wake: Wake::new(),
        ready: ready.subscribe(),
        authorities,
        registry,
        lives: config.lives(),
        reach,
    };
    intake::all_offline(&app).await?;

    let listener = bind(config.http).await;
    let http_error = |source| ServeError::Http {
        address: config.http,
        source,
    };
    let listener = listener.map_err(http_error)?;
    let http = listener.local_addr().map_err(http_error)?;
    let broker = Broker::start(config.mqtt).await?;
    ready.send_modify(|ready| ready.broker = true);
    app.reach.listening(Ports {
        https: http.port(),
        mqtt: broker.devices.port(),
    });
    let addresses = Addresses {
        http,
        mqtt: broker.devices,
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
        },
        queues,
    ) = outbound::queues();
    let speaking = boxed(outbound::run(
        app.clone(),
        broker.hub,
        queues,
        tells.downgrade(),
        ready.clone(),
    ));

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
        let heard = inbound::run(app.clone(), broker.hub, sinks, ready, stop.clone());
        boxed(async {
            if let Err(err) = heard.await {
                tracing::error!(error = chain(&err), "devices are not heard");
            }
        })
    };
    let limits = Limits {
        egress: config.egress_limit,
        ..Limits::default()
    };
    let delivering = boxed(delivery::run(app.clone(), limits, wanted, chunks));
    let taking_in = boxed(intake::run(app.clone(), messages, tells.clone()));
    let rolling_out = boxed(rollout::driver::run(app.clone(), tells, stop.clone()));
    let ingesting = boxed(async {
        if let Err(err) = ingest_done.await {
            tracing::error!(error = chain(&err), "telemetry ingest broke");
        }
    });
    let certifying = boxed(app.authorities.clone().run(stop.clone()));
    let parts = vec![
        part("hearing devices", hearing),
        part("device states", taking_in),
        part("telemetry", ingesting),
        part("delivery", delivering),
        part("rollouts", rolling_out),
        part("speaking to devices", speaking),
        part("certificates", certifying),
    ];

    let flushing = tokio::spawn(flush_counters(app.clone()));
    let stop_http = CancellationToken::new();
    let router = api::router()
        .merge(dashboard::router())
        .with_state(app.clone());
    let router = api::around(router);
    let stopped = stop_http.clone().cancelled_owned();
    let http = tokio::spawn(async move {
        let served = axum::serve(listener, router)
            .with_graceful_shutdown(stopped)
            .await;
        if let Err(err) = served {
            tracing::error!(error = chain(&err), "HTTP broke");
        }
    });
    data.announce(&addresses)?;
    tracing::info!("listening http={} mqtt={}", addresses.http, addresses.mqtt);
    Ok(Running {
        addresses,
        app,
        broker,
        http,
        parts,
        flushing,
        stop_http,
        stop,
        part_ended,
        _data: data,
    })
}

/// Binds an address; waits a moment for a hub that is ending, as [`DataDir::take`] does.
async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let deadline = tokio::time::Instant::now() + BIND_GRACE;
    loop {
        match TcpListener::bind(address).await {
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

    /// Ends it: no more requests, no more messages, commit and acknowledge what was heard, write the
    /// counters, close.
    pub async fn stop(self) {
        self.stop_http.cancel();
        let mut http = self.http;
        if tokio::time::timeout(HTTP_GRACE, &mut http).await.is_err() {
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
        self.broker.stop();
        self.app.store.close().await;
    }
}

#[cfg(test)]
mod tests;
