//! How often somebody may try. Pure: attempts and a clock in, a wait out.
//!
//! Attempts are counted for the account and for the address, and each that fails doubles the wait,
//! up to a bound: whoever guesses gets a few tries an hour, and an owner is never locked out for
//! longer than the longest wait. Must never break: memory is bounded, whatever names are tried.

use std::{collections::HashMap, time::Duration};

use tern_protocol::time::WallTime;

/// Failures that cost nothing: people mistype.
const FREE: u32 = 5;

/// The wait after the first failure that is not free; doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_mins(15);

/// After so long without a failure all is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(1);

/// Accounts and addresses that are remembered. Above it those whose last failure is the longest ago
/// are forgotten: a megabyte or two.
const REMEMBERED: usize = 20_000;

/// An address fails more freely: a whole office is behind one.
const ADDRESS_FREE: u32 = 20;

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Attempts on one account, from anywhere.
    Account(String),
    /// Attempts from one address, on any account.
    Address(String),
}

impl Subject {
    const fn free(&self) -> u32 {
        match self {
            Self::Account(_) => FREE,
            Self::Address(_) => ADDRESS_FREE,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: WallTime,
}

/// What is remembered of attempts that failed.
#[derive(Debug, Default)]
pub struct Throttle(HashMap<Subject, Failures>);

impl Throttle {
    /// How long these have to wait until an attempt is heard; zero: not at all.
    pub fn wait(&self, subjects: &[Subject], now: WallTime) -> Duration {
        let waits = subjects.iter().filter_map(|subject| {
            let failures = self.0.get(subject)?;
            // A clock that was set back makes nobody wait longer than the wait itself.
            let since = Duration::from_millis(now.0.saturating_sub(failures.last.0).max(0) as u64);
            let over = failures.count.checked_sub(subject.free() + 1)?;
            let wait = FIRST_WAIT
                .saturating_mul(1 << over.min(20))
                .min(LONGEST_WAIT);
            Some(wait.saturating_sub(since))
        });
        waits.max().unwrap_or(Duration::ZERO)
    }

    /// An attempt failed.
    pub fn failed(&mut self, subjects: &[Subject], now: WallTime) {
        for subject in subjects {
            if self.0.len() >= REMEMBERED && !self.0.contains_key(subject) {
                self.forget(now);
            }
            let failures = self.0.entry(subject.clone()).or_insert(Failures {
                count: 0,
                last: now,
            });
            if is_old(failures.last, now) {
                failures.count = 0;
            }
            failures.count = failures.count.saturating_add(1);
            failures.last = now;
        }
    }

    /// An attempt on an account was right: its failures are forgotten. Those of the address stay, or
    /// whoever has one account could guess at others for ever.
    pub fn succeeded(&mut self, account: &str) {
        self.0.remove(&Subject::Account(account.to_owned()));
    }

    fn forget(&mut self, now: WallTime) {
        self.0.retain(|_, failures| !is_old(failures.last, now));
        if self.0.len() >= REMEMBERED {
            let mut times: Vec<_> = self.0.values().map(|failures| failures.last).collect();
            let (_, middle, _) = times.select_nth_unstable(REMEMBERED / 2);
            let middle = *middle;
            self.0.retain(|_, failures| failures.last > middle);
        }
    }
}

fn is_old(last: WallTime, now: WallTime) -> bool {
    now.0.saturating_sub(last.0) > FORGOTTEN_AFTER.as_millis() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> [Subject; 1] {
        [Subject::Account("ada".into())]
    }

    #[test]
    fn each_failure_doubles_the_wait_up_to_its_bound() {
        let mut throttle = Throttle::default();
        let mut waits = Vec::new();
        for _ in 0..40 {
            throttle.failed(&account(), WallTime(0));
            waits.push(throttle.wait(&account(), WallTime(0)).as_secs());
        }
        assert_eq!(waits[..9], [0, 0, 0, 0, 0, 1, 2, 4, 8]);
        assert_eq!(waits.last(), Some(&LONGEST_WAIT.as_secs()));
        assert_eq!(
            throttle.wait(&account(), WallTime(LONGEST_WAIT.as_millis() as i64)),
            Duration::ZERO,
            "nobody is locked out for ever"
        );
    }

    #[test]
    fn time_and_success_forgive() {
        let mut throttle = Throttle::default();
        (0..10).for_each(|_| throttle.failed(&account(), WallTime(0)));
        assert!(throttle.wait(&account(), WallTime(1)) > Duration::ZERO);
        throttle.succeeded("ada");
        assert_eq!(throttle.wait(&account(), WallTime(1)), Duration::ZERO);
        (0..10).for_each(|_| throttle.failed(&account(), WallTime(0)));
        let later = WallTime(FORGOTTEN_AFTER.as_millis() as i64 + 1);
        throttle.failed(&account(), later);
        assert_eq!(throttle.wait(&account(), later), Duration::ZERO);
    }

    #[test]
    fn memory_is_bounded() {
        let mut throttle = Throttle::default();
        for number in 0..3 * REMEMBERED as i64 {
            let subject = Subject::Account(number.to_string());
            throttle.failed(&[subject], WallTime(number));
            assert!(throttle.0.len() <= REMEMBERED);
        }
    }
}
