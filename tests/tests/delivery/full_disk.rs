//! The disk is full while a device writes: at each kind of write of an update, for ever or for a while. What
//! serves serves on, and when there is room again the update completes and the counts are exact.

use std::{fs, path::PathBuf};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tern_tests::{traffic::Traffic, wait};

use super::updating::{Coming, Fault, Updating, updating};

/// Calls that need room.
const CALLS: &str = "write,pwrite64,writev,openat,ftruncate,fallocate,mkdir,rename";

/// Starts the agent on a disk that is full for these files, at these calls of a thread; nothing without
/// `strace`.
#[track_caller]
fn full(updating: &mut Updating, files: &[PathBuf], calls: &str, when: &str) -> Option<()> {
    let fault = Fault {
        calls,
        effect: "error=ENOSPC",
        when,
    };
    updating.run_with(fault, files)?;
    updating.answers();
    let input = updating.packages[0].samples()[0].clone();
    let load = Traffic::start([updating.fleet.agents[0].address()], &[input]);
    wait::until("the disk to have been full", || {
        let text = updating.faults();
        let status = updating.fleet.agents[0].status();
        wait::that(text.contains("(INJECTED)"), || {
            format!("{text}: {status:?}")
        })
    });
    let answered = updating.fleet.agents[0].status().inferences;
    updating.until("answers while the disk is full", |status| {
        status.inferences >= answered + 100
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
fn room_again(updating: &mut Updating) {
    let agent = updating.fleet.agents[0].process().id();
    let status = fs::read_to_string(format!("/proc/{agent}/status")).expect("the agent runs");
    let tracer = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"));
    let tracer = tracer
        .and_then(|id| id.trim().parse().ok())
        .expect("it is traced");
    kill(Pid::from_raw(tracer), Signal::SIGTERM).expect("it runs");
    updating.fleet.online("meter-01");
    wait::until("the agent to have its store again", || {
        let status = updating.fleet.agents[0].status();
        wait::that(status.online, || format!("{status:?}"))
    });
}

/// There is room again: the agent is started anew, since it waits for minutes before it fetches again what
/// did not fit.
#[track_caller]
fn started_again(updating: &mut Updating) {
    let agent = &mut updating.fleet.agents[0];
    agent.set_under(None);
    let told = agent.status();
    assert!(agent.terminate().success(), "{told:?}");
    updating.counted += told.inferences;
    agent.run();
}

/// At all of these calls, one after the other, until `again` makes room.
#[track_caller]
fn at(
    files: impl Fn(&Updating) -> Vec<PathBuf>,
    calls: &str,
    moments: &[&str],
    again: impl Fn(&mut Updating),
) {
    for when in moments {
        let mut updating = updating(Coming::Whole);
        let files = files(&updating);
        if full(&mut updating, &files, calls, when).is_none() {
            return;
        }
        again(&mut updating);
        updating.completes();
        updating.fleet.counts_exactly(updating.counted);
    }
}

#[test]
fn the_disk_is_full_when_a_file_for_chunks_is_made() {
    at(|it| it.blobs(".part"), CALLS, &["1+"], started_again);
}

#[test]
fn the_disk_is_full_in_the_middle_of_the_chunks() {
    at(
        |it| it.blobs(".part"),
        CALLS,
        &["12+", "20..22"],
        started_again,
    );
}

#[test]
fn the_disk_is_full_when_chunks_are_marked() {
    at(|it| it.blobs(".map"), CALLS, &["2+", "4..5"], started_again);
}

#[test]
fn the_disk_is_full_when_what_came_gets_its_name() {
    at(
        |it| it.blobs(".part"),
        "rename",
        &["1+", "2"],
        started_again,
    );
}

#[test]
fn the_disk_is_full_for_the_copies_of_the_slots_records() {
    // From its start on, from vetting on, from the swap on, and when the version is confirmed.
    let copy = |it: &Updating| vec![it.below_state("slots/digit-reader.tmp")];
    at(copy, CALLS, &["1+", "2+", "3+", "4+"], started_again);
}

#[test]
fn the_disk_is_full_for_signed_metadata() {
    let held = |it: &Updating| vec![it.below_state("trust/held.cbor.tmp")];
    at(held, CALLS, &["1+"], started_again);
}

#[test]
fn the_disk_is_full_for_the_store_for_a_while() {
    let store = |it: &Updating| vec![it.below_state("store/db")];
    at(store, CALLS, &["2+", "4+", "8+"], room_again);
}

#[test]
fn the_disk_is_full_while_a_delta_is_applied() {
    for when in ["1+", "2+"] {
        let mut updating = updating(Coming::Delta);
        let scratch = updating.blobs(".delta");
        if full(&mut updating, &scratch, CALLS, when).is_none() {
            return;
        }
        // The whole file does not go through that one, so nobody has to make room.
        let status = updating.completes();
        assert_eq!((status.deltas.applied, status.deltas.failed), (0, 1));
        updating.fleet.counts_exactly(updating.counted);
    }
}
