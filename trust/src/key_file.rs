//! A private key in a file that only a passphrase opens: the PKCS #8 bytes in an armoured `age` file
//! (<https://age-encryption.org/v1>, scrypt), which other tools open too.

use std::io::{self, Read as _, Write as _};

use age::{
    Decryptor, Encryptor, Identity,
    armor::{ArmoredReader, ArmoredWriter, Format},
    scrypt,
    secrecy::SecretString,
};

use crate::key::{KeyError, SigningKey};

/// Most work that opening may take, as a power of two: files made elsewhere may have asked for more
/// than this machine would for its own.
const WORK: u8 = 22;

/// Longest private key, in bytes.
const KEY_MAX: u64 = 1024;

/// Why a key file does not open.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It is not a key file.
    #[error("it is not a key file; `tern key new` makes one")]
    Foreign,
    /// The passphrase is another one.
    #[error("the passphrase does not open it")]
    Passphrase,
    /// What is in it is no key.
    #[error("what is in it: {0}")]
    Key(#[from] KeyError),
    /// It could not be made.
    #[error("encrypting it")]
    Encrypt(#[source] io::Error),
}

/// The text of a file for this key.
pub fn seal(key: &SigningKey, passphrase: &str) -> Result<String, KeyFileError> {
    let passphrase = SecretString::from(passphrase.to_owned());
    let mut text = Vec::new();
    let write = |text: &mut Vec<u8>| {
        let armour = ArmoredWriter::wrap_output(text, Format::AsciiArmor)?;
        let mut out = Encryptor::with_user_passphrase(passphrase).wrap_output(armour)?;
        out.write_all(key.pkcs8())?;
        out.finish()?.finish()?;
        Ok(())
    };
    write(&mut text).map_err(KeyFileError::Encrypt)?;
    String::from_utf8(text).map_err(|_| KeyFileError::Foreign)
}

/// The key in a file with this text.
pub fn open(text: &[u8], passphrase: &str) -> Result<SigningKey, KeyFileError> {
    let decryptor = Decryptor::new_buffered(ArmoredReader::new(text));
    let decryptor = decryptor.map_err(|_| KeyFileError::Foreign)?;
    if !decryptor.is_scrypt() {
        return Err(KeyFileError::Foreign);
    }
    let mut identity = scrypt::Identity::new(SecretString::from(passphrase.to_owned()));
    identity.set_max_work_factor(WORK);
    let opened = decryptor.decrypt(std::iter::once(&identity as &dyn Identity));
    let opened = opened.map_err(|_| KeyFileError::Passphrase)?;
    let mut pkcs8 = Vec::new();
    let read = opened.take(KEY_MAX).read_to_end(&mut pkcs8);
    read.map_err(|_| KeyFileError::Passphrase)?;
    Ok(SigningKey::from_pkcs8(&pkcs8)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_passphrase_opens_a_file() {
        let key = SigningKey::generate().expect("a key");
        let text = seal(&key, "correct horse battery").expect("it is made");
        assert!(
            text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"),
            "{text}"
        );
        let opened = open(text.as_bytes(), "correct horse battery").expect("it opens");
        assert_eq!(opened.public(), key.public());
        let wrong = open(text.as_bytes(), "correct horse").expect_err("it is another");
        assert!(matches!(wrong, KeyFileError::Passphrase), "{wrong}");
        let foreign = open(b"not a key file", "x").expect_err("it is none");
        assert!(matches!(foreign, KeyFileError::Foreign), "{foreign}");
    }
}
