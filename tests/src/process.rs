//! One real process: started, watched, signalled by its own id, and ended with its owner.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    thread,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::wait;

/// Lines of a log that a failed test shows. The end says why; the whole of it would bury that.
const SHOWN_LINES: usize = 60;

/// A wall clock that is not that of this machine, as `faketime -f` takes it: `+25d`, or
/// `@1970-01-02 00:00:00` from which on it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock(pub String);

impl Clock {
    /// Gives a program this clock.
    pub fn apply_to(&self, command: &mut Command) {
        // Not by the program `faketime`: it stays in between, and would get the signals. The loader
        // knows where `$LIB` is.
        command.env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketimeMT.so.1");
        command.env("FAKETIME", &self.0);
        // What waits for a span of time waits as long as ever, and files are as old as they are.
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command.env("NO_FAKE_STAT", "1");
    }
}

/// A program with its arguments under which another one runs, as its own child all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Under(pub Vec<OsString>);

/// A running process. Its output goes to files; dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    out: PathBuf,
    log: PathBuf,
}

impl Process {
    /// Starts `program`. What it says goes to `DIR/NAME.out` and `DIR/NAME.log`, after what an
    /// earlier process of that name said.
    #[track_caller]
    pub fn start<A: AsRef<OsStr>>(
        dir: &Path,
        name: &str,
        program: &Path,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        let mut command = Command::new(program);
        command.args(args);
        Self::spawn(dir, name, command)
    }

    /// Starts `program` as [`Self::start`] does, with another wall clock if there is one.
    #[track_caller]
    pub fn start_at<A: AsRef<OsStr>>(
        clock: Option<&Clock>,
        dir: &Path,
        name: &str,
        program: &Path,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        Self::start_under(None, clock, dir, name, program, args)
    }

    /// Starts `program` as [`Self::start_at`] does, under another one if there is one.
    #[track_caller]
    pub fn start_under<A: AsRef<OsStr>>(
        under: Option<&Under>,
        clock: Option<&Clock>,
        dir: &Path,
        name: &str,
        program: &Path,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        let line = under.map(|under| under.0.as_slice()).unwrap_or_default();
        let mut command = match line {
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            [] => Command::new(program),
        };
        command.args(args);
        if let Some(clock) = clock {
            clock.apply_to(&mut command);
        }
        Self::spawn(dir, name, command)
    }

    /// Starts what `command` says, as [`Self::start`] does.
    #[track_caller]
    pub fn spawn(dir: &Path, name: &str, mut command: Command) -> Self {
        let (out, log) = (
            dir.join(format!("{name}.out")),
            dir.join(format!("{name}.log")),
        );
        let shown = command.get_program().display().to_string();
        let child = command
            .stdin(Stdio::piped())
            .stdout(append(&out))
            .stderr(append(&log))
            .env("RUST_BACKTRACE", "1")
            .spawn()
            .unwrap_or_else(|err| panic!("starting {shown}: {err}"));
        let name = name.to_owned();
        Self {
            name,
            child,
            out,
            log,
        }
    }

    /// Its name in the logs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote on standard output so far, with earlier processes of its name.
    pub fn output(&self) -> String {
        read(&self.out)
    }

    /// What it wrote on standard error so far, with earlier processes of its name.
    pub fn log(&self) -> String {
        read(&self.log)
    }

    /// Writes a line to its standard input.
    #[track_caller]
    pub fn say(&mut self, line: &str) {
        let stdin: &mut ChildStdin = self.child.stdin.as_mut().expect("stdin is piped");
        writeln!(stdin, "{line}").expect("the process reads its input");
        stdin.flush().expect("the process reads its input");
    }

    /// Fails, with its log, if it has ended by itself. For waits on something it should do.
    #[track_caller]
    pub fn assert_runs(&mut self) {
        if let Some(status) = self.child.try_wait().expect("asking for a child of ours") {
            panic!("{} ended by itself with {status}", self.name);
        }
    }

    /// `kill -9`: no chance to tidy up.
    pub fn kill_9(mut self) {
        self.signal(Signal::SIGKILL);
        self.reap();
    }

    /// SIGTERM, and waits for the end.
    #[track_caller]
    pub fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.reap()
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub fn finish(mut self) -> ExitStatus {
        drop(self.child.stdin.take());
        self.reap()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("process ids fit an i32");
        // It may just have ended: then there is nothing to signal.
        let _ = kill(Pid::from_raw(id), signal);
    }

    #[track_caller]
    fn reap(&mut self) -> ExitStatus {
        let name = self.name.clone();
        wait::until(&format!("the end of {name}"), || {
            let status = self.child.try_wait().map_err(|err| err.to_string())?;
            status.ok_or_else(|| "it runs".into())
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::SIGKILL);
            let _ = self.child.wait();
        }
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
            eprintln!(
                "--- log of {}, its end:\n{}\n---",
                self.name,
                shown.join("\n")
            );
        }
    }
}

fn append(path: &Path) -> File {
    let opened = File::options().create(true).append(true).open(path);
    opened.unwrap_or_else(|err| panic!("opening {}: {err}", path.display()))
}

fn read(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
