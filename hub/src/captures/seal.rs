//! Inputs encrypted at rest: AES-256-GCM with a key from a file, bound to whose input it is.
//!
//! What is sealed begins with [`MAGIC`], which no CBOR map begins with, so that rows from before there was a key are
//! read as they are. Then come the first bytes of the key's digest, a random nonce, and what was encrypted. Workspace,
//! device and prediction are authenticated with it: a row that is moved to another prediction does not open.
//!
//! Must never break: no key is in any text of ours; a nonce is never used twice with a key (random, so a key is good
//! for some billions of captures).

use std::{
    fmt, fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use tern_protocol::{
    digest::Digest,
    id::{DeviceId, PredictionId, WorkspaceId},
};

/// The part that is the input itself.
pub const INPUT: &str = "input";

/// The part that stands for it.
pub const SUMMARY: &str = "summary";

/// What sealed bytes begin with.
const MAGIC: &[u8] = b"TS1";

/// Bytes of a key's digest that name it.
const NAME: usize = 8;

/// Bytes of a key.
const KEY: usize = 32;

/// Bytes that sealed ones are longer than what was sealed: those above, and the tag.
pub const OVERHEAD: usize = MAGIC.len() + NAME + NONCE_LEN + 16;

/// What is read of a key's file at most.
const FILE: u64 = 1024;

/// A key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It is no key.
    #[error("{} is not a key: 32 bytes, or 64 hex digits in one line, as `openssl rand -hex 32` gives", .0.display())]
    Form(PathBuf),
    /// The same twice.
    #[error("{} has a key that was given before", .0.display())]
    Twice(PathBuf),
}

/// Nothing could be sealed: the system gives no randomness.
#[derive(Debug, thiserror::Error)]
#[error("an input cannot be encrypted")]
pub struct SealError;

/// Whose input something is, and which part of it.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    /// In which workspace.
    pub workspace: &'a WorkspaceId,
    /// Of which device.
    pub device: &'a DeviceId,
    /// Of which prediction.
    pub prediction: PredictionId,
    /// [`INPUT`] or [`SUMMARY`].
    pub part: &'static str,
}

impl Whose<'_> {
    fn bytes(&self) -> Vec<u8> {
        // None of the names has a line end in it.
        format!(
            "tern-capture-1\n{}\n{}\n{}\n{}",
            self.workspace, self.device, self.prediction, self.part
        )
        .into_bytes()
    }
}

/// What became of sealed bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// They are these.
    Bytes(Vec<u8>),
    /// The hub does not have the key.
    NoKey,
    /// The key does not open them: they are damaged, or somebody else's.
    Damaged,
}

struct Key {
    name: [u8; NAME],
    key: LessSafeKey,
}

/// The keys: the first encrypts, all decrypt. None: nothing is encrypted.
#[derive(Clone, Default)]
pub struct Keys(Arc<Vec<Key>>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

impl Keys {
    /// Reads them, the one that encrypts first.
    pub fn load(files: &[PathBuf]) -> Result<Self, KeyError> {
        let mut keys: Vec<Key> = Vec::with_capacity(files.len());
        for path in files {
            let key = key(&read(path)?);
            if keys.iter().any(|known| known.name == key.name) {
                return Err(KeyError::Twice(path.clone()));
            }
            keys.push(key);
        }
        Ok(Self(keys.into()))
    }

    #[cfg(test)]
    pub(crate) fn of(keys: &[[u8; KEY]]) -> Self {
        Self(Arc::new(keys.iter().map(key).collect()))
    }

    /// Whether there is a key that encrypts.
    pub fn encrypts(&self) -> bool {
        !self.0.is_empty()
    }

    /// What is stored of `bytes`: encrypted if there is a key.
    pub fn seal(&self, whose: &Whose<'_>, bytes: Vec<u8>) -> Result<Vec<u8>, SealError> {
        self.seal_bound(whose.bytes(), bytes)
    }

    /// As [`Self::seal`], of something else than an input: bound to what names it, which begins like nothing else that
    /// is sealed.
    pub fn seal_bound(&self, to: Vec<u8>, mut bytes: Vec<u8>) -> Result<Vec<u8>, SealError> {
        let Some(Key { name, key }) = self.0.first() else {
            return Ok(bytes);
        };
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| SealError)?;
        let used = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(used, Aad::from(to), &mut bytes)
            .map_err(|_| SealError)?;
        Ok([MAGIC, name, &nonce, &bytes].concat())
    }

    /// What was stored.
    pub fn open(&self, whose: &Whose<'_>, stored: Vec<u8>) -> Opened {
        self.open_bound(whose.bytes(), stored)
    }

    /// What [`Self::seal_bound`] stored.
    pub fn open_bound(&self, to: Vec<u8>, stored: Vec<u8>) -> Opened {
        if !is_sealed(&stored) {
            return Opened::Bytes(stored);
        }
        let rest = &stored[MAGIC.len()..];
        let Some((name, rest)) = rest.split_first_chunk::<NAME>() else {
            return Opened::Damaged;
        };
        let Some((nonce, sealed)) = rest.split_first_chunk::<NONCE_LEN>() else {
            return Opened::Damaged;
        };
        let Some(Key { key, .. }) = self.0.iter().find(|key| key.name == *name) else {
            return Opened::NoKey;
        };
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let mut bytes = sealed.to_vec();
        match key.open_in_place(nonce, Aad::from(to), &mut bytes) {
            Ok(opened) => Opened::Bytes(opened.to_vec()),
            Err(_) => Opened::Damaged,
        }
    }
}

