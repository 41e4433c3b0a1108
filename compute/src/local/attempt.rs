//! The directory of one attempt: all that is known of it, for whoever comes after a crash.
//!
//! | file | what it says |
//! |---|---|
//! | `lock` | locked: its supervisor lives. The kernel lets go of it when the process ends, however it ends |
//! | `claim` | made once: which process may run the command, in which start of the machine. Nobody may after that |
//! | `phase` | how far it is |
//! | `cancel` | there: it should end |
//! | `log/`, `work/` | what the command says; where it runs |
//! | `exit` | made once: how it ended |
//!
//! Must never break: a claim comes before the command starts and stays for good, so that no command starts twice; a
//! claim without a living supervisor and without an exit is lost, whatever else runs under that number.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tern_protocol::time::WallTime;

use super::{
    Exit, Group, clock, durable,
    process::{self, Process},
};
use crate::job::{Ended, LostBecause, Phase};

/// How long somebody who looks may hold the lock, with much to spare.
const LOOK: Duration = Duration::from_secs(5);

/// Who may run the command of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// The supervisor; nobody if the attempt was cancelled before it had one.
    pub(crate) supervisor: Option<Process>,
    /// Which start of the machine it was.
    pub(crate) boot: String,
    /// What stands in the environment of all its processes.
    pub(crate) mark: String,
    pub(crate) at: WallTime,
}

/// How an attempt is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// Nobody has claimed it: it has not run, and may be started.
    Unclaimed,
    /// It runs.
    Running {
        /// How far it is.
        phase: Phase,
        /// When it was claimed.
        since: WallTime,
    },
    /// It has ended, and this is the last word.
    Ended(Box<Exit>),
    /// It was claimed, and nobody is there who could say how it ended.
    Lost(LostBecause),
}

/// Whether a claim was made.
pub(crate) enum Claimed {
    /// It is ours as long as the lock is held.
    Ours { claim: Claim, lock: File },
    /// Somebody was first.
    Before,
}

/// The directory of one attempt.
#[derive(Debug, Clone)]
pub(crate) struct AttemptDir(PathBuf);

impl AttemptDir {
    pub(crate) fn at(dir: PathBuf) -> Self {
        Self(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.0.join("work")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// Where the step before the command says why the command could not be started.
    pub(crate) fn not_started(&self) -> PathBuf {
        self.0.join("not-started")
    }

    fn claim_file(&self) -> PathBuf {
        self.0.join("claim")
    }

    fn exit_file(&self) -> PathBuf {
        self.0.join("exit")
    }

    fn cancel_file(&self) -> PathBuf {
        self.0.join("cancel")
    }

    pub(crate) fn observe(&self) -> io::Result<Observed> {
        if let Some(exit) = self.exit()? {
            return Ok(Observed::Ended(Box::new(exit)));
        }
        let Some(claim) = read::<Claim>(&self.claim_file())? else {
            return Ok(Observed::Unclaimed);
        };
        let Ok(claim) = claim else {
            return Ok(Observed::Lost(LostBecause::FilesGone));
        };
        if claim.boot != process::boot_id()? {
            return Ok(Observed::Lost(LostBecause::OtherBoot));
        }
        if self.supervised()? {
            let phase = read(&self.0.join("phase"))?.and_then(Result::ok);
            return Ok(Observed::Running {
                phase: phase.unwrap_or(Phase::Given),
                since: claim.at,
            });
        }
        // It may have ended between the first look and the look at the lock.
        Ok(match self.exit()? {
            Some(exit) => Observed::Ended(Box::new(exit)),
            None => Observed::Lost(LostBecause::SupervisorGone),
        })
    }

    fn exit(&self) -> io::Result<Option<Exit>> {
        let damaged = |_| Exit::lost(LostBecause::FilesGone, clock::wall());
        Ok(read(&self.exit_file())?.map(|exit| exit.unwrap_or_else(damaged)))
    }

    /// Whether its supervisor lives. Those who look share the lock, so that they do not take each other for one.
    fn supervised(&self) -> io::Result<bool> {
        match self.lock_file()?.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(err)) => Err(err),
        }
    }

