//! Makes a backup.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tar::{Builder, EntryType, Header};
use tern_protocol::{digest::Hasher, time::WallTime};

use super::{AUTHORITIES, BLOBS, FACTS, Facts, Made, VERSION, error::BackupError, place, seal};
use crate::{
    access::{
        audit::{self, Deed},
        authority::CaDir,
    },
    blobs::claims::DAMAGED,
    clock::Clock,
    config::BackupArgs,
    data_dir,
    file_error::{FileError, io_error},
    serve::acme,
    store::{self, Place, Store},
};

/// Held by whoever makes a backup of a data directory.
const LOCK: &str = "backup.lock";

/// The copy of the database while a backup is made, in the data directory: it may be too large for
/// where temporary files are.
const SNAPSHOT: &str = "backup.sqlite";

/// Between two words on how far it is.
const SAID: Duration = Duration::from_secs(5);

/// Bytes gathered before they are written.
const BUFFER: usize = 1024 * 1024;

/// Makes it; what to print.
pub async fn make(args: BackupArgs) -> Result<String, BackupError> {
    let data = args.data.clone();
    data_dir::used(&data)?;
    // A server has its own tools, which know how to read it while it is written.
    Place::in_dir(&data).check().map_err(BackupError::Server)?;
    let to_file = args.out != Path::new("-");
    if to_file && args.out.exists() {
        return Err(BackupError::Exists(args.out));
    }
    let clock = Clock::system();
    let snapshot = Snapshot::take(&data, &clock).await?;
    let (json, out) = (args.json, args.out.clone());
    let made = tokio::task::spawn_blocking(move || {
        if to_file {
            to(&args, &snapshot)
        } else {
            let (made, stdout) = write(&args, &snapshot, io::stdout().lock())?;
            drop(stdout);
            Ok(made)
        }
    });
    let made = made.await.map_err(io::Error::other);
    let made = made.map_err(io_error("writing", &out))??;
    let deed = Deed::new("hub.backup", format!("backup {}", made.sha256)).after(&made);
    audit::beside(Place::in_dir(&data), &clock, deed).await;
    let said = if json {
        serde_json::to_string_pretty(&made).expect("it is JSON") + "\n"
    } else {
        format!(
            "{}: {} bytes, {} blobs\nSHA-256 {}\n",
            out.display(),
            made.bytes,
            made.blobs,
            made.sha256
        )
    };
    if to_file {
        return Ok(said);
    }
    // Stdout is the backup. Who does not hear it has the backup nevertheless.
    let _ = io::stderr().write_all(said.as_bytes());
    Ok(String::new())
}

/// A copy of the database, while it is needed.
struct Snapshot {
    path: PathBuf,
    at: WallTime,
    // Let go of last.
    _lock: File,
}

impl Snapshot {
    async fn take(data: &Path, clock: &Clock) -> Result<Self, BackupError> {
        let lock_path = data.join(LOCK);
        let mut private = OpenOptions::new();
        private.write(true).create(true).truncate(false).mode(0o600);
        let lock = private.open(&lock_path);
        let lock = lock.map_err(io_error("opening", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BackupError::Busy(data.to_owned())),
            Err(TryLockError::Error(err)) => {
                return Err(io_error("locking", &lock_path)(err).into());
            }
        }
        let path = data.join(SNAPSHOT);
        // Left by one that was killed.
        removed(&path)?;
        // An empty file is a place to copy to, and only its owner reads this one.
        private.open(&path).map_err(io_error("making", &path))?;
        let snapshot = Self {
            path,
            at: clock.now(),
            _lock: lock,
        };
        Store::snapshot(data, &snapshot.path).await?;
        Ok(snapshot)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if let Err(err) = removed(&self.path) {
            tracing::warn!(error = store::chain(&err), "a copy of the database is left");
        }
    }
}

fn removed(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(io_error("removing", path)(err)),
        _ => Ok(()),
    }
}

/// To a file: whole and on the disk, or not there.
fn to(args: &BackupArgs, snapshot: &Snapshot) -> Result<Made, BackupError> {
    let staged = place::ending(&args.out, ".partial");
    removed(&staged)?;
    let mut private = OpenOptions::new();
    private.write(true).create_new(true).mode(0o600);
    let file = private.open(&staged);
    let file = file.map_err(io_error("making", &staged))?;
    let written = write(args, snapshot, file).and_then(|(made, file)| {
        file.sync_all().map_err(io_error("writing", &staged))?;
        if args.out.exists() {
            return Err(BackupError::Exists(args.out.clone()));
        }
        fs::rename(&staged, &args.out).map_err(io_error("renaming to", &args.out))?;
        place::synced_around(&args.out)?;
        Ok(made)
    });
    if written.is_err() {
        removed(&staged)?;
    }
    written
}

