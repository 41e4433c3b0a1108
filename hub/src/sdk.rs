//! The Python package `tern` of `sdk/python`, as a wheel that `pip` installs: what speaks to a hub comes from that hub, so
//! that both have the same API.
//!
//! Called by `api/sdk.rs`. Must never break: the wheel has every file of the package and nothing else, and is the same
//! bytes from start to start, so that pip's caches and locks hold.

use std::{fmt::Write as _, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use flate2::Crc;
use tern_protocol::digest::Digest;

/// Names the package among others; `tern` is somebody else's.
const NAME: &str = "tern_sdk";

const VERSION: &str = env!("CARGO_PKG_VERSION");

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        [$((
            concat!("tern/", $path),
            include_bytes!(concat!("../../sdk/python/src/tern/", $path)).as_slice(),
        )),*]
    };
}

/// The package's files, in the order of their names.
const FILES: &[(&str, &[u8])] = &files![
    "__init__.py",
    "_caller.py",
    "_cbor.py",
    "_http.py",
    "_session.py",
    "_signals.py",
    "api/__init__.py",
    "api/calls.py",
    "api/types.py",
    "captures.py",
    "dataset.py",
    "datasets.py",
    "errors.py",
    "hub.py",
    "jobs.py",
    "labels.py",
    "models.py",
    "package.py",
    "proposals.py",
    "py.typed",
    "rollouts.py",
    "streams.py",
];

/// The wheel's file name, which pip reads name, version and tags from.
pub fn file_name() -> String {
    format!("{NAME}-{VERSION}-py3-none-any.whl")
}

/// The wheel (PEP 427): a ZIP of the package, what it is, and the digest of each file.
pub fn wheel() -> Bytes {
    static WHEEL: LazyLock<Bytes> = LazyLock::new(|| {
        let about = format!("{NAME}-{VERSION}.dist-info");
        let metadata = format!(
            "Metadata-Version: 2.1\nName: tern-sdk\nVersion: {VERSION}\nRequires-Python: >=3.10\n\
             Summary: Publish, roll out, capture and label with Tern, from Python\n\
             License: MIT OR Apache-2.0\nProvides-Extra: data\nRequires-Dist: numpy; extra == \"data\"\n\
             Requires-Dist: pandas; extra == \"data\"\nRequires-Dist: pyarrow; extra == \"data\"\n"
        );
        let tags = format!(
            "Wheel-Version: 1.0\nGenerator: tern-hub {VERSION}\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        );
        let mut files: Vec<(String, &[u8])> = FILES
            .iter()
            .map(|(path, content)| ((*path).to_owned(), *content))
            .collect();
        files.push((format!("{about}/METADATA"), metadata.as_bytes()));
        files.push((format!("{about}/WHEEL"), tags.as_bytes()));
        let mut record = String::new();
        for (path, content) in &files {
            let digest = URL_SAFE_NO_PAD.encode(Digest::of(content).as_bytes());
            writeln!(record, "{path},sha256={digest},{}", content.len())
                .expect("a String takes everything");
        }
        let own = format!("{about}/RECORD");
        writeln!(record, "{own},,").expect("a String takes everything");
        files.push((own, record.as_bytes()));
        zip(&files).into()
    });
    WHEEL.clone()
}

/// A ZIP of files as they are: they are few and small, and what is not compressed needs no compressor.
fn zip(files: &[(String, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (path, content) in files {
        let mut crc = Crc::new();
        crc.update(content);
        let at = out.len() as u32;
        let facts = facts(path, content, crc.sum());
        out.extend(b"PK\x03\x04");
        out.extend(&facts);
        out.extend(path.as_bytes());
        out.extend(*content);
        // Made on Unix (3) by version 2.0; no comment, first disk, no internal attributes; -rw-r--r-- outside.
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&facts);
        directory.extend([0; 6]);
        directory.extend((0o100_644_u32 << 16).to_le_bytes());
        directory.extend(at.to_le_bytes());
        directory.extend(path.as_bytes());
    }
    let begin = out.len() as u32;
    let count = (files.len() as u16).to_le_bytes();
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.iter().chain(&count));
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(begin.to_le_bytes());
    out.extend([0; 2]);
    out
}

/// What a file's header and its entry in the directory have in common. In the directory a comment's length, a disk and
/// attributes follow, which are all nothing.
fn facts(path: &str, content: &[u8], crc: u32) -> Vec<u8> {
    let len = (content.len() as u32).to_le_bytes();
    let mut facts = Vec::new();
    // Version 2.0 unpacks it; names are UTF-8; stored; at the first moment that a ZIP knows, 1 January 1980.
    for number in [20_u16, 0x0800, 0, 0, 0x0021] {
        facts.extend(number.to_le_bytes());
    }
    facts.extend(crc.to_le_bytes());
    facts.extend(len.iter().chain(&len));
    facts.extend((path.len() as u16).to_le_bytes());
    facts.extend([0; 2]);
    facts
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn in_the_tree(dir: &Path, below: &str, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            let path = format!("{below}/{name}");
            if entry.file_type().unwrap().is_dir() {
                if name != "__pycache__" {
                    in_the_tree(&entry.path(), &path, found);
                }
            } else {
                found.insert(path);
            }
        }
    }

    #[test]
    fn the_wheel_has_every_file_of_the_package() {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/python");
        let mut there = BTreeSet::new();
        in_the_tree(&sdk.join("src/tern"), "tern", &mut there);
        let ours: Vec<&str> = FILES.iter().map(|(path, _)| *path).collect();
        assert_eq!(ours, there.iter().map(String::as_str).collect::<Vec<_>>());
        let project = fs::read_to_string(sdk.join("pyproject.toml")).unwrap();
        assert!(project.contains(&format!("version = \"{VERSION}\"")));
    }
}
