//! Which files of a job are artifacts, as patterns; and how far they are looked for. Pure.

use std::path::Path;

use globset::{Error, Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// Artifacts of one attempt, at most.
pub const ARTIFACTS: usize = 10_000;

/// Files that are looked at, at most: a job that unpacks a data set has hundreds of thousands that nobody wants.
pub(crate) const LOOKED_AT: usize = 1_000_000;

/// How deep directories are followed.
pub(crate) const DEPTH: usize = 64;

/// Patterns of artifacts, as one question.
#[derive(Debug, Clone)]
pub struct Patterns(GlobSet);

impl Patterns {
    /// Patterns that were checked at the border; one that is none all the same matches nothing.
    pub fn of(patterns: &[String]) -> Self {
        let mut set = GlobSetBuilder::new();
        for glob in globs(patterns) {
            set.add(glob);
        }
        Self(set.build().unwrap_or_default())
    }

    /// Whether a file of this path below the working directory is an artifact.
    pub fn take(&self, path: impl AsRef<Path>) -> bool {
        self.0.is_match(path)
    }
}

/// One pattern, as all of them are read.
pub(super) fn glob(pattern: &str) -> Result<Glob, Error> {
    GlobBuilder::new(pattern).literal_separator(true).build()
}

fn globs(patterns: &[String]) -> impl Iterator<Item = Glob> {
    patterns.iter().filter_map(|pattern| glob(pattern).ok())
}

/// The same as regular expressions over the bytes of a whole path, a dot being any byte: for whoever has no such patterns
/// and may not read them in a way of its own.
pub(crate) fn expressions(patterns: &[String]) -> Vec<String> {
    let plain = |glob: Glob| {
        let expression = glob.regex();
        // What says that it is about bytes is of the library's own dialect.
        let plain = expression.strip_prefix("(?-u)").unwrap_or(expression);
        plain.to_owned()
    };
    globs(patterns).map(plain).collect()
}
