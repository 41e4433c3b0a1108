//! What `tern-job` does with one attempt: claims it, makes its environment, runs its command, and says how it ended.
//!
//! Called by the program alone. It outlives whoever started it: it is the leader of its own session, holds no pipe to
//! anybody after its first word, and writes files only. One thread waits for one thing at a time (`watch`).
//!
//! - `step`: the moment between fork and command, in which limits are set that only a process can set for itself;
//! - `watch`: runs one command to its end, within its limits, and with all that comes from it;
//! - `prepare`: environments, made once for the same requirements;
//! - `project`: the job's files.
//!
//! Must never break:
//! - the claim is on disk before anything of the job runs;
//! - when the supervisor dies, its command dies with it: nobody would keep its limits or hear how it ended;
//! - when the command has ended nothing that came from it runs on.

mod prepare;
mod project;
mod signals;
mod step;
mod watch;

pub use step::{STEP, step};

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::sys::resource::{UsageWho, getrusage};

use crate::{
    job::{Ended, Phase},
    local::{
        AttemptDir, CLAIMED, Claim, Claimed, Exit, Group, LogWriter, MARK, Mask, MemoryKeeper,
        Order, TAKEN, find, process::Process, wall,
    },
};
use signals::Signals;

/// How long the last word is tried to be written: on a full disk room may come.
const LAST_WORD: Duration = Duration::from_mins(10);

/// Why there was nothing to supervise.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// Something of the system that everything else rests on.
    #[error("{what}: {err}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        err: io::Error,
    },
}

fn system<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> SuperviseError {
    move |err| SuperviseError::System {
        what,
        err: err.into(),
    }
}

/// Keeps the attempt in this directory, from the order on standard input to its end.
pub fn run(dir: &Path) -> Result<(), SuperviseError> {
    // Before the claim: whoever sees one may send a signal.
    let signals = Signals::hold().map_err(system("holding signals back"))?;
    // One that leads a session already is right as it is.
    let _ = rustix::process::setsid();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(system("taking in what loses its parents"))?;
    let order = Order::read(io::stdin().lock()).map_err(system("reading the order"))?;
    let attempt = AttemptDir::at(dir.to_owned());
    let this = Process::this();
    let claimed = attempt
        .claim(this)
        .map_err(system("claiming the attempt"))?;
    let Claimed::Ours { claim, lock } = claimed else {
        answer(TAKEN);
        return Ok(());
    };
    answer(CLAIMED);
    let log = LogWriter::create(attempt.log(), order.log).map_err(system("beginning the log"))?;
    let mut supervisor = Supervisor::new(attempt, order, &claim, signals, log);
    let exit = supervisor.attempt();
    let ended = supervisor.last_word(&exit);
    // Only now may anybody think that nobody is here.
    drop(lock);
    ended.map_err(system("saying how the attempt ended"))
}

/// Nobody may hear it any more, which changes nothing.
fn answer(word: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{word}").and_then(|()| out.flush());
}

struct Supervisor {
    attempt: AttemptDir,
    order: Order,
    signals: Signals,
    log: LogWriter,
    mask: Mask,
    variables: BTreeMap<OsString, OsString>,
    group: Option<Group>,
    peak: u64,
    survivors: usize,
    /// The last bytes of the log, in which a command may have said why it ended.
    last_words: Vec<u8>,
}

impl Supervisor {
    fn new(
        attempt: AttemptDir,
        mut order: Order,
        claim: &Claim,
        signals: Signals,
        log: LogWriter,
    ) -> Self {
        let mask = Mask::of(std::mem::take(&mut order.secrets));
        let group = order.cgroup.as_deref().and_then(|base| {
            Group::create(base, order.attempt, order.memory, order.cpu_millis).ok()
        });
        let mut this = Self {
            variables: variables(&order, claim),
            attempt,
            order,
            signals,
            log,
            mask,
            group,
            peak: 0,
            survivors: 0,
            last_words: Vec::new(),
        };
        if this.order.cgroup.is_some() && this.group.is_none() {
            this.say("no control group of its own: memory is watched instead");
        }
        this
    }

