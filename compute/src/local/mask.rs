//! Hides secrets in what passes, however it is cut into pieces. Pure.
//!
//! Must never break: no value that was handed in comes out, not even when its bytes arrive one by one.

use crate::job::SHOWN;

/// Replaces secrets by `***`. Bytes that may be the beginning of one wait for those that decide.
#[derive(Debug, Default)]
pub struct Mask {
    secrets: Vec<Vec<u8>>,
    waiting: Vec<u8>,
}

impl Mask {
    /// One that hides these; an empty one is none.
    pub fn of(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<Vec<u8>> = secrets.into_iter().map(String::into_bytes).collect();
        secrets.retain(|secret| !secret.is_empty());
        // The longer one first, so that a secret that begins with another is hidden whole.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self {
            secrets,
            waiting: Vec::new(),
        }
    }

    /// What may pass after these bytes came.
    pub fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.secrets.is_empty() {
            return bytes.to_vec();
        }
        self.waiting.extend_from_slice(bytes);
        self.advance(End::NotYet)
    }

    /// What still waited, now that nothing more comes.
    pub fn finish(&mut self) -> Vec<u8> {
        self.advance(End::Here)
    }

    fn advance(&mut self, end: End) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.waiting.len());
        let mut at = 0;
        while at < self.waiting.len() {
            let rest = &self.waiting[at..];
            let begun = |secret: &&Vec<u8>| secret.len() > rest.len() && secret.starts_with(rest);
            if end == End::NotYet && self.secrets.iter().any(|secret| begun(&secret)) {
                break;
            }
            if let Some(secret) = self.secrets.iter().find(|secret| rest.starts_with(secret)) {
                out.extend_from_slice(SHOWN.as_bytes());
                at += secret.len();
            } else {
                out.push(rest[0]);
                at += 1;
            }
        }
        self.waiting.drain(..at);
        out
    }
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum End {
    Here,
    NotYet,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(secrets: &[&str], pieces: &[&[u8]]) -> String {
        let mut mask = Mask::of(secrets.iter().map(|&secret| secret.to_owned()));
        let mut out: Vec<u8> = pieces.iter().flat_map(|piece| mask.pass(piece)).collect();
        out.extend(mask.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_longer_of_two_secrets_is_hidden_whole() {
        let secrets = ["swordfish", "sword"];
        assert_eq!(masked(&secrets, &[b"a swordfish, a sword"]), "a ***, a ***");
        assert_eq!(
            masked(&secrets, &[b"sword", b"fish sword", b"y"]),
            "*** ***y"
        );
        assert_eq!(masked(&secrets, &[b"swo", b"op", b" sw"]), "swoop sw");
        assert_eq!(masked(&[], &[b"plain"]), "plain");
    }

    #[test]
    fn a_line_that_may_not_become_a_secret_passes_at_once() {
        let mut mask = Mask::of(["swordfish".to_owned()]);
        assert_eq!(mask.pass(b"step 1\nsw"), b"step 1\n");
        assert_eq!(mask.pass(b"im\n"), b"swim\n");
    }

    proptest! {
        /// However text with a secret is cut, the secret is not in what comes out, and the rest is.
        #[test]
        fn cuts_never_show_it(before in "[abx]{0,20}", after in "[abx]{0,20}", cuts in prop::collection::vec(1_usize..6, 1..40)) {
            let secret = "abbaS";
            let text = format!("{before}{secret}{after}");
            let mut bytes = text.as_bytes();
            let mut mask = Mask::of([secret.to_owned()]);
            let mut out = Vec::new();
            for cut in cuts {
                let (piece, rest) = bytes.split_at(cut.min(bytes.len()));
                out.extend(mask.pass(piece));
                bytes = rest;
            }
            out.extend(mask.pass(bytes));
            out.extend(mask.finish());
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{before}***{after}"));
        }
    }
}
