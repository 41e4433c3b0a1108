//! Key files: made, opened, and their public halves beside them.
//!
//! Must never break: a key is never overwritten and never readable for others; a passphrase is in no
//! message.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::Serialize;
use tern_trust::{
    key::{KeyError, PublicKey, SigningKey},
    key_file::{self, KeyFileError},
};

use crate::ask;

/// Shortest passphrase, in characters: whoever finds the file can try as many as they like.
const PASSPHRASE: usize = 12;

/// Longest file that is read, in bytes.
const FILE: u64 = 16 * 1024;

/// Where the passphrase comes from.
#[derive(Debug, clap::Args)]
pub(crate) struct Passphrase {
    /// File with the passphrase of the keys; asked for if not given
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// What is wrong with a key file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFileTrouble {
    #[error("{doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        err: io::Error,
    },
    #[error("{}", path.display())]
    Closed {
        path: PathBuf,
        #[source]
        err: KeyFileError,
    },
    #[error("{}", path.display())]
    Public {
        path: PathBuf,
        #[source]
        err: KeyError,
    },
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("a passphrase has at least {PASSPHRASE} characters")]
    Short,
    #[error("the two are not the same")]
    Differ,
    #[error("nobody can be asked for the passphrase; give it with --passphrase-file FILE")]
    Nobody,
    #[error("asking for the passphrase")]
    Ask(#[source] io::Error),
}

/// A key that was made.
#[derive(Debug, Serialize)]
pub(crate) struct Made {
    pub(crate) id: String,
    pub(crate) file: PathBuf,
    pub(crate) public_file: PathBuf,
    pub(crate) public_key: String,
}

/// Makes a key.
pub(crate) fn make(file: &Path, passphrase: &Passphrase) -> Result<Made, KeyFileTrouble> {
    let public_file = beside(file);
    for path in [file, &public_file] {
        if path.exists() {
            let err = io::ErrorKind::AlreadyExists.into();
            return Err(io_trouble("making", path)(err));
        }
    }
    let secret = match &passphrase.passphrase_file {
        Some(path) => read_passphrase(path)?,
        None => ask_twice(file)?,
    };
    if secret.chars().count() < PASSPHRASE {
        return Err(KeyFileTrouble::Short);
    }
    let key = SigningKey::generate()?;
    let text = key_file::seal(&key, &secret).map_err(|err| KeyFileTrouble::Closed {
        path: file.into(),
        err,
    })?;
    write(file, text.as_bytes(), 0o600)?;
    let public = key.public();
    write(&public_file, format!("{public}\n").as_bytes(), 0o644)?;
    Ok(Made {
        id: public.id(),
        file: file.into(),
        public_file,
        public_key: public.to_string(),
    })
}

/// Opens keys.
pub(crate) fn open(
    files: &[PathBuf],
    passphrase: &Passphrase,
) -> Result<Vec<SigningKey>, KeyFileTrouble> {
    let given = passphrase.passphrase_file.as_deref();
    let given = given.map(read_passphrase).transpose()?;
    let keys = files.iter().map(|path| {
        let text = read(path)?;
        let secret = match &given {
            Some(secret) => secret.clone(),
            None if ask::somebody() => {
                let question = format!("Passphrase of {}:", path.display());
                ask::secret(&question).map_err(KeyFileTrouble::Ask)?
            }
            None => return Err(KeyFileTrouble::Nobody),
        };
        key_file::open(&text, &secret).map_err(|err| KeyFileTrouble::Closed {
            path: path.clone(),
            err,
        })
    });
    keys.collect()
}

/// The public key in a file, as text.
pub(crate) fn public(path: &Path) -> Result<String, KeyFileTrouble> {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    let key: Result<PublicKey, _> = text.parse();
    let key = key.map_err(|err| KeyFileTrouble::Public {
        path: path.into(),
        err,
    })?;
    Ok(key.to_string())
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".pub");
    file.with_file_name(name)
}

fn ask_twice(file: &Path) -> Result<String, KeyFileTrouble> {
    if !ask::somebody() {
        return Err(KeyFileTrouble::Nobody);
    }
    let ask = |question: String| ask::secret(&question).map_err(KeyFileTrouble::Ask);
    let first = ask(format!(
        "Passphrase for {} ({PASSPHRASE} characters or more):",
        file.display()
    ))?;
    if ask("Again:".into())? == first {
        Ok(first)
    } else {
        Err(KeyFileTrouble::Differ)
    }
}

fn read_passphrase(path: &Path) -> Result<String, KeyFileTrouble> {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn read(path: &Path) -> Result<Vec<u8>, KeyFileTrouble> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(io_trouble("opening", path))?;
    let read = file.take(FILE).read_to_end(&mut bytes);
    read.map_err(io_trouble("reading", path))?;
    Ok(bytes)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), KeyFileTrouble> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    let mut file = made.map_err(io_trouble("making", path))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(io_trouble("writing", path))
}

fn io_trouble(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyFileTrouble {
    let path = path.to_owned();
    move |err| KeyFileTrouble::Io { doing, path, err }
}
