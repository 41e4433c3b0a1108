//! Files that are made of one that is here and a delta, instead of being fetched whole.
//!
//! Called by `node`. [`Patches`] remembers which files are on their way like that; [`make`] is the
//! work on disk.
//!
//! Must never break:
//! - a file gets its digest as name only after its bytes were hashed, however it was made;
//! - whatever goes wrong, the whole file is fetched instead, and no delta to the same file is tried
//!   again and again: not even if each try ends the agent.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    path::PathBuf,
    time::Duration,
};

use tern_delta::ApplyError;
use tern_protocol::{
    blob::BlobRef, desired::Offer, digest::Digest, reported::Deltas as Counts, time::Uptime,
};

use super::{
    BlobStatus, Blobs,
    files::{BlobError, Files, RESERVE},
};
use crate::durable;

/// How long nothing of a delta may come while the device is online. The hub may have removed it, and
/// then nobody answers.
const PATIENCE: Duration = Duration::from_mins(3);

/// How often making a file of a delta is begun. One that was begun and neither worked nor failed ended
/// the agent, by chance or by what it takes.
const TRIES: u64 = 3;

/// Bytes gathered before they are written.
const BUFFER: usize = 64 * 1024;

/// Where the new file is written.
const SCRATCH: &str = ".delta";

/// A file with a byte for each try.
const TRIED: &str = ".tried";

/// Everything that is kept beside the parts of a blob.
pub(super) const SUFFIXES: [&str; 2] = [SCRATCH, TRIED];

/// Why a file was not made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The delta does not fit, or is damaged, or so is the base.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The file system said no.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the file system said.
        #[source]
        err: io::Error,
    },
    /// What there was of the whole file could not be removed.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// The files that are being made.
#[derive(Debug, Default)]
pub struct Patches {
    active: BTreeMap<Digest, Patch>,
    counts: Counts,
}

#[derive(Debug)]
struct Patch {
    target: BlobRef,
    offer: Offer,
    step: Step,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// The delta is awaited; of it there were `seen` bytes, for the first time at `since`.
    Fetching { seen: u64, since: Uptime },
    /// The file is being made.
    Making,
}

/// What became of a patch.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// Call [`make`] where it may take its time, then [`Patches::made`].
    Make(BlobRef, Offer),
    /// The whole file is to be fetched instead of it.
    Failed(BlobRef, String),
}

impl Patches {
    /// What came of them since the agent started.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Begins to get a file by one of these offers, if any can be used. An error says why one that
    /// could be is not.
    pub fn begin(
        &mut self,
        target: BlobRef,
        offers: &[Offer],
        blobs: &mut Blobs,
        now: Uptime,
    ) -> Option<Result<(), String>> {
        let usable = |offer: &&Offer| {
            blobs.status(offer.base) == BlobStatus::Whole
                && offer.base != target.digest
                && offer.delta.digest != target.digest
                // A delta as long as the file is none, whatever made it so.
                && offer.delta.len < target.len
        };
        let offer = *offers.iter().find(usable)?;
        if is_tried(blobs.files(), target.digest) {
            return None;
        }
        let missing = offer.delta.len - blobs.bytes_here(offer.delta);
        let need = missing.saturating_add(target.len);
        if let Some(free) = blobs.files().free()
            && free < need.saturating_add(RESERVE)
        {
            self.counts.failed += 1;
            return Some(Err(format!(
                "a delta and what it makes need {need} bytes, only {free} are free ({RESERVE} stay in reserve)"
            )));
        }
        blobs.want(offer.delta);
        let step = Step::Fetching {
            seen: 0,
            since: now,
        };
        let patch = Patch {
            target,
            offer,
            step,
        };
        self.active.insert(target.digest, patch);
        Some(Ok(()))
    }

    /// What is due. `wanted`: the files that some slot still waits for; others are let go.
    pub fn look(
        &mut self,
        wanted: &BTreeSet<Digest>,
        blobs: &mut Blobs,
        now: Uptime,
        online: bool,
    ) -> Vec<News> {
        let mut news = Vec::new();
        self.active.retain(|target, patch| {
            // What is being made is made; it is litter then, like any blob that nobody needs.
            let goes_on = wanted.contains(target) || patch.step == Step::Making;
            if !goes_on {
                blobs.forget(patch.offer.delta.digest);
            }
            goes_on
        });
        for patch in self.active.values_mut() {
            let delta = patch.offer.delta;
            let Step::Fetching { seen, since } = &mut patch.step else {
                continue;
            };
            let why = match blobs.status(delta.digest) {
                BlobStatus::Whole => {
                    patch.step = Step::Making;
                    news.push(News::Make(patch.target, patch.offer));
                    continue;
                }
                BlobStatus::Mismatch(text) | BlobStatus::NoSpace(text) => text,
                BlobStatus::Absent => {
                    blobs.want(delta);
                    continue;
                }
                BlobStatus::Coming => {
                    let here = blobs.bytes_here(delta);
                    if !online || here != *seen {
                        (*seen, *since) = (here, now);
                    }
                    if now.since(*since) < PATIENCE {
                        continue;
                    }
                    format!("nothing of it came for {} s", PATIENCE.as_secs())
                }
            };
            news.push(News::Failed(patch.target, why));
        }
        for failed in &news {
            if let News::Failed(target, _) = failed {
                self.fail(target.digest, blobs);
            }
        }
        news
    }

