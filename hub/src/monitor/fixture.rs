//! A hub without sockets, and devices that speak to its ingest, for tests.

use std::{fmt::Debug, str::FromStr};

use tern_protocol::{
    digest::Digest,
    id::{BootId, DeviceId, ModelVersion, OutboxId, PredictionId, Sequence, WorkspaceId},
    log::{Ack, Batch, Body, Capture, Entry, Label},
    shadow::ShadowWindow,
    tensor::Tensor,
    time::{Instant, Uptime, WallTime},
    window::Window,
};
use tern_stats::{confidence, sketch::Sketch};
use tokio::sync::{mpsc, watch};

use super::ingest::{Incoming, Ingest};
use crate::{
    app::{App, Ready},
    clock::Clock,
    store::Store,
};

/// When the worlds of tests are.
pub(crate) const NOON: i64 = 1_790_000_000_000;

/// A hub without sockets in a temporary directory. Its clock stands at [`NOON`].
pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) workspace: WorkspaceId,
    pub(crate) ready: watch::Sender<Ready>,
    pub(crate) dir: tempfile::TempDir,
}

/// Any id from its text.
pub(crate) fn name<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

pub(crate) fn at(boot: u32, ms: u64) -> Instant {
    Instant {
        boot: BootId(boot),
        uptime: Uptime(ms),
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let up = Ready {
            broker: true,
            inbound: true,
            outbound: true,
        };
        let (ready, watched) = watch::channel(up);
        let store = Store::open(dir.path()).await.expect("opens");
        let clock = Clock::by_hand(WallTime(NOON));
        let app = App {
            ready: watched,
            ..crate::app::over(dir.path(), store, clock).await
        };
        Self {
            app,
            workspace: name("default"),
            ready,
            dir,
        }
    }

    /// Where its blobs are.
    pub(crate) fn blobs(&self) -> std::path::PathBuf {
        self.dir.path().join("blobs")
    }

    /// Ingests batches in this order until all are committed; gives the acknowledgements.
    pub(crate) async fn ingest(&self, batches: Vec<(DeviceId, Batch)>) -> Vec<(DeviceId, Ack)> {
        let (acks, mut acknowledged) = mpsc::channel(1024);
        let (ingest, done) = Ingest::start(self.app.clone(), acks);
        let received = self.app.clock.now();
        for (device, batch) in batches {
            let workspace = self.workspace.clone();
            ingest.offer(Incoming {
                workspace,
                device,
                batch,
                received,
            });
        }
        drop(ingest);
        let mut all = Vec::new();
        while let Some((_, device, ack)) = acknowledged.recv().await {
            all.push((device, ack));
        }
        done.await.expect("ends well");
        all
    }
}

/// One device with its outbox; its boot 1 began a minute before [`NOON`].
pub(crate) struct Device {
    pub(crate) id: DeviceId,
    pub(crate) outbox: OutboxId,
    pub(crate) version: u32,
    pub(crate) written: u64,
}

impl Device {
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: name(id),
            outbox: OutboxId(u64::MAX - 7),
            version: 1,
            written: 0,
        }
    }

    /// The next entries as a batch that follows on all before.
    pub(crate) fn batch(&mut self, bodies: Vec<Body>) -> (DeviceId, Batch) {
        let after = Sequence(self.written);
        let entries = bodies.into_iter().map(|body| {
            self.written += 1;
            Entry {
                sequence: Sequence(self.written),
                at: at(1, 50_000),
                wall: None,
                body,
            }
        });
        let entries = entries.collect();
        // It never heard an acknowledgement: the hub alone knows what it has.
        let acked = Sequence(0);
        let batch = Batch {
            outbox: self.outbox,
            acked,
            after,
            now: at(1, 60_000),
            entries,
        };
        (self.id.clone(), batch)
    }

    /// A window of `n` inferences of 100 µs, all of class 1 with confidence 0.9.
    pub(crate) fn window(&self, opened: u64, closed: u64, n: u64) -> Body {
        let mut latency = Sketch::new();
        let mut bins = confidence::no_counts();
        for _ in 0..n {
            latency.insert(100.0);
            confidence::count(&mut bins, 0.92);
        }
        Body::Window(Box::new(Window {
            slot: name("reader"),
            model: name("digits"),
            version: ModelVersion::new(self.version).expect("from 1 up"),
            bundle: Digest::of(b"bundle"),
            opened: at(1, opened),
            closed: at(1, closed),
            inferences: n,
            errors: n / 10,
            latency: (&latency).into(),
            classes: vec![0, n],
            confidence: bins,
            features: Vec::new(),
            rss: None,
            cpu_ms: None,
            parts: None,
            margin: Vec::new(),
            repeated: Vec::new(),
            values: None,
            signals: Vec::new(),
            temperature: None,
            metrics: Vec::new(),
        }))
    }

    /// A window of version 9 beside what serves: `n` rows compared, all but one agreed.
    pub(crate) fn shadow(&self, opened: u64, closed: u64, n: u64) -> Body {
        Body::Shadow(Box::new(ShadowWindow {
            slot: name("reader"),
            model: name("digits"),
            version: ModelVersion::new(9).expect("from 1 up"),
            bundle: Digest::of(b"candidate"),
            live_version: ModelVersion::new(self.version).expect("from 1 up"),
            live_bundle: Digest::of(b"bundle"),
            opened: at(1, opened),
            closed: at(1, closed),
            compared: n,
            agreed: n.saturating_sub(1),
            errors: 2,
            skipped: 30,
            latency: (&Sketch::new()).into(),
            live_latency: (&Sketch::new()).into(),
            classes: vec![0, n],
            confidence: confidence::no_counts(),
            tolerance: 0.0,
        }))
    }

    /// A capture of class `class` that had this probability of being captured.
    pub(crate) fn capture(&self, number: u64, class: u32, probability: f32) -> Body {
        Body::Capture(Box::new(Capture {
            prediction: prediction(number),
            slot: name("reader"),
            model: name("digits"),
            version: ModelVersion::new(self.version).expect("from 1 up"),
            input: Tensor::from_f32(&[1, 2], &[number as f32, 0.5]),
            class,
            confidence: 0.6,
            probability,
            reasons: tern_protocol::capture::Reasons::default(),
            request: None,
            subject: None,
            summary: None,
            number: None,
        }))
    }

    /// A truth that the device was told.
    pub(crate) fn label(&self, number: u64, class: u32, truth: u32) -> Body {
        Body::Label(Box::new(Label {
            prediction: prediction(number),
            slot: name("reader"),
            model: name("digits"),
            version: ModelVersion::new(self.version).expect("from 1 up"),
            class,
            confidence: 0.6,
            truth,
            predicted_at: at(1, number),
            subject: None,
        }))
    }
}

pub(crate) fn prediction(number: u64) -> PredictionId {
    PredictionId {
        boot: BootId(1),
        number,
    }
}
