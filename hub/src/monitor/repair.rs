//! Wall times from the moments of a device. Pure.
//!
//! A device tells a boot and the time since its start; many have no clock that survives a power cut. The
//! hub knows when a message came, and the message says when it was sent, in the same boot's time: that
//! gives the wall time of every moment of that boot, whatever the device's own clock says or does.
//!
//! For earlier boots there is what the hub learned when it heard of them. A boot that the hub never heard
//! of began after the last one before it that the hub knows, and was over when the next one began: within
//! these bounds the device's own clock is believed, and beyond them it is not. What has no believable time
//! is in **doubt**: it is kept and counts, and no chart draws it.

use std::collections::BTreeMap;

use tern_protocol::{
    id::BootId,
    rest::Doubt,
    time::{Instant, WallTime},
};

/// Before this no Tern device existed (2020-01-01): such a time comes from a clock that was never
/// set.
const EARLIEST: i64 = 1_577_836_800_000;

/// How far a repaired time may lie ahead of what bounds it, in milliseconds (5 min): messages on the way
/// make it a little late, so more is a wrong clock.
const AHEAD: i64 = 5 * 60 * 1000;

/// What is known about the time of one device when a message of it came.
#[derive(Debug, Clone)]
pub(super) struct Timeline {
    received: i64,
    now: Instant,
    /// When each boot began, in milliseconds since 1970, as the hub knows it.
    zeros: BTreeMap<BootId, i64>,
    /// The same as the device's own clock says, where the hub does not know and nothing speaks against it.
    told: BTreeMap<BootId, i64>,
}

/// An interval of the hub's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) opened: i64,
    pub(super) closed: i64,
    /// Why it is not to be believed: then it was somewhere between the two, as far as is known.
    pub(super) doubt: Option<Doubt>,
}

impl Timeline {
    /// Of a message that was sent at `now` and came at `received`.
    pub(super) fn new(now: Instant, received: WallTime) -> Self {
        let zero = received.0.saturating_sub(millis(now.uptime.0));
        Self {
            received: received.0,
            now,
            zeros: BTreeMap::from([(now.boot, zero)]),
            told: BTreeMap::new(),
        }
    }

    /// Whether the hub knows when a boot began.
    pub(super) fn knows(&self, boot: BootId) -> bool {
        self.zeros.contains_key(&boot)
    }

    /// Learns when boots began, as the hub heard of them.
    pub(super) fn learn(&mut self, zeros: impl IntoIterator<Item = (BootId, i64)>) {
        for (boot, zero) in zeros {
            self.zeros.entry(boot).or_insert(zero);
        }
    }

    /// Hears what the device's own clock said at a moment of a boot that the hub does not know. The last
    /// word of a boot counts: a clock that is set while a device runs is wrong before and right after.
    pub(super) fn hear(&mut self, at: Instant, wall: WallTime) {
        let (from, to) = self.bounds(at.boot);
        if self.knows(at.boot) || at.boot > self.now.boot || !(from..=to).contains(&wall.0) {
            return;
        }
        let zero = wall.0.saturating_sub(millis(at.uptime.0));
        self.told.insert(at.boot, zero);
    }

    /// Between which times a boot must have run.
    fn bounds(&self, boot: BootId) -> (i64, i64) {
        let from = self.zeros.range(..boot).map(|(_, zero)| *zero).max();
        let later = (std::ops::Bound::Excluded(boot), std::ops::Bound::Unbounded);
        let to = self.zeros.range(later).map(|(_, zero)| *zero).min();
        let to = to.unwrap_or(self.received).min(self.received);
        (
            from.unwrap_or(EARLIEST).clamp(EARLIEST, to.max(EARLIEST)),
            to,
        )
    }

    /// The wall time of a moment; if it is in doubt, the latest that it can have been.
    pub(super) fn wall(&self, moment: Instant) -> i64 {
        self.place(moment).unwrap_or_else(|(latest, _)| latest)
    }

    /// The wall time of a moment, or the latest that it can have been and why that is all that is known.
    fn place(&self, moment: Instant) -> Result<i64, (i64, Doubt)> {
        if moment.boot > self.now.boot {
            return Err((self.received, Doubt::Impossible));
        }
        let (_, to) = self.bounds(moment.boot);
        let zero = self.zeros.get(&moment.boot);
        let Some(zero) = zero.or_else(|| self.told.get(&moment.boot)) else {
            return Err((to, Doubt::NoClock));
        };
        let wall = zero.saturating_add(millis(moment.uptime.0));
        if wall > to.saturating_add(AHEAD) {
            Err((to, Doubt::Future))
        } else if wall < EARLIEST && self.received >= EARLIEST {
            Err((to, Doubt::Impossible))
        } else {
            Ok(wall.min(self.received))
        }
    }

    /// An interval, with its ends in order.
    pub(super) fn interval(&self, opened: Instant, closed: Instant) -> Interval {
        let end = self.place(closed);
        let (closed_at, mut doubt) = match end {
            Ok(wall) => (wall, None),
            Err((latest, doubt)) => (latest, Some(doubt)),
        };
        // A window that was merged over a start may begin in a boot that nobody knows; where it ended
        // says where it belongs.
        let earliest = || self.bounds(opened.boot).0;
        let opened_at = match (self.place(opened), doubt) {
            (Ok(wall), _) => wall,
            (Err(_), None) => closed_at,
            (Err(_), Some(_)) => earliest(),
        };
        if opened > closed {
            doubt = Some(Doubt::Impossible);
        }
        Interval {
            opened: opened_at.min(closed_at),
            closed: closed_at,
            doubt,
        }
    }
}

