//! When a device is online: spells on and off, drawn as they are asked for.

use tern_protocol::rest::Online;

use super::chance::uniform;

/// A day, in milliseconds.
pub(super) const DAY: i64 = 86_400_000;

/// Where draws for spells begin among all that are drawn for a device.
const SPELLS: u32 = 1_000;

/// Places that one search may go through: a device that is online for a minute a year is not waited for longer.
const SEARCH_MAX: u32 = 100_000;

/// What a group's devices have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pattern {
    seed: u64,
    share: f64,
    /// Mean length of spells on and off, in milliseconds.
    means: [f64; 2],
    /// Opening hours, in milliseconds since midnight.
    hours: Option<(i64, i64)>,
}

/// Where in its spells a device is. Times are milliseconds since the midnight before the start.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor {
    spell: u32,
    from: i64,
    to: i64,
    online: bool,
}

impl Pattern {
    pub(super) fn new(online: &Online, seed: u64) -> Self {
        let share = online.share.of_one().max(1e-6);
        let on = online.spell.ms().max(1_000) as f64;
        let clock = |clock: tern_protocol::rest::Clock| i64::from(clock.minute()) * 60_000;
        let hours = online.from.map(clock).zip(online.to.map(clock));
        Self {
            seed,
            share,
            means: [on, on * (1.0 - share) / share],
            hours: hours.filter(|(from, to)| from != to),
        }
    }

    fn seek(&self, device: u32, cursor: &mut Cursor, at: i64) {
        if at < cursor.from {
            *cursor = Cursor::default();
        }
        while cursor.to <= at {
            let first = cursor.spell == 0;
            let drawn = |what| uniform(self.seed, device, what);
            cursor.online = if first {
                drawn(SPELLS) < self.share
            } else {
                !cursor.online
            };
            cursor.spell += 1;
            cursor.from = if first { 0 } else { cursor.to };
            let mean = self.means[usize::from(!cursor.online)];
            let length = -mean * (1.0 - drawn(SPELLS + cursor.spell)).ln();
            cursor.to = cursor.from + length as i64 + 1;
        }
    }

    /// Until when it is within opening hours, or when they begin.
    fn hours(&self, at: i64) -> (bool, i64) {
        let Some((from, to)) = self.hours else {
            return (true, i64::MAX);
        };
        let (midnight, of_day) = (at - at.rem_euclid(DAY), at.rem_euclid(DAY));
        let next = |time: i64| midnight + time + if time <= of_day { DAY } else { 0 };
        let open = if from < to {
            (from..to).contains(&of_day)
        } else {
            of_day >= from || of_day < to
        };
        (open, next(if open { to } else { from }))
    }

    /// When it is online next, from `at` on, and until when.
    pub(super) fn next(&self, device: u32, cursor: &mut Cursor, mut at: i64) -> (i64, i64) {
        if self.share >= 1.0 && self.hours.is_none() {
            return (at, i64::MAX);
        }
        for _ in 0..SEARCH_MAX {
            self.seek(device, cursor, at);
            let (open, change) = self.hours(at);
            if cursor.online && open {
                return (at, cursor.to.min(change));
            }
            at = if cursor.online { change } else { cursor.to };
        }
        (at, at + 1)
    }

    /// When it has been online for so long, in milliseconds.
    pub(super) fn after(&self, device: u32, cursor: &mut Cursor, at: i64, mut length: i64) -> i64 {
        let mut at = at;
        for _ in 0..SEARCH_MAX {
            let (from, to) = self.next(device, cursor, at);
            if to - from >= length {
                return from + length;
            }
            length -= to - from;
            at = to;
        }
        at
    }

    /// How many of the spans from the `first` to before the `last`, each so long and the first from `since`, pass
    /// without its being online.
    pub(super) fn silent(
        &self,
        device: u32,
        cursor: &mut Cursor,
        since: i64,
        length: i64,
        spans: std::ops::Range<i64>,
    ) -> u32 {
        let silent = spans.filter(|span| {
            let from = since + span * length;
            self.next(device, cursor, from).0 >= from + length
        });
        silent.count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn pattern(json: &str) -> Pattern {
        Pattern::new(&serde_json::from_str(json).expect("a pattern"), 3)
    }

    #[test]
    fn devices_are_online_for_their_share_of_time_whoever_asks_first() {
        let pattern = pattern(r#"{"share":"70%","spell":"5h"}"#);
        let (mut online, mut asked) = (0, 0);
        for device in 0..200 {
            let mut cursor = Cursor::default();
            let mut forth = Vec::new();
            for hour in 0..240 {
                let at = hour * HOUR;
                forth.push(pattern.next(device, &mut cursor, at).0 == at);
            }
            online += forth.iter().filter(|online| **online).count();
            asked += forth.len();
            // Backwards it is the same.
            for hour in (0..240_i64).rev().step_by(24) {
                let at = hour * HOUR;
                let now = pattern.next(device, &mut cursor, at).0 == at;
                assert_eq!(now, forth[hour as usize]);
            }
        }
        let share = online as f64 / f64::from(asked as u32);
        assert!((share - 0.7).abs() < 0.03, "{share}");
    }

    #[test]
    fn hours_are_kept_and_fetching_waits_for_them() {
        let pattern = pattern(r#"{"share":"100%","from":"22:00","to":"02:00"}"#);
        let mut cursor = Cursor::default();
        let (from, to) = pattern.next(0, &mut cursor, 9 * HOUR);
        assert_eq!((from, to), (22 * HOUR, 26 * HOUR));
        assert_eq!(
            pattern.next(0, &mut cursor, 25 * HOUR),
            (25 * HOUR, 26 * HOUR)
        );
        let done = pattern.after(0, &mut cursor, 9 * HOUR, 5 * HOUR);
        assert_eq!(done, 47 * HOUR);
        assert_eq!(pattern.silent(0, &mut cursor, 20 * HOUR, HOUR, 0..8), 4);
    }
}
