//! The signed metadata that this device goes by: what was offered, what is trusted, what is lacking.
//!
//! Called by `node`. Pure but for [`Trust::open`] and [`Trust::keep`]; verifying is a job elsewhere.
//!
//! Must never break:
//! - only [`tern_trust::client::verify`] makes anything trusted;
//! - the versions seen are on disk before what they came with is acted upon, apart from the metadata,
//!   so that losing these opens no way back;
//! - what expired still counts: newer metadata are awaited, and nothing stops for it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tern_protocol::{
    blob::BlobRef,
    codec,
    desired::DesiredSlot,
    digest::Digest,
    limits,
    metadata::{Newest, Roots},
    reported,
    time::Uptime,
};
use tern_trust::{
    ROOT_MAX, SNAPSHOT_MAX, TARGETS_MAX, TIMESTAMP_MAX,
    client::{self, Held, Offered, TrustError, Trusted, Versions},
    listing::Listing,
};

use crate::{
    chain, durable,
    fetch::files::{BlobError, Files},
    state::{StateError, Store},
};

/// Largest file of what is held.
const HELD_MAX: usize = (ROOT_MAX + TIMESTAMP_MAX + SNAPSHOT_MAX + TARGETS_MAX + 1024) as usize;

/// The root of a device that got none when it joined.
const FIRST_HEARD: &str = "pinned.json";

/// Name of the newest versions seen, among the facts.
const KEY_SEEN: &str = "metadata-seen";

/// When metadata that were refused are looked at again, though they are the same: what was wrong may
/// have been the disk.
const RETRY: std::time::Duration = std::time::Duration::from_mins(10);

/// What the hub offered last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Offer {
    roots: Vec<BlobRef>,
    newest: Option<Newest>,
}

/// The signed metadata of one device.
#[derive(Debug)]
pub struct Trust {
    dir: PathBuf,
    store: Store,
    /// The root to begin with when nothing is held, and its version if it is sound.
    pinned: Option<Vec<u8>>,
    pinned_version: Option<u64>,
    trusted: Option<Arc<Trusted>>,
    /// Snapshot and targets of what is trusted: hashing them takes its time.
    held: Vec<BlobRef>,
    seen: Versions,
    offer: Offer,
    /// The offer that was dealt with, and when it is looked at again if it was refused.
    settled: Option<(Offer, Option<Uptime>)>,
    verifying: bool,
    problem: Option<String>,
}

/// What may be done with a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It is signed.
    Signed,
    /// Nothing is known of it yet: newer metadata may come.
    Unknown,
    /// Another bundle is signed under its name.
    Contradicted,
    /// It must not be loaded.
    Revoked(String),
}

/// What is judged by; `reconcile` sees it.
#[derive(Debug, Clone, Default)]
pub struct Signed(Option<Arc<Trusted>>);

impl Signed {
    fn listing(&self) -> Option<&Listing> {
        self.0.as_ref().map(|trusted| &trusted.listing)
    }

    /// What may be done with what is desired.
    pub fn judge(&self, want: &DesiredSlot) -> Judgement {
        let listing = self.listing();
        let listed = listing.and_then(|all| all.get(&(want.model.clone(), want.version)));
        match listed {
            None => Judgement::Unknown,
            Some(listed) if listed.bundle != want.bundle => Judgement::Contradicted,
            Some(listed) => match &listed.revoked {
                Some(reason) => Judgement::Revoked(reason.clone()),
                None => Judgement::Signed,
            },
        }
    }

    /// Whether a bundle is listed, revoked or not.
    pub fn lists(&self, bundle: Digest) -> bool {
        let mut listed = self.listing().into_iter().flat_map(Listing::values);
        listed.any(|listed| listed.bundle.digest == bundle)
    }

    /// Why a bundle must not be loaded, if it is revoked.
    pub fn revoked(&self, bundle: Digest) -> Option<&str> {
        let mut listed = self.listing()?.values();
        let listed = listed.find(|listed| listed.bundle.digest == bundle)?;
        listed.revoked.as_deref()
    }