fn millis(uptime: u64) -> i64 {
    i64::try_from(uptime).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tern_protocol::time::Uptime;

    use super::*;

    const NOON: i64 = 1_790_000_000_000;
    const DAY: i64 = 24 * 60 * 60 * 1000;

    fn at(boot: u32, uptime: u64) -> Instant {
        Instant {
            boot: BootId(boot),
            uptime: Uptime(uptime),
        }
    }

    /// Boot 9 for a minute; the hub heard of boot 3 ten days ago.
    fn timeline() -> Timeline {
        let mut timeline = Timeline::new(at(9, 60_000), WallTime(NOON));
        timeline.learn([(BootId(3), NOON - 10 * DAY)]);
        timeline
    }

    fn sure(opened: i64, closed: i64) -> Interval {
        Interval {
            opened,
            closed,
            doubt: None,
        }
    }

    #[test]
    fn moments_of_the_same_boot_count_back_from_the_message_whatever_the_clock_says() {
        let mut timeline = timeline();
        timeline.hear(at(9, 10_000), WallTime(NOON + 90 * DAY));
        timeline.hear(at(9, 20_000), WallTime(NOON - 90 * DAY));
        assert_eq!(timeline.wall(at(9, 0)), NOON - 60_000);
        let interval = timeline.interval(at(9, 10_000), at(9, 20_000));
        assert_eq!(interval, sure(NOON - 50_000, NOON - 40_000));
    }

    #[test]
    fn the_clock_of_a_boot_that_nobody_heard_of_is_believed_between_its_neighbours() {
        for (days, believed) in [
            (-11, false),
            (-9, true),
            (-1, true),
            (1, false),
            (-400, false),
        ] {
            let mut timeline = timeline();
            timeline.hear(at(5, 5_000), WallTime(NOON + days * DAY));
            let interval = timeline.interval(at(5, 1_000), at(5, 6_000));
            if believed {
                let zero = NOON + days * DAY - 5_000;
                assert_eq!(interval, sure(zero + 1_000, zero + 6_000), "{days}");
            } else {
                assert_eq!(interval.doubt, Some(Doubt::NoClock), "{days}");
                let within = (interval.opened, interval.closed);
                assert_eq!(within, (NOON - 10 * DAY, NOON - 60_000), "{days}");
            }
        }
    }

    #[test]
    fn a_clock_that_was_set_while_the_device_ran_counts_from_then() {
        let mut timeline = timeline();
        timeline.hear(at(5, 1_000), WallTime(NOON - 9 * DAY));
        timeline.hear(at(5, 2_000), WallTime(NOON - 2 * DAY));
        // It went wrong again.
        timeline.hear(at(5, 3_000), WallTime(0));
        assert_eq!(timeline.wall(at(5, 1_500)), NOON - 2 * DAY - 500);
    }

    #[test]
    fn many_starts_without_a_clock_are_in_doubt_each_and_between_what_is_known() {
        let mut timeline = timeline();
        for boot in 4..9 {
            timeline.hear(at(boot, 1_000), WallTime(1_000));
            let interval = timeline.interval(at(boot, 0), at(boot, 60_000));
            assert_eq!(interval.doubt, Some(Doubt::NoClock));
            assert_eq!(interval.closed, NOON - 60_000);
        }
        // A window that was merged over them and closed in this boot is where it closed.
        let merged = timeline.interval(at(5, 0), at(9, 30_000));
        assert_eq!(merged, sure(NOON - 30_000, NOON - 30_000));
    }

    #[test]
    fn impossible_moments_are_in_doubt() {
        for (opened, closed, doubt) in [
            (at(9, 0), at(9, 60_000_000), Doubt::Future),
            (at(9, 0), at(9, u64::MAX), Doubt::Future),
            (at(3, 0), at(3, 20 * 86_400_000), Doubt::Future),
            (at(12, 0), at(12, 5), Doubt::Impossible),
            (at(9, 50_000), at(9, 1), Doubt::Impossible),
        ] {
            let interval = timeline().interval(opened, closed);
            assert_eq!(interval.doubt, Some(doubt), "{opened:?} to {closed:?}");
            assert!(interval.opened <= interval.closed && interval.closed <= NOON);
        }
        let ancient = Timeline::new(at(3, u64::MAX), WallTime(NOON));
        let interval = ancient.interval(at(3, 0), at(3, 1));
        assert_eq!(
            (interval.closed, interval.doubt),
            (NOON, Some(Doubt::Impossible))
        );
    }

    proptest! {
        /// Whatever devices say, times are ones that can be.
        #[test]
        fn times_are_never_ahead_of_the_hub_and_never_before_tern(
            now in (0_u32..6, any::<u64>()),
            known in prop::collection::vec((0_u32..6, any::<i64>()), 0..4),
            heard in prop::collection::vec((0_u32..6, any::<u64>(), any::<i64>()), 0..6),
            opened in (0_u32..6, any::<u64>()),
            closed in (0_u32..6, any::<u64>()),
        ) {
            let mut timeline = Timeline::new(at(now.0, now.1), WallTime(NOON));
            timeline.learn(known.into_iter().map(|(boot, zero)| (BootId(boot), zero)));
            for (boot, uptime, wall) in heard {
                timeline.hear(at(boot, uptime), WallTime(wall));
            }
            let interval = timeline.interval(at(opened.0, opened.1), at(closed.0, closed.1));
            prop_assert!(interval.opened <= interval.closed);
            prop_assert!(interval.closed <= NOON);
            if interval.doubt.is_none() {
                prop_assert!(interval.closed >= EARLIEST);
            }
        }
    }
}
