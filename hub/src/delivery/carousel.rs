//! Which chunk to publish next, and when. Pure: time is an argument.
//!
//! Whoever wants a blob that is being sent joins the pass where it is, and what it missed comes around
//! again at the end. Blobs take turns. A device that loses chunks is told by its wants; [`super::flow`]
//! says how fast what was lost is repeated.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use tern_protocol::{
    blob::{BlobRef, ChunkRange},
    digest::Digest,
    id::{DeviceId, SiteName, WorkspaceId},
    limits,
};

use super::{
    chunks::Chunks,
    flow::Flow,
    ledger::{Again, Wave},
    pace::Pace,
    wanters::Wanters,
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
    /// What is known of a blob is kept so long after its last chunk, to tell a loss from a first want.
    pub linger: Duration,
    /// Blobs that are sent, gathered or remembered at the same time; each costs at most three bitmaps
    /// of 4 KiB and the names of its sites. Wants for more are forgotten: their devices ask again.
    pub blobs: usize,
    /// Bytes a second of each blob; `None`: as fast as the link takes them.
    pub blob: Option<u64>,
    /// Bytes a second for each site, of all blobs that its devices want; a chunk counts once however
    /// many of them listen. `None`: no limit.
    pub site: Option<u64>,
    /// Sites of one blob that are told apart; those over it share one limit.
    pub sites: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(200),
            gather: Duration::from_secs(1),
            linger: Duration::from_mins(1),
            blobs: 256,
            blob: None,
            site: None,
            sites: 256,
        }
    }
}

/// Names a blob in a workspace.
pub type Key = (WorkspaceId, Digest);

/// A site in a workspace; `None`: all those of a blob that are too many to be told apart.
type Site = Option<(WorkspaceId, SiteName)>;

/// Who wants something.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// In which workspace.
    pub workspace: &'a WorkspaceId,
    /// Which device.
    pub device: &'a DeviceId,
    /// Where it is, if sites are limited and the fleet knows.
    pub site: Option<&'a SiteName>,
}

/// A chunk to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// Of which blob.
    pub blob: BlobRef,
    /// Which chunk.
    pub index: u32,
    /// Whether it was sent before.
    pub again: Again,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Publish this.
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

/// What a want that was taken says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It lacks what it was not sent.
    Fresh,
    /// It lost what was sent after it had asked.
    Lost,
}

/// The wanted chunks of all blobs.
#[derive(Debug)]
pub struct Carousel {
    limits: Limits,
    blobs: BTreeMap<Key, Wanted>,
    /// Blobs that are being sent, next one first.
    turns: VecDeque<Key>,
    /// Only of sites that had something lately.
    sites: BTreeMap<Site, Pace>,
    wanters: Wanters,
    /// Numbers the blobs, so that one that comes back has no past.
    born: u64,
}

#[derive(Debug)]
struct Wanted {
    number: u64,
    blob: BlobRef,
    /// Wanted by somebody who did not lose it.
    fresh: Chunks,
    /// Wanted only by those who lost it.
    lost: Chunks,
    /// Sent since the blob was first wanted.
    sent: Chunks,
    sites: BTreeSet<Site>,
    flow: Flow,
    pace: Pace,
    first_want: Duration,
    /// The last want, or the last chunk.
    touched: Duration,
    /// Whether it has its turns already.
    started: bool,
    /// Where to look for the next chunk, so that chunks go out in order.
    cursor: u32,
}

/// What a blob could do at its turn.
enum Turn {
    /// This chunk; whether at the pace of repeats.
    Ready(u32, bool),
    /// Nothing before this time.
    Later(Duration),
    /// Nothing: all is sent.
    Done,
}

