//! Questions to the person at the terminal. They are asked on stderr: stdout is data.
//!
//! Must never break: where nobody sits nobody is asked; what is typed as a secret is not shown.

use std::io::{self, IsTerminal as _, Read as _, Write as _};

/// Longest password or token that is read from stdin, in bytes.
const SECRET: u64 = 4096;

/// Whether somebody sits there who can be asked.
pub(crate) fn somebody() -> bool {
    io::stdin().is_terminal()
}

/// A line of theirs; empty if they just press Enter.
pub(crate) fn line(question: &str) -> io::Result<String> {
    let mut stderr = io::stderr().lock();
    // Who cannot see the question will not answer it.
    let _ = write!(stderr, "{question} ").and_then(|()| stderr.flush());
    let mut text = String::new();
    if io::stdin().read_line(&mut text)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(text.trim().to_owned())
}

/// Whether they write `yes`; anything else is a no.
pub(crate) fn yes(question: &str) -> io::Result<bool> {
    Ok(is_yes(&line(&format!("{question} yes/no [no]:"))?))
}

fn is_yes(said: &str) -> bool {
    said.eq_ignore_ascii_case("yes")
}

/// A secret of theirs, which is not shown while they type.
pub(crate) fn secret(question: &str) -> io::Result<String> {
    rpassword::prompt_password(format!("{question} "))
}

/// A secret that a program writes to stdin, without the end of its line.
pub(crate) fn secret_of_stdin() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().take(SECRET).read_to_string(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_yes_is_one() {
        assert!(is_yes("yes") && is_yes("YES"));
        for no in ["", "y", "no", "yes please"] {
            assert!(!is_yes(no), "{no:?}");
        }
    }
}
