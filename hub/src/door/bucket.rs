//! A token bucket: how long to wait so that a rate is kept.
//!
//! Pure; time is an argument. Must never break: nothing is refused, only delayed, and never longer
//! than what was taken needs at the rate.

use std::time::Duration;

use tokio::time::Instant;

/// So much a second in the long run, and a burst after a silence.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    per_s: f64,
    burst: f64,
    /// What may be taken now without waiting; below zero if more was taken.
    left: f64,
    at: Instant,
}

impl Bucket {
    /// A bucket that has its whole burst.
    pub fn full(per_s: u64, burst: u64, now: Instant) -> Self {
        Self {
            per_s: per_s as f64,
            burst: burst as f64,
            left: burst as f64,
            at: now,
        }
    }

    /// Takes `n`, and says how long to wait before the next are taken.
    pub fn take(&mut self, n: u64, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.left = self.burst.min(self.left + passed * self.per_s) - n as f64;
        if self.left >= 0.0 {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(-self.left / self.per_s)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = Instant::now();
        let mut bucket = Bucket::full(100, 500, start);
        assert_eq!(bucket.take(500, start), Duration::ZERO);
        assert_eq!(bucket.take(100, start), Duration::from_secs(1));
        let mut now = start;
        let mut taken = 0;
        while now < start + Duration::from_secs(100) {
            now += bucket.take(10, now).max(Duration::from_millis(1));
            taken += 10;
        }
        assert!((9_900..=10_100).contains(&taken), "{taken}");
        // A silence gives back the burst and no more.
        now += Duration::from_secs(1_000);
        assert_eq!(bucket.take(500, now), Duration::ZERO);
        assert!(bucket.take(1, now) > Duration::ZERO);
    }
}
