//! Reads wanted chunks from the blobs and hands them to the link, as fast as it takes them.
//!
//! A blob is hashed before its first chunk leaves. Wants for it wait meanwhile, those for others do not.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use bytes::Bytes;
use tern_protocol::{
    blob::{BlobRef, Chunk, ChunkRange, Want},
    codec,
    digest::Digest,
    id::{DeviceId, SiteName, WorkspaceId},
    limits,
    rest::Change,
};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

use super::carousel::{Asker, Carousel, Job, Limits, Next, Taken};
use crate::{app::App, blobs::BlobError, fleet, registry, store::chain};

/// Wants that wait to be looked at. A want is small, and a device whose want is dropped asks again.
const WANTS: usize = 4_096;

/// Blobs that are remembered, so that five hundred wants for one blob ask the database once.
const KNOWN: usize = 1_024;

/// Blobs that are wanted and not known to be whole, and wants that wait for them to be hashed or mended:
/// devices whose want is dropped ask again.
const HELD: usize = 256;
/// See [`HELD`].
const WAITING: usize = 4_096;

/// A blob that somebody begins to fetch is hashed, unless it was within this time: a wave hashes it once, and
/// what rots while the hub runs is found by it and not by each device.
pub const FRESH: Duration = Duration::from_mins(1);

/// Devices whose sites are remembered; a device that moves is noticed when all are forgotten.
const SITES: usize = 4_096;

/// How often it is shown how the carousel stands, while it turns: as often as a page looks.
const SHOW: Duration = Duration::from_millis(250);

/// A chunk on its way to the link, encoded.
#[derive(Debug, Clone)]
pub struct Chunks {
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// Of which blob.
    pub blob: Digest,
    /// The chunk as it is published.
    pub payload: Bytes,
}

/// A want, and the workspace and device that it came from.
pub type Wanted = (WorkspaceId, DeviceId, Want);

/// Where wants are handed in.
pub fn queue() -> (mpsc::Sender<Wanted>, mpsc::Receiver<Wanted>) {
    mpsc::channel(WANTS)
}

/// Publishes what is wanted until `wants` is closed.
pub async fn run(
    app: App,
    limits: Limits,
    mut wants: mpsc::Receiver<Wanted>,
    chunks: mpsc::Sender<Chunks>,
) {
    let mut driver = Driver {
        app,
        start: Instant::now(),
        sited: limits.site.is_some(),
        carousel: Carousel::new(limits),
        blobs: HashMap::new(),
        checks: JoinSet::new(),
        held: HashMap::new(),
        sites: HashMap::new(),
        moved: false,
    };
    // A chunk that goes out as soon as the limit of the hub and the link let it.
    let mut outgoing: Option<(Chunks, Instant, Job)> = None;
    let mut shown = Instant::now();
    let mut lacking = driver.app.blobs.watch_lacking();
    loop {
        // Wants first: what is wanted by more devices before it goes out goes out once.
        loop {
            match wants.try_recv() {
                Ok(want) => driver.hear(want).await,
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) => return,
            }
        }
        let mut wait = None;
        if outgoing.is_none() {
            match driver.carousel.next(driver.start.elapsed()) {
                Next::Send(job) => {
                    let Some(chunk) = driver.read(&job).await else {
                        continue;
                    };
                    let at = driver.app.egress.take(chunk.payload.len());
                    outgoing = Some((chunk, at, job));
                }
                Next::WaitUntil(at) => wait = Some(driver.start + at),
                Next::Idle => {}
            }
        }
        if driver.moved && (outgoing.is_none() || shown.elapsed() >= SHOW) {
            driver.show();
            shown = Instant::now();
        }
        let at = outgoing.as_ref().map(|(_, at, _)| *at);
        let room = async {
            match at {
                Some(at) => {
                    tokio::time::sleep_until(at).await;
                    chunks.reserve().await
                }
                None => std::future::pending().await,
            }
        };
        let deadline = async {
            match wait {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            want = wants.recv() => match want {
                Some(want) => driver.hear(want).await,
                None => return,
            },
            Some(checked) = driver.checks.join_next() => match checked {
                Ok((digest, found)) => driver.checked(digest, found).await,
                Err(ended) => {
                    tracing::error!(error = chain(&ended), "a blob was not hashed");
                    // It does not say which. Devices ask again.
                    driver.held.clear();
                }
            },
            // Its sender is part of the app.
            _ = lacking.changed() => driver.check_all(),
            place = room => match (place, outgoing.take()) {
                (Ok(place), Some((chunk, _, job))) => {
                    place.send(chunk);
                    driver.sent(&job);
                }
                _ => return,
            },
            () = deadline => {}
        }
    }
}

