//! The disk of this device: looked at before anything is written, and made room on.

use std::{io, time::Duration};

use tern_protocol::{
    blob::BlobRef,
    digest::Digest,
    log::{Body, Event, EventKind},
    reported::RejectReason,
    time::Uptime,
};

use super::{Node, NodeError};
use crate::{
    fetch::{
        BlobStatus,
        files::{RESERVE, Stocked, free_bytes},
    },
    reconcile::{self, ObservedSlot},
    room::{self, Level, Reserve},
    slots::bundle::Refusal,
};

/// The disk is looked at this often while anything happens: programs fill it faster than a pass comes around
/// by itself.
const LOOK: Duration = Duration::from_secs(1);

/// How often the store's size is looked at.
const WEIGH: Duration = Duration::from_mins(10);

/// An outbox that may not grow may still have this much: events and a few windows.
const OUTBOX_LEAST: u64 = 256 << 10;

/// What room is not made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// All that anybody needs.
    All,
    /// What serves, its predecessor, and what is to take over.
    WhatServes,
}

/// What the node knows of the disk.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) reserve: Reserve,
    pub(super) level: Level,
    /// Files of blobs, in the order in which they came.
    pub(super) stock: Vec<Stocked>,
    free: Option<u64>,
    looked: Option<Uptime>,
    weighed: Option<Uptime>,
}

impl Space {
    pub(super) fn new(reserve: Reserve) -> Self {
        Self {
            reserve,
            level: Level::default(),
            stock: Vec::new(),
            free: None,
            looked: None,
            weighed: None,
        }
    }

    /// Bytes that unneeded blobs have to give back.
    pub(super) fn shortfall(&self, limit: u64) -> u64 {
        room::shortfall(self.taken(), limit, self.free)
    }

    /// Bytes that blobs take.
    pub(super) fn taken(&self) -> u64 {
        self.stock.iter().map(|blob| blob.bytes).sum()
    }
}

impl Node {
    /// Looks at the disk if it is time, and does about it what has to be done before anything is written.
    pub(super) fn look_at_the_disk(&mut self) -> Result<(), NodeError> {
        let now = self.clock.uptime();
        if self.space.looked.is_some_and(|at| now.since(at) < LOOK) {
            return Ok(());
        }
        self.space.looked = Some(now);
        self.space.stock = self.blobs.files().stock()?;
        self.space.free = free_bytes(&self.config.state);
        if let Some(free) = self.space.free {
            self.feel(free)?;
        }
        if self.space.weighed.is_none_or(|at| now.since(at) >= WEIGH) {
            self.space.weighed = Some(now);
            self.weigh()?;
        }
        Ok(())
    }

    /// Acts on how much is free.
    fn feel(&mut self, free: u64) -> Result<(), NodeError> {
        let before = self.space.level;
        let level = room::judge(before, free);
        // First of all: what follows is written to the disk.
        if level == Level::Full && self.space.reserve.release() {
            tracing::warn!(free, "the disk is full: the store lives from the reserve");
        }
        if level == Level::Enough
            && let Err(err) = self.space.reserve.hold()
            && err.kind() != io::ErrorKind::StorageFull
        {
            tracing::warn!("the reserve cannot be taken: {err}");
        }
        if level == before {
            return Ok(());
        }
        self.space.level = level;
        let limit = match level {
            Level::Enough => self.config.outbox.limit.0,
            Level::Short | Level::Full => {
                let now = self.outbox.report().bytes.max(OUTBOX_LEAST);
                now.min(self.config.outbox.limit.0)
            }
        };
        self.outbox.bound(limit);
        let text = match level {
            Level::Enough => {
                // What found no room may find it now.
                for state in self.states.values_mut() {
                    let rejected = state.record.rejected.as_ref();
                    if rejected.is_some_and(|r| r.reason == RejectReason::NoSpace) {
                        state.retry_at = Some(self.clock.uptime());
                    }
                    state.retry_shadow(RejectReason::NoSpace, self.clock.uptime());
                }
                format!("there is room on the disk again: {free} bytes are free")
            }
            Level::Short => format!(
                "the disk is nearly full, {free} bytes are free: no captures are taken, windows are \
                 merged, nothing is fetched that would not leave {RESERVE}"
            ),
            Level::Full => {
                format!("the disk is full, {free} bytes are free: the store lives from its reserve")
            }
        };
        tracing::warn!("{text}");
        let event = Event {
            kind: EventKind::Disk,
            slot: None,
            model: None,
            version: None,
            text,
        };
        self.write(Body::Event(event.into()))
    }

