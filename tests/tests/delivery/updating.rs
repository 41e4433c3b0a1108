//! A device that is about to get the next version, and whose system calls fail, or end it, at a moment that a
//! test chooses.

use std::{ffi::OsString, fs, path::PathBuf};

use tern_protocol::{digest::Digest, rest::VersionView};
use tern_tests::{
    agent::Status,
    fleet::{Fleet, meter},
    package::{self, Package},
    process::Under,
    programs, wait,
};

/// How the next version comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coming {
    /// All of it in chunks.
    Whole,
    /// As a delta to the one that serves.
    Delta,
}

/// A device that serves version 1, and is to have version 2. It does not run.
pub struct Updating {
    pub fleet: Fleet,
    pub packages: [Package; 2],
    pub version: VersionView,
    /// What the hub has counted.
    pub counted: u64,
}

/// What happens at system calls that touch some files.
#[derive(Debug, Clone, Copy)]
pub struct Fault<'a> {
    /// Which calls, as `strace` names them.
    pub calls: &'a str,
    /// What happens: `error=…` or `signal=…`.
    pub effect: &'a str,
    /// At which of them, as `strace` writes it: `3`, `3+`, `3..5`. Each thread and each kind of call has a count of
    /// its own.
    pub when: &'a str,
}

#[track_caller]
pub fn updating(coming: Coming) -> Updating {
    let budget: &[&str] = match coming {
        Coming::Whole => &["--delta-budget", "0"],
        Coming::Delta => &[],
    };
    let mut fleet = Fleet::with_hub(budget);
    fleet.add(&meter(1).activation("trial = \"1s\""));
    let packages = match coming {
        Coming::Whole => [300, 5000].map(|hidden| package::random(fleet.dir(), 1, hidden)),
        Coming::Delta => [package::random, package::nudged].map(|make| make(fleet.dir(), 1, 5000)),
    };
    fleet.serve(&packages[0]);
    fleet.agents[0].infer(&packages[0].samples()[0]);
    let counted = fleet.counts_exactly(0);
    fleet.agents[0].terminate();
    let version = fleet.publish(&packages[1]);
    fleet.roll_out(version.version);
    Updating {
        fleet,
        packages,
        version,
        counted,
    }
}

impl Updating {
    /// Files of the second version on their way, with this ending.
    pub fn blobs(&self, ending: &str) -> Vec<PathBuf> {
        let parts = self.packages[1].blobs().map(Digest::of);
        let all = [self.version.bundle.digest].into_iter().chain(parts);
        let names = all.map(|digest| format!("blobs/{digest}{ending}"));
        names.map(|name| self.below_state(&name)).collect()
    }

    pub fn below_state(&self, name: &str) -> PathBuf {
        self.fleet.agents[0].state().join(name)
    }

    /// What `strace` wrote: the calls that were made to fail.
    pub fn faults(&self) -> String {
        fs::read_to_string(self.fleet.dir().join("faults")).unwrap_or_default()
    }

    /// Starts the agent with this fault at calls that touch these files, which may end it there and then; nothing
    /// without `strace`.
    #[track_caller]
    pub fn run_with(&mut self, fault: Fault<'_>, files: &[PathBuf]) -> Option<()> {
        let Fault {
            calls,
            effect,
            when,
        } = fault;
        let strace = programs::find("strace")?;
        let mut line: Vec<OsString> = vec![strace.into()];
        // `-I1`: it can be told to let go.
        line.extend(["-D", "-I1", "-f", "-q", "-o"].map(Into::into));
        line.push(self.fleet.dir().join("faults").into());
        for file in files {
            line.extend(["-P".into(), file.into()]);
        }
        for what in [
            format!("trace={calls}"),
            format!("inject={calls}:{effect}:when={when}"),
        ] {
            line.extend(["-e".into(), what.into()]);
        }
        self.fleet.agents[0].set_under(Some(Under(line)));
        self.fleet.agents[0].run_or_end();
        Some(())
    }

    /// Waits until a model answers.
    #[track_caller]
    pub fn answers(&self) {
        self.until("a model to answer", |status| {
            status.slots.iter().any(|slot| slot.serving.is_some())
        });
        self.fleet.agents[0].infer(&self.packages[0].samples()[0]);
    }

    /// Waits until the agent says so of itself.
    #[track_caller]
    pub fn until(&self, what: &str, holds: impl Fn(&Status) -> bool) -> Status {
        wait::until(what, || {
            let status = self.fleet.agents[0].status();
            wait::that(holds(&status), || format!("{status:?}: {}", self.faults()))?;
            Ok(status)
        })
    }

    /// Waits until the second version serves and answers as it should.
    #[track_caller]
    pub fn completes(&self) -> Status {
        let agent = &self.fleet.agents[0];
        let status = agent.serves(self.version.version.get());
        let input = &self.packages[1].samples()[0];
        package::assert_same(&agent.infer(input), &self.packages[1].bare(), input);
        status
    }
}