/// Bytes of a blob in these chunks.
fn bytes_of(blob: BlobRef, range: ChunkRange) -> u64 {
    let chunk = limits::CHUNK as u64;
    let at = |index: u32| u64::from(index).saturating_mul(chunk).min(blob.len);
    at(range.first.saturating_add(range.count)).saturating_sub(at(range.first))
}

/// A blob that is wanted and not known to be whole.
#[derive(Default)]
struct Held {
    /// What each device wanted last.
    wants: BTreeMap<(WorkspaceId, DeviceId), Want>,
    /// Whether it is being hashed.
    hashing: bool,
}

/// Whether a blob ships.
enum Ships {
    /// It does, and has so many bytes.
    Len(u64),
    /// It does if it is whole.
    Unknown,
    /// It does not, or the hub lacks it.
    No,
}

struct Driver {
    app: App,
    start: Instant,
    /// Whether sites are limited, so that it matters where a device is.
    sited: bool,
    carousel: Carousel,
    /// Lengths of blobs that ship in a workspace.
    blobs: HashMap<(WorkspaceId, Digest), u64>,
    /// Blobs that are being hashed.
    checks: JoinSet<(Digest, Result<BlobRef, BlobError>)>,
    /// Who wants those, and those that the hub lacks.
    held: HashMap<Digest, Held>,
    sites: HashMap<(WorkspaceId, DeviceId), Option<SiteName>>,
    /// Something moved since it was last shown.
    moved: bool,
}

impl Driver {
    /// Takes a want as it came.
    async fn hear(&mut self, wanted: Wanted) {
        self.app.counters.wants.one();
        self.take(wanted).await;
    }

    async fn take(&mut self, (workspace, device, want): Wanted) {
        let len = match self.ships(&workspace, want.blob).await {
            Ships::Len(len) => len,
            Ships::Unknown => return self.hold((workspace, device, want)),
            Ships::No => {
                tracing::debug!(%workspace, digest = %want.blob, "a blob is wanted that does not ship here");
                return;
            }
        };
        let blob = BlobRef {
            digest: want.blob,
            len,
        };
        let lacks = want.ranges.iter().map(|range| bytes_of(blob, *range));
        let lacks = lacks.fold(0_u64, u64::saturating_add).min(len);
        if lacks == len && !self.app.blobs.is_fresh(want.blob, FRESH) {
            return self.hold((workspace, device, want));
        }
        let site = self.site(&workspace, &device).await;
        let asker = Asker {
            workspace: &workspace,
            device: &device,
            site: site.as_ref(),
        };
        let key = (workspace.clone(), want.blob);
        let at = self.app.clock.now();
        self.app.ledger.asked(key, &device, at, len, lacks);
        self.moved = true;
        let now = self.start.elapsed();
        match self.carousel.want(now, asker, blob, &want.ranges) {
            Ok(Taken::Fresh) => {}
            Ok(Taken::Lost) => {
                self.app.counters.wants_lost.one();
                let rate = self.carousel.repeats_at(&(workspace.clone(), want.blob));
                tracing::debug!(%workspace, %device, digest = %want.blob, rate, "a device lost chunks");
            }
            Err(why) => {
                tracing::debug!(%workspace, digest = %want.blob, ?why, "a want was ignored");
            }
        }
    }

    /// A chunk is on its way.
    fn sent(&mut self, job: &Job) {
        let bytes = job.blob.place(job.index).map_or(0, |(_, len)| len as u64);
        let key = (job.workspace.clone(), job.blob.digest);
        self.app
            .ledger
            .published(key, job.blob.len, bytes, job.again);
        self.moved = true;
    }

    /// Shows how the carousel stands to whoever looks.
    fn show(&mut self) {
        let waves = self.carousel.waves();
        let workspaces: BTreeSet<_> = waves.iter().map(|wave| wave.key.0.clone()).collect();
        self.app.ledger.show(waves);
        for workspace in workspaces {
            self.app.changes.send(&workspace, Change::Delivery);
        }
        self.moved = false;
    }

