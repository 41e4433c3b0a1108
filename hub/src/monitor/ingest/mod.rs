//! Takes what devices send and stores it, many batches in one transaction.
//!
//! Called by the link: batches in, acknowledgements out. Two tasks in a row: one gathers batches and
//! turns windows into rows ([`prepare`]), the other judges and commits a group of them ([`commit`]),
//! so that the next group is prepared while the disk is busy with the last.
//!
//! Must never break:
//! - an acknowledgement is sent only after the commit that holds what it acknowledges;
//! - when batches come faster than the disk takes them, some are dropped and counted: without an
//!   acknowledgement their devices send them again.

mod arms;
mod collect;
mod commit;
mod metrics;
mod positions;
mod prepare;

use std::sync::Arc;

use tern_protocol::{
    id::{DeviceId, WorkspaceId},
    log::{Ack, Batch},
    time::WallTime,
};
use tokio::{sync::mpsc, task::JoinHandle};

pub(super) use self::metrics::read as stored_totals;
use self::{commit::Committer, prepare::Prepared};
use crate::{app::App, captures::seal::Keys, counters::Counters, store::chain};

/// Batches that wait to be gathered. One is at most a payload (128 KiB) and usually a few
/// kilobytes; under a flood this holds what the disk takes in about a second.
const QUEUE: usize = 2048;

/// Batches in one transaction: a commit waits for the disk, so many share it.
const GROUP_BATCHES: usize = 512;

/// Entries in one transaction. About 10 MB of rows; it keeps a commit under half a second, which
/// is the longest that other writers wait.
const GROUP_ENTRIES: usize = 8192;

/// A batch as it came from the broker.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The workspace of its topic.
    pub workspace: WorkspaceId,
    /// The device of its topic.
    pub device: DeviceId,
    /// What it says.
    pub batch: Batch,
    /// When it came.
    pub received: WallTime,
}

/// An acknowledgement and whom it is for.
pub type Acknowledged = (WorkspaceId, DeviceId, Ack);

/// Where batches are offered. Clones offer to the same queue; when the last one is dropped, what
/// was offered is committed and acknowledged, and the tasks end.
#[derive(Debug, Clone)]
pub struct Ingest {
    queue: mpsc::Sender<Incoming>,
    counters: Arc<Counters>,
}

impl Ingest {
    /// Starts to take batches. Acknowledgements go into `acks`. The handle ends after the last
    /// commit, once all clones of the ingest are gone.
    pub fn start(app: App, acks: mpsc::Sender<Acknowledged>) -> (Self, JoinHandle<()>) {
        let (queue, offered) = mpsc::channel(QUEUE);
        // One group may be ready while one is being committed; more would only add delay.
        let (groups, ready) = mpsc::channel(1);
        let counters = app.counters.clone();
        let keys = app.captures.keys.clone();
        tokio::spawn(gather(offered, groups, counters.clone(), keys));
        let done = tokio::spawn(commit_all(ready, Committer::new(app), acks));
        (Self { queue, counters }, done)
    }

    /// Offers a batch. Never waits: when the queue is full, the batch is dropped and counted.
    pub fn offer(&self, incoming: Incoming) {
        match self.queue.try_send(incoming) {
            Ok(()) => self.counters.batches_offered.one(),
            Err(_) => self.counters.batches_dropped.one(),
        }
    }
}

/// Gathers groups of batches and prepares their rows. A group goes on as soon as the committer has
/// room for one: batches share a transaction because the disk is busy, never because they waited for
/// company. (A fixed wait of 20 ms for others cost 32 devices in step 8 % of their windows a second.)
async fn gather(
    mut offered: mpsc::Receiver<Incoming>,
    groups: mpsc::Sender<Vec<Prepared>>,
    counters: Arc<Counters>,
    keys: Keys,
) {
    while let Some(first) = offered.recv().await {
        let mut group = Group::default();
        group.add(first, &counters, &keys);
        let room = loop {
            tokio::select! {
                biased;
                Some(incoming) = offered.recv(), if !group.is_full() => {
                    group.add(incoming, &counters, &keys);
                }
                room = groups.reserve() => break room,
            }
        };
        match room {
            Ok(room) => room.send(group.prepared),
            Err(_) => return,
        }
    }
}

/// Batches of one transaction to be.
#[derive(Default)]
struct Group {
    prepared: Vec<Prepared>,
    batches: usize,
    entries: usize,
}

impl Group {
    fn add(&mut self, incoming: Incoming, counters: &Counters, keys: &Keys) {
        counters.batches_gathered.one();
        self.batches += 1;
        self.entries += incoming.batch.entries.len();
        match prepare::prepare(incoming, keys) {
            Some(prepared) => self.prepared.push(prepared),
            None => counters.malformed.one(),
        }
    }

    fn is_full(&self) -> bool {
        self.batches >= GROUP_BATCHES || self.entries >= GROUP_ENTRIES
    }
}

/// Commits groups in order and sends what they acknowledge.
async fn commit_all(
    mut ready: mpsc::Receiver<Vec<Prepared>>,
    mut committer: Committer,
    acks: mpsc::Sender<Acknowledged>,
) {
    while let Some(group) = ready.recv().await {
        match committer.commit(group).await {
            Ok(acknowledged) => {
                for ack in acknowledged {
                    // The link is gone only when the hub stops; devices ask again later.
                    let _ = acks.send(ack).await;
                }
            }
            Err(err) => {
                tracing::error!(error = chain(&err), "telemetry could not be stored");
            }
        }
    }
}
