//! Wall times from the moments of a device. Pure.
//!
//! A device tells a boot and the time since its start; many have no clock that survives a power
//! cut. The hub knows when a message came, and the message says when it was sent, in the same
//! boot's time: that gives the wall time of every moment of that boot. For earlier boots there is
//! what the hub learned when it heard of them, then the device's own clock, then the hub's.

use std::collections::BTreeMap;

use tern_protocol::{
    id::BootId,
    time::{Instant, WallTime},
};

/// Before this no Tern device existed (2020-01-01): such a time comes from a clock that was never
/// set.
const EARLIEST: i64 = 1_577_836_800_000;

/// How far a repaired time may lie ahead of the hub's clock, in milliseconds (5 min): messages on
/// the way make it a little early, never late, so more is a wrong clock.
const AHEAD: i64 = 5 * 60 * 1000;

/// What is known about the time of one device when a message of it came.
#[derive(Debug, Clone)]
pub(super) struct Timeline {
    received: i64,
    /// When each boot began, in milliseconds since 1970.
    zeros: BTreeMap<BootId, i64>,
}

impl Timeline {
    /// Of a message that was sent at `now` and came at `received`.
    pub(super) fn new(now: Instant, received: WallTime) -> Self {
        let zero = received.0.saturating_sub(millis(now.uptime.0));
        Self {
            received: received.0,
            zeros: BTreeMap::from([(now.boot, zero)]),
        }
    }

    /// Whether the beginning of a boot is known.
    pub(super) fn knows(&self, boot: BootId) -> bool {
        self.zeros.contains_key(&boot)
    }

    /// Learns when an earlier boot began, as the hub or the device's own clock say; impossible
    /// beginnings are not learned.
    pub(super) fn learn(&mut self, boot: BootId, moment: Instant, wall: WallTime) {
        let zero = wall.0.saturating_sub(millis(moment.uptime.0));
        if moment.boot == boot && self.plausible(wall.0) {
            self.zeros.entry(boot).or_insert(zero);
        }
    }

    /// The wall time of a moment: repaired if its boot is known and the result is possible, else
    /// the time at which the message came.
    pub(super) fn wall(&self, moment: Instant) -> i64 {
        let zero = self.zeros.get(&moment.boot).copied();
        let wall = zero.map(|zero| zero.saturating_add(millis(moment.uptime.0)));
        wall.filter(|wall| self.plausible(*wall))
            .unwrap_or(self.received)
    }

    /// An interval, with its ends in order.
    pub(super) fn interval(&self, opened: Instant, closed: Instant) -> (i64, i64) {
        let closed = self.wall(closed);
        (self.wall(opened).min(closed), closed)
    }

    fn plausible(&self, wall: i64) -> bool {
        (EARLIEST..=self.received.saturating_add(AHEAD)).contains(&wall)
    }
}

fn millis(uptime: u64) -> i64 {
    i64::try_from(uptime).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use tern_protocol::time::Uptime;

    use super::*;

    const NOON: i64 = 1_790_000_000_000;

    fn at(boot: u32, uptime: u64) -> Instant {
        Instant {
            boot: BootId(boot),
            uptime: Uptime(uptime),
        }
    }

    fn timeline() -> Timeline {
        Timeline::new(at(3, 60_000), WallTime(NOON))
    }

    #[test]
    fn moments_of_the_same_boot_count_back_from_the_message() {
        assert_eq!(timeline().wall(at(3, 0)), NOON - 60_000);
        assert_eq!(
            timeline().interval(at(3, 10_000), at(3, 20_000)),
            (NOON - 50_000, NOON - 40_000)
        );
    }

    #[test]
    fn an_earlier_boot_is_learned_once_and_only_if_possible() {
        let mut timeline = timeline();
        assert!(!timeline.knows(BootId(2)));
        timeline.learn(BootId(2), at(2, 5_000), WallTime(0));
        timeline.learn(BootId(2), at(2, 5_000), WallTime(NOON + 86_400_000));
        assert_eq!(
            timeline.wall(at(2, 6_000)),
            NOON,
            "an impossible clock taught it something"
        );
        timeline.learn(BootId(2), at(2, 5_000), WallTime(NOON - 90_000));
        timeline.learn(BootId(2), at(2, 5_000), WallTime(NOON - 1));
        assert_eq!(timeline.wall(at(2, 6_000)), NOON - 89_000);
    }

    #[test]
    fn impossible_moments_become_the_time_of_receipt() {
        for moment in [at(3, 60_000_000), at(3, u64::MAX), at(9, 5)] {
            assert_eq!(timeline().wall(moment), NOON, "{moment:?}");
        }
        let ancient = Timeline::new(at(3, u64::MAX), WallTime(NOON));
        assert_eq!(ancient.wall(at(3, 0)), NOON);
        assert_eq!(
            timeline().interval(at(3, 50_000), at(3, 1)),
            (NOON - 59_999, NOON - 59_999)
        );
    }
}
