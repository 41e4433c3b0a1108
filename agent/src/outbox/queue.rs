//! The order of the outbox: what is sent when, what gives way under pressure. A machine without
//! I/O; the entries themselves are in sled (`outbox`).
//!
//! Entries form a chain (see `tern_protocol::log`). One batch is under way at a time: it follows
//! the last entry that the hub acknowledged, so a lost batch or a lost ack is repaired by sending
//! again, and the hub skips what it has.
//!
//! Must never break:
//! - an entry that may be at the hub (up to [`Queue::sent`]) is never changed, merged or dropped
//!   before it is acknowledged, else it would count twice or not at all;
//! - windows are merged, never dropped: counts stay exact.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use tern_protocol::{id::Sequence, time::Uptime};

use crate::chance::Chance;

/// Bytes of entries in one batch; leaves room for the frame in a payload of 128 KiB. One entry that is
/// larger goes alone.
pub const BATCH: u64 = 100 * 1024;

/// Entries wait this long for others, so that a burst becomes one batch.
const GATHER: Duration = Duration::from_millis(200);

/// Wait for an ack before sending again; doubles up to [`RESEND_MAX`].
const RESEND: Duration = Duration::from_secs(5);

/// Longest wait between two sends of the same batch.
const RESEND_MAX: Duration = Duration::from_mins(1);

/// What the queue needs to know of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Telemetry; windows with the same key can merge.
    Window(u64),
    /// What a candidate did beside what serves; windows with the same key can merge.
    Shadow(u64),
    /// An input: the first to give way.
    Capture,
    /// An event or a label: the last to give way.
    Other,
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Its place.
    pub sequence: Sequence,
    /// Its encoded length.
    pub bytes: u64,
    /// What it is.
    pub kind: Kind,
    /// Seconds that a window covers, at least one; one for everything else. A window that was merged of
    /// many is heavy, also after a start.
    pub weight: u64,
}

impl Item {
    fn capture_bytes(&self) -> u64 {
        match self.kind {
            Kind::Capture => self.bytes,
            _ => 0,
        }
    }
}

/// Something that makes room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relief {
    /// Drop this entry.
    Drop(Sequence),
    /// Add the older window to the newer one and drop it.
    Merge {
        /// The window that goes.
        older: Sequence,
        /// The window that stays.
        newer: Sequence,
    },
}

/// What to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    /// The entry that it follows.
    pub after: Sequence,
    /// The entries.
    pub entries: Vec<Sequence>,
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    resend_at: Uptime,
    wait: Duration,
}

/// The entries in order.
#[derive(Debug, Clone)]
pub struct Queue {
    items: VecDeque<Item>,
    bytes: u64,
    limit: u64,
    /// Bytes of captures, and how many there may be.
    captures: u64,
    ring: u64,
    next: Sequence,
    acked: Sequence,
    sent: Sequence,
    flight: Option<Flight>,
    /// When the first entry that was not sent yet was written.
    gathering: Option<Uptime>,
    /// Until the hub has said how far it is: nothing after this entry leaves.
    probing: Option<Sequence>,
    chance: Chance,
}

impl Queue {
    /// As it was stored: entries in order, the last acknowledged, the last that may be at the hub.
    pub fn restore(
        items: impl Iterator<Item = Item>,
        acked: Sequence,
        sent: Sequence,
        limit: u64,
        chance: Chance,
    ) -> Self {
        let items: VecDeque<_> = items.filter(|item| item.sequence > acked).collect();
        let last = items.back().map_or(Sequence(0), |item| item.sequence);
        Self {
            bytes: items.iter().map(|item| item.bytes).sum(),
            captures: items.iter().map(Item::capture_bytes).sum(),
            ring: u64::MAX,
            gathering: (!items.is_empty()).then_some(Uptime(0)),
            items,
            limit,
            next: last.max(acked).max(sent).next(),
            acked,
            sent,
            flight: None,
            probing: None,
            chance,
        }
    }

    /// First asks how far the hub is: until it has answered, nothing after `last` leaves. What is written
    /// after a start has new numbers, and if the hub has seen them already it must be known before.
    pub fn probe(&mut self, last: Sequence) {
        self.probing = Some(last);
    }

