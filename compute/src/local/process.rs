//! Processes of this machine, as `/proc` shows them.
//!
//! Must never break: a process is named by its number *and* the time at which it started, since numbers are given
//! again; no signal goes to a number alone that this process has not started itself.

use std::{collections::BTreeMap, fs, io};

use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};

/// One process: nobody else's, even after it ended and its number was given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// When it started, in ticks since the machine did.
    pub start: u64,
}

/// What `/proc/PID/stat` says and we need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: i32,
    start: u64,
    /// Ended, and waits for its parent to ask how.
    zombie: bool,
}

impl Process {
    /// The one with this number now.
    pub fn now(pid: i32) -> Option<Self> {
        let start = stat(pid)?.start;
        Some(Self { pid, start })
    }

    /// This process itself.
    pub fn this() -> Option<Self> {
        Self::now(rustix::process::getpid().as_raw_nonzero().get())
    }

    /// Sends it a signal, unless it is gone; then the answer is false.
    pub fn signal(self, signal: Signal) -> io::Result<bool> {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return Ok(false);
        };
        // Once the descriptor is open the number cannot pass to somebody else without its noticing.
        let sent = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) if Self::now(self.pid) == Some(self) => {
                rustix::process::pidfd_send_signal(&fd, signal)
            }
            Ok(_) => return Ok(false),
            // A sandbox may forbid the call: then the moment between look and signal remains.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM)
                if Self::now(self.pid) == Some(self) =>
            {
                rustix::process::kill_process(pid, signal)
            }
            Err(err) => Err(err),
        };
        match sent {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(err) => Err(err.into()),
        }
    }
}

/// Which start of the machine this is.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

/// A word that nobody else has.
pub(crate) fn unique() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/uuid")?
        .trim()
        .to_owned())
}

fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name stands in brackets and may hold any of them.
    let (_, after) = text.rsplit_once(')')?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    Some(Stat {
        zombie: matches!(*fields.first()?, "Z" | "X"),
        parent: fields.get(1)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
    })
}

/// All processes that can be seen.
fn all() -> BTreeMap<i32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers
        .filter_map(|pid: i32| Some((pid, stat(pid)?)))
        .collect()
}

/// Those that come from this one, at whatever distance, without those that have ended.
pub(crate) fn descendants(root: i32) -> Vec<Process> {
    let all = all();
    let comes_from_root = |pid: i32| {
        let mut at = pid;
        // A parent is older than its child, but numbers wrap: so no more steps than there are processes.
        for _ in 0..all.len() {
            match all.get(&at) {
                Some(one) if one.parent == root => return true,
                Some(one) => at = one.parent,
                None => return false,
            }
        }
        false
    };
    living(&all)
        .filter(|one| comes_from_root(one.pid))
        .collect()
}

/// Those that carry this mark in their environment, also if they have left their parents, without those that have ended.
pub(crate) fn marked(mark: &str) -> Vec<Process> {
    let all = all();
    living(&all).filter(|one| carries(one.pid, mark)).collect()
}

fn living(all: &BTreeMap<i32, Stat>) -> impl Iterator<Item = Process> {
    let living = all.iter().filter(|(_, one)| !one.zombie);
    living.map(|(pid, one)| Process {
        pid: *pid,
        start: one.start,
    })
}

fn carries(pid: i32, mark: &str) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
        return false;
    };
    environment
        .split(|byte| *byte == 0)
        .any(|one| one == mark.as_bytes())
}

/// Bytes that these processes hold in memory. What two share is counted once, where the system says so.
pub(crate) fn held(processes: &[Process], limit: u64) -> u64 {
    let resident = |one: &Process| statm(one.pid).unwrap_or(0);
    let sum: u64 = processes.iter().map(resident).sum();
    if sum <= limit {
        return sum;
    }
    // The exact figure costs a walk through all pages, so it is asked for only when it decides.
    let exact = |one: &Process| proportional(one.pid).unwrap_or_else(|| resident(one));
    processes.iter().map(exact).sum()
}

/// Resident bytes without those of files, which the system takes back when it needs them.
fn statm(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let mut fields = text
        .split_whitespace()
        .map(|field| field.parse::<u64>().ok());
    let (resident, shared) = (fields.nth(1)??, fields.next()??);
    Some(resident.saturating_sub(shared) * rustix::param::page_size() as u64)
}

fn proportional(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Pss_Anon:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_the_rest_of_the_line() {
        let rest = "S 7 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 424242 1 2";
        for name in ["sh", "a b", ") R 1 1 (x", "))"] {
            let read = parse_stat(&format!("12 ({name}) {rest}")).unwrap();
            assert_eq!((read.parent, read.start, read.zombie), (7, 424_242, false));
        }
        assert_eq!(parse_stat("12 (sh) S 7"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn a_number_with_another_start_is_somebody_else() {
        let this = Process::this().unwrap();
        assert_eq!(Process::now(this.pid), Some(this));
        let other = Process {
            start: this.start + 1,
            ..this
        };
        // It would end this very test.
        assert!(!other.signal(Signal::KILL).unwrap());
        let nobody = Process { pid: 0, start: 0 };
        assert!(!nobody.signal(Signal::KILL).unwrap());
    }

    #[test]
    fn this_process_holds_memory() {
        let this = Process::this().unwrap();
        assert!(held(&[this], u64::MAX) > 0);
        assert!(held(&[this], 0) > 0);
    }
}
