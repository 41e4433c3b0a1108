//! Which blobs are known to be whole, and which the hub lacks although it had them.
//!
//! A disk gives back other bytes than it was given, rarely. So a blob is hashed before it is used for
//! the first time since the hub started, and now and then while nobody needs it. One that is damaged is
//! put aside: from then on the hub lacks it, and whoever has the bytes can store them again.
//!
//! Must never break:
//! - hashing holds one piece in memory and no thread between two of them, whatever the blob's length;
//! - what is put aside is what was hashed: a blob stored anew meanwhile stays;
//! - what is remembered is bounded.

use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    io::{self, Read as _},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::{PosixFadviseAdvice, posix_fadvise},
};
use tern_protocol::digest::{Digest, Hasher};
use tokio::sync::watch;

use super::{
    BlobError,
    claims::{Aside, Claims},
    on_disk,
};
use crate::counters::Counter;

/// Bytes that are read and hashed at once.
const PIECE: usize = 1024 * 1024;

/// Blobs that are remembered as whole, 1 MiB of them at most. When there are more, all are forgotten
/// and hashed once more, each when it is needed.
const SOUND: usize = 16 * 1024;

/// Blobs that are remembered as lacking. More mean that the disk is gone, and are found again by the
/// next look.
const LACKING: usize = 16 * 1024;

/// Blobs that are hashed at the same time because somebody waits for them. Those of one digest take
/// turns, so that five hundred who wait cause one reading.
const LANES: usize = 8;

/// How often a blob is hashed that is stored anew each time.
const ATTEMPTS: usize = 3;

/// How long a blob that was found whole is trusted to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trusted {
    /// As long as the hub runs.
    SinceStart,
    /// Not if it was found so before this.
    Since(Instant),
}

/// How fast a blob is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Somebody waits for it.
    Now,
    /// Nobody does: this many bytes a second, from the disk and not from what is cached of it.
    PerSecond(u64),
}

/// What hashing a blob found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is whole.
    Whole,
    /// It was damaged, and is put aside.
    Damaged,
    /// There is none.
    Gone,
}

/// What is known of the blobs of one directory.
#[derive(Debug)]
pub(super) struct Checks {
    /// When each was found whole.
    sound: Mutex<HashMap<Digest, Instant>>,
    lacking: Mutex<BTreeSet<Digest>>,
    lanes: [tokio::sync::Mutex<()>; LANES],
    /// Something is lacking that was not, or the other way round.
    pub(super) changed: watch::Sender<()>,
    /// Blobs that were found damaged.
    pub(super) damaged: Counter,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            sound: Mutex::default(),
            lacking: Mutex::default(),
            lanes: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            changed: watch::Sender::new(()),
            damaged: Counter::default(),
        }
    }
}

impl Checks {
    /// Whether a blob is known to be whole.
    pub(super) fn knows(&self, digest: Digest, trusted: Trusted) -> bool {
        let at = locked(&self.sound).get(&digest).copied();
        at.is_some_and(|at| match trusted {
            Trusted::SinceStart => true,
            Trusted::Since(since) => at >= since,
        })
    }

    /// Its bytes have this digest, and are on the disk.
    pub(super) fn is_sound(&self, digest: Digest) {
        let mut sound = locked(&self.sound);
        if sound.len() >= SOUND {
            sound.clear();
        }
        sound.insert(digest, Instant::now());
        drop(sound);
        self.lacks_no_more(digest);
    }

    /// The hub has it, or nobody needs it.
    pub(super) fn lacks_no_more(&self, digest: Digest) {
        if locked(&self.lacking).remove(&digest) {
            self.changed.send_replace(());
        }
    }

    /// The hub lacks a blob that it should have; whether that is news.
    pub(super) fn lacks(&self, digest: Digest) -> bool {
        locked(&self.sound).remove(&digest);
        let mut lacking = locked(&self.lacking);
        let news = lacking.len() < LACKING && lacking.insert(digest);
        if news {
            self.changed.send_replace(());
        }
        news
    }

