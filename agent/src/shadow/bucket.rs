//! How much of a processor a shadow may take. Pure.
//!
//! Must never break: over any time, a shadow takes no more than its share of that time, what it may save
//! up ([`BURST`]), and one run.

use std::time::Duration;

/// So much time's share may be saved up: a shadow that nobody asked for a while does not take a whole
/// processor for long when requests come.
pub const BURST: Duration = Duration::from_secs(1);

/// The whole of a processor, in thousandths.
const WHOLE: u16 = 1000;

/// Time of a processor that may be taken. It fills with the time that passes, at a share of it, and may
/// be overdrawn by one run: nobody knows what a run takes before it is over.
#[derive(Debug, Clone)]
pub struct Bucket {
    permille: u16,
    /// Thousandths of nanoseconds, so that no share of any time is rounded away.
    level: i128,
    filled: Duration,
}

impl Bucket {
    /// Full, for this share of a processor, in thousandths.
    pub fn new(permille: u16, now: Duration) -> Self {
        let permille = permille.min(WHOLE);
        Self {
            permille,
            level: share(permille, BURST),
            filled: now,
        }
    }

    /// Another share from now on.
    pub fn pace(&mut self, permille: u16, now: Duration) {
        self.fill(now);
        self.permille = permille.min(WHOLE);
        self.level = self.level.min(share(self.permille, BURST));
    }

    /// How long to wait before the next run; `None`: it may run now. A share of nothing waits for ever.
    pub fn wait(&mut self, now: Duration) -> Option<Duration> {
        self.fill(now);
        if self.level > 0 {
            return None;
        }
        if self.permille == 0 {
            return Some(Duration::MAX);
        }
        let nanos = (1 - self.level).div_euclid(i128::from(self.permille)) + 1;
        Some(Duration::from_nanos(
            u64::try_from(nanos).unwrap_or(u64::MAX),
        ))
    }

    /// A run took so much of a processor.
    pub fn spend(&mut self, taken: Duration) {
        self.level -= share(WHOLE, taken);
    }

    fn fill(&mut self, now: Duration) {
        let gained = share(self.permille, now.saturating_sub(self.filled));
        self.level = (self.level + gained).min(share(self.permille, BURST));
        self.filled = self.filled.max(now);
    }
}

/// A share of a time, in thousandths of nanoseconds.
fn share(permille: u16, time: Duration) -> i128 {
    let nanos = i128::try_from(time.as_nanos()).unwrap_or(i128::MAX / 2 / i128::from(WHOLE));
    nanos * i128::from(permille)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_run_is_paid_for_before_the_next() {
        let mut bucket = Bucket::new(50, Duration::ZERO);
        assert_eq!(bucket.wait(Duration::ZERO), None, "it begins full");
        bucket.spend(60 * MS);
        // 10 ms too much, at a twentieth.
        let wait = bucket.wait(Duration::ZERO).expect("it is empty");
        assert!(wait > 200 * MS && wait < 201 * MS, "{wait:?}");
        assert_eq!(bucket.wait(wait), None);
        bucket.pace(0, wait);
        assert_eq!(bucket.wait(1_000_000 * MS), Some(Duration::MAX));
        bucket.pace(9_999, wait);
        assert_eq!(
            bucket.permille, WHOLE,
            "there is no more than one processor"
        );
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_twice() {
        let mut bucket = Bucket::new(1000, 10 * MS);
        bucket.spend(BURST);
        assert!(bucket.wait(5 * MS).is_some());
        assert!(bucket.wait(10 * MS).is_some());
        assert_eq!(bucket.wait(12 * MS), None);
    }

    proptest! {
        #[test]
        fn no_more_than_its_share_is_taken_over_any_time(
            permille in 0u16..=1000,
            steps in prop::collection::vec((0u64..2_000_000, 1u64..80_000), 1..200),
        ) {
            let mut bucket = Bucket::new(permille, Duration::ZERO);
            let (mut now, mut runs) = (Duration::ZERO, Vec::new());
            for (pause, cost) in steps {
                now += Duration::from_micros(pause);
                if bucket.wait(now).is_none() {
                    let cost = Duration::from_micros(cost);
                    // It runs, at best, as fast as a processor of its own lets it.
                    now += cost;
                    bucket.spend(cost);
                    runs.push((now, cost));
                }
            }
            for first in 0..runs.len() {
                let begin = runs[first].0.saturating_sub(runs[first].1);
                let mut taken = Duration::ZERO;
                for (end, cost) in &runs[first..] {
                    taken += *cost;
                    let may = (end.saturating_sub(begin) + BURST).mul_f64(f64::from(permille) / 1e3);
                    prop_assert!(taken <= may + *cost + MS, "{taken:?} of {may:?}");
                }
            }
        }

        #[test]
        fn whoever_waits_as_told_may_run(
            permille in 1u16..=1000, cost in 0u64..10_000_000, now in 0u64..1 << 50,
        ) {
            let now = Duration::from_nanos(now);
            let mut bucket = Bucket::new(permille, now);
            bucket.spend(Duration::from_micros(cost));
            let wait = bucket.wait(now).unwrap_or_default();
            prop_assert_eq!(bucket.wait(now + wait), None);
        }
    }
}
