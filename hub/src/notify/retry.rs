//! When something that did not arrive is tried again. Pure.

use std::time::Duration;

use tern_protocol::time::WallTime;

/// Wait after the first failure: a receiver that restarts is there again within seconds.
pub const FIRST: Duration = Duration::from_secs(2);

/// Longest wait between two attempts, whatever the receiver asks for: somebody who repairs a receiver sees
/// within the same morning whether it works.
pub const LONGEST: Duration = Duration::from_hours(3);

/// Attempts in all. With waits that double to [`LONGEST`] they span 22.5 hours: a receiver that was down
/// for a night has it all in the morning.
pub const ATTEMPTS: u32 = 20;

/// Share by which a wait may be shorter or longer, so that what failed together is not tried together.
const JITTER: f64 = 0.2;

/// What a failure says about trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// By our own plan.
    ByPlan,
    /// Not before this time has passed: the receiver asked for it.
    NotBefore(Duration),
    /// It would fail for ever.
    Never,
}

/// What is done after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again then.
    At(WallTime),
    /// No more.
    GiveUp,
}

/// What to do after `attempts` attempts, the last of which failed at `now`. `random` is in `0.0..1.0`.
pub fn after(attempts: u32, now: WallTime, again: Again, random: f64) -> Next {
    if attempts >= ATTEMPTS || again == Again::Never {
        return Next::GiveUp;
    }
    let doubled = FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(16));
    let plan = doubled.min(LONGEST);
    let plan = plan.mul_f64(1.0 - JITTER + 2.0 * JITTER * random.clamp(0.0, 1.0));
    let wait = match again {
        Again::NotBefore(asked) => plan.max(asked.min(LONGEST)),
        Again::ByPlan | Again::Never => plan,
    };
    let ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    Next::At(WallTime(now.0.saturating_add(ms)))
}

/// The latest that something can be due that failed at `now`. What is due later was written by a clock that
/// ran ahead.
pub fn latest(now: WallTime) -> WallTime {
    let ms = LONGEST.mul_f64(1.0 + JITTER).as_millis() as i64;
    WallTime(now.0.saturating_add(ms))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: WallTime = WallTime(1_000_000);

    fn wait(attempts: u32, again: Again, random: f64) -> Option<Duration> {
        match after(attempts, NOW, again, random) {
            Next::At(at) => Some(Duration::from_millis((at.0 - NOW.0) as u64)),
            Next::GiveUp => None,
        }
    }

    #[test]
    fn attempts_span_a_day_and_end() {
        let waits: Vec<_> = (1..=ATTEMPTS)
            .map_while(|attempts| wait(attempts, Again::ByPlan, 0.5))
            .collect();
        assert_eq!(waits.len() as u32, ATTEMPTS - 1);
        assert_eq!(waits[..3], [2, 4, 8].map(Duration::from_secs));
        let hours = waits.iter().sum::<Duration>().as_secs_f64() / 3_600.0;
        assert!((20.0..26.0).contains(&hours), "{hours}");
    }

    #[test]
    fn a_receiver_may_ask_for_patience_and_for_an_end() {
        let asked = |seconds| Again::NotBefore(Duration::from_secs(seconds));
        assert_eq!(wait(1, asked(60), 0.0), Some(Duration::from_mins(1)));
        assert_eq!(
            wait(1, asked(0), 0.5),
            Some(FIRST),
            "no sooner than planned"
        );
        assert_eq!(wait(1, asked(u64::MAX), 0.5), Some(LONGEST));
        assert_eq!(wait(1, Again::Never, 0.5), None);
    }

    proptest! {
        #[test]
        fn every_wait_is_within_its_bounds(
            attempts: u32, now in -1_000_000_i64..i64::MAX, asked: u64, random in 0.0..1.0_f64,
        ) {
            let now = WallTime(now);
            for again in [Again::ByPlan, Again::NotBefore(Duration::from_millis(asked))] {
                match after(attempts, now, again, random) {
                    Next::GiveUp => prop_assert!(attempts >= ATTEMPTS),
                    Next::At(at) => {
                        prop_assert!(attempts < ATTEMPTS);
                        prop_assert!(at > now || now.0 == i64::MAX);
                        prop_assert!(at <= latest(now));
                    }
                }
            }
        }

        #[test]
        fn later_attempts_wait_longer(attempts in 1..ATTEMPTS - 1) {
            let wait = |attempts| wait(attempts, Again::ByPlan, 0.5);
            prop_assert!(wait(attempts) <= wait(attempts + 1));
        }
    }
}
