//! Runs one command to its end: hears what it says, keeps it to its limits, and ends it with all that came from it.

use std::{
    fs,
    io::{self, PipeReader, Read as _},
    os::fd::AsFd as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, WaitOptions, WaitStatus, kill_process_group},
};

use super::{
    Supervisor,
    signals::Told,
    step::{NOT_STARTED, Step},
};
use crate::{
    job::{Ended, Evidence},
    local::{
        Group,
        process::{Process, descendants, held},
    },
};

/// How often memory and the wish to end are looked at when nothing else happens.
const LOOK: Duration = Duration::from_millis(200);
/// How long what is left may take to end after it was killed; what takes longer hangs in the kernel.
const HANGS: Duration = Duration::from_secs(10);
/// How long an output may stay open when nobody is left who could write.
const DRAIN: Duration = Duration::from_secs(2);
/// Bytes of the last words that are kept to look into.
const LAST_WORDS: usize = 4096;

/// Whether a command is kept to the job's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// It is.
    Kept,
    /// It is not: the making of an environment is not what the job asked memory for.
    Free,
}

/// An end that was decided on and has not come yet.
struct Ending {
    why: Ended,
    /// When it is no longer asked.
    kill_at: Instant,
}

/// One command that runs.
struct Running {
    pid: Pid,
    output: Option<PipeReader>,
    deadline: Instant,
    next_look: Instant,
    ending: Option<Ending>,
}

impl Supervisor {
    /// Runs a command to its end.
    pub(super) fn watch(&mut self, words: &[String], limit: Duration, memory: Memory) -> Ended {
        let mut running = match self.spawn(words, limit, memory) {
            Ok(running) => running,
            Err(err) => return Ended::NotStarted(err.to_string()),
        };
        let ended = self.until_the_end(&mut running, memory);
        self.end_rest();
        self.drain(&mut running);
        match ended {
            Ok(status) => self.judge(&running, status, memory),
            // What everything rests on broke: that is not the command's doing.
            Err(err) => {
                self.say(&format!("the supervisor lost sight of the command: {err}"));
                Ended::Interrupted
            }
        }
    }

    fn spawn(&mut self, words: &[String], limit: Duration, memory: Memory) -> io::Result<Running> {
        let work = self.attempt.work();
        crate::local::private_dir(&work)?;
        let (output, writer) = io::pipe()?;
        let kept = memory == Memory::Kept;
        let step = Step {
            says: &self.attempt.not_started(),
            supervisor: rustix::process::getpid().as_raw_nonzero().get(),
            data: match &self.group {
                None if kept => self.order.memory.saturating_mul(2),
                _ => 0,
            },
            group: self.group.as_ref().filter(|_| kept).map(Group::path),
        };
        // The file of this process, whatever has become of its name.
        let child = Command::new("/proc/self/exe")
            .args(step.args())
            .args(words)
            .env_clear()
            .envs(&self.variables)
            .current_dir(&work)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let now = Instant::now();
        Ok(Running {
            pid: pid.expect("a process that was just started has a number"),
            output: Some(output),
            deadline: now + limit,
            next_look: now,
            ending: None,
        })
    }

    fn until_the_end(&mut self, running: &mut Running, memory: Memory) -> io::Result<WaitStatus> {
        loop {
            if let Some(status) = reap(Some(running.pid)) {
                return Ok(status);
            }
            let now = Instant::now();
            if now >= running.next_look {
                running.next_look = now + LOOK;
                self.look(running, memory);
            }
            if now >= running.deadline {
                self.begin_to_end(running, Ended::TimeLimit);
            }
            if let Some(ending) = &running.ending
                && now >= ending.kill_at
            {
                self.kill_all();
            }
            let (said, told) = wait_for(
                running.output.as_ref(),
                Some(&self.signals),
                running.next_look.saturating_duration_since(now),
            )?;
            if told && let Some(why) = self.told_to_end() {
                self.begin_to_end(running, why);
            }
            if said {
                self.hear(running);
            }
        }
    }

    /// Why it should end, if a signal says so: by a person's wish, which is in a file, or the machine's. What signals there
    /// were is read.
    pub(super) fn told_to_end(&self) -> Option<Ended> {
        let mut told = false;
        while let Some(one) = self.signals.next() {
            told |= one == Told::Stop;
        }
        let why = || {
            if self.attempt.should_end() {
                Ended::Cancelled
            } else {
                Ended::Interrupted
            }
        };
        told.then(why)
    }

    fn look(&mut self, running: &mut Running, memory: Memory) {
        if self.attempt.should_end() {
            self.begin_to_end(running, Ended::Cancelled);
        }
        let limit = self.order.memory;
        if memory == Memory::Free || limit == 0 || self.group.is_some() {
            return;
        }
        let bytes = held(&processes(), limit);
        self.peak = self.peak.max(bytes);
        if bytes > limit {
            self.begin_to_end(running, Ended::OutOfMemory(Evidence::Held(bytes)));
            // No grace: in that time it would take what others need.
            self.kill_all();
        }
    }

    /// Asks all of it to end, once. The first reason is the one that counts.
    fn begin_to_end(&mut self, running: &mut Running, why: Ended) {
        if running.ending.is_some() {
            return;
        }
        self.say(&format!("ending it: {why}"));
        let kill_at = Instant::now() + Duration::from_secs(self.order.grace);
        running.ending = Some(Ending { why, kill_at });
        // The group at once, and then those that have left it. What is gone already needs nothing.
        let _ = kill_process_group(running.pid, Signal::TERM);
        for one in processes() {
            let in_group = Pid::from_raw(one.pid)
                .and_then(|pid| rustix::process::getpgid(Some(pid)).ok())
                == Some(running.pid);
            if !in_group {
                let _ = one.signal(Signal::TERM);
            }
        }
    }

