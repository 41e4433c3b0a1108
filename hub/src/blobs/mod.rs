//! Bytes by content address: model files, golden samples, reference profiles, manifests.
//!
//! Called by `registry` (publish), `delivery` (chunks) and `api` (upload, download). Calls
//! `object_store` and nothing of Tern but the protocol.
//!
//! Must never break:
//! - a blob that can be read is whole and has the digest that names it: bytes go to a staged file
//!   and are renamed into place only after the digest held, so `kill -9` leaves no half blob; and each
//!   is hashed before it is read for the first time since the hub started ([`check`]);
//! - a blob that was acknowledged is on the disk (file and directory are flushed);
//! - nobody can make the hub take more bytes than the caller's limit;
//! - a blob that was claimed is not removed before its grace is over ([`claims`]).

mod check;
pub mod claims;
#[cfg(test)]
mod tests;
mod unnamed;

use std::{
    collections::{BTreeSet, HashSet},
    error::Error,
    fmt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use self::{
    check::{Checks, Trusted},
    claims::Claims,
};
pub use self::{
    check::{Found, Pace},
    claims::Unclaimed,
};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use object_store::{
    GetOptions, ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem,
    path::Path as ObjectPath,
};
use tern_protocol::{
    blob::BlobRef,
    digest::{Digest, Hasher},
};
use tokio::sync::watch;

/// Bytes gathered before they are written to the staged file (1 MiB): large enough that a write is
/// cheap, small enough that many uploads at once stay small.
const PART: usize = 1024 * 1024;

/// The blobs of a hub.
#[derive(Clone)]
pub struct Blobs {
    files: Arc<LocalFileSystem>,
    claims: Claims,
    checks: Arc<Checks>,
}

/// What became of a `put`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The blob is new.
    Stored(BlobRef),
    /// The hub had it already.
    Known(BlobRef),
}

impl Put {
    /// The blob, new or known.
    pub const fn blob(self) -> BlobRef {
        match self {
            Self::Stored(blob) | Self::Known(blob) => blob,
        }
    }
}

/// Why a blob could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// More bytes than the caller allows.
    #[error("the blob is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The bytes are not those that the digest names.
    #[error(
        "the bytes have the digest {found}, not {expected}; upload them under their own digest"
    )]
    DigestMismatch {
        /// The digest that was promised.
        expected: Digest,
        /// The digest of the bytes that came.
        found: Digest,
    },
    /// The sender stopped in the middle.
    #[error("the upload broke off after {received} bytes; send it again")]
    BrokenOff {
        /// Bytes that came.
        received: u64,
        /// Why, as the transport says.
        #[source]
        err: Box<dyn Error + Send + Sync>,
    },
    /// There is no such blob.
    #[error("there is no blob {0}; upload it with PUT /blobs/{0}")]
    Missing(Digest),
    /// A range that does not lie in the blob.
    #[error("bytes {offset} to {end} do not lie in blob {digest} of {len} bytes")]
    Range {
        /// Which blob.
        digest: Digest,
        /// Its length in bytes.
        len: u64,
        /// First byte asked for.
        offset: u64,
        /// Byte after the last one asked for.
        end: u64,
    },
    /// The disk or the object store failed.
    #[error("{doing}")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// What the storage said.
        #[source]
        err: Box<dyn Error + Send + Sync>,
    },
}

impl BlobError {
    fn storage(doing: &'static str) -> impl FnOnce(object_store::Error) -> Self {
        move |err| Self::Storage {
            doing,
            err: Box::new(err),
        }
    }
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blobs").finish_non_exhaustive()
    }
}

impl Blobs {
    /// Opens the store in `dir`, makes the directory if it is missing, and removes staged files
    /// that a killed hub left behind.
    pub fn open(dir: &Path) -> Result<Self, BlobError> {
        remove_staged(dir).map_err(|err| BlobError::Storage {
            doing: "removing staged files of blobs",
            err: err.into(),
        })?;
        Self::beside(dir)
    }

