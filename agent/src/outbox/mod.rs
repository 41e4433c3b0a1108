//! What waits for the hub, in sled: windows, events, captures, labels.
//!
//! Called by `node`. The order is decided by [`queue`]. Must never break:
//! - what the hub has not acknowledged is not lost, and nothing counts twice;
//! - it stays within its bytes; under pressure captures go first, then windows merge;
//! - how far entries were sent is on disk before they leave.

pub mod queue;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use minicbor::{Decode, Encode};
use tern_protocol::{
    codec,
    digest::Digest,
    id::{OutboxId, Sequence, SlotName},
    limits,
    log::{Ack, Batch, Body, Entry, Event, EventKind},
    reported::OutboxReport,
    time::{Instant, Uptime, WallTime},
};

use self::queue::{Item, Kind, Queue, Relief};
use crate::{
    chance::Chance,
    shadow::tally,
    state::{StateError, Store},
};

/// Largest entry that is taken in: alone in a batch it still fits one payload.
pub(crate) const ENTRY_MAX: usize = limits::PAYLOAD - 1024;

const KEY_MARKS: &str = "outbox-marks";

/// How far the outbox is, as stored.
#[derive(Debug, Clone, Copy, Default, Encode, Decode)]
#[cbor(map)]
struct Marks {
    #[n(0)]
    acked: Sequence,
    #[n(1)]
    sent: Sequence,
    #[n(2)]
    merged: u64,
    #[n(3)]
    dropped: u64,
}

/// Why an entry is not in the outbox.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// It would not fit a payload.
    #[error("an entry of {bytes} bytes is over the {ENTRY_MAX} that one payload takes")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The store said no.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What came of an ack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acked {
    /// So many windows are done with.
    Windows(u64),
    /// It is for another life of the outbox, or old, or cannot be true.
    Ignored,
}

/// The outbox of one device.
#[derive(Debug)]
pub struct Outbox {
    id: OutboxId,
    store: Store,
    queue: Queue,
    limit: u64,
    /// Bytes that captures may take.
    ring: u64,
    chance: Chance,
    /// The last entry that was there when the store was opened, or that may have been sent before.
    found: Sequence,
    merged: u64,
    dropped: u64,
    /// Something was written since the last flush.
    dirty: bool,
    /// Entries written since then, but for captures: if the disk does not take them, the next outbox does.
    unsaved: Vec<Entry>,
}

impl Outbox {
    /// The outbox in this store.
    pub fn open(store: Store, limit: u64, mut chance: Chance) -> Result<Self, StateError> {
        let marks: Marks = store.fact(KEY_MARKS)?.unwrap_or_default();
        let mut items = Vec::new();
        for pair in &store.outbox()? {
            let (key, value) = pair.map_err(|err| store.outbox_error("reading the outbox", err))?;
            let sequence = key
                .as_ref()
                .try_into()
                .map(u64::from_be_bytes)
                .map(Sequence);
            let entry = codec::decode_within::<Entry>(&value, limits::PAYLOAD);
            // What cannot be read could not be sent either.
            let (Ok(sequence), Ok(entry)) = (sequence, entry) else {
                tracing::warn!("an entry of the outbox cannot be read and is dropped");
                remove(&store, &key)?;
                continue;
            };
            if sequence <= marks.acked {
                remove(&store, &key)?;
                continue;
            }
            items.push(Item {
                sequence,
                bytes: value.len() as u64,
                kind: kind(&entry.body),
                weight: weight(&entry.body),
            });
        }
        let last = items.last().map_or(Sequence(0), |item| item.sequence);
        let (found, own) = (last.max(marks.acked).max(marks.sent), chance.split());
        let mut queue = Queue::restore(items.into_iter(), marks.acked, marks.sent, limit, chance);
        if !store.is_new() {
            queue.probe(found);
        }
        Ok(Self {
            id: store.outbox_id()?,
            queue,
            limit,
            ring: u64::MAX,
            chance: own,
            found,
            store,
            merged: marks.merged,
            dropped: marks.dropped,
            dirty: false,
            unsaved: Vec::new(),
        })
    }

