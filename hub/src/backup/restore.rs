//! Makes a data directory of a backup.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufRead, BufReader, Read},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
};

use tar::{Archive, Entry, EntryType};
use tern_protocol::time::WallTime;

use super::{AUTHORITIES, BLOBS, FACTS, Facts, Restored, VERSION, error::BackupError, place, seal};
use crate::{
    access::audit::{self, Deed},
    clock::Clock,
    config::RestoreArgs,
    file_error::{FileError, io_error},
    serve::acme,
    store::{self, Place, Store},
};

/// Longest text that a backup says of itself, in bytes.
const FACTS_MAX: u64 = 64 * 1024;

/// Restores it; what to print.
pub async fn restore(args: RestoreArgs) -> Result<String, BackupError> {
    let target = args.data.clone();
    if !is_free(&target)? {
        return Err(BackupError::Exists(target));
    }
    let staging = Staging::make(place::ending(&target, ".restoring"))?;
    let json = args.json;
    let dir = staging.0.clone();
    let unpacked = tokio::task::spawn_blocking(move || unpack(&args, &dir));
    let unpacked = unpacked.await.map_err(io::Error::other);
    let restored = unpacked.map_err(io_error("writing", &staging.0))??;
    // Brought up to this hub's shape; one of a newer hub is refused.
    let sound = Store::check(&staging.0).await?;
    sound.map_err(BackupError::Damaged)?;
    let deed = Deed::new("hub.restore", "hub").detail(format!("as of {}", moment(restored.at)));
    audit::beside(Place::in_dir(&staging.0), &Clock::system(), deed).await;
    staging.becomes(&target)?;
    Ok(if json {
        serde_json::to_string_pretty(&restored).expect("it is JSON") + "\n"
    } else {
        format!(
            "{}: {} files, {} bytes, as of {}\nWhat changed after that is not in it: revoke again what \
             was revoked since.\n",
            target.display(),
            restored.files,
            restored.bytes,
            moment(restored.at)
        )
    })
}

/// A moment for people, in UTC.
fn moment(at: WallTime) -> String {
    let moment = jiff::Timestamp::from_millisecond(at.0);
    moment.map_or_else(|_| format!("{} ms", at.0), |moment| moment.to_string())
}

/// Whether nothing is there.
fn is_free(dir: &Path) -> Result<bool, FileError> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(err) if err.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(err) => Err(io_error("reading", dir)(err)),
    }
}

/// A directory that is being filled; gone if it does not become what it should.
struct Staging(PathBuf);

impl Staging {
    fn make(path: PathBuf) -> Result<Self, BackupError> {
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {
                Err(BackupError::LeftOver(path))
            }
            made => {
                made.map_err(io_error("making", &path))?;
                Ok(Self(path))
            }
        }
    }

    fn becomes(self, target: &Path) -> Result<(), FileError> {
        place::synced(&self.0)?;
        fs::rename(&self.0, target).map_err(io_error("renaming to", target))?;
        place::synced_around(target)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        match fs::remove_dir_all(&self.0) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(error = store::chain(&err), "{} is left", self.0.display());
            }
            _ => {}
        }
    }
}

fn unpack(args: &RestoreArgs, dir: &Path) -> Result<Restored, BackupError> {
    let input: Box<dyn BufRead> = if args.backup == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(&args.backup);
        Box::new(BufReader::new(
            file.map_err(io_error("opening", &args.backup))?,
        ))
    };
    let (key, passphrase) = (args.key_file.as_deref(), args.passphrase_file.as_deref());
    unpack_all(seal::opened(input, key, passphrase)?, &args.backup, dir)
}

/// Writes what is in an archive below `dir`. `from` is for messages.
pub(super) fn unpack_all(
    archive: impl Read,
    from: &Path,
    dir: &Path,
) -> Result<Restored, BackupError> {
    let mut archive = Archive::new(archive);
    let entries = archive.entries().map_err(io_error("reading", from))?;
    let mut restored: Option<Restored> = None;
    let mut has_database = false;
    let mut directories = BTreeSet::new();
    for entry in entries {
        let mut entry = entry.map_err(io_error("reading", from))?;
        let name = name(&entry)?;
        let Some(restored) = &mut restored else {
            restored = Some(begun(&mut entry, &name, from)?);
            continue;
        };
        has_database |= name == Path::new(store::FILE);
        let path = dir.join(&name);
        if let Some(parent) = path.parent() {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(parent);
            made.map_err(io_error("making", parent))?;
            // Up to the top: each names the next.
            let inside = parent.ancestors().take_while(|it| *it != dir);
            directories.extend(inside.map(Path::to_owned));
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let mut file = file.map_err(io_error("making", &path))?;
        let bytes = io::copy(&mut entry, &mut file).map_err(io_error("writing", &path))?;
        file.sync_all().map_err(io_error("writing", &path))?;
        restored.files += 1;
        restored.bytes += bytes;
    }
    for directory in &directories {
        place::synced(directory)?;
    }
    match restored {
        Some(restored) if has_database => Ok(restored),
        _ => Err(BackupError::Foreign("it has no database".into())),
    }
}

/// What the first entry says.
fn begun<R: Read>(
    entry: &mut Entry<'_, R>,
    name: &Path,
    from: &Path,
) -> Result<Restored, BackupError> {
    let foreign = || BackupError::Foreign(format!("it does not begin with {FACTS}"));
    if name != Path::new(FACTS) {
        return Err(foreign());
    }
    let mut text = Vec::new();
    let read = entry.take(FACTS_MAX).read_to_end(&mut text);
    read.map_err(io_error("reading", from))?;
    // The version first: the rest may look different in another one.
    let facts: serde_json::Value = serde_json::from_slice(&text).map_err(|_| foreign())?;
    if facts["version"]
        .as_u64()
        .is_some_and(|it| it > VERSION.into())
    {
        let tern = facts["tern"].as_str().unwrap_or("of another version");
        return Err(BackupError::Newer(tern.chars().take(40).collect()));
    }
    let Facts { at, tern, .. } = serde_json::from_value(facts).map_err(|_| foreign())?;
    Ok(Restored {
        at,
        tern,
        files: 0,
        bytes: 0,
    })
}

/// Where an entry goes, if that is where a backup of ours has something.
fn name<R: Read>(entry: &Entry<'_, R>) -> Result<PathBuf, BackupError> {
    let path = entry
        .path()
        .map_err(io_error("reading", Path::new("a name")))?;
    let shown = || format!("it has an entry {:?}", path.display().to_string());
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(part),
            _ => return Err(BackupError::Foreign(shown())),
        }
    }
    let top = parts.first().and_then(|top| top.to_str());
    let is_known = match top {
        Some(FACTS | store::FILE) => parts.len() == 1,
        Some(AUTHORITIES | BLOBS | acme::DIR) => parts.len() > 1,
        _ => false,
    };
    if is_known && entry.header().entry_type() == EntryType::Regular {
        Ok(parts.iter().collect())
    } else {
        Err(BackupError::Foreign(shown()))
    }
}