impl Carousel {
    /// An empty carousel.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            blobs: BTreeMap::new(),
            turns: VecDeque::new(),
            sites: BTreeMap::new(),
            wanters: Wanters::default(),
            born: 0,
        }
    }

    /// Takes a want. Only the first [`limits::WANT_RANGES`] ranges count, and only chunks that the
    /// blob has.
    pub fn want(
        &mut self,
        now: Duration,
        asker: Asker<'_>,
        blob: BlobRef,
        ranges: &[ChunkRange],
    ) -> Result<Taken, Ignored> {
        let key = (asker.workspace.clone(), blob.digest);
        let chunks = blob.chunks();
        let ranges = ranges.iter().take(limits::WANT_RANGES).filter_map(|range| {
            let end = range.first.saturating_add(range.count).min(chunks);
            (range.first < end).then_some(range.first..end)
        });
        let ranges: Vec<_> = ranges.collect();
        if ranges.is_empty() {
            return Err(Ignored::Nothing);
        }
        let indices = ranges.into_iter().flatten();
        if self.blobs.len() >= self.limits.blobs && !self.blobs.contains_key(&key) {
            self.forget_one()?;
        }
        let born = &mut self.born;
        let wanted = self.blobs.entry(key).or_insert_with(|| {
            *born += 1;
            Wanted::new(*born, blob, now)
        });
        if wanted.is_empty() {
            wanted.first_want = now;
        }
        wanted.touched = now;
        if self.limits.site.is_some() {
            let site = asker.site.map(|s| (asker.workspace.clone(), s.clone()));
            let room = wanted.sites.len() < self.limits.sites;
            wanted.sites.insert(site.filter(|_| room));
        }
        let known = self.wanters.wants(wanted.number, asker.device);
        if !known.again {
            wanted.flow.wanted();
            for index in indices {
                wanted.fresh.add(index);
                wanted.lost.remove(index);
            }
            return Ok(Taken::Fresh);
        }
        let mut taken = Taken::Fresh;
        for index in indices {
            if wanted.fresh.has(index) || wanted.lost.has(index) {
                continue;
            }
            if wanted.sent.has(index) {
                // It was on its way to this device too, which had asked for it before.
                taken = Taken::Lost;
                wanted.lost.add(index);
            } else {
                wanted.fresh.add(index);
            }
        }
        if taken == Taken::Lost {
            let anew = self.wanters.loses(known, now);
            wanted.flow.lost(now, anew);
        }
        Ok(taken)
    }

    /// What to do now. What it says to send counts as sent.
    pub fn next(&mut self, now: Duration) -> Next {
        let mut wait = self.start_due(now);
        // Sites that a blob waits for, whose turn was before: a chunk for several sites must not starve
        // because others take each of them as it becomes free.
        let mut claimed: BTreeSet<Site> = BTreeSet::new();
        let mut place = 0;
        while let Some(key) = self.turns.get(place) {
            let turn = match self.blobs.get(key) {
                Some(wanted) => wanted.turn(now, &self.limits),
                None => Turn::Done,
            };
            let at = match turn {
                Turn::Done => {
                    if let Some(key) = self.turns.remove(place)
                        && let Some(wanted) = self.blobs.get_mut(&key)
                    {
                        wanted.started = false;
                    }
                    continue;
                }
                Turn::Later(at) => at,
                Turn::Ready(index, held) => {
                    let wanted = &self.blobs[key];
                    let sites = wanted.sites.iter().filter_map(|site| self.sites.get(site));
                    let at = sites.map(|pace| pace.at(now)).max().unwrap_or(now);
                    if at <= now && wanted.sites.is_disjoint(&claimed) {
                        return Next::Send(self.send(now, place, index, held));
                    }
                    claimed.extend(wanted.sites.iter().cloned());
                    // Of two that wait for the same site the one before says until when.
                    at.max(now + Duration::from_millis(1))
                }
            };
            wait = Some(wait.map_or(at, |wait: Duration| wait.min(at)));
            place += 1;
        }
        wait.map_or(Next::Idle, Next::WaitUntil)
    }

    /// Blobs that are wanted.
    pub fn len(&self) -> usize {
        self.blobs
            .values()
            .filter(|wanted| !wanted.is_empty())
            .count()
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How each blob stands that is wanted, or was lately.
    pub fn waves(&self) -> Vec<Wave> {
        let wave = |(key, wanted): (&Key, &Wanted)| Wave {
            key: key.clone(),
            len: wanted.blob.len,
            chunks: wanted.blob.chunks().into(),
            sent: wanted.sent.len().into(),
            waiting: wanted.fresh.len().into(),
            lost: wanted.lost.len().into(),
            devices: wanted.flow.wanters().into(),
            repeats_per_s: wanted.flow.rate(),
        };
        self.blobs.iter().map(wave).collect()
    }

    /// Drops all wants for a blob, and what is remembered of it.
    pub fn forget(&mut self, key: &Key) {
        self.blobs.remove(key);
        self.turns.retain(|turn| turn != key);
    }

    /// Bytes a second at which what was lost of a blob is repeated; none while nobody loses.
    pub fn repeats_at(&self, key: &Key) -> Option<u64> {
        self.blobs.get(key)?.flow.rate()
    }

    fn send(&mut self, now: Duration, place: usize, index: u32, held: bool) -> Job {
        let key = self.turns.remove(place).expect("it was found there");
        let wanted = self.blobs.get_mut(&key).expect("it was found there");
        let len = wanted.blob.place(index).map_or(0, |(_, len)| len as u64);
        wanted.fresh.remove(index);
        wanted.lost.remove(index);
        let again = if wanted.sent.has(index) {
            Again::Yes
        } else {
            Again::No
        };
        wanted.sent.add(index);
        wanted.cursor = index + 1;
        wanted.touched = now;
        wanted.flow.sent(now, len, held);
        if let Some(rate) = self.limits.blob {
            wanted.pace.take(now, len, rate);
        }
        if let Some(rate) = self.limits.site {
            for site in &wanted.sites {
                let pace = self.sites.entry(site.clone()).or_default();
                pace.take(now, len, rate);
            }
        }
        let job = Job {
            workspace: key.0.clone(),
            blob: wanted.blob,
            index,
            again,
        };
        // To the end of the queue: every blob gets a chunk before this one gets its next.
        if wanted.is_empty() {
            wanted.started = false;
            wanted.sites.clear();
            self.sites.retain(|_, pace| !pace.is_idle(now));
        } else {
            self.turns.push_back(key);
        }
        job
    }

    /// Makes room: the blob that has rested longest is forgotten.
    fn forget_one(&mut self) -> Result<(), Ignored> {
        let resting = self.blobs.iter().filter(|(_, wanted)| wanted.is_empty());
        let oldest = resting.min_by_key(|(_, wanted)| wanted.touched);
        let key = oldest.map(|(key, _)| key.clone()).ok_or(Ignored::Full)?;
        self.blobs.remove(&key);
        Ok(())
    }

    /// Gives turns to blobs that have gathered long enough; says when the next will have.
    fn start_due(&mut self, now: Duration) -> Option<Duration> {
        let linger = self.limits.linger;
        self.blobs
            .retain(|_, wanted| !wanted.is_empty() || now < wanted.touched + linger);
        let mut next = None;
        for (key, wanted) in &mut self.blobs {
            if wanted.started || wanted.is_empty() {
                continue;
            }
            let quiet = wanted.touched + self.limits.quiet;
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
}

impl Wanted {
    fn new(number: u64, blob: BlobRef, now: Duration) -> Self {
        let none = Chunks::none(blob.chunks());
        Self {
            number,
            blob,
            fresh: none.clone(),
            lost: none.clone(),
            sent: none,
            sites: BTreeSet::new(),
            flow: Flow::default(),
            pace: Pace::default(),
            first_want: now,
            touched: now,
            started: false,
            cursor: 0,
        }
    }

    const fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.lost.is_empty()
    }

    fn turn(&self, now: Duration, limits: &Limits) -> Turn {
        let blob_at = match limits.blob {
            Some(_) => self.pace.at(now),
            None => now,
        };
        let (fresh, lost) = (self.fresh.next(self.cursor), self.lost.next(self.cursor));
        let held = self.flow.is_held(now);
        let lost_at = self.flow.at(now).max(blob_at);
        let fresh_at = if held { lost_at } else { blob_at };
        match (fresh, lost) {
            (None, None) => Turn::Done,
            // Repeats first when they are due: they are few, and would else wait for ever while more is
            // wanted. Under a common pace, what nobody has had goes first.
            (fresh, Some(lost)) if lost_at <= now && (!held || fresh.is_none()) => {
                Turn::Ready(lost, true)
            }
            (Some(fresh), _) if fresh_at <= now => Turn::Ready(fresh, held),
            (Some(_), None) => Turn::Later(fresh_at),
            (Some(_), Some(_)) => Turn::Later(fresh_at.min(lost_at)),
            (None, Some(_)) => Turn::Later(lost_at),
        }
    }
}

#[cfg(test)]
mod tests;
