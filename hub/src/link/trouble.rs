//! How a connection that does not come to be is tried again, and how often that is said. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// A connection that stood for so long was a good one.
const STOOD: Duration = Duration::from_secs(10);

/// What went wrong with one connection lately.
#[derive(Debug)]
pub(super) struct Trouble {
    first: Duration,
    longest: Duration,
    wait: Duration,
    since: Option<Instant>,
    told: Option<String>,
}

impl Trouble {
    /// None yet. Waits double from the first to the longest.
    pub(super) const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            wait: first,
            since: None,
            told: None,
        }
    }

    /// The connection is there, and does what it should.
    pub(super) fn stands(&mut self, now: Instant) {
        self.since.get_or_insert(now);
        self.told = None;
    }

    /// The connection is not there: how long to wait before it is tried again. A broker that takes a
    /// connection and drops it at once is not asked at once.
    pub(super) fn again_in(&mut self, now: Instant) -> Duration {
        let stood = self.since.take().map(|since| now.duration_since(since));
        if stood.is_some_and(|stood| stood >= STOOD) {
            self.wait = self.first;
        }
        let wait = self.wait;
        self.wait = (wait * 2).min(self.longest);
        wait
    }

    /// Whether this is news: each reason is said once until the connection stands again.
    pub(super) fn is_news(&mut self, reason: &str) -> bool {
        let news = self.told.as_deref() != Some(reason);
        self.told = Some(reason.to_owned());
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_until_a_connection_has_stood() {
        let mut trouble = Trouble::new(FIRST, LONGEST);
        let now = Instant::now();
        let waits: Vec<_> = (0..4).map(|_| trouble.again_in(now).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1_000, 1_000]);
        trouble.stands(now);
        let dropped = trouble.again_in(now + Duration::from_secs(1));
        assert_eq!(dropped, LONGEST, "it was dropped at once");
        trouble.stands(now);
        trouble.stands(now + Duration::from_secs(9));
        let lost = trouble.again_in(now + Duration::from_secs(11));
        assert_eq!(lost, FIRST, "it was a good connection");
    }

    #[test]
    fn a_reason_is_said_once_until_it_is_over() {
        let mut trouble = Trouble::new(FIRST, LONGEST);
        assert!(trouble.is_news("refused"));
        assert!(!trouble.is_news("refused"));
        assert!(trouble.is_news("no route"));
        trouble.stands(Instant::now());
        assert!(trouble.is_news("no route"));
    }
}
