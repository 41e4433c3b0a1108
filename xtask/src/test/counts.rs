//! Counts tests from what `cargo test` prints.

/// Tests by how they ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Passed.
    pub(super) passed: u64,
    /// Failed.
    pub(super) failed: u64,
    /// Marked as ignored.
    pub(super) ignored: u64,
    /// Names of those that failed.
    pub(super) failures: Vec<String>,
}

impl Counts {
    /// Takes one line of output.
    pub(super) fn read_line(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("test result: ") {
            // ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.05s
            for part in rest.split(['.', ';']) {
                let mut words = part.split_whitespace();
                let number = words.next().and_then(|word| word.parse::<u64>().ok());
                match (number, words.next()) {
                    (Some(n), Some("passed")) => self.passed += n,
                    (Some(n), Some("failed")) => self.failed += n,
                    (Some(n), Some("ignored")) => self.ignored += n,
                    _ => {}
                }
            }
        } else if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|l| l.strip_suffix(" ... FAILED"))
        {
            self.failures.push(name.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_add_up_and_failures_have_names() {
        let mut counts = Counts::default();
        for line in [
            "running 3 tests",
            "test link::reconnects ... ok",
            "test slot::swaps ... FAILED",
            "test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.05s",
            "test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.25s",
        ] {
            counts.read_line(line);
        }
        let failures = vec!["slot::swaps".to_string()];
        assert_eq!(
            counts,
            Counts {
                passed: 41,
                failed: 1,
                ignored: 1,
                failures
            }
        );
    }
}
