//! Where the hub hands in mail.

use std::path::{Path, PathBuf};

use crate::notify::mail::{MailError, Settings};

/// Mail, for notices: none unless the first two are given.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Mail")]
pub struct SmtpArgs {
    /// The mail server: `smtps://USER@HOST:PORT`, or `smtp://` for STARTTLS, without which nothing is sent
    /// except on this machine.
    #[arg(long, value_name = "URL", requires = "smtp_from")]
    pub smtp: Option<String>,
    /// From whom mail is, as `Tern <tern@example.org>`.
    #[arg(long, value_name = "ADDRESS", requires = "smtp")]
    pub smtp_from: Option<String>,
    /// File with the password of the user, and nothing else. Read once, at the start.
    #[arg(long, value_name = "FILE", env = "TERN_SMTP_PASSWORD_FILE")]
    pub smtp_password_file: Option<PathBuf>,
    /// Certificate in PEM that vouches for the mail server, instead of the authorities of the system.
    #[arg(long, value_name = "FILE", requires = "smtp")]
    pub smtp_ca: Option<PathBuf>,
}

/// The settings of the mail server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SmtpSettingsError {
    /// They say something impossible.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// A file.
    #[error("reading {} for the mail server", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Not a password.
    #[error("{} has the password of the mail server in its only line, and it is empty or has more", .0.display())]
    Password(PathBuf),
}

impl SmtpArgs {
    /// Where mail is handed in, if anywhere.
    pub fn settings(&self) -> Result<Option<Settings>, SmtpSettingsError> {
        let Some((server, from)) = self.smtp.as_ref().zip(self.smtp_from.as_ref()) else {
            return Ok(None);
        };
        // The file may be named for all hubs of a machine: one whose server asks nobody leaves it alone.
        let file = self.smtp_password_file.as_deref();
        let file = file.filter(|_| server.contains('@'));
        let password = file.map(password).transpose()?;
        let roots = self.smtp_ca.as_deref().map(read).transpose()?;
        let settings = Settings::new(server, from, password, roots.as_deref())?;
        Ok(Some(settings))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, SmtpSettingsError> {
    std::fs::read(path).map_err(|source| SmtpSettingsError::File {
        path: path.to_owned(),
        source,
    })
}

fn password(path: &Path) -> Result<String, SmtpSettingsError> {
    let wrong = || SmtpSettingsError::Password(path.to_owned());
    let text = String::from_utf8(read(path)?).map_err(|_| wrong())?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() || password.contains('\n') {
        return Err(wrong());
    }
    Ok(password.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        smtp: SmtpArgs,
    }

    fn settings(words: &[&str]) -> Result<Option<Settings>, String> {
        let line = Line::try_parse_from(std::iter::once(&"hub").chain(words));
        let args = line.map_err(|err| err.to_string())?.smtp;
        args.settings().map_err(|err| err.to_string())
    }

    #[test]
    fn a_mail_server_is_set_up_whole_or_not_at_all() {
        assert!(settings(&[]).expect("fine").is_none());
        let server = ["--smtp", "smtps://ada@mail.example"];
        let from = ["--smtp-from", "tern@example.org"];
        assert!(settings(&server).is_err() && settings(&from).is_err());
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("password");
        let path = file.to_string_lossy().into_owned();
        let whole = [&server[..], &from, &["--smtp-password-file", &path]].concat();
        assert!(
            settings(&whole)
                .expect_err("there is none")
                .contains("reading")
        );
        fs::write(&file, "\n").expect("written");
        assert!(settings(&whole).expect_err("it is empty").contains("empty"));
        fs::write(&file, "planted\n").expect("written");
        let read = settings(&whole).expect("fine").expect("there is one");
        assert!(!format!("{read:?}").contains("planted"), "{read:?}");
        let ca = [&whole[..], &["--smtp-ca", &path]].concat();
        assert!(
            settings(&ca)
                .expect_err("no certificate")
                .contains("--smtp-ca")
        );
    }
}
