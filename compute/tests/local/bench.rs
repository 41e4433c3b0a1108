//! A local compute in a directory of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tern_compute::{
    job::{AttemptKey, JobSpec},
    local::{Exit, Local, LogLimits, Observed, Settings, Started, process::Process},
};
use tern_protocol::id::JobId;

/// How long anything may take on a machine that is busy with much else.
const DEADLINE: Duration = Duration::from_mins(2);

/// Waits until something is there, and says what was waited for if it never is.
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "never happened: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

pub struct Bench {
    pub dir: TempDir,
    pub local: Local,
}

pub fn settings(root: &Path) -> Settings {
    Settings {
        grace: Duration::from_secs(1),
        log: LogLimits {
            head: 10_000,
            tail: 40_000,
        },
        ..Settings::new(root, env!("CARGO_BIN_EXE_tern-job"))
    }
}

pub fn key(job: u64) -> AttemptKey {
    AttemptKey {
        job: JobId(job),
        number: 1,
    }
}

/// A job that a shell runs.
pub fn shell(script: &str) -> JobSpec {
    JobSpec::of(["sh", "-c", script])
}

impl Bench {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = settings(dir.path());
        change(&mut settings);
        let local = Local::open(settings).unwrap();
        Self { dir, local }
    }

    /// Where an attempt's files are.
    pub fn attempt(&self, key: AttemptKey) -> PathBuf {
        let job = key.job.to_string();
        self.dir
            .path()
            .join("attempts")
            .join(job)
            .join(key.number.to_string())
    }

    pub fn work(&self, key: AttemptKey) -> PathBuf {
        self.attempt(key).join("work")
    }

    #[track_caller]
    pub fn start(&self, key: AttemptKey, spec: &JobSpec) {
        assert_eq!(self.local.start(key, spec, &[]).unwrap(), Started::Now);
    }

    #[track_caller]
    pub fn end_of(&self, key: AttemptKey) -> Exit {
        wait_for("the end of an attempt", || {
            match self.local.observe(key).unwrap() {
                Observed::Ended(exit) => Some(*exit),
                Observed::Running { .. } => None,
                other => panic!("{key} is {other:?}"),
            }
        })
    }

    #[track_caller]
    pub fn run(&self, job: u64, spec: &JobSpec) -> Exit {
        self.start(key(job), spec);
        self.end_of(key(job))
    }

    /// What is kept of a log.
    pub fn log(&self, key: AttemptKey) -> String {
        let (mut all, mut at) = (Vec::new(), 0);
        loop {
            let part = self.local.log(key, at, 100_000).unwrap();
            if part.bytes.is_empty() {
                return String::from_utf8_lossy(&all).into_owned();
            }
            all.extend(part.bytes);
            at = part.next;
        }
    }

    /// The supervisor of an attempt that was claimed.
    #[track_caller]
    pub fn supervisor(&self, key: AttemptKey) -> Process {
        let claim = fs::read(self.attempt(key).join("claim")).unwrap();
        let claim: serde_json::Value = serde_json::from_slice(&claim).unwrap();
        serde_json::from_value(claim["supervisor"].clone()).unwrap()
    }

    /// The process whose number a job has written into a file of its working directory.
    #[track_caller]
    pub fn process_in(&self, key: AttemptKey, file: &str) -> Process {
        wait_for("a process that says its number", || {
            let text = fs::read_to_string(self.work(key).join(file)).ok()?;
            Process::now(text.strip_suffix('\n')?.parse().ok()?)
        })
    }
}

impl Drop for Bench {
    /// A test that failed leaves nothing running.
    fn drop(&mut self) {
        for key in self.local.attempts().unwrap_or_default() {
            let _ = self.local.cancel(key);
            let _ = self.local.settle(key);
        }
    }
}

/// Waits until a process is gone.
#[track_caller]
pub fn gone(process: Process) {
    wait_for("the end of a process", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid)).unwrap_or_default();
        // Where nobody asks how orphans ended, as in many containers, they stay as a name.
        let zombie = stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(" Z"));
        (Process::now(process.pid) != Some(process) || zombie).then_some(())
    });
}

pub fn lives(process: Process) -> bool {
    Process::now(process.pid) == Some(process)
}
