//! The disk is full while a device writes: at each kind of write of an update, for ever or for a while. What
//! serves serves on, and when there is room again the update completes and the counts are exact.

use std::{ffi::OsString, fs, path::PathBuf};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tern_protocol::{digest::Digest, rest::VersionView};
use tern_tests::{
    fleet::{Fleet, meter},
    package::{self, Package},
    process::Under,
    programs,
    traffic::Traffic,
    wait,
};

/// Calls that need room.
const CALLS: &str = "write,pwrite64,writev,openat,ftruncate,fallocate,mkdir,rename";

/// A device that serves version 1, and is to have version 2.
struct Waiting {
    fleet: Fleet,
    packages: [Package; 2],
    version: VersionView,
    /// What the hub has counted.
    counted: u64,
}

#[track_caller]
fn waiting() -> Waiting {
    // All of it comes in chunks.
    let mut fleet = Fleet::with_hub(&["--delta-budget", "0"]);
    fleet.add(&meter(1).activation("trial = \"1s\""));
    let packages = [300, 5000].map(|hidden| package::random(fleet.dir(), 1, hidden));
    fleet.serve(&packages[0]);
    fleet.agents[0].infer(&packages[0].samples()[0]);
    let counted = fleet.counts_exactly(0);
    fleet.agents[0].terminate();
    let version = fleet.publish(&packages[1]);
    fleet.roll_out(version.version);
    Waiting {
        fleet,
        packages,
        version,
        counted,
    }
}

impl Waiting {
    /// Files of the second version on their way, with this ending.
    fn blobs(&self, ending: &str) -> Vec<PathBuf> {
        let parts = self.packages[1].blobs().map(Digest::of);
        let all = [self.version.bundle.digest].into_iter().chain(parts);
        let blobs = self.fleet.agents[0].state().join("blobs");
        all.map(|digest| blobs.join(format!("{digest}{ending}")))
            .collect()
    }

    fn below_state(&self, names: &[&str]) -> Vec<PathBuf> {
        let state = self.fleet.agents[0].state();
        names.iter().map(|name| state.join(name)).collect()
    }
}

/// Starts the agent on a disk that is full for these files, at these calls of a thread.
#[track_caller]
fn full(waiting: &mut Waiting, files: &[PathBuf], when: &str) -> Option<()> {
    let strace = programs::find("strace")?;
    let log = waiting.fleet.dir().join("full");
    let mut line: Vec<OsString> = vec![strace.into()];
    // `-I1`: it can be told to let go.
    line.extend(["-D", "-I1", "-f", "-q", "-o"].map(Into::into));
    line.push(log.clone().into());
    for file in files {
        line.extend(["-P".into(), file.clone().into()]);
    }
    for what in [
        format!("trace={CALLS}"),
        format!("inject={CALLS}:error=ENOSPC:when={when}"),
    ] {
        line.extend(["-e".into(), what.into()]);
    }
    waiting.fleet.agents[0].set_under(Some(Under(line)));
    waiting.fleet.agents[0].run();
    let input = waiting.packages[0].samples()[0].clone();
    wait::until("a model to answer", || {
        let status = waiting.fleet.agents[0].status();
        let serves = status.slots.iter().any(|slot| slot.serving.is_some());
        wait::that(serves, || format!("{status:?}"))
    });
    let load = Traffic::start([waiting.fleet.agents[0].address()], &[input]);
    wait::until("the disk to have been full", || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        let status = waiting.fleet.agents[0].status();
        wait::that(text.contains("(INJECTED)"), || {
            format!("{text}: {status:?}")
        })
    });
    let answered = waiting.fleet.agents[0].status().inferences;
    wait::until("answers while the disk is full", || {
        let status = waiting.fleet.agents[0].status();
        wait::that(status.inferences >= answered + 100, || {
            format!("{status:?}")
        })
    });
    let answers = load.stop();
    assert_eq!(
        answers.failed,
        Vec::<String>::new(),
        "what serves serves on"
    );
    Some(())
}

/// There is room again: the agent goes on by itself.
#[track_caller]
fn room_again(waiting: &mut Waiting) {
    let agent = waiting.fleet.agents[0].process().id();
    let status = fs::read_to_string(format!("/proc/{agent}/status")).expect("the agent runs");
    let tracer = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"));
    let tracer = tracer
        .and_then(|id| id.trim().parse().ok())
        .expect("it is traced");
    kill(Pid::from_raw(tracer), Signal::SIGTERM).expect("it runs");
    waiting.fleet.online("meter-01");
    wait::until("the agent to have its store again", || {
        let status = waiting.fleet.agents[0].status();
        wait::that(status.online, || format!("{status:?}"))
    });
}

/// There is room again: the agent is started anew, since it waits for minutes before it fetches again what
/// did not fit.
#[track_caller]
fn started_again(waiting: &mut Waiting) {
    let agent = &mut waiting.fleet.agents[0];
    agent.set_under(None);
    let told = agent.status();
    assert!(agent.terminate().success(), "{told:?}");
    waiting.counted += told.inferences;
    agent.run();
}

/// At all of these calls, one after the other, until `again` makes room.
#[track_caller]
fn at(files: impl Fn(&Waiting) -> Vec<PathBuf>, moments: &[&str], again: impl Fn(&mut Waiting)) {
    for when in moments {
        let mut waiting = waiting();
        let files = files(&waiting);
        if full(&mut waiting, &files, when).is_none() {
            return;
        }
        again(&mut waiting);
        let agent = &waiting.fleet.agents[0];
        agent.serves(waiting.version.version.get());
        let input = &waiting.packages[0].samples()[0];
        let answer = agent.infer(input);
        package::assert_same(&answer, &waiting.packages[1].bare(), input);
        waiting.fleet.counts_exactly(waiting.counted);
    }
}

#[test]
fn the_disk_is_full_when_a_file_for_chunks_is_made() {
    at(|it| it.blobs(".part"), &["1+"], started_again);
}

#[test]
fn the_disk_is_full_in_the_middle_of_the_chunks() {
    at(|it| it.blobs(".part"), &["12+", "20..22"], started_again);
}

#[test]
fn the_disk_is_full_when_chunks_are_marked() {
    at(|it| it.blobs(".map"), &["2+", "4..5"], started_again);
}

#[test]
fn the_disk_is_full_for_the_copies_of_the_slots_records() {
    at(
        |it| it.below_state(&["slots/digit-reader.tmp"]),
        &["1+"],
        started_again,
    );
}

#[test]
fn the_disk_is_full_for_signed_metadata() {
    at(
        |it| it.below_state(&["trust/held.cbor.tmp"]),
        &["1+"],
        started_again,
    );
}

#[test]
fn the_disk_is_full_for_the_store_for_a_while() {
    at(
        |it| it.below_state(&["store/db"]),
        &["2+", "4+", "8+"],
        room_again,
    );
}
