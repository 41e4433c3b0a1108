//! What the agent remembers across power cuts, in sled.
//!
//! Called by `node` and `outbox`, in one thread. Must never break:
//! - what is written here is flushed before it is acted upon;
//! - a store that cannot be read never stops the agent: it is put aside and a fresh one made, whose
//!   new outbox id tells the hub. Blobs are files beside it, so nothing is downloaded twice.

mod copies;
pub mod slot;

use std::{
    fs::{self, File},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use sled::{IVec, Transactional as _};
use tern_protocol::{
    codec,
    desired::Desired,
    id::{BootId, OutboxId, Sequence, SlotName},
};

use self::{copies::Copies, slot::SlotRecord};

/// Pages that sled keeps in memory: our working set is a few records and the end of the outbox.
const CACHE: u64 = 1 << 20;

/// Largest value that is read back: an outbox entry.
const VALUE_MAX: usize = 1 << 20;

/// Wait for whoever holds the store, and how often: two seconds in all.
const LOCK_WAIT: Duration = Duration::from_millis(50);
const LOCK_TRIES: u32 = 40;

/// Version of the layout. A store written by a newer agent is refused, not guessed at.
const LAYOUT: u32 = 1;

const KEY_LAYOUT: &str = "layout";
const KEY_BOOT: &str = "boot";
const KEY_OUTBOX: &str = "outbox";
const KEY_DESIRED: &str = "desired";

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// sled said no.
    #[error("{doing}")]
    Sled {
        /// What was being done.
        doing: &'static str,
        /// What sled said.
        #[source]
        err: sled::Error,
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
    /// Written by a newer agent.
    #[error(
        "{} was written by a newer agent (layout {found}, this one knows up to {LAYOUT}); \
         install that agent again or move the directory away", path.display()
    )]
    Newer {
        /// Which store.
        path: PathBuf,
        /// Its layout.
        found: u32,
    },
    /// Another agent uses it.
    #[error("{} is in use by another agent; each needs its own `state`", path.display())]
    InUse {
        /// Which store.
        path: PathBuf,
    },
    /// The system gives no random numbers.
    #[error("drawing an outbox id")]
    Random(#[source] getrandom::Error),
}

/// The store of one agent.
#[derive(Debug, Clone)]
pub struct Store {
    db: sled::Db,
    /// sled's file once more. Its own flush hands the bytes to the disk and leaves them in the disk's
    /// cache (`sync_file_range`), where a power cut finds them.
    file: Arc<File>,
    copies: Copies,
    /// It was made by this process: nobody has ever heard of its outbox.
    is_new: bool,
    facts: sled::Tree,
    slots: sled::Tree,
    outbox: sled::Tree,
}

/// What became of the store when it was opened.
#[derive(Debug)]
pub enum Opening {
    /// It was there, or there was none yet.
    Usual,
    /// It was damaged, put aside under this name, and a fresh one made.
    Fresh {
        /// Where the damaged one is now.
        aside: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
}

impl Store {
    /// Opens the store below `dir`, or makes it. `size_limit` bytes on disk are fine; a larger one
    /// is rewritten first, because sled does not give space back.
    pub fn open(dir: &Path, size_limit: u64) -> Result<(Self, Opening), StateError> {
        let path = dir.join("store");
        let (spare, old) = (dir.join("store.new"), dir.join("store.old"));
        io("making", dir, fs::create_dir_all(dir))?;
        if !path.exists() && old.exists() {
            // The power went between the two renames of a rewrite.
            io("restoring", &old, fs::rename(&old, &path))?;
        }
        for rest in [&spare, &old] {
            if rest.exists() {
                io("removing", rest, fs::remove_dir_all(rest))?;
            }
        }
        let (store, opening) = match Self::open_at(&path) {
            Ok(store) => (store, Opening::Usual),
            Err(Trouble::Fatal(err)) => return Err(err),
            Err(Trouble::Damaged(reason)) => {
                let aside = dir.join("store.damaged");
                if aside.exists() {
                    io("removing", &aside, fs::remove_dir_all(&aside))?;
                }
                io("putting aside", &path, fs::rename(&path, &aside))?;
                let store = Self::open_at(&path).map_err(|trouble| trouble.fatal(&path))?;
                for (slot, record) in store.copies.read() {
                    store.set_slot(&slot, &record)?;
                }
                (store, Opening::Fresh { aside, reason })
            }
        };
        let size = store.db.size_on_disk().unwrap_or(0);
        if size <= size_limit {
            return Ok((store, opening));
        }
        Ok((store.rewrite(&path, &spare, &old)?, opening))
    }