    /// What came of [`News::Make`]. Gives what was saved, in bytes.
    pub fn made(
        &mut self,
        target: BlobRef,
        result: &Result<(), MakeError>,
        blobs: &mut Blobs,
    ) -> u64 {
        if result.is_err() {
            self.fail(target.digest, blobs);
            return 0;
        }
        blobs.adopt(target.digest);
        let Some(patch) = self.active.remove(&target.digest) else {
            return 0;
        };
        let delta = patch.offer.delta;
        let saved = target.len - delta.len;
        self.counts.applied += 1;
        self.counts.bytes_saved += saved;
        drop_delta(blobs, delta.digest);
        saved
    }

    fn fail(&mut self, target: Digest, blobs: &mut Blobs) {
        self.counts.failed += 1;
        if let Err(err) = give_up(blobs.files(), target) {
            tracing::warn!(digest = %target, "noting that a delta is of no use: {}", crate::chain(&err));
        }
        if let Some(patch) = self.active.remove(&target) {
            drop_delta(blobs, patch.offer.delta.digest);
        }
    }

    /// Shows files that are being made as on their way.
    pub fn show(&self, blobs: &mut BTreeMap<Digest, BlobStatus>) {
        for target in self.active.keys() {
            let status = blobs.entry(*target).or_insert(BlobStatus::Absent);
            if *status == BlobStatus::Absent {
                *status = BlobStatus::Coming;
            }
        }
    }

    /// The blobs that are needed besides what slots hold.
    pub fn helping(&self) -> impl Iterator<Item = Digest> {
        let patches = self.active.values();
        patches.flat_map(|patch| [patch.offer.base, patch.offer.delta.digest])
    }

    /// What travels for a blob: itself, or the delta that it is made of.
    pub fn travels(&self, blob: BlobRef) -> BlobRef {
        let patch = self.active.get(&blob.digest);
        patch.map_or(blob, |patch| patch.offer.delta)
    }
}

fn drop_delta(blobs: &mut Blobs, delta: Digest) {
    if let Err(err) = blobs.drop(delta) {
        tracing::warn!(digest = %delta, "removing a delta: {}", crate::chain(&err));
    }
}

/// Makes a file of its base and a delta that are both here, and gives it its name. Takes as long as
/// reading and writing it: not for a thread that has to answer.
pub fn make(files: &Files, target: BlobRef, offer: Offer) -> Result<(), MakeError> {
    note_try(files, target.digest)?;
    let scratch = files.path(target.digest, SCRATCH);
    let made = write(files, target, offer, &scratch);
    if let Err(err) = made {
        // It is in the way of the whole file.
        let _ = fs::remove_file(&scratch);
        return Err(err);
    }
    let whole = files.path(target.digest, "");
    io("renaming", &scratch, durable::rename(&scratch, &whole))?;
    Ok(files.remove_parts(target.digest)?)
}

fn write(files: &Files, target: BlobRef, offer: Offer, scratch: &PathBuf) -> Result<(), MakeError> {
    let open = |digest| {
        let path = files.path(digest, "");
        io("opening", &path, File::open(&path))
    };
    let (base, delta) = (open(offer.base)?, open(offer.delta.digest)?);
    let file = io("making", scratch, File::create(scratch))?;
    let mut out = BufWriter::with_capacity(BUFFER, &file);
    tern_delta::apply(base, delta, target, &mut out)?;
    io("writing", scratch, out.flush())?;
    io("syncing", scratch, file.sync_all())
}

/// Whether making this file was tried often enough.
fn is_tried(files: &Files, target: Digest) -> bool {
    fs::metadata(files.path(target, TRIED)).is_ok_and(|tried| tried.len() >= TRIES)
}

/// Notes a try before anything is done that might end the agent.
fn note_try(files: &Files, target: Digest) -> Result<(), MakeError> {
    append(files, target, 1)
}

/// Notes that no other try makes sense.
fn give_up(files: &Files, target: Digest) -> Result<(), MakeError> {
    append(files, target, TRIES as usize)
}

fn append(files: &Files, target: Digest, count: usize) -> Result<(), MakeError> {
    let path = files.path(target, TRIED);
    let file = OpenOptions::new().append(true).create(true).open(&path);
    let mut file = io("opening", &path, file)?;
    io("writing", &path, file.write_all(&vec![b'x'; count]))?;
    io("syncing", &path, file.sync_all())?;
    io("syncing", &path, durable::sync_parent(&path))
}

fn io<T>(
    doing: &'static str,
    path: &std::path::Path,
    result: io::Result<T>,
) -> Result<T, MakeError> {
    result.map_err(|err| MakeError::Io {
        doing,
        path: path.into(),
        err,
    })
}

#[cfg(test)]
mod tests;
