//! stdout for data, stderr for talk.
//!
//! Called by every command. Must never break: nothing else writes to stdout; writing never panics,
//! whoever closed the other end.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
};

use serde::Serialize;

use crate::show::Look;

/// Why nothing more can be said.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutError {
    /// The reader has gone; a quiet end.
    #[error("nothing more can be said")]
    Closed(#[source] ReaderLeft),
    /// Any other trouble, a full disk for example.
    #[error("writing to stdout")]
    Write(#[source] io::Error),
    /// What was to be said has no JSON form.
    #[error("making JSON of the answer")]
    Json(#[source] serde_json::Error),
}

/// Whoever read our stdout has closed it. A type of its own, so that `main` finds it at the bottom of
/// any error and does not take a broken connection for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stdout is closed")]
pub(crate) struct ReaderLeft;

impl From<io::Error> for OutError {
    fn from(err: io::Error) -> Self {
        match err.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed(ReaderLeft),
            _ => Self::Write(err),
        }
    }
}

/// For whom the answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// A person.
    Person,
    /// A program.
    Program,
}

/// stdout.
#[derive(Debug)]
pub(crate) struct Out {
    pub(crate) reader: Reader,
    pub(crate) look: Look,
    stdout: io::Stdout,
}

impl Out {
    pub(crate) fn new(reader: Reader) -> Self {
        let terminal = io::stdout().is_terminal();
        // https://no-color.org: present and not empty.
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let look = Look {
            terminal,
            colour: terminal && !refused && !dumb,
        };
        Self {
            reader,
            look,
            stdout: io::stdout(),
        }
    }

    /// Text for people. A line end is added where there is none.
    pub(crate) fn text(&self, text: &str) -> Result<(), OutError> {
        let mut stdout = self.stdout.lock();
        stdout.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            stdout.write_all(b"\n")?;
        }
        Ok(stdout.flush()?)
    }

    /// One JSON document: the whole answer.
    pub(crate) fn document(&self, value: &impl Serialize) -> Result<(), OutError> {
        self.text(&serde_json::to_string_pretty(value).map_err(OutError::Json)?)
    }

    /// One JSON object on one line, of an answer that goes on.
    pub(crate) fn json_line(&self, value: &impl Serialize) -> Result<(), OutError> {
        self.text(&serde_json::to_string(value).map_err(OutError::Json)?)
    }

    /// The document for programs, the text for people.
    pub(crate) fn answer(
        &self,
        value: &impl Serialize,
        text: impl FnOnce(Look) -> String,
    ) -> Result<(), OutError> {
        match self.reader {
            Reader::Program => self.document(value),
            Reader::Person => self.text(&text(self.look)),
        }
    }

    /// The same for a list, with `advice` on stderr when it is empty.
    pub(crate) fn list<T: Serialize>(
        &self,
        items: &[T],
        advice: &str,
        text: impl FnOnce(Look) -> String,
    ) -> Result<(), OutError> {
        if self.reader == Reader::Person && items.is_empty() {
            talk(advice);
            return Ok(());
        }
        self.answer(&items, text)
    }
}

/// Says something on stderr. If nobody can hear it, so be it.
pub(crate) fn talk(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