    fn open_at(path: &Path) -> Result<Self, Trouble> {
        // sled panics on some damage.
        let opened = catch_unwind(AssertUnwindSafe(|| Self::open_trees(path)));
        let mut store = opened.unwrap_or_else(|_| Err(Trouble::Damaged("sled panicked".into())))?;
        store.read_through().map_err(|err| Trouble::of(err, path))?;
        let layout = store.fact::<u32>(KEY_LAYOUT).map_err(Trouble::Fatal)?;
        match layout {
            Some(LAYOUT) => Ok(store),
            Some(found) if found > LAYOUT => Err(Trouble::Fatal(StateError::Newer {
                path: path.into(),
                found,
            })),
            _ if store.facts.is_empty() => {
                store.begin().map_err(Trouble::Fatal)?;
                store.is_new = true;
                Ok(store)
            }
            _ => Err(Trouble::Damaged("its layout cannot be read".into())),
        }
    }

    fn open_trees(path: &Path) -> Result<Self, Trouble> {
        remove_half_snapshots(path).map_err(Trouble::Fatal)?;
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(CACHE)
            // We flush ourselves, when it matters; an idle agent must not wake up for it.
            .flush_every_ms(None);
        let db = patiently(|| config.open().map_err(|err| Trouble::of(err, path)))?;
        let tree = |name: &str| db.open_tree(name).map_err(|err| Trouble::of(err, path));
        let file = sync_names(path).map_err(Trouble::Fatal)?;
        Ok(Self {
            file: Arc::new(file),
            copies: Copies::new(path.with_file_name("slots")),
            is_new: false,
            facts: tree("facts")?,
            slots: tree("slots")?,
            outbox: tree("outbox")?,
            db,
        })
    }

    /// Reads everything once, so that damage shows now and not in the middle of work.
    fn read_through(&self) -> sled::Result<()> {
        let trees = [&self.facts, &self.slots, &self.outbox];
        trees
            .into_iter()
            .flat_map(sled::Tree::iter)
            .try_for_each(|entry| entry.map(drop))
    }

    /// Writes the first facts of a new store.
    fn begin(&self) -> Result<(), StateError> {
        let id = OutboxId(getrandom::u64().map_err(StateError::Random)?);
        self.set_fact(KEY_OUTBOX, &id)?;
        self.set_fact(KEY_LAYOUT, &LAYOUT)?;
        self.flush()
    }

    /// Copies everything into a new store and puts that in the place of this one.
    fn rewrite(self, path: &Path, spare: &Path, old: &Path) -> Result<Self, StateError> {
        let fresh = Self::open_trees(spare).map_err(|trouble| trouble.fatal(spare))?;
        for (from, to) in [
            (&self.slots, &fresh.slots),
            (&self.outbox, &fresh.outbox),
            (&self.facts, &fresh.facts),
        ] {
            for entry in from {
                let (key, value) = entry.map_err(sled("reading while rewriting the store"))?;
                to.insert(key, value)
                    .map_err(sled("writing while rewriting the store"))?;
            }
        }
        fresh.flush()?;
        drop((fresh, self));
        io("renaming", path, fs::rename(path, old))?;
        io("renaming", spare, crate::durable::rename(spare, path))?;
        io("removing", old, fs::remove_dir_all(old))?;
        Self::open_at(path).map_err(|trouble| trouble.fatal(path))
    }

    /// Counts this start of the agent; the count is on disk when this returns.
    pub fn next_boot(&self) -> Result<BootId, StateError> {
        let boot = self.fact::<BootId>(KEY_BOOT)?.unwrap_or_default().next();
        self.set_fact(KEY_BOOT, &boot)?;
        self.flush()?;
        Ok(boot)
    }

