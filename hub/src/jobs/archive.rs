//! Projects that people upload: a `tar.gz`, looked at before it is taken and unpacked before an attempt begins.
//!
//! Must never break: nothing is written outside of the directory that it is unpacked into, and no more than the bounds,
//! whatever the archive says of itself. Links are left out: they are how archives write elsewhere.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

/// Bytes of an archive. It holds code; what is larger is data.
pub(super) const PACKED: u64 = 64 * 1024 * 1024;

/// Files and directories in it.
const ENTRIES: usize = 100_000;

/// Bytes of all files in it: as much as a project that is copied may have.
const UNPACKED: u64 = 4 * 1024 * 1024 * 1024;

/// Directories above a file.
const DEPTH: usize = 64;

/// Bytes of a file that is read for what stands in it.
const READ: u64 = 256 * 1024;

/// Bytes of all files that are.
const ALL_READ: u64 = 32 * 1024 * 1024;

/// Bytes of what comes before a file: its name and the like, which are held in memory whole.
const HEAD: u64 = 1024 * 1024;

/// Why an archive is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    /// It is no archive, or a disk failed.
    #[error("reading the archive, which has to be a tar.gz: {0}")]
    Read(#[source] io::Error),
    /// It could not be written.
    #[error("unpacking {path}: {source}")]
    Write {
        /// What.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is too large.
    #[error("it holds more than {ENTRIES} files, or more than {} GiB; what is data belongs into `dataset`", UNPACKED >> 30)]
    TooLarge,
    /// It has a name that leads elsewhere.
    #[error("the name `{0}` in it leads out of the project, or is none")]
    Name(String),
}

/// What becomes of the files of an archive.
trait Visit {
    fn dir(&mut self, path: &Path) -> Result<(), ArchiveError>;
    /// How many of its bytes were read.
    fn file(
        &mut self,
        path: &Path,
        executable: bool,
        bytes: &mut dyn Read,
    ) -> Result<u64, ArchiveError>;
}

/// Reads so many bytes and no more.
struct Metered<'a, R> {
    from: R,
    left: &'a Cell<u64>,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::Error::other("a name in it is longer than names are"));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
        let read = self.from.read(&mut into[..most])?;
        self.left.set(left - read as u64);
        Ok(read)
    }
}

fn walk(archive: &[u8], visit: &mut dyn Visit) -> Result<(), ArchiveError> {
    let metered = Cell::new(HEAD);
    let mut tar = Archive::new(Metered {
        from: MultiGzDecoder::new(archive),
        left: &metered,
    });
    let (mut entries, mut left) = (0, UNPACKED);
    let mut all = tar.entries().map_err(ArchiveError::Read)?;
    loop {
        metered.set(HEAD);
        let Some(entry) = all.next() else {
            return Ok(());
        };
        let mut entry = entry.map_err(ArchiveError::Read)?;
        // What follows is bounded by what all files may have.
        metered.set(u64::MAX);
        entries += 1;
        if entries > ENTRIES {
            return Err(ArchiveError::TooLarge);
        }
        // What the header says may be wrong: what comes counts.
        if entry.size() > left {
            return Err(ArchiveError::TooLarge);
        }
        let kind = entry.header().entry_type();
        let is_file = matches!(kind, EntryType::Regular | EntryType::Continuous);
        let mut read = 0;
        if is_file || kind == EntryType::Directory {
            let path = inside(&entry.path().map_err(ArchiveError::Read)?)?;
            let executable = entry.header().mode().unwrap_or(0) & 0o100 != 0;
            if !is_file {
                visit.dir(&path)?;
            } else if path.as_os_str().is_empty() {
                return Err(ArchiveError::Name(String::new()));
            } else {
                read = visit.file(&path, executable, &mut (&mut entry).take(left))?;
            }
        }
        // Whatever else there is of it, of links say, which are left out.
        read += io::copy(&mut entry, &mut io::sink()).map_err(ArchiveError::Read)?;
        left = left.saturating_sub(read);
    }
}

