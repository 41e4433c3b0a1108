//! What the agent remembers across power cuts, in sled.
//!
//! Called by `node` and `outbox`, in one thread. Must never break:
//! - what is written here is flushed before it is acted upon;
//! - a store that cannot be read never stops the agent: it is put aside and a fresh one made, whose
//!   new outbox id tells the hub. Blobs are files beside it, so nothing is downloaded twice.

mod copies;
mod error;
mod opening;
pub mod slot;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sled::{IVec, Transactional as _};
use tern_protocol::{
    codec,
    desired::Desired,
    id::{BootId, OutboxId, Sequence, SlotName},
};

pub use self::error::StateError;
use self::{
    copies::Copies,
    opening::{Trees, Trouble},
    slot::SlotRecord,
};
use crate::fetch::files::free_bytes;

/// Largest value that is read back: an outbox entry.
const VALUE_MAX: usize = 1 << 20;

/// Version of the layout. A store written by a newer agent is refused, not guessed at.
const LAYOUT: u32 = 1;

const KEY_LAYOUT: &str = "layout";
const KEY_BOOT: &str = "boot";
const KEY_OUTBOX: &str = "outbox";
const KEY_DESIRED: &str = "desired";
const KEY_WRITTEN: &str = "slots-written";

/// With less free than this, what looks like damage may be the work of a full disk.
const DOUBTFUL: u64 = 1 << 20;

/// Bytes that a rewrite leaves free besides what it copies: sled writes whole segments of 512 KiB.
const SCRATCH: u64 = 4 << 20;

/// The store of one agent. Its clones are one and the same.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
    copies: Copies,
    /// It was made by this process: nobody has ever heard of its outbox.
    is_new: bool,
    /// What was wrong with it when it was opened.
    damage: Option<Arc<str>>,
    /// Replaced by [`Self::compact`]; nothing if that left no store that opens.
    trees: Arc<Mutex<Option<Trees>>>,
}

