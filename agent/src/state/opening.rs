//! sled's files on disk: opened, told apart from damage, made durable.

use std::{
    fs::{self, File},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    thread,
    time::Duration,
};

use super::{KEY_LAYOUT, LAYOUT, StateError, read};

/// Pages that sled keeps in memory: our working set is a few records and the end of the outbox.
const CACHE: u64 = 1 << 20;

/// Wait for whoever holds the store, and how often: two seconds in all.
const LOCK_WAIT: Duration = Duration::from_millis(50);
const LOCK_TRIES: u32 = 40;

/// What an open store is made of. Cheap to clone: sled counts its users.
#[derive(Debug, Clone)]
pub(super) struct Trees {
    pub(super) db: sled::Db,
    /// sled's file once more. Its own flush hands the bytes to the disk and leaves them in the disk's
    /// cache (`sync_file_range`), where a power cut finds them.
    file: std::sync::Arc<File>,
    pub(super) facts: sled::Tree,
    pub(super) slots: sled::Tree,
    pub(super) outbox: sled::Tree,
}

impl Trees {
    /// Opens the files here, reads them through, and says whether they are new.
    pub(super) fn open(path: &Path) -> Result<(Self, bool), Trouble> {
        // sled panics on some damage.
        let opened = catch_unwind(AssertUnwindSafe(|| Self::open_files(path)));
        let trees = opened.unwrap_or_else(|_| Err(Trouble::Damaged("sled panicked".into())))?;
        trees.read_through().map_err(|err| Trouble::of(err, path))?;
        let layout = trees.facts.get(KEY_LAYOUT);
        let layout = layout.map_err(|err| Trouble::of(err, path))?;
        match layout.and_then(|value| read::<u32>(&value)) {
            Some(LAYOUT) => Ok((trees, false)),
            Some(found) if found > LAYOUT => Err(Trouble::Fatal(StateError::Newer {
                path: path.into(),
                found,
            })),
            _ if trees.facts.is_empty() => Ok((trees, true)),
            _ => Err(Trouble::Damaged("its layout cannot be read".into())),
        }
    }

    /// Opens the files here, whatever is in them.
    pub(super) fn open_files(path: &Path) -> Result<Self, Trouble> {
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
            file: std::sync::Arc::new(file),
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

    /// Writes everything that is in these into others.
    pub(super) fn copy_into(&self, fresh: &Self) -> sled::Result<()> {
        for (from, to) in [
            (&self.slots, &fresh.slots),
            (&self.outbox, &fresh.outbox),
            (&self.facts, &fresh.facts),
        ] {
            for entry in from {
                let (key, value) = entry?;
                to.insert(key, value)?;
            }
        }
        fresh.flush()
    }

    /// When this returns, everything written before is on disk.
    pub(super) fn flush(&self) -> sled::Result<()> {
        self.db.flush()?;
        Ok(self.file.sync_data()?)
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
pub(super) enum Trouble {
    /// Only a person can help.
    Fatal(StateError),
    /// It cannot be read; a fresh one can take its place.
    Damaged(String),
}

impl Trouble {
    pub(super) fn of(err: sled::Error, path: &Path) -> Self {
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
                Self::Fatal(StateError::io("opening", path, err))
            }
            err => Self::Damaged(err.to_string()),
        }
    }

    pub(super) fn fatal(self, path: &Path) -> StateError {
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

fn io<T>(doing: &'static str, path: &Path, result: io::Result<T>) -> Result<T, StateError> {
    result.map_err(|err| StateError::io(doing, path, err))
}
