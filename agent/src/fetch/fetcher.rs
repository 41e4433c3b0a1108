//! What to ask for, when, and by which way: a machine without I/O.
//!
//! Called by `fetch`, with `now` as an argument. Must never break:
//! - a blob that is wanted is asked for again, for ever, but ever less often while nothing comes;
//! - at most [`ACTIVE_MAX`] blobs are under way, and a want has at most
//!   [`limits::WANT_RANGES`] ranges;
//! - for one blob no more bytes are taken in than its budget before it waits;
//! - each way is left for the other only if it fails, and each gets its turn again.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use tern_protocol::{
    blob::{BlobRef, ChunkRange, Want},
    digest::Digest,
    limits,
    time::Uptime,
};

use super::{
    bitmap::Bitmap,
    way::{self, FAILURES_MAX, Policy, Setback, Way},
};
use crate::chance::Chance;

/// Blobs under way at once: a manifest, or the three parts of a bundle.
pub const ACTIVE_MAX: usize = 4;

/// Wait for the first chunk before asking again. The hub gathers wants for up to a second, and a fleet
/// that fetches at once may wait longer than that for its first chunk.
const PATIENCE: Duration = Duration::from_secs(5);

/// Least wait for the next chunk once some came: what is late is most often still at the broker, and who
/// asks for it gets it twice. Chunks get lost only if a broker drops them.
const FLOWING: Duration = Duration::from_secs(10);

/// As many times the longest gap between two chunks so far: who has waited long once waits longer.
const GAPS: u32 = 4;

/// Longest wait between two wants: a hub that comes back is asked within this time.
const PATIENCE_MAX: Duration = Duration::from_mins(1);

/// Times that a blob may arrive with other bytes than its digest names.
pub const MISMATCHES_MAX: u32 = 3;

/// Wait before fetching again what arrived with wrong bytes; doubles each time.
const MISMATCH_WAIT: Duration = Duration::from_secs(2);

/// Wait before trying the disk again after an error.
const DISK_WAIT: Duration = Duration::from_secs(10);

/// So long after MQTT was silent other blobs do not wait for it either.
const SILENT: Duration = Duration::from_mins(10);

/// So long after HTTPS failed it is not turned to again, if MQTT is silent too.
const HTTPS_REST: Duration = Duration::from_mins(1);

/// What is to be told and was not yet; of more the oldest is dropped.
const NOTICES: usize = 16;

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
    mismatches: u32,
    way: Way,
    /// When to ask next, by either way.
    next_ask: Uptime,
    /// Bytes that came since it began, needed or not.
    received: u64,
    over_budget: u32,
    /// What went wrong last, until something comes.
    trouble: Option<String>,
    mqtt: ByMqtt,
    https: ByHttps,
}

#[derive(Debug)]
struct ByMqtt {
    /// Wait after a want that follows one that was answered.
    base: Duration,
    /// Wait after the next want; doubles while nothing comes.
    patience: Duration,
    /// Chunks of the last want that have not come.
    awaited: u32,
    /// Wants that were not answered, or not in full.
    unanswered: u32,
    /// When the last chunk came, or the first want was said.
    since: Uptime,
}

#[derive(Debug, Default)]
struct ByHttps {
    /// Whether a download is under way, and whether something came of it.
    under_way: bool,
    came: bool,
    /// Downloads that failed in a row.
    failures: u32,
    /// Not turned to again before.
    rests: Uptime,
}

impl ByMqtt {
    const FRESH: Self = Self {
        base: PATIENCE,
        patience: PATIENCE,
        awaited: 0,
        unanswered: 0,
        since: Uptime(0),
    };
}

/// Chunks to download, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// Of which blob.
    pub blob: BlobRef,
    /// Which.
    pub ranges: Vec<ChunkRange>,
}

/// Something that people should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// About which blob.
    pub digest: Digest,
    /// What.
    pub text: String,
    /// Whether it is worth an event at the hub: it happens rarely, and says why a blob comes late.
    pub event: bool,
}

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Open the file and say what is here: [`Fetcher::opened`].
    Open(BlobRef),
    /// Send this want.
    Ask(Want),
    /// Download this and say how it ended: [`Fetcher::downloaded`].
    Download(Download),
    /// Hash the file and say what came out: [`Fetcher::verified`], [`Fetcher::mismatched`].
    Verify(BlobRef),
    /// Tell people.
    Tell(Notice),
}

