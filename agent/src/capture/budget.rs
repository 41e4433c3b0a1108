//! How many captures a device may make in any day, and how they are spread over it. Pure.
//!
//! A bucket holds what may be spent now. It holds an eighth of the day's budget at most and fills at seven eighths of
//! the budget a day, so that no 24 hours see more than the budget. What is left of it and what has been wanted lately
//! lower the probability *before* a draw, so that a busy morning leaves something for the evening and the probability
//! that travels with a capture is the one with which it was drawn.
//!
//! Must never break:
//! - over any 24 hours no more is spent than the budget;
//! - what lowers a probability depends on what was before the draw alone, never on how the draw ended.

use std::time::Duration;

use minicbor::{Decode, Encode};
use tern_protocol::time::{Uptime, WallTime};

/// Over how long demand is looked at: long enough to be a mean, short against a day.
const LATELY: Duration = Duration::from_mins(10);

/// The day of a budget.
const DAY: Duration = Duration::from_hours(24);

/// Share of the budget that may be spent at once.
const AT_ONCE: f64 = 1.0 / 8.0;

/// One thing that is limited: captures, or their bytes.
#[derive(Debug, Clone)]
struct Bucket {
    most: f64,
    /// What it gets in a millisecond.
    gain: f64,
    level: f64,
    /// What was wanted lately, in a millisecond.
    demand: f64,
    at: Uptime,
}

/// What is remembered of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Default, Encode, Decode)]
#[cbor(map)]
struct Level {
    #[n(0)]
    level: f64,
    #[n(1)]
    demand: f64,
}

/// What is remembered of a budget over a start of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Remembered {
    #[n(0)]
    count: Option<Level>,
    #[n(1)]
    bytes: Option<Level>,
    /// When, by the system's clock.
    #[n(2)]
    wall: Option<WallTime>,
}

/// What a device may spend on captures.
#[derive(Debug, Clone)]
pub struct Budget {
    count: Option<Bucket>,
    bytes: Option<Bucket>,
}

impl Budget {
    /// So many captures and bytes in any day; no limit where there is none.
    pub fn new(count: Option<u64>, bytes: Option<u64>, now: Uptime) -> Self {
        let bucket = |most: u64| Bucket::new(most, now);
        Self {
            count: count.map(bucket),
            bytes: bytes.map(bucket),
        }
    }

    /// An input of so many bytes is wanted with this probability: by what that is to be multiplied, 0 to 1. Whoever
    /// asks draws next.
    pub fn lower(&mut self, now: Uptime, wanted: f64, bytes: u64) -> f64 {
        let of = |bucket: &mut Option<Bucket>, cost: f64| match bucket {
            Some(bucket) => bucket.lower(now, wanted, cost),
            None => 1.0,
        };
        let bytes = of(&mut self.bytes, bytes.max(1) as f64);
        of(&mut self.count, 1.0).min(bytes)
    }

    /// Whether something that was not drawn may be kept all the same: only while more than half is left, so that it
    /// takes nothing from what estimates stand on.
    pub fn spares(&mut self, now: Uptime, bytes: u64) -> bool {
        let of = |bucket: &mut Option<Bucket>, cost: f64| match bucket {
            Some(bucket) => {
                bucket.fill(now);
                bucket.level - cost >= bucket.most * AT_ONCE / 2.0
            }
            None => true,
        };
        of(&mut self.count, 1.0) && of(&mut self.bytes, bytes as f64)
    }

    /// An input of so many bytes is kept.
    pub fn spend(&mut self, bytes: u64) {
        if let Some(bucket) = &mut self.count {
            bucket.level -= 1.0;
        }
        if let Some(bucket) = &mut self.bytes {
            bucket.level -= bytes as f64;
        }
    }

    /// What has to be remembered.
    pub fn remembered(&self, wall: Option<WallTime>) -> Remembered {
        let level = |bucket: &Option<Bucket>| {
            bucket.as_ref().map(|bucket| Level {
                level: bucket.level,
                demand: bucket.demand,
            })
        };
        Remembered {
            count: level(&self.count),
            bytes: level(&self.bytes),
            wall,
        }
    }

    /// Goes on where an earlier start ended. A clock that went back, or none, gives nothing for the time between; one
    /// that jumped fills the bucket, and no more.
    pub fn restore(&mut self, from: &Remembered, now: Uptime, wall: Option<WallTime>) {
        let between = wall.zip(from.wall).map_or(0, |(now, then)| now.0 - then.0);
        let between = Duration::from_millis(between.max(0).unsigned_abs()).min(DAY);
        let of = |bucket: &mut Option<Bucket>, level: Option<Level>| {
            if let Some((bucket, level)) = bucket.as_mut().zip(level) {
                bucket.restore(level, now, between);
            }
        };
        of(&mut self.count, from.count);
        of(&mut self.bytes, from.bytes);
    }
}

impl Bucket {
    fn new(most: u64, now: Uptime) -> Self {
        let most = most as f64;
        Self {
            most,
            gain: most * (1.0 - AT_ONCE) / DAY.as_millis() as f64,
            level: most * AT_ONCE,
            demand: 0.0,
            at: now,
        }
    }

    fn fill(&mut self, now: Uptime) {
        let passed = now.since(self.at).as_millis() as f64;
        self.pass(passed);
        self.at = self.at.max(now);
    }

    fn pass(&mut self, passed: f64) {
        self.level = (self.level + self.gain * passed).min(self.most * AT_ONCE);
        self.demand *= (-passed / LATELY.as_millis() as f64).exp();
    }