/// Whether stored bytes are encrypted.
fn is_sealed(stored: &[u8]) -> bool {
    stored.starts_with(MAGIC)
}

fn key(bytes: &[u8; KEY]) -> Key {
    let digest = Digest::of(&[b"tern-capture-key-1".as_slice(), bytes].concat());
    let name = digest
        .as_bytes()
        .first_chunk()
        .expect("a digest has 32 bytes");
    let unbound = UnboundKey::new(&AES_256_GCM, bytes).expect("a key of 32 bytes is one");
    Key {
        name: *name,
        key: LessSafeKey::new(unbound),
    }
}

fn read(path: &Path) -> Result<[u8; KEY], KeyError> {
    let wrong = |source| KeyError::Read {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(wrong)?;
    file.take(FILE).read_to_end(&mut bytes).map_err(wrong)?;
    if let Ok(key) = bytes.as_slice().try_into() {
        return Ok(key);
    }
    // A digest is 64 hex digits as well.
    let text = std::str::from_utf8(&bytes)
        .ok()
        .map(|text| text.trim().to_ascii_lowercase());
    let parsed = text.and_then(|text| text.parse::<Digest>().ok());
    let parsed = parsed.ok_or_else(|| KeyError::Form(path.to_owned()))?;
    Ok(*parsed.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tern_protocol::id::BootId;

    use super::*;

    fn names(device: &str) -> (WorkspaceId, DeviceId) {
        let workspace = "default".parse().expect("a name");
        (workspace, device.parse().expect("a name"))
    }

    fn whose((workspace, device): &(WorkspaceId, DeviceId), number: u64) -> Whose<'_> {
        Whose {
            workspace,
            device,
            prediction: PredictionId {
                boot: BootId(3),
                number,
            },
            part: "input",
        }
    }

    #[test]
    fn the_first_key_encrypts_and_all_decrypt() {
        let (old, new) = (Keys::of(&[[1; 32]]), Keys::of(&[[2; 32], [1; 32]]));
        let of = names("meter");
        let whose = |number| whose(&of, number);
        let plain = b"\xa3 an input".to_vec();
        let by_old = old.seal(&whose(7), plain.clone()).expect("sealed");
        assert!(!by_old.windows(8).any(|bytes| bytes == b"an input"));
        assert_ne!(
            by_old,
            old.seal(&whose(7), plain.clone()).expect("sealed"),
            "a nonce each"
        );
        assert_eq!(
            new.open(&whose(7), by_old.clone()),
            Opened::Bytes(plain.clone())
        );
        let by_new = new.seal(&whose(7), plain.clone()).expect("sealed");
        assert_eq!(old.open(&whose(7), by_new), Opened::NoKey);
        assert_eq!(
            Keys::default().open(&whose(7), by_old.clone()),
            Opened::NoKey
        );
        assert_eq!(
            new.open(&whose(8), by_old.clone()),
            Opened::Damaged,
            "of another prediction"
        );
        let summary = Whose {
            part: "summary",
            ..whose(7)
        };
        assert_eq!(new.open(&summary, by_old), Opened::Damaged, "another part");
        let unsealed = Keys::default()
            .seal(&whose(7), plain.clone())
            .expect("as it is");
        assert_eq!(unsealed, plain);
        assert_eq!(
            new.open(&whose(7), plain.clone()),
            Opened::Bytes(plain),
            "from before"
        );
    }

    #[test]
    fn a_key_is_a_file_of_its_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            fs::write(&path, bytes).expect("written");
            path
        };
        let raw = file("raw", &[0xab; 32]);
        let hex = file("hex", format!("{}\n", "AB".repeat(32)).as_bytes());
        assert!(Keys::load(&[]).expect("none is fine").0.is_empty());
        let same = Keys::load(&[raw.clone(), hex.clone()]).expect_err("the same key");
        assert!(matches!(same, KeyError::Twice(path) if path == hex));
        let other = file("other", &[7; 32]);
        assert_eq!(Keys::load(&[raw, other]).expect("two").0.len(), 2);
        let short = file("short", b"planted-secret");
        let refused = Keys::load(&[short]).expect_err("it is no key").to_string();
        assert!(
            refused.contains("openssl") && !refused.contains("planted"),
            "{refused}"
        );
        let gone = Keys::load(&[dir.path().join("gone")]).expect_err("it is not there");
        assert!(matches!(gone, KeyError::Read { .. }));
    }

    proptest! {
        #[test]
        fn whatever_is_sealed_opens_and_whatever_is_changed_does_not(
            plain in prop::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let keys = Keys::of(&[[9; 32]]);
            let of = names("meter");
            let whose = whose(&of, 1);
            let mut sealed = keys.seal(&whose, plain.clone()).expect("sealed");
            prop_assert_eq!(keys.open(&whose, sealed.clone()), Opened::Bytes(plain.clone()));
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert_ne!(keys.open(&whose, sealed), Opened::Bytes(plain));
        }

        #[test]
        fn garbage_does_not_open(garbage in prop::collection::vec(any::<u8>(), 0..60)) {
            let of = names("meter");
            let sealed = [MAGIC, &garbage].concat();
            let opened = Keys::of(&[[9; 32]]).open(&whose(&of, 1), sealed);
            prop_assert!(matches!(opened, Opened::NoKey | Opened::Damaged));
        }
    }
}