    /// Whether a blob ships in this workspace.
    async fn ships(&mut self, workspace: &WorkspaceId, digest: Digest) -> Ships {
        let key = (workspace.clone(), digest);
        if let Some(len) = self.blobs.get(&key) {
            return Ships::Len(*len);
        }
        match registry::ships(&self.app.store, workspace, digest).await {
            Ok(true) => {}
            Ok(false) => return Ships::No,
            Err(err) => {
                tracing::error!(%digest, error = chain(&err), "the database does not say what ships");
                return Ships::No;
            }
        }
        if !self.app.blobs.is_known(digest) {
            return Ships::Unknown;
        }
        match self.app.blobs.head(digest).await {
            Ok(Some(len)) => {
                if self.blobs.len() >= KNOWN {
                    self.blobs.clear();
                }
                self.blobs.insert(key, len);
                Ships::Len(len)
            }
            Ok(None) => Ships::No,
            Err(err) => {
                tracing::error!(%digest, error = chain(&err), "a wanted blob cannot be read");
                Ships::No
            }
        }
    }

    /// Has a blob hashed; the want is taken when it is known to be whole.
    fn hold(&mut self, (workspace, device, want): Wanted) {
        let digest = want.blob;
        let full = |held: &HashMap<Digest, Held>| {
            let waiting: usize = held.values().map(|held| held.wants.len()).sum();
            waiting >= WAITING || held.len() >= HELD && !held.contains_key(&digest)
        };
        if full(&self.held) {
            // What the hub lacks may wait for a person; what is whole does not wait for that.
            self.held.retain(|_, held| held.hashing);
        }
        if full(&self.held) {
            return;
        }
        let held = self.held.entry(digest).or_default();
        held.wants.insert((workspace, device), want);
        self.check(digest);
    }

    fn check(&mut self, digest: Digest) {
        let held = self.held.get_mut(&digest).filter(|held| !held.hashing);
        if let Some(held) = held {
            held.hashing = true;
            let blobs = self.app.blobs.clone();
            self.checks
                .spawn(async move { (digest, blobs.find_fresh(digest, FRESH).await) });
        }
    }

    /// Something lacks, or is there again.
    fn check_all(&mut self) {
        let there = |digest: &Digest| !self.app.blobs.is_lacking(*digest);
        let held: Vec<_> = self.held.keys().copied().filter(there).collect();
        for digest in held {
            self.check(digest);
        }
    }

    /// A blob was hashed.
    async fn checked(&mut self, digest: Digest, found: Result<BlobRef, BlobError>) {
        let Some(mut held) = self.held.remove(&digest) else {
            return;
        };
        match found {
            Ok(_) => {
                for ((workspace, device), want) in held.wants {
                    self.take((workspace, device, want)).await;
                }
            }
            // Whoever waits has it as soon as it is mended.
            Err(BlobError::Missing(_)) => {
                tracing::debug!(%digest, "a blob is wanted that the hub lacks");
                held.hashing = false;
                self.held.insert(digest, held);
                if !self.app.blobs.is_lacking(digest) && self.app.blobs.is_known(digest) {
                    self.check(digest);
                }
            }
            Err(err) => {
                tracing::error!(%digest, error = chain(&err), "a wanted blob cannot be read");
            }
        }
    }

    async fn site(&mut self, workspace: &WorkspaceId, device: &DeviceId) -> Option<SiteName> {
        if !self.sited {
            return None;
        }
        let key = (workspace.clone(), device.clone());
        if let Some(site) = self.sites.get(&key) {
            return site.clone();
        }
        match fleet::site_of(&self.app.store, workspace, device).await {
            Ok(site) => {
                if self.sites.len() >= SITES {
                    self.sites.clear();
                }
                // A device that is not stored yet will be soon.
                if site.is_some() {
                    self.sites.insert(key, site.clone());
                }
                site
            }
            Err(err) => {
                tracing::error!(%device, error = chain(&err), "the database does not say where it is");
                None
            }
        }
    }

    async fn read(&mut self, job: &Job) -> Option<Chunks> {
        let (offset, len) = job.blob.place(job.index)?;
        let digest = job.blob.digest;
        match self.app.blobs.get_range(digest, offset, len).await {
            Ok(bytes) => {
                let chunk = Chunk {
                    index: job.index,
                    bytes: bytes.into(),
                };
                Some(Chunks {
                    workspace: job.workspace.clone(),
                    blob: digest,
                    payload: codec::encode(&chunk).into(),
                })
            }
            Err(err) => {
                tracing::error!(%digest, index = job.index, error = chain(&err), "chunk not read");
                // Whoever wants more of it says so again; by then it may be mended.
                let key = (job.workspace.clone(), digest);
                self.blobs.remove(&key);
                self.carousel.forget(&key);
                None
            }
        }
    }
}
