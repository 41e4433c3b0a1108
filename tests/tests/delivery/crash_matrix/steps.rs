//! Which step of an update a change of the disk belongs to. Pure.

use std::fmt;

use tern_tests::powercut::trace::{Change, Event, Operation};

/// A step of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The agent starts: boot count, names and settings of the store.
    Starting,
    /// Signed metadata are verified and kept.
    Trusting,
    /// Chunks are written and marked.
    Fetching,
    /// A whole blob gets its name.
    Verifying,
    /// The attempt is noted, the child runs.
    Vetting,
    /// The slot's record, before the swap.
    Swapping,
    /// The new version serves on trial.
    Trial,
    /// It is proven.
    Confirming,
    /// Windows and events are put into the outbox.
    Counting,
    /// What the hub has is removed from it.
    Acking,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{self:?}").to_lowercase())
    }
}

/// Steps of all events; none for those that did not change the disk.
pub fn of(events: &[Event]) -> Vec<Option<Step>> {
    let mut told = Told {
        at: Step::Starting,
        acked: false,
    };
    let mut steps: Vec<_> = events.iter().map(|event| told.step(event)).collect();
    confirm(events, &mut steps);
    steps
}

/// What the agent has told of itself so far.
struct Told {
    /// What it is at, as far as its store is concerned.
    at: Step,
    /// The hub has acknowledged something that is not removed durably.
    acked: bool,
}

impl Told {
    fn step(&mut self, event: &Event) -> Option<Step> {
        let operation = match event {
            Event::Disk(operation) => operation,
            Event::Said(text) => {
                self.hear(text);
                return None;
            }
            _ => return None,
        };
        let step = self.of_file(operation);
        if step == Step::Acking && operation.change == Change::Sync {
            self.acked = false;
        }
        Some(step)
    }

    fn hear(&mut self, text: &str) {
        let told = |what: &str| text.contains(what);
        self.acked |= told("acknowledged");
        self.at = match self.at {
            _ if told("action=Vet(") => Step::Vetting,
            _ if told("action=Activate(") => Step::Swapping,
            _ if told("serving slot=") => Step::Trial,
            _ if told("confirmed slot=") => Step::Counting,
            Step::Starting if told("action=") => Step::Counting,
            at => at,
        };
    }

    fn of_file(&self, operation: &Operation) -> Step {
        let path = operation.path.to_string_lossy();
        if path.starts_with("trust") {
            return Step::Trusting;
        }
        if path.starts_with("blobs") {
            let fetched = path.ends_with(".part") || path.ends_with(".map");
            let named = matches!(operation.change, Change::Rename(_) | Change::Remove);
            return if fetched && !named {
                Step::Fetching
            } else {
                Step::Verifying
            };
        }
        match self.at {
            Step::Counting if self.acked => Step::Acking,
            at => at,
        }
    }
}

/// The agent says that a version is confirmed once its record says so: what it wrote just before is
/// that record.
fn confirm(events: &[Event], steps: &mut [Option<Step>]) {
    let said =
        |event: &Event| matches!(event, Event::Said(text) if text.contains("confirmed slot="));
    let Some(end) = events.iter().rposition(said) else {
        return;
    };
    // Another thread may have had its say in between.
    let mut begun = false;
    for step in steps[..end].iter_mut().rev() {
        match step {
            Some(step) => *step = Step::Confirming,
            None if begun => break,
            None => continue,
        }
        begun = true;
    }
}
