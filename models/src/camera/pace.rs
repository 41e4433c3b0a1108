//! When a camera takes its next picture. Pure: `now` comes from outside.

use std::time::{Duration, Instant};

/// Longest wait for an agent that is away.
const LONGEST: Duration = Duration::from_secs(2);

/// The rhythm of one camera.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    failures: u32,
    due: Instant,
}

impl Pace {
    /// `rate` pictures a second, over 0; the first one now.
    pub(super) fn new(rate: f64, now: Instant) -> Self {
        Self {
            interval: Duration::from_secs_f64(1.0 / rate.max(1e-3)),
            failures: 0,
            due: now,
        }
    }

    /// Another rate, from the next picture on.
    pub(super) fn change(&mut self, rate: f64, now: Instant) {
        *self = Self::new(rate, now);
    }

    /// Time until the next picture.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now)
    }

    /// After an answer the rhythm goes on; pictures that were missed are not made up for, since a
    /// burst is what no agent needs after a pause.
    pub(super) fn answered(&mut self, now: Instant) {
        self.failures = 0;
        self.due = (self.due + self.interval).max(now);
    }

    /// After a failure twice as long as after the last one. Whether it is the first in a row.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        let longer = self.interval.saturating_mul(1 << self.failures.min(10));
        self.due = now + longer.min(LONGEST.max(self.interval));
        self.failures = self.failures.saturating_add(1);
        self.failures == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_then_patient_then_steady_again() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pace = Pace::new(10.0, start);
        let wait = |pace: &Pace, ms| pace.wait(at(ms)).as_millis();
        assert_eq!(wait(&pace, 0), 0);
        pace.answered(at(5));
        assert_eq!(wait(&pace, 5), 95);
        // Half a second late: one picture at once, then the rhythm again.
        pace.answered(at(600));
        assert_eq!(wait(&pace, 600), 0);
        pace.answered(at(605));
        assert_eq!(wait(&pace, 605), 95);

        let waits: Vec<_> = (0..8)
            .map(|failure| {
                assert_eq!(pace.failed(at(1000)), failure == 0);
                wait(&pace, 1000)
            })
            .collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 2000, 2000, 2000]);
        pace.answered(at(3000));
        assert!(pace.failed(at(3000)));
    }
}