/// Writes all of it; what it is, and where it was written.
fn write<W: Write>(
    args: &BackupArgs,
    snapshot: &Snapshot,
    out: W,
) -> Result<(Made, W), BackupError> {
    let writing = || io_error("writing", &args.out);
    let counted = Counted {
        out,
        bytes: 0,
        hasher: Hasher::new(),
    };
    let passphrase = args.passphrase_file.as_deref();
    let sealed = BufWriter::with_capacity(BUFFER, counted);
    let sealed = seal::sealed(sealed, &args.recipients, passphrase)?;
    let mut archive = Archive {
        tar: Builder::new(sealed),
        at: snapshot.at,
        out: &args.out,
        blobs: 0,
        said: Instant::now(),
    };
    let facts = Facts {
        version: VERSION,
        tern: env!("CARGO_PKG_VERSION").into(),
        at: snapshot.at,
    };
    let facts = serde_json::to_vec(&facts).expect("facts are JSON");
    archive.bytes(Path::new(FACTS), &facts)?;
    let database_bytes = archive.file(Path::new(store::FILE), &snapshot.path)?;
    for (name, bytes) in CaDir::within(&args.data)?.files()? {
        archive.bytes(&Path::new(AUTHORITIES).join(name), &bytes)?;
    }
    archive.directory(Path::new(acme::DIR), &args.data.join(acme::DIR))?;
    // After the database: a blob is there before a row names it.
    archive.directory(Path::new(BLOBS), &args.data.join(BLOBS))?;
    let blobs = archive.blobs;
    let sealed = archive.tar.into_inner().map_err(writing())?;
    let buffered = sealed.finish().map_err(writing())?;
    let flushed = buffered
        .into_inner()
        .map_err(io::IntoInnerError::into_error);
    let Counted { out, bytes, hasher } = flushed.map_err(writing())?;
    let made = Made {
        at: snapshot.at,
        bytes,
        sha256: hasher.finish(),
        database_bytes,
        blobs,
    };
    Ok((made, out))
}

/// The archive, as far as it is written.
struct Archive<'a, W: Write> {
    tar: Builder<W>,
    at: WallTime,
    out: &'a Path,
    blobs: u64,
    said: Instant,
}

impl<W: Write> Archive<'_, W> {
    fn entry(&mut self, name: &Path, bytes: u64, from: impl Read) -> Result<(), FileError> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(bytes);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(self.at.0 / 1000).unwrap_or(0));
        let added = self.tar.append_data(&mut header, name, from);
        added.map_err(io_error("writing", self.out))
    }

    fn bytes(&mut self, name: &Path, bytes: &[u8]) -> Result<(), FileError> {
        self.entry(name, bytes.len() as u64, bytes)
    }

    /// A file that does not change any more; its size.
    fn file(&mut self, name: &Path, path: &Path) -> Result<u64, FileError> {
        let file = File::open(path).map_err(io_error("opening", path))?;
        let facts = file.metadata().map_err(io_error("reading", path))?;
        self.entry(name, facts.len(), file.take(facts.len()))?;
        Ok(facts.len())
    }

    /// All files of a directory, if it is there.
    fn directory(&mut self, name: &Path, path: &Path) -> Result<(), FileError> {
        let entries = match fs::read_dir(path) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(io_error("reading", path))?,
        };
        for entry in entries {
            let entry = entry.map_err(io_error("reading", path))?;
            let (name, path) = (name.join(entry.file_name()), entry.path());
            let kind = entry.file_type().map_err(io_error("reading", &path))?;
            if name == Path::new(BLOBS).join(DAMAGED) {
                // What serves nobody is nothing to come back to.
                continue;
            }
            if kind.is_dir() {
                self.directory(&name, &path)?;
            } else if kind.is_file() && !crate::blobs::is_staged(&entry.file_name()) {
                let blob = name.starts_with(BLOBS);
                match self.file(&name, &path) {
                    // Garbage that was collected since it was listed: no row of the copy names it.
                    Err(FileError { source, .. })
                        if blob && source.kind() == io::ErrorKind::NotFound => {}
                    added => {
                        added?;
                        self.blobs += u64::from(blob);
                        self.say();
                    }
                }
            }
        }
        Ok(())
    }

    /// Says how far it is, now and then.
    fn say(&mut self) {
        if self.said.elapsed() > SAID {
            self.said = Instant::now();
            tracing::info!(blobs = self.blobs, "backing up");
        }
    }
}

/// Counts and digests what is written.
struct Counted<W> {
    out: W,
    bytes: u64,
    hasher: Hasher,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