    /// Takes an entry in. It is on disk after the next [`Self::flush`] or before it is sent.
    pub fn append(
        &mut self,
        body: Body,
        at: Instant,
        wall: Option<WallTime>,
    ) -> Result<(), OutboxError> {
        self.write(body, at, wall)?;
        let dropped = self.relieve()?;
        if dropped > 0 {
            tracing::warn!(dropped, "the outbox is full: captures were dropped");
            let event = Event {
                kind: EventKind::CapturesDropped,
                slot: None,
                model: None,
                version: None,
                text: format!(
                    "{dropped} entries were dropped, captures first, to stay within bounds"
                ),
            };
            self.write(Body::Event(event.into()), at, wall)?;
        }
        Ok(())
    }

    fn write(
        &mut self,
        body: Body,
        at: Instant,
        wall: Option<WallTime>,
    ) -> Result<(), OutboxError> {
        let mut entry = Entry {
            // The largest number takes the most bytes: the length is that of the real one or more.
            sequence: Sequence(u64::MAX),
            at,
            wall,
            body,
        };
        let mut bytes = codec::encode(&entry).len();
        if bytes > ENTRY_MAX
            && let Body::Window(window) = &mut entry.body
        {
            // A window of thousands of features: its counts matter more than their distribution.
            window.features.clear();
            bytes = codec::encode(&entry).len();
        }
        if bytes > ENTRY_MAX {
            return Err(OutboxError::TooLarge { bytes });
        }
        let (kind, weight) = (kind(&entry.body), weight(&entry.body));
        entry.sequence = self.queue.append(kind, bytes as u64, weight, at.uptime);
        let kept = (kind != Kind::Capture).then(|| entry.clone());
        // Also if it is not taken: that is when it is needed.
        let inserted = self.insert(&entry);
        self.unsaved.extend(kept);
        Ok(inserted?)
    }

    /// What is not known to be on disk.
    pub fn into_unsaved(self) -> Vec<Entry> {
        self.unsaved
    }

    /// Takes in what another outbox of this store could not save, but for what the disk has after all. If the
    /// store fails again, what is left here and [`Self::into_unsaved`] are all that is not saved, each under
    /// the number by which the disk may have it.
    pub fn save(&mut self, unsaved: &mut VecDeque<Entry>) -> Result<(), StateError> {
        while let Some(entry) = unsaved.front() {
            let is_there = self.read(entry.sequence)?.as_ref() == Some(entry);
            let Some(entry) = unsaved.pop_front().filter(|_| !is_there) else {
                continue;
            };
            match self.append(entry.body, entry.at, entry.wall) {
                Err(OutboxError::State(err)) => return Err(err),
                Err(err) => tracing::warn!("an entry is left out: {err}"),
                Ok(()) => {}
            }
        }
        self.flush()
    }

    /// Makes room until the limit holds; how many entries had to go.
    fn relieve(&mut self) -> Result<u64, StateError> {
        let before = (self.merged, self.dropped);
        let mut gone = 0;
        loop {
            let relief = self.queue.relief();
            if relief.is_empty() {
                break;
            }
            // What merges is on disk first: what is not saved is known by its place and content.
            self.flush()?;
            for step in relief {
                match step {
                    Relief::Drop(sequence) => {
                        self.remove(sequence)?;
                        self.queue.dropped(sequence);
                        self.dropped += 1;
                        gone += 1;
                    }
                    Relief::Merge { older, newer } => self.merge(older, newer)?,
                }
            }
        }
        if before != (self.merged, self.dropped) {
            self.mark()?;
        }
        Ok(gone)
    }

    fn merge(&mut self, older: Sequence, newer: Sequence) -> Result<(), StateError> {
        let windows = self.read(older)?.zip(self.read(newer)?);
        let merged = windows.and_then(|(old, mut entry)| {
            match (old.body, &mut entry.body) {
                (Body::Window(old), Body::Window(window)) => {
                    tern_stats::window::merge(window, &old).ok()?;
                }
                (Body::Shadow(old), Body::Shadow(window)) => {
                    tally::merge(window, &old).ok()?;
                }
                _ => return None,
            }
            let bytes = codec::encode(&entry).len();
            (bytes <= ENTRY_MAX).then_some((entry, bytes))
        });
        let Some((entry, bytes)) = merged else {
            self.queue.unmergeable(older);
            return Ok(());
        };
        // One batch of both: a power cut between them would count a window twice.
        let mut batch = sled::Batch::default();
        batch.insert(&newer.0.to_be_bytes(), codec::encode(&entry));
        batch.remove(&older.0.to_be_bytes());
        let applied = self.store.outbox()?.apply_batch(batch);
        applied.map_err(|err| self.store.outbox_error("merging windows", err))?;
        self.dirty = true;
        self.merged += 1;
        self.queue
            .merged(older, newer, bytes as u64, weight(&entry.body));
        Ok(())
    }

