//! The power goes at each durable step of an update.
//!
//! The device of [`recorded`] is recorded call by call; [`cells`] has every state that a cut may leave on
//! its disk, by step and by what the cut takes. [`look`] opens all of them with the agent's own library;
//! [`live`] starts a real agent and the hub of that moment on a spread of them, or on all with
//! `TERN_ALL_CELLS=1`.

mod cells;
mod live;
mod look;
mod recorded;
mod steps;

use std::{collections::BTreeMap, env};

use self::{cells::Cell, steps::Step};

/// States of each cell that an agent is started on.
const STARTED: usize = 2;

#[track_caller]
fn cut_at(step: Step) {
    let Some(update) = recorded::update() else {
        return;
    };
    let states = cells::states(update, step);
    let all = env::var_os("TERN_ALL_CELLS").is_some_and(|all| all == "1");
    let most = if all { usize::MAX } else { STARTED };
    let started: Vec<_> = cells::spread(&states, most)
        .into_iter()
        .map(|state| (state.cut, state.index))
        .collect();
    let mut cells: BTreeMap<_, Cell> = BTreeMap::new();
    let mut failures = Vec::new();
    let mut chosen = Vec::new();
    for state in &states {
        let cell = cells.entry(state.cut).or_default();
        cell.distinct += 1;
        let dir = tempfile::tempdir().expect("the system has room for temporary files");
        state.tree.write(dir.path());
        match look::look(update, state, dir.path()) {
            Err(what) => failures.push(format!("{state}: {what}")),
            Ok(entries) if started.contains(&(state.cut, state.index)) => {
                cell.started += 1;
                chosen.push((state, entries));
            }
            Ok(_) => {}
        }
    }
    for (state, ended) in live::all(update, &chosen) {
        match ended {
            Ok(()) => cells.entry(state.cut).or_default().ok += 1,
            Err(what) => failures.push(format!("{state}: {what}")),
        }
    }
    println!("{}", cells::table(step, &cells));
    assert!(failures.is_empty(), "{step}: {failures:#?}");
    assert!(!cells.is_empty(), "{step}: nothing was recorded");
    for (cut, cell) in cells {
        assert!(cell.ok > 0, "{step}: nothing was started of {cut:?}");
    }
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
