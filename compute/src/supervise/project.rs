//! The job's files: copied, so that what a person changes meanwhile does not change what runs, and what a job writes
//! does not change what the person has.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::Supervisor;
use crate::job::Ended;

/// Files of a project, at most.
const FILES: usize = 100_000;
/// Bytes of a project, at most; what is larger is data, and `dataset` is the place for it.
const BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// Directories that hold no part of a project and much else.
const NOT_COPIED: [&str; 5] = [".git", ".venv", "__pycache__", "mlruns", "node_modules"];

impl Supervisor {
    pub(super) fn copy_project(&mut self) -> Result<(), Ended> {
        let Some(project) = self.order.project.clone() else {
            return Ok(());
        };
        self.say(&format!("copying {}", project.display()));
        let attempt = self.attempt.clone();
        copy(&project, &self.attempt.work(), &|| attempt.should_end())
    }
}

fn copy(from: &Path, to: &Path, should_end: &dyn Fn() -> bool) -> Result<(), Ended> {
    let (mut files, mut bytes) = (0, 0_u64);
    let mut open = vec![PathBuf::new()];
    while let Some(dir) = open.pop() {
        let failed = |path: &Path, err: io::Error| {
            Ended::NotStarted(format!("the project's {}: {err}", path.display()))
        };
        crate::local::private_dir(&to.join(&dir)).map_err(|err| failed(&dir, err))?;
        for entry in fs::read_dir(from.join(&dir)).map_err(|err| failed(&from.join(&dir), err))? {
            let entry = entry.map_err(|err| failed(&dir, err))?;
            let path = dir.join(entry.file_name());
            let facts = entry.metadata().map_err(|err| failed(&path, err))?;
            files += 1;
            bytes += facts.len();
            if files > FILES || bytes > BYTES {
                return Err(Ended::NotStarted(format!(
                    "the project has more than {FILES} files or {} GiB; what is data belongs into `dataset`",
                    BYTES >> 30
                )));
            }
            if should_end() {
                return Err(Ended::Cancelled);
            }
            let (source, target) = (from.join(&path), to.join(&path));
            let copied = if facts.is_dir() {
                if !NOT_COPIED.iter().any(|name| entry.file_name() == *name) {
                    open.push(path.clone());
                }
                Ok(())
            } else if facts.is_symlink() {
                // As it stands: where it leads is as right or wrong as before.
                fs::read_link(&source).and_then(|leads| symlink(leads, &target))
            } else if facts.is_file() {
                fs::copy(&source, &target).map(|_| ())
            } else {
                Ok(())
            };
            copied.map_err(|err| failed(&path, err))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_copied_without_what_is_no_part_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("src")).unwrap();
        fs::create_dir_all(from.join(".git/objects")).unwrap();
        fs::write(from.join("src/train.py"), "print()").unwrap();
        symlink("src/train.py", from.join("main.py")).unwrap();
        copy(&from, &to, &|| false).unwrap();
        assert_eq!(fs::read_to_string(to.join("main.py")).unwrap(), "print()");
        assert!(!to.join(".git").exists());
        assert_eq!(copy(&from, &to, &|| true), Err(Ended::Cancelled));
        let nowhere = copy(&dir.path().join("nowhere"), &to, &|| false);
        assert!(matches!(nowhere, Err(Ended::NotStarted(_))));
    }
}
