//! Gets blobs: asks for chunks, writes them, verifies the whole.
//!
//! Called by `node`. The decisions are in [`fetcher`] and [`way`], the disk in [`files`]; this joins the
//! two. Chunks come by the link, or by HTTPS from [`download`].
//! Must never break: what was fetched once is not fetched again, not even after `kill -9`, unless
//! its bytes are wrong.

pub mod bitmap;
pub mod delta;
pub mod download;
pub mod fetcher;
pub mod files;
pub mod way;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use tern_protocol::{
    blob::{BlobRef, Chunk, Want},
    digest::Digest,
    limits,
    time::Uptime,
};

use self::{
    fetcher::{Acceptance, Download, Fetcher, Notice, Request, Stage},
    files::{BlobError, Files, Partial},
    way::{Policy, Setback, Way},
};
use crate::chance::Chance;

/// Chunks written before they are made safe, at most: 1 MiB to fetch again after a power cut.
const UNSAFE_MAX: usize = 16;

/// How far a blob is, as `reconcile` sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobStatus {
    /// Nobody asked for it.
    Absent,
    /// On its way.
    Coming,
    /// Here, under its digest.
    Whole,
    /// It will not come; the text says why.
    Mismatch(String),
    /// There is no room for it.
    NoSpace(String),
}

/// Bytes that moved since the agent started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Traffic {
    /// Bytes of chunks newly written to disk, and safe there.
    pub chunk_bytes: u64,
    /// Chunks that came and were not needed.
    pub ignored: u64,
    /// Chunks that came and do not fit their blob.
    pub malformed: u64,
    /// Those of the bytes of chunks that came by HTTPS.
    pub https_bytes: u64,
    /// How often one way was left for the other.
    pub way_changes: u64,
}

/// A blob on its way, for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Coming {
    /// Its digest.
    pub blob: Digest,
    /// By which way: `MQTT` or `HTTPS`.
    pub via: String,
    /// What went wrong last, if nothing came since.
    pub trouble: Option<String>,
}

/// The blobs of this device.
#[derive(Debug)]
pub struct Blobs {
    files: Files,
    fetcher: Fetcher,
    whole: BTreeSet<Digest>,
    /// Files with chunks of blobs on their way, now or left from before.
    partial: BTreeSet<Digest>,
    open: BTreeMap<Digest, Partial>,
    failed: BTreeMap<Digest, BlobStatus>,
    /// Chunks written but not yet safe.
    dirty: BTreeMap<Digest, u64>,
    dirty_chunks: usize,
    traffic: Traffic,
}

/// What has to be done outside of this module.
#[derive(Debug, PartialEq, Eq)]
pub enum Errand {
    /// Send this want.
    Ask(Want),
    /// Download this; hand the chunks to [`Blobs::chunk`] and the end to [`Blobs::downloaded`].
    Download(Download),
    /// Tell people.
    Tell(Notice),
    /// Call [`Files::finish`] where it may take its time, then [`Blobs::finished`].
    Verify(BlobRef),
}

impl Blobs {
    /// The blobs in this directory.
    pub fn open(files: Files, chance: Chance) -> Result<Self, BlobError> {
        let (whole, partial) = files.list()?;
        Ok(Self {
            files,
            fetcher: Fetcher::new(Policy::default(), chance),
            whole,
            partial,
            open: BTreeMap::new(),
            failed: BTreeMap::new(),
            dirty: BTreeMap::new(),
            dirty_chunks: 0,
            traffic: Traffic::default(),
        })
    }

    /// The same blobs, fetched as this says. To be said before anything is wanted.
    #[must_use]
    pub fn by(mut self, policy: Policy, chance: Chance) -> Self {
        self.fetcher = Fetcher::new(policy, chance);
        self
    }

