//! The local compute: attempts as directories and processes on this machine.
//!
//! Called by whoever keeps jobs, through [`Local`]. It starts a supervisor (`tern-job`) for each attempt and looks at
//! files after that; it holds nothing in memory, so that one that is started again knows as much as the one before. All
//! calls are short and block: an asynchronous caller makes them on a thread for such calls.
//!
//! The usual round, again and again for each attempt that was given to it:
//! 1. [`Local::observe`]: `Unclaimed` → [`Local::start`], which is also right after a crash in the middle of it;
//! 2. `Running` → it is so far; if the job should end, [`Local::cancel`];
//! 3. `Lost` → [`Local::settle`], which ends what is left; `Ended` → the last word.
//!
//! Must never break: what is done twice is done once; nothing is known here that is not in the attempt's directory.

mod artifacts;
mod attempt;
mod clock;
mod durable;
mod exit;
mod group;
mod log;
mod mask;
mod order;
pub mod process;

pub use artifacts::{Artifact, Artifacts};
pub use attempt::Observed;
pub use exit::{Exit, MemoryKeeper};
pub use log::{LogLimits, LogPart};
pub use mask::Mask;
pub use order::Order;

pub(crate) use artifacts::find;
pub(crate) use attempt::{AttemptDir, Claim, Claimed, MARK};
pub(crate) use clock::wall;
pub(crate) use durable::replace;
pub(crate) use group::Group;
pub(crate) use log::LogWriter;

use std::{
    fs::{self, DirBuilder, File},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use tern_protocol::id::JobId;

use crate::job::{AttemptKey, Given, JobSpec, Problem};

/// How the local compute is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where attempts and environments are. On a local file system: locks have to hold.
    pub root: PathBuf,
    /// The program `tern-job`.
    pub program: PathBuf,
    /// How much of a log is kept.
    pub log: LogLimits,
    /// How long a command has after it was asked to end, before it is ended.
    pub grace: Duration,
    /// How long the making of an environment may take.
    pub preparation: Duration,
    /// How many environments are kept for the next job that wants the same.
    pub environments_kept: usize,
    /// A control group (version 2) that was handed to us, if there is one.
    pub cgroup: Option<PathBuf>,
}

impl Settings {
    /// The usual ones.
    pub fn new(root: impl Into<PathBuf>, program: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            program: program.into(),
            log: LogLimits::default(),
            grace: Duration::from_secs(10),
            preparation: Duration::from_mins(30),
            environments_kept: 8,
            cgroup: None,
        }
    }
}

/// What came of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// A supervisor has it now.
    Now,
    /// It was started before; nothing was done.
    Before,
}

/// Why an attempt could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The job itself is wrong.
    #[error("the job cannot be run: {}", shown(.0))]
    Wrong(Vec<Problem>),
    /// Its directory cannot be made or read.
    #[error("the directory {dir} of the attempt")]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// Why.
        #[source]
        err: io::Error,
    },
    /// The program does not start.
    #[error("{program} does not start")]
    Program {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        err: io::Error,
    },
    /// The supervisor ended before it had claimed the attempt; it has not run.
    #[error("the supervisor ended before it began: {0}")]
    Supervisor(String),
}

fn shown(problems: &[Problem]) -> String {
    let each: Vec<String> = problems.iter().map(ToString::to_string).collect();
    each.join("; ")
}

/// What a supervisor and its job get of our own environment: who they are and how the network is reached. Whatever
/// else is in there, passwords of the database say, is none of their business.
const INHERITED: [&str; 19] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "XDG_CACHE_HOME",
    "UV_CACHE_DIR",
];

/// The local compute.
#[derive(Debug, Clone)]
pub struct Local {
    settings: Settings,
}

impl Local {
    /// Makes its directories.
    pub fn open(settings: Settings) -> io::Result<Self> {
        for dir in ["attempts", "environments"] {
            private_dir(&settings.root.join(dir))?;
        }
        Ok(Self { settings })
    }

    fn attempt(&self, key: AttemptKey) -> AttemptDir {
        let attempts = self.settings.root.join("attempts");
        AttemptDir::at(
            attempts
                .join(key.job.to_string())
                .join(key.number.to_string()),
        )
    }

    /// Starts an attempt, unless it was started before; `gpus` are the numbers of the graphics processors that it may
    /// see. Whoever is killed in the middle of it calls it again.
    pub fn start(
        &self,
        key: AttemptKey,
        spec: &JobSpec,
        gpus: &[u32],
    ) -> Result<Started, StartError> {
        self.start_with(key, spec, gpus, &Given::new())
    }

    /// As [`Self::start`], with variables besides those of the job.
    pub fn start_with(
        &self,
        key: AttemptKey,
        spec: &JobSpec,
        gpus: &[u32],
        given: &Given,
    ) -> Result<Started, StartError> {
        let problems = spec.problems();
        if !problems.is_empty() {
            return Err(StartError::Wrong(problems));
        }
        let attempt = self.attempt(key);
        let directory = |err| StartError::Directory {
            dir: attempt.path().to_owned(),
            err,
        };
        private_dir(attempt.path()).map_err(directory)?;
        if attempt.observe().map_err(directory)? != Observed::Unclaimed {
            return Ok(Started::Before);
        }
        let order = Order::of(key, spec, gpus, given, &self.settings);
        self.supervisor(&attempt, &order)
    }

