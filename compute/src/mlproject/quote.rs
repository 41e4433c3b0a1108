//! Words as a POSIX shell reads them back.

/// One word of a shell's command, whatever stands in it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// A real shell reads back what was quoted, and nothing else happens.
        #[test]
        fn a_shell_reads_it_back(word in "[ -~\n\u{e4}]{0,40}") {
            let script = format!("printf %s {}", quoted(&word));
            let out = Command::new("sh").arg("-c").arg(script).output().unwrap();
            prop_assert_eq!(String::from_utf8(out.stdout).unwrap(), word);
        }
    }
}
