//! Which chunk to publish next, and when. Pure: time is an argument.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use tern_protocol::{
    blob::{BlobRef, ChunkRange},
    digest::Digest,
    id::WorkspaceId,
    limits,
};

/// Bounds and paces. Times are counted from the start of the carousel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// A blob starts when nobody has wanted more of it for this long: when a fleet is told to fetch,
    /// the wants of its devices come over a second or so, and each that comes before the start costs
    /// nothing.
    pub quiet: Duration,
    /// A blob starts at the latest this long after its first want.
    pub gather: Duration,
    /// Blobs that are sent or gathered at the same time; each costs at most 4 KiB of bitmap. Wants
    /// for more are forgotten: their devices ask again.
    pub blobs: usize,
    /// Bytes a second over all blobs; `None`: as fast as the link takes them.
    pub egress: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(200),
            gather: Duration::from_secs(1),
            blobs: 256,
            egress: None,
        }
    }
}

/// Names a blob in a workspace.
pub type Key = (WorkspaceId, Digest);

/// A chunk to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// Of which blob.
    pub blob: BlobRef,
    /// Which chunk.
    pub index: u32,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Publish this, then call [`Carousel::sent`].
    Send(Job),
    /// Nothing until this time or the next want.
    WaitUntil(Duration),
    /// Nothing until the next want.
    Idle,
}

/// Why a want was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// Too many blobs are wanted at once.
    Full,
    /// It asks for nothing that the blob has.
    Nothing,
}

/// The wanted chunks of all blobs.
#[derive(Debug)]
pub struct Carousel {
    limits: Limits,
    blobs: BTreeMap<Key, Wanted>,
    /// Blobs that are being sent, next one first.
    turns: VecDeque<Key>,
    /// Bytes that may be sent now, under an egress limit. Below zero after a chunk that was larger
    /// than what was left.
    allowance: i64,
    refilled: Duration,
}

#[derive(Debug)]
struct Wanted {
    blob: BlobRef,
    /// One bit a chunk.
    chunks: Vec<u64>,
    first_want: Duration,
    last_want: Duration,
    /// Whether it has its turns already.
    started: bool,
    /// Where to look for the next chunk, so that chunks go out in order.
    cursor: u32,
}

impl Carousel {
    /// An empty carousel.
    pub fn new(limits: Limits) -> Self {
        let allowance = limits.egress.map_or(0, burst);
        Self {
            limits,
            blobs: BTreeMap::new(),
            turns: VecDeque::new(),
            allowance,
            refilled: Duration::ZERO,
        }
    }

    /// Takes a want. Only the first [`limits::WANT_RANGES`] ranges count, and only chunks that the
    /// blob has.
    pub fn want(
        &mut self,
        now: Duration,
        workspace: &WorkspaceId,
        blob: BlobRef,
        ranges: &[ChunkRange],
    ) -> Result<(), Ignored> {
        let key = (workspace.clone(), blob.digest);
        let known = self.blobs.len();
        let chunks = blob.chunks();
        let ranges = ranges.iter().take(limits::WANT_RANGES).filter_map(|range| {
            let end = range.first.saturating_add(range.count).min(chunks);
            (range.first < end).then_some(range.first..end)
        });
        let mut ranges = ranges.peekable();
        if ranges.peek().is_none() {
            return Err(Ignored::Nothing);
        }
        if known >= self.limits.blobs && !self.blobs.contains_key(&key) {
            return Err(Ignored::Full);
        }
        let wanted = self
            .blobs
            .entry(key)
            .or_insert_with(|| Wanted::new(blob, now));
        for index in ranges.flatten() {
            wanted.add(index);
        }
        wanted.last_want = now;
        Ok(())
    }