    /// Which life of the outbox this store holds.
    pub fn outbox_id(&self) -> Result<OutboxId, StateError> {
        if let Some(id) = self.fact(KEY_OUTBOX)? {
            return Ok(id);
        }
        let id = OutboxId(getrandom::u64().map_err(StateError::Random)?);
        self.set_fact(KEY_OUTBOX, &id)?;
        self.flush()?;
        Ok(id)
    }

    /// The desired state with the highest revision seen so far.
    pub fn desired(&self) -> Result<Desired, StateError> {
        Ok(self.fact(KEY_DESIRED)?.unwrap_or_default())
    }

    /// Remembers a desired state; it is on disk when this returns.
    pub fn set_desired(&self, desired: &Desired) -> Result<(), StateError> {
        self.set_fact(KEY_DESIRED, desired)?;
        self.flush()
    }

    /// What is remembered of a slot; nothing if that cannot be read.
    pub fn slot(&self, name: &SlotName) -> Result<SlotRecord, StateError> {
        let value = self
            .slots
            .get(name.as_str())
            .map_err(sled("reading a slot's record"))?;
        Ok(value.and_then(|value| read(&value)).unwrap_or_default())
    }

    /// Remembers a slot; it is on disk when this returns.
    pub fn set_slot(&self, name: &SlotName, record: &SlotRecord) -> Result<(), StateError> {
        let written = self.slots.insert(name.as_str(), codec::encode(record));
        written.map_err(sled("writing a slot's record"))?;
        self.flush()?;
        if let Err(err) = self.copies.write(name, record) {
            // It is needed only if the store is damaged one day.
            tracing::warn!(slot = %name, "copying a slot's record: {err}");
        }
        Ok(())
    }

    /// Whether it was made by this process.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// The tree of the outbox.
    pub(crate) fn outbox(&self) -> &sled::Tree {
        &self.outbox
    }

    /// A fact by its name; `None` if there is none or it cannot be read.
    pub(crate) fn fact<T: for<'b> minicbor::Decode<'b, ()>>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, StateError> {
        let value = self.facts.get(name).map_err(sled("reading a fact"))?;
        Ok(value.and_then(|value| read(&value)))
    }

    /// Writes a fact. It is on disk after the next [`Self::flush`].
    pub(crate) fn set_fact<T: minicbor::Encode<()>>(
        &self,
        name: &'static str,
        value: &T,
    ) -> Result<(), StateError> {
        let written = self.facts.insert(name, codec::encode(value));
        written.map(drop).map_err(sled("writing a fact"))
    }

    /// When this returns, everything written before is on disk.
    pub fn flush(&self) -> Result<(), StateError> {
        let flushed = self.db.flush();
        flushed.map(drop).map_err(sled("flushing the store"))?;
        let synced = self.file.sync_data();
        synced.map_err(|err| StateError::Sled {
            doing: "syncing the store",
            err: sled::Error::Io(err),
        })
    }