    /// The files, for readers in other threads.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// What moved so far.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            way_changes: self.fetcher.changes(),
            ..self.traffic
        }
    }

    /// The blobs on their way.
    pub fn coming(&self) -> Vec<Coming> {
        let coming = self.fetcher.wanted().filter_map(|blob| {
            let (way, trouble) = self.fetcher.way(blob)?;
            Some(Coming {
                blob,
                via: way.to_string(),
                trouble: trouble.map(Into::into),
            })
        });
        coming.collect()
    }

    /// How far a blob is.
    pub fn status(&self, digest: Digest) -> BlobStatus {
        if self.whole.contains(&digest) {
            return BlobStatus::Whole;
        }
        if let Some(failed) = self.failed.get(&digest) {
            return failed.clone();
        }
        match self.fetcher.stage(digest) {
            None => BlobStatus::Absent,
            Some(_) => BlobStatus::Coming,
        }
    }

    /// Bytes of a blob that are here.
    pub fn bytes_here(&self, blob: BlobRef) -> u64 {
        if self.whole.contains(&blob.digest) {
            return blob.len;
        }
        let have = self.fetcher.have(blob.digest);
        let chunks = have.map_or(0, |have| u64::from(have.count()));
        (chunks * limits::CHUNK as u64).min(blob.len)
    }

    /// Every blob that is wanted or of which there is a file.
    pub fn known(&self) -> BTreeMap<Digest, BlobStatus> {
        let files = self.whole.iter().chain(&self.partial).copied();
        let wanted = self.fetcher.wanted().chain(self.failed.keys().copied());
        files
            .chain(wanted)
            .map(|digest| (digest, self.status(digest)))
            .collect()
    }

    /// A blob is wanted from now on.
    pub fn want(&mut self, blob: BlobRef) {
        if !self.whole.contains(&blob.digest) {
            self.failed.remove(&blob.digest);
            self.fetcher.want(blob);
        }
    }

    /// Forgets what failed before: whoever wants such a blob again gets another try.
    pub fn forgive(&mut self) {
        self.failed.clear();
    }

    /// Removes what there is of a blob and what is known of it.
    pub fn drop(&mut self, digest: Digest) -> Result<(), BlobError> {
        self.forget(digest);
        self.whole.remove(&digest);
        self.partial.remove(&digest);
        self.files.remove(digest)
    }

    /// A blob is here that came by another way than chunks.
    pub fn adopt(&mut self, digest: Digest) {
        self.forget(digest);
        self.partial.remove(&digest);
        self.whole.insert(digest);
    }

    /// Puts a blob aside whose bytes changed on disk; where it is now.
    pub fn put_aside(&mut self, digest: Digest) -> Result<PathBuf, BlobError> {
        self.forget(digest);
        self.whole.remove(&digest);
        self.partial.remove(&digest);
        self.files.put_aside(digest)
    }

    /// Nobody wants this blob any more; what is here of it stays until it is dropped.
    pub fn forget(&mut self, digest: Digest) {
        self.fetcher.forget(digest);
        self.failed.remove(&digest);
        if self.open.remove(&digest).is_some() {
            self.partial.insert(digest);
        }
        self.dirty.remove(&digest);
    }

    /// The topics that are worth listening to.
    pub fn listening(&self) -> BTreeSet<Digest> {
        self.fetcher.listening().collect()
    }

    /// Bytes of a blob that are here and safe, as [`Traffic::chunk_bytes`] counts them.
    pub fn bytes_safe(&self, blob: BlobRef) -> u64 {
        let dirty = self.dirty.get(&blob.digest).copied().unwrap_or_default();
        self.bytes_here(blob).saturating_sub(dirty)
    }

    /// Whether a blob has come and is being hashed.
    pub fn is_verifying(&self, digest: Digest) -> bool {
        self.fetcher.stage(digest) == Some(&Stage::Verifying)
    }

    /// The blobs that are or will be downloaded; other downloads are to end.
    pub fn downloading(&self) -> BTreeSet<Digest> {
        self.fetcher.downloading().collect()
    }

    /// A download ended.
    pub fn downloaded(&mut self, digest: Digest, result: Result<(), Setback>, now: Uptime) {
        self.fetcher.downloaded(digest, result, now);
    }

    /// A chunk came, by either way.
    pub fn chunk(&mut self, digest: Digest, chunk: &Chunk, now: Uptime) {
        self.write(digest, chunk, now);
        if !self.fetcher.received(digest, chunk.bytes.len(), now) {
            self.commit(now);
            self.open.remove(&digest);
        }
    }

    fn write(&mut self, digest: Digest, chunk: &Chunk, now: Uptime) {
        let partial = self.open.get(&digest);
        let acceptance = self.fetcher.accepts(digest, chunk.index, chunk.bytes.len());
        let (Acceptance::Awaited, Some(partial)) = (acceptance, partial) else {
            match acceptance {
                Acceptance::Malformed => self.traffic.malformed += 1,
                _ => self.traffic.ignored += 1,
            }
            return;
        };
        if let Err(err) = partial.write(chunk.index, &chunk.bytes) {
            return self.fault(digest, &err, now);
        }
        if let Some((Way::Https, _)) = self.fetcher.way(digest) {
            self.traffic.https_bytes += chunk.bytes.len() as u64;
        }
        self.fetcher.wrote(digest, chunk.index, now);
        *self.dirty.entry(digest).or_default() += chunk.bytes.len() as u64;
        self.dirty_chunks += 1;
        if self.dirty_chunks >= UNSAFE_MAX {
            self.commit(now);
        }
    }

    /// Makes what was written safe. Called whenever no more chunks wait.
    pub fn commit(&mut self, now: Uptime) {
        self.dirty_chunks = 0;
        for (digest, bytes) in std::mem::take(&mut self.dirty) {
            let (Some(partial), Some(have)) = (self.open.get(&digest), self.fetcher.have(digest))
            else {
                continue;
            };
            match partial.commit(have) {
                Ok(()) => self.traffic.chunk_bytes += bytes,
                Err(err) => self.fault(digest, &err, now),
            }
        }
    }

    /// The link is back.
    pub fn online(&mut self, now: Uptime) {
        self.fetcher.online(now);
    }

    /// What to do next; call it until it gives nothing.
    pub fn poll(&mut self, now: Uptime, online: bool) -> Option<Errand> {
        loop {
            match self.fetcher.poll(now, online)? {
                Request::Ask(want) => return Some(Errand::Ask(want)),
                Request::Download(download) => return Some(Errand::Download(download)),
                Request::Tell(notice) => return Some(Errand::Tell(notice)),
                Request::Verify(blob) => {
                    self.commit(now);
                    // A fault while committing has put it back into the queue.
                    if self.fetcher.stage(blob.digest) == Some(&Stage::Verifying) {
                        self.open.remove(&blob.digest);
                        return Some(Errand::Verify(blob));
                    }
                }
                Request::Open(blob) => match self.files.begin(blob) {
                    Ok((partial, have)) => {
                        self.partial.insert(blob.digest);
                        self.open.insert(blob.digest, partial);
                        self.fetcher.opened(blob.digest, have, now);
                    }
                    Err(err) => self.fault(blob.digest, &err, now),
                },
            }
        }
    }

    /// What came of [`Errand::Verify`].
    pub fn finished(&mut self, blob: BlobRef, result: Result<(), BlobError>, now: Uptime) {
        match result {
            Ok(()) => {
                self.fetcher.verified(blob.digest);
                self.partial.remove(&blob.digest);
                self.whole.insert(blob.digest);
            }
            Err(err @ BlobError::Mismatch { .. }) => {
                self.partial.remove(&blob.digest);
                self.fetcher.mismatched(blob.digest, now);
                tracing::warn!(digest = %blob.digest, "a blob came with wrong bytes: {err}");
                if self.fetcher.stage(blob.digest) == Some(&Stage::Mismatch) {
                    self.fetcher.forget(blob.digest);
                    let text = format!("{err}, {} times", fetcher::MISMATCHES_MAX);
                    self.failed.insert(blob.digest, BlobStatus::Mismatch(text));
                }
            }
            Err(err) => self.fault(blob.digest, &err, now),
        }
    }

    /// When [`Self::poll`] has something to do, if nothing comes before.
    pub fn deadline(&self, online: bool) -> Option<Uptime> {
        self.fetcher.deadline(online)
    }

    fn fault(&mut self, digest: Digest, err: &BlobError, now: Uptime) {
        self.open.remove(&digest);
        self.dirty.remove(&digest);
        if let BlobError::NoSpace { .. } | BlobError::Full { .. } = err {
            self.fetcher.forget(digest);
            self.failed
                .insert(digest, BlobStatus::NoSpace(err.to_string()));
        } else {
            tracing::warn!(%digest, "the disk had an error: {}", crate::chain(err));
            self.fetcher.disk_error(digest, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: usize = limits::CHUNK;

    fn open(dir: &std::path::Path) -> Blobs {
        let files = Files::open(dir.join("blobs")).expect("it opens");
        Blobs::open(files, Chance::seeded(3)).expect("it lists")
    }

    fn deliver(blobs: &mut Blobs, blob: BlobRef, bytes: &[u8], index: u32) {
        let (offset, len) = blob.place(index).expect("within the blob");
        let bytes = bytes[offset as usize..offset as usize + len].to_vec();
        blobs.chunk(blob.digest, &Chunk { index, bytes }, Uptime(1));
    }

    #[test]
    fn what_was_fetched_before_a_kill_is_not_fetched_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let bytes: Vec<u8> = (0..CHUNK * 5).map(|i| (i % 251) as u8).collect();
        let blob = BlobRef::of(&bytes);
        let mut blobs = open(dir.path());
        blobs.want(blob);
        assert!(matches!(blobs.poll(Uptime(0), true), Some(Errand::Ask(_))));
        for index in [0, 1, 4, 4] {
            deliver(&mut blobs, blob, &bytes, index);
        }
        blobs.commit(Uptime(1));
        assert_eq!(blobs.traffic().chunk_bytes, 3 * CHUNK as u64);
        assert_eq!(blobs.traffic().ignored, 1);
        deliver(&mut blobs, blob, &bytes, 2);
        drop(blobs);

        let mut blobs = open(dir.path());
        assert_eq!(blobs.status(blob.digest), BlobStatus::Absent);
        blobs.want(blob);
        let Some(Errand::Ask(want)) = blobs.poll(Uptime(0), true) else {
            panic!("it asks for the rest");
        };
        let ranges: Vec<_> = want.ranges.iter().map(|r| (r.first, r.count)).collect();
        assert_eq!(ranges, [(2, 2)]);
        deliver(&mut blobs, blob, &bytes, 2);
        deliver(&mut blobs, blob, &bytes, 3);
        assert_eq!(blobs.poll(Uptime(2), true), Some(Errand::Verify(blob)));
        let result = blobs.files().finish(blob);
        blobs.finished(blob, result, Uptime(2));
        assert_eq!(blobs.status(blob.digest), BlobStatus::Whole);
        assert_eq!(blobs.traffic().chunk_bytes, 2 * CHUNK as u64);
        assert!(blobs.listening().is_empty());
    }

    #[test]
    fn wrong_bytes_are_refused_by_name_after_three_tries() {
        let dir = tempfile::tempdir().expect("a directory");
        let blob = BlobRef {
            digest: Digest::of(b"good"),
            len: 3,
        };
        let mut blobs = open(dir.path());
        blobs.want(blob);
        let mut now = Uptime(0);
        while blobs.status(blob.digest) == BlobStatus::Coming {
            match blobs.poll(now, true) {
                Some(Errand::Ask(_)) => deliver(&mut blobs, blob, b"bad", 0),
                Some(Errand::Verify(blob)) => {
                    let result = blobs.files().finish(blob);
                    blobs.finished(blob, result, now);
                }
                Some(other) => panic!("it is about MQTT alone: {other:?}"),
                None => now = blobs.deadline(true).expect("it tries again").max(now),
            }
        }
        assert!(
            matches!(blobs.status(blob.digest), BlobStatus::Mismatch(text) if text.contains("3 times"))
        );
        assert_eq!(
            blobs.known().len(),
            1,
            "its failure is known, and no file left"
        );
        blobs.want(blob);
        assert_eq!(
            blobs.status(blob.digest),
            BlobStatus::Coming,
            "it may be wanted anew"
        );
    }

    #[test]
    fn an_empty_blob_needs_no_chunk() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut blobs = open(dir.path());
        let blob = BlobRef::of(b"");
        blobs.want(blob);
        assert_eq!(blobs.poll(Uptime(0), true), Some(Errand::Verify(blob)));
    }
}