    /// While the bucket is full, everything is kept that is wanted. At half of it, as much as it gains; below that, less
    /// in proportion. In between it bends smoothly: demand that goes on settles near the half.
    fn lower(&mut self, now: Uptime, wanted: f64, cost: f64) -> f64 {
        self.fill(now);
        self.demand += wanted * cost / LATELY.as_millis() as f64;
        if self.level < cost {
            return 0.0;
        }
        let fair = (self.gain / self.demand).min(1.0);
        let full = self.level / (self.most * AT_ONCE);
        if full >= 0.5 {
            fair.powf(2.0 * (1.0 - full.min(1.0)))
        } else {
            2.0 * full * fair
        }
    }

    fn restore(&mut self, from: Level, now: Uptime, between: Duration) {
        // What is not a number is of a damaged store.
        if from.level.is_finite() && from.demand.is_finite() {
            self.level = from.level.min(self.most * AT_ONCE);
            self.demand = from.demand.max(0.0);
            self.at = now;
            self.pass(between.as_millis() as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chance::Chance;

    const HOUR: u64 = 3_600_000;

    /// Captures of each hour, with so many inputs a minute that are all wanted.
    fn day(per_day: u64, a_minute: u64) -> Vec<u64> {
        let mut budget = Budget::new(Some(per_day), None, Uptime(0));
        let mut chance = Chance::seeded(3);
        let mut hours = vec![0; 24];
        for minute in 0..24 * 60 {
            for input in 0..a_minute {
                let now = Uptime(minute * 60_000 + input * 60_000 / a_minute);
                let probability = budget.lower(now, 1.0, 100);
                if chance.hits(probability as f32) {
                    budget.spend(100);
                    hours[(minute / 60) as usize] += 1;
                }
            }
        }
        hours
    }

    #[test]
    fn a_budget_lasts_the_day() {
        for (per_day, a_minute) in [(400, 60), (400, 6), (5_000, 300)] {
            let hours = day(per_day, a_minute);
            let all: u64 = hours.iter().sum();
            assert!(all <= per_day, "{all} of {per_day}: {hours:?}");
            assert!(all * 10 > per_day * 8, "{all} of {per_day}: {hours:?}");
            let evening: u64 = hours[18..].iter().sum();
            assert!(evening * 8 > all, "{hours:?}");
        }
        let few = day(5_000, 2);
        assert_eq!(few.iter().sum::<u64>(), 2 * 24 * 60, "enough for all");
    }

    #[test]
    fn a_start_brings_nothing_back_and_a_clock_that_jumps_at_most_a_full_bucket() {
        let mut budget = Budget::new(Some(80), None, Uptime(0));
        (0..10).for_each(|_| budget.spend(1));
        let kept = budget.remembered(Some(WallTime(5_000)));
        let again = |wall: Option<i64>| {
            let mut budget = Budget::new(Some(80), None, Uptime(0));
            budget.restore(&kept, Uptime(7), wall.map(WallTime));
            budget.lower(Uptime(7), 1.0, 1)
        };
        assert!(again(Some(5_000)) <= 0.0, "nothing is left");
        assert!(again(None) <= 0.0 && again(Some(4)) <= 0.0);
        assert!(again(Some(5_000 + HOUR as i64)) > 0.0);
        let mut budget = Budget::new(Some(80), None, Uptime(0));
        budget.restore(&kept, Uptime(7), Some(WallTime(i64::MAX)));
        assert!(budget.count.is_some_and(|bucket| bucket.level <= 10.0));
    }

    #[test]
    fn bytes_are_a_budget_too() {
        let mut budget = Budget::new(None, Some(8_000), Uptime(0));
        assert!(budget.lower(Uptime(0), 1.0, 900) > 0.0);
        assert!(budget.spares(Uptime(0), 400) && !budget.spares(Uptime(0), 900));
        budget.spend(900);
        assert!(budget.lower(Uptime(0), 1.0, 101) <= 0.0);
        assert!(budget.lower(Uptime(0), 1.0, 99) > 0.0);
    }

    proptest! {
        #[test]
        fn no_day_sees_more_than_its_budget(
            per_day in 1u64..2_000,
            steps in prop::collection::vec((0u64..40 * 60_000, 1u64..400), 1..120),
            restarts in any::<u64>(),
        ) {
            let mut budget = Budget::new(Some(per_day), None, Uptime(0));
            let (mut now, mut spent) = (0, Vec::new());
            for (number, (pause, inputs)) in steps.into_iter().enumerate() {
                now += pause;
                for _ in 0..inputs {
                    // At worst every draw hits.
                    let factor = budget.lower(Uptime(now), 1.0, 10);
                    prop_assert!((0.0..=1.0).contains(&factor));
                    if factor > 0.0 {
                        budget.spend(10);
                        spent.push(now);
                    }
                }
                if restarts >> (number % 64) & 1 == 1 {
                    let wall = Some(WallTime(now as i64));
                    let kept = budget.remembered(wall);
                    budget = Budget::new(Some(per_day), None, Uptime(now));
                    budget.restore(&kept, Uptime(now), wall);
                }
            }
            for (first, begin) in spent.iter().enumerate() {
                let within = spent[first..].iter().take_while(|at| **at < begin + 24 * HOUR);
                prop_assert!(within.count() as u64 <= per_day);
            }
        }
    }
}
