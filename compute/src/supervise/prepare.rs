//! Python environments: made once for the same requirements, kept for the next job, bounded in number.
//!
//! Each has a lock beside it. Who makes one holds it alone; who uses one shares it; so none is used half made, and none
//! is taken away while a job runs in it.
//!
//! Must never break: an environment without its `ready` mark is no environment, and is made anew.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use rustix::fs::{FlockOperation, flock};
use tern_protocol::digest::Digest;

use super::{Supervisor, enter, watch::Memory};
use crate::{
    job::{Ended, Environment},
    local::replace,
};

/// How often it is looked whether another job has made the environment that this one waits for.
const LOOK: Duration = Duration::from_millis(200);

/// The programs that make environments.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Maker {
    /// `uv`: many times faster, and brings the Python that is asked for.
    Uv,
    /// `python -m venv` and pip, with this Python.
    Python(String),
}

impl Supervisor {
    /// Makes or finds the environment and enters it. What comes back keeps it while it is held.
    pub(super) fn prepare(&mut self) -> Result<Option<File>, Ended> {
        match self.order.environment.clone() {
            Environment::None => Ok(None),
            Environment::Venv(path) => {
                let venv = PathBuf::from(path);
                if !venv.join("bin/python").exists() {
                    return Err(Ended::Environment(format!(
                        "there is no bin/python in {}",
                        venv.display()
                    )));
                }
                enter(&mut self.variables, &venv);
                Ok(None)
            }
            Environment::Requirements { text, python } => {
                let maker = self.maker(python.as_deref());
                let name = self.name(&maker, python.as_deref(), &text);
                let venv = self.order.environments.join(&name);
                let kept = self.ready(&venv, &maker, python.as_deref(), &text)?;
                enter(&mut self.variables, &venv);
                Ok(Some(kept))
            }
        }
    }

    fn maker(&self, python: Option<&str>) -> Maker {
        let path = self.variables.get(std::ffi::OsStr::new("PATH"));
        let uv = path
            .is_some_and(|path| std::env::split_paths(path).any(|dir| dir.join("uv").is_file()));
        if uv {
            return Maker::Uv;
        }
        Maker::Python(python.map_or_else(|| "python3".into(), |version| format!("python{version}")))
    }

    /// What an environment is called: all that it follows from. Variables of the installers are in it, since another
    /// index may have other packages of the same name.
    fn name(&self, maker: &Maker, python: Option<&str>, text: &str) -> String {
        let mut all = format!("{maker:?}\0{python:?}\0{text}\0");
        for (name, value) in &self.variables {
            let name = name.to_string_lossy();
            if name.starts_with("PIP_") || name.starts_with("UV_") {
                all.extend([&name, "=", &value.to_string_lossy(), "\0"]);
            }
        }
        Digest::of(all.as_bytes()).to_string()
    }