    fn supervisor(&self, attempt: &AttemptDir, order: &Order) -> Result<Started, StartError> {
        let program = |err| StartError::Program {
            program: self.settings.program.clone(),
            err,
        };
        let says = attempt.path().join("supervisor");
        let inherited = INHERITED
            .iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut child = Command::new(&self.settings.program)
            .arg("supervise")
            .arg(attempt.path())
            .env_clear()
            .envs(inherited)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&says).map_err(program)?)
            .spawn()
            .map_err(program)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let text = serde_json::to_vec(order).expect("an order is JSON");
        // One that ended early says why by itself.
        let _ = stdin.map(|mut pipe| pipe.write_all(&text));
        let mut answer = String::new();
        if let Some(pipe) = stdout {
            let _ = BufReader::new(pipe.take(64)).read_line(&mut answer);
        }
        // It lives longer than this call, and somebody has to ask how it ended while we are there. When we are not,
        // the first process of the machine does.
        std::thread::spawn(move || child.wait());
        match answer.trim() {
            CLAIMED => Ok(Started::Now),
            TAKEN => Ok(Started::Before),
            _ => {
                let mut said = String::new();
                let read =
                    File::open(&says).and_then(|file| file.take(2000).read_to_string(&mut said));
                if read.is_err() || said.trim().is_empty() {
                    said = "it said nothing".into();
                }
                Err(StartError::Supervisor(said.trim().to_owned()))
            }
        }
    }

    /// How an attempt is.
    pub fn observe(&self, key: AttemptKey) -> io::Result<Observed> {
        self.attempt(key).observe_if_there()
    }

    /// Says that an attempt should end. One that was never started never will be; one that runs is asked to end, and
    /// ended with all of its processes if it does not. It returns at once.
    pub fn cancel(&self, key: AttemptKey) -> io::Result<()> {
        let attempt = self.attempt(key);
        private_dir(attempt.path())?;
        attempt.cancel()
    }

    /// Makes it final that an attempt is lost, after what is left of it was ended. Does nothing to one that is not.
    pub fn settle(&self, key: AttemptKey) -> io::Result<()> {
        let attempt = self.attempt(key);
        match attempt.observe_if_there()? {
            Observed::Lost(because) => {
                let base = self.settings.cgroup.as_deref();
                let group = base.and_then(|base| Group::of(base, key));
                attempt.settle(because, group.as_ref())
            }
            _ => Ok(()),
        }
    }

    /// Its log from a place on, and no more than so many bytes.
    pub fn log(&self, key: AttemptKey, offset: u64, most: usize) -> io::Result<LogPart> {
        log::read(&self.attempt(key).log(), offset, most)
    }

    /// An artifact of an attempt that has ended, by the name under which its `exit` has it: that is handed in, since it is
    /// long where there are many.
    pub fn artifact(&self, key: AttemptKey, exit: &Exit, path: &Path) -> io::Result<File> {
        let attempt = self.attempt(key);
        if !exit.artifacts.files.iter().any(|one| one.path == path) {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("attempt {key} has no artifact {}", path.display()),
            ));
        }
        let file = File::open(attempt.work().join(path))?;
        // A job may have put links there since it was looked at, had it been able to outlive its end.
        let real = fs::canonicalize(attempt.work().join(path))?;
        if real.starts_with(fs::canonicalize(attempt.work())?) {
            Ok(file)
        } else {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }

    /// Removes what an attempt left, once nobody wants it any more. One that has not ended stays, and the answer is
    /// false: without its claim it could be started once more.
    pub fn forget(&self, key: AttemptKey) -> io::Result<bool> {
        let attempt = self.attempt(key);
        if !matches!(attempt.observe_if_there()?, Observed::Ended(_)) {
            return Ok(false);
        }
        for dir in [attempt.work(), attempt.log()] {
            match fs::remove_dir_all(dir) {
                Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
                _ => {}
            }
        }
        Ok(true)
    }

    /// All attempts that there are files of: for one that finds more than its database knows.
    pub fn attempts(&self) -> io::Result<Vec<AttemptKey>> {
        let mut keys = Vec::new();
        let root = self.settings.root.join("attempts");
        for job in numbers(&root)? {
            let of_job = numbers(&root.join(job.to_string()))?;
            keys.extend(of_job.into_iter().filter_map(|number| {
                Some(AttemptKey {
                    job: JobId(job),
                    number: number.try_into().ok()?,
                })
            }));
        }
        keys.sort_unstable();
        Ok(keys)
    }
}

impl AttemptDir {
    /// As [`AttemptDir::observe`]; an attempt without a directory has not run.
    fn observe_if_there(&self) -> io::Result<Observed> {
        if self.path().is_dir() {
            self.observe()
        } else {
            Ok(Observed::Unclaimed)
        }
    }
}

/// What a supervisor answers on its standard output.
pub(crate) const CLAIMED: &str = "claimed";
/// As [`CLAIMED`], when somebody else was first.
pub(crate) const TAKEN: &str = "taken";

fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        numbers.extend(
            entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<u64>().ok()),
        );
    }
    Ok(numbers)
}

/// A directory that only we can look into: logs and files of other people's jobs are in it.
pub(crate) fn private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}