    /// For tests: everything in this listing is signed.
    #[cfg(test)]
    pub(crate) fn of(listing: Listing) -> Self {
        Self(Some(Arc::new(Trusted {
            held: Held {
                root: Vec::new(),
                timestamp: Vec::new(),
                snapshot: Vec::new(),
                targets: Vec::new(),
            },
            versions: Versions::default(),
            listing,
            expires: tern_protocol::time::WallTime(0),
        })))
    }
}

impl Trust {
    /// What a device holds below `dir`; `pinned` is the root that it got when it joined. Must not be
    /// called on an asynchronous thread.
    pub fn open(dir: PathBuf, pinned: Option<Vec<u8>>, store: Store) -> Result<Self, StateError> {
        let pinned = pinned.or_else(|| first_heard(&dir));
        let version = pinned.as_deref().map(client::root_version);
        let mut trust = Self {
            seen: store.fact(KEY_SEEN)?.unwrap_or_default(),
            pinned_version: version.and_then(Result::ok),
            pinned,
            dir,
            store,
            trusted: None,
            held: Vec::new(),
            offer: Offer::default(),
            settled: None,
            verifying: false,
            problem: None,
        };
        match trust.read_held() {
            Ok(Some(trusted)) => drop(trust.go_by(trusted)),
            Ok(None) => {}
            Err(why) => {
                tracing::warn!(
                    "signed metadata on disk are of no use, and are fetched again: {why}"
                );
            }
        }
        Ok(trust)
    }

    fn read_held(&self) -> Result<Option<Trusted>, String> {
        let bytes = match fs::read(self.dir.join("held.cbor")) {
            Ok(bytes) => bytes,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(err.to_string()),
        };
        let held: Held = codec::decode_within(&bytes, HELD_MAX).map_err(|err| err.to_string())?;
        let offered = held.offered();
        let trusted = client::verify(&self.scratch(), &held.root, None, self.seen, &offered);
        trusted.map(Some).map_err(|err| chain(&err))
    }

    fn scratch(&self) -> PathBuf {
        self.dir.join("verifying")
    }

    /// What versions are judged by.
    pub fn signed(&self) -> Signed {
        Signed(self.trusted.clone())
    }

    /// What the hub and people see of it.
    pub fn report(&self) -> reported::Trust {
        let versions = self.trusted.as_ref().map(|trusted| trusted.versions);
        reported::Trust {
            root: versions.map_or(0, |versions| versions.root),
            targets: versions.map_or(0, |versions| versions.targets),
            expires: self.trusted.as_ref().map(|trusted| trusted.expires),
            problem: self.problem.clone(),
        }
    }

    /// The hub told which roots there are.
    pub fn roots(&mut self, roots: Roots) {
        self.offer.roots = roots.roots;
        self.offer.roots.truncate(limits::ROOTS);
    }

    /// The hub told which metadata are the newest.
    pub fn newest(&mut self, newest: Newest) {
        self.offer.newest = Some(newest);
    }

    /// Blobs that are needed to verify what is offered; `None` if there is nothing to verify.
    pub fn needs(&self, now: Uptime) -> Option<Vec<BlobRef>> {
        let newest = self.offer.newest.as_ref()?;
        if let Some((settled, again)) = &self.settled
            && *settled == self.offer
            && again.is_none_or(|at| now < at)
        {
            return None;
        }
        let documents = [newest.snapshot, newest.targets].into_iter();
        let documents = documents.filter(|blob| !self.held.contains(blob));
        let roots = self.new_roots().map(|(_, blob)| blob);
        Some(roots.chain(documents).collect())
    }

