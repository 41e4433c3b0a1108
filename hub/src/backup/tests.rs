//! What is opened, and what is not.

use std::{
    io::{self, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
};

use age::{secrecy::ExposeSecret as _, x25519};
use tar::{Builder, EntryType, Header};

use super::{BackupError, FACTS, restore::unpack_all, seal};

const GOOD: &str = r#"{"version":1,"tern":"0.1.0","at":1}"#;

/// An archive of these entries, whatever their names are.
fn archive(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, kind, text) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(text.len() as u64);
        // The crate itself would not write all of them.
        let place = &mut header.as_gnu_mut().expect("it was made so").name;
        place[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder
            .append(&header, text.as_bytes())
            .expect("it is memory");
    }
    builder.into_inner().expect("it is memory")
}

/// Why nothing was restored of them; nothing may be outside the directory.
#[track_caller]
fn refused(entries: &[(&str, EntryType, &str)]) -> String {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let inner = dir.path().join("inner");
    std::fs::create_dir(&inner).expect("a directory");
    let read = unpack_all(&archive(entries)[..], Path::new("a backup"), &inner);
    let around = std::fs::read_dir(dir.path()).expect("it is there").count();
    assert_eq!(around, 1, "{entries:?}");
    read.expect_err("it is refused").to_string()
}

#[test]
fn only_what_a_backup_has_is_written() {
    use EntryType::{Char, Directory, Link, Regular, Symlink};
    let (facts, database) = ((FACTS, Regular, GOOD), ("tern.sqlite", Regular, "rows"));
    for (name, kind) in [
        ("../tern.sqlite", Regular),
        ("ca/../../key", Regular),
        ("/etc/passwd", Regular),
        ("ca", Regular),
        ("blobs", Directory),
        ("hub.lock", Regular),
        ("setup-link", Regular),
        ("ca/a.key", Symlink),
        ("ca/a.key", Link),
        ("ca/a.key", Char),
        ("tern.sqlite/x", Regular),
        // Twice.
        ("tern.sqlite", Regular),
    ] {
        let said = refused(&[facts, database, (name, kind, "")]);
        assert!(
            said.contains("has an entry") || said.contains("making"),
            "{name}: {said}"
        );
    }
    assert!(refused(&[facts]).contains("no database"));
    assert!(refused(&[]).contains("no database"));
    assert!(refused(&[database]).contains("does not begin"));
    assert!(refused(&[(FACTS, Regular, "{")]).contains("does not begin"));
    let newer = r#"{"version":2,"tern":"9.0.0","more":true}"#;
    let said = refused(&[(FACTS, Regular, newer), database]);
    assert!(said.contains("9.0.0"), "{said}");

    let dir = tempfile::tempdir().expect("a temporary directory");
    let good = archive(&[facts, database, ("ca/a.key", Regular, "key")]);
    let restored = unpack_all(&good[..], Path::new("a backup"), dir.path());
    let restored = restored.expect("it is one");
    assert_eq!((restored.files, restored.bytes), (2, 7));
}

/// A key, sealed for it, and the file that has it.
fn sealed(dir: &Path) -> (Vec<u8>, PathBuf) {
    let key = x25519::Identity::generate();
    let file = dir.join("key.txt");
    std::fs::write(&file, key.to_string().expose_secret()).expect("it writes");
    let mut writer = seal::sealed(Vec::new(), &[key.to_public()], None).expect("it seals");
    writer.write_all(&vec![7; 200_000]).expect("it is memory");
    (writer.finish().expect("it is memory"), file)
}

fn open(bytes: &[u8], key: Option<&Path>, passphrase: Option<&Path>) -> Result<Vec<u8>, String> {
    let opened = seal::opened(BufReader::new(bytes), key, passphrase);
    let mut opened = opened.map_err(|err| err.to_string())?;
    let mut text = Vec::new();
    let read: io::Result<_> = opened.read_to_end(&mut text);
    read.map_err(|err| err.to_string())?;
    Ok(text)
}

#[test]
fn whoever_has_the_key_opens_it_whole_and_nobody_else() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (backup, key) = sealed(dir.path());
    assert_eq!(open(&backup, Some(&key), None), Ok(vec![7; 200_000]));
    let other = dir.path().join("other");
    std::fs::create_dir(&other).expect("a directory");
    let (_, other) = sealed(&other);
    let said = open(&backup, Some(&other), None).expect_err("another key");
    assert!(said.contains("cannot be opened"), "{said}");
    // Cut off, or changed in one bit.
    for cut in [10, 300, 70_000, backup.len() - 1] {
        open(&backup[..cut], Some(&key), None).expect_err("it is not whole");
    }
    let mut changed = backup.clone();
    changed[100_000] ^= 1;
    open(&changed, Some(&key), None).expect_err("it was changed");
    let file = dir.path().join("no-key");
    std::fs::write(&file, "AGE-SECRET-KEY-PLANTED").expect("it writes");
    let said = open(&backup, Some(&file), None).expect_err("it is none");
    assert!(
        said.contains("no secret key") && !said.contains("PLANTED"),
        "{said}"
    );
}

#[test]
fn a_passphrase_opens_it_and_a_short_one_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str, text: &str| {
        let file = dir.path().join(name);
        std::fs::write(&file, text).expect("it writes");
        file
    };
    let right = file("right", "correct horse battery\n");
    let mut writer = seal::sealed(Vec::new(), &[], Some(&right)).expect("it seals");
    writer.write_all(b"rows").expect("it is memory");
    let backup = writer.finish().expect("it is memory");
    assert_eq!(open(&backup, None, Some(&right)), Ok(b"rows".to_vec()));
    let wrong = file("wrong", "correct horse batteries");
    open(&backup, None, Some(&wrong)).expect_err("another one");
    let short = file("short", "planted\n");
    let refused = seal::sealed(Vec::new(), &[], Some(&short)).err();
    assert!(matches!(refused, Some(BackupError::Passphrase(12))));
}