    /// Ends all of it, once; the number of those that were there.
    fn kill_all(&self) -> usize {
        if let Some(group) = &self.group {
            group.end();
        }
        let all = processes();
        for one in &all {
            let _ = one.signal(Signal::KILL);
        }
        all.len()
    }

    /// Ends what the command left behind. One that forks all the time loses: each round ends more than it makes, since
    /// those that were ended make none.
    fn end_rest(&mut self) {
        let until = Instant::now() + HANGS;
        loop {
            self.survivors = self.kill_all();
            reap(None);
            if self.survivors == 0 || Instant::now() >= until {
                return;
            }
            // A signal says that one of them ended; if none comes it is time to look again.
            let _ = wait_for(None, Some(&self.signals), Duration::from_millis(20));
            while self.signals.next().is_some() {}
        }
    }

    /// Reads what is still in the pipe.
    fn drain(&mut self, running: &mut Running) {
        let until = Instant::now() + DRAIN;
        while running.output.is_some() && Instant::now() < until {
            match wait_for(running.output.as_ref(), None, LOOK) {
                Ok((true, _)) => self.hear(running),
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    fn hear(&mut self, running: &mut Running) {
        let Some(output) = &mut running.output else {
            return;
        };
        // What a pipe holds by itself, in four.
        let mut buffer = [0; 16 * 1024];
        match output.read(&mut buffer) {
            Ok(0) => running.output = None,
            Err(err) if err.kind() != io::ErrorKind::Interrupted => running.output = None,
            Err(_) => {}
            Ok(length) => {
                let bytes = self.mask.pass(&buffer[..length]);
                self.log.write(&bytes);
                self.last_words.extend_from_slice(&bytes);
                let surplus = self.last_words.len().saturating_sub(LAST_WORDS);
                self.last_words.drain(..surplus);
            }
        }
    }

    fn judge(&mut self, running: &Running, status: WaitStatus, memory: Memory) -> Ended {
        if let Some(ending) = &running.ending {
            return ending.why.clone();
        }
        let kept = memory == Memory::Kept && self.order.memory > 0;
        let ended = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Ended::Exited(code),
            (None, Some(signal)) => Ended::Signalled(signal),
            (None, None) => Ended::Interrupted,
        };
        if ended.is_success() {
            return ended;
        }
        if kept && self.group.as_ref().is_some_and(|group| group.kills() > 0) {
            return Ended::OutOfMemory(Evidence::Kernel);
        }
        if kept && self.group.is_none() && says_out_of_memory(&self.last_words) {
            return Ended::OutOfMemory(Evidence::LastWords);
        }
        if ended == Ended::Exited(NOT_STARTED.into())
            && let Ok(why) = fs::read_to_string(self.attempt.not_started())
        {
            return Ended::NotStarted(why);
        }
        ended
    }
}

/// All that came from the command: what loses its parents is ours.
fn processes() -> Vec<Process> {
    descendants(rustix::process::getpid().as_raw_nonzero().get())
}

/// Asks how children ended, until there is none that has; how `main` did, if it was among them.
fn reap(main: Option<Pid>) -> Option<WaitStatus> {
    let mut found = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if Some(pid) == main {
            found = Some(status);
        }
    }
    found
}

/// Waits until something is said, a signal arrives or the time is over: whether there is output, and a signal.
fn wait_for(
    output: Option<&PipeReader>,
    signals: Option<&super::Signals>,
    most: Duration,
) -> io::Result<(bool, bool)> {
    let mut fds = Vec::with_capacity(2);
    fds.extend(output.map(|output| PollFd::from_borrowed_fd(output.as_fd(), PollFlags::IN)));
    fds.extend(signals.map(|signals| PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)));
    let most = Timespec {
        tv_sec: i64::try_from(most.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: most.subsec_nanos().into(),
    };
    match poll(&mut fds, Some(&most)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(err) => return Err(err.into()),
    }
    let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
    let said = output.is_some() && ready.next() == Some(true);
    Ok((said, ready.next() == Some(true)))
}

/// Whether a program said that memory was refused to it: that of the machine, not that of a graphics processor.
fn says_out_of_memory(last_words: &[u8]) -> bool {
    let said = String::from_utf8_lossy(last_words);
    let names = [
        "MemoryError",
        "memory allocation of ",
        "std::bad_alloc",
        "Cannot allocate memory",
        "java.lang.OutOfMemoryError",
    ];
    said.lines()
        .any(|line| names.iter().any(|name| line.contains(name)) && !line.contains("CUDA"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_of_the_machines_memory() {
        for said in [
            "Traceback (most recent call last):\nMemoryError",
            "memory allocation of 99999 bytes failed\n",
            "terminate called after throwing an instance of 'std::bad_alloc'",
            "OSError: [Errno 12] Cannot allocate memory",
        ] {
            assert!(says_out_of_memory(said.as_bytes()), "{said}");
        }
        for said in [
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
            "epoch 3: out of memory samples 0",
            "",
        ] {
            assert!(!says_out_of_memory(said.as_bytes()), "{said}");
        }
    }
}
