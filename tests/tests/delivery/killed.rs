//! `kill -9` at a call that a test chooses, in the middle of a real update: a real kill of a real agent, at what
//! the crash matrix works out on paper. What is in memory is lost, what is on the disk is as it was, and the next
//! start goes on from there.

use std::path::PathBuf;

use tern_tests::wait;

use super::updating::{Coming, Fault, Updating, updating};

/// Calls that change a disk or make a change last.
const CALLS: &str = "write,pwrite64,writev,openat,ftruncate,fallocate,mkdir,rename,unlink,fsync,\
                     fdatasync,sync_file_range";

/// More lives than any update here may take.
const LIVES: usize = 60;

/// How a life ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Killed,
    /// The second version serves and is proven.
    Updated,
}

/// Runs the agent until it is killed at one of these calls, or has updated; nothing without `strace`.
#[track_caller]
fn live(updating: &mut Updating, files: &[PathBuf], calls: &str, when: &str) -> Option<End> {
    let fault = Fault {
        calls,
        effect: "signal=KILL",
        when,
    };
    updating.run_with(fault, files)?;
    let version = updating.version.version;
    let agent = &mut updating.fleet.agents[0];
    let end = wait::until("the kill, or the end of the update", || {
        if agent.process().has_ended() {
            return Ok(End::Killed);
        }
        let slots = agent.try_status()?.slots;
        let serving = slots.iter().find_map(|slot| slot.serving.as_ref());
        let updated = serving.is_some_and(|it| it.version == version && it.confirmed);
        wait::that(updated, || format!("{slots:?}"))?;
        Ok(End::Updated)
    });
    agent.set_under(None);
    if end == End::Killed {
        agent.kill_9();
    }
    Some(end)
}

/// Without its hub a model answers; with it the update goes on, and what the hub counts is what it had counted
/// and what is answered from now on.
#[track_caller]
fn goes_on(updating: &mut Updating) {
    updating.fleet.link.cut();
    updating.fleet.agents[0].run();
    updating.answers();
    updating.fleet.link.restore();
    updating.completes();
    updating.fleet.counts_exactly(updating.counted);
}

/// One kill in an update, at each of these calls: which, and for which time.
#[track_caller]
fn once(files: impl Fn(&Updating) -> Vec<PathBuf>, moments: &[(&str, &str)]) {
    for (calls, when) in moments {
        let mut updating = updating(Coming::Whole);
        let files = files(&updating);
        let Some(end) = live(&mut updating, &files, calls, when) else {
            return;
        };
        let faults = updating.faults();
        assert_eq!(end, End::Killed, "at {calls} {when}: {faults}");
        goes_on(&mut updating);
    }
}

/// Kills in each life of an update, at this call, until a life gets through; kills, which must be so many.
#[track_caller]
fn again_and_again(
    coming: Coming,
    files: impl Fn(&Updating) -> Vec<PathBuf>,
    calls: &str,
    when: &str,
    least: usize,
) {
    let mut updating = updating(coming);
    let files = files(&updating);
    let mut kills = 0;
    loop {
        match live(&mut updating, &files, calls, when) {
            None => return,
            Some(End::Updated) => break,
            Some(End::Killed) => kills += 1,
        }
        assert!(kills < LIVES, "no life gets further: {}", updating.faults());
    }
    println!("{kills} kills");
    assert!(kills >= least, "{kills} kills: {}", updating.faults());
    updating.fleet.agents[0].kill_9();
    goes_on(&mut updating);
}

#[test]
fn an_agent_is_killed_again_and_again_while_it_fetches() {
    let coming = |it: &Updating| [".part", ".map"].map(|ending| it.blobs(ending)).concat();
    again_and_again(Coming::Whole, coming, CALLS, "9", 2);
}

#[test]
fn an_agent_is_killed_when_what_came_gets_its_name() {
    let parts = |it: &Updating| it.blobs(".part");
    // Not at the first in each life, or none would get further.
    again_and_again(Coming::Whole, parts, "rename", "2", 1);
    once(parts, &[("rename", "1"), ("fsync", "3")]);
}

#[test]
fn an_agent_is_killed_while_a_delta_is_applied() {
    let scratch = |it: &Updating| it.blobs(".delta");
    again_and_again(Coming::Delta, scratch, CALLS, "1", 1);
}

#[test]
fn an_agent_is_killed_when_it_notes_a_boot() {
    let copy = |it: &Updating| vec![it.below_state("slots/.boot.tmp")];
    once(copy, &[("openat", "1"), ("rename", "1")]);
}

#[test]
fn an_agent_is_killed_when_it_notes_what_is_to_come() {
    let copy = |it: &Updating| vec![it.below_state("slots/digit-reader.tmp")];
    once(copy, &[("write", "1"), ("rename", "2")]);
}

#[test]
fn an_agent_is_killed_when_it_notes_that_a_version_is_vetted() {
    let copy = |it: &Updating| vec![it.below_state("slots/digit-reader.tmp")];
    once(copy, &[("openat", "3"), ("rename", "3")]);
}

#[test]
fn an_agent_is_killed_when_it_swaps() {
    let copy = |it: &Updating| vec![it.below_state("slots/digit-reader.tmp")];
    once(copy, &[("write", "4"), ("fsync", "4"), ("rename", "4")]);
}

#[test]
fn an_agent_is_killed_when_it_keeps_signed_metadata() {
    let held = |it: &Updating| vec![it.below_state("trust/held.cbor.tmp")];
    once(held, &[("openat", "1"), ("write", "1"), ("rename", "1")]);
}

#[test]
fn an_agent_is_killed_while_its_store_is_written() {
    let store = |it: &Updating| vec![it.below_state("store/db")];
    // sled writes by many threads in turn, so the second of one comes after the first of all.
    once(
        store,
        &[
            ("pwrite64", "1"),
            ("pwrite64", "2"),
            ("fsync", "1"),
            ("sync_file_range", "2"),
        ],
    );
}