    /// Holds at most so many bytes from now on.
    pub fn bound(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Captures may take at most so many bytes from now on: they are a ring, in which the newest stay.
    pub fn ring(&mut self, bytes: u64) {
        self.ring = bytes;
    }

    /// Entries waiting, and their bytes.
    pub fn size(&self) -> (u64, u64) {
        (self.items.len() as u64, self.bytes)
    }

    /// The last entry that the hub acknowledged.
    pub fn acked(&self) -> Sequence {
        self.acked
    }

    /// The last entry that may be at the hub.
    pub fn sent(&self) -> Sequence {
        self.sent
    }

    /// Takes an entry in; gives its place.
    pub fn append(&mut self, kind: Kind, bytes: u64, weight: u64, now: Uptime) -> Sequence {
        let sequence = self.next;
        self.next = sequence.next();
        let item = Item {
            sequence,
            bytes,
            kind,
            weight,
        };
        self.bytes += bytes;
        self.captures += item.capture_bytes();
        self.items.push_back(item);
        self.gathering.get_or_insert(now);
        sequence
    }

    /// What to do to get under the limit: nothing while it holds. After it is done, ask again.
    pub fn relief(&self) -> Vec<Relief> {
        let first = self
            .items
            .partition_point(|item| item.sequence <= self.sent);
        if self.captures > self.ring {
            let excess = self.captures - self.ring / 8 * 7;
            let oldest = self.oldest(first, excess, Kind::Capture);
            if !oldest.is_empty() {
                return oldest;
            }
        }
        if self.bytes <= self.limit {
            return Vec::new();
        }
        // An eighth of room, so that not every further entry asks for relief.
        let excess = self.bytes - self.limit / 8 * 7;
        let captures = self.oldest(first, excess, Kind::Capture);
        if !captures.is_empty() {
            return captures;
        }
        let merges = self.merges(first, excess);
        if !merges.is_empty() {
            return merges;
        }
        // One window a bundle is left, and what people did.
        self.oldest(first, excess, Kind::Other)
    }

    /// The oldest entries of a kind, from `first` on, with this many bytes.
    fn oldest(&self, first: usize, excess: u64, kind: Kind) -> Vec<Relief> {
        let mut freed = 0;
        let items = self.items.range(first..).filter(|item| item.kind == kind);
        let enough = items.take_while(|item| {
            let more = freed < excess;
            freed += item.bytes;
            more
        });
        enough.map(|item| Relief::Drop(item.sequence)).collect()
    }

    /// Neighbours of the same key, in disjoint pairs, oldest first, until they free enough. Only pairs that
    /// are not much heavier than the lightest: what is old becomes coarse before what is new, and yet no
    /// window swallows all others.
    fn merges(&self, first: usize, excess: u64) -> Vec<Relief> {
        let mut last: BTreeMap<u64, Item> = BTreeMap::new();
        let mut pairs = Vec::new();
        for item in self.items.range(first..) {
            let (Kind::Window(key) | Kind::Shadow(key)) = item.kind else {
                continue;
            };
            if let Some(older) = last.insert(key, *item) {
                pairs.push((older, *item));
            }
        }
        let weight = |(a, b): &(Item, Item)| a.weight.saturating_add(b.weight);
        let lightest = pairs.iter().map(weight).min().unwrap_or(0);
        pairs.retain(|pair| weight(pair) <= lightest.saturating_mul(2));
        let mut taken = BTreeSet::new();
        let mut freed = 0;
        let mut merges = Vec::new();
        for (older, newer) in pairs {
            if freed >= excess {
                break;
            }
            if taken.contains(&older.sequence) {
                continue;
            }
            taken.insert(newer.sequence);
            // Two windows of one bundle take about as much as one.
            freed += older.bytes;
            merges.push(Relief::Merge {
                older: older.sequence,
                newer: newer.sequence,
            });
        }
        merges
    }

    /// An entry was dropped.
    pub fn dropped(&mut self, sequence: Sequence) {
        if let Some(at) = self.position(sequence)
            && let Some(item) = self.items.remove(at)
        {
            self.bytes -= item.bytes;
            self.captures -= item.capture_bytes();
        }
    }

    /// A window was added to a newer one, which has `bytes` now and covers `weight` seconds.
    pub fn merged(&mut self, older: Sequence, newer: Sequence, bytes: u64, weight: u64) {
        let before = self.position(older).map_or(0, |at| self.items[at].weight);
        self.dropped(older);
        if let Some(at) = self.position(newer) {
            let item = &mut self.items[at];
            self.bytes = self.bytes - item.bytes + bytes;
            item.bytes = bytes;
            // Over a start of the agent nobody knows how long it took.
            item.weight = item.weight.saturating_add(before).max(weight);
        }
    }

    /// Two windows turned out not to merge: they will not be offered again.
    pub fn unmergeable(&mut self, older: Sequence) {
        if let Some(at) = self.position(older) {
            // A key of its own.
            let key = u64::MAX ^ older.0;
            self.items[at].kind = match self.items[at].kind {
                Kind::Shadow(_) => Kind::Shadow(key),
                _ => Kind::Window(key),
            };
        }
    }

    /// The batch to send now, if any. From here on its entries may be at the hub: `sent` is stored
    /// before it leaves.
    pub fn poll(&mut self, now: Uptime) -> Option<Sending> {
        if self.deadline()? > now {
            return None;
        }
        let mut bytes = 0;
        let last = self.probing.unwrap_or(Sequence(u64::MAX));
        let known = self.items.iter().take_while(|item| item.sequence <= last);
        let fits = known.take_while(|item| {
            let first = bytes == 0;
            bytes += item.bytes;
            first || bytes <= BATCH
        });
        let entries: Vec<_> = fits.map(|item| item.sequence).collect();
        let last = entries.last().copied();
        if last.is_none() && self.probing.is_none() {
            return None;
        }
        self.sent = self.sent.max(last.unwrap_or_default());
        let wait = self.flight.map_or(RESEND, |f| (f.wait * 2).min(RESEND_MAX));
        self.flight = Some(Flight {
            resend_at: now.plus(self.chance.jitter(wait)),
            wait,
        });
        self.gathering = None;
        Some(Sending {
            after: self.acked,
            entries,
        })
    }

    /// When the next batch is due.
    pub fn deadline(&self) -> Option<Uptime> {
        self.items.front()?;
        match self.flight {
            Some(flight) => Some(flight.resend_at),
            None if self.bytes >= BATCH => Some(Uptime(0)),
            None => Some(self.gathering.unwrap_or_default().plus(GATHER)),
        }
    }

    /// The link is back: what was under way may be lost.
    pub fn online(&mut self) {
        self.flight = None;
    }

    /// All is to leave now: the agent stops.
    pub fn hurry(&mut self) {
        if self.flight.is_none() {
            self.gathering = Some(Uptime(0));
        }
    }

    /// The hub has stored everything up to `stored`. Gives the entries that are done; none if that
    /// is old news or cannot be true.
    pub fn ack(&mut self, stored: Sequence) -> Vec<Item> {
        if stored > self.sent {
            return Vec::new();
        }
        if self.probing.take().is_some() {
            self.flight = None;
        }
        if stored <= self.acked {
            return Vec::new();
        }
        self.acked = stored;
        self.flight = None;
        let done = self.items.partition_point(|item| item.sequence <= stored);
        let done: Vec<_> = self.items.drain(..done).collect();
        self.bytes -= done.iter().map(|item| item.bytes).sum::<u64>();
        self.captures -= done.iter().map(Item::capture_bytes).sum::<u64>();
        if !self.items.is_empty() {
            // What is left was written a while ago: it need not wait for company.
            self.gathering = Some(Uptime(0));
        }
        done
    }

    /// What each waiting entry weighs, oldest first.
    #[cfg(test)]
    pub fn weights(&self) -> Vec<u64> {
        self.items.iter().map(|item| item.weight).collect()
    }

    fn position(&self, sequence: Sequence) -> Option<usize> {
        let found = self
            .items
            .binary_search_by_key(&sequence, |item| item.sequence);
        found.ok()
    }
}
