//! Bytes a second over the last seconds. Pure: time is an argument.

use std::time::Duration;

/// Seconds that are looked back on: short enough to follow a wave, long enough not to flicker.
const SECONDS: usize = 5;

/// What moved in each of the last seconds, and in the one that goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rate {
    second: u64,
    bytes: [u64; SECONDS + 1],
}

impl Rate {
    /// Bytes moved.
    pub fn add(&mut self, now: Duration, bytes: u64) {
        self.turn(now);
        self.bytes[0] = self.bytes[0].saturating_add(bytes);
    }

    /// Bytes a second.
    pub fn per_s(mut self, now: Duration) -> u64 {
        self.turn(now);
        // The second that goes on counts for as much as has passed of it.
        let part = f64::from(now.subsec_millis()) / 1000.0;
        let full = self.bytes[1..].iter().take_while(|bytes| **bytes > 0);
        let seconds = (full.count() as f64 + part).max(0.1);
        let sum: u64 = self.bytes.iter().sum();
        (sum as f64 / seconds) as u64
    }

    fn turn(&mut self, now: Duration) {
        let passed = now.as_secs().saturating_sub(self.second);
        let passed = usize::try_from(passed).map_or(SECONDS + 1, |passed| passed.min(SECONDS + 1));
        if passed > 0 {
            self.bytes.rotate_right(passed % (SECONDS + 1));
            self.bytes[..passed].fill(0);
            self.second = now.as_secs();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_what_moves_and_forgets_it() {
        let mut rate = Rate::default();
        let at = |tenths: u64| Duration::from_millis(tenths * 100);
        for tenths in 0..100 {
            rate.add(at(tenths), 1_000);
        }
        let now = rate.per_s(at(100));
        assert!((9_000..=11_000).contains(&now), "{now}");
        assert_eq!(rate.per_s(at(200)), 0);
        assert_eq!(Rate::default().per_s(at(0)), 0);
    }

    #[test]
    fn a_wave_that_just_began_is_not_averaged_with_the_silence_before() {
        let mut rate = Rate::default();
        rate.add(Duration::from_millis(10_100), 50_000);
        rate.add(Duration::from_millis(10_900), 50_000);
        let now = rate.per_s(Duration::from_millis(10_999));
        assert!((90_000..=110_000).contains(&now), "{now}");
    }
}