/// The blobs that are wanted.
#[derive(Debug)]
pub struct Fetcher {
    fetches: BTreeMap<Digest, Fetch>,
    policy: Policy,
    /// Until then new blobs do not wait for MQTT.
    silent: Option<Uptime>,
    notices: VecDeque<Notice>,
    changes: u64,
    chance: Chance,
}

impl Fetcher {
    /// Nothing is wanted yet.
    pub fn new(policy: Policy, chance: Chance) -> Self {
        Self {
            fetches: BTreeMap::new(),
            policy,
            silent: None,
            notices: VecDeque::new(),
            changes: 0,
            chance,
        }
    }

    /// A blob is wanted from now on.
    pub fn want(&mut self, blob: BlobRef) {
        let way = self.policy.first();
        self.fetches.entry(blob.digest).or_insert(Fetch {
            blob,
            have: Bitmap::new(0),
            stage: Stage::Queued,
            mismatches: 0,
            way,
            next_ask: Uptime(0),
            received: 0,
            over_budget: 0,
            trouble: None,
            mqtt: ByMqtt::FRESH,
            https: ByHttps::default(),
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

    /// By which way a wanted blob comes, and what went wrong last, if nothing came since.
    pub fn way(&self, digest: Digest) -> Option<(Way, Option<&str>)> {
        let fetch = self.fetches.get(&digest)?;
        Some((fetch.way, fetch.trouble.as_deref()))
    }

    /// How often one way was left for the other.
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// The chunks of a wanted blob that are here.
    pub fn have(&self, digest: Digest) -> Option<&Bitmap> {
        self.fetches.get(&digest).map(|fetch| &fetch.have)
    }

    /// The blobs whose chunks are awaited by MQTT: their topics are worth listening to.
    pub fn listening(&self) -> impl Iterator<Item = Digest> {
        self.coming(Way::Mqtt)
    }

    /// The blobs that are or soon will be downloaded; downloads of all others are to end.
    pub fn downloading(&self) -> impl Iterator<Item = Digest> {
        self.coming(Way::Https)
    }

    fn coming(&self, way: Way) -> impl Iterator<Item = Digest> {
        let coming = move |f: &&Fetch| f.stage == Stage::Fetching && f.way == way;
        let fetches = self.fetches.values().filter(coming);
        fetches.map(|fetch| fetch.blob.digest)
    }

    /// The file is open and has these chunks.
    pub fn opened(&mut self, digest: Digest, have: Bitmap, now: Uptime) {
        let silent = self.policy.may_change() && self.silent.is_some_and(|until| now < until);
        if let Some(fetch) = self.fetches.get_mut(&digest) {
            fetch.have = have;
            fetch.stage = Stage::Fetching;
            fetch.next_ask = now;
            fetch.received = 0;
            fetch.mqtt = ByMqtt::FRESH;
            fetch.https.under_way = false;
            if silent && fetch.https.failures == 0 {
                fetch.way = Way::Https;
            }
        }
    }

    /// What to do with chunk `index` of `len` bytes.
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

    /// Bytes came for a blob, needed or not; false if those were too many: what is here is to be made
    /// safe and closed, and the blob begins again later.
    pub fn received(&mut self, digest: Digest, bytes: usize, now: Uptime) -> bool {
        let Some(fetch) = self.fetches.get_mut(&digest) else {
            return true;
        };
        if fetch.stage != Stage::Fetching {
            return true;
        }
        fetch.received = fetch.received.saturating_add(bytes as u64);
        // All is here: what came was what it took.
        if fetch.received <= way::budget(fetch.blob.len) || fetch.have.is_full() {
            return true;
        }
        let wait = way::over_budget(fetch.over_budget, &mut self.chance);
        fetch.over_budget += 1;
        fetch.stage = Stage::Waiting(now.plus(wait));
        let mut text = format!(
            "over-budget: {} bytes came of a blob of {} that is still not whole; again in {} s",
            fetch.received,
            fetch.blob.len,
            wait.as_secs()
        );
        fetch.trouble = Some(text.clone());
        if self.policy.may_change() && fetch.way == Way::Mqtt {
            fetch.way = Way::Https;
            self.changes += 1;
            text.push_str(", by HTTPS");
        }
        self.tell(digest, text, true);
        false
    }

    /// A chunk was written.
    pub fn wrote(&mut self, digest: Digest, index: u32, now: Uptime) {
        let Some(fetch) = self.fetches.get_mut(&digest) else {
            return;
        };
        if !fetch.have.set(index) {
            return;
        }
        fetch.trouble = None;
        match fetch.way {
            Way::Mqtt => {
                let awaited = fetch.mqtt.awaited.saturating_sub(1);
                let gap = now.since(fetch.mqtt.since);
                let base = fetch.mqtt.base.max(FLOWING).max(gap * GAPS);
                let base = base.min(PATIENCE_MAX);
                fetch.mqtt = ByMqtt {
                    base,
                    patience: base,
                    awaited,
                    unanswered: u32::from(awaited > 0),
                    since: now,
                };
                // Something comes: wait from here. What the last want did not cover is asked at once.
                fetch.next_ask = if awaited == 0 { now } else { now.plus(base) };
                // So MQTT serves.
                self.silent = None;
            }
            Way::Https => fetch.https.came = true,
        }
    }

    /// A download ended: with all that was asked for, or before.
    pub fn downloaded(&mut self, digest: Digest, result: Result<(), Setback>, now: Uptime) {
        let Some(fetch) = self.fetches.get_mut(&digest) else {
            return;
        };
        let came = std::mem::take(&mut fetch.https.came);
        fetch.https.under_way = false;
        if fetch.way != Way::Https || fetch.stage != Stage::Fetching {
            return;
        }
        let setback = match result {
            Ok(()) if came => {
                fetch.https.failures = 0;
                fetch.next_ask = now;
                return;
            }
            Ok(()) => Setback::new(way::Kind::Malformed, "all came and nothing was new"),
            Err(setback) => setback,
        };
        fetch.https.failures = if came { 1 } else { fetch.https.failures + 1 };
        let failures = fetch.https.failures;
        let wait = setback.wait(failures - 1, &mut self.chance);
        fetch.next_ask = now.plus(wait);
        fetch.trouble = Some(setback.to_string());
        let mut text = format!("by HTTPS, {setback}; again in {} s", wait.as_secs());
        let back =
            self.policy.may_change() && (failures >= FAILURES_MAX || !setback.kind.may_pass());
        if back {
            fetch.way = Way::Mqtt;
            fetch.mqtt = ByMqtt::FRESH;
            fetch.next_ask = now;
            fetch.https.rests = now.plus(wait.max(HTTPS_REST));
            self.changes += 1;
            self.silent = None;
            text = format!("by HTTPS, {setback}; back to MQTT");
        }
        // The first of a row, and what changes the way, are worth an event.
        self.tell(digest, text, back || failures == 1);
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
        let by_mqtt = |f: &&mut Fetch| f.way == Way::Mqtt;
        for fetch in self.fetches.values_mut().filter(by_mqtt) {
            fetch.mqtt = ByMqtt::FRESH;
            fetch.next_ask = now;
        }
    }

    /// What to do next; call it until it gives nothing. Wants are given out only if `online`.
    pub fn poll(&mut self, now: Uptime, online: bool) -> Option<Request> {
        if let Some(notice) = self.notices.pop_front() {
            return Some(Request::Tell(notice));
        }
        let due = |f: &Fetch| matches!(f.stage, Stage::Waiting(at) if at <= now);
        for fetch in self.fetches.values_mut().filter(|f| due(f)) {
            fetch.stage = Stage::Queued;
        }
        let busy = |f: &&Fetch| matches!(f.stage, Stage::Fetching | Stage::Verifying);
        let active = self.fetches.values().filter(busy).count();
        let policy = self.policy;
        let mut silent = None;
        for fetch in self.fetches.values_mut() {
            match fetch.stage {
                Stage::Queued if active < ACTIVE_MAX => return Some(Request::Open(fetch.blob)),
                Stage::Fetching if fetch.have.is_full() => {
                    fetch.stage = Stage::Verifying;
                    return Some(Request::Verify(fetch.blob));
                }
                Stage::Fetching if fetch.way == Way::Https => {
                    let download = fetch.download(now);
                    if download.is_some() {
                        return download.map(Request::Download);
                    }
                }
                Stage::Fetching
                    if online && fetch.gives_up(&policy).is_some_and(|at| at <= now) =>
                {
                    silent = Some(fetch.blob.digest);
                    break;
                }
                Stage::Fetching if online && fetch.next_ask <= now => {
                    return Some(Request::Ask(fetch.ask(now, &mut self.chance)));
                }
                _ => {}
            }
        }
        self.leave_mqtt(silent?, now);
        self.poll(now, online)
    }

    /// Nothing comes by MQTT: on by HTTPS.
    fn leave_mqtt(&mut self, digest: Digest, now: Uptime) {
        let Some(fetch) = self.fetches.get_mut(&digest) else {
            return;
        };
        let silence = now.since(fetch.mqtt.since).as_secs();
        fetch.way = Way::Https;
        fetch.next_ask = now;
        fetch.https.failures = 0;
        self.changes += 1;
        self.silent = Some(now.plus(SILENT));
        let text = format!("silent: no chunk by MQTT in {silence} s though asked for; on by HTTPS");
        self.tell(digest, text, true);
    }

    fn tell(&mut self, digest: Digest, text: String, event: bool) {
        if self.notices.len() >= NOTICES {
            self.notices.pop_front();
        }
        self.notices.push_back(Notice {
            digest,
            text,
            event,
        });
    }

    /// When [`Self::poll`] has something to do, if nothing comes before.
    pub fn deadline(&self, online: bool) -> Option<Uptime> {
        if !self.notices.is_empty() {
            return Some(Uptime(0));
        }
        let times = self.fetches.values().filter_map(|fetch| match fetch.stage {
            Stage::Waiting(at) => Some(at),
            Stage::Fetching if fetch.way == Way::Https => {
                (!fetch.https.under_way).then_some(fetch.next_ask)
            }
            Stage::Fetching if online => {
                let gives_up = fetch.gives_up(&self.policy).unwrap_or(fetch.next_ask);
                Some(fetch.next_ask.min(gives_up))
            }
            _ => None,
        });
        times.min()
    }
}

impl Fetch {
    /// When MQTT is given up, if nothing comes.
    fn gives_up(&self, policy: &Policy) -> Option<Uptime> {
        if !policy.may_change() || self.mqtt.unanswered == 0 {
            return None;
        }
        let silent = self.mqtt.since.plus(policy.silence).max(self.https.rests);
        // A want has its time to be answered.
        let answered = Some(self.next_ask).filter(|_| self.mqtt.unanswered == 1);
        Some(silent.max(answered.unwrap_or_default()))
    }

    /// What to download now, unless it is under way.
    fn download(&mut self, now: Uptime) -> Option<Download> {
        if self.https.under_way || now < self.next_ask {
            return None;
        }
        self.https.under_way = true;
        self.https.came = false;
        Some(Download {
            blob: self.blob,
            ranges: self.have.missing(limits::WANT_RANGES),
        })
    }

    fn ask(&mut self, now: Uptime, chance: &mut Chance) -> Want {
        let ranges = self.have.missing(limits::WANT_RANGES);
        let mqtt = &mut self.mqtt;
        mqtt.awaited = ranges.iter().map(|range| range.count).sum();
        if mqtt.unanswered == 0 && mqtt.base == PATIENCE {
            // The first one; after that silence is counted from the last chunk.
            mqtt.since = now;
        }
        mqtt.unanswered = mqtt.unanswered.saturating_add(1);
        self.next_ask = now.plus(chance.jitter(mqtt.patience * 2));
        mqtt.patience = (mqtt.patience * 2).min(PATIENCE_MAX);
        Want {
            blob: self.blob.digest,
            ranges,
        }
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
mod tests;
