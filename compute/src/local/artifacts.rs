//! Which files of an attempt are its artifacts.
//!
//! Must never break: nothing outside of the working directory is named, whatever links a job makes in it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::job::{ARTIFACTS, DEPTH, LOOKED_AT, Patterns};

/// A file that a job made and somebody wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Where it is under the working directory.
    pub path: PathBuf,
    /// How large it is, in bytes.
    pub bytes: u64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Artifacts {
    /// The files, by name.
    pub files: Vec<Artifact>,
    /// Whether there are more than are named, or may be.
    pub left_out: bool,
}

/// Looks for files that match. Links are neither followed nor named.
pub(crate) fn find(work: &Path, patterns: &[String]) -> Artifacts {
    let mut found = Artifacts::default();
    if patterns.is_empty() {
        return found;
    }
    let patterns = Patterns::of(patterns);
    let mut looked_at = 0;
    let mut open = vec![(PathBuf::new(), 0)];
    while let Some((dir, depth)) = open.pop() {
        let Ok(entries) = fs::read_dir(work.join(&dir)) else {
            // A directory that its job closed to us.
            found.left_out = true;
            continue;
        };
        for entry in entries.flatten() {
            looked_at += 1;
            if looked_at > LOOKED_AT {
                found.left_out = true;
                open.clear();
                break;
            }
            let path = dir.join(entry.file_name());
            // Of the entry itself: of a link it says that it is one.
            let Ok(facts) = entry.metadata() else {
                continue;
            };
            if facts.is_dir() && depth < DEPTH {
                open.push((path, depth + 1));
            } else if facts.is_dir() {
                found.left_out = true;
            } else if facts.is_file() && patterns.take(&path) {
                found.files.push(Artifact {
                    path,
                    bytes: facts.len(),
                });
            }
        }
    }
    found.files.sort_by(|a, b| a.path.cmp(&b.path));
    found.left_out |= found.files.len() > ARTIFACTS;
    found.files.truncate(ARTIFACTS);
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn patterns_name_files_inside_and_no_links() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        fs::create_dir_all(at("plots/deep")).unwrap();
        for file in ["model.onnx", "notes.txt", "plots/a.png", "plots/deep/b.png"] {
            fs::write(at(file), file).unwrap();
        }
        symlink("/etc/passwd", at("passwd.onnx")).unwrap();
        symlink("/etc", at("plots/etc")).unwrap();
        let found = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|&one| one.to_owned()).collect();
            let found = find(dir.path(), &patterns);
            assert!(!found.left_out);
            let names = found.files.into_iter().map(|one| one.path);
            names
                .map(|path| path.to_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(found(&["*.onnx"]), ["model.onnx"]);
        assert_eq!(found(&["plots/*"]), ["plots/a.png"]);
        assert_eq!(
            found(&["plots/**", "*.txt"]),
            ["notes.txt", "plots/a.png", "plots/deep/b.png"]
        );
        assert_eq!(found(&[]), [""; 0]);
    }
}
