//! Blobs on disk: `{digest}` whole, `{digest}.part` and `{digest}.map` on the way.
//!
//! Called by `fetch`. Must never break:
//! - the bitmap never claims a chunk that is not on disk: data is synced before the bitmap is
//!   written. A torn write of the bitmap is harmless, since bits only ever go from 0 to 1 and all
//!   new ones are true;
//! - a file gets its digest as name only after its bytes were hashed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use tern_protocol::{
    blob::BlobRef,
    digest::{Digest, Hasher},
};

use super::{bitmap::Bitmap, delta};
use crate::durable;

/// Bytes of disk that stay free: the store and the system need room too.
pub const RESERVE: u64 = 8 << 20;

/// Unit in which the system counts the blocks of a file (stat(2)).
const BLOCK: u64 = 512;

/// Where the last damaged blob is, beside the directory of blobs.
const DAMAGED: &str = "damaged.blob";

/// Why a blob cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// Not enough disk.
    #[error(
        "{} needs {need} bytes, only {free} are free in {} ({RESERVE} stay in reserve)",
        digest.short(), dir.display()
    )]
    NoSpace {
        /// Which blob.
        digest: Digest,
        /// Bytes that are still to come.
        need: u64,
        /// Bytes free.
        free: u64,
        /// Where.
        dir: PathBuf,
    },
    /// The disk became full, or the quota was reached.
    #[error("no space left on the disk while {doing} {}", path.display())]
    Full {
        /// What was being done.
        doing: &'static str,
        /// With what.
        path: PathBuf,
    },
    /// Its bytes are not those that the digest names.
    #[error("the bytes that came hash to {}, not to {}", found.short(), digest.short())]
    Mismatch {
        /// Which blob.
        digest: Digest,
        /// What its bytes hash to.
        found: Digest,
    },
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
}

/// The directory of blobs.
#[derive(Debug, Clone)]
pub struct Files {
    dir: PathBuf,
}

/// Files of one blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stocked {
    /// Which blob.
    pub digest: Digest,
    /// Bytes that they take on disk.
    pub bytes: u64,
}

/// A blob that is being written.
#[derive(Debug)]
pub struct Partial {
    blob: BlobRef,
    file: File,
    map: File,
    path: PathBuf,
}

impl Files {
    /// Opens the directory, or makes it.
    pub fn open(dir: PathBuf) -> Result<Self, BlobError> {
        io("making", &dir, fs::create_dir_all(&dir))?;
        Ok(Self { dir })
    }

    /// The directory, which is there already.
    pub fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The digests of whole blobs and of those on the way.
    pub fn list(&self) -> Result<(BTreeSet<Digest>, BTreeSet<Digest>), BlobError> {
        let (mut whole, mut partial) = (BTreeSet::new(), BTreeSet::new());
        for entry in io("listing", &self.dir, fs::read_dir(&self.dir))? {
            let name = io("listing", &self.dir, entry)?.file_name();
            let Some(name) = name.to_str() else { continue };
            match name.split_once('.') {
                None => whole.extend(name.parse::<Digest>().ok()),
                Some((digest, _)) => partial.extend(digest.parse::<Digest>().ok()),
            }
        }
        Ok((whole, partial))
    }

    /// What is here, whole or not, in the order in which it came; blobs that came together by name.
    pub fn stock(&self) -> Result<Vec<Stocked>, BlobError> {
        let mut found: BTreeMap<Digest, (SystemTime, u64)> = BTreeMap::new();
        for entry in io("listing", &self.dir, fs::read_dir(&self.dir))? {
            let entry = io("listing", &self.dir, entry)?;
            let name = entry.file_name();
            let digest = name.to_str().and_then(|name| name.split('.').next());
            let Some(digest) = digest.and_then(|digest| digest.parse().ok()) else {
                continue;
            };
            // It may have been removed meanwhile.
            let Ok(facts) = entry.metadata() else {
                continue;
            };
            let came = facts.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let of = found.entry(digest).or_insert((came, 0));
            of.0 = of.0.max(came);
            // What is on its way takes the place of what has come of it.
            of.1 += facts.blocks() * BLOCK;
        }
        let mut stock: Vec<_> = found.into_iter().collect();
        stock.sort_by_key(|(digest, (came, _))| (*came, *digest));
        let stocked = stock
            .into_iter()
            .map(|(digest, (_, bytes))| Stocked { digest, bytes });
        Ok(stocked.collect())
    }

