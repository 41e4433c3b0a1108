//! What the demo tells while it runs: one line a step, with the time since the start.

use std::time::Instant;

/// Tells the story.
pub(super) struct Narrator {
    start: Instant,
}

impl Narrator {
    /// The clock of the story starts.
    pub(super) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// One line.
    pub(super) fn say(&self, line: impl AsRef<str>) {
        let seconds = self.start.elapsed().as_secs();
        println!(
            "[{:>2}:{:02}] {}",
            seconds / 60,
            seconds % 60,
            line.as_ref()
        );
    }

    /// Seconds since the start.
    pub(super) fn elapsed_s(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }
}
