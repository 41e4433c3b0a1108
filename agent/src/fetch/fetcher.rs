//! What to ask for and when: a machine without I/O.
//!
//! Called by `fetch`, with `now` as an argument. Must never break:
//! - a blob that is wanted is asked for again, for ever, but ever less often while nothing comes;
//! - at most [`ACTIVE_MAX`] blobs are under way, and a want has at most
//!   [`limits::WANT_RANGES`] ranges.

use std::{collections::BTreeMap, time::Duration};

use tern_protocol::{
    blob::{BlobRef, Want},
    digest::Digest,
    limits,
    time::Uptime,
};

use super::bitmap::Bitmap;
use crate::chance::Chance;

/// Blobs under way at once: a manifest, or the three parts of a bundle.
pub const ACTIVE_MAX: usize = 4;

/// Wait for chunks before asking again. The hub gathers wants for a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(3);

/// Longest wait between two wants: a hub that comes back is asked within this time.
const PATIENCE_MAX: Duration = Duration::from_mins(1);

/// Times that a blob may arrive with other bytes than its digest names.
pub const MISMATCHES_MAX: u32 = 3;

/// Wait before fetching again what arrived with wrong bytes; doubles each time.
const MISMATCH_WAIT: Duration = Duration::from_secs(2);

/// Wait before trying the disk again after an error.
const DISK_WAIT: Duration = Duration::from_secs(10);

/// What is known of a blob that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Another blob goes first.
    Queued,
    /// Chunks are awaited.
    Fetching,
    /// All chunks are here and are being hashed.
    Verifying,
    /// Something went wrong; it begins again at that time.
    Waiting(Uptime),
    /// It came with wrong bytes too often.
    Mismatch,
}

#[derive(Debug)]
struct Fetch {
    blob: BlobRef,
    have: Bitmap,
    stage: Stage,
    patience: Duration,
    next_want: Uptime,
    /// Chunks of the last want that have not come.
    awaited: u32,
    mismatches: u32,
}

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Open the file and say what is here: [`Fetcher::opened`].
    Open(BlobRef),
    /// Send this want.
    Ask(Want),
    /// Hash the file and say what came out: [`Fetcher::verified`], [`Fetcher::mismatched`].
    Verify(BlobRef),
}

/// The blobs that are wanted.
#[derive(Debug)]
pub struct Fetcher {
    fetches: BTreeMap<Digest, Fetch>,
    chance: Chance,
}

impl Fetcher {
    /// Nothing is wanted yet.
    pub fn new(chance: Chance) -> Self {
        Self {
            fetches: BTreeMap::new(),
            chance,
        }
    }

    /// A blob is wanted from now on.
    pub fn want(&mut self, blob: BlobRef) {
        self.fetches.entry(blob.digest).or_insert(Fetch {
            blob,
            have: Bitmap::new(0),
            stage: Stage::Queued,
            patience: PATIENCE,
            next_want: Uptime(0),
            awaited: 0,
            mismatches: 0,
        });
    }

    /// A blob is not wanted any more.
    pub fn forget(&mut self, digest: Digest) {
        self.fetches.remove(&digest);
    }

    /// The blobs that are wanted.
    pub fn wanted(&self) -> impl Iterator<Item = Digest> {
        self.fetches.keys().copied()
    }

    /// How far a wanted blob is.
    pub fn stage(&self, digest: Digest) -> Option<&Stage> {
        self.fetches.get(&digest).map(|fetch| &fetch.stage)
    }

    /// The chunks of a wanted blob that are here.
    pub fn have(&self, digest: Digest) -> Option<&Bitmap> {
        self.fetches.get(&digest).map(|fetch| &fetch.have)
    }

    /// The blobs whose chunks are awaited: their topics are worth listening to.
    pub fn listening(&self) -> impl Iterator<Item = Digest> {
        let fetching = |f: &&Fetch| f.stage == Stage::Fetching;
        self.fetches
            .values()
            .filter(fetching)
            .map(|f| f.blob.digest)
    }

    /// The file is open and has these chunks.
    pub fn opened(&mut self, digest: Digest, have: Bitmap, now: Uptime) {
        if let Some(fetch) = self.fetches.get_mut(&digest) {
            fetch.have = have;
            fetch.stage = Stage::Fetching;
            fetch.next_want = now;
            fetch.patience = PATIENCE;
        }
    }