    /// Roots that are offered and newer than what this device has, with their versions.
    fn new_roots(&self) -> impl Iterator<Item = (u64, BlobRef)> + '_ {
        let trusted = self.trusted.as_ref().map(|trusted| trusted.versions.root);
        let own = trusted.or(self.pinned_version);
        // Without any, the newest that is offered is taken on trust.
        let from = own.unwrap_or(self.offer.roots.len().saturating_sub(1) as u64);
        let roots = self.offer.roots.iter().copied();
        (1..).zip(roots).filter(move |(version, _)| *version > from)
    }

    fn root(&self) -> Option<&[u8]> {
        let held = self
            .trusted
            .as_ref()
            .map(|trusted| trusted.held.root.as_slice());
        held.or(self.pinned.as_deref())
    }

    /// Whether what is offered can be fetched at all.
    pub fn refusal(&self, now: Uptime) -> Option<String> {
        self.needs(now)?;
        let newest = self.offer.newest.as_ref()?;
        let sizes = [
            ("timestamp", newest.timestamp.len() as u64, TIMESTAMP_MAX),
            ("snapshot", newest.snapshot.len, SNAPSHOT_MAX),
            ("targets", newest.targets.len, TARGETS_MAX),
        ];
        let roots = self
            .new_roots()
            .map(|(_, blob)| ("root", blob.len, ROOT_MAX));
        let mut all = sizes.into_iter().chain(roots);
        let (what, len, most) = all.find(|(_, len, most)| len > most)?;
        Some(format!("the {what} has {len} bytes, it may have {most}"))
    }

    /// Whether a job verifies what is offered; its blobs are needed meanwhile.
    pub fn is_verifying(&self) -> bool {
        self.verifying
    }

    /// The work of verifying what is offered, whose blobs are all here. Call it where it may take its
    /// time, then [`Self::verified`].
    pub(crate) fn verification(
        &mut self,
        files: &Files,
    ) -> Option<impl FnOnce() -> Result<Trusted, Refused> + Send + use<>> {
        let newest = self.offer.newest.clone()?;
        self.verifying = true;
        self.settled = Some((self.offer.clone(), None));
        let roots: Vec<_> = self.new_roots().collect();
        let work = Work {
            scratch: self.scratch(),
            root: self.root().map(<[u8]>::to_vec),
            before: self.trusted.as_ref().map(|trusted| trusted.held.clone()),
            seen: self.seen,
            roots,
            newest,
            files: files.clone(),
        };
        Some(move || work.run())
    }

    /// What came of it. Says what to tell the hub, if anything.
    pub(crate) fn verified(
        &mut self,
        result: Result<Trusted, Refused>,
        now: Uptime,
    ) -> Result<Option<String>, StateError> {
        self.verifying = false;
        match result {
            Ok(trusted) => self.keep(trusted),
            // What was offered meanwhile is looked at all the same.
            Err(refused) => {
                let offer = self.settled.take().map(|(offer, _)| offer);
                Ok(self.refuse(offer.unwrap_or_default(), &refused.text, now))
            }
        }
    }

    /// What is offered is refused. Says what to tell the hub, if that is news.
    pub(crate) fn refused(&mut self, text: &str, now: Uptime) -> Option<String> {
        self.refuse(self.offer.clone(), text, now)
    }

    fn refuse(&mut self, offer: Offer, text: &str, now: Uptime) -> Option<String> {
        self.settled = Some((offer, Some(now.plus(RETRY))));
        tracing::warn!("signed metadata are refused: {text}");
        let news = self.problem.as_ref() != Some(&crate::node::shortened(text));
        self.problem = Some(crate::node::shortened(text));
        news.then(|| format!("refused: {text}"))
    }

    /// Makes verified metadata those that this device goes by.
    fn keep(&mut self, trusted: Trusted) -> Result<Option<String>, StateError> {
        if trusted.versions != self.seen {
            self.store.set_fact(KEY_SEEN, &trusted.versions)?;
            self.store.flush()?;
            self.seen = trusted.versions;
        }
        if let Err(err) = self.write(&trusted) {
            // They are trusted, and count until the next start, which fetches them again.
            tracing::warn!("keeping the signed metadata: {err}");
        }
        self.problem = None;
        let before = self.go_by(trusted);
        let versions = self.seen;
        let known = before.map(|before| before.versions);
        let same = known
            .is_some_and(|known| (known.root, known.targets) == (versions.root, versions.targets));
        if same {
            return Ok(None);
        }
        let text = format!("root {}, targets {}", versions.root, versions.targets);
        tracing::info!("signed metadata are trusted: {text}");
        Ok(Some(text))
    }

    /// Judges by these from now on; gives those before.
    fn go_by(&mut self, trusted: Trusted) -> Option<Arc<Trusted>> {
        let held = &trusted.held;
        self.held = vec![BlobRef::of(&held.snapshot), BlobRef::of(&held.targets)];
        self.trusted.replace(Arc::new(trusted))
    }

    fn write(&self, trusted: &Trusted) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        if self.pinned.is_none() {
            // What was taken on trust once is not taken on trust again.
            durable::replace(&self.dir.join(FIRST_HEARD), &trusted.held.root)?;
        }
        let bytes = codec::encode(&trusted.held);
        durable::replace(&self.dir.join("held.cbor"), &bytes)
    }
}