    /// Whether it is one of those that the hub lacks.
    pub(super) fn is_lacking(&self, digest: Digest) -> bool {
        locked(&self.lacking).contains(&digest)
    }

    /// The blobs that the hub lacks.
    pub(super) fn lacking(&self) -> BTreeSet<Digest> {
        locked(&self.lacking).clone()
    }

    /// Hashes a blob for somebody who waits, unless it is trusted.
    pub(super) async fn check(
        &self,
        claims: &Claims,
        digest: Digest,
        trusted: Trusted,
    ) -> Result<Found, BlobError> {
        if self.knows(digest, trusted) {
            return Ok(Found::Whole);
        }
        let lane = usize::from(digest.as_bytes()[0]) % LANES;
        let _turn = self.lanes[lane].lock().await;
        // Whoever had the turn before may have hashed it.
        if self.knows(digest, trusted) {
            return Ok(Found::Whole);
        }
        self.hash(claims, digest, Pace::Now).await
    }

    /// Hashes a blob.
    pub(super) async fn hash(
        &self,
        claims: &Claims,
        digest: Digest,
        pace: Pace,
    ) -> Result<Found, BlobError> {
        for _ in 0..ATTEMPTS {
            let (opening, opened) = (claims.clone(), "opening a blob to hash it");
            let Some(file) = on_disk(opened, move || opening.open(digest)).await? else {
                return Ok(Found::Gone);
            };
            let why = match digest_of(&file, pace).await {
                Ok(found) if found == digest => {
                    self.is_sound(digest);
                    return Ok(Found::Whole);
                }
                Ok(found) => format!("its bytes have the digest {found}"),
                // What the disk does not give back is as damaged as what it gives back wrongly.
                Err(err) if is_damage(&err) => err.to_string(),
                Err(err) => {
                    return Err(BlobError::Storage {
                        doing: "hashing a blob",
                        err: err.into(),
                    });
                }
            };
            let claims = claims.clone();
            let put = on_disk("putting a damaged blob aside", move || {
                claims.put_aside(digest, &file)
            });
            let aside = match put.await? {
                Aside::Kept(path) => Some(path.display().to_string()),
                Aside::Removed => None,
                Aside::Another => continue,
            };
            self.damaged.one();
            self.lacks(digest);
            tracing::error!(
                %digest,
                why,
                put_aside = aside,
                "a blob is damaged on the disk and does not ship any more; what the hub cannot make again \
                 by itself stands in `tern overview`: publish the same files again"
            );
            return Ok(Found::Damaged);
        }
        Err(BlobError::Storage {
            doing: "hashing a blob that is stored anew all the time",
            err: io::Error::from(io::ErrorKind::Interrupted).into(),
        })
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_damage(err: &io::Error) -> bool {
    let os = err.raw_os_error().map(Errno::from_raw);
    matches!(os, Some(Errno::EIO | Errno::EBADMSG | Errno::EUCLEAN))
}

/// The digest of a file. Each piece is a task of its own, so that a hub that stops waits for no more
/// than one.
async fn digest_of(file: &File, pace: Pace) -> io::Result<Digest> {
    let mut reading = (file.try_clone()?, Hasher::new(), vec![0; PIECE]);
    if pace != Pace::Now {
        // Advice: where it is not taken, what is cached is hashed.
        let _ = posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    }
    loop {
        let read = tokio::task::spawn_blocking(move || {
            let (file, hasher, piece) = &mut reading;
            let count = file.read(piece)?;
            hasher.update(&piece[..count]);
            Ok::<_, io::Error>((reading, count))
        });
        let (back, count) = read.await.map_err(io::Error::other)??;
        if count == 0 {
            return Ok(back.1.finish());
        }
        reading = back;
        if let Pace::PerSecond(bytes) = pace {
            tokio::time::sleep(Duration::from_secs_f64(count as f64 / bytes.max(1) as f64)).await;
        }
    }
}
