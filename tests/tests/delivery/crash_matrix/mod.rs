//! The power goes at each durable step of an update.
//!
//! The device of [`recorded`] is recorded call by call; [`tern_tests::powercut::cells`] has every state that a cut may leave on
//! its disk, by step and by what the cut takes. [`look`] opens all of them with the agent's own library;
//! [`live`] starts a real agent and the hub of that moment on a spread of them, or on all with
//! `TERN_ALL_CELLS=1`.

mod live;
mod look;
mod recorded;
mod steps;

use tern_tests::powercut::cells::{self, Cells};

use self::steps::Step;

/// States of each cell that an agent is started on.
const STARTED: usize = 2;

#[track_caller]
fn cut_at(step: Step) {
    let Some(update) = recorded::update() else {
        return;
    };
    let known = |index| update.sent_before(index).count() as u64 + update.acked_before(index).0;
    let states = cells::states(&update.recording, &update.steps, step, known);
    let started = cells::spread(&states, STARTED);
    let started: Vec<_> = started.iter().map(|it| (it.cut, it.index)).collect();
    let mut cells = Cells::of(&states);
    let mut chosen = Vec::new();
    for state in &states {
        let dir = tempfile::tempdir().expect("the system has room for temporary files");
        state.tree.write(dir.path());
        match look::look(update, state, dir.path()) {
            Err(what) => cells.failed(state, &what),
            Ok(entries) if started.contains(&(state.cut, state.index)) => {
                chosen.push((state, entries));
            }
            Ok(_) => {}
        }
    }
    let ended = cells::each(&chosen, |(state, entries)| {
        let dir = tempfile::tempdir().expect("the system has room for temporary files");
        live::live(update, state, entries, dir.path());
    });
    for ((state, _), outcome) in ended {
        cells.started(state, outcome);
    }
    cells.judge(step);
}

#[test]
fn the_power_goes_while_the_agent_starts() {
    cut_at(Step::Starting);
}

#[test]
fn the_power_goes_while_signed_metadata_are_kept() {
    cut_at(Step::Trusting);
}

#[test]
fn the_power_goes_while_chunks_are_written() {
    cut_at(Step::Fetching);
}

#[test]
fn the_power_goes_while_a_blob_is_verified_and_named() {
    cut_at(Step::Verifying);
}

#[test]
fn the_power_goes_while_a_model_is_vetted() {
    cut_at(Step::Vetting);
}

#[test]
fn the_power_goes_while_models_are_swapped() {
    cut_at(Step::Swapping);
}

#[test]
fn the_power_goes_while_a_model_is_on_trial() {
    cut_at(Step::Trial);
}

#[test]
fn the_power_goes_while_a_model_is_confirmed() {
    cut_at(Step::Confirming);
}

#[test]
fn the_power_goes_while_windows_are_put_into_the_outbox() {
    cut_at(Step::Counting);
}

#[test]
fn the_power_goes_while_the_outbox_is_acknowledged() {
    cut_at(Step::Acking);
}