    /// What to do now.
    pub fn next(&mut self, now: Duration) -> Next {
        let due = self.start_due(now);
        if self.turns.is_empty() {
            return due.map_or(Next::Idle, Next::WaitUntil);
        }
        if let Some(at) = self.refill(now) {
            return Next::WaitUntil(due.map_or(at, |due| due.min(at)));
        }
        while let Some(key) = self.turns.pop_front() {
            let Some(wanted) = self.blobs.get_mut(&key) else {
                continue;
            };
            let Some(index) = wanted.take() else {
                self.blobs.remove(&key);
                continue;
            };
            let job = Job {
                workspace: key.0.clone(),
                blob: wanted.blob,
                index,
            };
            // To the end of the queue: every blob gets a chunk before this one gets its next.
            if wanted.is_empty() {
                self.blobs.remove(&key);
            } else {
                self.turns.push_back(key);
            }
            return Next::Send(job);
        }
        due.map_or(Next::Idle, Next::WaitUntil)
    }

    /// Counts bytes that were published against the egress limit.
    pub fn sent(&mut self, bytes: usize) {
        if self.limits.egress.is_some() {
            self.allowance = self.allowance.saturating_sub_unsigned(bytes as u64);
        }
    }

    /// Blobs that are wanted.
    pub fn len(&self) -> usize {
        self.blobs.len()
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.blobs.is_empty()
    }

    /// Gives turns to blobs that have gathered long enough; says when the next will have.
    fn start_due(&mut self, now: Duration) -> Option<Duration> {
        let mut next = None;
        for (key, wanted) in &mut self.blobs {
            if wanted.started {
                continue;
            }
            let quiet = wanted.last_want + self.limits.quiet;
            let due = quiet.min(wanted.first_want + self.limits.gather);
            if due <= now {
                wanted.started = true;
                self.turns.push_back(key.clone());
            } else {
                next = Some(next.map_or(due, |next: Duration| next.min(due)));
            }
        }
        next
    }

    /// Adds what the egress limit allows since the last time; says when sending may go on, if not
    /// now.
    fn refill(&mut self, now: Duration) -> Option<Duration> {
        let rate = self.limits.egress?;
        let passed = now.saturating_sub(self.refilled).as_micros();
        let earned = u128::from(rate) * passed / 1_000_000;
        // A moment too short to earn a byte is not forgotten, but added to the next.
        if earned > 0 {
            let earned = i64::try_from(earned).unwrap_or(i64::MAX);
            self.allowance = self.allowance.saturating_add(earned).min(burst(rate));
            self.refilled = now;
        }
        if self.allowance > 0 {
            return None;
        }
        let lacking = self.allowance.unsigned_abs() + 1;
        let wait = u128::from(lacking) * 1_000_000 / u128::from(rate) + 1;
        Some(now + Duration::from_micros(u64::try_from(wait).unwrap_or(u64::MAX)))
    }
}

/// Bytes that may be sent at once after a pause: a tenth of a second's worth, and a chunk at least.
fn burst(rate: u64) -> i64 {
    i64::try_from((rate / 10).max(limits::CHUNK as u64)).unwrap_or(i64::MAX)
}

impl Wanted {
    fn new(blob: BlobRef, now: Duration) -> Self {
        Self {
            blob,
            chunks: vec![0; (blob.chunks() as usize).div_ceil(64)],
            first_want: now,
            last_want: now,
            started: false,
            cursor: 0,
        }
    }

    fn add(&mut self, index: u32) {
        self.chunks[index as usize / 64] |= 1 << (index % 64);
    }

    fn is_empty(&self) -> bool {
        self.chunks.iter().all(|word| *word == 0)
    }

    /// The next wanted chunk from the cursor on, around the end.
    fn take(&mut self) -> Option<u32> {
        let index = self.find(self.cursor).or_else(|| self.find(0))?;
        self.chunks[index as usize / 64] &= !(1 << (index % 64));
        self.cursor = index + 1;
        Some(index)
    }

    fn find(&self, from: u32) -> Option<u32> {
        let (start, bit) = (from as usize / 64, from % 64);
        let words = self.chunks.iter().enumerate().skip(start);
        for (at, word) in words {
            let word = if at == start {
                word & (u64::MAX << bit)
            } else {
                *word
            };
            if word != 0 {
                return Some(at as u32 * 64 + word.trailing_zeros());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
