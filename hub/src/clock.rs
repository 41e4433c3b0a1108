//! The one place where the hub asks what time it is.
//!
//! Called by drivers and edges, which hand the moment to the pure cores. A test turns the clock by
//! hand. Must never break: no other file calls `SystemTime::now`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tern_protocol::time::WallTime;

/// Tells the wall time. Clones tell the same time.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    ByHand(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until [`Self::advance`] is called.
    pub fn by_hand(start: WallTime) -> Self {
        Self(Source::ByHand(Arc::new(AtomicI64::new(start.0))))
    }

    /// Now. A machine whose clock stands before 1970 is taken to be in 1970.
    pub fn now(&self) -> WallTime {
        match &self.0 {
            Source::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH);
                let ms = since.unwrap_or(Duration::ZERO).as_millis();
                WallTime(i64::try_from(ms).unwrap_or(i64::MAX))
            }
            Source::ByHand(now) => WallTime(now.load(Ordering::Acquire)),
        }
    }

    /// Turns a clock that stands by hand; does nothing to the machine's.
    pub fn advance(&self, by: Duration) {
        if let Source::ByHand(now) = &self.0 {
            let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            now.fetch_add(ms, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_by_hand_stands_until_turned() {
        let clock = Clock::by_hand(WallTime(1_000));
        assert_eq!(clock.now(), WallTime(1_000));
        clock.clone().advance(Duration::from_secs(2));
        assert_eq!(clock.now(), WallTime(3_000));
    }
}