    /// Begins another life of the outbox with these entries, all of it or nothing.
    pub(crate) fn restart_outbox<M: minicbor::Encode<()>>(
        &self,
        entries: &[(Sequence, Vec<u8>)],
        marks: (&'static str, &M),
    ) -> Result<OutboxId, StateError> {
        let id = OutboxId(getrandom::u64().map_err(StateError::Random)?);
        let mut old = Vec::new();
        for key in self.outbox.iter().keys() {
            old.push(key.map_err(sled("reading the outbox"))?);
        }
        let trees: [&sled::Tree; 2] = [&self.facts, &self.outbox];
        let done: sled::transaction::TransactionResult<(), ()> =
            trees.as_slice().transaction(|trees| {
                trees[0].insert(KEY_OUTBOX, codec::encode(&id))?;
                trees[0].insert(marks.0, codec::encode(marks.1))?;
                for key in &old {
                    trees[1].remove(key)?;
                }
                for (sequence, entry) in entries {
                    trees[1].insert(&sequence.0.to_be_bytes(), entry.as_slice())?;
                }
                Ok(())
            });
        done.map_err(|err| StateError::Sled {
            doing: "beginning another outbox",
            err: match err {
                sled::transaction::TransactionError::Storage(err) => err,
                sled::transaction::TransactionError::Abort(()) => {
                    sled::Error::Unsupported("the transaction was aborted".into())
                }
            },
        })?;
        self.flush()?;
        Ok(id)
    }
}

/// Removes snapshots that were not written to their end. sled takes the newest by name, half or whole,
/// and what is half it calls damage, though everything is in its log.
fn remove_half_snapshots(path: &Path) -> Result<(), StateError> {
    let entries = match fs::read_dir(path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => io("listing", path, entries)?,
    };
    for entry in entries {
        let name = io("listing", path, entry)?.file_name();
        let text = name.to_string_lossy();
        if text.starts_with("snap.") && text.ends_with(".generating") {
            let half = path.join(&name);
            tracing::info!(file = %half.display(), "removing a half snapshot of the store");
            io("removing", &half, fs::remove_file(&half))?;
        }
    }
    Ok(())
}

/// Makes the store's own names and its settings durable, which sled leaves to chance; gives the file of
/// its log.
fn sync_names(path: &Path) -> Result<File, StateError> {
    let conf = path.join("conf");
    io(
        "syncing",
        &conf,
        File::open(&conf).and_then(|file| file.sync_all()),
    )?;
    let log = path.join("db");
    let file = io(
        "opening",
        &log,
        File::options().read(true).write(true).open(&log),
    )?;
    io("syncing", &log, file.sync_all())?;
    io("syncing", path, crate::durable::sync_parent(&conf))?;
    io("syncing", path, crate::durable::sync_parent(path))?;
    Ok(file)
}

/// Tries again for a while as long as the store is in use: sled lets go of its lock a moment after
/// it was dropped, and an agent that is being replaced takes its time as well.
fn patiently<T>(mut open: impl FnMut() -> Result<T, Trouble>) -> Result<T, Trouble> {
    for _ in 0..LOCK_TRIES {
        match open() {
            Err(Trouble::Fatal(StateError::InUse { .. })) => thread::sleep(LOCK_WAIT),
            outcome => return outcome,
        }
    }
    open()
}

/// Why a store did not open.
enum Trouble {
    /// Only a person can help.
    Fatal(StateError),
    /// It cannot be read; a fresh one can take its place.
    Damaged(String),
}

impl Trouble {
    fn of(err: sled::Error, path: &Path) -> Self {
        match err {
            // sled words a lock that another process holds as an I/O error of this kind.
            sled::Error::Io(err) if err.to_string().contains("could not acquire lock") => {
                Self::Fatal(StateError::InUse { path: path.into() })
            }
            sled::Error::Io(err)
                if err.kind() != io::ErrorKind::InvalidData
                    && err.kind() != io::ErrorKind::UnexpectedEof
                    && err.kind() != io::ErrorKind::Other =>
            {
                Self::Fatal(StateError::Io {
                    doing: "opening",
                    path: path.into(),
                    err,
                })
            }
            err => Self::Damaged(err.to_string()),
        }
    }

    fn fatal(self, path: &Path) -> StateError {
        match self {
            Self::Fatal(err) => err,
            Self::Damaged(reason) => StateError::Io {
                doing: "opening the fresh store",
                path: path.into(),
                err: io::Error::other(reason),
            },
        }
    }
}

fn sled(doing: &'static str) -> impl FnOnce(sled::Error) -> StateError {
    move |err| StateError::Sled { doing, err }
}

fn io<T>(doing: &'static str, path: &Path, result: io::Result<T>) -> Result<T, StateError> {
    result.map_err(|err| StateError::Io {
        doing,
        path: path.into(),
        err,
    })
}

fn read<T: for<'b> minicbor::Decode<'b, ()>>(value: &IVec) -> Option<T> {
    codec::decode_within(value, VALUE_MAX).ok()
}

#[cfg(test)]
mod tests;
