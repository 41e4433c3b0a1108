//! What `node` shows to `serve`, for `GET /status`.

use std::sync::{Mutex, PoisonError};

use tern_protocol::{
    reported::{Deltas, OutboxReport, SlotReport, Trust},
    time::Uptime,
};

use crate::{
    fetch::Coming,
    room::Level,
    slots::{Slot, Slots},
};

/// The latest facts, replaced as a whole.
#[derive(Debug)]
pub struct Board(Mutex<Facts>);

/// What `node` knows. Counters are since the agent started.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Why the store cannot be used, while it cannot.
    pub trouble: Option<String>,
    /// Whether there is a connection to the broker.
    pub online: bool,
    /// Messages that could not be read.
    pub malformed: u64,
    /// Windows written into the outbox.
    pub windows_made: u64,
    /// Windows that the hub acknowledged.
    pub windows_acked: u64,
    /// Captures written into the outbox.
    pub captures_made: u64,
    /// Captures that were left out because the disk was nearly full.
    pub captures_refused: u64,
    /// Captures that were dropped because they could not be sent for too long.
    pub captures_expired: u64,
    /// The disk.
    pub disk: Disk,
    /// Bytes of chunks newly written to disk.
    pub chunk_bytes: u64,
    /// Of these, bytes of signed metadata.
    pub metadata_bytes: u64,
    /// Chunks that came and were not needed.
    pub chunks_ignored: u64,
    /// Those of the bytes of chunks that came by HTTPS.
    pub https_bytes: u64,
    /// How often one way of fetching was left for the other.
    pub way_changes: u64,
    /// The blobs on their way.
    pub coming: Vec<Coming>,
    /// What came of deltas.
    pub deltas: Deltas,
    /// The outbox.
    pub outbox: OutboxReport,
    /// The signed metadata.
    pub trust: Trust,
    /// The slots.
    pub slots: Vec<SlotReport>,
}

/// The disk, for people.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Disk {
    /// How much room there is.
    pub level: Level,
    /// Whether the reserve is there.
    pub reserve: bool,
    /// Bytes that blobs take.
    pub blob_bytes: u64,
    /// Of these, bytes of blobs that nobody needs and that go when room is needed.
    pub spare_bytes: u64,
    /// Bytes that the store takes.
    pub store_bytes: u64,
}

impl Board {
    /// Names every slot and knows nothing else: `serve` answers before `node` has looked once.
    pub fn new(slots: &Slots) -> Self {
        let slots = slots.iter().map(|slot| SlotReport {
            slot: slot.name().clone(),
            serving: None,
            previous: None,
            progress: None,
            rejected: None,
            shadow: None,
        });
        Self(Mutex::new(Facts {
            slots: slots.collect(),
            ..Facts::default()
        }))
    }

    /// Puts new facts in the place of the old ones.
    pub fn show(&self, facts: Facts) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = facts;
    }

    /// Tells that there is no node now, and what serves all the same.
    pub fn without_node(&self, trouble: String, slots: &Slots, now: Uptime) {
        let mut facts = self.read();
        facts.trouble = Some(trouble);
        facts.online = false;
        facts.coming.clear();
        for report in &mut facts.slots {
            let slot = slots.get(report.slot.as_str());
            let serving = slot.and_then(Slot::serving);
            report.serving = serving.map(|loaded| loaded.proof(now));
            report.progress = None;
            report.shadow = None;
        }
        self.show(facts);
    }

    /// The latest facts.
    pub fn read(&self) -> Facts {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