    /// Where chunk `index` of `len` bytes belongs, if it is awaited and fits.
    pub fn accepts(&self, digest: Digest, index: u32, len: usize) -> Acceptance {
        let fetch = self
            .fetches
            .get(&digest)
            .filter(|f| f.stage == Stage::Fetching);
        match fetch {
            None => Acceptance::Foreign,
            Some(fetch) => match fetch.blob.place(index) {
                Some((_, expected)) if expected != len => Acceptance::Malformed,
                None => Acceptance::Malformed,
                Some(_) if fetch.have.has(index) => Acceptance::Foreign,
                Some(_) => Acceptance::Awaited,
            },
        }
    }

    /// A chunk was written.
    pub fn wrote(&mut self, digest: Digest, index: u32, now: Uptime) {
        let Some(fetch) = self.fetches.get_mut(&digest) else {
            return;
        };
        if fetch.have.set(index) {
            fetch.awaited = fetch.awaited.saturating_sub(1);
            fetch.patience = PATIENCE;
            // Something comes: wait from here. What the last want did not cover is asked at once.
            fetch.next_want = if fetch.awaited == 0 {
                now
            } else {
                now.plus(PATIENCE)
            };
        }
    }

    /// The bytes are those that the digest names.
    pub fn verified(&mut self, digest: Digest) {
        self.forget(digest);
    }

    /// The bytes are others; the file is gone.
    pub fn mismatched(&mut self, digest: Digest, now: Uptime) {
        let Some(fetch) = self.fetches.get_mut(&digest) else {
            return;
        };
        fetch.mismatches += 1;
        fetch.stage = if fetch.mismatches < MISMATCHES_MAX {
            let wait = MISMATCH_WAIT * 2u32.pow(fetch.mismatches - 1);
            Stage::Waiting(now.plus(self.chance.jitter(wait)))
        } else {
            Stage::Mismatch
        };
    }

    /// The disk had an error; what is in memory about the file is not to be trusted.
    pub fn disk_error(&mut self, digest: Digest, now: Uptime) {
        if let Some(fetch) = self.fetches.get_mut(&digest) {
            fetch.stage = Stage::Waiting(now.plus(self.chance.jitter(DISK_WAIT)));
        }
    }

    /// The link is back: what was asked before may be lost.
    pub fn online(&mut self, now: Uptime) {
        for fetch in self.fetches.values_mut() {
            fetch.patience = PATIENCE;
            fetch.next_want = now;
        }
    }

    /// What to do next; call it until it gives nothing. Wants are given out only if `online`.
    pub fn poll(&mut self, now: Uptime, online: bool) -> Option<Request> {
        let due = |f: &Fetch| matches!(f.stage, Stage::Waiting(at) if at <= now);
        for fetch in self.fetches.values_mut().filter(|f| due(f)) {
            fetch.stage = Stage::Queued;
        }
        let busy = |f: &&Fetch| matches!(f.stage, Stage::Fetching | Stage::Verifying);
        let active = self.fetches.values().filter(busy).count();
        let chance = &mut self.chance;
        for fetch in self.fetches.values_mut() {
            match fetch.stage {
                Stage::Queued if active < ACTIVE_MAX => return Some(Request::Open(fetch.blob)),
                Stage::Fetching if fetch.have.is_full() => {
                    fetch.stage = Stage::Verifying;
                    return Some(Request::Verify(fetch.blob));
                }
                Stage::Fetching if online && fetch.next_want <= now => {
                    let ranges = fetch.have.missing(limits::WANT_RANGES);
                    fetch.awaited = ranges.iter().map(|range| range.count).sum();
                    fetch.next_want = now.plus(chance.jitter(fetch.patience * 2));
                    fetch.patience = (fetch.patience * 2).min(PATIENCE_MAX);
                    return Some(Request::Ask(Want {
                        blob: fetch.blob.digest,
                        ranges,
                    }));
                }
                _ => {}
            }
        }
        None
    }

    /// When [`Self::poll`] has something to do, if nothing comes before.
    pub fn deadline(&self, online: bool) -> Option<Uptime> {
        let times = self.fetches.values().filter_map(|fetch| match fetch.stage {
            Stage::Waiting(at) => Some(at),
            Stage::Fetching if online => Some(fetch.next_want),
            _ => None,
        });
        times.min()
    }
}

/// What to do with a chunk that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// Write it.
    Awaited,
    /// It is here already, or nobody here wants it: other devices share the topic.
    Foreign,
    /// It has a length or an index that the blob does not have.
    Malformed,
}

#[cfg(test)]
mod tests {
    use tern_protocol::limits::CHUNK;

    use super::*;

    fn blob(chunks: u64) -> BlobRef {
        BlobRef {
            digest: Digest::of(&chunks.to_be_bytes()),
            len: chunks * CHUNK as u64,
        }
    }