    /// Begins or resumes a blob; gives what is already here.
    pub fn begin(&self, blob: BlobRef) -> Result<(Partial, Bitmap), BlobError> {
        let path = self.path(blob.digest, ".part");
        let map_path = self.path(blob.digest, ".map");
        let open = |path: &Path| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            io("opening", path, options.open(path))
        };
        let (file, map) = (open(&path)?, open(&map_path)?);
        let stored = io("reading", &map_path, read_all(&map))?;
        let length = io("reading", &path, file.metadata())?.len();
        let resumed = Bitmap::from_bytes(&stored, blob.chunks()).filter(|_| length == blob.len);
        let have = if let Some(have) = resumed {
            have
        } else {
            io("emptying", &map_path, map.set_len(0))?;
            let have = Bitmap::new(blob.chunks());
            self.check_space(blob, &have)?;
            io("sizing", &path, file.set_len(blob.len))?;
            // The length is durable before the bitmap can say anything about it.
            io("syncing", &path, file.sync_all())?;
            io("writing", &map_path, map.write_all_at(have.as_bytes(), 0))?;
            io("syncing", &path, durable::sync_parent(&path))?;
            have
        };
        self.check_space(blob, &have)?;
        let partial = Partial {
            blob,
            file,
            map,
            path,
        };
        Ok((partial, have))
    }

    /// The file is sparse until it is filled, so what is missing must still find room.
    fn check_space(&self, blob: BlobRef, have: &Bitmap) -> Result<(), BlobError> {
        let here = u64::from(have.count()) * tern_protocol::limits::CHUNK as u64;
        let need = blob.len.saturating_sub(here);
        match self.free() {
            Some(free) if free < need + RESERVE => Err(BlobError::NoSpace {
                digest: blob.digest,
                need,
                free,
                dir: self.dir.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Free bytes where blobs are kept, if the system says.
    pub fn free(&self) -> Option<u64> {
        free_bytes(&self.dir)
    }

    /// Hashes a blob that is all here and gives it its name. A blob of other bytes is removed.
    /// Takes as long as reading the file: not for a thread that has to answer.
    pub fn finish(&self, blob: BlobRef) -> Result<(), BlobError> {
        let (part, whole) = (self.path(blob.digest, ".part"), self.path(blob.digest, ""));
        let file = io("opening", &part, File::open(&part))?;
        let found = io("reading", &part, hash(&file))?;
        if found != blob.digest {
            self.remove(blob.digest)?;
            return Err(BlobError::Mismatch {
                digest: blob.digest,
                found,
            });
        }
        io("syncing", &part, file.sync_all())?;
        io("renaming", &part, durable::rename(&part, &whole))?;
        self.remove_parts(blob.digest)
    }

    /// Removes what a blob leaves on its way, once it is whole.
    pub(super) fn remove_parts(&self, digest: Digest) -> Result<(), BlobError> {
        // The map first: without it, what is left of the data is not trusted.
        for suffix in [".map", ".part"].into_iter().chain(delta::SUFFIXES) {
            remove(&self.path(digest, suffix))?;
        }
        Ok(())
    }

    /// Bytes of a whole blob, hashed anew: disks forget too.
    pub fn read(&self, blob: BlobRef, limit: usize) -> Result<Vec<u8>, BlobError> {
        let path = self.path(blob.digest, "");
        let file = io("opening", &path, File::open(&path))?;
        let mut bytes = Vec::new();
        let most = (limit as u64).min(blob.len) + 1;
        io("reading", &path, file.take(most).read_to_end(&mut bytes))?;
        match Digest::of(&bytes) {
            found if found == blob.digest => Ok(bytes),
            found => Err(BlobError::Mismatch {
                digest: blob.digest,
                found,
            }),
        }
    }

    /// Whether a blob is here, whole.
    pub fn has(&self, digest: Digest) -> bool {
        self.path(digest, "").exists()
    }

    /// Hashes a whole blob. Takes as long as reading the file.
    pub fn check(&self, blob: BlobRef) -> Result<(), BlobError> {
        let path = self.path(blob.digest, "");
        let file = io("opening", &path, File::open(&path))?;
        match io("reading", &path, hash(&file))? {
            found if found == blob.digest => Ok(()),
            found => Err(BlobError::Mismatch {
                digest: blob.digest,
                found,
            }),
        }
    }

    /// Puts a damaged blob where nobody takes it for whole, for people to look at; where that is. Only the
    /// last one is kept: a disk that rots must not fill up with it.
    pub fn put_aside(&self, digest: Digest) -> Result<PathBuf, BlobError> {
        let (whole, aside) = (self.path(digest, ""), self.dir.with_file_name(DAMAGED));
        if whole.exists() {
            io("putting aside", &whole, durable::rename(&whole, &aside))?;
        }
        self.remove(digest)?;
        Ok(aside)
    }

    /// Removes whatever there is of a blob.
    pub fn remove(&self, digest: Digest) -> Result<(), BlobError> {
        self.remove_parts(digest)?;
        remove(&self.path(digest, ""))
    }

    pub(super) fn path(&self, digest: Digest, suffix: &str) -> PathBuf {
        self.dir.join(format!("{digest}{suffix}"))
    }
}

impl Partial {
    /// Writes a chunk. It is not safe before the next [`Self::commit`].
    pub fn write(&self, index: u32, bytes: &[u8]) -> Result<(), BlobError> {
        let Some((offset, len)) = self.blob.place(index) else {
            return Ok(());
        };
        debug_assert_eq!(bytes.len(), len, "the caller checked the chunk's length");
        let written = self.file.write_all_at(bytes, offset);
        self.named("writing", written)
    }

    /// Makes the chunks written so far safe, then says so in the bitmap.
    pub fn commit(&self, have: &Bitmap) -> Result<(), BlobError> {
        self.named("syncing", self.file.sync_data())?;
        self.named("marking", self.map.write_all_at(have.as_bytes(), 0))
    }

    fn named<T>(&self, doing: &'static str, result: io::Result<T>) -> Result<T, BlobError> {
        io(doing, &self.path, result)
    }
}

/// Free bytes of the file system at a path, if the system says.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let facts = nix::sys::statvfs::statvfs(path).ok()?;
    #[allow(
        clippy::useless_conversion,
        reason = "the counts are narrower on 32-bit systems"
    )]
    Some(u64::from(facts.blocks_available()) * u64::from(facts.fragment_size()))
}