/// Why metadata are refused.
#[derive(Debug)]
pub(crate) struct Refused {
    text: String,
    /// A blob whose bytes on disk are not what they were.
    pub(crate) rotten: Option<Digest>,
}

struct Work {
    scratch: PathBuf,
    root: Option<Vec<u8>>,
    before: Option<Held>,
    seen: Versions,
    roots: Vec<(u64, BlobRef)>,
    newest: Newest,
    files: Files,
}

impl Work {
    fn run(self) -> Result<Trusted, Refused> {
        let read = |blob: BlobRef, most: u64| self.read(blob, most);
        let mut offered = Offered {
            timestamp: self.newest.timestamp.clone(),
            snapshot: read(self.newest.snapshot, SNAPSHOT_MAX)?,
            targets: read(self.newest.targets, TARGETS_MAX)?,
            ..Offered::default()
        };
        for (version, blob) in &self.roots {
            offered.roots.insert(*version, read(*blob, ROOT_MAX)?);
        }
        let refused = |text: String| Refused { text, rotten: None };
        let root = if let Some(root) = self.root {
            root
        } else {
            let newest = offered.roots.last_key_value();
            let (version, root) = newest.ok_or_else(|| refused("there is no root".into()))?;
            tracing::warn!(
                version,
                "this device has no root of its own and takes the first that it hears of"
            );
            root.clone()
        };
        let trusted = client::verify(
            &self.scratch,
            &root,
            self.before.as_ref(),
            self.seen,
            &offered,
        );
        trusted.map_err(|err: TrustError| refused(chain(&err)))
    }

    fn read(&self, blob: BlobRef, most: u64) -> Result<Vec<u8>, Refused> {
        if let Some(held) = &self.before {
            let mut held = [&held.snapshot, &held.targets].into_iter();
            if let Some(bytes) = held.find(|bytes| BlobRef::of(bytes) == blob) {
                return Ok(bytes.clone());
            }
        }
        self.files.read(blob, most as usize).map_err(|err| Refused {
            text: chain(&err),
            rotten: match err {
                BlobError::Mismatch { .. } | BlobError::Io { .. } => Some(blob.digest),
                BlobError::NoSpace { .. } | BlobError::Full { .. } => None,
            },
        })
    }
}

/// The root that was taken on trust once. One that rotted on disk is none: what was held since then
/// may still be there, and if it is not, there is nothing better to begin with.
fn first_heard(dir: &Path) -> Option<Vec<u8>> {
    let root = fs::read(dir.join(FIRST_HEARD)).ok()?;
    client::root_version(&root).ok().map(|_| root)
}

/// Where the metadata of an agent with this state directory are.
pub fn directory(state: &Path) -> PathBuf {
    state.join("trust")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest(timestamp: &[u8]) -> Newest {
        Newest {
            timestamp: timestamp.to_vec(),
            snapshot: BlobRef::of(b"snapshot"),
            targets: BlobRef::of(b"targets"),
        }
    }

    #[test]
    fn what_is_offered_while_something_else_is_refused_is_looked_at() {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, _) = Store::open(dir.path(), 64 << 20).expect("it opens");
        let files = Files::open(dir.path().join("blobs")).expect("it opens");
        let mut trust = Trust::open(directory(dir.path()), None, store).expect("it opens");
        trust.newest(newest(b"old"));
        assert!(trust.needs(Uptime(0)).is_some());
        drop(trust.verification(&files).expect("there is work"));
        assert_eq!(trust.needs(Uptime(0)), None, "it is being verified");
        trust.newest(newest(b"new"));
        let refused = Refused {
            text: "of the old one".into(),
            rotten: None,
        };
        trust
            .verified(Err(refused), Uptime(0))
            .expect("the store works");
        assert!(trust.needs(Uptime(0)).is_some(), "the new one is another");
        trust.refused("too large", Uptime(0));
        assert_eq!(trust.needs(Uptime(0)), None);
        let later = Uptime(0).plus(RETRY);
        assert!(trust.needs(later).is_some(), "it may have been the disk");
    }
}
