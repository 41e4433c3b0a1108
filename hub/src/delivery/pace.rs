//! Spreads bytes over time at a rate. Pure: time is an argument.
//!
//! The virtual scheduling form of the generic cell rate algorithm (ITU-T I.371, annex A): instead of a
//! bucket that fills, the time at which the next bytes are due.

use std::time::Duration;

/// How far bytes may run ahead of their rate after a pause.
const BURST: Duration = Duration::from_millis(100);

/// When the next bytes may go. Times are counted from any fixed moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    due: Duration,
}

impl Pace {
    /// When bytes may go, if they are taken now.
    pub fn at(&self, now: Duration) -> Duration {
        now.max(self.due.saturating_sub(BURST))
    }

    /// Takes bytes at a rate in bytes a second; says when they may go.
    pub fn take(&mut self, now: Duration, bytes: u64, rate: u64) -> Duration {
        let at = self.at(now);
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
        let lasts = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        // Of a pause no more is made good than the burst.
        self.due = self.due.max(at).saturating_add(lasts);
        at
    }

    /// Whether nothing of it is left to remember.
    pub fn is_idle(&self, now: Duration) -> bool {
        self.due <= now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn in_no_span_of_time_goes_more_than_the_rate_and_a_burst(
            rate in 1_000_u64..10_000_000,
            steps in prop::collection::vec((1_u64..100_000, 0_u64..500), 1..100),
        ) {
            let mut pace = Pace::default();
            let mut now = Duration::ZERO;
            let mut went: Vec<(Duration, u64)> = Vec::new();
            for (bytes, pause) in steps {
                now += Duration::from_millis(pause);
                went.push((pace.take(now, bytes, rate), bytes));
            }
            for (first, (start, _)) in went.iter().enumerate() {
                let mut bytes = 0;
                for (end, more) in &went[first..] {
                    // The last of them may begin at the end of the span.
                    let span = (end.saturating_sub(*start) + BURST).as_secs_f64();
                    prop_assert!(bytes as f64 <= rate as f64 * span + 1.0, "{bytes} in {span} s");
                    bytes += more;
                }
            }
        }
    }

    #[test]
    fn what_waits_goes_at_the_rate() {
        let mut pace = Pace::default();
        let last = (0..100).map(|_| pace.take(Duration::ZERO, 1_000, 10_000));
        let last = last.last().expect("a hundred");
        assert_eq!(last, Duration::from_millis(9_800));
        assert!(!pace.is_idle(last));
        assert!(pace.is_idle(Duration::from_secs(10)));
    }
}