fn read_all(mut file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // The bitmap of the largest blob has 4 KiB.
    file.by_ref().take(64 * 1024).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn hash(mut file: &File) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

fn remove(path: &Path) -> Result<(), BlobError> {
    match fs::remove_file(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => io("removing", path, Err(err)),
        _ => Ok(()),
    }
}

fn io<T>(doing: &'static str, path: &Path, result: io::Result<T>) -> Result<T, BlobError> {
    result.map_err(|err| match err.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BlobError::Full {
            doing,
            path: path.into(),
        },
        _ => BlobError::Io {
            doing,
            path: path.into(),
            err,
        },
    })
}

#[cfg(test)]
mod tests {
    use tern_protocol::limits::CHUNK;

    use super::*;

    fn files() -> (tempfile::TempDir, Files) {
        let dir = tempfile::tempdir().expect("a directory");
        let files = Files::open(dir.path().join("blobs")).expect("it opens");
        (dir, files)
    }

    fn bytes() -> Vec<u8> {
        (0..CHUNK * 2 + 100).map(|i| (i / 7) as u8).collect()
    }

    #[test]
    fn what_was_committed_is_there_after_a_crash_and_nothing_else_is_claimed() {
        let (_dir, files) = files();
        let blob = BlobRef::of(&bytes());
        let (partial, mut have) = files.begin(blob).expect("there is room");
        partial
            .write(1, &bytes()[CHUNK..CHUNK * 2])
            .expect("it writes");
        have.set(1);
        partial.commit(&have).expect("it syncs");
        partial.write(0, &bytes()[..CHUNK]).expect("it writes");
        drop(partial);

        let (partial, mut have) = files.begin(blob).expect("there is room");
        assert_eq!(
            (have.has(0), have.has(1), have.has(2)),
            (false, true, false)
        );
        for index in [0, 2] {
            let (offset, len) = blob.place(index).expect("within the blob");
            let offset = offset as usize;
            partial
                .write(index, &bytes()[offset..offset + len])
                .expect("it writes");
            have.set(index);
        }
        partial.commit(&have).expect("it syncs");
        files.finish(blob).expect("its digest holds");
        assert_eq!(files.read(blob, usize::MAX).expect("it reads"), bytes());
        let (whole, partial) = files.list().expect("it lists");
        assert_eq!((whole.len(), partial.len()), (1, 0));
    }