/// What became of the store when it was opened.
#[derive(Debug)]
pub enum Opening {
    /// It was there, or there was none yet.
    Usual,
    /// It opened and knows less than the copies beside it: what it had forgotten of slots is in it again.
    WentBack,
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
        let (spare, old) = beside(&path);
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
            Err(Trouble::Damaged(_)) if free_bytes(dir).is_some_and(|free| free < DOUBTFUL) => {
                return Err(StateError::NoSpace {
                    doing: "opening",
                    path,
                });
            }
            Err(Trouble::Damaged(reason)) => {
                let aside = dir.join("store.damaged");
                if aside.exists() {
                    io("removing", &aside, fs::remove_dir_all(&aside))?;
                }
                io("putting aside", &path, fs::rename(&path, &aside))?;
                let store = Self::open_at(&path).map_err(|trouble| trouble.fatal(&path))?;
                store.take_copies()?;
                (store, Opening::Fresh { aside, reason })
            }
        };
        let opening = match opening {
            Opening::Usual if store.take_copies()? => Opening::WentBack,
            opening => opening,
        };
        let damage = match &opening {
            Opening::Usual => None,
            Opening::WentBack => Some("it forgot what it knew".into()),
            Opening::Fresh { reason, .. } => Some(reason.as_str().into()),
        };
        let store = Self { damage, ..store };
        if let Err(err) = store.compact(size_limit) {
            // It serves as it is.
            tracing::warn!("{}", crate::chain(&err));
        }
        Ok((store, opening))
    }

    fn open_at(path: &Path) -> Result<Self, Trouble> {
        let (trees, is_new) = Trees::open(path)?;
        let store = Self {
            copies: Copies::new(path.with_file_name("slots")),
            path: path.into(),
            is_new,
            damage: None,
            trees: Arc::new(Mutex::new(Some(trees))),
        };
        if is_new {
            store.begin().map_err(Trouble::Fatal)?;
        }
        Ok(store)
    }

    /// Takes from the copies what the store has forgotten; whether that was anything.
    fn take_copies(&self) -> Result<bool, StateError> {
        let written: u64 = self.fact(KEY_WRITTEN)?.unwrap_or_default();
        let copies = self.copies.read();
        // A copy is written after the store, so it never knows more than a store that is whole.
        let lost: Vec<_> = copies
            .into_iter()
            .filter(|(_, copy)| copy.written > written)
            .collect();
        if let Some(last) = lost.iter().map(|(_, copy)| copy.written).max() {
            self.set_fact(KEY_WRITTEN, &last)?;
        }
        for (slot, copy) in &lost {
            self.set_slot(slot, &copy.record)?;
        }
        let boot = self.fact::<BootId>(KEY_BOOT)?.unwrap_or_default();
        let last = self.copies.boot().unwrap_or_default();
        if last > boot {
            self.set_fact(KEY_BOOT, &last)?;
            self.flush()?;
        }
        Ok(!lost.is_empty() || last > boot)
    }

    /// What slots were last known to be, without opening the store: for when it cannot be opened.
    pub fn slots_without_store(dir: &Path) -> Vec<(SlotName, SlotRecord)> {
        let copies = Copies::new(dir.join("slots")).read();
        let records = copies.into_iter();
        records.map(|(slot, copy)| (slot, copy.record)).collect()
    }

    /// Writes the first facts of a new store.
    fn begin(&self) -> Result<(), StateError> {
        let id = OutboxId(getrandom::u64().map_err(StateError::Random)?);
        self.set_fact(KEY_OUTBOX, &id)?;
        self.set_fact(KEY_LAYOUT, &LAYOUT)?;
        self.flush()
    }

    /// Bytes on disk.
    pub fn size(&self) -> u64 {
        self.trees()
            .map_or(0, |trees| trees.db.size_on_disk().unwrap_or(0))
    }

    /// Rewrites the store if it takes more than `size_limit` bytes on disk, since sled does not give space
    /// back; says how many bytes that gave. If it cannot be done, the store stays as it is.
    pub fn compact(&self, size_limit: u64) -> Result<Option<u64>, StateError> {
        let before = self.size();
        if before <= size_limit {
            return Ok(None);
        }
        let (spare, old) = beside(&self.path);
        for rest in [&spare, &old] {
            if rest.exists() {
                io("removing", rest, fs::remove_dir_all(rest))?;
            }
        }
        let trees = self.trees()?;
        if let Some(free) = free_bytes(&self.path)
            && free < live_bytes(&trees) + SCRATCH
        {
            return Err(StateError::NoSpace {
                doing: "rewriting",
                path: self.path.clone(),
            });
        }
        let fresh = Trees::open_files(&spare).map_err(|trouble| trouble.fatal(&spare))?;
        let copied = trees.copy_into(&fresh);
        drop(fresh);
        if let Err(err) = copied {
            let _ = fs::remove_dir_all(&spare);
            return Err(StateError::sled("rewriting", &self.path, err));
        }
        // sled finds its files by their path to the end: it is closed before another has the path.
        drop(trees);
        let mut current = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        *current = None;
        io("renaming", &self.path, fs::rename(&self.path, &old))?;
        let renamed = crate::durable::rename(&spare, &self.path);
        if renamed.is_err() {
            io("restoring", &old, fs::rename(&old, &self.path))?;
        }
        let (trees, _) = Trees::open(&self.path).map_err(|trouble| trouble.fatal(&self.path))?;
        *current = Some(trees);
        drop(current);
        io("renaming", &spare, renamed)?;
        io("removing", &old, fs::remove_dir_all(&old))?;
        Ok(Some(before.saturating_sub(self.size())))
    }

    fn trees(&self) -> Result<Trees, StateError> {
        let trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        trees.clone().ok_or_else(|| StateError::Closed {
            path: self.path.clone(),
        })
    }

    fn sled(&self, doing: &'static str) -> impl FnOnce(sled::Error) -> StateError + use<'_> {
        move |err| StateError::sled(doing, &self.path, err)
    }

    /// Counts this start of the agent; the count is on disk when this returns.
    pub fn next_boot(&self) -> Result<BootId, StateError> {
        let boot = self.fact::<BootId>(KEY_BOOT)?.unwrap_or_default().next();
        self.set_fact(KEY_BOOT, &boot)?;
        self.flush()?;
        if let Err(err) = self.copies.write_boot(boot) {
            tracing::warn!("writing down the boot beside the store: {err}");
        }
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
        let value = self.trees()?.slots.get(name.as_str());
        let value = value.map_err(self.sled("reading a slot's record in"))?;
        Ok(value.and_then(|value| read(&value)).unwrap_or_default())
    }

    /// Remembers a slot; it is on disk when this returns.
    pub fn set_slot(&self, name: &SlotName, record: &SlotRecord) -> Result<(), StateError> {
        let slots = self.trees()?.slots;
        let written = slots.insert(name.as_str(), codec::encode(record));
        written.map_err(self.sled("writing a slot's record into"))?;
        let count = self.fact::<u64>(KEY_WRITTEN)?.unwrap_or_default() + 1;
        self.set_fact(KEY_WRITTEN, &count)?;
        self.flush()?;
        if let Err(err) = self.copies.write(name, record, count) {
            // It is needed only if the store is damaged one day.
            tracing::warn!(slot = %name, "copying a slot's record: {err}");
        }
        Ok(())
    }

    /// What was wrong with it when it was opened, if anything was.
    pub(crate) fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// Whether it was made by this process.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// The tree of the outbox.
    pub(crate) fn outbox(&self) -> Result<sled::Tree, StateError> {
        Ok(self.trees()?.outbox)
    }

    /// What sled said about the outbox, as an error.
    pub(crate) fn outbox_error(&self, doing: &'static str, err: sled::Error) -> StateError {
        StateError::sled(doing, &self.path, err)
    }

    /// A fact by its name; `None` if there is none or it cannot be read.
    pub(crate) fn fact<T: for<'b> minicbor::Decode<'b, ()>>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, StateError> {
        let value = self.trees()?.facts.get(name);
        let value = value.map_err(self.sled("reading"))?;
        Ok(value.and_then(|value| read(&value)))
    }

    /// Writes a fact. It is on disk after the next [`Self::flush`].
    pub(crate) fn set_fact<T: minicbor::Encode<()>>(
        &self,
        name: &'static str,
        value: &T,
    ) -> Result<(), StateError> {
        let written = self.trees()?.facts.insert(name, codec::encode(value));
        written.map(drop).map_err(self.sled("writing into"))
    }

    /// When this returns, everything written before is on disk.
    pub fn flush(&self) -> Result<(), StateError> {
        self.trees()?.flush().map_err(self.sled("flushing"))
    }

    /// Begins another life of the outbox with these entries, all of it or nothing.
    pub(crate) fn restart_outbox<M: minicbor::Encode<()>>(
        &self,
        entries: &[(Sequence, Vec<u8>)],
        marks: (&'static str, &M),
    ) -> Result<OutboxId, StateError> {
        let id = OutboxId(getrandom::u64().map_err(StateError::Random)?);
        let mut old = Vec::new();
        let all = self.trees()?;
        for key in all.outbox.iter().keys() {
            old.push(key.map_err(self.sled("reading the outbox in"))?);
        }
        let trees: [&sled::Tree; 2] = [&all.facts, &all.outbox];
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
        done.map_err(|err| {
            let err = match err {
                sled::transaction::TransactionError::Storage(err) => err,
                sled::transaction::TransactionError::Abort(()) => {
                    sled::Error::Unsupported("the transaction was aborted".into())
                }
            };
            StateError::sled("beginning another outbox in", &self.path, err)
        })?;
        self.flush()?;
        Ok(id)
    }
}

/// Where a rewrite is made, and where what it replaces is meanwhile.
fn beside(path: &Path) -> (PathBuf, PathBuf) {
    (path.with_extension("new"), path.with_extension("old"))
}

/// Bytes of everything that is in these.
fn live_bytes(trees: &Trees) -> u64 {
    let all = [&trees.facts, &trees.slots, &trees.outbox];
    let entries = all.into_iter().flat_map(sled::Tree::iter).flatten();
    entries
        .map(|(key, value)| (key.len() + value.len()) as u64)
        .sum()
}

fn io<T>(doing: &'static str, path: &Path, result: io::Result<T>) -> Result<T, StateError> {
    result.map_err(|err| StateError::io(doing, path, err))
}

fn read<T: for<'b> minicbor::Decode<'b, ()>>(value: &IVec) -> Option<T> {
    codec::decode_within(value, VALUE_MAX).ok()
}

#[cfg(test)]
mod tests;