    /// Opens the store in `dir` beside a hub that may be running, and so leaves its uploads alone.
    pub fn beside(dir: &Path) -> Result<Self, BlobError> {
        let io = |doing| {
            move |err: std::io::Error| BlobError::Storage {
                doing,
                err: err.into(),
            }
        };
        std::fs::create_dir_all(dir).map_err(io("making the directory of blobs"))?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            // Else a power cut may take the directory with all that was synced in it.
            let named = std::fs::File::open(parent).and_then(|parent| parent.sync_all());
            named.map_err(io("syncing the directory above the blobs"))?;
        }
        let files = LocalFileSystem::new_with_prefix(dir)
            .map_err(BlobError::storage("opening the directory of blobs"))?;
        Ok(Self {
            files: Arc::new(files.with_fsync(true)),
            claims: Claims::within(dir),
            checks: Arc::default(),
        })
    }

    /// Stores what `stream` yields, if it has the digest `expected` and at most `limit` bytes.
    /// Nothing is visible before the whole blob is durable. A known blob is read to its end and
    /// compared all the same, so that a sender never learns a digest is good by luck; one that turns out
    /// to be damaged is stored anew.
    pub async fn put<S, E>(
        &self,
        mut stream: S,
        expected: Digest,
        limit: u64,
    ) -> Result<Put, BlobError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let known = self.claim_whole(expected).await?.is_some();
        let mut staged = Staged::new(self, expected, known).await?;
        let mut hasher = Hasher::new();
        let mut received = 0u64;
        while let Some(piece) = stream.next().await {
            let piece = match piece {
                Ok(piece) => piece,
                Err(err) => {
                    staged.abort().await;
                    return Err(BlobError::BrokenOff {
                        received,
                        err: err.into(),
                    });
                }
            };
            received = received.saturating_add(piece.len() as u64);
            if received > limit {
                staged.abort().await;
                return Err(BlobError::TooLarge { limit });
            }
            hasher.update(&piece);
            staged.write(&piece).await?;
        }
        let found = hasher.finish();
        if found != expected {
            staged.abort().await;
            return Err(BlobError::DigestMismatch { expected, found });
        }
        staged.complete().await?;
        // Who sends for longer than a grace lasts may have lost it on the way.
        if known && self.claim(expected).await?.is_none() {
            return Err(BlobError::Missing(expected));
        }
        self.checks.is_sound(expected);
        let blob = BlobRef {
            digest: expected,
            len: received,
        };
        Ok(if known {
            Put::Known(blob)
        } else {
            Put::Stored(blob)
        })
    }

    /// Stores bytes that are already in memory.
    pub async fn put_bytes(&self, bytes: Bytes) -> Result<BlobRef, BlobError> {
        let (digest, limit) = (Digest::of(&bytes), bytes.len() as u64);
        let once = futures::stream::iter([Ok::<_, std::convert::Infallible>(bytes)]);
        self.put(once, digest, limit).await.map(Put::blob)
    }

    /// As [`Self::claim`], of a blob that is hashed now, whatever was known of it: whoever asks has its
    /// bytes, and can mend it.
    pub async fn claim_whole(&self, digest: Digest) -> Result<Option<BlobRef>, BlobError> {
        if self.claim(digest).await?.is_none() {
            return Ok(None);
        }
        let now = Trusted::Since(Instant::now());
        match self.checks.check(&self.claims, digest, now).await? {
            Found::Whole => self.claim(digest).await,
            Found::Damaged | Found::Gone => Ok(None),
        }
    }

    /// As [`Self::claim`], of a blob that is hashed first if that was not done since the hub started.
    pub async fn claim_known(&self, digest: Digest) -> Result<Option<BlobRef>, BlobError> {
        match self.find(digest).await {
            Ok(_) => self.claim(digest).await,
            Err(BlobError::Missing(_)) => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// Hashes a blob at a pace, whatever was known of it.
    pub async fn scrub(&self, digest: Digest, pace: Pace) -> Result<Found, BlobError> {
        self.checks.hash(&self.claims, digest, pace).await
    }

    /// Whether a blob is known to be whole, so that it can be read at once.
    pub fn is_known(&self, digest: Digest) -> bool {
        self.checks.knows(digest, Trusted::SinceStart)
    }

    /// Whether a blob was found whole within this time.
    pub fn is_fresh(&self, digest: Digest, within: Duration) -> bool {
        self.checks.knows(digest, since(within))
    }

    /// Blobs that the hub had or should have, and lacks.
    pub fn lacking(&self) -> BTreeSet<Digest> {
        self.checks.lacking()
    }

    /// Tells when [`Self::lacking`] changes.
    pub fn watch_lacking(&self) -> watch::Receiver<()> {
        self.checks.changed.subscribe()
    }

    /// As [`Self::find_fresh`]; one that the hub lacks is waited for, if it is made again within `time`.
    pub async fn find_within(
        &self,
        digest: Digest,
        fresh: Duration,
        time: Duration,
    ) -> Result<BlobRef, BlobError> {
        let mut changes = self.watch_lacking();
        let back = async {
            while self.checks.is_lacking(digest) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        match self.find_fresh(digest, fresh).await {
            Err(BlobError::Missing(_)) if self.checks.is_lacking(digest) => {
                // Late or not, the next look tells.
                let _ = tokio::time::timeout(time, back).await;
                self.find_fresh(digest, fresh).await
            }
            found => found,
        }
    }

    /// Whether the hub lacks a blob that it had or should have.
    pub fn is_lacking(&self, digest: Digest) -> bool {
        self.checks.is_lacking(digest)
    }

    /// Looks which of these there are; those that are gone, and were not known to be.
    pub async fn look_for(&self, wanted: &HashSet<Digest>) -> Result<Vec<Digest>, BlobError> {
        let claims = self.claims.clone();
        let there = on_disk("listing blobs", move || claims.all()).await?;
        for digest in self.checks.lacking() {
            // Somebody put it back by hand, or nothing refers to it any more.
            if !wanted.contains(&digest) || self.head(digest).await?.is_some() {
                self.checks.lacks_no_more(digest);
            }
        }
        let mut gone = Vec::new();
        for digest in wanted.difference(&there) {
            // It may have been stored since the list was made.
            if self.head(*digest).await?.is_none() && self.checks.lacks(*digest) {
                gone.push(*digest);
            }
        }
        Ok(gone)
    }

    /// How many blobs were found damaged since the hub started.
    pub fn damaged(&self) -> u64 {
        self.checks.damaged.get()
    }

    /// The reference to a blob if the hub has it, which then stays for a grace from now on.
    pub async fn claim(&self, digest: Digest) -> Result<Option<BlobRef>, BlobError> {
        let claims = self.claims.clone();
        on_disk("claiming a blob", move || claims.claim(digest)).await
    }

    /// Everything that nobody has claimed since `before`; whether something refers to it is not known
    /// here.
    pub async fn unclaimed(&self, before: SystemTime) -> Result<Vec<Unclaimed>, BlobError> {
        let claims = self.claims.clone();
        on_disk("listing blobs", move || claims.unclaimed(before)).await
    }

    /// Removes what is still unclaimed since `before`; its bytes, or `None` if it is not.
    pub async fn remove(
        &self,
        unclaimed: Unclaimed,
        before: SystemTime,
    ) -> Result<Option<u64>, BlobError> {
        let claims = self.claims.clone();
        on_disk("removing a blob", move || claims.remove(&unclaimed, before)).await
    }

    /// Length of a blob in bytes, if the hub has it.
    pub async fn head(&self, digest: Digest) -> Result<Option<u64>, BlobError> {
        match self.files.head(&place(digest)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(err) => Err(BlobError::storage("looking for a blob")(err)),
        }
    }

    /// The reference to a blob that must be there, and is whole.
    pub async fn find(&self, digest: Digest) -> Result<BlobRef, BlobError> {
        self.find_trusted(digest, Trusted::SinceStart).await
    }

    /// As [`Self::find`], of a blob that is hashed unless it was found whole within this time.
    pub async fn find_fresh(&self, digest: Digest, within: Duration) -> Result<BlobRef, BlobError> {
        self.find_trusted(digest, since(within)).await
    }

    async fn find_trusted(&self, digest: Digest, trusted: Trusted) -> Result<BlobRef, BlobError> {
        match self.checks.check(&self.claims, digest, trusted).await? {
            Found::Whole => self.length(digest).await,
            Found::Damaged | Found::Gone => Err(BlobError::Missing(digest)),
        }
    }

    async fn length(&self, digest: Digest) -> Result<BlobRef, BlobError> {
        let len = self.head(digest).await?.ok_or(BlobError::Missing(digest))?;
        Ok(BlobRef { digest, len })
    }

    /// `len` bytes of a blob from `offset`. The range must lie in the blob.
    pub async fn get_range(
        &self,
        digest: Digest,
        offset: u64,
        len: usize,
    ) -> Result<Bytes, BlobError> {
        let whole = self.find(digest).await?.len;
        self.read(digest, whole, offset, len).await
    }

    async fn read(
        &self,
        digest: Digest,
        whole: u64,
        offset: u64,
        len: usize,
    ) -> Result<Bytes, BlobError> {
        let end = offset.saturating_add(len as u64);
        if end > whole {
            return Err(BlobError::Range {
                digest,
                len: whole,
                offset,
                end,
            });
        }
        if len == 0 {
            return Ok(Bytes::new());
        }
        let read = self.files.get_range(&place(digest), offset..end).await;
        read.map_err(BlobError::storage("reading a range of a blob"))
    }

    /// A blob of at most `limit` bytes, whole. What is handed out is what was hashed.
    pub async fn read_all(&self, digest: Digest, limit: u64) -> Result<Bytes, BlobError> {
        let len = self.length(digest).await?.len;
        if len > limit {
            return Err(BlobError::TooLarge { limit });
        }
        let read = self.read(digest, len, 0, len as usize).await;
        let why = match read {
            Ok(bytes) => {
                let read = bytes.clone();
                let found = on_disk("hashing a blob", move || Ok(Digest::of(&read))).await?;
                if found == digest {
                    self.checks.is_sound(digest);
                    return Ok(bytes);
                }
                BlobError::DigestMismatch {
                    expected: digest,
                    found,
                }
            }
            Err(err) => err,
        };
        let now = Trusted::Since(Instant::now());
        match self.checks.check(&self.claims, digest, now).await? {
            Found::Damaged | Found::Gone => Err(BlobError::Missing(digest)),
            Found::Whole => Err(BlobError::Storage {
                doing: "reading a blob that was whole when it was read again",
                err: why.into(),
            }),
        }
    }

    /// The file of a blob that is whole, for whoever reads here and there in it.
    pub async fn open_file(&self, digest: Digest) -> Result<std::fs::File, BlobError> {
        self.find(digest).await?;
        let claims = self.claims.clone();
        let file = on_disk("opening a blob", move || claims.open(digest)).await?;
        file.ok_or(BlobError::Missing(digest))
    }

    /// A file on the blobs' disk that nobody else can find, for what is still being made.
    pub async fn nameless(&self) -> Result<std::fs::File, BlobError> {
        let claims = self.claims.clone();
        on_disk("making a file", move || claims.nameless()).await
    }

    /// Removes a blob now, however fresh its claim is: for what has to go. Whether something refers to it is not known here.
    pub(crate) async fn discard(&self, digest: Digest) -> Result<(), BlobError> {
        let claims = self.claims.clone();
        on_disk("removing a blob", move || claims.discard(digest)).await
    }

    /// A blob as a stream of pieces, with its length in bytes; for downloads.
    pub async fn stream(
        &self,
        digest: Digest,
    ) -> Result<
        (
            u64,
            impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static,
        ),
        BlobError,
    > {
        let len = self.find(digest).await?.len;
        let got = self
            .files
            .get_opts(&place(digest), GetOptions::default())
            .await;
        let got = got.map_err(BlobError::storage("opening a blob"))?;
        let pieces = got.into_stream();
        Ok((
            len,
            pieces.map(|piece| piece.map_err(BlobError::storage("reading a blob"))),
        ))
    }
}

/// To be trusted if it was found whole within this time.
fn since(within: Duration) -> Trusted {
    match Instant::now().checked_sub(within) {
        Some(since) => Trusted::Since(since),
        // The machine has not run for so long.
        None => Trusted::SinceStart,
    }
}

/// Does what waits for the disk where it may.
async fn on_disk<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, BlobError> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.unwrap_or_else(|ended| Err(std::io::Error::other(ended)));
    done.map_err(|err| BlobError::Storage {
        doing,
        err: err.into(),
    })
}

/// An upload on its way: bytes pile up to a part, parts go to the staged file. Of a blob that is
/// known already nothing is written.
struct Staged {
    upload: Option<Box<dyn object_store::MultipartUpload>>,
    part: BytesMut,
}

impl Staged {
    async fn new(blobs: &Blobs, digest: Digest, known: bool) -> Result<Self, BlobError> {
        let upload = if known {
            None
        } else {
            let begun = blobs.files.put_multipart(&place(digest)).await;
            Some(begun.map_err(BlobError::storage("making a staged file for a blob"))?)
        };
        Ok(Self {
            upload,
            part: BytesMut::new(),
        })
    }

    async fn write(&mut self, piece: &[u8]) -> Result<(), BlobError> {
        if self.upload.is_none() {
            return Ok(());
        }
        self.part.extend_from_slice(piece);
        if self.part.len() >= PART {
            self.flush().await
        } else {
            Ok(())
        }
    }

    async fn flush(&mut self) -> Result<(), BlobError> {
        let Some(upload) = self.upload.as_mut().filter(|_| !self.part.is_empty()) else {
            return Ok(());
        };
        let part = PutPayload::from_bytes(self.part.split().freeze());
        upload
            .put_part(part)
            .await
            .map_err(BlobError::storage("writing a blob"))
    }

    async fn complete(mut self) -> Result<(), BlobError> {
        self.flush().await?;
        if let Some(upload) = self.upload.as_mut() {
            let done = upload.complete().await;
            done.map_err(BlobError::storage("flushing a blob and giving it its name"))?;
        }
        Ok(())
    }

    /// The staged file goes; if that fails, the next start removes it.
    async fn abort(mut self) {
        if let Some(upload) = self.upload.as_mut()
            && let Err(err) = upload.abort().await
        {
            tracing::debug!(%err, "a staged blob could not be removed now");
        }
    }
}

/// `sha256/ab/abcdef…`: no directory grows without end.
fn place(digest: Digest) -> ObjectPath {
    let hex = digest.to_string();
    ObjectPath::from(format!("sha256/{}/{hex}", &hex[..2]))
}

/// Removes staged files (`NAME#NUMBER`, as `object_store` names them) of a hub that was killed.
/// Whether a file of this name is half an upload: the object store marks them so.
pub(crate) fn is_staged(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().contains('#')
}

fn remove_staged(root: &Path) -> std::io::Result<()> {
    let shelves = match std::fs::read_dir(root.join("sha256")) {
        Ok(shelves) => shelves,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(err) => return Err(err),
    };
    for shelf in shelves {
        for file in std::fs::read_dir(shelf?.path())? {
            let file = file?;
            if is_staged(&file.file_name()) {
                std::fs::remove_file(file.path())?;
            }
        }
    }
    Ok(())
}
