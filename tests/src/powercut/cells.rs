//! Every state that a power cut may leave, by step and by what the cut takes: a step and a [`Cut`] are a
//! cell.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    disk::{Cut, Disk},
    recorder::Recording,
    trace::{Change, Event},
    tree::Tree,
};

/// States looked at at a time: programs that start wait more than they work.
const AT_ONCE: usize = 3;

/// A state of the directory.
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

/// All states of a step that differ, in order. The same disk means something else when others `know`
/// something else.
pub fn states<S: Copy + PartialEq>(
    recording: &Recording,
    steps: &[Option<S>],
    step: S,
    known: impl Fn(usize) -> u64,
) -> Vec<State> {
    let mut disk = Disk::new(&recording.before);
    let (mut seen, mut states) = (BTreeSet::new(), Vec::new());
    for (index, event) in recording.events.iter().enumerate() {
        let Event::Disk(operation) = event else {
            continue;
        };
        disk.apply(operation).expect("it was applied before");
        if steps[index] != Some(step) {
            continue;
        }
        let is_write = matches!(operation.change, Change::Write { .. });
        for cut in Cut::ALL {
            if !is_write && matches!(cut, Cut::Torn | Cut::Last) {
                continue;
            }
            let tree = disk.after(cut);
            if seen.insert((cut, tree.print(), known(index))) {
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

/// At most `most` states of each kind of cut, spread over the step; all of them with `TERN_ALL_CELLS=1`.
pub fn spread(states: &[State], most: usize) -> Vec<&State> {
    let all = env::var_os("TERN_ALL_CELLS").is_some_and(|all| all == "1");
    let most = if all { usize::MAX } else { most };
    let mut chosen = Vec::new();
    for cut in Cut::ALL {
        let all: Vec<_> = states.iter().filter(|state| state.cut == cut).collect();
        let count = all.len().min(most);
        // The middles of equal parts: neither always the first nor always the last.
        chosen.extend((0..count).map(|nth| all[(2 * nth + 1) * all.len() / (2 * count)]));
    }
    chosen
}

/// Does something with each, some at a time. A panic is an outcome: all are to be known, not only the
/// first that fails.
pub fn each<T: Sync>(all: &[T], work: impl Fn(&T) + Sync) -> Vec<(&T, Result<(), String>)> {
    let (next, ended) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let worker = || {
        while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = catch_unwind(AssertUnwindSafe(|| work(one)));
            let outcome = outcome.map_err(|panic| words(&*panic));
            ended
                .lock()
                .expect("nobody panics with it")
                .push((one, outcome));
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(worker);
        }
    });
    ended.into_inner().expect("nobody panics with it")
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.unwrap_or_else(|| "it panicked, see above".into())
}

/// What is known of the cells of one step.
#[derive(Debug, Default)]
pub struct Cells {
    all: BTreeMap<Cut, Cell>,
    failures: Vec<String>,
}

impl Cells {
    /// The cells of these states.
    pub fn of(states: &[State]) -> Self {
        let mut cells = Self::default();
        for state in states {
            cells.all.entry(state.cut).or_default().distinct += 1;
        }
        cells
    }

    /// A program was started on a state.
    pub fn started(&mut self, state: &State, outcome: Result<(), String>) {
        let cell = self.all.entry(state.cut).or_default();
        cell.started += 1;
        match outcome {
            Ok(()) => cell.ok += 1,
            Err(what) => self.failed(state, &what),
        }
    }

    /// A state is not as it should be.
    pub fn failed(&mut self, state: &State, what: &str) {
        self.failures.push(format!("{state}: {what}"));
    }

    /// Shows the cells, and fails unless something was started in each and all of it was well.
    #[track_caller]
    pub fn judge(self, step: impl fmt::Display) {
        println!("{}", table(&step, &self.all));
        assert!(self.failures.is_empty(), "{step}: {:#?}", self.failures);
        // Every step writes something that is not durable at once.
        for cut in [Cut::Written, Cut::Synced] {
            assert!(
                self.all.contains_key(&cut),
                "{step}: nothing was recorded for {cut:?}"
            );
        }
        for (cut, cell) in self.all {
            assert!(cell.ok > 0, "{step}: nothing was started of {cut:?}");
        }
    }
}

/// The cells of a step, for people.
fn table(step: &impl fmt::Display, cells: &BTreeMap<Cut, Cell>) -> String {
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
            "cell {step:<11} {cut:<8} {distinct:>4} distinct {started:>4} started {ok:>4} ok"
        );
    }
    text
}
