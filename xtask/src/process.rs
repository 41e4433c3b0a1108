//! Processes that a task starts and must not leave behind.
//!
//! Called by fleets. Each process leads its own process group, so that Ctrl-C in the terminal
//! reaches only us and we end them in our order; `Drop` ends whatever still runs.

use std::{
    fs::{self, File},
    io::{Read, Write as _},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use crate::interrupt;

/// How long a process may take to end by itself after SIGTERM: an agent tries for 2 s to send its
/// last window, the hub commits and closes its broker.
const GRACE: Duration = Duration::from_secs(8);

/// How often a wait for a process looks again.
const LOOK: Duration = Duration::from_millis(20);

/// Lines of a log that an error shows.
const LOG_LINES: usize = 25;

/// A running process with its log.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it. What it says on standard error goes to `logs/NAME.log`, on standard output to
    /// `logs/NAME.out`; its standard input is ours to write.
    pub fn start(name: &str, mut command: Command, logs: &Path) -> Result<Self> {
        fs::create_dir_all(logs)?;
        let log = logs.join(format!("{name}.log"));
        let file = |path: &Path| File::create(path).with_context(|| path.display().to_string());
        command
            .stdin(Stdio::piped())
            .stdout(file(&logs.join(format!("{name}.out")))?)
            .stderr(file(&log)?)
            .process_group(0);
        let program = command.get_program().display().to_string();
        let child = command
            .spawn()
            .with_context(|| format!("starting {program}"))?;
        Ok(Self {
            name: name.into(),
            child,
            log,
        })
    }

    /// Its standard input; `None` once taken.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// An error with the end of its log if it is gone.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!(
                "{} ended ({status}); its log ends:\n{}",
                self.name,
                tail(&self.log)
            ),
        }
    }

    /// Waits for it to end by itself; `None` if it runs on.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let end = Instant::now() + limit;
        loop {
            match self.child.try_wait()? {
                None if Instant::now() < end => thread::sleep(LOOK),
                status => return Ok(status),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        // It may be gone, and that is what we want.
        let _ = killpg(Pid::from_raw(self.child.id() as i32), signal);
    }

    fn is_gone(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        stop(std::slice::from_mut(self));
    }
}

/// Ends processes together: SIGTERM to all, then time to end, then SIGKILL.
pub fn stop(processes: &mut [Process]) {
    // A process that is reaped has given its number away: signal only those that run.
    for process in processes.iter_mut().filter_map(running) {
        process.signal(Signal::SIGTERM);
    }
    let end = Instant::now() + GRACE;
    while Instant::now() < end && processes.iter_mut().any(|process| !process.is_gone()) {
        thread::sleep(LOOK);
    }
    for process in processes.iter_mut().filter_map(running) {
        process.signal(Signal::SIGKILL);
        let _ = process.child.wait();
    }
}

fn running(process: &mut Process) -> Option<&mut Process> {
    if process.is_gone() {
        None
    } else {
        Some(process)
    }
}

/// What a finished call said.
pub struct Answer {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: String,
}

/// Runs a command to its end, or ends it when we are interrupted.
pub fn call(command: Command) -> Result<Answer> {
    call_with(command, b"")
}

/// As [`call`]; says this much on its standard input: a line or two, which fit a pipe.
pub fn call_with(command: Command, input: &[u8]) -> Result<Answer> {
    ended(command, input, interrupt::check)
}

/// As [`call`], also when we were interrupted: for what has to be put away before we end. It may take as long as
/// processes get to end by themselves.
pub fn last_call(command: Command) -> Result<Answer> {
    let end = Instant::now() + GRACE;
    ended(command, b"", || {
        ensure!(
            Instant::now() < end,
            "it takes longer than {} s",
            GRACE.as_secs()
        );
        Ok(())
    })
}

/// Runs a command to its end, or ends it once `go_on` is an error.
fn ended(mut command: Command, input: &[u8], go_on: impl Fn() -> Result<()>) -> Result<Answer> {
    let program = command.get_program().display().to_string();
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .with_context(|| format!("starting {program}"))?;
    let mut process = Process {
        name: program,
        child,
        log: PathBuf::new(),
    };
    if let Some(mut stdin) = process.stdin() {
        // It may have ended without reading; how it ended says more.
        let _ = stdin.write_all(input);
    }
    // Both ends are read all the time, so that a talkative process never blocks on a full pipe.
    let stdout = collect(process.child.stdout.take());
    let stderr = collect(process.child.stderr.take());
    let status = loop {
        if let Some(status) = process.child.try_wait()? {
            break status;
        }
        go_on()?;
        thread::sleep(LOOK);
    };
    let read = |reader: thread::JoinHandle<Vec<u8>>| reader.join().unwrap_or_default();
    Ok(Answer {
        status,
        stdout: read(stdout),
        stderr: String::from_utf8_lossy(&read(stderr)).into_owned(),
    })
}

fn collect<R: Read + Send + 'static>(pipe: Option<R>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What came before an error is still worth showing.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// The end of a log, for an error.
fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.unwrap_or_else(|err| format!("({}: {err})", log.display()));
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_ends_with_its_guard_and_so_do_its_children() {
        let logs = tempfile::tempdir().expect("a folder");
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 1000 & sleep 1000"]);
        let mut process = Process::start("shell", shell, logs.path()).expect("sh starts");
        let group = Pid::from_raw(process.child.id() as i32);
        process.check().expect("it runs");
        drop(process);
        // Children that lost their parent are reaped by init, in its own time.
        let gone = interrupt::wait_for("the group is gone", GRACE, || {
            Ok(killpg(group, None).is_err().then_some(()))
        });
        assert!(gone.is_ok(), "{gone:?}");
    }

    #[test]
    fn a_process_that_failed_shows_its_log() {
        let logs = tempfile::tempdir().expect("a folder");
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo the disk is full >&2; exit 3"]);
        let mut process = Process::start("shell", shell, logs.path()).expect("sh starts");
        process.wait(GRACE).expect("it ends");
        let err = process.check().expect_err("it is gone").to_string();
        assert!(
            err.contains("exit status: 3") && err.contains("the disk is full"),
            "{err}"
        );
    }

    #[test]
    fn a_call_gives_both_outputs_however_long() {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "yes | head -c 300000; yes | head -c 300000 >&2; exit 1",
        ]);
        let answer = call(shell).expect("sh runs");
        assert_eq!(
            (answer.stdout.len(), answer.stderr.len()),
            (300_000, 300_000)
        );
        assert_eq!(answer.status.code(), Some(1));
    }
}
