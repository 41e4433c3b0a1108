//! A copy of the identity beside it: the key is made once, and a byte that a disk changes must not cost it.
//!
//! The copy has its checksum in front. The identity is written once, so one that differs from a copy whose
//! checksum holds is damaged, also if it can still be read.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tern_protocol::digest::Digest;

use super::{FILE_MAX, IdentityError, write_bytes};

/// Bytes in front of the copy: the checksum as text, and a line's end.
const SUM: usize = 65;

/// Makes the copy of the identity at `path`.
pub(super) fn keep(path: &Path) -> Result<(), IdentityError> {
    let Some(bytes) = bytes(path)? else {
        return Ok(());
    };
    let beside = beside(path, "copy");
    let sealed = [format!("{}\n", Digest::of(&bytes)).as_bytes(), &bytes].concat();
    write_bytes(&beside, &sealed, |temporary| fs::rename(temporary, &beside))
}

/// Puts a damaged identity right from its copy, and makes the copy if there is none that holds. An identity
/// that is not there stays so: somebody took it away.
pub(super) fn mend(path: &Path) -> Result<(), IdentityError> {
    let Some(first) = bytes(path)? else {
        return Ok(());
    };
    let copy = bytes(&beside(path, "copy"))?;
    let Some(whole) = copy.as_deref().and_then(opened) else {
        if super::read::<super::Identity>(path).is_ok()
            && let Err(err) = keep(path)
        {
            // It is needed only if the identity is damaged one day.
            tracing::warn!("the identity has no copy: {err}");
        }
        return Ok(());
    };
    if whole == first {
        return Ok(());
    }
    let aside = beside(path, "damaged.json");
    tracing::error!(
        file = %path.display(), aside = %aside.display(),
        "the identity is damaged: it is put aside and taken from its copy"
    );
    // Copied, not moved: without a file the device would not have joined. Its permissions go with it.
    if let Err(err) = fs::copy(path, &aside) {
        tracing::warn!("the damaged identity is not kept: {err}");
    }
    write_bytes(path, whole, |temporary| fs::rename(temporary, path))
}

/// The identity in a copy whose checksum holds.
fn opened(copy: &[u8]) -> Option<&[u8]> {
    let (sum, whole) = copy.split_at_checked(SUM)?;
    let sum = std::str::from_utf8(sum).ok()?.strip_suffix('\n')?;
    (sum.parse() == Ok(Digest::of(whole))).then_some(whole)
}

/// The bytes of a file, if it is there.
fn bytes(path: &Path) -> Result<Option<Vec<u8>>, IdentityError> {
    match fs::metadata(path) {
        // What reads it says so.
        Ok(facts) if facts.len() > FILE_MAX + SUM as u64 => return Ok(None),
        Ok(_) => {}
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(failed(path, err)),
    }
    fs::read(path).map(Some).map_err(|err| failed(path, err))
}

fn failed(path: &Path, err: io::Error) -> IdentityError {
    IdentityError::Io {
        path: path.into(),
        err,
    }
}

fn beside(path: &Path, what: &str) -> PathBuf {
    path.with_extension(what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::file::{Identity, tests::identity};

    #[test]
    fn no_changed_byte_costs_the_identity() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("identity.json");
        let first = identity();
        first.create(&path).expect("it can be written");
        let (whole, copy) = (
            fs::read(&path).expect("it is there"),
            fs::read(beside(&path, "copy")).expect("it is there"),
        );
        let key = || {
            let read = Identity::load(&path).expect("it reads").expect("it is");
            read.key_pem().to_owned()
        };
        for at in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
            let mut bad = whole.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).expect("it can be written");
            assert_eq!(key(), first.key_pem(), "byte {at}");
            assert_eq!(fs::read(&path).expect("it is there"), whole);
            let aside = fs::read(beside(&path, "damaged.json"));
            assert_eq!(aside.expect("it is put aside"), bad);
        }
        for at in (0..copy.len()).step_by(97) {
            let mut bad = copy.clone();
            bad[at] ^= 1;
            fs::write(beside(&path, "copy"), &bad).expect("it can be written");
            assert_eq!(key(), first.key_pem(), "byte {at} of the copy");
            assert_eq!(fs::read(beside(&path, "copy")).expect("it is there"), copy);
        }
    }

    #[test]
    fn an_identity_that_was_taken_away_stays_away() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("identity.json");
        identity().create(&path).expect("it can be written");
        fs::remove_file(&path).expect("it goes");
        assert!(Identity::load(&path).expect("absent is fine").is_none());
        let other = identity();
        other.create(&path).expect("it can be written");
        let read = Identity::load(&path).expect("it reads").expect("it is");
        assert_eq!(read.key_pem(), other.key_pem());
    }
}
