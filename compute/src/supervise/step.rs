//! The moment between supervisor and command: a process that sets for itself what only it can, and becomes the command.
//!
//! The usual place is a hook between fork and exec, which needs unsafe code.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, ExitCode},
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::process::Signal;

use super::signals;
use crate::local::replace;

/// How `tern-job` is told that it is one.
pub const STEP: &str = "step";

/// What a shell says of a command that it did not find.
pub(super) const NOT_STARTED: u8 = 127;

/// How likely the system's memory killer takes a job rather than the hub, -1000 to 1000.
const RATHER_US: &str = "500";

/// What a step is told, as arguments.
pub(super) struct Step<'a> {
    /// Where it says why there is no command.
    pub(super) says: &'a Path,
    /// Who its parent is.
    pub(super) supervisor: i32,
    /// Bytes that one process may reserve; 0 sets no limit.
    pub(super) data: u64,
    /// The control group to go into.
    pub(super) group: Option<&'a Path>,
}

impl Step<'_> {
    pub(super) fn args(&self) -> [OsString; 5] {
        [
            STEP.into(),
            self.says.into(),
            self.supervisor.to_string().into(),
            self.data.to_string().into(),
            self.group.map_or_else(|| "-".into(), Into::into),
        ]
    }
}

/// Becomes the command, or says why not.
pub fn step(args: &[OsString]) -> ExitCode {
    let [says, supervisor, data, group, program, words @ ..] = args else {
        return ExitCode::from(2);
    };
    let number = |text: &OsStr| text.to_str().and_then(|text| text.parse::<u64>().ok());
    let (Some(supervisor), Some(data)) = (number(supervisor), number(data)) else {
        return ExitCode::from(2);
    };
    let why = become_command(supervisor, data, Path::new(group), program, words);
    // If this cannot be written either, the exit code stands alone.
    let _ = replace(Path::new(says), why.as_bytes());
    ExitCode::from(NOT_STARTED)
}

fn become_command(
    supervisor: u64,
    data: u64,
    group: &Path,
    program: &OsStr,
    words: &[OsString],
) -> String {
    // A session of its own: its process group gets what we send, and no terminal sends anything.
    let _ = rustix::process::setsid();
    let dies_with_us = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    if let Err(err) = dies_with_us {
        return format!("it could not be tied to its supervisor: {err}");
    }
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    if parent.and_then(|pid| u64::try_from(pid).ok()) != Some(supervisor) {
        return "its supervisor died".into();
    }
    if group != Path::new("-") && fs::write(group.join("cgroup.procs"), "0").is_err() {
        return "it could not enter its control group".into();
    }
    if data > 0
        && let Ok((_, hard)) = getrlimit(Resource::RLIMIT_DATA)
        && let Err(err) = setrlimit(Resource::RLIMIT_DATA, data.min(hard), data.min(hard))
    {
        return format!("its memory could not be limited: {err}");
    }
    // A core of a job is as large as its limit, and nobody would look at it. Both are wishes.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = fs::write("/proc/self/oom_score_adj", RATHER_US);
    if let Err(err) = signals::release() {
        return format!("signals are held back from it: {err}");
    }
    let err = Command::new(program).args(words).exec();
    format!("{}: {err}", program.to_string_lossy())
}