    /// From the claim to the end.
    fn attempt(&mut self) -> Exit {
        let ended = self.run_job();
        let rest = self.mask.finish();
        self.log.write(&rest);
        let artifacts = find(&self.attempt.work(), &self.order.artifacts);
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok();
        let by_processes = usage.map_or(0, |usage| {
            let (user, system) = (usage.user_time(), usage.system_time());
            let micros =
                (user.tv_sec() + system.tv_sec()) * 1_000_000 + user.tv_usec() + system.tv_usec();
            u64::try_from(micros / 1000).unwrap_or(0)
        });
        let largest = usage.map_or(0, |usage| {
            u64::try_from(usage.max_rss()).unwrap_or(0) * 1024
        });
        let group = self.group.as_ref();
        let exit = Exit {
            ended,
            at: wall(),
            core_millis: group
                .and_then(Group::core_millis)
                .unwrap_or(0)
                .max(by_processes),
            peak_memory: match group.and_then(Group::peak) {
                Some(peak) => peak,
                None if self.peak > 0 => self.peak,
                None => largest,
            },
            memory_kept_by: match (self.order.memory, group) {
                (0, _) => MemoryKeeper::Nobody,
                (_, Some(_)) => MemoryKeeper::Group,
                (_, None) => MemoryKeeper::Supervisor,
            },
            artifacts,
            log_bytes: self.log.total(),
            survivors: self.survivors,
        };
        if let Some(group) = group {
            group.remove();
        }
        exit
    }

    fn run_job(&mut self) -> Ended {
        if self.attempt.should_end() {
            return Ended::Cancelled;
        }
        if let Some(missing) = self.missing_dataset() {
            return Ended::NotStarted(missing);
        }
        // A disk that takes no phase takes no job either; the phase is only shown.
        let _ = self.attempt.set_phase(Phase::Preparing);
        if let Err(ended) = self.copy_project() {
            return ended;
        }
        // Held until the end: as long as it is, nobody takes the environment away.
        let _environment = match self.prepare() {
            Ok(environment) => environment,
            Err(ended) => return ended,
        };
        let _ = self.attempt.set_phase(Phase::Running);
        let command = self.order.command.clone();
        let limit = Duration::from_secs(self.order.time_limit);
        self.watch(&command, limit, watch::Memory::Kept)
    }

    fn missing_dataset(&self) -> Option<String> {
        let dataset = self.order.dataset.as_ref()?;
        let missing = dataset.starts_with('/') && !Path::new(dataset).exists();
        missing.then(|| format!("there is no dataset at {dataset}"))
    }

    /// A line of our own in the log.
    fn say(&mut self, line: &str) {
        let line = format!("[tern] {line}\n");
        let pass = self.mask.pass(line.as_bytes());
        self.log.write(&pass);
    }

    fn last_word(&self, exit: &Exit) -> io::Result<()> {
        let until = Instant::now() + LAST_WORD;
        loop {
            match self.attempt.end(exit) {
                // Somebody has taken its directory away: nobody wants to know.
                Err(_) if !self.attempt.path().exists() => return Ok(()),
                Err(_) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_secs(1));
                }
                ended => return ended,
            }
        }
    }
}

/// The environment of the command: ours, which is small already; the job's own; and what the runner says.
fn variables(order: &Order, claim: &Claim) -> BTreeMap<OsString, OsString> {
    let mut all: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    let mut set = |name: &str, value: String| all.insert(name.into(), value.into());
    let cores = order.cpu_millis.div_ceil(1000);
    // What libraries start by themselves otherwise is a thread for each core of the machine.
    for name in ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"] {
        set(name, cores.to_string());
    }
    let gpus: Vec<String> = order.gpus.iter().map(ToString::to_string).collect();
    set("CUDA_VISIBLE_DEVICES", gpus.join(","));
    // What a program says shall be seen while it runs.
    set("PYTHONUNBUFFERED", "1".into());
    for (name, value) in &order.variables {
        set(name, value.clone());
    }
    set("TERN_JOB", order.attempt.job.to_string());
    set("TERN_ATTEMPT", order.attempt.number.to_string());
    set(MARK, claim.mark.clone());
    if let Some(dataset) = &order.dataset {
        set("TERN_DATASET", dataset.clone());
    }
    all
}

/// Puts the programs of a virtual environment first.
fn enter(variables: &mut BTreeMap<OsString, OsString>, venv: &Path) {
    let bin = venv.join("bin");
    let before = variables.get(&OsString::from("PATH")).cloned();
    let rest = before.unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let all = std::iter::once(bin).chain(std::env::split_paths(&rest).collect::<Vec<PathBuf>>());
    let path = std::env::join_paths(all).unwrap_or(rest);
    variables.insert("PATH".into(), path);
    variables.insert("VIRTUAL_ENV".into(), venv.into());
}