    /// The batch to send now, if any; how far it goes is on disk when this returns.
    pub fn poll(&mut self, now: Instant) -> Result<Option<Batch>, StateError> {
        let Some(sending) = self.queue.poll(now.uptime) else {
            return Ok(None);
        };
        self.mark()?;
        self.flush()?;
        let mut entries = Vec::with_capacity(sending.entries.len());
        for sequence in sending.entries {
            entries.extend(self.read(sequence)?);
        }
        Ok(Some(Batch {
            outbox: self.id,
            acked: self.queue.acked(),
            after: sending.after,
            now,
            entries,
        }))
    }

    /// What the hub says it has.
    pub fn ack(&mut self, ack: &Ack) -> Result<Acked, StateError> {
        if ack.outbox != self.id {
            return Ok(Acked::Ignored);
        }
        if ack.stored > self.queue.sent() {
            self.restart(ack.stored)?;
            return Ok(Acked::Ignored);
        }
        let done = self.queue.ack(ack.stored);
        if done.is_empty() {
            return Ok(Acked::Ignored);
        }
        // Unflushed on purpose: what comes back after a power cut is sent again and skipped there.
        self.mark()?;
        let mut windows = 0;
        for item in done {
            self.remove(item.sequence)?;
            windows += u64::from(matches!(item.kind, Kind::Window(_)));
        }
        Ok(Acked::Windows(windows))
    }

    /// The hub has more of this outbox than was ever sent, as far as this device remembers: its store went
    /// back in time, by a power cut that took what the disk only seemed to have, or as an old copy. What
    /// is written from now on would have numbers that the hub has already seen, and be skipped there. So
    /// another outbox begins. What was found at the start and has a number that the hub has is there;
    /// everything else moves into the new one.
    fn restart(&mut self, stored: Sequence) -> Result<(), StateError> {
        let there = stored.min(self.found);
        let mut moved = Vec::new();
        let mut items = Vec::new();
        for pair in &self.store.outbox()? {
            let (key, value) =
                pair.map_err(|err| self.store.outbox_error("reading the outbox", err))?;
            let number = key.as_ref().try_into().map(u64::from_be_bytes);
            let entry = codec::decode_within::<Entry>(&value, limits::PAYLOAD);
            let (Ok(number), Ok(mut entry)) = (number, entry) else {
                continue;
            };
            if Sequence(number) <= there {
                continue;
            }
            entry.sequence = Sequence(moved.len() as u64 + 1);
            let bytes = codec::encode(&entry);
            items.push(Item {
                sequence: entry.sequence,
                bytes: bytes.len() as u64,
                kind: kind(&entry.body),
                weight: weight(&entry.body),
            });
            moved.push((entry.sequence, bytes));
        }
        let marks = Marks {
            merged: self.merged,
            dropped: self.dropped,
            ..Marks::default()
        };
        self.id = self.store.restart_outbox(&moved, (KEY_MARKS, &marks))?;
        let (none, chance) = (Sequence(0), self.chance.split());
        self.queue = Queue::restore(items.into_iter(), none, none, self.limit, chance);
        self.queue.ring(self.ring);
        self.found = none;
        tracing::warn!(
            stored = stored.0,
            moved = moved.len(),
            "the hub has more than this device remembers to have sent: its store went back; \
             another outbox begins"
        );
        Ok(())
    }

    /// When [`Self::poll`] has something to send.
    pub fn deadline(&self) -> Option<Uptime> {
        self.queue.deadline()
    }

    /// The link is back.
    pub fn online(&mut self) {
        self.queue.online();
    }

    /// All is to leave now.
    pub fn hurry(&mut self) {
        self.queue.hurry();
    }

    /// Holds at most so many bytes from now on, by the next entry.
    pub fn bound(&mut self, limit: u64) {
        self.limit = limit;
        self.queue.bound(limit);
    }

    /// Captures may take at most so many bytes of it from now on, by the next entry; the newest stay.
    pub fn ring(&mut self, bytes: u64) {
        self.ring = bytes;
        self.queue.ring(bytes);
    }

