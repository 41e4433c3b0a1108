//! Who can read a backup.
//!
//! Must never break: no passphrase and no secret key is in any text of ours.

use std::{
    fs,
    io::{BufRead, Read, Write},
    path::Path,
};

use age::{
    DecryptError, Decryptor, Encryptor, Identity, IdentityFile, Recipient, scrypt,
    secrecy::SecretString,
    stream::{StreamReader, StreamWriter},
    x25519,
};

use super::error::BackupError;
use crate::file_error::io_error;

/// Shortest passphrase, in characters.
const PASSPHRASE: usize = 12;

/// Longest passphrase file that is read, in bytes.
const PASSPHRASE_FILE: u64 = 4096;

/// Most work that opening with a passphrase may take, as a power of two: some ten seconds on a slow
/// machine. A fast one makes backups that take it a second, and they may be restored on a slow one.
const WORK: u8 = 22;

/// Encrypts what is written, for these.
pub(super) fn sealed<W: Write>(
    out: W,
    recipients: &[x25519::Recipient],
    passphrase: Option<&Path>,
) -> Result<StreamWriter<W>, BackupError> {
    let encryptor = if let Some(file) = passphrase {
        Encryptor::with_user_passphrase(read(file)?)
    } else {
        let recipients = recipients.iter().map(|it| it as &dyn Recipient);
        Encryptor::with_recipients(recipients).map_err(BackupError::Encrypt)?
    };
    let header = io_error("writing", Path::new("the header"));
    Ok(encryptor.wrap_output(out).map_err(header)?)
}

/// Decrypts what is read, with one of these.
pub(super) fn opened<R: BufRead>(
    backup: R,
    key: Option<&Path>,
    passphrase: Option<&Path>,
) -> Result<StreamReader<R>, BackupError> {
    let identities: Vec<Box<dyn Identity + Send + Sync>> = match (passphrase, key) {
        (Some(file), _) => {
            let mut identity = scrypt::Identity::new(read(file)?);
            identity.set_max_work_factor(WORK);
            vec![Box::new(identity)]
        }
        (None, Some(file)) => keys(file)?,
        (None, None) => Vec::new(),
    };
    let decryptor = Decryptor::new_buffered(backup).map_err(|err| match err {
        DecryptError::InvalidHeader => BackupError::Foreign("it is not encrypted by age".into()),
        err => BackupError::Decrypt(err),
    })?;
    let identities = identities.iter().map(|it| it.as_ref() as &dyn Identity);
    decryptor.decrypt(identities).map_err(BackupError::Decrypt)
}

fn keys(path: &Path) -> Result<Vec<Box<dyn Identity + Send + Sync>>, BackupError> {
    let wrong = |why: String| BackupError::Key {
        path: path.to_owned(),
        why,
    };
    let file = fs::read(path).map_err(io_error("reading", path))?;
    let read = IdentityFile::from_buffer(file.as_slice());
    // Its own text may quote the line, which may be the key.
    let read = read.map_err(|_| wrong("a line of it is none".into()))?;
    let keys = read.into_identities();
    let keys = keys.map_err(|err| wrong(err.to_string()))?;
    if keys.is_empty() {
        return Err(wrong("it is empty".into()));
    }
    Ok(keys)
}

/// The passphrase in a file.
fn read(path: &Path) -> Result<SecretString, BackupError> {
    let mut text = String::new();
    let file = fs::File::open(path).map_err(io_error("opening", path))?;
    let mut file = file.take(PASSPHRASE_FILE);
    file.read_to_string(&mut text)
        .map_err(io_error("reading", path))?;
    let passphrase = text.trim_end_matches(['\r', '\n']);
    if passphrase.chars().count() < PASSPHRASE {
        return Err(BackupError::Passphrase(PASSPHRASE));
    }
    Ok(SecretString::from(passphrase))
}
