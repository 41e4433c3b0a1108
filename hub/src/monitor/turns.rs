//! Whose turn it is: what devices say is stored and acknowledged before it is added up and watched.
//!
//! Asked by whoever follows windows and is behind. After an outage a fleet sends what it kept, and until it is
//! acknowledged devices keep it, and send it again; sums and findings can wait for that. Must never break: nobody waits for
//! ever, also not under a flood that does not end.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::counters::Counters;

/// How long it is looked how much comes.
const SAMPLE: Duration = Duration::from_millis(100);

/// More windows than this in a sample are a flood: 5,000 a second.
const FLOOD: u64 = 500;

/// Longest wait.
const WAIT: Duration = Duration::from_secs(10);

/// Work after the longest wait: under a flood without an end a third of the time is left to it.
const WORK: Duration = Duration::from_secs(5);

/// The turns of one follower.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Until then it need not wait.
    works_until: Option<Instant>,
    /// Since when it waits, and how many windows had come when it looked last.
    waits: Option<(Instant, u64)>,
}

impl Turns {
    /// Returns when it may go on.
    pub(super) async fn next(&mut self, counters: &Counters, stop: &CancellationToken) {
        while !stop.is_cancelled() && !self.may_work(Instant::now(), counters.windows.get()) {
            tokio::time::sleep(SAMPLE).await;
        }
        self.waits = None;
    }

    /// Whether it may go on; asked once a sample until it may. Pure.
    fn may_work(&mut self, now: Instant, windows: u64) -> bool {
        if self.works_until.is_some_and(|until| now < until) {
            return true;
        }
        self.works_until = None;
        let Some((since, before)) = self.waits else {
            self.waits = Some((now, windows));
            return false;
        };
        self.waits = Some((since, windows));
        if windows.saturating_sub(before) < FLOOD {
            return true;
        }
        if now.duration_since(since) < WAIT {
            return false;
        }
        self.works_until = Some(now + WORK);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks until it may work, with so many windows in each sample; when that was.
    fn waited(turns: &mut Turns, mut now: Instant, windows: &mut u64, each: u64) -> Instant {
        while !turns.may_work(now, *windows) {
            now += SAMPLE;
            *windows += each;
        }
        turns.waits = None;
        now
    }

    #[test]
    fn a_flood_goes_first_and_never_takes_all_of_the_time() {
        let (mut turns, start, mut windows) = (Turns::default(), Instant::now(), 0);
        let calm = waited(&mut turns, start, &mut windows, 20);
        assert_eq!(calm, start + SAMPLE, "little comes");
        let flood = waited(&mut turns, calm, &mut windows, 2_000);
        assert_eq!(flood, calm + WAIT);
        let works = waited(&mut turns, flood + WORK / 2, &mut windows, 2_000);
        assert_eq!(works, flood + WORK / 2, "it has waited");
        let again = waited(&mut turns, flood + WORK, &mut windows, 2_000);
        assert_eq!(again, flood + WORK + WAIT, "the flood has its turn");
        let mut over = turns;
        let ended = waited(&mut over, again + WORK, &mut windows, 0);
        assert_eq!(ended, again + WORK + SAMPLE, "the flood is over");
    }
}