    /// Removes the captures and truths that are to be forgotten, also those that may be on their way; gives how many.
    /// What the hub has of them is the hub's to forget, and it takes none of them any more. They are not counted as
    /// dropped: nobody wanted for room. On disk when this returns.
    pub fn forget(&mut self, gone: impl Fn(&Entry) -> bool) -> Result<u64, StateError> {
        let mut found = Vec::new();
        for pair in &self.store.outbox()? {
            let (_, value) =
                pair.map_err(|err| self.store.outbox_error("reading the outbox", err))?;
            let entry = codec::decode_within::<Entry>(&value, limits::PAYLOAD);
            let entry = entry
                .ok()
                .filter(|entry| matches!(entry.body, Body::Capture(_) | Body::Label(_)));
            found.extend(entry.filter(&gone).map(|entry| entry.sequence));
        }
        for sequence in &found {
            self.remove(*sequence)?;
            self.queue.dropped(*sequence);
        }
        self.unsaved
            .retain(|entry| !found.contains(&entry.sequence));
        if !found.is_empty() {
            self.flush()?;
        }
        Ok(found.len() as u64)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.size().0 == 0
    }

    /// Its size, for people.
    pub fn report(&self) -> OutboxReport {
        let (entries, bytes) = self.queue.size();
        OutboxReport {
            entries,
            bytes,
            merged: self.merged,
            dropped: self.dropped,
        }
    }

    /// When this returns, every entry taken in so far is on disk.
    pub fn flush(&mut self) -> Result<(), StateError> {
        if self.dirty {
            self.store.flush()?;
            self.dirty = false;
            self.unsaved.clear();
        }
        Ok(())
    }

    fn mark(&mut self) -> Result<(), StateError> {
        let marks = Marks {
            acked: self.queue.acked(),
            sent: self.queue.sent(),
            merged: self.merged,
            dropped: self.dropped,
        };
        self.dirty = true;
        self.store.set_fact(KEY_MARKS, &marks)
    }

    fn insert(&mut self, entry: &Entry) -> Result<(), StateError> {
        let key = entry.sequence.0.to_be_bytes();
        let written = self.store.outbox()?.insert(key, codec::encode(entry));
        self.dirty = true;
        written
            .map(drop)
            .map_err(|err| self.store.outbox_error("writing into the outbox", err))
    }

    fn remove(&mut self, sequence: Sequence) -> Result<(), StateError> {
        self.dirty = true;
        remove(&self.store, &sequence.0.to_be_bytes())
    }

    fn read(&self, sequence: Sequence) -> Result<Option<Entry>, StateError> {
        let value = self.store.outbox()?.get(sequence.0.to_be_bytes());
        let value = value.map_err(|err| self.store.outbox_error("reading the outbox", err))?;
        Ok(value.and_then(|value| codec::decode_within(&value, limits::PAYLOAD).ok()))
    }
}

fn remove(store: &Store, key: &[u8]) -> Result<(), StateError> {
    let removed = store.outbox()?.remove(key);
    removed
        .map(drop)
        .map_err(|err| store.outbox_error("removing from the outbox", err))
}

fn kind(body: &Body) -> Kind {
    match body {
        Body::Window(window) => Kind::Window(key(&window.slot, &[window.bundle])),
        Body::Shadow(window) => {
            Kind::Shadow(key(&window.slot, &[window.bundle, window.live_bundle]))
        }
        Body::Capture(_) => Kind::Capture,
        Body::Event(_) | Body::Label(_) | Body::Number(_) | Body::Unknown => Kind::Other,
    }
}

/// Seconds that a window covers; one for everything else. Of a window that was merged over a start of the
/// agent only the part after it is known.
fn weight(body: &Body) -> u64 {
    let (opened, closed) = match body {
        Body::Window(window) => (window.opened, window.closed),
        Body::Shadow(window) => (window.opened, window.closed),
        _ => return 1,
    };
    let covered = if opened.boot == closed.boot {
        closed.uptime.since(opened.uptime)
    } else {
        closed.uptime.since(Uptime(0))
    };
    covered.as_secs().max(1)
}

/// The same for windows that can merge: of one slot and the same bundles.
fn key(slot: &SlotName, bundles: &[Digest]) -> u64 {
    let mut bytes = Vec::new();
    for bundle in bundles {
        bytes.extend(bundle.as_bytes());
    }
    bytes.extend(slot.as_str().as_bytes());
    let digest = Digest::of(&bytes);
    let first = digest
        .as_bytes()
        .first_chunk()
        .expect("a digest has 32 bytes");
    u64::from_be_bytes(*first)
}