/// A path that stays inside; empty for the project itself.
fn inside(path: &Path) -> Result<PathBuf, ArchiveError> {
    let wrong = || ArchiveError::Name(path.display().to_string().chars().take(200).collect());
    let mut clean = PathBuf::new();
    for (depth, part) in path.components().enumerate() {
        match part {
            Component::Normal(name) if depth < DEPTH => clean.push(name),
            Component::CurDir => {}
            _ => return Err(wrong()),
        }
    }
    Ok(clean)
}

/// Unpacks it into a directory that is empty.
pub(super) fn unpack(archive: &[u8], into: &Path) -> Result<(), ArchiveError> {
    struct Unpack<'a>(&'a Path);
    impl Visit for Unpack<'_> {
        fn dir(&mut self, path: &Path) -> Result<(), ArchiveError> {
            let path = self.0.join(path);
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(|source| ArchiveError::Write { path, source })
        }
        fn file(
            &mut self,
            path: &Path,
            executable: bool,
            bytes: &mut dyn Read,
        ) -> Result<u64, ArchiveError> {
            if let Some(parent) = path.parent() {
                self.dir(parent)?;
            }
            let path = self.0.join(path);
            let mode = if executable { 0o700 } else { 0o600 };
            // A name that is there twice counts as its last, as with tar.
            let _ = fs::remove_file(&path);
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(mode);
            let copied = options
                .open(&path)
                .and_then(|mut file| io::copy(bytes, &mut file));
            copied.map_err(|source| ArchiveError::Write { path, source })
        }
    }
    let mut unpack = Unpack(into);
    unpack.dir(Path::new(""))?;
    walk(archive, &mut unpack)
}

/// The texts of some files in it, by name, after a look at all of it. Files that are longer than anybody writes by hand
/// are not among them.
pub(super) fn texts(archive: &[u8]) -> Result<BTreeMap<String, String>, ArchiveError> {
    struct Texts {
        all: BTreeMap<String, String>,
        left: u64,
    }
    impl Visit for Texts {
        fn dir(&mut self, _: &Path) -> Result<(), ArchiveError> {
            Ok(())
        }
        fn file(
            &mut self,
            path: &Path,
            _: bool,
            bytes: &mut dyn Read,
        ) -> Result<u64, ArchiveError> {
            // Those that an MLproject may name: beside it, or one below.
            let near = path.components().count() <= 2 && self.left > READ;
            if !near {
                return Ok(0);
            }
            let mut start = Vec::new();
            let read = bytes.take(READ + 1).read_to_end(&mut start);
            let read = read.map_err(ArchiveError::Read)? as u64;
            if read <= READ
                && let (Some(name), Ok(text)) = (path.to_str(), String::from_utf8(start))
            {
                self.left -= read;
                self.all.insert(name.to_owned(), text);
            }
            Ok(read)
        }
    }
    let mut texts = Texts {
        all: BTreeMap::new(),
        left: ALL_READ,
    };
    walk(archive, &mut texts)?;
    Ok(texts.all)
}

/// The text of a file of a project on this machine.
pub(super) fn text_in(project: &Path, name: &str) -> Option<String> {
    let path = inside(Path::new(name)).ok()?;
    let file = fs::File::open(project.join(path)).ok()?;
    let mut text = String::new();
    let read = file.take(READ + 1).read_to_string(&mut text).ok()?;
    (read as u64 <= READ).then_some(text)
}

#[cfg(test)]
pub(super) mod tests {
    use flate2::{Compression, write::GzEncoder};
    use tar::{Builder, Header};

    use super::*;

