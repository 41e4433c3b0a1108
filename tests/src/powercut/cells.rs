//! Every state that a power cut may leave, by step and by what the cut takes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
};

use tern_tests::powercut::{
    disk::{Cut, Disk},
    trace::{Change, Event},
    tree::Tree,
};

use super::{recorded::Update, steps::Step};

/// A state of the device's directory.
pub struct State {
    /// Its cell.
    pub cut: Cut,
    /// The event after which the power went.
    pub index: usize,
    /// What that event was.
    pub after: String,
    /// What is on the disk.
    pub tree: Tree,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cut, index, after, ..
        } = self;
        write!(f, "{cut:?} after event {index} ({after})")
    }
}

/// What was found out about a cell.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cell {
    /// States that differ.
    pub distinct: usize,
    /// Those that an agent was started on.
    pub started: usize,
    /// Those of them that were as they should.
    pub ok: usize,
}

/// All states of a step that differ, in order.
pub fn states(update: &Update, step: Step) -> Vec<State> {
    let mut disk = Disk::new(&update.recording.before);
    let (mut seen, mut states) = (BTreeSet::new(), Vec::new());
    let (mut sent, mut acked) = (0, 0);
    for (index, event) in update.recording.events.iter().enumerate() {
        let Event::Disk(operation) = event else {
            continue;
        };
        disk.apply(operation).expect("it was applied before");
        if update.steps[index] != Some(step) {
            continue;
        }
        // The same disk means something else when the hub knows more.
        sent = update.sent_before(index).count().max(sent);
        acked = update.acked_before(index).0.max(acked);
        let is_write = matches!(operation.change, Change::Write { .. });
        for cut in Cut::ALL {
            if !is_write && matches!(cut, Cut::Torn | Cut::Last) {
                continue;
            }
            let tree = disk.after(cut);
            if seen.insert((cut, tree.print(), sent, acked)) {
                states.push(State {
                    cut,
                    index,
                    after: operation.to_string(),
                    tree,
                });
            }
        }
    }
    states
}

/// At most `most` states of each kind of cut, spread over the step.
pub fn spread(states: &[State], most: usize) -> Vec<&State> {
    let mut chosen = Vec::new();
    for cut in Cut::ALL {
        let all: Vec<_> = states.iter().filter(|state| state.cut == cut).collect();
        let count = all.len().min(most);
        // The middles of equal parts: neither always the first nor always the last.
        chosen.extend((0..count).map(|nth| all[(2 * nth + 1) * all.len() / (2 * count)]));
    }
    chosen
}

/// The cells of a step, for people.
pub fn table(step: Step, cells: &BTreeMap<Cut, Cell>) -> String {
    let mut text = String::new();
    for (cut, cell) in cells {
        let Cell {
            distinct,
            started,
            ok,
        } = cell;
        let cut = format!("{cut:?}").to_lowercase();
        let _ = writeln!(
            text,
            "cell {step:<10} {cut:<8} {distinct:>4} distinct {started:>4} started {ok:>4} ok"
        );
    }
    text
}