    #[test]
    fn other_bytes_than_the_digest_names_are_removed() {
        let (_dir, files) = files();
        let blob = BlobRef {
            digest: Digest::of(b"good"),
            len: 3,
        };
        let (partial, _) = files.begin(blob).expect("there is room");
        partial.write(0, b"bad").expect("it writes");
        let refusal = files.finish(blob).expect_err("its digest does not hold");
        assert!(matches!(refusal, BlobError::Mismatch { .. }), "{refusal}");
        assert_eq!(files.list().expect("it lists"), Default::default());
    }

    #[test]
    fn a_blob_that_does_not_fit_is_refused_before_it_is_fetched() {
        let (_dir, files) = files();
        let blob = BlobRef {
            digest: Digest::of(b"huge"),
            len: u64::MAX / 4,
        };
        let refusal = files
            .check_space(blob, &Bitmap::new(0))
            .expect_err("no disk is that large");
        assert!(matches!(refusal, BlobError::NoSpace { .. }), "{refusal}");
    }

    #[test]
    fn the_stock_is_what_the_disk_gives_to_each_blob() {
        let (_dir, files) = files();
        let whole = BlobRef::of(&bytes());
        let (partial, mut have) = files.begin(whole).expect("there is room");
        partial.write(0, &bytes()[..CHUNK]).expect("it writes");
        have.set(0);
        partial.commit(&have).expect("it syncs");
        let stock = files.stock().expect("it lists");
        let [only] = stock[..] else {
            panic!("one blob: {stock:?}");
        };
        assert_eq!(only.digest, whole.digest);
        let least = CHUNK as u64;
        assert!(
            (least..least * 2).contains(&only.bytes),
            "what has not come takes no room: {only:?}"
        );
    }

    #[test]
    fn a_full_disk_has_a_name() {
        let full = io::Error::from_raw_os_error(nix::libc::ENOSPC);
        let err = io::<()>("writing", Path::new("blob"), Err(full)).expect_err("it is full");
        assert!(matches!(err, BlobError::Full { .. }), "{err}");
    }

    #[test]
    fn a_whole_blob_that_rotted_is_noticed() {
        let (_dir, files) = files();
        let blob = BlobRef::of(b"abc");
        let (partial, _) = files.begin(blob).expect("there is room");
        partial.write(0, b"abc").expect("it writes");
        files.finish(blob).expect("its digest holds");
        fs::write(files.path(blob.digest, ""), b"abd").expect("it writes");
        for refusal in [files.check(blob), files.read(blob, 100).map(drop)] {
            assert!(matches!(refusal, Err(BlobError::Mismatch { .. })));
        }
        let aside = files.put_aside(blob.digest).expect("it is renamed");
        assert_eq!(fs::read(aside).expect("it is there"), b"abd");
        assert!(!files.has(blob.digest));
        assert_eq!(files.list().expect("it lists"), Default::default());
    }
}