    /// Rewrites the store when it has become too large.
    fn weigh(&mut self) -> Result<(), NodeError> {
        match self.store.compact(self.config.store_limit()) {
            Ok(None) => Ok(()),
            Ok(Some(bytes)) => {
                tracing::info!(bytes, "the store was rewritten and takes less room");
                Ok(())
            }
            // Whatever went wrong: while it is open, it can be used.
            Err(err) => {
                tracing::warn!("rewriting the store: {}", crate::chain(&err));
                Ok(self.store.flush()?)
            }
        }
    }

    /// Makes room for these parts of a bundle that is to serve, or says why there is none. Shadows give way.
    pub(super) fn make_room(
        &mut self,
        parts: &[BlobRef],
    ) -> Result<Result<(), Refusal>, NodeError> {
        if self.room_for(parts, Keep::All).is_ok() {
            return Ok(Ok(()));
        }
        let observed = self.observe();
        let serves = reconcile::needed_to_serve(&observed);
        let takes_room = |slot: &&ObservedSlot| {
            let holding = slot.shadow.holding.as_ref();
            let blobs = holding.map(|holding| holding.blobs.iter().chain([&holding.bundle]));
            let mut blobs = blobs.into_iter().flatten();
            blobs.any(|blob| !serves.contains(blob))
        };
        let slots = observed.slots.iter();
        let shadows = slots.filter(|(_, slot)| takes_room(slot));
        let shadows: Vec<_> = shadows.map(|(slot, _)| slot.clone()).collect();
        for slot in shadows {
            let text = "its room is needed for a version that is to serve";
            self.refuse_shadow(&slot, &Refusal::new(RejectReason::NoSpace, text))?;
        }
        Ok(self.room_for(parts, Keep::WhatServes))
    }

    /// The same for parts of a shadow, for which nothing gives way that anybody needs.
    pub(super) fn room_for_shadow(&mut self, parts: &[BlobRef]) -> Result<(), Refusal> {
        self.room_for(parts, Keep::All)
    }

    fn room_for(&mut self, parts: &[BlobRef], keep: Keep) -> Result<(), Refusal> {
        let no_space = |text| Refusal::new(RejectReason::NoSpace, text);
        let io = |err| no_space(crate::chain(&err));
        self.space.stock = self.blobs.files().stock().map_err(io)?;
        let missing = parts
            .iter()
            .filter(|blob| self.blobs.status(blob.digest) != BlobStatus::Whole);
        let need: u64 = missing
            .map(|blob| blob.len - self.blobs.bytes_here(*blob))
            .sum();
        let limit = self.config.blobs.limit;
        let observed = self.observe();
        let mut needed = match keep {
            Keep::All => reconcile::needed(&observed),
            Keep::WhatServes => reconcile::needed_to_serve(&observed),
        };
        needed.extend(parts.iter().map(|blob| &blob.digest));
        let stays = self.space.stock.iter();
        let stays = stays.filter(|blob| needed.contains(&blob.digest));
        let stays: u64 = stays.map(|blob| blob.bytes).sum();
        if stays.saturating_add(need) > limit.0 {
            return Err(no_space(format!(
                "the bundle needs {need} bytes more, what has to stay takes {stays}, and `blobs.limit` is \
                 {limit}; raise it"
            )));
        }
        let free = self.blobs.files().free();
        let wanted = need.saturating_add(RESERVE);
        let missing = free.map_or(0, |free| wanted.saturating_sub(free));
        let over = (self.space.taken() + need).saturating_sub(limit.0);
        let gone = room::evict(&self.space.stock, &needed, missing.max(over));
        for digest in gone {
            self.give_up(digest);
        }
        match self.blobs.files().free() {
            Some(free) if free < wanted => Err(no_space(format!(
                "the bundle needs {need} bytes more, only {free} are free ({RESERVE} stay in reserve)"
            ))),
            _ => Ok(()),
        }
    }

    /// Removes a blob that nobody needs.
    pub(super) fn give_up(&mut self, digest: Digest) {
        self.metadata.remove(&digest);
        if let Err(err) = self.blobs.drop(digest) {
            tracing::warn!(%digest, "removing a blob: {}", crate::chain(&err));
        }
        // Also if it could not be removed: asking for it at every pass helps nobody.
        self.space.stock.retain(|blob| blob.digest != digest);
    }

    /// Bytes of blobs that nobody needs.
    pub(super) fn spare(&self) -> u64 {
        let observed = self.observe();
        let needed = reconcile::needed(&observed);
        let spare = self.space.stock.iter();
        let spare = spare.filter(|blob| !needed.contains(&blob.digest));
        spare.map(|blob| blob.bytes).sum()
    }
}
