//! A real mail server: `tests/smtp/server.py` on aiosmtpd, as `cargo xtask setup` installs it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{pki::Credentials, process::Process, programs, wait};

/// Who may hand in mail where that is asked.
pub const USER: &str = "tern@example.org";

/// Their password.
pub const PASSWORD: &str = "planted-password-of-the-mail-server";

/// How connections are secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Not, and nobody logs in.
    Plain,
    /// By STARTTLS, without which nothing is taken; whoever hands in logs in.
    StartTls,
    /// From the first byte; whoever hands in logs in.
    Tls,
}

/// A running mail server that takes all mail.
pub struct MailServer {
    /// Where it listens, on loopback.
    pub port: u16,
    process: Process,
}

/// A mail that it took.
#[derive(Debug, Clone, Deserialize)]
pub struct Mail {
    /// The sender of the envelope.
    pub from: String,
    /// The recipients of the envelope.
    pub to: Vec<String>,
    /// Whether it came through TLS.
    pub tls: bool,
    /// Who handed it in, if they logged in.
    pub user: Option<String>,
    /// Head and body.
    pub data: String,
}

/// Python with what `cargo xtask setup` installs for it, or nothing after saying that the test is skipped.
#[track_caller]
pub fn python() -> Option<PathBuf> {
    programs::python("TERN_PYTHON", "target/venv/bin/python", "aiosmtpd")
}

impl MailServer {
    /// Starts one, with these credentials if it has TLS; or says that there is none here.
    #[track_caller]
    pub fn start(dir: &Path, security: Security, credentials: &Credentials) -> Option<Self> {
        let python = python()?;
        let script = programs::repository().join("tests/smtp/server.py");
        let file = |name: &str, text: &str| {
            let path = dir.join(name);
            fs::write(&path, text).expect("a file in the test's own directory");
            path.to_string_lossy().into_owned()
        };
        let mut args = vec![script.to_string_lossy().into_owned()];
        let mode = match security {
            Security::Plain => "plain",
            Security::StartTls => "starttls",
            Security::Tls => "tls",
        };
        args.push(mode.into());
        if security != Security::Plain {
            args.push(file("mail.pem", &credentials.chain));
            args.push(file("mail.key", &credentials.key));
            args.extend([USER.into(), PASSWORD.into()]);
        }
        let mut process = Process::start(dir, "mail", &python, args);
        let port = wait::until("a mail server", || {
            process.assert_runs();
            let said = process.output();
            let port = said.lines().find_map(|line| line.strip_prefix("port "));
            port.and_then(|port| port.parse().ok()).ok_or(said)
        });
        Some(Self { port, process })
    }

    /// What it took so far.
    #[track_caller]
    pub fn mails(&self) -> Vec<Mail> {
        let said = self.process.output();
        let lines = said.lines().filter(|line| line.starts_with('{'));
        let read = |line| serde_json::from_str(line).expect("a mail is a line of JSON");
        lines.map(read).collect()
    }
}