    /// An archive of these entries: name, kind, text or where a link leads.
    pub(in crate::jobs) fn packed(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, kind, text) in entries {
            let mut header = Header::new_gnu();
            // As a hostile sender writes it, past what the library allows.
            let place = &mut header.as_old_mut().name;
            place[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            let is_file = *kind == EntryType::Regular;
            header.set_size(if is_file { text.len() as u64 } else { 0 });
            if kind.is_symlink() || kind.is_hard_link() {
                header.set_link_name(text).unwrap();
            }
            header.set_cksum();
            let bytes: &[u8] = if is_file { text.as_bytes() } else { &[] };
            tar.append(&header, bytes).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn files_come_out_as_they_went_in() {
        let archive = packed(&[
            ("./", EntryType::Directory, ""),
            ("./src/", EntryType::Directory, ""),
            ("./src/train.py", EntryType::Regular, "print(1)"),
            ("MLproject", EntryType::Regular, "name: x"),
        ]);
        let dir = tempfile::tempdir().unwrap();
        unpack(&archive, &dir.path().join("p")).unwrap();
        let text = fs::read_to_string(dir.path().join("p/src/train.py")).unwrap();
        assert_eq!(text, "print(1)");
        assert_eq!(texts(&archive).unwrap()["MLproject"], "name: x");
    }

    #[test]
    fn nothing_is_written_elsewhere() {
        for name in ["../x", "/tmp/x", "a/../../x", ".."] {
            let archive = packed(&[(name, EntryType::Regular, "x")]);
            let dir = tempfile::tempdir().unwrap();
            let into = dir.path().join("p");
            assert!(
                matches!(unpack(&archive, &into), Err(ArchiveError::Name(_))),
                "{name}"
            );
            assert!(matches!(texts(&archive), Err(ArchiveError::Name(_))));
            assert!(!dir.path().join("x").exists(), "{name}");
        }
        // A link out and a file through it.
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        fs::create_dir(&out).unwrap();
        let archive = packed(&[
            ("way", EntryType::Symlink, out.to_str().unwrap()),
            ("way/x", EntryType::Regular, "x"),
        ]);
        unpack(&archive, &dir.path().join("p")).unwrap();
        assert!(!out.join("x").exists());
        assert!(dir.path().join("p/way/x").is_file());
    }

    #[test]
    fn a_name_without_an_end_is_not_held_in_memory() {
        for kind in [EntryType::GNULongName, EntryType::XHeader] {
            let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(8 * HEAD);
            header.set_cksum();
            tar.append(&header, io::repeat(b'x').take(8 * HEAD))
                .unwrap();
            let archive = tar.into_inner().unwrap().finish().unwrap();
            let refused = texts(&archive);
            assert!(matches!(refused, Err(ArchiveError::Read(_))), "{kind:?}");
        }
        // What is left out counts all the same.
        let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Char);
        header.set_size(UNPACKED + 1);
        header.set_cksum();
        tar.append(&header, io::empty()).unwrap();
        let archive = tar.into_inner().unwrap().finish().unwrap();
        assert!(matches!(texts(&archive), Err(ArchiveError::TooLarge)));
        // Names longer than a header holds are usual.
        let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        let mut header = Header::new_gnu();
        header.set_size(1);
        let name = format!("src/{}", "n".repeat(150));
        tar.append_data(&mut header, &name, &b"x"[..]).unwrap();
        let archive = tar.into_inner().unwrap().finish().unwrap();
        assert_eq!(texts(&archive).unwrap()[&name], "x");
    }

    #[test]
    fn what_is_no_archive_is_said_so() {
        let dir = tempfile::tempdir().unwrap();
        for bytes in [&b"PK\x03\x04"[..], &[0x1f, 0x8b, 8, 0], b"hello"] {
            let refused = unpack(bytes, &dir.path().join("p"));
            assert!(matches!(refused, Err(ArchiveError::Read(_))), "{bytes:?}");
        }
        // Cut off in the middle.
        let archive = packed(&[("a", EntryType::Regular, &"x".repeat(5000))]);
        assert!(texts(&archive[..archive.len() / 2]).is_err());
    }
}