    fn ready(
        &mut self,
        venv: &Path,
        maker: &Maker,
        python: Option<&str>,
        text: &str,
    ) -> Result<File, Ended> {
        let until = Instant::now() + Duration::from_secs(self.order.preparation);
        let mut waited = false;
        loop {
            if self.attempt.should_end() {
                return Err(Ended::Cancelled);
            }
            if let Some(why) = self.told_to_end() {
                return Err(why);
            }
            let failed = |err: io::Error| Ended::Environment(err.to_string());
            let is_ready = || venv.join("ready").exists();
            if is_ready() {
                let lock = locked(venv, FlockOperation::NonBlockingLockShared).map_err(failed)?;
                if let Some(lock) = lock
                    && is_ready()
                {
                    // When it was used last, for whoever makes room. Only the order is of interest.
                    let _ = replace(&venv.join("ready"), b"");
                    return Ok(lock);
                }
            } else if let Some(lock) =
                locked(venv, FlockOperation::NonBlockingLockExclusive).map_err(failed)?
            {
                if !is_ready() {
                    self.make(venv, maker, python, text)?;
                    self.make_room(venv);
                }
                drop(lock);
                continue;
            }
            if !waited {
                self.say("waiting for another job that makes the same environment");
                waited = true;
            }
            if Instant::now() >= until {
                return Err(Ended::Environment(
                    "another job did not get it made in time".into(),
                ));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn make(
        &mut self,
        venv: &Path,
        maker: &Maker,
        python: Option<&str>,
        text: &str,
    ) -> Result<(), Ended> {
        let failed = |err: io::Error| Ended::Environment(err.to_string());
        // What a job that was killed left half made.
        match fs::remove_dir_all(venv) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(failed(err)),
            _ => {}
        }
        let requirements = venv.with_extension("txt");
        replace(&requirements, text.as_bytes()).map_err(failed)?;
        let limit = Duration::from_secs(self.order.preparation);
        let nothing = text
            .lines()
            .all(|line| line.trim().is_empty() || line.trim().starts_with('#'));
        for words in recipe(maker, venv, python, (!nothing).then_some(&requirements)) {
            self.say(&format!("making the environment: {}", words.join(" ")));
            let ended = self.watch(&words, limit, Memory::Free);
            if ended.is_success() {
                continue;
            }
            let _ = fs::remove_dir_all(venv);
            let _ = fs::remove_file(&requirements);
            return Err(match ended {
                Ended::Cancelled | Ended::Interrupted => ended,
                other => Ended::Environment(format!("`{}` {other}", words.join(" "))),
            });
        }
        let _ = fs::remove_file(&requirements);
        replace(&venv.join("ready"), b"").map_err(failed)
    }

    /// Takes away environments that were not used for longest, as far as nobody uses them.
    fn make_room(&mut self, but: &Path) {
        let mut others = environments(&self.order.environments);
        others.retain(|(_, path)| path != but);
        others.sort();
        let surplus = (others.len() + 1).saturating_sub(self.order.environments_kept.max(1));
        for (_, path) in others.into_iter().take(surplus) {
            let lock = locked(&path, FlockOperation::NonBlockingLockExclusive);
            if let Ok(Some(_alone)) = lock {
                // The mark first: what is half gone is no environment.
                let _ = fs::remove_file(path.join("ready"));
                let _ = fs::remove_dir_all(&path);
                let _ = fs::remove_file(path.with_extension("lock"));
            }
        }
    }
}

/// The commands that make an environment.
fn recipe(
    maker: &Maker,
    venv: &Path,
    python: Option<&str>,
    requirements: Option<&PathBuf>,
) -> Vec<Vec<String>> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|&word| word.to_owned())
            .collect::<Vec<_>>()
    };
    let inside = text(&venv.join("bin/python"));
    let (mut make, mut install) = match maker {
        Maker::Uv => (
            words(&["uv", "venv", "--no-progress"]),
            words(&["uv", "pip", "install", "--no-progress", "--python", &inside]),
        ),
        Maker::Python(program) => (
            words(&[program, "-m", "venv"]),
            words(&[
                &inside,
                "-m",
                "pip",
                "install",
                "--no-input",
                "--disable-pip-version-check",
                "--progress-bar=off",
            ]),
        ),
    };
    if let (Maker::Uv, Some(python)) = (maker, python) {
        make.extend(words(&["--python", python]));
    }
    make.push(text(venv));
    let mut all = vec![make];
    if let Some(requirements) = requirements {
        install.extend(words(&["-r", &text(requirements)]));
        all.push(install);
    }
    all
}

/// The lock of an environment, unless somebody else has it in a way that excludes this one.
fn locked(venv: &Path, how: FlockOperation) -> io::Result<Option<File>> {
    let path = venv.with_extension("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .read(true)
        .open(&path)?;
    match flock(&file, how) {
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        other => other?,
    }
    // Whoever made room may have taken the file away between the two: then this is the lock of nothing.
    let here = file.metadata()?;
    match fs::metadata(&path) {
        Ok(there) if (there.dev(), there.ino()) == (here.dev(), here.ino()) => Ok(Some(file)),
        _ => Ok(None),
    }
}

/// Environments that are ready, and when each was used last.
fn environments(dir: &Path) -> Vec<(SystemTime, PathBuf)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let used = fs::metadata(entry.path().join("ready")).ok()?.modified();
            Some((used.ok()?, entry.path()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_are_made_by_what_is_there() {
        let venv = Path::new("/e/abc");
        let requirements = PathBuf::from("/e/abc.txt");
        let shown = |maker: &Maker, python: Option<&str>| {
            let all = recipe(maker, venv, python, Some(&requirements));
            all.iter().map(|words| words.join(" ")).collect::<Vec<_>>()
        };
        assert_eq!(
            shown(&Maker::Uv, Some("3.11")),
            [
                "uv venv --no-progress --python 3.11 /e/abc",
                "uv pip install --no-progress --python /e/abc/bin/python -r /e/abc.txt"
            ]
        );
        assert_eq!(
            shown(&Maker::Python("python3.11".into()), Some("3.11"))[0],
            "python3.11 -m venv /e/abc"
        );
        let nothing = recipe(&Maker::Uv, venv, None, None);
        assert_eq!(nothing.len(), 1, "nothing to install is not installed");
    }

    #[test]
    fn a_lock_whose_file_was_taken_away_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let venv = dir.path().join("abc");
        let alone = locked(&venv, FlockOperation::NonBlockingLockExclusive).unwrap();
        assert!(alone.is_some());
        let shared = FlockOperation::NonBlockingLockShared;
        assert!(locked(&venv, shared).unwrap().is_none());
        fs::remove_file(venv.with_extension("lock")).unwrap();
        assert!(locked(&venv, shared).unwrap().is_some(), "a new one");
    }
}