    fn fetching(chunks: u64) -> (Fetcher, BlobRef) {
        let mut fetcher = Fetcher::new(Chance::seeded(1));
        let blob = blob(chunks);
        fetcher.want(blob);
        assert_eq!(fetcher.poll(Uptime(0), true), Some(Request::Open(blob)));
        fetcher.opened(blob.digest, Bitmap::new(blob.chunks()), Uptime(0));
        (fetcher, blob)
    }

    fn asked(request: Option<Request>) -> Vec<(u32, u32)> {
        match request {
            Some(Request::Ask(want)) => want.ranges.iter().map(|r| (r.first, r.count)).collect(),
            other => panic!("it asks for nothing: {other:?}"),
        }
    }

    #[test]
    fn only_what_is_missing_is_asked_for_and_ever_less_often() {
        let (mut fetcher, blob) = fetching(10);
        assert_eq!(asked(fetcher.poll(Uptime(0), true)), [(0, 10)]);
        fetcher.wrote(blob.digest, 3, Uptime(10));
        let mut now = Uptime(10);
        let mut waits = Vec::new();
        for _ in 0..8 {
            let next = fetcher.deadline(true).expect("it is not done");
            assert_eq!(fetcher.poll(Uptime(next.0 - 1), true), None);
            assert_eq!(asked(fetcher.poll(next, true)), [(0, 3), (4, 6)]);
            waits.push(next.since(now));
            now = next;
        }
        assert!(
            waits.iter().all(|wait| *wait <= PATIENCE_MAX * 2),
            "{waits:?}"
        );
        assert!(waits[5] > waits[0] * 3, "{waits:?}");
    }

    #[test]
    fn nothing_is_asked_while_offline_and_at_once_when_back() {
        let (mut fetcher, blob) = fetching(2);
        assert_eq!(fetcher.poll(Uptime(5), false), None);
        assert_eq!(fetcher.deadline(false), None);
        asked(fetcher.poll(Uptime(5), true));
        assert_eq!(fetcher.poll(Uptime(6), true), None);
        fetcher.online(Uptime(7));
        assert_eq!(asked(fetcher.poll(Uptime(7), true)), [(0, 2)]);
        assert_eq!(fetcher.listening().collect::<Vec<_>>(), [blob.digest]);
    }

    #[test]
    fn a_full_blob_is_verified_and_wrong_bytes_are_tried_three_times() {
        let (mut fetcher, blob) = fetching(1);
        let mut now = Uptime(0);
        for round in 1..=MISMATCHES_MAX {
            if round > 1 {
                now = fetcher.deadline(true).expect("it begins again");
                assert_eq!(fetcher.poll(now, true), Some(Request::Open(blob)));
                fetcher.opened(blob.digest, Bitmap::new(1), now);
            }
            asked(fetcher.poll(now, true));
            fetcher.wrote(blob.digest, 0, now);
            assert_eq!(fetcher.poll(now, true), Some(Request::Verify(blob)));
            assert_eq!(fetcher.poll(now, true), None);
            fetcher.mismatched(blob.digest, now);
        }
        assert_eq!(fetcher.stage(blob.digest), Some(&Stage::Mismatch));
        assert_eq!(fetcher.deadline(true), None);
    }

    #[test]
    fn chunks_that_do_not_fit_are_told_from_those_of_others() {
        let (mut fetcher, blob) = fetching(2);
        let check = |f: &Fetcher, index, len| f.accepts(blob.digest, index, len);
        assert_eq!(check(&fetcher, 0, CHUNK), Acceptance::Awaited);
        assert_eq!(check(&fetcher, 0, CHUNK - 1), Acceptance::Malformed);
        assert_eq!(check(&fetcher, 2, CHUNK), Acceptance::Malformed);
        assert_eq!(check(&fetcher, u32::MAX, 0), Acceptance::Malformed);
        fetcher.wrote(blob.digest, 0, Uptime(0));
        assert_eq!(check(&fetcher, 0, CHUNK), Acceptance::Foreign);
        assert_eq!(
            fetcher.accepts(Digest::of(b"other"), 0, CHUNK),
            Acceptance::Foreign
        );
    }

    #[test]
    fn few_blobs_are_under_way_at_once() {
        let mut fetcher = Fetcher::new(Chance::seeded(1));
        (1..=10).for_each(|n| fetcher.want(blob(n)));
        let mut open = 0;
        while let Some(Request::Open(blob)) = fetcher.poll(Uptime(0), false) {
            fetcher.opened(blob.digest, Bitmap::new(blob.chunks()), Uptime(0));
            open += 1;
        }
        assert_eq!(open, ACTIVE_MAX);
    }
}
