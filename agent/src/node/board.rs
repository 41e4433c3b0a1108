//! What `node` shows to `serve`, for `GET /status`.

use std::sync::{Mutex, PoisonError};

use tern_protocol::reported::{Deltas, OutboxReport, SlotReport, Trust};

use crate::{fetch::Coming, slots::Slots};

/// The latest facts, replaced as a whole.
#[derive(Debug)]
pub struct Board(Mutex<Facts>);

/// What `node` knows. Counters are since the agent started.
#[derive(Debug, Clone, Default)]
pub struct Facts {
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

impl Board {
    /// Names every slot and knows nothing else: `serve` answers before `node` has looked once.
    pub fn new(slots: &Slots) -> Self {
        let slots = slots.iter().map(|slot| SlotReport {
            slot: slot.name().clone(),
            serving: None,
            previous: None,
            progress: None,
            rejected: None,
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

    /// The latest facts.
    pub fn read(&self) -> Facts {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