    fn lock_file(&self) -> io::Result<File> {
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .read(true)
            .open(self.0.join("lock"))
    }

    /// The lock, unless somebody keeps it for longer than a look takes or `gone` is so meanwhile.
    fn lock(&self, gone: impl Fn() -> bool) -> io::Result<Option<File>> {
        let until = Instant::now() + LOOK;
        let file = self.lock_file()?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::Error(err)) => return Err(err),
                Err(TryLockError::WouldBlock) if gone() || Instant::now() >= until => {
                    return Ok(None);
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Claims the attempt for this process.
    pub(crate) fn claim(&self, supervisor: Option<Process>) -> io::Result<Claimed> {
        let claimed = || self.claim_file().exists();
        let Some(lock) = self.lock(claimed)? else {
            return Ok(Claimed::Before);
        };
        let claim = Claim {
            supervisor,
            boot: process::boot_id()?,
            mark: process::unique()?,
            at: clock::wall(),
        };
        match durable::create_once(&self.claim_file(), &json(&claim)) {
            Ok(()) => Ok(Claimed::Ours { claim, lock }),
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => Ok(Claimed::Before),
            Err(err) => Err(err),
        }
    }

    pub(crate) fn set_phase(&self, phase: Phase) -> io::Result<()> {
        durable::replace(&self.0.join("phase"), &json(&phase))
    }

    /// Says how it ended. Only the first word counts.
    pub(crate) fn end(&self, exit: &Exit) -> io::Result<()> {
        match durable::create_once(&self.exit_file(), &json(exit)) {
            Err(err) if err.kind() != io::ErrorKind::AlreadyExists => Err(err),
            _ => Ok(()),
        }
    }

    pub(crate) fn should_end(&self) -> bool {
        self.cancel_file().exists()
    }

    /// Says that it should end. Whoever is about to claim it sees the file; whoever has is told by a signal.
    pub(crate) fn cancel(&self) -> io::Result<()> {
        durable::replace(&self.cancel_file(), b"")?;
        if let Claimed::Ours { .. } = self.claim(None)? {
            return self.end(&Exit::unseen(Ended::Cancelled, clock::wall()));
        }
        if let Observed::Running { .. } = self.observe()?
            && let Some(Ok(claim)) = read::<Claim>(&self.claim_file())?
            && let Some(supervisor) = claim.supervisor
        {
            supervisor.signal(Signal::TERM)?;
        }
        Ok(())
    }

    /// Ends what is left of a lost attempt and makes it final.
    pub(crate) fn settle(&self, because: LostBecause, group: Option<&Group>) -> io::Result<()> {
        // Whoever has the lock is alive after all, or settles it already.
        let Some(_lock) = self.lock(|| false)? else {
            return Ok(());
        };
        let exit = match (because, read::<Claim>(&self.claim_file())?) {
            // Numbers of another start of the machine mean nothing in this one.
            (LostBecause::SupervisorGone, Some(Ok(claim))) => Exit {
                survivors: end_left(&format!("{MARK}={}", claim.mark), group),
                ..Exit::lost(because, clock::wall())
            },
            _ => Exit::lost(because, clock::wall()),
        };
        self.end(&exit)
    }
}

/// The environment variable by which processes of an attempt are known.
pub(crate) const MARK: &str = "TERN_ATTEMPT_MARK";

/// Ends all that carry a mark or are in a group; the number of those that do not end.
fn end_left(mark: &str, group: Option<&Group>) -> usize {
    let until = Instant::now() + LOOK;
    loop {
        if let Some(group) = group {
            group.end();
        }
        let left = process::marked(mark);
        for one in &left {
            // One that is not ours to end counts as one that is left.
            let _ = one.signal(Signal::KILL);
        }
        // A group with somebody in it cannot be removed.
        let in_group = group.is_some_and(|group| !group.remove());
        let left = left.len().max(usize::from(in_group));
        if left == 0 || Instant::now() >= until {
            return left;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("our own types are JSON")
}

/// A file, if it is there: what it says, or that it says nothing.
fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<Result<T, serde_json::Error>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes))),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err),
    }
}
