//! How many devices may be moved now.

use std::collections::VecDeque;

use tern_protocol::{rest::Pace, time::WallTime};

const DAY: i64 = 86_400_000;
const MINUTE: u128 = 60_000;
/// Parts of a device in which allowance is counted, so that none is lost to rounding.
const PARTS: u128 = 1_000_000;

/// What was used of the pace.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Meter {
    /// Parts of devices that may be moved, as of `since`.
    left: u128,
    since: Option<WallTime>,
    /// Devices moved within the last day, by when.
    moved: VecDeque<(WallTime, u64)>,
    /// Their sum.
    today: u64,
}

/// Devices a minute after so many have confirmed.
fn rate(pace: &Pace, confirmed: u64) -> Option<u64> {
    let start = u64::from(pace.per_minute?);
    let Some(growth) = &pace.growth else {
        return Some(start);
    };
    let steps = confirmed / u64::from(growth.every.max(1));
    let grown = start as f64 * growth.factor.powi(steps.min(1_000) as i32);
    Some((grown.min(f64::from(growth.max)) as u64).max(start))
}

impl Meter {
    /// How many may be moved now, each of which fetches `bytes`.
    pub(crate) fn allowance(&self, pace: &Pace, bytes: u64, confirmed: u64, now: WallTime) -> u64 {
        let by_pace = self.parts(pace, confirmed, now).map_or(u64::MAX, |parts| {
            u64::try_from(parts / PARTS).unwrap_or(u64::MAX)
        });
        let by_bytes = pace.bytes_per_day.map_or(u64::MAX, |budget| {
            let today = self.today - self.past(now).map(|(_, n)| n).sum::<u64>();
            // A version larger than a whole day's budget still reaches a device a day.
            (budget.get() / bytes.max(1)).max(1).saturating_sub(today)
        });
        by_pace.min(by_bytes)
    }

    /// Parts of devices that may be moved: what flowed in since the last, a minute's worth and one device at most.
    fn parts(&self, pace: &Pace, confirmed: u64, now: WallTime) -> Option<u128> {
        let rate = u128::from(rate(pace, confirmed)?);
        let Some(since) = self.since else {
            return Some(PARTS);
        };
        let passed = u128::from(now.0.saturating_sub(since.0).max(0).unsigned_abs());
        let flowed = passed * rate * PARTS / MINUTE;
        Some((self.left + flowed).min(rate.max(1) * PARTS))
    }

    fn past(&self, now: WallTime) -> impl Iterator<Item = (WallTime, u64)> + '_ {
        let old = move |(at, _): &&(WallTime, u64)| now.0.saturating_sub(at.0) >= DAY;
        self.moved.iter().take_while(old).copied()
    }

    /// So many were moved.
    pub(crate) fn moved(&mut self, pace: &Pace, confirmed: u64, now: WallTime, devices: u64) {
        if let Some(parts) = self.parts(pace, confirmed, now) {
            self.left = parts.saturating_sub(u128::from(devices) * PARTS);
            self.since = Some(now);
        }
        if pace.bytes_per_day.is_some() {
            let old = self.past(now).count();
            let old: u64 = self.moved.drain(..old).map(|(_, n)| n).sum();
            self.today = self.today - old + devices;
            self.moved.push_back((now, devices));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(json: &str, bytes: u64, confirmed: impl Fn(u64) -> u64, minutes: i64) -> Vec<u64> {
        let pace: Pace = serde_json::from_str(json).expect("a pace");
        let mut meter = Meter::default();
        let mut total = 0;
        let mut each = Vec::new();
        for second in 0..minutes * 60 {
            let now = WallTime(second * 1_000);
            let may = meter.allowance(&pace, bytes, confirmed(total), now);
            if may > 0 && may < u64::MAX {
                meter.moved(&pace, confirmed(total), now, may);
                total += may;
            }
            if (second + 1) % 60 == 0 {
                each.push(total);
            }
        }
        each
    }

    #[test]
    fn so_many_devices_a_minute_however_often_one_looks() {
        let totals = run(r#"{"per-minute":30}"#, 1, |_| 0, 4);
        assert_eq!(totals, [30, 60, 90, 120]);
        assert_eq!(run(r#"{"per-minute":1}"#, 1, |_| 0, 3), [1, 2, 3]);
    }

    #[test]
    fn it_grows_with_those_that_confirmed_and_no_further_than_its_end() {
        let growing = r#"{"per-minute":6,"growth":{"factor":2.0,"every":6,"max":20}}"#;
        let totals = run(growing, 1, |total| total, 3);
        assert!(
            totals[1] - totals[0] > 12 && totals[2] - totals[1] <= 21,
            "{totals:?}"
        );
        assert_eq!(
            run(growing, 1, |_| 0, 2),
            [6, 12],
            "without success it stays"
        );
    }

    #[test]
    fn bytes_of_a_day_end_it_until_the_day_is_over() {
        let pace = r#"{"bytes-per-day":"10kB"}"#;
        let totals = run(pace, 3_000, |_| 0, 24 * 60 + 2);
        assert_eq!(totals[0], 3);
        assert_eq!(totals[24 * 60 - 1], 3);
        assert_eq!(totals[24 * 60 + 1], 6);
        assert_eq!(
            run(pace, 50_000, |_| 0, 1),
            [1],
            "larger than a day's budget"
        );
    }
}
