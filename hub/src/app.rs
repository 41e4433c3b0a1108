//! What the parts of a running hub share.
//!
//! Made once by [`crate::serve`]; cloned into handlers and drivers. There is no behaviour in here:
//! each field belongs to the module that it comes from.

use std::sync::Arc;

use tern_protocol::rest::DeliveryLimits;
use tokio::sync::{Notify, watch};

use crate::{
    access::{
        authority::Authorities,
        identity::{Lives, Registry},
        people::People,
        reach::Reach,
    },
    blobs::Blobs,
    broker::external::External,
    captures::Desk,
    changes::Changes,
    clock::Clock,
    counters::{Answers, Counters},
    datasets,
    delivery::{egress::Egress, ledger::Ledger},
    jobs,
    notify::Courier,
    registry::vetting::Program,
    retrain,
    rollout::Engines,
    scrub::Verdict,
    store::Store,
    tap::Tap,
    tracking,
    trust::Trust,
};

/// Handles on everything that outlives a request.
#[derive(Clone)]
pub struct App {
    /// The database.
    pub store: Store,
    /// The blobs.
    pub blobs: Blobs,
    /// What is run to vet a model.
    pub vetting: Program,
    /// Where changes are announced.
    pub changes: Changes,
    /// Where messages between devices and hub go by.
    pub tap: Tap,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Requests that were answered.
    pub answers: Answers,
    /// What time it is.
    pub clock: Clock,
    /// Makes the rollouts look again.
    pub wake: Wake,
    /// Makes the link subscribe to a workspace that was made.
    pub new_workspace: Wake,
    /// What people share in memory: hashing, throttle.
    pub people: People,
    /// Which parts are up.
    pub ready: watch::Receiver<Ready>,
    /// Who vouches for the hub and for devices.
    pub authorities: Authorities,
    /// Which devices may speak.
    pub registry: Registry,
    /// How long certificates are good.
    pub lives: Lives,
    /// Where the hub is found.
    pub reach: Reach,
    /// Who changes signed metadata, and whom that wakes.
    pub trust: Trust,
    /// The broker, if it is not the one inside the hub.
    pub broker: Option<External>,
    /// What leaves the hub for devices.
    pub egress: Egress,
    /// What of it is counted.
    pub ledger: Ledger,
    /// Bytes a second for sites and blobs.
    pub delivery: DeliveryLimits,
    /// Makes whoever computes deltas look again.
    pub deltas: Wake,
    /// What sends notices.
    pub courier: Courier,
    /// Makes whoever looks for alerts look again.
    pub alerting: Wake,
    /// Makes whoever tells Alertmanagers look again.
    pub relaying: Wake,
    /// Whether the database was found damaged.
    pub verdict: Verdict,
    /// Rollouts that decide by evidence, as they are held in memory.
    pub engines: Engines,
    /// What inputs are encrypted with, and what must not come back.
    pub captures: Desk,
    /// What of experiments and runs is kept in memory.
    pub tracking: tracking::Desk,
    /// What of retraining is kept in memory, and whom that wakes.
    pub retraining: retrain::Desk,
    /// The machine's own compute, and what is known of jobs in memory.
    pub jobs: jobs::Desk,
    /// What makes versions of datasets.
    pub datasets: datasets::Desk,
}

/// Asks a driver to look again. Carries no data: whoever is woken reads all it needs from the
/// database.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// Nobody has asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks. Several asks before the other looks are one.
    pub fn notify(&self) {
        self.0.notify_one();
    }

    /// Returns once somebody has asked since the last return.
    pub async fn notified(&self) {
        self.0.notified().await;
    }
}

/// Which parts of the hub are up. The database is, or there would be no hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ready {
    /// The broker accepts connections. One outside the hub does so when it has accepted one of the hub's.
    pub broker: bool,
    /// The hub hears devices: it is connected to the broker and subscribed.
    pub inbound: bool,
    /// The hub can speak to devices.
    pub outbound: bool,
}

impl Ready {
    /// Whether all parts are up.
    pub const fn all(self) -> bool {
        self.broker && self.inbound && self.outbound
    }
}

/// An app over a fresh directory, with a clock that stands at one million milliseconds.
#[cfg(test)]
pub(crate) async fn fresh() -> (tempfile::TempDir, App) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(dir.path()).await.expect("opens");
    let clock = Clock::by_hand(tern_protocol::time::WallTime(1_000_000));
    let app = over(dir.path(), store, clock).await;
    (dir, app)
}

/// An app over a store in a directory; the hub is found at `localhost`.
#[cfg(test)]
pub(crate) async fn over(dir: &std::path::Path, store: Store, clock: Clock) -> App {
    use crate::access::reach::Ports;
    let reach = Reach::new(vec!["localhost".into()]);
    let (https, mqtt) = (8443, Some(8883));
    reach.listening(Ports { https, mqtt });
    let authorities = Authorities::open(dir, reach.names(), clock.clone()).expect("opens");
    let registry = Registry::load(&store, authorities.clone()).await;
    App {
        store,
        blobs: Blobs::open(&dir.join("blobs")).expect("opens"),
        vetting: Program::this(),
        changes: Changes::new(),
        tap: Tap::default(),
        counters: Arc::new(Counters::default()),
        answers: Answers::default(),
        clock,
        wake: Wake::new(),
        new_workspace: Wake::new(),
        people: People::new(None),
        ready: watch::Sender::new(Ready::default()).subscribe(),
        authorities,
        registry: registry.expect("loads"),
        lives: Lives::default(),
        reach,
        trust: Trust::default(),
        broker: None,
        egress: Egress::new(None, 4),
        ledger: Ledger::default(),
        delivery: DeliveryLimits::default(),
        deltas: Wake::new(),
        courier: Courier::new(None),
        alerting: Wake::new(),
        relaying: Wake::new(),
        verdict: Verdict::default(),
        engines: Engines::default(),
        captures: Desk::default(),
        tracking: tracking::Desk::default(),
        retraining: retrain::Desk::default(),
        jobs: jobs::Desk::default(),
        datasets: datasets::Desk::new(dir, Vec::new()),
    }
}
